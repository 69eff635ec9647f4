#!/bin/sh
# Writes a metrics file, as many services do: others read it at any moment. Killed between the
# opening, which empties the file, and the writing, it leaves an empty one:
#   kill9 run --check=./verify_metrics.sh -- ./write_metrics.sh
for round in 1 2 3; do
  printf 'requests_total %s\nup 1\n# EOF\n' "$round" >metrics
done
