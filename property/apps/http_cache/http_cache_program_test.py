"""kill9-http-cache from outside: what it answers, what its origin sees, what deaths leave.

    http_cache_program_test.py PROGRAM [TEST...]
"""
import fcntl
import os
import resource
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from http_cache_fixture import (Broken, Cache, Client, Origin, alive, body_of, free_port, kill,
                                version_of)

PROGRAM = ""
CROWD = 1000


class ProgramTest(unittest.TestCase):
    options = ()
    environment = {}

    def setUp(self):
        self.answers = {}
        self.versions = {}
        self.origin = Origin(self.answer)
        self.cache = Cache(PROGRAM, self.origin, "--memory=64m", *self.options,
                           environment=self.environment)

    def tearDown(self):
        self.cache.stop()
        self.origin.socket.close()

    def answer(self, request):
        path = request["path"]
        if path in self.answers:
            return self.answers[path](request)
        version = self.versions[path] = self.versions.get(path, 0) + 1
        return 200, [("Cache-Control", "max-age=600"), ("ETag", '"%d"' % version)], body_of(
            path, version, 1000)

    def get(self, path, fields=(), method="GET", body=b""):
        return Client(self.cache.port).get(path, fields, method, body)


class AnswersTest(ProgramTest):
    def test_second_request_is_a_hit(self):
        first, second = self.get("/a"), self.get("/a")
        self.assertIn("fwd=uri-miss", first["how"])
        self.assertIn("hit", second["how"])
        self.assertEqual(first["body"], second["body"])
        self.assertIn("age", second["fields"])
        self.assertEqual(self.origin.count("/a"), 1)
        self.assertEqual(self.get("/a", method="HEAD")["fields"]["content-length"],
                         str(len(first["body"])))

    def test_conditions_and_ranges_are_answered_from_what_is_stored(self):
        whole = self.get("/a")["body"]
        self.assertEqual(self.get("/a", [("If-None-Match", '"1"')])["status"], 304)
        self.assertEqual(self.get("/a", [("If-None-Match", '"2"')])["status"], 200)
        part = self.get("/a", [("Range", "bytes=10-19")])
        self.assertEqual((part["status"], part["body"]), (206, whole[10:20]))
        self.assertEqual(self.get("/a", [("Range", "bytes=99999-")])["status"], 416)
        self.assertEqual(self.origin.count("/a"), 1)

    def test_long_bodies_come_in_pieces_and_their_ranges_too(self):
        long = body_of("/long", 1, 5_000_000)
        self.answers["/long"] = lambda _: (200, [("Cache-Control", "max-age=600")], long)
        self.assertEqual(self.get("/long")["body"], long)
        hit = self.get("/long")
        self.assertIn("hit", hit["how"])
        self.assertEqual(hit["body"], long)
        part = self.get("/long", [("Range", "bytes=1048000-2200000")])
        self.assertEqual(part["body"], long[1048000:2200001])
        self.assertEqual(self.origin.count("/long"), 1)

    def test_longer_than_the_limit_is_passed_on_and_not_stored(self):
        long = body_of("/huge", 1, 10_000_000)
        self.answers["/huge"] = lambda _: (200, [("Cache-Control", "max-age=600")], long)
        for _ in range(2):
            self.assertEqual(self.get("/huge")["body"], long)
        self.assertEqual(self.origin.count("/huge"), 2)

    def test_chunks_of_the_origin_are_stored_whole(self):
        self.answers["/c"] = lambda _: (200, [("Cache-Control", "max-age=600"),
                                              ("Transfer-Encoding", "chunked")],
                                        b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n")
        self.assertEqual(self.get("/c")["body"], b"abcdefg")
        hit = self.get("/c")
        self.assertEqual((hit["body"], hit["fields"]["content-length"]), (b"abcdefg", "7"))

    def test_a_body_that_the_origin_breaks_off_is_never_stored(self):
        self.answers["/cut"] = lambda _: (
            200, [("Cache-Control", "max-age=600"), ("Transfer-Encoding", "chunked")],
            b"3\r\nabc\r\nzz\r\n")
        for _ in range(2):
            with self.assertRaises(Broken):
                self.get("/cut")
        self.assertEqual(self.origin.count("/cut"), 2)

    def test_vary_selects_and_a_post_invalidates(self):
        def by_language(request):
            language = request["fields"].get("accept-language", "none")
            return 200, [("Cache-Control", "max-age=600"), ("Vary", "Accept-Language")], (
                language.encode() + b"!")
        self.answers["/v"] = by_language
        for _ in range(2):
            self.assertEqual(self.get("/v", [("Accept-Language", "de")])["body"], b"de!")
            self.assertEqual(self.get("/v", [("Accept-Language", "fr")])["body"], b"fr!")
        self.assertEqual(self.origin.count("/v"), 2)
        self.answers["/post"] = lambda _: (201, [("Location", "/v")], b"")
        self.assertEqual(self.get("/post", method="POST", body=b"x" * 100_000)["status"], 201)
        self.assertEqual(self.origin.requests[-1]["body"], b"x" * 100_000)
        self.get("/v", [("Accept-Language", "de")])
        self.assertEqual(self.origin.count("/v"), 3)

    def test_what_was_asked_for_before_a_purge_is_not_stored_after_it(self):
        asked, purged = threading.Event(), threading.Event()

        def slow(_):
            asked.set()
            purged.wait()
            return 200, [("Cache-Control", "max-age=600")], b"old"
        self.answers["/p"] = slow
        client = Client(self.cache.port)
        client.ask("/p")
        asked.wait()
        self.assertEqual(self.get("/p", method="PURGE")["status"], 404)
        purged.set()
        self.assertEqual(client.receive()["body"], b"old")
        self.answers["/p"] = lambda _: (200, [("Cache-Control", "max-age=600")], b"new")
        self.assertEqual(self.get("/p")["body"], b"new")
        self.assertEqual(self.get("/p", method="PURGE")["status"], 200)
        self.assertEqual(self.get("/p", [("Cache-Control", "only-if-cached")])["status"], 504)

    def test_stale_is_used_while_revalidating_and_when_the_origin_fails(self):
        self.answers["/w"] = lambda _: (
            200, [("Cache-Control", "max-age=0, stale-while-revalidate=60")], b"1")
        self.answers["/e"] = lambda _: (
            200, [("Cache-Control", "max-age=0, stale-if-error=60")], b"1")
        self.get("/w")
        self.get("/e")
        self.answers["/w"] = lambda _: (200, [("Cache-Control", "max-age=60")], b"2")
        self.answers["/e"] = lambda _: (503, [], b"out of order")
        self.assertEqual(self.get("/w")["body"], b"1")
        for _ in range(1000):  # the new one comes by itself
            if self.get("/w")["body"] == b"2":
                break
        self.assertEqual(self.get("/w")["body"], b"2")
        self.assertEqual(self.origin.count("/w"), 2)
        self.assertEqual(self.get("/e")["body"], b"1")
        self.assertEqual(self.origin.count("/e"), 2)

    def test_fields_of_one_connection_go_no_further(self):
        self.answers["/h"] = lambda _: (200, [("Connection", "X-Mine"), ("X-Mine", "1"),
                                              ("Keep-Alive", "timeout=5"), ("X-Yours", "2")], b"")
        got = self.get("/h", [("Connection", "X-Hop"), ("X-Hop", "1"), ("TE", "trailers")])
        seen = self.origin.requests[-1]["fields"]
        self.assertFalse({"x-hop", "te", "connection"} & set(seen))
        self.assertIn("kill9", seen["via"])
        self.assertEqual(seen["x-forwarded-for"], "127.0.0.1")
        self.assertFalse({"x-mine", "keep-alive"} & set(got["fields"]))
        self.assertEqual(got["fields"]["x-yours"], "2")

    def test_statistics_are_a_page_and_a_file(self):
        self.get("/a")
        page = self.get("/.kill9")
        self.assertIn(b"<table>", page["body"])
        self.assertGreaterEqual(self.cache.statistics()["total"]["stored"], 1)


class GarbageTest(ProgramTest):
    HOST = b"Host: cache.test\r\n"
    REFUSED = {
        "two lengths": b"POST /x HTTP/1.1\r\n%sContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "a list of lengths": b"POST /x HTTP/1.1\r\n%sContent-Length: 3, 3\r\n\r\nabc",
        "length and coding": b"POST /x HTTP/1.1\r\n%sContent-Length: 3\r\n"
                             b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "coding and length": b"POST /x HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n"
                             b"Content-Length: 3\r\n\r\n0\r\n\r\n",
        "signed length": b"POST /x HTTP/1.1\r\n%sContent-Length: +3\r\n\r\nabc",
        "unknown coding": b"POST /x HTTP/1.1\r\n%sTransfer-Encoding: chunked, gzip\r\n\r\n"
                          b"0\r\n\r\n",
        "two codings": b"POST /x HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "coding in 1.0": b"POST /x HTTP/1.0\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "continued line": b"GET /x HTTP/1.1\r\n%sX: a\r\n b\r\n\r\n",
        "continued first line": b"GET /x HTTP/1.1\r\n Host: a\r\n%s\r\n",
        "space before colon": b"GET /x HTTP/1.1\r\n%sContent-Length : 3\r\n\r\n",
        "line feed alone": b"GET /x HTTP/1.1\n%sX: a\r\n\r\n",
        "no host": b"GET /x HTTP/1.1\r\nX: %d\r\n\r\n".replace(b"%d", b"1"),
        "two hosts": b"GET /x HTTP/1.1\r\n%sHost: other\r\n\r\n",
        "zero byte": b"GET /x HTTP/1.1\r\n%sX: a\0b\r\n\r\n",
        "other version": b"GET /x HTTP/2.0\r\n%s\r\n",
        "no target": b"GET  HTTP/1.1\r\n%s\r\n",
        "fragment": b"GET /x#y HTTP/1.1\r\n%s\r\n",
        "binary": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and more of a handshake",
        "long line": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n%s\r\n",
        "many fields": b"GET /x HTTP/1.1\r\n%s" + b"X: 1\r\n" * 1000 + b"\r\n",
        "connect": b"CONNECT cache.test:80 HTTP/1.1\r\n%s\r\n",
    }

    def test_what_two_could_read_differently_is_refused_and_nobody_sees_it(self):
        for what, raw in self.REFUSED.items():
            with self.subTest(what):
                client = Client(self.cache.port)
                try:
                    client.send(raw.replace(b"%s", self.HOST))
                    status = client.receive()["status"]
                    self.assertIn(status, range(400, 600))
                    self.assertEqual(client.stream.read(), b"", "the connection goes on")
                except Broken:
                    pass  # closed is an answer, too
        self.assertEqual(self.origin.requests, [])
        self.assertEqual(self.get("/after")["status"], 200)

    def test_bad_chunks_end_the_connection(self):
        for chunk in (b"g\r\n", b"-1\r\n", b"3\r\nabcd\r\n", b"ffffffffffffffffff\r\n",
                      b"3\nabc\n", b'0;a="\n"\r\n\r\n'):
            client = Client(self.cache.port)
            try:
                client.send(b"POST /x HTTP/1.1\r\n" + self.HOST +
                            b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"GET /smuggled "
                            b"HTTP/1.1\r\n" + self.HOST + b"\r\n")
                self.assertIn(client.receive()["status"], range(400, 600))
            except Broken:
                pass
        self.assertEqual(self.origin.count("/smuggled"), 0)

    def test_pipelined_requests_are_answered_in_their_order(self):
        client = Client(self.cache.port)
        client.send(b"".join(
            b"GET /%d HTTP/1.1\r\n%s\r\n" % (n % 7, self.HOST) for n in range(200)))
        for number in range(200):
            path = "/%d" % (number % 7)
            self.assertEqual(version_of(path, client.receive()["body"]), 1)

    def test_a_response_that_cannot_be_believed_is_an_error(self):
        self.answers["/bad"] = lambda _: (200, [("Content-Length", "3"), ("Content-Length", "4"),
                                                ("Transfer-Encoding", "chunked")], b"")
        self.assertEqual(self.get("/bad")["status"], 502)


class FilesTest(ProgramTest):
    FILES = 3

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.files = [os.path.join(self.folder.name, "cache%d" % n) for n in range(self.FILES)]
        self.options = ["--file=" + file for file in self.files]
        super().setUp()

    def tearDown(self):
        super().tearDown()
        self.folder.cleanup()


class DeathsTest(FilesTest):
    def crowd(self, path, until):
        """Clients that ask at once for what the origin holds back until `until` is true."""
        self.gate = threading.Event()

        def held(_):
            self.gate.wait()
            return 200, [("Cache-Control", "max-age=600")], body_of(path, 1, 1000)
        self.answers[path] = held
        clients = [Client(self.cache.port) for _ in range(CROWD)]
        for client in clients:
            client.ask(path)
        while not until():
            time.sleep(0.01)
        return clients

    def whole_answers(self, path, clients):
        whole = 0
        for client in clients:
            try:
                self.assertEqual(version_of(path, client.receive()["body"]), 1)
                whole += 1
            except Broken:
                pass
        return whole

    def waiting(self):
        return self.cache.statistics()["total"]["collapsed"]

    def crowd_in_both_workers(self):
        """The crowd's path and clients, some of them in each worker, and the worker that fetches.
        Which worker a client comes to is the kernel's choice: where the machine is busy it may be
        the same one for all."""
        for attempt in range(20):
            path, before = "/crowd/%d" % attempt, self.waiting()
            fetched = {w["pid"]: w["origin_requests"] for w in self.cache.statistics()["workers"]}
            clients = self.crowd(path, lambda: self.waiting() - before == CROWD - 1 and
                                 self.origin.count(path) > 0)
            self.assertEqual(self.origin.count(path), 1)
            workers = self.cache.statistics()["workers"]
            if len(workers) == 2 and all(w["connections"] > 1 for w in workers):
                # One that was not there yet had fetched nothing.
                fetching = [w for w in workers if w["origin_requests"] > fetched.get(w["pid"], 0)]
                self.assertEqual(len(fetching), 1)
                return path, clients, fetching[0]
            self.gate.set()
            self.assertEqual(self.whole_answers(path, clients), CROWD)
            for client in clients:
                client.close()
        self.fail("the premise: both workers have clients that wait")

    def test_a_thousand_misses_make_one_request(self):
        path, clients, _ = self.crowd_in_both_workers()
        self.gate.set()
        self.assertEqual(self.whole_answers(path, clients), CROWD)
        self.assertEqual(self.origin.count(path), 1)

    def test_when_the_worker_that_fetches_is_killed_one_other_fetches(self):
        path, clients, fetching = self.crowd_in_both_workers()
        lost = fetching["connections"]
        kill(fetching["pid"])
        while self.origin.count(path) < 2:
            time.sleep(0.01)
        self.gate.set()
        self.assertGreaterEqual(self.whole_answers(path, clients), CROWD - lost)
        self.assertEqual(self.origin.count(path), 2)

    def test_a_killed_worker_is_replaced_and_the_cache_is_warm(self):
        self.get("/a")
        for pid in self.cache.workers():
            kill(pid)
        while True:
            try:
                got = self.get("/a")
                break
            except Broken:
                pass
        self.assertIn("hit", got["how"])
        self.assertEqual(self.origin.count("/a"), 1)


    def test_a_hangup_replaces_the_workers_and_nobody_notices(self):
        self.get("/a")
        old = self.cache.workers()
        self.assertEqual(len(old), 2)
        self.cache.process.send_signal(signal.SIGHUP)
        while set(old) & set(self.cache.workers()) or len(self.cache.workers()) < 2:
            self.assertIn("hit", self.get("/a")["how"])
        self.assertIn("hit", self.get("/a")["how"])
        self.assertEqual(self.cache.stop(), 0)


class SlowTest(ProgramTest):
    # Longer than anybody may be kept from a CPU who is not slow.
    options = ("--client-timeout-ms=4000",)

    def test_who_keeps_the_cache_waiting_is_not_waited_for(self):
        long = body_of("/long", 1, 7_000_000)
        self.answers["/long"] = lambda _: (200, [("Cache-Control", "max-age=600")], long)
        self.assertEqual(self.get("/long")["body"], long)
        half, silent = Client(self.cache.port), Client(self.cache.port)
        half.send(b"GET / HTTP/1.1\r\nHost: a")
        silent.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.ask("/long")
        self.assertEqual(half.receive()["status"], 408)
        # It reads nothing, so the cache can only give up; the others are served meanwhile.
        while self.cache.statistics()["total"]["cut_off"] == 0:
            self.assertIn("hit", self.get("/long")["how"])
        silent.close()


class LateTest(ProgramTest):
    """A write for which there is no room returns when the client has read all."""
    def setUp(self):
        library = os.environ.get("KILL9_LATE_SENDMSG")
        if not library:
            self.skipTest("KILL9_LATE_SENDMSG does not name the library that makes writes late")
        self.environment = {"LD_PRELOAD": library}
        super().setUp()

    def test_a_long_body_goes_on_when_the_client_was_faster(self):
        long = body_of("/long", 1, 7_000_000)
        self.answers["/long"] = lambda _: (200, [("Cache-Control", "max-age=600")], long)
        for _ in range(5):
            client = Client(self.cache.port)
            client.socket.settimeout(100)  # against a hang
            for _ in range(3):
                self.assertEqual(client.get("/long")["body"], long)
            client.close()
        self.assertEqual(self.origin.count("/long"), 1)


class FileTest(FilesTest):
    FILES = 1

    def has_writer(self):
        """Whether somebody has the lock of who writes the file to the disk (disk_writer.cc)."""
        try:
            file = open(self.files[0], "r+b")
        except FileNotFoundError:  # no worker has made it yet
            return False
        with file:
            asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 2 ** 62 - 1, 1, 0)
            told = fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked)
            return struct.unpack("hhqqi4x", told)[0] != fcntl.F_UNLCK

    def test_one_worker_writes_the_file_and_another_when_that_one_dies(self):
        self.assertFalse(self.has_writer())
        self.cache.stop()
        self.cache.command.append("--disk-seconds=0.1")
        self.cache.start()
        for _ in range(3):
            while not self.has_writer():
                time.sleep(0.01)
            workers = self.cache.workers()
            for pid in workers:
                kill(pid)
            for pid in workers:
                while alive(pid):
                    time.sleep(0.01)

    def test_the_cache_is_warm_after_the_death_of_everybody(self):
        body = self.get("/a")["body"]
        self.cache.kill_all()
        self.cache.start()
        got = self.get("/a")
        self.assertIn("hit", got["how"])
        self.assertEqual(got["body"], body)
        self.assertEqual(self.origin.count("/a"), 1)


