#!/usr/bin/env python3
"""The mutation score of the testbed (docs/mutants.md): one small mechanical change of variants/ at
a time, through the tiers, at a budget. `./dev mutants` builds what this needs, and runs it.

A mutant costs the compilation of the objects that include the changed file, and some links: they
come before the libraries, so that the libraries' versions stay out. The tree is not touched.
"""
import argparse
import concurrent.futures
import ctypes
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

STORES = ("global_mutex", "striped_locks", "cas_slots", "seqlock_ring")
CHANNELS = ("mutex_vector", "slot_ring")
# Which designs a file of variants/ is part of; the first that fits.
DESIGNS_OF = (
    ("variants/stores/global_mutex/", ("global_mutex",)),
    ("variants/stores/striped_locks/", ("striped_locks",)),
    ("variants/stores/locked/", ("global_mutex", "striped_locks")),
    ("variants/stores/cas_slots/", ("cas_slots",)),
    ("variants/stores/seqlock_ring/", ("seqlock_ring",)),
    ("variants/channels/mutex_vector/", ("mutex_vector",)),
    ("variants/channels/slot_ring/", ("slot_ring",)),
    ("variants/channels/shared/", CHANNELS),
    ("variants/segment/", STORES + CHANNELS),
)
TESTS_OF_STORES = ("conformance_operations_test", "conformance_death_test")
TESTS_OF_CHANNELS = ("channel_operations_test", "channel_death_test")
# What is peculiar to a part is tested beside it: these are asked before sweep and torture.
OWN_TESTS = (
    ("variants/stores/global_mutex/", ("locked_test", "conformance_shapes_test")),
    ("variants/stores/striped_locks/", ("locked_test", "conformance_shapes_test")),
    ("variants/stores/locked/", ("locked_test", "conformance_account_test")),
    ("variants/stores/cas_slots/", ("cas_slots_test", "conformance_account_test")),
    ("variants/stores/seqlock_ring/", ("seqlock_ring_test", "seqlock_ring_words_test",
                                        "seqlock_ring_audit_test")),
    ("variants/channels/mutex_vector/", ("mutex_vector_test", "channel_object_test")),
    ("variants/channels/slot_ring/", ("slot_ring_test", "channel_object_test")),
    ("variants/channels/shared/", ("slot_ring_test", "mutex_vector_test")),
    ("variants/segment/", ("segment_test", "participants_test", "segment_options_test",
                          "segment_unlink_test")),
)
MOST_OBJECTS = 20  # of one mutant: a header that everything includes would be a build of everything


# The changes. Each finds places in a line of code, without its comments and literals, and says what
# stands there instead.
def swapped(pattern, other):
    def find(code):
        for match in re.finditer(pattern, code):
            yield match.start(), match.end(), other[match.group().strip()]
    return find


def off_by_one(code):
    for match in re.finditer(r"(?<![\w.'])\d+(?=u?\b(?![.'\w]))", code):
        yield match.start(), match.end(), str(int(match.group()) + 1)


CONDITION = re.compile(r"\s*(?:\} else )?if \((?!constexpr)(.*)\)(?: \[\[\w+\]\])?"
                       r"(?: \{| (?:return|continue|break).*;)?$")


def negated(code):
    match = CONDITION.match(code)
    condition = match.group(1) if match else ";"
    if condition.count("(") == condition.count(")") and ";" not in condition:
        yield match.start(1), match.end(1), f"!({match.group(1)})"


STATEMENT = re.compile(r"\s*(?:[\w:.>\[\]()*-]+(?:\.|->))?[\w:.>\[\]*-]+"
                       r"(?: [-+|&]?= .+|\(.*\)|\+\+|--);$")
NO_STATEMENT = re.compile(r"\s*(return|break|continue|using|delete|goto|case|default|throw|co_|"
                          r"static_assert|typedef|friend|virtual|const |constexpr|auto|uint|int|"
                          r"bool|char|size_t|absl::|std::\w+<|struct|class|explicit|inline)")


def deleted(code):
    balanced = code.count("(") == code.count(")")
    if balanced and STATEMENT.match(code) and not NO_STATEMENT.match(code):
        start = len(code) - len(code.lstrip())
        yield start, len(code), "" if "(" not in code else "(void)0;"


