"""The stubs and the names of the package. mypy and stubtest themselves are run, on what is
installed, by scripts/test-python.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import tierce
from tierce import _tierce

FOLDER = Path(tierce.__file__).parent
PUBLIC = [name for name in tierce.__all__ if not name.startswith("__")]


def declared() -> set[str]:
    """The names that the stubs of the compiled module declare."""
    tree = ast.parse((FOLDER / "_tierce.pyi").read_text())
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_every_compiled_name_has_a_stub() -> None:
    compiled = {name for name in dir(_tierce) if name == "__version__" or not name.startswith("__")}
    assert compiled - declared() == set()


def test_the_package_is_typed() -> None:
    assert (FOLDER / "py.typed").is_file()


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    value = getattr(tierce, name)
    assert inspect.getdoc(value), f"tierce.{name} has no docstring"
    if inspect.isclass(value) and value.__module__ == "tierce":
        bare = [
            member
            for member, of in vars(value).items()
            if not member.startswith("_") and not inspect.getdoc(of)
        ]
        assert bare == [], f"of tierce.{name}, these have no docstring"


@pytest.mark.parametrize("name", PUBLIC)
def test_compiled_classes_are_the_packages(name: str) -> None:
    value = getattr(_tierce, name, None)
    if inspect.isclass(value):
        assert f"{value.__module__}.{value.__qualname__}" == f"tierce.{name}"


# What type checkers say of a line: what must be in it, or None where it is right.
CHECKED = [
    ("tierce.Image()", 'Too few arguments for "Image"'),
    ("tierce.Image(None)", "incompatible type"),
    ("tierce.Image('debian:12')", "incompatible type"),
    ("tierce.Image.from_base('debian:12')", None),
    ("tierce.ImageSpec(name=3)", "incompatible type"),
    ("tierce.ImageSpec(packages='pandas')", "incompatible type"),
    ("build.remote_run.status", 'Item "None"'),
    ("run: tierce.Run | None = build.remote_run", None),
    ("assert build.remote_run is not None; build.remote_run.status", None),
]


def test_type_checkers_say_what_is_wrong(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    lines = ["import tierce", "build = tierce.ImageBuild('app:1')", *(line for line, _ in CHECKED)]
    checked = tmp_path / "checked.py"
    checked.write_text("\n".join(lines) + "\n")
    arguments = ["--strict", "--no-error-summary", "--disable-error-code", "attr-defined"]
    said, errors, _ = api.run([*arguments, "--cache-dir", str(tmp_path / "cache"), str(checked)])
    assert errors == ""
    for number, (line, expected) in enumerate(CHECKED, start=3):
        of_it = [text for text in said.splitlines() if f"checked.py:{number}: error" in text]
        if expected is None:
            assert of_it == [], line
        else:
            assert expected in "".join(of_it), line
