"""`tierce build FILE.py` on files of Flyte's: images have the names that `flyte deploy` looks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.require import skip

try:
    import flyte  # noqa: F401
except ImportError as error:
    skip("flyte", error)

FILE = """
import flyte
import helper

base = flyte.Image.from_base("example.com/base:1").clone(name="app", extendable=True)
image = base.with_env_vars({"A": "b"})
env = flyte.TaskEnvironment("training", image=image)
nested = flyte.TaskEnvironment(
    "nested-env", image=base.with_env_vars({"NESTED": "1"}).with_code_bundle()
)
whole = flyte.TaskEnvironment("whole", image="auto", depends_on=[nested])
del nested


@env.task
def train() -> int:
    return 1
"""

NAMES = """
import pathlib, app
from flyte._image import resolve_code_bundle_layer
for env in [app.env, *app.whole.depends_on]:
    for style in ["loaded_modules", "none"]:
        print(resolve_code_bundle_layer(env.image, style, pathlib.Path.cwd()).uri)
"""


@pytest.fixture
def folder(store: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text(FILE)
    (folder / "helper.py").write_text("")
    return folder


def tierce(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments, "--python", sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_images_have_flytes_names(folder: Path, program: str) -> None:
    theirs = subprocess.run(
        [sys.executable, "-c", NAMES], cwd=folder, capture_output=True, text=True, check=True
    )
    plain, same, without, bundled = theirs.stdout.split()
    assert plain == same and without != bundled

    def key(*arguments: str) -> str:
        done = tierce(folder, program, "key", "app.py", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    for name in ("image", "env", "training", "train"):
        assert key(name) == plain, name
    # One that another environment depends on, and whose code somebody else brings.
    assert key("nested-env") == key("nested-env", "--fast") == without
    assert key("nested-env", "--copy-style", "none") == bundled


def test_environments_without_an_image_of_their_own_are_told(folder: Path, program: str) -> None:
    done = tierce(folder, program, "key", "app.py", "whole")
    assert done.returncode == 2
    assert "It has no image of its own" in done.stderr
