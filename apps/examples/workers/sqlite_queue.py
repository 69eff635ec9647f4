#!/usr/bin/env python3
# A worker of kill9 (docs/bring_your_own.md): a queue in SQLite. An item is found and removed in one
# transaction; in two (argument "two_steps") it is given to two.
#     kill9 torture --worker='python3 sqlite_queue.py' --model=queue
#     kill9 torture --worker='python3 sqlite_queue.py two_steps' --model=queue
import json, sqlite3, sys

one_step = sys.argv[1:] != ["two_steps"]
for line in sys.stdin:
    call = json.loads(line)
    answer = {"id": call["id"], "type": "ok"}
    if call["f"] == "init":
        db = sqlite3.connect(call["state"] + "/queue.db", isolation_level=None, timeout=60)
        db.execute("CREATE TABLE IF NOT EXISTS queue (number INTEGER PRIMARY KEY, value TEXT)")
    elif call["f"] == "enqueue":
        db.execute("INSERT INTO queue (value) VALUES (?)", (call["value"],))
    elif call["f"] == "dequeue":
        if one_step:
            db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT number, value FROM queue ORDER BY number LIMIT 1").fetchone()
        if row:
            db.execute("DELETE FROM queue WHERE number = ?", (row[0],))
        if one_step:
            db.execute("COMMIT")
        answer["value"] = row[1] if row else None
    print(json.dumps(answer), flush=True)
