#!/usr/bin/env bash
# Makes what a program that is the command (KILL9_MAIN, docs/plugin.md) is linked with.
#
#   link_library.sh COMMAND FOLDER LINK_LINE...
#
# FOLDER/libkill9-command.a has one object: all of the command, and what it takes from other
# archives, of which only kill9_main has a name that others see, so that it meets no Abseil that the
# program has itself. It has no debugging information: the program's own object has its own.
# FOLDER/libkill9.a is a linker script that names the archive, and the shared libraries that
# COMMAND, the built program, needs, as their packages install them: no -dev packages are needed.
# LINK_LINE is the line that would link such a program here. CMake, which alone knows all archives
# and their order, calls this in its place (RULE_LAUNCH_LINK).
set -euo pipefail

command=$1 folder=$2; shift 2
archives=()
while [ $# -gt 0 ]; do
  case $1 in
    -o) shift ;;
    *.a) archives+=("$1") ;;
  esac
  shift
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ld -r --force-group-allocation --strip-debug -u kill9_main -o "$work/all.o" \
  --start-group "${archives[@]}" --end-group
objcopy --keep-global-symbol=kill9_main "$work/all.o" "$work/kill9.o"
rm -f "$folder/libkill9-command.a"
ar rcs "$folder/libkill9-command.a" "$work/kill9.o"
# What every program in C++ has is none of them.
libraries=$(readelf -d "$command" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' |
  grep -Ev '^(libc|libm|libstdc\+\+|libgcc_s|ld-linux.*)\.so' | paste -sd' ')
echo "INPUT(libkill9-command.a AS_NEEDED($libraries))" >"$folder/libkill9.a"
