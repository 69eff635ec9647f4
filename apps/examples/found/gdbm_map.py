#!/usr/bin/env python3
# A worker of kill9 (docs/found.md): a map in a file of GDBM, which is opened for each operation:
# GDBM lets in one writer, or readers, and says so to others, who try again.
#     kill9 torture --worker='python3 gdbm_map.py' --model=map --kill-at=syscalls
import dbm.gnu, json, sys, time


def opened(flag):
    while True:
        try:
            return dbm.gnu.open(file, flag)
        except dbm.gnu.error as error:
            if error.errno != 11:  # EAGAIN: somebody else has it
                raise
            time.sleep(0.0005)


for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    f, key = call["f"], call.get("key")
    if f == "init":
        file = call["state"] + "/map.gdbm"
        if call["first"]:
            opened("c").close()
    else:
        with opened("r" if f == "get" else "w") as database:
            value = database.get(key)
            if f == "get":
                answer["value"] = value and value.decode()
            elif f == "put":
                database[key] = call["value"]
            elif value is not None:
                del database[key]
            if f == "erase":
                answer["value"] = value is not None
    print(json.dumps(answer), flush=True)
