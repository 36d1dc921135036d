#!/usr/bin/env bash
# Makes the base image where none can be pulled: Debian 12 under its public name.
#
# It needs root, docker and mmdebstrap (a debootstrap that writes a tar file), and takes packages
# from where this machine takes its own, security updates included. Not for a release: those are
# built on the public image. Does nothing if there is an image of that name.
set -euo pipefail

readonly image=debian:bookworm-slim
docker image inspect "$image" >/dev/null 2>&1 && exit 0

sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Identifier: Packages' 'Origin: Debian' | grep -E ' bookworm[^ ]* main$') || {
  echo "$0: this machine knows no packages of Debian 12; run 'apt-get update' on one that does" >&2
  exit 1
}

# The public image leaves out the same files.
# The hook spares it a package that merges /usr afterwards and brings all of Perl.
mmdebstrap --quiet --mode=root --variant=minbase \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
  --customize-hook='cd "$1" && rm -rf etc/apt/sources.list* etc/hostname etc/resolv.conf var/log/*' \
  bookworm - - <<<"$sources" |
  docker import --change 'CMD ["bash"]' - "$image" >/dev/null
