#!/usr/bin/env bash
# memcached_suite.sh SERVER FOLDER    What others wrote to test memcached, against kill9-memcached:
# memcached's own t/*.t (from the distribution's source package, fetched into FOLDER), memcapable of
# libmemcached-tools, pymemcache and Cache::Memcached. memcached_suite.txt says which tests apply.
# Exit code 1: one of those failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
server=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
readonly at_once=8  # they sleep most of the time
readonly port=22911

# The source package, by lists of its own: the machine's are left as they are.
fetch_source() {
  [ ! -e "$folder/source/t" ] || return 0
  local lists=$folder/lists keys=/usr/share/keyrings/debian-archive-keyring.gpg release
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mkdir -p "$lists/partial"
  if [ "$(. /etc/os-release && echo "$ID")" = debian ]; then
    echo "deb-src [signed-by=$keys] http://deb.debian.org/debian $release main" >"$folder/sources"
  else
    keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    echo "deb-src [signed-by=$keys] http://archive.ubuntu.com/ubuntu $release main" \
      >"$folder/sources"
  fi
  local options=(-o "Dir::Etc::sourcelist=$folder/sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$lists" -qq)
  apt-get "${options[@]}" update
  (cd "$folder" && apt-get "${options[@]}" source --download-only memcached 2>/dev/null)
  mkdir -p "$folder/source"
  tar -xf "$(ls "$folder"/memcached_*.orig.tar.*)" -C "$folder/source" --strip-components=1
}

# What stands for memcached-debug: the server, with the clock that the tests move. They name a UDP
# port wherever they name an address; it is left out.
prepare() {
  cc -O1 -o "$folder/source/timedrun" "$folder/source/timedrun.c"
  cat >"$folder/source/memcached-debug" <<END
#!/usr/bin/perl
my (@kept, \$skip);
for (@ARGV) {
  if (\$skip) { \$skip = 0; next }
  if (\$_ eq '-U') { \$skip = 1; next }
  push @kept, \$_;
}
exec '$server', '-o', 'debugtime', @kept;
END
  chmod +x "$folder/source/memcached-debug"
}

run_one() {
  local test=$1 log=$2/log.$1 status=0
  cd "$2/source"
  timeout 300 perl "t/$test" >"$log" 2>&1 || status=$?
  echo "$status $(grep -c '^ok' "$log") $(grep -c '^not ok' "$log")" >"$2/result.$test"
}
export -f run_one

fetch_source
prepare
cd "$folder/source"
rm -f "$folder"/result.*
awk '$2 == "all" || $2 == "but" {print $1}' "$here/memcached_suite.txt" |
  xargs -P "$at_once" -I{} bash -c "run_one {} '$folder'"

failures=0
passed=0
while read -r test expected most_wrong _; do
  case $expected in all) most_wrong=0 ;; but) ;; *) continue ;; esac
  read -r status ok wrong <"$folder/result.$test"
  if [ "$wrong" -gt "$most_wrong" ] || [ "$ok" -eq 0 ] ||
    { [ "$expected" = all ] && [ "$status" -ne 0 ]; }; then
    echo "FAILED $test: $ok ok, $wrong not ok, exit code $status (see $folder/log.$test)"
    failures=$((failures + 1))
  else
    passed=$((passed + 1))
  fi
done < <(grep -v '^#' "$here/memcached_suite.txt")
echo "memcached's own tests: $passed files as memcached_suite.txt says, $failures not"

"$server" -p "$port" -t 2 &
pid=$!
trap 'kill "$pid" 2>/dev/null' EXIT
for attempt in $(seq 100); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  sleep 0.05
done
report() {
  local name=$1 status=0; shift
  "$@" >"$folder/log.$name" 2>&1 || status=$?
  if [ "$status" -eq 0 ]; then
    echo "$name: passed ($(grep -ciE 'pass|ok' "$folder/log.$name") lines of it)"
  else
    echo "FAILED $name (see $folder/log.$name)"
    failures=$((failures + 1))
  fi
}
memcapable=$(command -v memccapable || command -v memcapable || echo memcapable)  # its two names
report memcapable "$memcapable" -a -h 127.0.0.1 -p "$port"
report pymemcache /usr/bin/python3 "$here/pymemcache_client.py" "$port"
report Cache::Memcached perl "$here/cache_memcached_client.pl" "$port"
exit $((failures > 0))
