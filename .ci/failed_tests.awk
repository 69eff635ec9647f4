# Why tests failed, from what ctest leaves behind: the last thing that `./dev test` prints, for
# where only the end of an output is kept.
#
#   awk -f failed_tests.awk LastTestsFailed.log LastTest.log
#
# Of each failed test: its name, and from its output the failures of GoogleTest, or the steps of the
# gate that are neither passed nor skipped, with what stands below them; where there is neither, the
# end. All tests together have about 60 lines; one has at most 40, and at least 8.

FNR == NR { add_test(substr($0, index($0, ":") + 1)); next }  # NUMBER:NAME

# A section of the log: its name, its output after "Output:" and a rule.
!inside && /^[0-9]+\/[0-9]+ Test: / { test = substr($0, index($0, " Test: ") + 7) }
!inside && /^Output:$/ { inside = 1; getline; lines = 0; next }
inside && /^<end of output>$/ { inside = 0; if (test in why) why[test] = explain(); next }
inside { line[++lines] = $0 }

END {
  for (n = 1; n <= tests; ++n) {
    text = why[names[n]]
    if (text == "") text = "  (no output: perhaps it could not be started)\n"
    print "\n" names[n] ":\n" text
  }
  printf "%d failed:", tests
  for (n = 1; n <= tests; ++n) printf " %s", names[n]
  print ""
}

function add_test(name) {
  if (name in why) return
  names[++tests] = name
  why[name] = ""
  if (name == "gate_was_decided") add_test("gate")  # which step is undecided, the gate says
}

# The kept items of line[]: from[i] to to[i], the important part from start[i].
function open_item(at) { from[++items] = start[items] = at; to[items] = 0 }
function close_item(at) { if (items && !to[items]) to[items] = at }
function drop_item() { if (items && !to[items]) --items }

function find_items(   at, now) {
  items = 0
  for (at = 1; at <= lines; ++at) {
    now = line[at]
    if (now ~ /^\[ RUN      \] /) { close_item(at - 1); open_item(at) }
    else if (now ~ /^\[  FAILED  \] .* ms\)$/) close_item(at)
    else if (now ~ /^\[(       OK |  SKIPPED |-+|=+|  PASSED  |  FAILED  )\] /) {
      if (items && line[from[items]] ~ /^\[ RUN/) drop_item()
      else close_item(at - 1)
    }
    else if (now ~ /:[0-9]+: Failure$/) {
      if (!items || to[items]) open_item(at)  # outside of a test
      else if (start[items] == from[items]) start[items] = at
    }
    else if (now ~ /^ *[0-9]+\.[0-9] s  [a-z]/) {
      close_item(at - 1)
      if (now !~ /  (pass|skipped) *$/) open_item(at)
    }
    else if (items && line[from[items]] ~ /^ *[0-9]+\.[0-9] s  / && now !~ /^    /) {
      close_item(at - 1)
    }
  }
  # A test that did not end has crashed: its last lines matter.
  if (items && !to[items] && line[from[items]] ~ /^\[ RUN/) start[items] = lines
  close_item(lines)
}

function explain(   room, shown, text, i) {
  room = int(60 / tests)
  room = room > 40 ? 40 : room < 8 ? 8 : room
  find_items()
  if (!items) return excerpt(1, lines, lines, room)
  shown = items * 6 <= room ? items : int((room + 5) / 6)
  for (i = 1; i <= shown; ++i) text = text excerpt(from[i], start[i], to[i], int(room / shown))
  return text (shown < items ? "  (" items - shown " more)\n" : "")
}

# At most `most` lines of first..last: where they are more, the first, then as many as can be from
# `start` on, and the last.
function excerpt(first, start, last, most,   all, text, at, left_out) {
  all = last - first < most
  if (start > last - most + 3) start = last - most + 3
  for (at = first; at <= last; ++at) {
    if (!all && at != first && at != last && (at < start || at >= start + most - 3)) {
      ++left_out
      continue
    }
    if (left_out) text = text "  (" left_out " lines left out)\n"
    left_out = 0
    text = text "  " shorten(line[at]) "\n"
  }
  return text
}

function shorten(text) {
  if (length(text) <= 400) return text
  return substr(text, 1, 250) " ... " substr(text, length(text) - 140)
}
