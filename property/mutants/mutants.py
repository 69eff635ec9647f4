#!/usr/bin/env python3
"""The mutation score of the testbed (docs/mutants.md): one small mechanical change of variants/ at
a time, through the tiers, at a budget. `./dev mutants` builds what this needs, and runs it.

A mutant costs the compilation of the objects that include the changed file, and some links: they
come before the libraries, so that the libraries' versions stay out. The tree is not touched.
"""
import argparse
import concurrent.futures
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from builder import Builder
from changes import KINDS, code_lines
from designs import Tree, folder_of

STARTED_AT = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
EXIT_UNDECIDED = 3
QUICK_SECONDS = 0.5  # tests that take less are asked first
MOST_OBJECTS = 20  # of one mutant: a header that everything includes would be a build of everything


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


def all_mutants(tree):
    for name, designs in tree.sources():
        for mutant in mutants_of(name, pathlib.Path(name).read_text()):
            mutant["designs"] = designs
            yield mutant


def place_of(identity, seed):
    """Where a mutant stands in the drawn order: of its name alone, so that shards agree."""
    return hashlib.sha256(f"{seed} {identity}".encode()).hexdigest()


def chosen(tree, arguments):
    """A sample over all designs: in turns, one of each folder."""
    groups = {}
    for mutant in all_mutants(tree):
        if re.search(arguments.only, mutant["id"]):
            groups.setdefault(folder_of(mutant["file"]), []).append(mutant)
    for mutants in groups.values():
        mutants.sort(key=lambda mutant: place_of(mutant["id"], arguments.seed))
    turns = []
    while any(groups.values()):
        turns += [mutants.pop(0) for mutants in groups.values() if mutants]
    share, of = (int(number) for number in arguments.shard.split("/"))
    if not 1 <= share <= of:
        sys.exit("mutants: --shard=I/N is one of 1/N to N/N")
    return turns[:arguments.sample or None][share - 1::of]


