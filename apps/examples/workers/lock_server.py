#!/usr/bin/env python3
# A fork server of kill9 (docs/bring_your_own.md): multiprocessing.Lock, which is shared by fork.
# Who is killed while it holds the lock leaves it held for ever: kill9 finds survivors stuck.
#     kill9 torture --fork-server='python3 lock_server.py' --model=mutex
import json, multiprocessing, os, signal, socket

lock = multiprocessing.get_context("fork").Lock()


def serve(stream):
    for line in stream:
        call = json.loads(line)
        if call["f"] == "acquire":
            lock.acquire()
        elif call["f"] == "release":
            lock.release()
        stream.write(json.dumps({"id": call["id"], "type": "ok"}) + "\n")
        stream.flush()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(fileno=3)
for connection, _ in iter(listener.accept, None):
    if os.fork() == 0:
        serve(connection.makefile("rw"))
        os._exit(0)
    connection.close()
