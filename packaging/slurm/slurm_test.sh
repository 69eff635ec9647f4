#!/usr/bin/env bash
# Shards of kill9 on a Slurm cluster of this one machine: munge and Slurm's two daemons, started in
# a temporary folder, with keys, ports and sockets of their own (docs/campaigns.md).
#
#   slurm_test.sh KILL9              the array of kill9_array.sh, requeued, merged, cut short
#   slurm_test.sh KILL9 --limit      a real limit of time as well (a minute or two)
#   slurm_test.sh KILL9 --overhead   what 16 shards cost beside one process tree (minutes)
#
# Exit code 0: all passed; 77: skipped, and it says why; else something failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kill9=$(realpath "$1")
what=${2:-}
array=$here/kill9_array.sh
export PATH=$PATH:/usr/sbin

say() { printf 'slurm_test: %s\n' "$*"; }
skip() { echo "skipped: $*"; exit 77; }
for command in munged slurmctld slurmd sbatch python3 pgrep setpriv; do
  command -v "$command" >/dev/null || skip "$command is not installed (./dev slurm-test)"
done

folder=$(mktemp -d)
chmod 755 "$folder"  # munged refuses to have its socket where others could not come
daemons=()
finish() {
  if [ ${#daemons[@]} -gt 0 ]; then
    kill "${daemons[@]}" 2>/dev/null || true
    wait "${daemons[@]}" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT
die() {
  say "$*"
  tail -n 20 "$folder"/*.out "$folder"/*.log || true
  exit 1
}
# until_so SECONDS COMMAND...   Against what hangs.
until_so() {
  local most=$1 n; shift
  for ((n = 0; n < 20 * most; ++n)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.05
  done
  die "this did not come true in $most s: $*"
}

# A port of this machine that nobody listens at.
free_port() {
  python3 -c '
import socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1])'
}

# begin DAEMON ARGUMENT...   It ends with this script, however that ends.
begin() {
  setpriv --pdeathsig TERM "$@" >"$folder/$1.out" 2>&1 &
  daemons+=($!)
}

start_cluster() {
  local host user cgroup=cgroup/v1
  host=$(hostname -s)
  user=$(id -un)
  # Nothing here uses groups of processes; later versions have a word for that.
  [[ $(slurmd -V) == *" 22."* ]] || cgroup=disabled
  echo "CgroupPlugin=$cgroup" >"$folder/cgroup.conf"
  mkdir "$folder/state" "$folder/spool"
  cat >"$folder/slurm.conf" <<EOF
ClusterName=kill9
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
  export SLURM_CONF=$folder/slurm.conf
  (umask 077 && dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none)
  begin munged --foreground --force --key-file="$folder/munge.key" \
    --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"
  until_so 60 test -S "$folder/munge.socket"
  begin slurmctld -D
  begin slurmd -D
  until_so 60 node_is_idle
  say "a cluster of $(slurmd -V) on this machine"
}
node_is_idle() { [ "$(sinfo --noheader --format=%t)" = idle ]; }

# submit SBATCH_OPTION... -- ARRAY_ARGUMENT...   Sets job.
submit() {
  local options=()
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  job=$(sbatch --parsable --output="$folder/%A_%a.out" "${options[@]}" "$array" "$@")
}
array_has_ended() { ! squeue --noheader --jobs="$job" 2>/dev/null | grep -q .; }
# expect EXIT_CODE PART COMMAND...   The command ends so, and says that.
expect() {
  local code=$1 part=$2 status=0 output; shift 2
  output=$("$@" 2>&1 </dev/null) || status=$?
  [ "$status" -eq "$code" ] || die "$* ended with $status, not $code:"$'\n'"$output"
  [[ $output == *"$part"* ]] || die "$* does not say '$part':"$'\n'"$output"
}
# What a sweep's result says that does not depend on the machine's load.
cells_of() {
  python3 -c '
import json, sys
fields = ("variant", "operation", "state", "verdict", "instructions", "kill_points",
          "distinct_segment_states", "outcomes")
for run in json.load(open(sys.argv[1]))["runs"]:
    print(json.dumps([run[field] for field in fields]))' "$1" | sort
}
same_cells() {
  [ -n "$(cells_of "$1")" ] && [ "$(cells_of "$1")" = "$(cells_of "$2")" ] ||
    die "$1 and $2 are different sweeps"
}

# In the middle of a sweep: it has finished a cell, and not the last one. It stands still until the
# test has asked for its end, so that this does not depend on who is faster.
stop_after_a_cell() {
  until_so 300 grep -q '^\[1/' "$folder/${job}_1.out"
  kill -STOP "$(pgrep --full --oldest -- "--json=$1/1[.]json")"
}

# Two shards; the first is requeued by somebody and later told that its time is up: it goes on from
# there. The merged parts are the sweep that nobody divided.
test_requeue() {
  local sweep=(sweep --variant=global_mutex --operation=get,erase --seed=3 --workers=2)
  expect 0 "28 of 28 cells" "$kill9" "${sweep[@]}" --json="$folder/whole.json"
  submit --array=1-2 -- "$folder/parts" "$kill9" "${sweep[@]}"
  stop_after_a_cell "$folder/parts"
  scontrol requeue "${job}_1"
  until_so 60 test -s "$folder/parts/1.json"
  python3 -c '
import json, sys
part = json.load(open(sys.argv[1]))
assert part["interrupted"] and 1 <= len(part["runs"]) < 14, part' "$folder/parts/1.json" ||
    die "the requeued sweep was not in its middle"
  expect 3 "interrupted" "$kill9" merge "$folder/parts" --json="$folder/all.json"
  say "requeued: a part that was interrupted, undecided"
  until_so 300 array_has_ended
  grep -q -- "--continue=" "$folder/${job}_1.out" || die "the sweep did not say how to go on"
  expect 0 "2 shards, 28 runs: 28 pass" "$kill9" merge "$folder/parts" --json="$folder/all.json"
  same_cells "$folder/whole.json" "$folder/all.json"
  say "it went on, and the merged shards are the whole sweep"
}

has_workers() { [ "$(pgrep --full --count -- "$1")" -ge 4 ]; }

# Told that the time is up, a task of torture ends cleanly, and is put into the queue again. What it
# has not proved until then is undecided.
test_signal() {
  submit --array=1 --export=ALL,KILL9_SHARDS=2 -- "$folder/torture" "$kill9" torture --seed=7 \
    --variant=global_mutex,cas_slots --scenario=steady --seconds=3600
  until_so 300 has_workers "--json=$folder/torture/1.json"
  scancel --batch --signal=TERM "${job}_1"
  until_so 60 has_restarted
  scancel "$job"
  until_so 60 array_has_ended
  expect 3 "interrupted" "$kill9" merge "$folder/torture" --json="$folder/all.json"
  expect 3 "shard 2/2 is missing" "$kill9" merge "$folder/torture" --json="$folder/all.json"
  say "torture that was told to end: undecided, and so is the shard that is missing"
}
has_restarted() { scontrol show job "${job}_1" | grep -q 'Restarts=1'; }

# Slurm itself says that the time is up, and the sweep puts itself into the queue again.
test_limit() {
  local sweep=(sweep --variant=striped_locks --seed=3 --workers=1)
  submit --array=1 --time=1 --signal=B:TERM@30 -- "$folder/limit" "$kill9" "${sweep[@]}"
  until_so 300 grep -q "to go on" "$folder/${job}_1.out"
  until_so 60 has_restarted
  scancel "$job"
  until_so 60 array_has_ended
  say "at its limit of time the sweep went into the queue again"
}

# The same work at the same time, as one process tree and as 16 shards, a worker each: whatever else
# the machine does slows both. What is compared is CPU time, of all processes that each has started.
measure_overhead() {
  local sweep=(sweep --variant=global_mutex,striped_locks,cas_slots,seqlock_ring --seed=3
    "--operation=${KILL9_OPERATIONS:-all}" --workers=1)
  local whole shards
  cat >"$folder/timed" <<EOF
#!/usr/bin/env bash
TIMEFORMAT='%U %S'
{ time "$kill9" "\$@" >/dev/null 2>&1; } 2>"$folder/cpu.\${SLURM_ARRAY_TASK_ID:-whole}"
EOF
  chmod +x "$folder/timed"
  "$folder/timed" "${sweep[@]}" --json="$folder/whole.json" &
  whole=$!
  submit --array=1-16 -- "$folder/parts" "$folder/timed" "${sweep[@]}"
  until_so 7200 array_has_ended
  wait "$whole"
  expect 0 "16 shards" "$kill9" merge "$folder/parts" --json="$folder/all.json"
  same_cells "$folder/whole.json" "$folder/all.json"
  whole=$(awk '{print $1 + $2}' "$folder/cpu.whole")
  shards=$(cat "$folder"/cpu.[0-9]* | awk '{sum += $1 + $2} END {print sum}')
  say "overhead: 16 shards $shards s of CPU time, one process tree $whole s, ratio" \
    "$(awk "BEGIN {printf \"%.3f\", $shards / $whole}")"
}

start_cluster
case "$what" in
  --overhead) measure_overhead ;;
  '') test_requeue; test_signal ;;
  --limit) test_requeue; test_signal; test_limit ;;
  *) die "there is no $what" ;;
esac
say "passed"
