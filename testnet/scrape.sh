#!/usr/bin/env bash
# Has a real Prometheus scrape the five nodes of compose.yaml, and asks it whether it did.
#
# It needs docker, compose, curl and the prometheus of the machine, and the image (image.sh). The
# server runs here and not in a container, where no image can be pulled; it reaches the nodes by
# their addresses, with the rules and all settings of observe/. Nothing is left behind.
set -euo pipefail
cd "$(dirname "$0")"

readonly nodes=(ana mum nas bob eve) server=127.0.0.1:19090
compose=(docker compose)
docker compose version >/dev/null 2>&1 || compose=(docker-compose)
compose+=(-p "brain-scrape-$$" -f compose.yaml)
work=$(mktemp -d)
prometheus=
down() {
  [ -z "$prometheus" ] || { kill "$prometheus" && wait "$prometheus"; } || true
  "${compose[@]}" down --volumes --timeout 5 >/dev/null 2>&1
  rm -rf "$work"
}
trap down EXIT

"${compose[@]}" up -d --no-build "${nodes[@]}" >/dev/null 2>&1
cp -r observe/prometheus.yml observe/rules "$work"
# The watchers are containers, which are not here.
sed -i '/- job_name: watchers/,$d' "$work/prometheus.yml"
mkdir "$work/targets"
for node in "${nodes[@]}"; do
  id=$("${compose[@]}" ps -q "$node")
  address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$id")
  echo "- {targets: [\"${address%% *}:9464\"], labels: {node: $node}}" >>"$work/targets/nodes.yml"
done
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
  --web.listen-address="$server" --log.level=warn &
prometheus=$!

ask() {
  curl --silent --fail --get "http://$server/api/v1/query" --data-urlencode "query=$1" |
    sed -n 's/.*"value":\[[^,]*,"\([^"]*\)"\].*/\1/p'
}
# Scraped twice at least: the first series of a node comes with its first scrape.
for _ in $(seq 60); do
  up=$(ask 'sum(up{job="brain"})') || true
  unlocked=$(ask 'sum(brain_unlocked)') || true
  [ "$up" = 5 ] && [ "$unlocked" = 5 ] && break
  sleep 1
done
rules=$(curl --silent "http://$server/api/v1/rules" | grep -o '"health":"[a-z]*"' | sort | uniq -c | xargs)
healthy=$(docker ps --filter "name=brain-scrape-$$" --filter health=healthy --quiet | wc -l)
echo "scraped nodes: ${up:-0}; unlocked: ${unlocked:-0}; rules: $rules; healthy containers: $healthy"
[ "$up" = 5 ] && [ "$unlocked" = 5 ]
[[ "$rules" != *err* ]]
