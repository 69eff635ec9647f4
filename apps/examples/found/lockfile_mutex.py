#!/usr/bin/env python3
# A worker of kill9 (docs/found.md): the locks of python3-lockfile: the file (or the directory,
# argument "mkdir") that says who holds one stays when its holder dies.
#     kill9 torture --worker='python3 lockfile_mutex.py' --model=mutex
import json, sys
from lockfile.linklockfile import LinkLockFile
from lockfile.mkdirlockfile import MkdirLockFile

locks = {}
for line in sys.stdin:
    call = json.loads(line)
    f, key = call["f"], call.get("key")
    if f == "init":
        state = call["state"]
        kind = MkdirLockFile if sys.argv[1:] == ["mkdir"] else LinkLockFile
    elif f == "acquire":
        locks[key] = kind(f"{state}/{key}", threaded=False)
        locks[key].acquire()
    elif f == "release":
        locks[key].release()
    print(json.dumps({"id": call["id"], "type": "ok"}), flush=True)
