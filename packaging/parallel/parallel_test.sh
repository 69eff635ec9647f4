#!/usr/bin/env bash
# Shards of kill9 on two hosts by GNU parallel over ssh (docs/campaigns.md). Both are this machine:
# an sshd of our own, with keys and a port of its own, in a temporary folder.
#
#   parallel_test.sh KILL9
#
# Exit code 0: all passed; 77: skipped, and it says why; else something failed.
set -euo pipefail
kill9=$(realpath "$1")
export PATH=$PATH:/usr/sbin

say() { printf 'parallel_test: %s\n' "$*"; }
skip() { echo "skipped: $*"; exit 77; }
for command in parallel sshd ssh rsync python3; do
  command -v "$command" >/dev/null || skip "$command is not installed (./dev parallel-test)"
done
# sshd wants the folder for its unprivileged part; Debian's service makes it.
[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd

folder=$(mktemp -d)
sshd=
finish() {
  if [ "$sshd" ]; then
    kill "$sshd" 2>/dev/null || true
    wait "$sshd" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT
die() { say "$*"; cat "$folder"/*.log || true; exit 1; }

port=$(python3 -c '
import socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1])')
mkdir "$folder/bin" "$folder/here"
ln -s "$kill9" "$folder/bin/kill9"
for key in host user; do ssh-keygen -q -t ed25519 -N '' -f "$folder/$key"; done
cat >"$folder/sshd_config" <<EOF
Port $port
ListenAddress 127.0.0.1
HostKey $folder/host
AuthorizedKeysFile $folder/user.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH=$folder/bin:/usr/bin:/bin
EOF
cat >"$folder/ssh_config" <<EOF
Host host1 host2
  HostName 127.0.0.1
  Port $port
  IdentityFile $folder/user
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
EOF
setpriv --pdeathsig TERM "$(command -v sshd)" -D -e -f "$folder/sshd_config" \
  2>"$folder/sshd.log" &
sshd=$!
export PARALLEL_SSH="ssh -F $folder/ssh_config" RSYNC_RSH="ssh -F $folder/ssh_config"
for ((n = 0; ; ++n)); do
  if $PARALLEL_SSH host1 true 2>"$folder/ssh.log"; then break; fi
  [ "$n" -lt 200 ] || die "sshd does not answer"
  sleep 0.1
done

# As docs/campaigns.md has it. A folder of its own on the hosts (...), which are one machine.
cd "$folder/here"
mkdir parts
sweep='sweep --variant=global_mutex --operation=get --state=empty,one_entry,split --seed=3'
parallel --jobs 1 --sshlogin host1,host2 --workdir ... --return parts/{}.json --cleanup \
  "mkdir -p parts; kill9 $sweep --shard={}/3 --json=parts/{}.json" ::: 1 2 3 \
  >"$folder/parallel.log" 2>&1 || die "a shard failed"
"$kill9" merge parts --json=all.json >"$folder/merge.log" 2>&1 || die "merge failed"
grep -q '3 shards, 3 runs: 3 pass' "$folder/merge.log" || die "not the three shards"
say "passed: three shards on two hosts, by $(parallel --version | sed -n 1p)"
