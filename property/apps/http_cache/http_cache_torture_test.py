"""Clients of kill9-http-cache while its workers and its master are killed.

    http_cache_torture_test.py PROGRAM [REQUESTS [DESIGN...]]      # 3,000 of each of two designs

Every whole answer must be sound (one version of its own path, to the last byte) and young enough:
the origin vouched for this version less than its max-age before the request was sent, and after a
POST that was answered nobody gets what was there before it. Only connections may break.
"""
import os
import random
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from http_cache_fixture import (MAX_AGE_S, Broken, Cache, Client, Origin, body_of, kill,
                                version_of)

PROGRAM = ""
REQUESTS = 3000
DESIGNS = ("seqlock_ring", "cas_slots")
THREADS = 8
REQUESTS_PER_KILL = 60
KILLS_PER_MASTER = 10
CLOCK_SLACK_S = 0.05  # the cache's clock is another one than ours
SIZES = {"/small%d" % n: 500 for n in range(4)}
SIZES.update({"/page%d" % n: 20_000 for n in range(3)})
SIZES.update({"/image": 300_000, "/pieces": 1_500_000})


class Oracle:
    """What the origin said, and whether an answer may follow from it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.newest = {}   # path -> version
        self.vouched = {}  # (path, version) -> when the origin last said that it is current
        self.floor = {}    # path -> [(when, version)]: from then on only later versions

    def make(self, path):
        with self.lock:
            version = self.newest[path] = self.newest.get(path, 0) + 1
            self.vouched[path, version] = time.monotonic()
            return version

    def vouch(self, path, version):
        with self.lock:
            if self.newest.get(path) != version:
                return False
            self.vouched[path, version] = time.monotonic()
            return True

    def outdate(self, path):
        with self.lock:
            version = self.newest[path] = self.newest.get(path, 0) + 1
            return version

    def outdated(self, path, version):
        """Called once the client has the answer to its POST, which the origin got as `version`."""
        with self.lock:
            self.floor.setdefault(path, []).append((time.monotonic(), version))

    def fault_of(self, path, sent, version):
        with self.lock:
            vouched = self.vouched.get((path, version))
            floor = max((v for when, v in self.floor.get(path, ()) if when < sent), default=0)
        if vouched is None:
            return "%s v%d was never sent" % (path, version)
        if vouched < sent - MAX_AGE_S - CLOCK_SLACK_S:
            return "%s v%d is %.3f s too old" % (path, version, sent - MAX_AGE_S - vouched)
        if version < floor:
            return "%s v%d came back after v%d" % (path, version, floor)
        return None


class Torture:
    def __init__(self, design, folder):
        self.oracle = Oracle()
        self.origin = Origin(self.answer)
        self.cache = Cache(PROGRAM, self.origin, "--memory=24m", "--design=" + design,
                           "--file=" + os.path.join(folder, "cache"),
                           "--file=" + os.path.join(folder, "cache2"), "--lease-ms=2000")
        self.lock = threading.Lock()
        self.faults = []
        self.done = self.whole = self.hits = self.broken = self.kills = self.master_kills = 0

    def goes_on(self):
        return self.done < REQUESTS and self.broken < 30 * REQUESTS and not self.faults

    def answer(self, request):
        path = request["path"]
        if request["method"] == "POST":
            return 200, [("Version", str(self.oracle.outdate(path)))], b""
        fields = [("Cache-Control", "max-age=%d" % MAX_AGE_S)]
        tag = request["fields"].get("if-none-match", "").strip('"')
        if tag.isdigit() and self.oracle.vouch(path, int(tag)):
            return 304, fields + [("ETag", '"%s"' % tag)], b""
        version = self.oracle.make(path)
        return 200, fields + [("ETag", '"%d"' % version)], body_of(path, version, SIZES[path])

    def one(self, client, chance):
        path = chance.choice(list(SIZES))
        sent = time.monotonic()
        if chance.random() < 0.04:
            got = client.get(path, method="POST", body=b"x")
            if got["status"] == 200:
                self.oracle.outdated(path, int(got["fields"]["version"]))
            return "posted"
        # The origin knows no ranges: a part comes from what is stored, or all of it comes.
        ranged = chance.random() < 0.1
        got = client.get(path, [("Range", "bytes=0-31")] if ranged else [])
        if got["status"] == 502:
            return "refused"  # it waited for a fetch that failed
        bytes_due = 32 if got["status"] == 206 else len(body_of(path, 1, SIZES[path]))
        if got["status"] not in ((200, 206) if ranged else (200,)) or len(got["body"]) != bytes_due:
            raise ValueError("%d, %d bytes" % (got["status"], len(got["body"])))
        fault = self.oracle.fault_of(path, sent,
                                     version_of(path, got["body"], SIZES[path]))
        if fault:
            raise ValueError(fault)
        return "hit" if "hit" in got["how"] else "whole"

    def run(self, seed):
        chance = random.Random(seed)
        client = None
        while self.goes_on():
            outcome = "broken"
            try:
                client = client or Client(self.cache.port)
                outcome = self.one(client, chance)
            except Broken:
                if client is None:
                    time.sleep(0.01)  # refused: the next master has not begun
                client = None
            except ValueError as error:
                with self.lock:
                    self.faults.append(str(error))
            with self.lock:
                self.done += outcome != "broken"
                self.broken += outcome == "broken"
                self.whole += outcome in ("hit", "whole")
                self.hits += outcome == "hit"

    def killer(self):
        chance = random.Random(1)
        next_kill = REQUESTS_PER_KILL
        while self.goes_on():
            time.sleep(0.001)
            if self.done < next_kill:
                continue
            next_kill += REQUESTS_PER_KILL
            workers = self.cache.workers()
            if not workers:
                continue
            self.kills += 1
            if self.kills % KILLS_PER_MASTER == 0:
                self.master_kills += 1
                self.cache.kill_all()
                self.cache.start()
            else:
                kill(chance.choice(workers))


class TortureTest(unittest.TestCase):
    def test_whole_answers_are_sound_and_young_whoever_dies(self):
        for design in DESIGNS:
            with self.subTest(design), tempfile.TemporaryDirectory() as folder:
                torture = Torture(design, folder)
                threads = [threading.Thread(target=torture.run, args=(n,)) for n in range(THREADS)]
                threads.append(threading.Thread(target=torture.killer))
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                torture.cache.stop()
                torture.origin.socket.close()
                print("%s: %d answers, %d whole bodies, %d hits, %d connections broken, %d kills, "
                      "%d of them of the master" % (
                          design, torture.done, torture.whole, torture.hits, torture.broken,
                          torture.kills, torture.master_kills))
                self.assertEqual(torture.faults, [])
                # The premises.
                self.assertGreaterEqual(torture.done, REQUESTS)
                self.assertGreater(torture.kills, REQUESTS // REQUESTS_PER_KILL // 2)
                self.assertGreater(torture.master_kills, 0)
                self.assertGreater(torture.hits, REQUESTS // 10)
                self.assertGreater(torture.broken, 0)

    def test_a_new_worker_is_given_clients_of_another(self):
        origin = Origin(lambda _: (200, [("Cache-Control", "max-age=600")], body_of("/a", 1, 500)))
        cache = Cache(PROGRAM, origin, "--workers=2", "--memory=16m")
        self.addCleanup(cache.stop)
        clients = []
        while len(clients) < 4:  # of one worker: who comes is the other's, or dies with it
            clients = [Client(cache.port) for _ in range(16)]
            for client in clients:
                client.get("/a")
            kill(cache.workers()[0])
            for client in list(clients):
                try:
                    client.get("/a")
                except Broken:
                    clients.remove(client)
        for _ in range(300):
            for client in clients:
                self.assertEqual(version_of("/a", client.get("/a")["body"]), 1)
            if min(w["clients"] for w in cache.statistics()["workers"]) >= len(clients) // 2:
                break
            time.sleep(0.01)
        else:
            self.fail("the new worker has too few of the %d clients" % len(clients))
        origin.socket.close()

    def test_the_oracle_sees_what_is_wrong(self):
        oracle = Oracle()
        sound = oracle.make("/a")
        body = body_of("/a", sound, 500)
        self.assertEqual(version_of("/a", body), sound)
        for bad in (body[:64] + body_of("/a", 2, 500)[64:], body_of("/b", sound, 500),
                    body[:-1] + b"x", b""):
            with self.assertRaises(ValueError):
                version_of("/a", bad)
        now = time.monotonic()
        self.assertIsNone(oracle.fault_of("/a", now, sound))
        self.assertIn("too old", oracle.fault_of("/a", now + 2, sound))
        self.assertIn("never", oracle.fault_of("/a", now, 7))
        posted = oracle.outdate("/a")
        oracle.outdated("/a", posted)
        self.assertIn("came back", oracle.fault_of("/a", time.monotonic() + 0.01, sound))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    if len(sys.argv) > 1:
        REQUESTS = int(sys.argv.pop(1))
    if len(sys.argv) > 1:
        DESIGNS = tuple(sys.argv[1:])
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
