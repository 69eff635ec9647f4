#!/usr/bin/env python3
# A fork server of kill9 (docs/bring_your_own.md): kill9.SharedDict, of the design that the argument
# names; a map, or of seqlock_ring a cache.
#     kill9 torture --fork-server='python3 map_server.py cas_slots' --model=map
import json, os, signal, socket, sys

import kill9

shared = kill9.SharedDict(design=sys.argv[1], size=4 << 20)
functions = ["put", "get", "erase"] + (["cas"] if sys.argv[1] != "seqlock_ring" else [])


def answer(call):
    f, key, value = call["f"], call.get("key"), call.get("value")
    if f == "init":
        return {"functions": functions, "audit": True}
    shared.recover()
    if f == "audit":
        broken = shared.audit()
        return {"type": "fail", "reason": broken} if broken else {}
    if f == "get":
        view = shared.pin(key)
        return {"value": None if view is None else str(view, "utf-8")}
    if f == "put":
        shared[key] = value
    elif f == "cas":
        old, version = shared.versioned(key)
        is_expected = (None if old is None else old.decode()) == call["expected"]
        swapped = is_expected and shared.compare_and_swap(key, version, value)
        return {} if swapped else {"type": "fail"}
    elif f == "erase":
        try:
            del shared[key]
            return {"value": True}
        except KeyError:
            return {"value": False}
    return {}


def serve(stream):
    for line in stream:
        call = json.loads(line)
        stream.write(json.dumps({"id": call["id"], "type": "ok", **answer(call)}) + "\n")
        stream.flush()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        serve(connection.makefile("rw"))
        os._exit(0)
    connection.close()
