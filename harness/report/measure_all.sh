#!/usr/bin/env bash
# measure_all.sh PROGRAMS RAW SUMMARY    What the reference report is made from, in some forty-five
# minutes: the raw results and report.html into RAW, their summaries and report.md into SUMMARY.
# Baselines and peers are expected to fail: their exit codes 1 and 3 are findings.
set -euo pipefail
programs=$1 raw=$2 summary=$3

die() { printf '%s\n' "measure_all.sh: $*" >&2; exit 2; }

counterexamples=$(mktemp -d)
mkdir -p "$raw"
# measured WHAT COMMAND...
measured() {
  local what=$1 status=0; shift
  "$@" >&2 || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 1 ] || [ "$status" -eq 3 ] || die "$what did not run"
}
torture_into() {
  local file=$1; shift
  measured torture "$programs"/kill9 torture --counterexamples="$counterexamples" \
    --json="$raw/$file" "$@"
}
sweep_into() {
  local file=$1; shift
  measured sweep "$programs"/kill9 sweep --json="$raw/$file" "$@"
}
torture_into torture_designs.json --variant=all --seconds=3 --seed=20261122
torture_into torture_peers.json --variant=peers --seconds=2 --watchdog=3 --seed=20261122
torture_into torture_baselines.json --variant=baselines --scenario=steady --seconds=10 \
  --watchdog=1 --seed=9
sweep_into sweep_report.json --variant=all --operation=get,put_same,erase,pin \
  --state=one_entry --stall
sweep_into sweep_channels.json --variant=all --stall --state=several \
  --operation=send,receive,take,acknowledge,return,drain,commit
sweep_into sweep_baselines.json --variant=baselines --watchdog=1 \
  --operation=put_same,get,pin,send,receive --state=one_entry,several
# To the end in spite of failures. Most of it is waiting for what hangs, so more workers than
# cores.
sweep_into sweep_report_peers.json --variant=peers --operation=get,put_same,send,receive \
  --state=collision_chain,several --stall --failures=100000 --watchdog=1 --workers=8
"$programs"/store_benchmark --parts=limits,speed,growth,room --reads=100,95,50 \
  --distributions=uniform,zipfian --value-bytes=64,4096,65536 --workers=1,2,4,8 \
  --rounds=5 --seconds=0.05 --json="$raw/store_benchmark.json" >&2 || die "store_benchmark failed"
"$programs"/channel_benchmark --json="$raw/channel_benchmark.json" >&2 ||
  die "channel_benchmark failed"
# The summaries of what is measured by hand stay as they are; the report is of all.
"$programs"/kill9 report --input="$raw" --output="$raw" --summary="$summary"
"$programs"/kill9 report --input="$summary" --output="$raw" --summary="$summary"
