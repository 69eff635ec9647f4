#!/bin/bash
# Makes every kind of page that kill9 writes, and opens them in a browser (check_pages.mjs).
#
#   report_test.sh KILL9 FOLDER    FOLDER: where ./dev report-test has installed the npm packages;
#                                  pages/ and screenshots/ in it are made anew
#
# Exit code 0: all passed; 77: skipped, and it says why; else something failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kill9=$(realpath "$1")
folder=$2

skip() { echo "skipped: $*"; exit 77; }
command -v node >/dev/null || skip "node is not installed (Debian's package nodejs)"
[ -d "$folder/node_modules" ] || skip "the npm packages are not there (./dev report-test)"
command -v gnuplot >/dev/null || skip "gnuplot is not installed (Debian's package gnuplot-nox)"

cp "$here"/*.mjs "$folder"
rm -rf "$folder/pages" "$folder/screenshots"
mkdir -p "$folder/pages/counterexample"
# finds COMMAND...    One that must find something.
finds() {
  local status=0
  "$@" >"$folder/log" 2>&1 || status=$?
  [ "$status" -eq 1 ] || { cat "$folder/log"; echo "not 1 but $status: $*"; exit 1; }
}

# The heap of a torture that is under way, once it is made; the torture is ended then.
inspect_a_busy_heap() {
  local torture child segment status=2
  mkdir "$1"
  "$kill9" torture --variant=coalescing_heap --scenario=steady --seconds=600 >"$folder/log" 2>&1 &
  torture=$!
  for _ in $(seq 300); do
    for child in $(cat "/proc/$torture/task/$torture/children"); do
      segment=$(find "/proc/$child/fd" -lname '/memfd:kill9 *' 2>/dev/null | head -n 1 || true)
      [ -n "$segment" ] || continue
      status=0  # 1: a dead one holds something just now
      "$kill9" inspect "$segment" --html="$1/heap.html" >"$folder/inspect.log" 2>&1 || status=$?
    done
    [ "$status" -gt 1 ] || break
    sleep 0.1
  done
  kill "$torture"
  wait "$torture" || true
  [ "$status" -le 1 ] || { cat "$folder/inspect.log"; exit 1; }
}

results=$here/../../../results/reference
"$kill9" report --output="$folder/pages/report" --input="$(printf '%s,' \
  "$results"/{torture_designs,torture_baselines,sweep_baselines,sweep_report}.json)$(
  printf '%s' "$results/store_benchmark.json")" >"$folder/log"
finds "$kill9" check "$here/stale.edn" --model=register \
  --counterexample="$folder/pages/counterexample/stale"
# Wider than a telephone: focus scrolls it below the pointer.
finds "$kill9" check "$here/../../../property/histories/acknowledged_write_lost_in_crash.edn" \
  --counterexample="$folder/pages/counterexample/wide"
finds "$kill9" sweep --variant=robust_unrepaired --operation=put_same --state=one_entry \
  --coverage="$folder/pages/coverage" --json="$folder/sweep.json"
mkdir "$folder/pages/campaign"
rm -f "$folder/campaign.db"
"$kill9" campaign add "$folder/campaign.db" "$folder/sweep.json" >"$folder/log" 2>&1
finds "$kill9" campaign show "$folder/campaign.db" \
  --html="$folder/pages/campaign/campaign.html"
inspect_a_busy_heap "$folder/pages/inspect"
node "$folder/check_pages.mjs" "$folder/pages" "$folder/screenshots"
