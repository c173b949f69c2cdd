"""`tierce build FILE.py` on files of flytekit's: images have the names that pyflyte looks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.require import skip

try:
    import flytekit  # noqa: F401
except ImportError as error:
    skip("flytekit", error)

FILE = """
import helper
import tierce
from flytekit import ImageSpec, task, workflow

spec = ImageSpec(name="app", registry="example.com", base_image="example.com/base:1", packages=["a"])
alone = ImageSpec(name="alone", base_image="example.com/base:1")
ours = tierce.ImageSpec("ours", base_image="example.com/base:1", builder_options={"flytekit": False})


@task(container_image=spec)
def train() -> int:
    return 1


@task(container_image=ours)
def serve() -> int:
    return 1


@task
def plain() -> int:
    return 1


@workflow
def both() -> int:
    plain()
    return train()
"""

NAMES = """
import app, sys
from flytekit.configuration import ImageConfig, SerializationSettings
from flytekit.core.python_auto_container import update_image_spec_copy_handling
root = None if sys.argv[1] == "fast" else sys.argv[1]
settings = SerializationSettings(image_config=ImageConfig(), source_root=root)
update_image_spec_copy_handling(app.spec, settings)
print(app.spec.image_name(), app.alone.image_name())
"""


@pytest.fixture
def folder(store: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text(FILE)
    (folder / "helper.py").write_text("")
    (folder / "unused.py").write_text("")
    return folder


def tierce(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments, "--python", sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_images_have_flytekits_names(folder: Path, program: str) -> None:
    def theirs(sources: str) -> list[str]:
        command = [sys.executable, "-c", NAMES, sources]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.split()

    def key(*arguments: str) -> str:
        done = tierce(folder, program, "key", "app.py", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    whole, alone = theirs(str(folder))
    fast, _ = theirs("fast")
    assert whole != fast
    for name in ("spec", "train", "both", "app.train"):
        assert key(name) == whole, name
        assert key(name, "--fast") == fast, name
    # No task runs in it, so it is as it is written.
    assert key("alone") == alone == key("alone", "--fast")


def test_a_spec_of_ours_gets_the_sources_of_its_task_too(folder: Path, program: str) -> None:
    whole = tierce(folder, program, "key", "app.py", "serve", "--format", "json").stdout
    assert "helper.py" in whole and "unused.py" not in whole
    fast = tierce(folder, program, "key", "app.py", "serve", "--format", "json", "--fast").stdout
    assert "helper.py" not in fast
    done = tierce(folder, program, "key", "app.py", "plain")
    assert done.returncode == 2 and "It has no image of its own" in done.stderr
