#!/usr/bin/env python3
# A worker of kill9: a lock of the kernel's on a file, which a death gives back.
#     kill9 torture --worker='python3 flock_mutex.py' --model=mutex
import fcntl, json, os, sys

for line in sys.stdin:
    call = json.loads(line)
    if call["f"] == "init":
        file = os.open(call["state"] + "/lock", os.O_RDWR | os.O_CREAT)
    elif call["f"] == "acquire":
        fcntl.flock(file, fcntl.LOCK_EX)
    elif call["f"] == "release":
        fcntl.flock(file, fcntl.LOCK_UN)
    print(json.dumps({"id": call["id"], "type": "ok"}), flush=True)
