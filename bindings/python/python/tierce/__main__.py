"""`python -m tierce`: the `tierce` program that came with this package."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Becomes the program."""
    from . import _program

    program = _program.find()
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
