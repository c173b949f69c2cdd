"""Code bundles: who builds an image here brings its code."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tierce
from support.builds import small

pytestmark = pytest.mark.usefixtures("plain")

USED, UNUSED = "bundled_module", "unbundled_module"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with two modules, of which one is loaded."""
    folder = tmp_path / "project"
    folder.mkdir()
    for module in (USED, UNUSED):
        (folder / f"{module}.py").write_text(f"NAME = {module!r}\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    importlib.import_module(USED)
    yield folder
    sys.modules.pop(USED)


@pytest.mark.parametrize("style", ["loaded_modules", "all"])
def test_the_code_is_in_the_image(style: str, empty: str, project: Path) -> None:
    without = small(empty, "app")
    image = without.with_code_bundle(style)  # type: ignore[arg-type]
    named = image.uri
    assert named != without.uri
    assert tierce.image_exists(image) is None
    assert image.plan().uri == named and named in image.explain()
    started = tierce.build(image, wait=False)
    assert started.uri == named and started.remote_run is not None
    assert started.remote_run.wait().uri == named
    built = tierce.build(image, force=True)
    assert (built.uri, len(built.layers)) == (named, len(tierce.build(without).layers) + 1)
    assert tierce.image_exists(image) == asyncio.run(tierce.image_exists.aio(image)) == named
    above = image.clone(name="above", extendable=True).with_env_vars({"B": "1"})
    assert len(tierce.build(above).layers) == len(built.layers)

    (project / f"{UNUSED}.py").write_text("NAME = 1\n")
    assert (image.uri == named) is (style == "loaded_modules")
    (project / f"{USED}.py").write_text("NAME = 1\n")
    assert image.uri != named


def test_the_program_calls_it_the_same(empty: str, project: Path, program: str) -> None:
    (project / "app.py").write_text(
        f"import tierce, {USED}\n"
        f"image = tierce.Image.from_base({empty!r}).clone(name='app', extendable=True)\n"
        "image = image.with_code_bundle()\n"
        "if __name__ == '__main__':\n"
        "    print(image.uri)\n"
    )
    own = subprocess.run([sys.executable, "app.py"], capture_output=True, text=True, check=True)
    said = subprocess.run(
        [program, "build", "--dry-run", "--python", sys.executable, "app.py"],
        capture_output=True,
        text=True,
    )
    assert own.stdout.strip() in said.stdout + said.stderr
