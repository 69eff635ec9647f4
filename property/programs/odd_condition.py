#!/usr/bin/env python3
# A worker for tests: a condition in a mapped file, as flock_condition.py of the examples; it
# answers a broadcast long after the sleepers took its wake-ups.
import fcntl, json, mmap, os, sys, time

for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    if call["f"] == "init":
        file = os.open(call["state"] + "/condition", os.O_RDWR | os.O_CREAT)
        os.truncate(file, 4096)
        wake_ups = memoryview(mmap.mmap(file, 4096)).cast("q")
        answer.update(audit=True, functions=["wait", "broadcast", "read"])
    elif call["f"] != "audit":
        fcntl.flock(file, fcntl.LOCK_EX)
        while call["f"] == "wait" and wake_ups[0] == 0:
            fcntl.flock(file, fcntl.LOCK_UN)
            time.sleep(0.0005)
            fcntl.flock(file, fcntl.LOCK_EX)
        wake_ups[0] += -1 if call["f"] == "wait" else call.get("value", 0)
        answer["value"] = wake_ups[0]
        fcntl.flock(file, fcntl.LOCK_UN)
        if call["f"] == "broadcast":
            time.sleep(0.02)
    print(json.dumps(answer), flush=True)
