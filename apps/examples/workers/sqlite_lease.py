#!/usr/bin/env python3
# A worker of kill9: a lock that is lent for a term, in a row of SQLite. With "two_steps" the term
# is written down after the holder: who is killed between the two has it for ever.
#     kill9 try --worker='python3 sqlite_lease.py' --model=lease
import json, sqlite3, sys, time

ASK = "UPDATE lease SET holder = ?, ends = ? WHERE holder = ? OR ends <= ?"
for line in sys.stdin:
    call = json.loads(line)
    f, ok = call["f"], True
    if f == "init":
        me = call["process"]
        table = sqlite3.connect(call["state"] + "/lease.db", 60, isolation_level=None)
        table.execute("CREATE TABLE IF NOT EXISTS lease (one PRIMARY KEY, holder, ends)")
        table.execute("INSERT OR IGNORE INTO lease VALUES (1, NULL, 0)")
    elif f == "release":
        table.execute("UPDATE lease SET holder = NULL, ends = 0 WHERE holder = ?", (me,))
    else:
        now = time.monotonic_ns()
        over = -1 if f == "renew" else now  # who has lost it renews nothing
        if "two_steps" in sys.argv:
            table.execute(ASK, (me, 1 << 62, me, over))
        ok = table.execute(ASK, (me, now + call["term_ns"], me, over)).rowcount > 0
    print(json.dumps({"id": call["id"], "type": "ok" if ok else "fail"}), flush=True)
