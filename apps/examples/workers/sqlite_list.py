#!/usr/bin/env python3
# A worker of kill9: a list in a table of SQLite. With "two_steps" an item is appended as nothing,
# and filled in afterwards: who is killed between the two leaves a hole. With "all_equal" a removal
# takes every item that is equal, not the first one alone.
#     kill9 try --worker='python3 sqlite_list.py' --model=list
import json, sqlite3, sys

for line in sys.stdin:
    call = json.loads(line)
    f, answer = call["f"], {"id": call["id"], "type": "ok"}
    if f == "init":
        table = sqlite3.connect(call["state"] + "/list.db", 60, isolation_level=None)
        table.execute("CREATE TABLE IF NOT EXISTS list (place INTEGER PRIMARY KEY, value TEXT)")
    elif f == "append" and "two_steps" in sys.argv:
        place = table.execute("INSERT INTO list (value) VALUES (NULL)").lastrowid
        table.execute("UPDATE list SET value = ? WHERE place = ?", (call["value"], place))
    elif f == "append":
        table.execute("INSERT INTO list (value) VALUES (?)", (call["value"],))
    elif f == "remove":
        which = "place" if "all_equal" in sys.argv else "MIN(place)"
        rows = table.execute("DELETE FROM list WHERE place IN "
                             f"(SELECT {which} FROM list WHERE value = ?)", (call["value"],))
        answer["value"] = rows.rowcount > 0
    else:
        rows = table.execute("SELECT value FROM list ORDER BY place LIMIT 1 OFFSET ?",
                             (call["index"],))
        answer["value"] = next(rows, (None,))[0]
    print(json.dumps(answer), flush=True)
