#!/bin/sh
# Plants each bug of this folder's planted/ into a copy of its source, and runs the test that kills
# one of three owners: it must fail. Of the build in build/release, in which buffers_tests is built.
#
#     property/buffers/planted.sh [NAME...]
#
# Says of each bug whether it was found. Ends with 1 if one was not.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD build=$PWD/build/release
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
link=$(ninja -C "$build" -t commands buffers_tests | grep -- '-o buffers_tests' | tail -1)
missed=0
for patch in property/buffers/planted/*.patch; do
  name=$(basename "$patch" .patch)
  case " $* " in '  ' | *" $name "*) ;; *) continue ;; esac
  source=$(sed -n 's|^+++ b/||p' "$patch" | head -1)
  mkdir -p "$folder/$(dirname "$source")"
  cp "$source" "$folder/$source"
  patch --silent -p1 -d "$folder" -i "$root/$patch"
  "${CXX:-c++}" -std=c++20 -O2 -D_GNU_SOURCE -I"$root" -c "$folder/$source" -o "$folder/bug.o"
  # What an object of the program has is not taken from the archive.
  (cd "$build" && eval "$(echo "$link" |
    sed "s|-o buffers_tests|$folder/bug.o -o $folder/buffer_step_test|")")
  if timeout 600 "$folder/buffer_step_test" --gtest_filter='*slot_ring*' > "$folder/log" 2>&1; then
    echo "$name: NOT FOUND"
    missed=1
  else
    echo "$name: found: $(grep -m1 -A1 Failure "$folder/log" | tail -1)"
  fi
done
exit $missed
