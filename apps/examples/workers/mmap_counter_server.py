#!/usr/bin/env python3
# A fork server of kill9 (docs/bring_your_own.md): a counter in anonymous shared memory. The kernel
# gives a lock on a file back when its holder dies, and the element of a memoryview is written in
# one step. (struct.pack_into would not do: it fills its bytes with zeros first.)
#     kill9 torture --fork-server='python3 mmap_counter_server.py' --model=counter
import fcntl, json, mmap, os, signal, socket

memory = mmap.mmap(-1, 4096)
view = memoryview(memory).cast("q")
path = os.environ["KILL9_STATE"] + "/lock"


def serve(stream):
    lock = os.open(path, os.O_RDWR | os.O_CREAT)
    for line in stream:
        call = json.loads(line)
        answer = {"id": call["id"], "type": "ok"}
        fcntl.flock(lock, fcntl.LOCK_EX)
        if call["f"] == "read":
            answer["value"] = view[0]
        elif call["f"] == "add":
            view[0] += call["value"]
        fcntl.flock(lock, fcntl.LOCK_UN)
        stream.write(json.dumps(answer) + "\n")
        stream.flush()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(fileno=3)
for connection, _ in iter(listener.accept, None):
    if os.fork() == 0:
        serve(connection.makefile("rw"))
        os._exit(0)
    connection.close()
