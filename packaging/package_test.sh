#!/usr/bin/env bash
# ./dev package-test: the packages in a fresh Debian, used as somebody would who has nothing else.
#
#   package_test.sh FOLDER           a fresh root (debootstrap), the packages of FOLDER installed in
#                                    it by apt, and there this script with --installed
#   package_test.sh --installed      what is installed in this root is used by each example
set -euo pipefail

say() { printf 'package_test: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# expect EXIT_CODE PART COMMAND...   The command ends so, and says that.
expect() {
  local code=$1 part=$2 status=0 output; shift 2
  output=$("$@" 2>&1 </dev/null) || status=$?
  [ "$status" -eq "$code" ] || die "$* ended with $status, not $code:"$'\n'"$output"
  [[ $output == *"$part"* ]] || die "$* does not say '$part':"$'\n'"$output"
  say "as expected: $*"
}

# In the fresh root.
use_what_is_installed() {
  local examples=/usr/share/doc/kill9/apps/examples work
  work=$(mktemp -d)
  cd "$work"
  [ ! -e /usr/include/absl ] || die "this root is not fresh"

  expect 0 "kill9 0." kill9 --version
  expect 0 "NAME" man -P cat kill9
  for command in torture sweep run; do expect 0 "EXAMPLES" man -P cat "kill9-$command"; done
  expect 0 torture bash -c '. /usr/share/bash-completion/completions/kill9
    COMP_LINE="kill9 tort" COMP_POINT=10 COMP_WORDS=(kill9 tort) COMP_CWORD=1
    _kill9; echo "${COMPREPLY[*]}"'

  # A plugin in C++ and one in C: by find_package, and by pkg-config.
  mkdir project
  cp $examples/plugin/cells_map.cc $examples/plugin/cells_map.c project/
  cat >project/CMakeLists.txt <<'EOF'
cmake_minimum_required(VERSION 3.22)
project(mine C CXX)
enable_testing()
find_package(kill9 0.1 REQUIRED)
foreach(language c cc)
  add_library(mine_${language} SHARED cells_map.${language})
  target_link_libraries(mine_${language} PRIVATE kill9::kill9)
  target_compile_features(mine_${language} PRIVATE cxx_std_20)
  kill9_add_test(NAME torture_${language} PLUGIN mine_${language}
    ARGUMENTS --scenario=steady --kills=50)
  kill9_add_test(NAME sweep_${language} PLUGIN mine_${language} COMMAND sweep
    ARGUMENTS --operation=put_same --state=one_entry)
endforeach()
add_executable(program program.cc)
target_link_libraries(program PRIVATE kill9::main)
target_compile_features(program PRIVATE cxx_std_20)
kill9_add_test(NAME program_torture PROGRAM program ARGUMENTS --scenario=steady --kills=50)
EOF
  sed 's/KILL9_PLUGIN/KILL9_MAIN/' $examples/plugin/cells_map.cc >project/program.cc
  expect 0 "" cmake -G Ninja -S project -B build
  expect 0 "" cmake --build build
  expect 0 "0 tests failed out of 5" ctest --test-dir build
  # shellcheck disable=SC2046  # several words
  expect 0 "" gcc -std=c11 -shared -fPIC $(pkg-config --cflags kill9) -o libmine_c.so \
    project/cells_map.c
  # shellcheck disable=SC2046
  expect 0 "" g++ -std=c++20 -shared -fPIC $(pkg-config --cflags kill9) -o libmine_cc.so \
    project/cells_map.cc
  # A program that is the command, right and with its fault.
  local fault
  for fault in "" -DFAULTY; do
    # shellcheck disable=SC2046,SC2086
    expect 0 "" g++ -std=c++20 -g $fault -o "mine$fault" project/program.cc \
      $(pkg-config --cflags --libs kill9-main)
  done
  expect 0 pass ./mine torture --scenario=steady --kills=50
  expect 1 "./mine-DFAULTY sweep" ./mine-DFAULTY sweep --operation=put_same --state=one_entry
  for language in c cc; do
    expect 0 pass "$(pkg-config --variable=kill9 kill9)" --plugin=./libmine_$language.so torture \
      --scenario=steady --kills=50
  done

  # Objects that are no stores, as `kill9 new` begins them, built by the lines of their own page.
  local language kind name
  for language in c++ c; do
    for kind in queue mutex condition; do
      name=my_${kind}_${language//+/p}
      expect 0 "kill9 try ./lib$name.so" kill9 new --lang=$language --kind=$kind "$name"
      expect 0 "" sh -c "cd $name && sed -n 's/^    \\(g[c+]. .*\\)/\\1/p' README.md | sh -eux"
      expect 0 pass kill9 --plugin="./$name/lib$name.so" torture --kills=50
    done
    name=my_queue_${language//+/p}
    expect 1 violation kill9 --plugin="./$name/lib${name}_faulty.so" sweep --operation=enqueue
    name=my_mutex_${language//+/p}
    expect 1 stuck kill9 --plugin="./$name/lib${name}_faulty.so" torture --watchdog=1
  done

  # The same in other languages: a worker, run by the line of its page.
  local worker
  for language in python ruby php node perl rust java; do
    name=my_map_$language
    expect 0 "kill9 try --" kill9 new --lang=$language "$name"
    worker=$(sed -n "s/^    kill9 try \(--.*\)' --model=map *# passes$/\1/p" \
      "$name/README.md")
    expect 0 "" sh -c "cd $name && sed -n 's/^    \(rustc\|javac\) /\1 /p' README.md | sh -eux"
    for kill_at in random syscalls; do
      expect 0 pass sh -c "cd $name && kill9 torture $worker' --model=map \
        --seconds=600 --kills=20 --kill-at=$kill_at"
    done
    expect 1 violation sh -c "cd $name && kill9 torture $worker faulty' --model=map \
      --seconds=600 --kills=2000 --kill-at=syscalls"
  done

  # Programs in other languages: what is right passes, what is wrong is found.
  local workers=$examples/workers
  expect 0 pass kill9 torture --model=map --worker="python3 $workers/sqlite_map.py" --kills=20
  expect 0 pass kill9 torture --model=set --worker="ruby $workers/marshal_set.rb" --kills=20
  expect 1 stuck kill9 torture --model=mutex --fork-server="python3 $workers/lock_server.py" \
    --watchdog=1
  gcc -O1 -o robust_mutex $workers/robust_mutex.c -pthread
  expect 0 pass kill9 torture --model=robust-mutex --worker=./robust_mutex --kills=20

  # The stores in C, and the extensions of Python and Ruby, built from the installed library.
  cat >store.c <<'EOF'
#include <kill9/store.h>
int main(void) {
  kill9_store_options options = {sizeof options, 0, "cas_slots", 4 << 20, 0, 0};
  kill9_store *store;
  return kill9_store_create(&options, &store) || kill9_store_put(store, "k", 1, "v", 1, 0);
}
EOF
  # shellcheck disable=SC2046
  expect 0 "" gcc -o store store.c $(pkg-config --cflags --libs kill9-store)
  expect 0 "" ./store
  cp -r /usr/share/doc/kill9/bindings .
  expect 0 "" sh -c 'cd bindings/ruby && ruby extconf.rb && make'
  expect 0 "as expected" ruby -Ibindings/ruby bindings/ruby/shared_hash_test.rb
  expect 0 "kill9-0.1.0.gem" sh -c 'cd bindings/ruby && gem build kill9.gemspec'
  expect 0 "" sh -c 'cd bindings/ruby && gem install --local kill9-0.1.0.gem'
  expect 0 "1" ruby -e 'require "kill9"; h = Kill9::SharedHash.new; h["a"] = "1"; puts h["a"]'
  expect 0 "" sh -c 'cd bindings/python && python3 setup.py build_ext --inplace'
  expect 0 OK env PYTHONPATH=bindings/python python3 bindings/python/shared_dict_test.py
  expect 0 pass kill9 torture --model=map --kills=100 \
    --fork-server='env PYTHONPATH=bindings/python python3 bindings/python/map_server.py cas_slots'
  expect 0 pass kill9 torture --model=map --kills=100 \
    --fork-server='ruby -Ibindings/ruby bindings/ruby/map_server.rb cas_slots'
  for server in unicorn puma; do
    expect 0 "all are counted" env RUBYLIB=bindings/ruby \
      ruby bindings/ruby/web_workers_test.rb $server cas_slots
  done

  # An arbitrary program, with its fault and without.
  local metrics=$examples/metrics
  expect 1 violation kill9 run --check="bash $metrics/verify_metrics.sh" -- \
    bash $metrics/write_metrics.sh
  expect 0 pass kill9 run --check="bash $metrics/verify_metrics.sh" -- \
    bash $metrics/write_metrics_mended.sh

  # The programs: each serves, and the cache is warm after all of it was killed.
  expect 0 "kill9-memcached 0." kill9-memcached --version
  kill9-memcached --file=items -m 8 -s memcached.sock &
  server=$!
  expect 0 STORED ask_memcached 'set key 0 0 4\r\nwarm\r\nquit\r\n'
  kill -9 $server
  wait $server 2>/dev/null || true
  kill9-memcached --file=items -s memcached.sock &
  server=$!
  expect 0 warm ask_memcached 'get key\r\nquit\r\n'
  kill $server
  mkdir site && echo "of the origin" >site/page && touch -d 2020-01-01 site/page
  python3 -m http.server -d site -b 127.0.0.1 8091 2>/dev/null &
  origin=$!
  kill9-http-cache --origin=http://127.0.0.1:8091 --listen=8092 --quiet &
  server=$!
  for _ in miss hit; do expect 0 "of the origin" fetch_page; done
  kill $origin
  wait $origin 2>/dev/null || true
  expect 0 "of the origin" fetch_page
  kill $server
  cp my_queue_c/libmy_queue_c.so /tmp
}

# What the server on memcached.sock answers; it has a moment to begin.
ask_memcached() {
  perl -MIO::Socket::UNIX -e '
    my $socket;
    for (1 .. 200) {
      last if $socket = IO::Socket::UNIX->new(Peer => "memcached.sock");
      select(undef, undef, undef, 0.05);
    }
    print $socket eval("\"$ARGV[0]\"");
    print while <$socket>' "$1"
}

fetch_page() {
  python3 -c '
import time, urllib.request
for attempt in range(200):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8092/page").read().decode())
        break
    except OSError:
        time.sleep(0.05)'
}

# in_root HOW ROOT COMMAND...   HOW is pivot_root, as a machine's own root is, or chroot, where the
# root is no mount, and nobody can have mounts of their own.
in_root() {
  local how=$1 root=$2; shift 2
  unshare --mount --pid --fork bash -euc '
    how=$1 root=$2; shift 2
    mount --make-rprivate /
    [ "$how" = chroot ] || mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    cd "$root"
    [ "$how" = chroot ] || { pivot_root . . && umount -l .; }
    exec chroot . "$@"' bash "$how" "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

make_root() {
  local packages=$1 root=$2 suite mirror
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -m1 / || true)
  say "a fresh $suite in $root"
  debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
    die "debootstrap failed ($root.log)"
  # Manual pages are left out by some installations: not here.
  rm -f "$root"/etc/dpkg/dpkg.cfg.d/*docker* "$root"/etc/dpkg/dpkg.cfg.d/*excludes*
  cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  cp "$packages"/*.deb "$root/tmp/"
  cp "${BASH_SOURCE[0]}" "$root/tmp/package_test.sh"
}

[ "${1:-}" != --installed ] || { use_what_is_installed; exit; }
[ $# -eq 1 ] && compgen -G "$1/kill9_*.deb" >/dev/null || die "usage: package_test.sh FOLDER"
[ "$(id -u)" -eq 0 ] || die "a root of its own needs root: sudo ./dev package-test"
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root" "$root.log"' EXIT
make_root "$1" "$root"
say "installing the packages, and what the examples need"
in_root pivot_root "$root" sh -euc 'apt-get update -qq
  apt-get install -y -qq --no-install-recommends /tmp/*.deb' \
  >"$root.log" 2>&1 || { tail -20 "$root.log" >&2; die "apt-get could not install the packages"; }
in_root pivot_root "$root" apt-get install -y -qq --no-install-recommends man-db g++ cmake \
  ninja-build pkg-config python3-dev python3-setuptools ruby-dev make unicorn puma php-cli nodejs \
  perl rustc default-jdk-headless \
  >>"$root.log" 2>&1 ||
  { tail -20 "$root.log" >&2; die "apt-get could not install what the examples need"; }
in_root pivot_root "$root" bash /tmp/package_test.sh --installed
expect 0 pass in_root chroot "$root" kill9 --plugin=/tmp/libmy_queue_c.so torture --kills=50
say "all as expected"
