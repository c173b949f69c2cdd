"""Compiles modules to bytecode files that are the same on every run.

Reads paths of .py files, one a line, from standard input; writes what py_compile would put into
__pycache__ directories below the directory that is the only argument, at the same paths. Files
that do not compile are skipped, as installers do. Runs on Python 3.9 and later.
"""

import sys

# The working directory belongs to the image, the modules below to the interpreter.
sys.path = [entry for entry in sys.path if entry]

import importlib.util  # noqa: E402
import marshal  # noqa: E402
import os  # noqa: E402
import types  # noqa: E402

# Checked by nobody at run time: the files of an image don't change (PEP 552).
UNCHECKED_HASH = (1).to_bytes(4, "little")
ATTRIBUTES = (
    "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_filename",
    "co_name", "co_qualname", "co_linetable", "co_lnotab", "co_exceptiontable", "co_code",
)  # fmt: skip


def hold(value, held):
    """Collects everything that marshal will meet.

    marshal marks an object as one that may be referred to again unless its reference count is
    1, and the counts of strings depend on what else is in memory. With one more reference to
    each, all are marked, and only identity matters, which the compiler fixes.
    """
    held.append(value)
    if isinstance(value, types.CodeType):
        for name in ATTRIBUTES:
            # co_lnotab is computed, and deprecated where co_linetable exists.
            if name == "co_lnotab" and hasattr(value, "co_linetable"):
                continue
            if hasattr(value, name):
                hold(getattr(value, name), held)
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            hold(item, held)
    elif isinstance(value, slice):
        hold((value.start, value.stop, value.step), held)


def compile_file(path, out):
    with open(path, "rb") as file:
        source = file.read()
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    held = []
    hold(code, held)
    data = b"".join(
        (
            importlib.util.MAGIC_NUMBER,
            UNCHECKED_HASH,
            importlib.util.source_hash(source),
            marshal.dumps(code),
        )
    )
    target = out + importlib.util.cache_from_source(path, optimization="")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(data)


def main():
    out = os.path.abspath(sys.argv[1])
    sys.setrecursionlimit(10000)
    sys.pycache_prefix = None
    paths = sys.stdin.buffer.read().decode("utf-8").splitlines()
    for path in sorted(set(paths)):
        try:
            compile_file(path, out)
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            print(f"skipped {path}: {type(error).__name__}", file=sys.stderr)


main()