class DamageTest(FilesTest):
    URLS = 60

    def hits(self):
        return sum("hit" in self.get("/%d" % n)["how"] for n in range(self.URLS))

    def test_a_damaged_file_costs_its_share(self):
        long = body_of("/long", 1, 2_500_000)
        self.answers["/long"] = lambda _: (200, [("Cache-Control", "max-age=600")], long)
        self.assertEqual(self.hits(), 0)
        self.assertEqual(self.get("/long")["body"], long)
        self.cache.kill_all()
        self.cache.start()
        self.assertEqual(self.hits(), self.URLS)
        for number, file in enumerate(self.files):
            self.cache.kill_all()
            with open(file, "r+b") as damaged:
                damaged.truncate(5000)
            self.cache.start()
            hits = self.hits()
            self.assertGreater(hits, 0, "file %d costs all" % number)
            self.assertLess(hits, self.URLS, "file %d had no share: nothing is shown" % number)
            self.assertTrue(os.path.exists(file + ".damaged"))
            self.assertEqual(self.get("/long")["body"], long)
            self.assertEqual(self.hits(), self.URLS)
        # Of the long one no file had only a part.
        self.assertEqual(self.origin.count("/long"), 2)


class HttpsTest(unittest.TestCase):
    def test_a_client_gets_long_bodies_over_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = os.path.join(folder, "key"), os.path.join(folder, "certificate")
            try:
                subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                                "-keyout", key, "-out", certificate, "-subj",
                                "/CN=cache.test", "-days", "2"],
                               check=True, capture_output=True)
            except FileNotFoundError:
                self.skipTest("there is no openssl command to make a certificate with")
            long = body_of("/long", 1, 3_000_000)
            origin = Origin(lambda _: (200, [("Cache-Control", "max-age=600")], long))
            port = free_port()
            cache = Cache(PROGRAM, origin, "--listen-https=%d" % port, "--cert=" + certificate,
                          "--key=" + key)
            context = ssl.create_default_context(cafile=certificate)
            for _ in range(2):
                client = Client(port, lambda raw: context.wrap_socket(
                    raw, server_hostname="cache.test"))
                self.assertEqual(client.get("/long")["body"], long)
                self.assertEqual(client.get("/long")["body"], long)
            self.assertEqual(origin.count("/long"), 1)
            self.assertEqual(origin.requests[0]["fields"]["x-forwarded-proto"], "https")
            self.assertEqual(cache.stop(), 0)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    unittest.main(verbosity=2, warnings="ignore")
