#!/usr/bin/env python3
# A worker of kill9 (docs/bring_your_own.md): a map in SQLite, whose transactions survive a kill.
#     kill9 torture --worker='python3 sqlite_map.py' --model=map
import json, sqlite3, sys

for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    f, key = call["f"], call.get("key")
    if f == "init":
        db = sqlite3.connect(call["state"] + "/map.db", isolation_level=None, timeout=60)
        db.execute("CREATE TABLE IF NOT EXISTS map (key TEXT PRIMARY KEY, value TEXT)")
    elif f == "put":
        db.execute("INSERT OR REPLACE INTO map VALUES (?, ?)", (key, call["value"]))
    elif f == "get":
        row = db.execute("SELECT value FROM map WHERE key = ?", (key,)).fetchone()
        answer["value"] = row[0] if row else None
    elif f == "erase":
        answer["value"] = db.execute("DELETE FROM map WHERE key = ?", (key,)).rowcount == 1
    print(json.dumps(answer), flush=True)
