"""The package as it is installed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
import tierce
from support.containers import Containers
from support.registry import Registry
from support.require import skip
from tierce import _platforms, _program, errors

# What `import tierce` may import besides its own: each costs every program that uses tierce.
# (`os` and what is below it is there before any program begins.)
IMPORTS = {"__future__", "tierce", "tierce._tierce"}


def python(code: str, *arguments: str, cwd: Path | None = None) -> str:
    """What `code` prints in an interpreter of its own."""
    run = subprocess.run(
        [sys.executable, *arguments, "-c", code], capture_output=True, text=True, cwd=cwd
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_importing_it_imports_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import tierce; print(*set(sys.modules) - before)"
    assert set(python(code).split()) <= IMPORTS


def test_what_is_asked_for_later_is_there() -> None:
    assert set(tierce.__all__) <= set(dir(tierce))
    assert len(tierce.__all__) == len(set(tierce.__all__))
    assert [name for name in tierce.__all__ if not hasattr(tierce, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'nothing_like_it'"):
        tierce.nothing_like_it  # noqa: B018


@pytest.mark.parametrize("module", [tierce, tierce.extend, errors])
def test_nothing_else_is_offered(module: ModuleType) -> None:
    offered = {name for name in dir(module) if not name.startswith("__")}
    assert offered == {name for name in module.__all__ if not name.startswith("__")}


def test_the_program_comes_with_the_package(program: str) -> None:
    run = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["tierce", tierce.__version__]


def test_the_program_is_the_environments(program: str) -> None:
    assert Path(program).parent == Path(sysconfig.get_path("scripts"))


def test_no_program_is_an_error_that_says_where_it_was_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda *_, **__: str(tmp_path))
    monkeypatch.setattr(_program, "__file__", str(tmp_path / "a/b/c/d/tierce/_program.py"))
    with pytest.raises(errors.EnvironmentFailure) as caught:
        _program.find()
    assert caught.value.code == "python/no-program"
    assert str(tmp_path) in str(caught.value)
    assert sys.executable in (caught.value.hint or "")


def test_the_version_is_the_distributions() -> None:
    assert tierce.__version__ == metadata.version("tierce")


def test_what_is_tested_is_what_is_installed() -> None:
    wheel = os.environ.get("TIERCE_TEST_WHEEL")
    if wheel is None:
        skip("wheel", "the package is tested out of the tree: scripts/test-python makes a wheel")
    installed = Path(tierce.__file__)
    assert installed.is_relative_to(sysconfig.get_path("platlib"))
    files = metadata.files("tierce") or []
    names = {str(file) for file in files}
    assert {"tierce/py.typed", "tierce/_tierce.pyi", "tierce/_tierce.abi3.so"} <= names
    assert "../../../bin/tierce" in names
    assert [name for name in names if "__pycache__" not in name and "test" in name] == []


def test_uv_comes_with_it() -> None:
    if "TIERCE_TEST_WHEEL" not in os.environ:
        skip("wheel", "the package is tested out of the tree: scripts/test-python makes a wheel")
    required = metadata.requires("tierce") or []
    assert [name for name in required if name.startswith("uv")]
    assert (Path(sysconfig.get_path("scripts")) / "uv").is_file()


@pytest.mark.parametrize(
    ("compiled", "why"),
    [(None, "No module named 'tierce._tierce'"), (b"MZ of another world", "")],
    ids=["missing", "of another platform"],
)
def test_what_cannot_be_imported_says_where_there_are_wheels(
    compiled: bytes | None, why: str, tmp_path: Path
) -> None:
    package = tmp_path / "tierce"
    package.mkdir()
    for name in ("__init__.py", "_platforms.py"):
        (package / name).write_text((Path(_platforms.__file__).parent / name).read_text())
    if compiled is not None:
        (package / "_tierce.abi3.so").write_bytes(compiled)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
try:
    import tierce
except ImportError as error:
    print(error.name, error)
"""
    said = python(code, "-I")
    assert said.startswith("tierce._tierce tierce's compiled part cannot be imported here: ")
    for part in (why, _platforms.here(), *_platforms.WHEELS, "hint: "):
        assert part in said


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_has_code_and_hint_and_is_pickled(name: str) -> None:
    kind = getattr(errors, name)
    error = kind("it is wrong", "area/what", "do otherwise")
    assert isinstance(error, errors.TierceError)
    assert str(error) == "[area/what] it is wrong\nhint: do otherwise"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.code, copy.hint) == (str(error), error.code, error.hint)
    assert str(kind("it is wrong", "area/what")) == "[area/what] it is wrong"


def test_the_base_runs(base: str, registry: Registry, crun_run: Containers) -> None:
    assert registry.has("library/python:3.11-slim")
    assert crun_run(base, ["python3", "-c", "print(6 * 7)"]).stdout == "42\n"
    assert crun_run(base, ["sh", "-c", "exit 3"], check=False).returncode == 3
