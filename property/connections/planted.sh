#!/bin/sh
# Plants each bug of property/connections/planted/ into a copy of its source, and runs the test that
# its patch names: it must fail, or hang. Of the build in build/release, in which connections_tests
# is built.
#
#     property/connections/planted.sh [NAME...]
#
# Says of each bug whether it was found. Ends with 1 if one was not.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD build=$PWD/build/release
most_seconds=60 # a test that hangs is found, too
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
missed=0
for patch in property/connections/planted/*.patch; do
  name=$(basename "$patch" .patch)
  case " $* " in '  ' | *" $name "*) ;; *) continue ;; esac
  source=$(sed -n 's|^+++ b/||p' "$patch" | head -1)
  test=$(sed -n 's|^test: \([^ ]*\) .*|\1|p' "$patch")
  filter=$(sed -n 's|^test: [^ ]* ||p' "$patch")
  program=$(basename "$(readlink "$build/$test")")
  mkdir -p "$folder/$(dirname "$source")"
  cp "$source" "$folder/$source"
  patch --silent -p1 -d "$folder" -i "$root/$patch"
  "${CXX:-c++}" -std=c++20 -O2 -D_GNU_SOURCE -I"$root" -c "$folder/$source" -o "$folder/bug.o"
  # What an object of the program has is not taken from the archive.
  link=$(ninja -C "$build" -t commands "$program" | grep -- "-o $program " | tail -1)
  (cd "$build" && eval "$(echo "$link" | sed "s|-o $program|$folder/bug.o -o $folder/$test|")")
  if timeout "$most_seconds" "$folder/$test" --gtest_filter="$filter" > "$folder/log" 2>&1; then
    echo "$name: NOT FOUND"
    missed=1
  else
    echo "$name: found: $(grep -m1 -A1 Failure "$folder/log" | tail -1 | grep . || echo it hangs)"
  fi
done
exit $missed
