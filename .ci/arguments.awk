# ./dev: what is wrong with a command line, as far as the sources tell, so that nobody waits for a
# build to hear of a mistyped option. WORDS, in the environment: the command and its arguments, each
# with \034 behind it. Prints what is wrong, if something is, and ends with 1 then.

# Options stand in the sources of who takes them as "--name".
{
  taker = FILENAME ~ /^stress\/command/ ? "kill9" : FILENAME
  if (match($0, /Add[A-Z][a-z]*Command\(/)) {
    commands[tolower(substr($0, RSTART + 3, RLENGTH - 11))]
  }
  while (match($0, /"--[a-z0-9-]+[="]/)) {
    options[taker, substr($0, RSTART + 1, RLENGTH - 2)]
    takers[taker]
    $0 = substr($0, RSTART + RLENGTH)
  }
}

function Least(a, b) { return a < b ? a : b }

# The number of letters that are changed, left out or too many.
function Distance(a, b,    i, j, last, row, changed) {
  for (j = 0; j <= length(b); ++j) last[j] = j
  for (i = 1; i <= length(a); ++i) {
    row[0] = i
    for (j = 1; j <= length(b); ++j) {
      changed = last[j - 1] + (substr(a, i, 1) != substr(b, j, 1))
      row[j] = Least(changed, Least(last[j], row[j - 1]) + 1)
    }
    for (j = 0; j <= length(b); ++j) last[j] = row[j]
  }
  return last[length(b)]
}

function Refuse(what) { print what; exit 1 }

function DidYouMean(given, known,    name, nearest, least, distance) {
  for (name in known) {
    distance = Distance(given, name)
    if (distance > Least(3, length(name) / 3) || (nearest != "" && distance >= least)) continue
    nearest = name
    least = distance
  }
  return nearest == "" ? "" : "; did you mean '" nearest "'?"
}

function CheckOptions(taker,    n, option, key, parts, known) {
  if (!(taker in takers)) return
  for (key in options) {
    split(key, parts, SUBSEP)
    if (parts[1] == taker) known[parts[2]]
  }
  for (n = 2; n < count && words[n] != "--"; ++n) {
    if (words[n] !~ /^--?[A-Za-z]/) continue
    option = words[n]
    sub(/=.*/, "", option)
    if (option in known || option ~ /^(-h|--help|--version)$/) continue
    Refuse("there is no option '" option "'" DidYouMean(option, known))
  }
}

END {
  count = split(ENVIRON["WORDS"], words, "\034")  # behind the last there is nothing
  command = words[1]
  if (command ~ /^(torture|sweep|replay|check|list|planted|gate|explore|compare)$/) {
    CheckOptions("kill9")
  } else if (command == "kill9" && count > 2) {
    for (n = 2; n < count && words[n] ~ /^-/; ++n) {
    }
    if (n < count && "torture" in commands && words[n] != "help" && !(words[n] in commands)) {
      Refuse("kill9 has no command '" words[n] "'" DidYouMean(words[n], commands))
    }
    CheckOptions("kill9")
  } else if (command == "mutants") {
    CheckOptions("property/mutants/mutants.py")
  } else if (command == "endurance") {
    CheckOptions("stress/benchmarks/endurance_benchmark.cc")
  } else if (command == "report") {
    if (count > 3 || words[2] ~ /^-/) Refuse("report takes a folder, and nothing else")
  } else if (command ~ /^(report|parallel|http-cache|memcached|package)-test$/ ||
             command ~ /^(package|format|clean)$/) {
    if (count > 2) Refuse(command " takes no arguments")
  }
}
