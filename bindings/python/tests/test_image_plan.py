"""`image.plan()` and `image.explain()`."""

from __future__ import annotations

from pathlib import Path

import pytest
import tierce
from tierce import Image, Plan


@pytest.fixture
def image(mirrored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """One with a layer that is executed and one that is assembled."""
    tierce.init()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("print(1)\n")
    monkeypatch.chdir(tmp_path)
    return (
        Image.from_base("python:3.11-slim-bookworm")
        .clone(name="planned", extendable=True)
        .with_source_folder("app", "/srv/app")
        .with_commands(["true"], secret_mounts="token")
    )


def test_a_plan_says_what_happens_to_each_layer(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    plan = image.plan()
    assert isinstance(plan, Plan) and plan.uri == image.uri
    *base, sources, command = plan.layers
    assert {layer.action for layer in base} == {"base"}
    assert (sources.action, command.action) == ("assemble", "execute")
    assert plan.executes is True
    assert {layer.platform for layer in plan.layers} == set(image.platform)
    assert sources.key and sources.why and sources.size is None
    assert sources == image.plan().layers[-2] and sources != command
    assert "assemble" in repr(sources)
    table = str(plan)
    assert table.splitlines()[0] == plan.uri
    for layer in plan.layers:
        assert layer.why in table
    assert f"{len(plan.layers)} layers" in repr(plan)
    html = plan._repr_mimebundle_()
    assert html["text/plain"] == table and html["text/html"].startswith("<pre>")
    assert "hunter2" not in table + repr(plan)


def test_an_image_of_which_nothing_runs_executes_nothing(mirrored: Path) -> None:
    image = Image.from_base("python:3.11-slim-bookworm").clone(name="x", extendable=True)
    assert image.with_env_vars({"A": "1"}).plan().executes is False


def test_an_explanation_says_what_decides(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    said = image.explain()
    assert said.splitlines()[0].split() == ["image", image.uri]
    for part in (
        "sha256:",
        image.platform[0],
        "python:3.11-slim-bookworm",
        "app -> /srv/app",
        "1 file",
        "true, seeing token",
        "execute",
        "assemble",
    ):
        assert part in said
    assert "hunter2" not in said


def test_an_explanation_without_a_network_says_what_is_known(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tierce.init()
    # A port that nobody listens on.
    image = Image.from_base("localhost:1/base:1").clone(name="x", extendable=True)
    said = image.with_workdir("/srv").explain()
    assert "workdir" in said and "/srv" in said
    assert "what a build would do is not known: [registry/" in said
    with pytest.raises(tierce.errors.TierceError):
        image.plan()
