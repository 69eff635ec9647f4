#!/usr/bin/env bash
# What others wrote about HTTP caches: the npm package http-cache-tests, run against nginx, varnish
# and kill9-http-cache; then their speed, side by side. Ends with two tables.
#
#     http_cache_test.sh PROGRAM FOLDER     FOLDER keeps the npm package, and the results
set -euo pipefail
readonly program=$(realpath "$1") folder=$(mkdir -p "$2" && realpath "$2")
readonly here=$(dirname "$(realpath "$0")")
readonly suite_version=0.4.5
# The suite's own origin, and in front of it nginx, varnish and ours; the same of the origin of the
# speed measurement.
readonly origin=18000 speed_origin=18010

started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
trap finish EXIT

start() {
  local log=$1; shift
  "$@" >"$folder/$log" 2>&1 &
  started+=($!)
}

await() {
  local port=$1 turn
  for ((turn = 0; turn < 300; ++turn)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
    sleep 0.1
  done
  echo "nobody listens on port $port: see the logs in $folder" >&2
  exit 2
}

# Three caches in front of one origin, on the three ports after the origin's.
start_caches() {
  local from=$1 name=$2 prefix=$folder/$2-nginx
  mkdir -p "$prefix"
  sed -e "s|@ORIGIN@|$from|; s|@PORT@|$((from + 1))|; s|@PREFIX@|$prefix|g" \
    "$here/nginx.conf" >"$prefix/nginx.conf"
  rm -rf "$prefix/cache"
  start "$name-nginx.log" nginx -c "$prefix/nginx.conf"
  start "$name-varnish.log" varnishd -F -b "127.0.0.1:$from" -a "127.0.0.1:$((from + 2))" \
    -n "$folder/$name-varnish" -s malloc,256m -p thread_pools=2
  start "$name-kill9.log" "$program" --origin="http://127.0.0.1:$from" --listen=$((from + 3)) \
    --workers=2 --memory=256m
  for port in 1 2 3; do await $((from + port)); done
}

if [ ! -d "$folder/node_modules/http-cache-tests" ]; then
  (cd "$folder" && npm init -y >/dev/null &&
    npm install --ignore-scripts --no-audit --no-fund "http-cache-tests@$suite_version" >/dev/null)
fi
suite=$folder/node_modules/http-cache-tests
export npm_config_protocol=http npm_config_port=$origin npm_config_pidfile=$folder/origin.pid
(cd "$suite" && exec node server/server.mjs) >"$folder/origin.log" 2>&1 &
started+=($!)
await $origin
start_caches $origin suite
port=$origin
for cache in nginx varnish kill9; do
  port=$((port + 1))
  (cd "$suite" && npm_config_base=http://localhost:$port npm_package_config_id= \
    node --no-warnings cli.mjs) >"$folder/$cache.json"
done
node --no-warnings "$here/table.mjs" "$suite" "$folder"

command -v wrk >/dev/null || exit 0
start speed-origin.log python3 "$here/speed_origin.py" $speed_origin
await $speed_origin
start_caches $speed_origin speed
python3 "$here/speed.py" $speed_origin
