"""Where the `tierce` program is that came with this package."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def find() -> str:
    """The path of the `tierce` program of this environment.

    It lies where the scripts of the environment are; the same order as `uv.find_uv_bin`.
    """
    looked = []
    for place in _places():
        program = os.path.join(place, "tierce")
        if os.path.isfile(program):
            return program
        looked.append(place)
    from .errors import EnvironmentFailure

    raise EnvironmentFailure(
        f"the program tierce is in none of {', '.join(map(repr, looked))}",
        "python/no-program",
        f"Install the package again: {sys.executable} -m pip install --force-reinstall tierce.",
    )


def _places() -> Iterator[str]:
    import sysconfig

    # sysconfig's own variables may be half made while another thread is the first to ask for them:
    # they are filled in here.
    scripts = sysconfig.get_path("scripts", expand=False)
    yield scripts.format(base=sys.prefix, installed_base=sys.base_prefix)
    # `pip install --user`, and `pip install --target`.
    user = sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"), expand=False)
    yield user.format(userbase=_user_base())
    package = os.path.dirname(os.path.abspath(__file__))
    yield os.path.join(os.path.dirname(package), "bin")
    # An environment that is stacked upon the one that has the package.
    above = package
    for _ in range(4):
        above = os.path.dirname(above)
    yield os.path.join(above, "bin")


def _user_base() -> str:
    import site

    return site.getuserbase()