KINDS = {
    "comparison": swapped(r" (?:==|!=|<=|>=|<|>) ", {
        "==": " != ", "!=": " == ", "<=": " < ", ">=": " > ", "<": " <= ", ">": " >= "}),
    "arithmetic": swapped(r" [-+] ", {"+": " - ", "-": " + "}),
    "logic": swapped(r" (?:&&|\|\|) ", {"&&": " || ", "||": " && "}),
    "constant": off_by_one,
    "branch": negated,
    "statement": deleted,
    "order": swapped(r"memory_order_(?:seq_cst|acq_rel|acquire|release)",
                     {f"memory_order_{order}": "memory_order_relaxed"
                      for order in ("seq_cst", "acq_rel", "acquire", "release")}),
}


def code_lines(text):
    """(number, line, the same with comments and literals blanked), of lines that run."""
    blank = lambda match: " " * len(match.group())
    inside_assert = inside_template = False
    for number, line in enumerate(text.split("\n"), 1):
        code = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', blank, line)
        code = re.sub(r"//.*", "", code).rstrip()
        if "static_assert" in code:
            inside_assert = True
        skip = (inside_assert or not code.strip() or code.lstrip().startswith(("#", "template"))
                or "operator" in code)
        if inside_assert and code.endswith(";"):
            inside_assert = False
        if not skip:
            yield number, line, code


def mutants_of(path, text):
    for number, line, code in code_lines(text):
        for kind, find in KINDS.items():
            # A template's brackets are no comparison, and a declaration's pointer no product.
            for start, end, new in find(code):
                changed = line[:start] + new + (line[end:] if kind != "statement" else "")
                if changed != line:
                    yield {"id": f"{path}:{number}:{start + 1}:{kind}", "kind": kind, "file": path,
                           "line": number, "was": line.strip(), "is": changed.strip(),
                           "text": changed}


def sources():
    for path in sorted(pathlib.Path("variants").rglob("*")):
        name = str(path)
        of_tests = re.search(r"_(test|benchmark)\.cc$|shared_oracle", name)
        if path.suffix not in (".cc", ".h") or of_tests:
            continue
        designs = next((designs for start, designs in DESIGNS_OF if name.startswith(start)), None)
        if designs is not None:
            yield name, designs


def all_mutants():
    for name, designs in sources():
        for mutant in mutants_of(name, pathlib.Path(name).read_text()):
            mutant["designs"] = designs
            yield mutant


def place_of(identity, seed):
    """Where a mutant stands in the drawn order: of its name alone, so that shards agree."""
    return hashlib.sha256(f"{seed} {identity}".encode()).hexdigest()


def chosen(arguments):
    """A sample over all designs: in turns, one of each group of files."""
    groups = {}
    for mutant in all_mutants():
        if re.search(arguments.only, mutant["id"]):
            group = next(start for start, _ in DESIGNS_OF if mutant["file"].startswith(start))
            groups.setdefault(group, []).append(mutant)
    for mutants in groups.values():
        mutants.sort(key=lambda mutant: place_of(mutant["id"], arguments.seed))
    turns = []
    while any(groups.values()):
        turns += [mutants.pop(0) for mutants in groups.values() if mutants]
    share, of = (int(number) for number in arguments.shard.split("/"))
    if not 1 <= share <= of:
        sys.exit("mutants: --shard=I/N is one of 1/N to N/N")
    return turns[:arguments.sample or None][share - 1::of]


class Builder:
    """How ninja would compile and link, for one changed file."""

    def __init__(self, build):
        self.folder = build
        self.compile = {}
        commands = self.ninja("commands", "kill9").splitlines()
        for command in commands:
            match = re.search(r" -c (\S+)$", command)
            if match:
                source = os.path.relpath(self.folder / match.group(1))
                if source.startswith("variants/"):
                    self.compile[source] = command
        self.includes = {}
        deps = self.ninja("deps")
        source = None
        for line in deps.splitlines():
            if not line.startswith(" "):
                source = None
            else:
                path = os.path.relpath(self.folder / line.strip())
                source = source or path  # the first is the source itself
                self.includes.setdefault(path, set()).add(source)

    def ninja(self, *tool):
        return subprocess.run(["ninja", "-C", self.folder, "-t", *tool], capture_output=True,
                              text=True, check=True).stdout

    def sources_of(self, path):
        if path.endswith(".cc"):
            return [path]
        return sorted(self.includes.get(path, set()) & self.compile.keys())

    def link(self, target):
        return self.ninja("commands", target).splitlines()[-1]

    def build(self, mutant, folder, targets):
        """None, or why it cannot be built."""
        changed = folder / "tree" / mutant["file"]
        changed.parent.mkdir(parents=True)
        lines = pathlib.Path(mutant["file"]).read_text().split("\n")
        if mutant["line"]:
            lines[mutant["line"] - 1] = mutant["text"]
        changed.write_text("\n".join(lines))
        objects = []
        for source in self.sources_of(mutant["file"]):
            command = self.compile[source]
            from_changed = folder / "tree" / source if source == mutant["file"] else source
            output = folder / (source.replace("/", "_") + ".o")
            command = re.sub(r" -M[DTF]+ \S+| -MD", "", command)
            command = re.sub(r" -o \S+ -c \S+$", "", command).replace("-Werror", "-Wno-error")
            command += f" -w -g0 -O1 -o {output.absolute()} -c {os.path.abspath(from_changed)}"
            # Before every other place to look for a header.
            words = shlex.split(command)
            compiler = next(word for word in words if re.search(r"(\+\+|cc)(-\d+)?$", word))
            words.insert(words.index(compiler) + 1, f"-I{(folder / 'tree').absolute()}")
            if subprocess.run(words, cwd=self.folder, capture_output=True).returncode != 0:
                return "it does not compile"
            objects.append(str(output.absolute()))
        for target in targets:
            command = self.link(target)
            output = (folder / target).absolute()
            command = command.replace(f" -o {target} ", f" {' '.join(objects)} -o {output} ", 1)
            linked = subprocess.run(command, cwd=self.folder, shell=True, capture_output=True)
            if linked.returncode != 0:
                return f"{target} does not link"
        return None


