"""The README's example, by somebody who has nothing but the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment
from support import docs
from support.containers import Containers
from support.registry import Registry
from support.require import skip


@pytest.mark.network
def test_the_readmes_example_needs_the_wheel_alone(
    registry: Registry,
    base: str,
    debian_store: Path,
    crun_run: Containers,
    tmp_path: Path,
) -> None:
    wheel = os.environ.get("TIERCE_TEST_WHEEL")
    if wheel is None:
        skip("wheel", "there is no wheel to install: scripts/test-python makes one")
    venv = tmp_path / "venv"
    out(sys.executable, "-m", "venv", str(venv))
    out(f"{venv}/bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    installed = out(f"{venv}/bin/pip", "list", "--format", "freeze").split()
    assert {name.split("==")[0] for name in installed} <= {"pip", "setuptools", "tierce", "uv"}

    ((_, example),) = docs.blocks("README.md")
    (tmp_path / "build.py").write_text(example)
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIERCE_")}
    env |= environment(tmp_path / "home")
    # Debian itself is not assembled once more; everything else is made here.
    env |= {"TIERCE_STORE": str(debian_store), "TIERCE_REGISTRY": registry.host}
    said = out(f"{venv}/bin/python", str(tmp_path / "build.py"), cwd=docs.CHECKOUT, env=env)

    uri = said.splitlines()[-1]
    assert registry.has(uri)
    run = crun_run(uri, ["python", "-m", "app"])
    assert "hello" in run.stdout.lower(), run.stdout


def out(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    run = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert run.returncode == 0, f"{command}: {run.stdout}{run.stderr}"
    return run.stdout
