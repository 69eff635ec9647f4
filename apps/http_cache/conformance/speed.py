"""Hits a second by wrk, of each cache in turn within a round; medians over the rounds, as ratios.

    speed.py ORIGIN_PORT     the caches listen on the three ports after it
"""
import re
import statistics
import subprocess
import sys
import urllib.request

CACHES = ("nginx", "varnish", "kill9-http-cache")
SIZES = (1_000, 12_000, 1_000_000)
ROUNDS = 5
SECONDS = 2
CONNECTIONS = 64


def rate(url):
    told = subprocess.run(["wrk", "-t2", "-c%d" % CONNECTIONS, "-d%ds" % SECONDS, url], check=True,
                          capture_output=True, text=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    return float(re.search(r"Requests/sec: +([0-9.]+)", told).group(1))


port = int(sys.argv[1])
print("\n| body | %s | ours to nginx | ours to varnish |" % " | ".join(CACHES))
print("|---|" + "---|" * (len(CACHES) + 2))
for size in SIZES:
    urls = ["http://127.0.0.1:%d/%d" % (port + 1 + n, size) for n in range(len(CACHES))]
    for url in urls:
        urllib.request.urlopen(url).read()
    rounds = [[rate(url) for url in urls] for _ in range(ROUNDS)]
    medians = [statistics.median(each) for each in zip(*rounds)]
    ratios = [statistics.median(each[2] / each[n] for each in rounds) for n in (0, 1)]
    print("| %d bytes | %s | %.2f | %.2f |" % (size, " | ".join("%.0f" % m for m in medians),
                                              *ratios))
