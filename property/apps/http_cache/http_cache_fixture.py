"""An origin that the test controls, a cache in front of it, and a client that sees every byte.

What the origin answers validates itself: each body says its path and its version in every line, so
a body that is torn, of another resource or of another time shows.
"""
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time

MAX_AGE_S = 1


def body_of(path, version, size):
    """Lines, each of which says the path, the version and its own number. Of `size` bytes, cut to
    whole lines."""
    line_bytes = 32 if size <= 4096 else 4096
    return b"".join(
        (b"%s v%d #%d" % (path.encode(), version, number)).ljust(line_bytes - 1, b".") + b"\n"
        for number in range(max(1, size // line_bytes)))


def version_of(path, body, size=None):
    """The version of a sound body of this path, or of the beginning of one that has `size` bytes;
    raises ValueError for anything else."""
    first = body[:32].split(b" ")
    if first[0] != path.encode() or not first[1].startswith(b"v"):
        raise ValueError("foreign body: %r" % body[:32])
    version = int(first[1][1:])
    if not body_of(path, version, size or len(body)).startswith(body):
        raise ValueError("torn body of version %d, %d bytes" % (version, len(body)))
    return version


class Origin:
    """One thread a connection. `answer(request)` returns (status, [(name, value)], body)."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.lock = threading.Lock()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=2000)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        stream = client.makefile("rb")
        try:
            while True:
                line = stream.readline().decode("latin-1").split()
                if len(line) != 3:
                    return
                fields = {}
                for raw in iter(stream.readline, b"\r\n"):
                    if not raw:
                        return
                    name, _, value = raw.decode("latin-1").partition(":")
                    fields[name.strip().lower()] = value.strip()
                body = b""
                if "content-length" in fields:
                    body = stream.read(int(fields["content-length"]))
                elif fields.get("transfer-encoding") == "chunked":
                    while (size := int(stream.readline(), 16)) > 0:
                        body += stream.read(size)
                        stream.readline()
                    stream.readline()
                request = {"method": line[0], "path": line[1], "fields": fields, "body": body}
                with self.lock:
                    self.requests.append(request)
                status, answer, content = self.answer(request)
                head = "HTTP/1.1 %d OK\r\n" % status
                head += "".join("%s: %s\r\n" % field for field in answer)
                if not any(name.lower() == "transfer-encoding" for name, _ in answer):
                    head += "Content-Length: %d\r\n" % len(content)
                if line[0] == "HEAD" or status == 304:
                    content = b""
                client.sendall(head.encode("latin-1") + b"\r\n" + content)
        except (OSError, ValueError):
            pass
        finally:
            client.close()

    def count(self, path):
        with self.lock:
            return sum(1 for request in self.requests if request["path"] == path)


class Cache:
    """The program, on a port of its own."""

    def __init__(self, program, origin, *options, port=0, environment=None):
        self.environment = {**os.environ, **(environment or {})}
        # Another program may take a free port before this one does.
        for attempt in range(5):
            self.port = port or free_port()
            self.command = [program, "--origin=http://127.0.0.1:%d" % origin.port,
                            "--listen=%d" % self.port, "--quiet", *options]
            try:
                return self.start()
            except RuntimeError:
                if port or attempt == 4:
                    raise

    def start(self):
        self.process = subprocess.Popen(self.command, env=self.environment)
        # Until it listens, or has ended. Attempts are counted, not seconds.
        for _ in range(3000):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError("the cache ended: %s" % self.process.returncode)
                time.sleep(0.01)
        raise RuntimeError("the cache does not listen")

    def statistics(self):
        return json.loads(Client(self.port).get("/.kill9.json")["body"])

    def workers(self):
        """The master's children, as the system tells them."""
        return [int(name) for name in os.listdir("/proc")
                if name.isdigit() and stat_of(int(name))[1:2] == [str(self.process.pid)]]

    def kill_master(self):
        """Returns when the kernel has killed its workers, too: a worker that it was just about to
        start is nobody's child, and has the port a moment longer."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        while True:
            try:
                return socket.create_server(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(0.001)

    def kill_all(self):
        """The master, and with it all: returns when its workers have ended."""
        workers = self.workers()
        self.kill_master()
        for pid in workers:
            while alive(pid):
                time.sleep(0.001)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


def free_port():
    """A port that the kernel gives to nobody who connects. Who asks again and again for one of
    those while nobody listens is connected to himself one day, and has the port."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        lowest = int(file.read().split()[0])
    while True:
        port = random.randrange(min(10000, lowest - 1000), lowest)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            pass


class Broken(Exception):
    """The connection ended before the answer did."""


class Client:
    """One connection. What is not a whole answer raises Broken."""

    def __init__(self, port, wrap=None):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port))
            if wrap is not None:
                self.socket = wrap(self.socket)
        except OSError as error:
            raise Broken(str(error)) from error
        self.stream = self.socket.makefile("rb")

    def send(self, raw):
        try:
            self.socket.sendall(raw)
        except OSError as error:
            raise Broken(str(error)) from error

    def ask(self, path, method="GET", fields=(), body=b""):
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: cache.test"]
        lines += ["%s: %s" % field for field in fields]
        if body:
            lines.append("Content-Length: %d" % len(body))
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def receive(self, has_body=True):
        try:
            return self.receive_whole(has_body)
        except (OSError, IndexError) as error:
            raise Broken(str(error)) from error

    def receive_whole(self, has_body):
        status = int(self.stream.readline().split()[1])
        fields = {}
        for raw in iter(self.stream.readline, b"\r\n"):
            if not raw:
                raise Broken("within the head")
            name, _, value = raw.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        body = b""
        if not has_body or status in (204, 304):
            pass
        elif "content-length" in fields:
            body = self.stream.read(int(fields["content-length"]))
            if len(body) != int(fields["content-length"]):
                raise Broken("within the body")
        elif fields.get("transfer-encoding") == "chunked":
            while True:
                line = self.stream.readline()
                if not line:
                    raise Broken("within the chunks")
                size = int(line, 16)
                body += self.stream.read(size)
                if self.stream.readline() != b"\r\n":
                    raise Broken("within a chunk")
                if size == 0:
                    break
        else:
            body = self.stream.read()
        return {"status": status, "fields": fields, "body": body,
                "how": fields.get("cache-status", "")}

    def get(self, path, fields=(), method="GET", body=b""):
        self.ask(path, method, fields, body)
        return self.receive(method != "HEAD")

    def close(self):
        self.socket.close()


def kill(pid):
    if pid <= 1:  # these numbers mean more than one process
        raise RuntimeError("%d is no worker" % pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stat_of(pid):
    """State, parent and more of a process; nothing if there is none."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []


def alive(pid):
    return stat_of(pid)[:1] not in ([], ["Z"], ["X"])
