#!/usr/bin/env python3
# A worker of kill9: a condition, a number of wake-ups in a mapped file. Who waits looks for itself,
# again and again. With "chosen" it has a fault: a signal chooses who wakes up, and who is killed
# before it does so swallows the wake-up, which the others go on sleeping for.
#     kill9 try --worker='python3 flock_condition.py' --model=condition
import fcntl, json, mmap, os, sys, time

asleep = 1 if "chosen" in sys.argv else 0
for line in sys.stdin:
    call = json.loads(line)
    if call["f"] == "init":
        me = 1 + call["participant"]
        file = os.open(call["state"] + "/condition", os.O_RDWR | os.O_CREAT)
        os.truncate(file, 4096)
        numbers = memoryview(mmap.mmap(file, 4096)).cast("q")  # wake-ups, and who sleeps
        numbers[me] = 0
    fcntl.flock(file, fcntl.LOCK_EX)
    if call["f"] == "wait":
        while numbers[0] == 0 or numbers[me] != 0:
            numbers[me] = asleep if numbers[0] == 0 else numbers[me]
            fcntl.flock(file, fcntl.LOCK_UN)
            time.sleep(0.001)
            fcntl.flock(file, fcntl.LOCK_EX)
        numbers[0] -= 1
    elif "value" in call:
        numbers[0] += call["value"]
        for one in [n for n in range(1, 512) if numbers[n] != 0][: call["value"]]:
            numbers[one] = 0
    answer = {"id": call["id"], "type": "ok", "value": numbers[0]}
    fcntl.flock(file, fcntl.LOCK_UN)
    print(json.dumps(answer), flush=True)
