#!/usr/bin/env python3
# A worker of kill9: a semaphore of two permits, each a lock of the kernel's on a file, which a
# death gives back.
#     kill9 try --worker='python3 flock_semaphore.py' --model=semaphore
import fcntl, itertools, json, os, sys, time

held = None
for line in sys.stdin:
    call = json.loads(line)
    if call["f"] == "init":
        path = call["state"] + "/permit"
        permits = [os.open(path + n, os.O_RDWR | os.O_CREAT) for n in "01"]
    elif call["f"] == "acquire":
        for held in itertools.cycle(permits):  # whichever is free first
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.001)
    elif call["f"] == "release":
        fcntl.flock(held, fcntl.LOCK_UN)
    print(json.dumps({"id": call["id"], "type": "ok"}), flush=True)
