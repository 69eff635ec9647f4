#!/usr/bin/env python3
# A fork server of kill9 (docs/bring_your_own.md): multiprocessing.Condition, which is shared by
# fork. Who is killed while it waits, or in the lock, leaves the others waiting for ever.
#     kill9 torture --fork-server='python3 condition_server.py' --model=condition
import json, multiprocessing, os, signal, socket

context = multiprocessing.get_context("fork")
condition = context.Condition(context.Lock())
wake_ups = context.Value("q", 0, lock=False)


def serve(stream):
    for line in stream:
        call = json.loads(line)
        with condition:
            if call["f"] == "wait":
                condition.wait_for(lambda: wake_ups.value > 0)
                wake_ups.value -= 1
            elif "value" in call:
                wake_ups.value += call["value"]
                condition.notify(call["value"])
            answer = {"id": call["id"], "type": "ok", "value": wake_ups.value}
        stream.write(json.dumps(answer) + "\n")
        stream.flush()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(fileno=3)
for connection, _ in iter(listener.accept, None):
    if os.fork() == 0:
        serve(connection.makefile("rw"))
        os._exit(0)
    connection.close()
