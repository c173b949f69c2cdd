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
