import sys

# What `-c` puts there: modules of the current folder may have the names of Python's own.
if sys.path[:1] == [""]:
    del sys.path[0]
try:
    from tierce import _load
except ImportError as error:
    import json
    import os

    request = json.loads(sys.stdin.readline())
    python = {"executable": sys.executable, "version": sys.version.split()[0]}
    reply = {"protocol": request["protocol"], "python": python, "missing": str(error)}
    # Standard input is a socket, on which the answer is waited for.
    os.write(0, (json.dumps(reply) + "\n").encode())
else:
    _load.main()
