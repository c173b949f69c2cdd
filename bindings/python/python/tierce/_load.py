"""Loads Python files for the `tierce` program, and tells it which images are in them.

The program runs this in the project's own Python, with a socket for standard input: on it comes a
request, a JSON document in one line, and back go answers, one before each file and one at the end:
a file that ends Python is known by it. What the loaded files print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from . import __version__

PROTOCOL = 1
"""The version of what is said. Anything new that may be ignored does not change it."""

_Document = dict[str, Any]


def main() -> None:
    """Answers the request on standard input."""
    request = json.loads(sys.stdin.readline())
    _end_with(request["parent"])
    socket = _give_up_stdio()
    with os.fdopen(socket, "w", encoding="utf-8") as file:
        try:
            for answer in _answers(request):
                file.write(json.dumps(answer) + "\n")
                file.flush()
        except KeyboardInterrupt:
            os._exit(130)
    _end()


def _answers(request: _Document) -> Iterator[_Document]:
    """What there is to say: once, or before each file with what was found since, too."""
    python = {
        "executable": sys.executable,
        "version": ".".join(map(str, sys.version_info[:3])),
        "tierce": __version__,
    }
    files: list[_Document] = []
    if request["protocol"] == PROTOCOL:
        from ._load_file import Wishes, load

        wishes = Wishes(
            root=request["root"],
            names=request["names"],
            all=request["all"],
            fast=request["fast"],
            copy_style=request["copy_style"],
            builder=request["builder"],
            configured_builder=request["configured_builder"],
        )
        build = request["build"]
        several = len(request["files"]) > 1
        for file in request["files"]:
            if request.get("stepwise"):
                yield {"protocol": PROTOCOL, "python": python, "files": files, "loading": file}
                files = []
            files.append(load(file, wishes, build, isolated=several))
    yield {"protocol": PROTOCOL, "python": python, "files": files}


def _end() -> None:
    """Ends the process, without waiting for threads that the files have started."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _end_with(parent: int) -> None:
    """Has the system end this process when the program that started it ends, however it does."""
    try:
        import ctypes
        import signal

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL), 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(130)


def _give_up_stdio() -> int:
    """Leaves nothing to read to the files, and standard error to print to; gives the socket."""
    sys.stdout.flush()
    socket = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return socket
