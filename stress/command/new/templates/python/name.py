#!/usr/bin/env python3
# A map for kill9: a file for each key, and a lock that the kernel takes from a dead holder.
# With the argument "faulty" a file is written where it is: who dies then leaves it cut short.
import fcntl, json, os, sys

faulty = sys.argv[1:] == ["faulty"]
for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    if call["f"] == "init":
        state = call["state"]
        lock = os.open(state + "/lock", os.O_RDWR | os.O_CREAT)
    else:
        path = state + "/" + call["key"]
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = os.path.exists(path)
        if call["f"] == "put":
            written = path if faulty else path + ".new"
            with open(written, "w") as file:
                file.write(call["value"])
            os.replace(written, path)  # in one step: the old value, or the new one
        elif call["f"] == "get":
            answer["value"] = open(path).read() if there else None
        elif call["f"] == "erase":
            answer["value"] = there
            if there:
                os.remove(path)
        fcntl.flock(lock, fcntl.LOCK_UN)
    print(json.dumps(answer), flush=True)
