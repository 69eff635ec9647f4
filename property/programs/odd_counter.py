#!/usr/bin/env python3
# A worker for tests: a counter in a file, under a lock of the kernel's; and, by its argument, what
# programs do wrong, or seldom.
import fcntl, json, os, struct, sys, time

odd = sys.argv[1] if len(sys.argv) > 1 else ""
calls = 0


def say(answer):
    print(json.dumps(answer), flush=True)


def await_file(name):
    while not os.path.exists(state + name):
        time.sleep(0.001)


# One adds, and does not come to answer; one reads that, and is asked again: so its answer is known.
# Then one ends by itself.
def leave_behind(function):
    global told
    if number == 2:
        await_file("/told")
        sys.exit(7)
    if told:
        open(state + "/told", "w").close()
        time.sleep(600)
    if number == 1 and function == "read":
        await_file("/added")
        told = True


def mark(inside):
    if odd == "marks":
        os.pwrite(page, struct.pack("<I", inside), offset)


for line in sys.stdin:
    call = json.loads(line)
    calls += 1
    answer = {"id": call["id"], "type": "ok"}
    if call["f"] == "init":
        file = os.open(call["state"] + "/counter", os.O_RDWR | os.O_CREAT)
        page, offset = os.open(call["page"], os.O_RDWR), call["offset"]
        number, state, told = call["participant"], call["state"], False
        if odd == "stray":
            print("hello, world", flush=True)
        if odd == "silent":
            continue
        if odd == "shm":
            open("/dev/shm/" + sys.argv[2], "w").close()
        if odd in ("marks", "never_marks"):
            answer["marks"] = True
        if odd == "audit":
            answer["audit"] = True
        if odd == "functions":
            answer["functions"] = ["add", "multiply"]
    elif call["f"] == "audit":
        answer.update(type="fail", reason="the books do not balance")
    else:
        if odd == "dies" and calls > 20:
            print("out of cheese", file=sys.stderr, flush=True)
            sys.exit(7)
        if odd == "leaves_behind":
            leave_behind(call["f"])
        if odd == "wrong_type":
            answer["type"] = "okay"
        if odd != "unlocked":
            fcntl.flock(file, fcntl.LOCK_EX)
        mark(1)
        value = struct.unpack("<q", os.pread(file, 8, 0) or bytes(8))[0]
        if call["f"] == "add":
            if odd == "unlocked":
                time.sleep(0.001)
            os.pwrite(file, struct.pack("<q", value + call["value"]), 0)
            if odd == "info" and calls == 15:
                answer["type"] = "info"
        else:
            answer["value"] = "many" if odd == "no_number" else value
        if odd == "marks":
            time.sleep(0.0005)
        mark(0)
        fcntl.flock(file, fcntl.LOCK_UN)
        if odd == "leaves_behind" and number == 0 and call["f"] == "add":
            open(state + "/added", "w").close()
            time.sleep(600)
    say(answer)
