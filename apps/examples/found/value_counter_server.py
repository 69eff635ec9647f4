#!/usr/bin/env python3
# A fork server of kill9 (docs/found.md): a number of Python's multiprocessing, with its own lock,
# as the documentation adds to one.
#     kill9 torture --fork-server='python3 value_counter_server.py' --model=counter
import json, multiprocessing, os, signal, socket

number = multiprocessing.get_context("fork").Value("q", 0)


def serve(stream):
    for line in stream:
        call = json.loads(line)
        answer = {"id": call["id"], "type": "ok"}
        if call["f"] == "add":
            with number.get_lock():
                number.value += call["value"]
        elif call["f"] == "read":
            answer["value"] = number.value
        stream.write(json.dumps(answer) + "\n")
        stream.flush()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        serve(connection.makefile("rw"))
        os._exit(0)
    connection.close()
