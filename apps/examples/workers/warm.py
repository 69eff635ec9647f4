#!/usr/bin/env python3
# Any worker in Python as a fork server of kill9 (docs/bring_your_own.md): the interpreter is
# started once, with what the worker imports of the standard library, and each participant is a fork
# of it, in which the worker runs from its first line. So a death costs a fork.
#     kill9 torture --fork-server='python3 warm.py file_map.py' --model=map
import ast, importlib, os, signal, socket, sys

sys.argv.pop(0)
sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
tree = ast.parse(open(sys.argv[0]).read())
for node in ast.walk(tree):
    of = getattr(node, "module", None)
    for name in [of] if of else [one.name for one in node.names] if hasattr(node, "names") else []:
        if name.split(".")[0] in sys.stdlib_module_names:  # others may do anything when imported
            importlib.import_module(name)
main = sys.modules["__main__"] = type(sys)("__main__", None)
main.__file__ = sys.argv[0]
code = compile(tree, sys.argv[0], "exec")

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for connection, _ in iter(socket.socket(fileno=3).accept, None):
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(connection.fileno(), 0)
        os.dup2(connection.fileno(), 1)
        exec(code, main.__dict__)
        break
    connection.close()
