#!/usr/bin/env bash
# A run of kill9 as a job array of Slurm: each task does one shard of it (docs/campaigns.md).
#
#   sbatch --array=1-16 kill9_array.sh PARTS kill9 sweep --variant=all
#   kill9 merge PARTS --json=all.json
#
# PARTS is a folder that all nodes share; task N writes PARTS/N.json. KILL9_SHARDS=16 sbatch
# --array=3,7 ... does two of the sixteen again.
#
# When the time is nearly up, a task ends its command as Ctrl-C does: what it has is in its part.
# Sweep and torture go on from there: the task puts itself into the queue again. So do those that
# somebody requeued. Other commands begin again.
#SBATCH --exclusive --time=01:00:00 --signal=B:TERM@30 --requeue --open-mode=append
set -euo pipefail

parts=$1; shift
part=$parts/$SLURM_ARRAY_TASK_ID.json
command=("$@" "--shard=$SLURM_ARRAY_TASK_ID/${KILL9_SHARDS:-$SLURM_ARRAY_TASK_COUNT}"
  "--json=$part")
goes_on=
case " $* " in *" sweep "* | *" torture "*) goes_on=yes ;; esac
mkdir -p "$parts"
# One that came to its end has nothing to go on with.
if [ "$goes_on" ] && [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] &&
  grep -q '"to_continue"' "$part" 2>/dev/null; then
  command+=("--continue=$part")
fi

time_is_up=
"${command[@]}" &
child=$!
trap 'time_is_up=yes; kill -TERM "$child" 2>/dev/null || true' TERM
# A signal ends wait, but not the command.
while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
status=0
wait "$child" || status=$?
# Whoever is cancelled or requeued by others is no longer running. Not for ever: a cell, or a run of
# torture, may take longer than the time that there is.
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
if [ "$time_is_up" ] && [ "$goes_on" ] && [ "$status" -eq 3 ] &&
  [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ] &&
  [ "$(squeue --noheader --format=%T --jobs="$task")" = RUNNING ]; then
  scontrol requeue "$task"
fi
exit "$status"
