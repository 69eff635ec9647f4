#!/usr/bin/env python3
# A fork server of kill9 (docs/bring_your_own.md): multiprocessing.Semaphore, shared by fork.
# Who is killed while it holds a permit takes it along: after two such deaths all others are stuck.
#     kill9 torture --fork-server='python3 semaphore_server.py' --model=semaphore
import json, multiprocessing, os, signal, socket

permits = multiprocessing.get_context("fork").Semaphore(2)


def serve(stream):
    for line in stream:
        call = json.loads(line)
        if call["f"] == "acquire":
            permits.acquire()
        elif call["f"] == "release":
            permits.release()
        stream.write(json.dumps({"id": call["id"], "type": "ok"}) + "\n")
        stream.flush()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(fileno=3)
for connection, _ in iter(listener.accept, None):
    if os.fork() == 0:
        serve(connection.makefile("rw"))
        os._exit(0)
    connection.close()
