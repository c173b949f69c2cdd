"""Why the compiled part of the package can't be imported: for what platforms it is made."""

from __future__ import annotations

import sys

# What is released; scripts/wheel makes them.
WHEELS = (
    "Linux x86_64 with glibc 2.17 or later (manylinux_2_17_x86_64)",
    "Linux aarch64 with glibc 2.17 or later (manylinux_2_17_aarch64)",
)


def explanation(error: ImportError) -> str:
    """What to tell who imports `tierce` where its compiled part is missing or does not fit."""
    return "\n".join(
        (
            f"tierce's compiled part cannot be imported here: {error}",
            f"This is {here()}.",
            f"Wheels are made for CPython 3.10 and later on {' and '.join(WHEELS)}.",
            "hint: Install the wheel for this platform, with this interpreter: "
            f"`{sys.executable} -m pip install --force-reinstall tierce`; "
            "or build it from the sources, with a Rust toolchain: `pip install ./bindings/python`.",
        )
    )


def here() -> str:
    """This interpreter and this platform, in the words of wheels' names."""
    import platform
    import sysconfig

    implementation = platform.python_implementation()
    threads = " (free-threaded)" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    python = f"{implementation} {platform.python_version()}{threads}"
    libc = " ".join(part for part in platform.libc_ver() if part)
    return f"{python} on {platform.system()} {platform.machine()}" + (f" with {libc}" if libc else "")
