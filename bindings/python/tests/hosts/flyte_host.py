"""Flyte's SDK on a machine without Docker, with a registry that mirrors others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from conftest import environment
from support.registry import Registry

FLYTE = "2.12.1"
"""The version of Flyte's SDK in images."""

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "flyte"


@dataclass(frozen=True)
class Host:
    """A machine: its variables, its programs, and the registry that it pushes to."""

    home: Path
    registry: Registry
    variables: Mapping[str, str]

    @property
    def engines_asked(self) -> list[str]:
        """What was asked of docker and podman."""
        log = self.home / "engines"
        return log.read_text().splitlines() if log.exists() else []

    def flyte(self, *args: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the `flyte` command."""
        run = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "flyte"), *args],
            cwd=cwd,
            env={**self.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and run.returncode:
            raise AssertionError(f"flyte {' '.join(args)}:\n{run.stdout}{run.stderr}")
        return run


def programs(home: Path) -> str:
    """A PATH with this Python's programs and what sandboxes of ordinary users need, and with a
    docker and a podman that only write down that they were asked.
    """
    folder = home / "bin"
    folder.mkdir()
    for name in ("newuidmap", "newgidmap", "sh", "cat"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    for name in ("docker", "podman", "buildctl"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {home}/engines\nexit 1\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{os.path.dirname(sys.executable)}"


CONFIG = """\
[registries."docker.io"]
mirrors = ["{host}"]
fallback = false

[registries."ghcr.io"]
mirrors = ["{host}"]
fallback = false
"""


def made(home: Path, registry: Registry) -> Host:
    """A host, at home in `home`."""
    variables = environment(home)
    config = home / "config/tierce/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.format(host=registry.host))
    passed = ("LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
    for name, value in os.environ.items():
        if name in passed or name.lower().endswith("_proxy") or name.startswith(("UV_", "PIP_")):
            variables[name] = value
    variables["PATH"] = programs(home)
    variables["XDG_RUNTIME_DIR"] = str(home)
    # No daemon that happens to run here.
    variables["DOCKER_HOST"] = f"unix://{home}/docker.sock"
    return Host(home, registry, variables)

