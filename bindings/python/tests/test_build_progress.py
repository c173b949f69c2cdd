"""Where people see what happens: `sys.stderr`, a function, a notebook, or nowhere."""

from __future__ import annotations

import contextlib
import io
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import tierce
from support.builds import small
from tierce import _notebook

pytestmark = pytest.mark.usefixtures("plain")


def test_lines_go_to_what_sys_stderr_is(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    tierce.build(small(empty))
    said = capsys.readouterr()
    assert said.out == ""
    assert "building small:" in said.err and "built small:" in said.err
    other = io.StringIO()
    with contextlib.redirect_stderr(other):
        tierce.build(small(empty, "other"), progress="plain")
    assert "built other:" in other.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("progress", [None, "quiet"])
def test_nothing_is_said(
    empty: str, progress: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    tierce.build(small(empty), progress=progress)
    assert capfd.readouterr() == ("", "")


def test_no_stderr_is_no_failure(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert tierce.build(small(empty)).status == "built"
    assert tierce.build(small(empty, "plain"), progress="plain").status == "built"


def test_a_function_gets_each_event(empty: str) -> None:
    events: list[dict[str, Any]] = []
    built = tierce.build(small(empty), progress=events.append)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "step-started"
    assert kinds[-1] == "build-finished"
    assert kinds.count("step-started") == kinds.count("step-finished")
    assert events[-1]["digest"] == built.digest
    assert isinstance(events[-1]["millis"], int)
    started = {event["step"]: event["title"] for event in events if event["event"] == kinds[0]}
    assert started[1].startswith("check small:")


def test_an_unknown_word_is_an_error(empty: str) -> None:
    with pytest.raises(ValueError, match="'progress' must be 'auto', .* not \"loud\""):
        tierce.build(small(empty), progress="loud")  # type: ignore[arg-type]


class Handle:
    """What IPython's display gives."""

    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, content: dict[str, str], raw: bool) -> None:
        assert raw
        self.shown.append(content["text/plain"])


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """IPython with a kernel: what its one output has shown."""
    shown: list[str] = []

    def display(content: dict[str, str], raw: bool, display_id: bool) -> Handle:
        assert raw and display_id and shown == [], "there is one output, which is updated"
        shown.append(content["text/plain"])
        return Handle(shown)

    ipython, displays = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    displays.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return shown


def test_a_notebook_shows_a_line_a_step(
    empty: str, notebook: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    built = tierce.build(small(empty))
    lines = notebook[-1].splitlines()
    assert lines[0].startswith("✓ check small:")
    assert lines[1] == f"building {built.uri} (native)"
    assert lines[-1].startswith(f"built {built.uri} in ")
    assert all(line.startswith("✓ ") for line in lines[2:-1])
    # At most a few updates a second, and this was quicker.
    assert len(notebook) <= 3
    assert capfd.readouterr() == ("", "")


def test_without_ipython_a_notebook_is_lines(
    empty: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    built = tierce.build(small(empty), progress="notebook")
    assert f"built {built.uri}@{built.digest} in " in capsys.readouterr().err


def test_ipython_without_a_kernel_is_a_terminal(
    notebook: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _notebook.is_here()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace())
    assert not _notebook.is_here()
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert not _notebook.is_here()


def test_warnings_are_seen_where_all_else_is_quiet(
    empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Raising:
        @classmethod
        def image_exists(cls, repository: str, tag: str, arch: tuple[str, ...]) -> str | None:
            raise LookupError("asleep")

    class Builder:
        def build_image(self, image: object, **options: bool) -> str:
            return "a.example/b:1"

        def get_checkers(self) -> list[type[Raising]]:
            return [Raising]

    tierce.build(small(empty), builder=Builder(), progress="quiet")  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert said.startswith("warning[engine/unknown-presence]: building small:")
    assert len(said.splitlines()) == 1


def test_a_step_is_a_line(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = tierce.Image.from_base(base).clone(name="lines", extendable=True)
    many = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo ab''c $i; done"
    tierce.build(image.with_commands([many]))
    said = capsys.readouterr().err
    assert "| abc" not in said
    steps = [line for line in said.splitlines() if line.startswith("#")]
    numbers = [line.split()[0] for line in steps]
    assert len(numbers) == len(set(numbers))
    assert all(": done in " in line or ": cached in " in line for line in steps)

    with pytest.raises(tierce.errors.StepError):
        tierce.build(image.with_commands([many.replace("100", "90") + "; exit 3"]))
    said = capsys.readouterr().err
    shown = [line.split("| ")[1] for line in said.splitlines() if "| abc" in line]
    assert shown == [f"abc {number}" for number in range(71, 91)]
    assert ": failed after " in said
