#!/usr/bin/env python3
"""A plugin beside a design that is built in: how many kills, and instructions judged, a second of
CPU time in the sweep, and how many kills a second in torture. In turn, so that what else runs here
slows both.

    python3 stress/benchmarks/plugin_rates.py build/release/kill9 [ROUNDS]
"""
import json, os, subprocess, sys, tempfile

SOURCE = os.path.abspath(os.path.dirname(__file__) + "/../..")
CELLS = ["--operation=put_insert,put_same,get,erase", "--state=one_entry", "--workers=1"]
DEATHS = ["--scenario=steady", "--kills=300", "--seconds=600", "--shape=usual"]


def run(command, folder):
    """The result's runs, and the CPU time of all of its processes."""
    result = folder + "/result.json"
    process = subprocess.Popen(command + ["--quiet", "--json=" + result], cwd=folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(" ".join(command) + " does not pass")
    return json.load(open(result))["runs"], used.ru_utime + used.ru_stime


def main():
    kill9 = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    with tempfile.TemporaryDirectory() as folder:
        plugin = folder + "/libcells_map.so"
        subprocess.run(["c++", "-std=c++20", "-O1", "-g", "-shared", "-fPIC", "-I",
                        SOURCE + "/include", "-o", plugin,
                        SOURCE + "/apps/examples/plugin/cells_map.cc"], check=True)
        objects = {"built in": ["--variant=global_mutex"], "plugin": ["--plugin=" + plugin]}
        sums = {name: [0, 0, 0, 0, 0] for name in objects}
        for _ in range(rounds):
            for name, which in objects.items():
                swept, cpu = run([kill9, "sweep"] + which + CELLS, folder)
                tortured, _ = run([kill9, "torture"] + which + DEATHS, folder)
                for n, more in enumerate([sum(one["kills"]["total"] for one in swept),
                                          sum(one["instructions"] for one in swept), cpu,
                                          tortured[0]["kills"]["total"], tortured[0]["seconds"]]):
                    sums[name][n] += more
        rates = {}
        for name, (kills, instructions, cpu, deaths, seconds) in sums.items():
            rates[name] = kills / cpu, instructions / cpu, deaths / seconds
            print("%-9s sweep: %4.0f kills, %5.0f instructions a second of CPU time; "
                  "torture: %4.0f kills a second" % ((name,) + rates[name]))
        print("plugin / built in: %.2f, %.2f; %.2f"
              % tuple(mine / theirs for mine, theirs in zip(rates["plugin"], rates["built in"])))


main()
