#!/usr/bin/env bash
# Builds the image where none can be pulled, from the binaries of `cargo build --release`, or from
# those of the folder that is named, such as target/debug.
#
# It gathers them in a small folder, which is all that docker gets to see. Others build the default
# target of the Containerfile instead.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly image=brain-node:testnet
target=${CARGO_TARGET_DIR:-target}
binaries=${1:-$target/release}
context=$target/image-context

testnet/base.sh
rm -rf "$context"
install -s -D -t "$context/bin" "$binaries/brain-node" "$binaries/brainctl"
install -D -m 0644 -t "$context/doc" LICENSE node/assets/NOTICE
install -D -m 0644 -t "$context/certs" /etc/ssl/certs/ca-certificates.crt
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
docker build --quiet --target local -f testnet/Containerfile -t "$image" \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" "$context"
