"""Locks: `tierce lock` of a Python file, and builds from it by the command and by the function."""

from __future__ import annotations

import asyncio
import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tierce
from support.builds import small
from support.containers import Containers
from support.index import Index, serving
from tierce.errors import SpecificationError, TierceError

pytestmark = pytest.mark.usefixtures("plain")

FILE = """
import tierce

base = tierce.Image.from_base({base!r}).clone(name="lean", extendable=True)
train = base.with_pip_packages("alpha", "delta", index_url={index!r})
serve = base.clone(name="serve").with_env_vars({{"SERVE": "yes"}})
lean = train.clone(name="renamed").with_env_vars({{"LEAN": "yes"}})
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with serving(tmp_path / "index") as index:
        index.add("alpha", "1.0")
        index.add_source("delta", "1.0")
        yield index


def run(program: str, directory: Path, *arguments: str) -> str:
    command = [program, *arguments, "--python", sys.executable]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def images(directory: Path) -> dict[str, Any]:
    return runpy.run_path(str(directory / "app.py"))


def test_images_of_a_file_are_built_from_its_lock(
    base: str,
    index: Index,
    program: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    crun_run: Containers,
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "app.py").write_text(FILE.format(base=base, index=index.url))
    run(program, project, "lock", "app.py")
    lock = (project / "tierce.lock").read_text()
    assert 'sdist = "delta-1.0.tar.gz"' in lock
    assert [line for line in lock.splitlines() if line.startswith('name = "')] == [
        'name = "app.py:base"',
        'name = "app.py:lean"',
        'name = "app.py:serve"',
        'name = "app.py:train"',
    ]
    index.add("alpha", "1.1")
    index.add_source("delta", "1.1")
    build = ("build", "--locked", "app.py", "train", "--format", "json", "--output", "oci:out")
    by_command = json.loads(run(program, project, *build))

    monkeypatch.chdir(tmp_path)
    tierce.init(root_dir=project)
    said = images(project)
    built = tierce.build(
        said["train"], locked="tierce.lock", locked_image="train", exports=[f"oci:{tmp_path}/out"]
    )
    assert (built.uri, built.digest) == (by_command["uri"], by_command["digest"])
    look = "import importlib.metadata as m; print(*map(m.version, ('alpha', 'delta')))"
    assert built.uri is not None
    layout = f"{tmp_path}/out:{built.uri.rsplit(':', 1)[1]}"
    assert crun_run(layout, ["python3", "-c", look]).stdout.strip() == "1.0 1.0"
    # The name as a whole, and that of the image itself.
    for image, name in (("train", "app.py:train"), ("serve", None)):
        again = tierce.build(said[image], locked=project / "tierce.lock", locked_image=name)
        assert again.status == ("present" if image == "train" else "built")
    assert tierce.build(said["train"], force=True).digest != built.digest

    refused: list[tuple[dict[str, Any], str]] = [
        ({"locked": "other.lock"}, "lock/no-file"),
        ({"locked": "tierce.lock"}, "lock/several-images"),
        ({"locked": "tierce.lock", "locked_image": "nobody"}, "lock/no-image"),
        ({"locked": "tierce.lock", "locked_image": "serve"}, "lock/stale"),
    ]
    for arguments, code in refused:
        with pytest.raises(SpecificationError) as raised:
            tierce.build(said["lean"], **arguments)
        assert raised.value.code == code
        assert raised.value.hint


def test_what_has_no_lock_of_its_own_says_so(empty: str, program: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import tierce\n"
        f"image = tierce.Image.from_base({empty!r}).clone(name='small', extendable=True)"
        ".with_env_vars({'A': '1'})\n"
    )
    run(program, tmp_path, "lock", "app.py")
    lock = tmp_path / "tierce.lock"
    # Only one is there, so it is meant.
    plain, locked = (
        tierce.build(small(empty)),
        asyncio.run(tierce.build.aio(small(empty), locked=lock)),
    )
    assert locked.status == "built" and locked.uri != plain.uri
    several = tierce.build_all([small(empty), small(empty, "another")], locked=str(lock))
    assert several[0].uri == locked.uri
    run_of = tierce.build(small(empty, "later"), wait=False, locked=lock).remote_run
    assert run_of is not None and run_of.wait().uri == run_of.uri

    class Echo(tierce.ImageSpecBuilder):
        def build_image(self, image_spec: tierce.ImageSpec) -> str:
            return "example.com/echo:1"

    table: list[tuple[dict[str, Any], str]] = [
        ({"locked_image": "app"}, "argument 'locked_image' makes no sense without 'locked'"),
        ({"locked": 1}, "argument 'locked' must be str or os.PathLike, not int"),
        ({"locked": lock, "locked_image": 1}, "argument 'locked_image' must be str, not int"),
    ]
    for wrong, says in table:
        with pytest.raises(TypeError, match=says):
            tierce.build(small(empty), **wrong)
    with pytest.raises(TierceError) as raised:
        tierce.build(small(empty), locked=lock, builder="noop")
    assert raised.value.code == "lock/builder"
    tierce.ImageBuildEngine.register("locked-echo", Echo(), priority=-1)
    spec = tierce.ImageSpec("echo", builder="locked-echo")
    with pytest.raises(SpecificationError) as refused:
        tierce.build(spec, locked=lock)
    assert refused.value.code == "python/spec-builder-options"
    assert "locked" in str(refused.value)
    lock.write_text(lock.read_text()[:-30])
    with pytest.raises(SpecificationError) as cut:
        tierce.build(small(empty), locked=lock)
    assert cut.value.code == "lock/truncated"
