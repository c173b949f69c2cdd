# Removes distributions from the environment that runs this: what their RECORD lists, the bytecode
# that is not listed there, all of their metadata, and directories that are empty then.
import importlib.metadata
import importlib.util
import os
import sys


def remove(path, parents):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    parents.add(os.path.dirname(path))


for name in sys.argv[1:]:
    parents = set()
    for file in importlib.metadata.distribution(name).files or ():
        path = os.path.realpath(str(file.locate()))
        # A RECORD may say anything.
        if not path.startswith(sys.prefix + os.sep):
            continue
        remove(path, parents)
        if path.endswith(".py"):
            remove(importlib.util.cache_from_source(path), parents)
    for folder in [p for p in parents if p.endswith(".dist-info")]:
        for entry in os.listdir(folder):
            if os.path.isfile(os.path.join(folder, entry)):
                remove(os.path.join(folder, entry), parents)
    for folder in sorted(parents, key=len, reverse=True):
        try:
            os.removedirs(folder)
        except OSError:
            pass
