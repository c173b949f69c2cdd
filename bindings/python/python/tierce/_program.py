"""Where the `tierce` program is that came with this package."""

from __future__ import annotations

import os
import sys


def find() -> str:
    """The path of the `tierce` program of this environment.

    It lies where the scripts of the environment are; the same order as `uv.find_uv_bin`.
    """
    import sysconfig

    beside = os.path.dirname(os.path.abspath(__file__))
    places = [
        sysconfig.get_path("scripts"),
        # `pip install --user`, and `pip install --target`.
        sysconfig.get_path("scripts", scheme=sysconfig.get_preferred_scheme("user")),
        os.path.join(os.path.dirname(beside), "bin"),
        # An environment that is stacked upon the one that has the package.
        os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(beside)))), "bin"),
    ]
    for place in places:
        program = os.path.join(place, "tierce")
        if os.path.isfile(program):
            return program
    from .errors import EnvironmentFailure

    raise EnvironmentFailure(
        f"the program tierce is in none of {', '.join(map(repr, places))}",
        "python/no-program",
        f"Install the package again: {sys.executable} -m pip install --force-reinstall tierce.",
    )
