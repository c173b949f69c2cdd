import sys

# What `-c` puts there: modules of the current folder may have the names of Python's own.
if sys.path[:1] == [""]:
    del sys.path[0]
try:
    from tierce import _load
except ImportError as error:
    import json

    request = json.loads(sys.stdin.readline())
    python = {"executable": sys.executable, "version": sys.version.split()[0]}
    reply = {"protocol": request["protocol"], "python": python, "missing": str(error)}
    with open(request["reply"], "w", encoding="utf-8") as file:
        json.dump(reply, file)
else:
    _load.main()
