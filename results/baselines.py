#!/usr/bin/env python3
"""Measures what the testbed says of the baselines (variants/baselines/) and writes it down.

    results/baselines.py [--kill9=build/release/kill9] [--seconds=10] [--seed=9]
    results/baselines.py --render          only the page, from the JSON that is there

It runs torture and the sweep over every baseline, keeps their result files together in
results/reference/baselines.json, and writes results/baselines.md from that file alone.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "results" / "reference" / "baselines.json"
PAGE = ROOT / "results" / "baselines.md"
SWEPT = ["put_same", "get", "pin"]


def run(arguments):
    """A result file of kill9; whatever its exit code, it must have written one."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "result.json"
        done = subprocess.run(
            [str(word) for word in arguments] + [f"--json={path}"], capture_output=True, text=True)
        if not path.exists():
            sys.exit(f"{arguments} wrote no result:\n{done.stdout}{done.stderr}")
        return json.loads(path.read_text())


def measure(kill9, seconds, seed):
    listed = json.loads(subprocess.run(
        [kill9, "list", "--json"], check=True, capture_output=True, text=True).stdout)
    baselines = [one for one in listed["variants"] if one.get("kind") == "baseline"]
    if not baselines:
        sys.exit("kill9 list knows no baselines")
    results = []
    for one in baselines:
        name = one["name"]
        torture = run([kill9, "torture", f"--variant={name}", "--scenario=steady",
                       f"--seconds={seconds}", "--watchdog=1", f"--seed={seed}"])
        sweep = run([kill9, "sweep", f"--variant={name}", f"--operation={','.join(SWEPT)}",
                     "--state=one_entry", "--watchdog=1", f"--seed={seed}"])
        results.append({"baseline": one, "torture": torture, "sweep": sweep})
        print(f"{name}: {torture['runs'][0]['verdict']}", file=sys.stderr)
    DATA.write_text(json.dumps({"schema": "kill9/baselines/1", "results": results}, indent=1) + "\n")


def clean(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def render():
    results = json.loads(DATA.read_text())["results"]
    host = results[0]["torture"]["host"]
    lines = [
        "# What the testbed says of designs that people really ship",
        "",
        "Made by `results/baselines.py` from `results/reference/baselines.json`; the same command without "
        "`--render` measures anew.",
        "",
        f"Measured on {host['cores']} cores of {host['processor']}, which other work shared. Torture: scenario "
        "`steady`, until the first finding. Sweep: killed at every machine instruction of one operation on a "
        "table with one entry.",
        "",
        "| baseline | torture says | after kills | after operations | as expected |",
        "|---|---|---|---|---|",
    ]
    for one in results:
        run_ = one["torture"]["runs"][0]
        expected = one["baseline"]["expected_verdict"]
        lines.append(
            f"| `{one['baseline']['name']}` | {run_['verdict']} | {run_['kills']['total']} | "
            f"{run_['operations']} | {'yes' if run_['verdict'] in expected.split('|') else 'no: ' + expected} |")
    for one in results:
        run_ = one["torture"]["runs"][0]
        lines += ["", f"## {one['baseline']['name']}", "", clean(one["baseline"]["summary"]) + ".", ""]
        lines.append(f"Torture: **{run_['verdict']}** after {run_['kills']['total']} kills: "
                     f"{clean(run_.get('reason', ''))[:400]}")
        lines += ["", f"    {run_['repeat']}", "", "| sweep of | verdict | kills | first failing place | what |",
                  "|---|---|---|---|---|"]
        for cell in one["sweep"]["runs"]:
            example = cell.get("counterexample", {})
            place = example.get("place", "")
            what = example.get("message", cell.get("reason", ""))
            lines.append(f"| {cell['operation']} | {cell['verdict']} | {cell['kills']['total']} | "
                         f"{clean(place)} | {clean(what)[:240]} |")
        repeats = [cell["repeat"] for cell in one["sweep"]["runs"] if "repeat" in cell]
        if repeats:
            lines += ["", f"    {repeats[0]}"]
    PAGE.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill9", default=str(ROOT / "build" / "release" / "kill9"))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--render", action="store_true")
    arguments = parser.parse_args()
    if not arguments.render:
        measure(arguments.kill9, arguments.seconds, arguments.seed)
    render()


if __name__ == "__main__":
    main()
