#!/usr/bin/env python3
# A worker of kill9 with a fault: a map in a file of JSON, under a lock. The file is emptied before
# it is written again, and who is killed between the two has lost everything.
#     kill9 torture --worker='python3 file_map.py' --model=map
import fcntl, json, os, sys

for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    f, key = call["f"], call.get("key")
    if f == "init":
        file = open(os.open(call["state"] + "/map.json", os.O_RDWR | os.O_CREAT), "r+")
    else:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        table = json.loads(file.read() or "{}")
        if f == "get":
            answer["value"] = table.get(key)
        else:
            was_there = table.pop(key, None) is not None
            if f == "put":
                table[key] = call["value"]
            else:
                answer["value"] = was_there
            file.seek(0)
            file.truncate()  # the fault: a new file, renamed over this one, would be right
            file.write(json.dumps(table))
            file.flush()
        fcntl.flock(file, fcntl.LOCK_UN)
    print(json.dumps(answer), flush=True)
