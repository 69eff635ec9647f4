#!/usr/bin/env python3
# A worker for tests: a condition in a mapped file, as flock_condition.py of the examples; it
# answers a broadcast long after the sleepers took its wake-ups. With the argument "later" a wait of the
# first ones answers "info", and takes its wake-up later.
import fcntl, json, mmap, os, sys, threading, time

odd = sys.argv[1] if len(sys.argv) > 1 else ""


def add(number):
    own = os.open(path, os.O_RDWR)  # a lock of its own, for each thread
    while True:
        fcntl.flock(own, fcntl.LOCK_EX)
        if wake_ups[0] + number >= 0:
            break
        fcntl.flock(own, fcntl.LOCK_UN)
        time.sleep(0.0005)
    wake_ups[0] += number
    there = wake_ups[0]
    os.close(own)
    return there


for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    if call["f"] == "init":
        path = call["state"] + "/condition"
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.truncate(file, 4096)
        wake_ups = memoryview(mmap.mmap(file, 4096)).cast("q")
        doubts = odd == "later" and call["process"] < 3
        answer.update(audit=True, functions=["wait", "broadcast", "read"])
    elif call["f"] == "wait" and doubts:
        doubts = False
        threading.Thread(target=add, args=[-1], daemon=True).start()
        answer["type"] = "info"
    elif call["f"] != "audit":
        answer["value"] = add(-1 if call["f"] == "wait" else call.get("value", 0))
        if call["f"] == "broadcast":
            time.sleep(0.02)
    print(json.dumps(answer), flush=True)
