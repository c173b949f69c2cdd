"""The package as it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import tierce
from support.containers import Containers
from support.registry import Registry
from tierce import _platforms, _program


def test_the_program_comes_with_the_package(program: str) -> None:
    run = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["tierce", tierce.__version__]


def test_the_version_is_the_distributions() -> None:
    assert tierce.__version__ == metadata.version("tierce")


def test_the_base_runs(
    base: str, registry: Registry, mirrored: Path, crun_run: Containers
) -> None:
    assert registry.has("library/python:3.11-slim")
    assert crun_run(base, ["python3", "-c", "print(6 * 7)"]).stdout == "42\n"
