#!/bin/sh
# sh examples/crictl-to-our-runtime.sh [COMMAND…]
#
# podwire's runtime alone, and the real crictl as its client: a pod, a container, a command in it, and all away again.
set -eu
podwire="node $(dirname "$0")/../dist/cli/main.js"
folder=$(mktemp -d)
socket=unix://$folder/runtime.sock
crictl() { command crictl --config /dev/null --runtime-endpoint "$socket" --image-endpoint "$socket" "$@"; }

$podwire runtime --state-dir "$folder/state" --listen "$socket" >"$folder/log" 2>&1 &
runtime=$!
trap 'kill "$runtime"; wait "$runtime" || true; rm -rf "$folder"' EXIT
until grep -q ^ready "$folder/log"; do kill -0 "$runtime" && sleep 0.1; done

cat >"$folder/pod.json" <<JSON
{ "metadata": { "name": "web", "namespace": "default", "uid": "1" }, "log_directory": "$folder", "linux": {} }
JSON
cat >"$folder/container.json" <<JSON
{ "metadata": { "name": "main" }, "image": { "image": "podwire.local/host" },
  "command": ["sh", "-c", "while :; do sleep 3600; done"], "log_path": "main.log", "linux": {} }
JSON
pod=$(crictl runp "$folder/pod.json")
container=$(crictl create "$pod" "$folder/container.json" "$folder/pod.json")
crictl start "$container" >/dev/null
crictl ps

[ $# -gt 0 ] || set -- echo "hello from a container of podwire's runtime"
crictl exec "$container" "$@"

crictl stopp "$pod" >/dev/null
crictl rmp "$pod" >/dev/null
