"""Images that are built in no time: on a base that is empty but for a marker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tierce import Image


def empty_base(program: str, directory: Path, registry: str, environment: Mapping[str, str]) -> str:
    """Makes an image of nothing and pushes it: its name."""
    (directory / "tierce.toml").write_text(
        f'name = "empty"\nregistry = "{registry}"\nbase = "scratch"\n[env]\nEMPTY = "yes"\n'
    )
    build = subprocess.run(
        [program, "build", "--push"],
        cwd=directory,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr
    return build.stdout.strip()


def small(base: str, name: str = "small", **env: str) -> Image:
    """An image of nothing but variables: assembled, never executed."""
    image = Image.from_base(base).clone(name=name, extendable=True)
    return image.with_env_vars({"A": "1", **env})


def child(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python of its own that runs `program`."""
    command: Sequence[str] = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
