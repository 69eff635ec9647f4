#!/usr/bin/env python3
# A worker for tests: a condition in a mapped file, as flock_condition.py of the examples; it
# answers a broadcast long after the sleepers took its wake-ups. With the argument "later" a wait of
# the first ones answers "info", and takes the last wake-up as soon as somebody was told of it.
import fcntl, json, mmap, os, sys, threading, time

odd = sys.argv[1] if len(sys.argv) > 1 else ""
THERE, TOLD = 0, 1


# Changes how many there are, once that is allowed.
def add(number, is_allowed, nap):
    own = os.open(path, os.O_RDWR)  # a lock of its own, for each thread
    while True:
        fcntl.flock(own, fcntl.LOCK_EX)
        if is_allowed():
            break
        fcntl.flock(own, fcntl.LOCK_UN)
        time.sleep(nap)
    words[THERE] += number
    words[TOLD] = words[THERE] if number == 0 else 0
    there = words[THERE]
    os.close(own)
    return there


def any_is_there():
    return words[THERE] > 0


def last_was_told():
    return words[THERE] == words[TOLD] == 1


for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    if call["f"] == "init":
        path = call["state"] + "/condition"
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.truncate(file, 4096)
        words = memoryview(mmap.mmap(file, 4096)).cast("q")
        doubts = odd == "later" and call["process"] < 3
        answer.update(audit=True, functions=["wait", "broadcast", "read"])
    elif call["f"] == "wait" and doubts:
        threading.Thread(target=add, args=[-1, last_was_told, 0.0005], daemon=True).start()
        doubts = False
        answer["type"] = "info"
    elif call["f"] == "wait":
        add(-1, any_is_there, 0.02 if odd == "later" else 0.0005)
    elif call["f"] != "audit":
        answer["value"] = add(call.get("value", 0), lambda: True, 0)
        if call["f"] == "broadcast" and odd != "later":
            time.sleep(0.02)
    print(json.dumps(answer), flush=True)