def die_with_parent():
    """A mutant may run for ever; nobody ends it if this program is killed."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def begin_test():
    """Also with a /dev/shm of its own, where we are root: a test that dies leaves segments."""
    CLONE_NEWNS, MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 0x20000, 2, 4, 0x4000, 1 << 18
    die_with_parent()
    libc = ctypes.CDLL(None)
    if libc.unshare(CLONE_NEWNS) == 0:
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        libc.mount(b"kill9", b"/dev/shm", b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=1777")


class Interrupted(Exception):
    """Ends a job of the pool after Ctrl-C."""


interrupted = threading.Event()
running = set()


def interrupt():
    """Nobody asks anything else, and who is asked is ended."""
    interrupted.set()
    for process in list(running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def ask(program, words, limit):
    """("passed" | "killed" | "undecided" | "timed out", the last lines that it said)."""
    with tempfile.TemporaryDirectory(prefix="kill9-mutant-") as folder:
        process = subprocess.Popen([program, *words], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace",
                                   start_new_session=True, preexec_fn=begin_test,
                                   env={**os.environ, "TEST_TMPDIR": folder})
        running.add(process)
        if interrupted.is_set():
            interrupt()
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "timed out", ""
        finally:
            running.discard(process)
    if interrupted.is_set():
        raise Interrupted
    code = process.returncode
    if code == 0:
        return "passed", ""
    return ("undecided" if code == 3 else "killed"), said[-4000:]


def wanted_tests(judge, designs, done, arguments):
    """(the quick ones, the others), as the controls of the designs timed them: as many as fit."""
    seconds = {}
    for design in designs:
        for test, took in done[f"control:{design}"]["tests"].get(judge.name, {}).items():
            seconds[test] = max(took, seconds.get(test, 0))
    if not judge.designs:  # of a part that all designs share
        seconds = done[f"control:{judge.name}"]["tests"][judge.name]
    quick, slow, sum_of_them = [], [], 0
    for test in sorted(seconds, key=seconds.get):
        sum_of_them += seconds[test]
        if sum_of_them > arguments.test_seconds:
            break
        (quick if seconds[test] < QUICK_SECONDS else slow).append(test)
    return quick, slow


def ask_judge(program, tests, limit):
    answer, said = ask(program, ["--gtest_fail_fast", f"--gtest_filter={':'.join(tests)}"], limit)
    at = re.findall(r"^\[ +(?:FAILED|RUN) +\] (\S+)", said, re.MULTILINE)
    return answer, (f"{at[-1]}\n" if at else "") + said[-400:]


def questions(mutant, tree, builder, objects, folder, done, arguments):
    """Of a mutant, in order: (tier, what it answers). Programs are linked when they are asked."""
    for judge in tree.judges(mutant["file"], mutant["designs"]):
        parts = wanted_tests(judge, mutant["designs"], done, arguments)
        if not any(parts):
            continue
        program = folder / f"judge_of_{judge.name}"
        yield "build", lambda: builder.link(objects, program, judge.tests)
        for tests in filter(None, parts):
            yield "tests", lambda: ask_judge(program, tests, arguments.limit)
    program = folder / "kill9"
    yield "build", lambda: builder.link(objects, program)
    for tier, designs, words in (
            ("sweep", tree.swept(mutant["designs"]),
             ["--failures=1", f"--cells={arguments.cells}"]),
            ("torture", mutant["designs"], ["--fail-fast", f"--seconds={arguments.seconds}"])):
        if designs:
            line = [tier, f"--variant={','.join(designs)}", f"--seed={arguments.seed}", *words]
            yield tier, lambda: ask(program, line, arguments.limit)


def judged(mutant, tree, builder, folder, done, arguments):
    """What is to be added to the outcome."""
    objects = builder.sources_of(mutant["file"])
    if not objects or len(objects) > MOST_OBJECTS:
        return {"outcome": "not_built", "why": f"{len(objects)} objects include it"}
    objects, why = builder.build(mutant, folder)
    if why:
        return {"outcome": "not_built", "why": why}
    undecided = {}
    for tier, answer_of in questions(mutant, tree, builder, objects, folder, done, arguments):
        if tier == "build":
            if (why := answer_of()):
                return {"outcome": "not_built", "why": why}
            continue
        answer, said = answer_of()
        if answer == "undecided":
            undecided = {"undecided": [*undecided.get("undecided", ()), tier]}
        elif answer != "passed":
            return {"outcome": "killed" if answer == "killed" else "timed_out", "by": tier,
                    "said": said[-400:], **undecided}
    return {"outcome": "survived", **undecided}


def run(mutant, tree, builder, folder, done, arguments):
    outcome = {key: mutant[key] for key in ("id", "kind", "file", "line", "was", "is")}
    outcome["designs"] = list(mutant["designs"])
    start = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcome.update(judged(mutant, tree, builder, folder, done, arguments))
    outcome["seconds"] = round(time.monotonic() - start, 1)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def time_tests(judge, builder, folder, arguments):
    """{test: seconds} of what a judge can be asked, unchanged; or why it does not pass."""
    program = folder / f"judge_of_{judge.name}"
    if (why := builder.link([], program, judge.tests)):
        return None, why
    # The tests of a part are asked whole.
    suites = judge.suites() or ["*"]
    times = folder / "times.json"
    answer, said = ask(program, [f"--gtest_filter={':'.join(suites)}",
                                 f"--gtest_output=json:{times}"], None)
    if answer != "passed":
        return None, said
    seconds = {}
    for suite in json.loads(times.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            if test["result"] == "COMPLETED":  # and not skipped
                seconds[f"{suite['name']}.{test['name']}"] = float(test["time"].rstrip("s"))
    return seconds, ""


def check_control(identity, judges, names, tree, builder, folder, arguments, done):
    """That what is unchanged passes, and how long each of its tests takes."""
    start = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    control = {"id": identity, "tests": {}}
    for judge in judges:
        control["tests"][judge.name], why = time_tests(judge, builder, folder, arguments)
        if why:
            sys.exit(f"mutants: {identity}: what nobody has changed does not pass:\n{why}")
        if not control["tests"][judge.name]:
            sys.exit(f"mutants: {identity}: none of the tests of {judge.name} is of it")
    if names:
        path = next(path for path, of in tree.sources() if of == names and path.endswith(".cc"))
        nothing = {"file": path, "line": 0, "designs": names}
        tested_already = {**done, identity: {"tests": {}}}
        control.update(judged(nothing, tree, builder, folder, tested_already, arguments))
        if control["outcome"] != "survived":
            sys.exit("mutants: what nobody has changed does not pass\n"
                     f"{json.dumps(control, indent=1)}")
    control["seconds"] = round(time.monotonic() - start, 1)
    shutil.rmtree(folder, ignore_errors=True)
    return control


def host():
    processor = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(),
                          re.MULTILINE)
    return {"system": platform.system(), "kernel": platform.release(),
            "machine": platform.machine(), "processor": processor[1] if processor else "",
            "cores": os.cpu_count()}


def commit():
    told = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True,
                          text=True)
    return told.stdout.strip() or "unknown"


def summary(outcomes, tree, arguments):
    def score(some):
        killed = sum(one["outcome"] in ("killed", "timed_out") for one in some)
        survived = sum(one["outcome"] == "survived" for one in some)
        return {"killed": killed, "timed_out": sum(one["outcome"] == "timed_out" for one in some),
                "survived": survived,
                "not_built": sum(one["outcome"] == "not_built" for one in some),
                "score": round(killed / (killed + survived), 3) if killed + survived else None}
    of_design = lambda one, value: value in one["designs"]
    by_design = {design: score([one for one in outcomes if of_design(one, design)])
                 for design in tree.designs}
    by_kind = {kind: score([one for one in outcomes if one["kind"] == kind]) for kind in KINDS}
    tiers_that_killed = {}
    for one in outcomes:
        if "by" in one:
            tiers_that_killed[one["by"]] = tiers_that_killed.get(one["by"], 0) + 1
    keep = ("id", "was", "is", "designs", "undecided")
    # A result file, as the report reads them: docs/design.md.
    return {"schema": "kill9/1", "kind": "mutants", "command": shlex.join(sys.argv),
            "seed": arguments.seed, "started_at": STARTED_AT, "host": host(),
            "build": {"commit": commit()}, "shard": arguments.shard, **score(outcomes),
            "designs": by_design, "kinds": by_kind, "killed_by": tiers_that_killed,
            "runs": [{"variant": design, **of_it} for design, of_it in by_design.items()
                     if of_it["score"] is not None],
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
    parser.add_argument("--test-seconds", type=float, default=60,
                        help="of tests, the quickest first, as they took unchanged")
    parser.add_argument("--limit", type=float, default=120, help="seconds of a tier of a mutant")
    parser.add_argument("--workers", type=int, default=1, help="mutants at a time")
    parser.add_argument("--state", default="build/mutants/outcomes.jsonl",
                        help="what is done already; a run that was cut off goes on from there")
    parser.add_argument("--build", default="build/mutants",
                        help="where ninja has built everything, source by source")
    parser.add_argument("--json", default="", help="the summary")
    parser.add_argument("--targets", action="store_true", help="say what ninja must have built")
    parser.add_argument("--designs", action="store_true",
                        help="say which designs there are, of which files, judged by which tests")
    parser.add_argument("--list", action="store_true", help="say which mutants there are")
    return parser.parse_args()


def check_controls(left, done, note, tree, builder, folder, arguments):
    """Before any mutant is believed dead: what is not changed must pass."""
    controls = {}
    for mutant in left:
        for judge in tree.judges(mutant["file"], mutant["designs"]):
            for design in judge.designs:
                own = tree.judges(tree.designs[design] + "/any.cc", (design,))
                controls[design] = (own, (design,))
            if not judge.designs:
                controls[judge.name] = ([judge], ())
    for name, (judges, names) in sorted(controls.items()):
        identity = f"control:{name}"
        if identity in done:
            continue
        control = check_control(identity, judges, names, tree, builder, folder / "control",
                                arguments, done)
        note(control)
        tests = sum(len(of) for of in control["tests"].values())
        print(f"{name}: unchanged it passes, {tests} tests, {control['seconds']} s", flush=True)


def main():
    arguments = parse()
    tree = Tree()
    if arguments.designs:
        print(json.dumps(tree.described(), indent=1))
        return 0
    wanted = chosen(tree, arguments)
    if arguments.targets:
        print("\n".join(["kill9", *(pathlib.PurePath(test).stem
                                   for test in tree.tests_of(wanted))]))
        return 0
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
                       tree, builder, folder, arguments)
        left = [mutant for mutant in wanted if mutant["id"] not in done]
        with concurrent.futures.ThreadPoolExecutor(arguments.workers) as pool:
            jobs = [pool.submit(run, mutant, tree, builder, folder / str(number), done,
                                arguments)
                    for number, mutant in enumerate(left)]
            try:
                for job in concurrent.futures.as_completed(jobs):
                    outcome = job.result()
                    note(outcome)
                    count = sum(mutant["id"] in done for mutant in wanted)
                    print(f"[{count}/{len(wanted)}] {outcome['outcome']} {outcome.get('by', '')} "
                          f"{outcome['seconds']} s  {outcome['id']}\n    - {outcome['was']}\n"
                          f"    + {outcome['is']}", flush=True)
            except (KeyboardInterrupt, Interrupted):
                for job in jobs:
                    job.cancel()
                interrupt()
    shutil.rmtree(folder, ignore_errors=True)
    outcomes = [done[mutant["id"]] for mutant in wanted if mutant["id"] in done]
    result = {**summary(outcomes, tree, arguments), "interrupted": interrupted.is_set()}
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("killed", "timed_out", "survived", "not_built",
                                                   "score", "killed_by")}))
    if not interrupted.is_set():
        return 0
    print(f"interrupted: {len(outcomes)} of {len(wanted)} are done; the same command goes on from "
          "there", flush=True)
    return EXIT_UNDECIDED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # in the controls, or once more
        print("mutants: interrupted", file=sys.stderr, flush=True)
        os._exit(EXIT_UNDECIDED)