def tiers(mutant, arguments):
    """(name, target, its arguments) in the order in which they are asked."""
    names = ",".join(mutant["designs"])
    stores = any(design in STORES for design in mutant["designs"])
    channels = any(design in CHANNELS for design in mutant["designs"])
    result = []
    only = ":".join(f"*/{design}" for design in mutant["designs"])
    if stores:
        for test in TESTS_OF_STORES:
            result.append((test, test, [f"--gtest_filter={only}"]))
    if channels:
        for test in TESTS_OF_CHANNELS:
            result.append((test, test, [f"--gtest_filter={only}"]))
    own = next(tests for start, tests in OWN_TESTS if mutant["file"].startswith(start))
    result += [(test, test, [f"--gtest_filter={only}"] if "conformance" in test else [])
               for test in own]
    shared = [f"--variant={names}", f"--seed={arguments.seed}"]
    result.append(("sweep", "kill9", ["sweep", *shared, "--failures=1",
                                      f"--cells={arguments.cells}"]))
    result.append(("torture", "kill9", ["torture", *shared, "--fail-fast",
                                        f"--seconds={arguments.seconds}"]))
    return result


def die_with_parent():
    """A mutant may run for ever; nobody ends it if this program is killed."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ask(program, words, limit):
    """("passed" | "killed" | "undecided" | "timed out", the last lines that it said)."""
    process = subprocess.Popen([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True,
                               preexec_fn=die_with_parent)
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "timed out", ""
    code = process.returncode
    if code == 0:
        return "passed", ""
    return ("undecided" if code == 3 else "killed"), said[-400:]


def run(mutant, builder, folder, arguments):
    outcome = {key: mutant[key] for key in ("id", "kind", "file", "line", "was", "is")}
    outcome["designs"] = list(mutant["designs"])
    start = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asked = tiers(mutant, arguments)
    objects = builder.sources_of(mutant["file"])
    if not objects or len(objects) > MOST_OBJECTS:
        outcome["outcome"] = "not_built"
        outcome["why"] = f"{len(objects)} objects include it"
    elif (why := builder.build(mutant, folder, dict.fromkeys(target for _, target, _ in asked))):
        outcome["outcome"] = "not_built"
        outcome["why"] = why
    else:
        outcome["outcome"] = "survived"
        for name, target, words in asked:
            answer, said = ask(folder / target, words, arguments.limit)
            if answer == "passed":
                continue
            if answer == "undecided":
                outcome.setdefault("undecided", []).append(name)
                continue
            outcome["outcome"] = "killed" if answer == "killed" else "timed_out"
            outcome["by"] = name
            outcome["said"] = said
            break
    outcome["seconds"] = round(time.monotonic() - start, 1)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def summary(outcomes, arguments):
    def score(some):
        killed = sum(one["outcome"] in ("killed", "timed_out") for one in some)
        survived = sum(one["outcome"] == "survived" for one in some)
        return {"killed": killed, "timed_out": sum(one["outcome"] == "timed_out" for one in some),
                "survived": survived,
                "not_built": sum(one["outcome"] == "not_built" for one in some),
                "score": round(killed / (killed + survived), 3) if killed + survived else None}
    of_design = lambda one, value: value in one["designs"]
    by_design = {design: score([one for one in outcomes if of_design(one, design)])
                 for design in STORES + CHANNELS}
    by_kind = {kind: score([one for one in outcomes if one["kind"] == kind]) for kind in KINDS}
    tiers_that_killed = {}
    for one in outcomes:
        if "by" in one:
            tiers_that_killed[one["by"]] = tiers_that_killed.get(one["by"], 0) + 1
    keep = ("id", "was", "is", "designs", "undecided")
    return {"kind": "mutants", "seed": arguments.seed, "shard": arguments.shard, **score(outcomes),
            "designs": by_design, "kinds": by_kind, "killed_by": tiers_that_killed,
            "survivors": [{key: one[key] for key in keep if key in one}
                          for one in outcomes if one["outcome"] == "survived"]}


def parse():
    parser = argparse.ArgumentParser(prog="./dev mutants", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0, help="so many, drawn (0: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample, and of the tiers")
    parser.add_argument("--shard", default="1/1", help="I/N: one of N disjoint parts")
    parser.add_argument("--only", default="", help="mutants whose id this regular expression finds")
    parser.add_argument("--cells", type=int, default=60, help="of the sweep, drawn")
    parser.add_argument("--seconds", type=float, default=1, help="of each scenario of torture")
    parser.add_argument("--limit", type=float, default=120, help="seconds of a tier of a mutant")
    parser.add_argument("--workers", type=int, default=1, help="mutants at a time")
    parser.add_argument("--state", default="build/mutants/outcomes.jsonl",
                        help="what is done already; a run that was cut off goes on from there")
    parser.add_argument("--build", default="build/release", help="where ninja has built everything")
    parser.add_argument("--json", default="", help="the summary")
    parser.add_argument("--targets", action="store_true", help="say what ninja must have built")
    parser.add_argument("--list", action="store_true", help="say which mutants there are")
    return parser.parse_args()


def check_controls(left, done, note, builder, folder, arguments):
    """Before any mutant is believed dead: what is not changed must pass."""
    for design in STORES + CHANNELS:
        identity = f"control:{design}"
        if identity in done or not any(design in mutant["designs"] for mutant in left):
            continue
        path = next(name for name, of in sources() if design in of and name.endswith(".cc"))
        control = {"id": identity, "kind": "none", "file": path, "line": 0, "was": "", "is": "",
                   "text": "", "designs": (design,)}
        outcome = run(control, builder, folder / "control", arguments)
        if outcome["outcome"] != "survived":
            print(json.dumps(outcome, indent=1))
            sys.exit("mutants: what nobody has changed does not pass")
        note(outcome)
        print(f"{design}: unchanged it passes, {outcome['seconds']} s", flush=True)


def main():
    arguments = parse()
    if arguments.targets:
        print("\n".join(["kill9", *sorted({*TESTS_OF_STORES, *TESTS_OF_CHANNELS, *(
            test for _, tests in OWN_TESTS for test in tests)})]))
        return 0
    wanted = chosen(arguments)
    if arguments.list:
        for mutant in wanted:
            print(f"{mutant['id']}\n    - {mutant['was']}\n    + {mutant['is']}")
        return 0
    if not wanted:
        sys.exit("mutants: there is none of these")
    state = pathlib.Path(arguments.state)
    state.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if state.exists():
        for line in state.read_text().splitlines():
            outcome = json.loads(line)
            if outcome["seed"] == arguments.seed:
                done[outcome["id"]] = outcome
    builder = Builder(pathlib.Path(arguments.build))
    folder = state.parent / f"{os.getpid()}"
    with state.open("a") as log:
        def note(outcome):
            outcome["seed"] = arguments.seed
            done[outcome["id"]] = outcome
            log.write(json.dumps(outcome) + "\n")
            log.flush()
        check_controls([mutant for mutant in wanted if mutant["id"] not in done], done, note,
                       builder, folder, arguments)
        left = [mutant for mutant in wanted if mutant["id"] not in done]
        with concurrent.futures.ThreadPoolExecutor(arguments.workers) as pool:
            jobs = [pool.submit(run, mutant, builder, folder / str(number), arguments)
                    for number, mutant in enumerate(left)]
            for job in concurrent.futures.as_completed(jobs):
                outcome = job.result()
                note(outcome)
                count = sum(mutant["id"] in done for mutant in wanted)
                print(f"[{count}/{len(wanted)}] {outcome['outcome']} {outcome.get('by', '')} "
                      f"{outcome['seconds']} s  {outcome['id']}\n    - {outcome['was']}\n"
                      f"    + {outcome['is']}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    result = summary([done[mutant["id"]] for mutant in wanted], arguments)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("killed", "timed_out", "survived", "not_built",
                                                   "score", "killed_by")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
