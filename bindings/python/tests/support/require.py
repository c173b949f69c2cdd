"""What a machine is known to have: a test that finds it missing there fails, and is not skipped.

The variable and its names are those of the Rust tests (crates/tierce-testing).
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

REQUIRE = "TIERCE_TEST_REQUIRE"
# Where daemons are that an ordinary PATH leaves out.
SYSTEM = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def skip(what: str, why: object) -> NoReturn:
    """Skips the test for want of `what`; fails it where this machine is said to have it."""
    required = {name.strip() for name in os.environ.get(REQUIRE, "").split(",")}
    if required & {what, "all"}:
        pytest.fail(f"{REQUIRE} requires {what}: {why}", pytrace=False)
    pytest.skip(str(why))


def program(name: str, what: str | None = None) -> str:
    """The path of a program of this machine, or no test; `what` is its name in REQUIRE."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM))
    return shutil.which(name, path=path) or skip(what or name, f"{name} is not installed")
