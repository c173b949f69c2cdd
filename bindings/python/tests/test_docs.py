"""What the documentation shows works: docstrings' examples, and the Python of Markdown files."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import tierce
from support import docs
from support.registry import Registry

DOCUMENTS = [name for name in ("docs/python.md", "docs/imagespec.md") if (docs.CHECKOUT / name).is_file()]


def documented() -> Iterator[tuple[str, str]]:
    """Every public name, and those of its members, that has a docstring."""
    for name in tierce.__all__:
        value = getattr(tierce, name)
        yield from members(f"tierce.{name}", value)


def members(path: str, value: object) -> Iterator[tuple[str, str]]:
    if text := getattr(value, "__doc__", None):
        yield path, text
    if inspect.ismodule(value):
        for name in getattr(value, "__all__", ()):
            yield from members(f"{path}.{name}", getattr(value, name))
    elif inspect.isclass(value) and value.__module__.split(".")[0] == "tierce":
        for name, member in vars(value).items():
            # What a class inherits of `object` is not its own text.
            own = not name.startswith("__") or name == "__init__"
            if own and (text := inspect.getdoc(member)) and ">>>" in text:
                yield f"{path}.{name}", text


def examples() -> list[doctest.DocTest]:
    parser = doctest.DocTestParser()
    found = {}
    for path, text in documented():
        # Rust's documentation has examples between fences.
        plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("```"))
        test = parser.get_doctest(plain, {"tierce": tierce}, path, None, None)
        if test.examples:
            found[path] = test
    return list(found.values())


@pytest.mark.parametrize("test", examples(), ids=lambda test: str(test.name))
def test_a_docstrings_example(
    test: doctest.DocTest, mirrored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, monkeypatch)
    said: list[str] = []
    results = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    ).run(test, out=said.append)
    assert results.failed == 0, "".join(said)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_python_of_a_document(
    document: str,
    registry: Registry,
    mirrored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The blocks of one document run after each other, as who reads it types them."""
    project(tmp_path, monkeypatch)
    known: dict[str, object] = {"__name__": "__main__"}
    for line, code in docs.blocks(document):
        # Errors name the document, and its line.
        source = "\n" * (line - 1) + code
        exec(compile(source, str(docs.CHECKOUT / document), "exec"), known)


def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project that examples are about: `app/`, `requirements.txt`, in the current folder."""
    (folder / "app").mkdir()
    (folder / "app" / "main.py").write_text('print("hello from the app")\n')
    (folder / "requirements.txt").write_text("idna\n")
    monkeypatch.chdir(folder)
