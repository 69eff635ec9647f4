#!/bin/sh
# The same, mended: the new content lies beside the old one until it is whole, and takes its place
# in one step.
for round in 1 2 3; do
  printf 'requests_total %s\nup 1\n# EOF\n' "$round" >metrics.tmp
  sync metrics.tmp
  mv metrics.tmp metrics
done
