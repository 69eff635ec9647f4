#!/usr/bin/env python3
# A worker for tests: a lock of the kernel's that is refused while another one has it. By its
# argument it fails to give it back now and then ("refuses"), or always ("never"); or the first ones
# do not know whether they have it ("info").
import fcntl, json, os, sys, time

odd = sys.argv[1] if len(sys.argv) > 1 else ""
calls = 0

for line in sys.stdin:
    call = json.loads(line)
    calls += 1
    answer = {"id": call["id"], "type": "ok"}
    if call["f"] == "init":
        file = os.open(call["state"] + "/lock", os.O_RDWR | os.O_CREAT)
        unknown, doubts = False, odd == "info" and call["process"] < 3
        print(json.dumps(answer), flush=True)
        continue
    if unknown:
        fcntl.flock(file, fcntl.LOCK_UN)
        unknown = False
    if call["f"] == "release":
        if odd == "never" or odd == "refuses" and calls % 3 == 0:
            answer["type"] = "fail"
        else:
            fcntl.flock(file, fcntl.LOCK_UN)
    else:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.002)  # others are refused, and it may be killed
            unknown, doubts = doubts, False
            answer["type"] = "info" if unknown else "ok"
        except BlockingIOError:
            answer["type"] = "fail"
    print(json.dumps(answer), flush=True)
