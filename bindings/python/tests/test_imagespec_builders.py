"""Builders of ImageSpecs: tierce's own, and those that are written in Python."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tierce
from support.registry import Registry
from tierce import ImageBuildEngine, ImageSpec, ImageSpecBuilder
from tierce.errors import SpecificationError

OPTIONS = {"flytekit": False, "user": "root"}


class Recorder(ImageSpecBuilder):
    """Notes what it is asked, and builds nothing."""

    def __init__(self, name: str | None = None, needed: bool = True) -> None:
        self.name = name
        self.needed = needed
        self.asked: list[ImageSpec] = []
        self.built: list[ImageSpec] = []

    def should_build(self, image_spec: ImageSpec) -> bool:
        self.asked.append(image_spec)
        return self.needed

    def build_image(self, image_spec: ImageSpec) -> str | None:
        self.built.append(image_spec)
        return self.name


def registered(builder: object) -> str:
    """Registers a builder under a new name. It is chosen by its name alone: other tests' specs
    are not its own."""
    name = f"builder-{uuid.uuid4().hex[:8]}"
    ImageBuildEngine.register(name, builder, priority=-1)
    return name


@pytest.mark.parametrize("build", [ImageBuildEngine.build, tierce.build], ids=["engine", "build"])
def test_a_builder_builds_what_names_it(
    build: Callable[[ImageSpec], tierce.ImageBuild], store: Path
) -> None:
    recorder = Recorder()
    spec = ImageSpec("app", builder=registered(recorder), packages=["six"])
    built = build(spec)
    assert (recorder.asked, recorder.built) == ([spec], [spec])
    assert (built.uri, built.status) == (spec.image_name(), "built")


def test_what_a_builder_calls_an_image_is_its_name(store: Path) -> None:
    spec = ImageSpec("called", builder=registered(Recorder("example.com/other:1")))
    assert spec.image_name() != "example.com/other:1"
    assert ImageBuildEngine.build(spec).uri == "example.com/other:1"
    assert spec.image_name() == "example.com/other:1"


def test_what_need_not_be_built_is_not(store: Path) -> None:
    recorder = Recorder(needed=False)
    spec = ImageSpec("app", builder=registered(recorder))
    assert ImageBuildEngine.build(spec).status == "present"
    assert recorder.built == []
    # An argument says otherwise.
    assert tierce.build(spec, force=True).status == "built"
    assert recorder.built == [spec]


def test_bases_are_built_first_and_given_as_names(store: Path) -> None:
    below, above = Recorder("example.com/below:1"), Recorder()
    base = ImageSpec("below", builder=registered(below))
    spec = ImageSpec("above", builder=registered(above), base_image=base).force_push()
    ImageBuildEngine.build(spec)
    assert below.built == [base]
    (given,) = above.built
    assert given == spec.__replace__(base_image="example.com/below:1")


def test_nothing_is_built_in_a_task(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    spec = ImageSpec("app", builder=registered(recorder))
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    assert ImageBuildEngine.build(spec).uri == spec.image_name()
    assert (recorder.asked, recorder.built) == ([], [])


def test_what_a_builder_raises_is_raised(store: Path) -> None:
    class Failing(Recorder):
        def build_image(self, image_spec: ImageSpec) -> str | None:
            raise ZeroDivisionError("out of luck")

    with pytest.raises(ZeroDivisionError, match="out of luck") as caught:
        ImageBuildEngine.build(ImageSpec(builder=registered(Failing())))
    assert caught.traceback[-1].name == "build_image"


def test_priorities(store: Path) -> None:
    code = """
import tierce

class Named(tierce.ImageSpecBuilder):
    def __init__(self, name): self.name = name
    def should_build(self, image_spec): return True
    def build_image(self, image_spec): return f"{self.name}:1"

def uri(builder):
    return tierce.ImageBuildEngine.build(tierce.ImageSpec(builder=builder)).uri

register = tierce.ImageBuildEngine.register
register("low", Named("low"), priority=-5)
register("usual", Named("usual"))
print(uri(None), uri("default"), uri("low"))
register("high", Named("high"), priority=7)
print(uri(None), uri("default"), uri("usual"))
print(sorted((n, p) for n, (_, p) in tierce.ImageBuildEngine.get_registry().items()))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "usual:1 usual:1 low:1",
        "high:1 high:1 usual:1",
        "[('high', 7), ('low', -5), ('usual', 5)]",
    ]


@pytest.mark.parametrize("value", [None, 5, object(), "native"])
def test_what_is_no_builder_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="'image_spec_builder' must be an ImageSpecBuilder"):
        ImageBuildEngine.register("wrong", value)


def test_tierces_own_builder(registry: Registry, base: str, store: Path) -> None:
    below = ImageSpec("below", base_image=base, commands=["echo below > /below"])
    spec = ImageSpec(
        f"app-{uuid.uuid4().hex[:8]}",
        registry=registry.host,
        base_image=below.__replace__(builder_options=OPTIONS),
        commands=["cat /below"],
        builder_options={**OPTIONS, "speed": "high"},
        registry_config="registry.json",
    )
    events: list[dict[str, Any]] = []
    assert spec.exist() is False
    built = tierce.build(spec, progress=events.append)
    assert (built.uri, built.status) == (spec.image_name(), "built")
    assert registry.has(spec.image_name())
    assert f"_F_IMG_ID={spec.id}" in registry.config(spec.image_name())["config"]["Env"]
    assert spec.exist() is True
    assert ImageBuildEngine.build(spec).status == "present"
    assert ImageBuildEngine.build(spec.force_push()).status == "built"
    # What it can't give is said, and not left out in silence.
    said = str(events)
    assert "imagespec/unsupported-builder-option" in said
    assert "imagespec/unsupported-parameter" in said


def test_no_push(registry: Registry, base: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_PUSH_IMAGE_SPEC", "false")
    spec = ImageSpec("kept", registry=registry.host, base_image=base, builder_options=OPTIONS)
    assert tierce.build(spec).status == "built"
    assert not registry.has(spec.image_name())


def test_noop(store: Path) -> None:
    spec = ImageSpec(builder="noop", base_image="ghcr.io/team/mine:1", runtime_packages=["six"])
    assert ImageBuildEngine.build(spec).uri == "ghcr.io/team/mine:1"
    with pytest.raises(ValueError, match="needs a base_image that is a reference"):
        ImageBuildEngine.build(ImageSpec(builder="noop"))


def test_each_of_several_goes_to_its_builder(store: Path) -> None:
    recorder, absent = Recorder("example.com/several:1"), Recorder(needed=False)
    own = ImageSpec("own", builder=registered(recorder))
    there = ImageSpec("there", builder=registered(absent))
    plain = tierce.Image.from_base("example.com/plain:1")
    wanted = [plain, own, there]
    expected = ["example.com/plain:1", "example.com/several:1", there.image_name()]

    async def main() -> list[tierce.ImageBuild]:
        return await tierce.build_all.aio(wanted, progress=None)

    for built in (tierce.build_all(wanted, progress=None), asyncio.run(main())):
        assert [build.uri for build in built] == expected
        assert [build.status for build in built] == ["unmodified", "built", "present"]
    assert recorder.built == [own, own]
    dry = tierce.build_all(wanted, dry_run=True, progress=None)
    assert [build.status for build in dry] == ["unmodified", "would-build", "present"]
    assert recorder.built == [own, own]


def test_the_failure_of_a_builder_is_one_of_several(store: Path) -> None:
    class Failing(Recorder):
        def build_image(self, image_spec: ImageSpec) -> str | None:
            raise OSError("no room")

    spec = ImageSpec("failing", builder=registered(Failing()))
    plain = tierce.Image.from_base("example.com/plain:1")
    failure, built = tierce.build_all([spec, plain], progress=None, return_exceptions=True)
    assert isinstance(failure, OSError)
    assert built.uri == "example.com/plain:1"
    with pytest.raises(OSError, match="no room"):
        tierce.build_all([spec, plain], progress=None)


def test_builders_say_whether_images_are_there(store: Path) -> None:
    recorder = Recorder(needed=False)
    spec = ImageSpec("app", builder=registered(recorder))
    assert tierce.image_exists(spec) == spec.image_name()
    recorder.needed = True
    assert tierce.image_exists(spec) is None
    assert asyncio.run(tierce.image_exists.aio(spec)) is None
    assert (len(recorder.asked), recorder.built) == (3, [])


@pytest.mark.parametrize(
    "wish",
    [{"wait": False}, {"push": False}, {"exports": ["oci:out"]}, {"platforms": ["linux/arm64"]}],
    ids=lambda wish: next(iter(wish)),
)
def test_what_a_builder_cannot_be_told_is_an_error(wish: dict[str, Any], store: Path) -> None:
    recorder = Recorder()
    spec = ImageSpec("app", builder=registered(recorder))
    with pytest.raises(SpecificationError, match=next(iter(wish))) as failed:
        tierce.build(spec, **wish)
    assert failed.value.code == "python/spec-builder-options"
    with pytest.raises(SpecificationError):
        asyncio.run(tierce.build.aio(spec, **wish))
    assert recorder.built == []


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        ({"push": 5}, TypeError),
        ({"force": 1}, TypeError),
        ({"wait": "no"}, TypeError),
        ({"exports": 5}, TypeError),
        ({"progress": 5}, TypeError),
        ({"progress": "nonsense"}, ValueError),
        ({"platforms": ["nonsense"]}, ValueError),
    ],
    ids=str,
)
def test_arguments_are_checked_as_for_others(
    wish: dict[str, Any], kind: type[Exception], store: Path
) -> None:
    spec = ImageSpec("app", builder=registered(Recorder()))
    with pytest.raises(kind, match=next(iter(wish))):
        tierce.build(spec, **wish)


def test_wrong_types_name_the_parameter() -> None:
    anything: Any = 5
    calls: list[tuple[str, Callable[[], object]]] = [
        ("builder_type", lambda: ImageBuildEngine.register(anything, Recorder())),
        ("image_spec_builder", lambda: ImageBuildEngine.register("a", anything)),
        ("priority", lambda: ImageBuildEngine.register("a", Recorder(), priority="x")),  # type: ignore[arg-type]
        ("id", lambda: tierce.Run.get(anything)),
        ("uri", lambda: tierce.ImageBuild(anything)),
        ("digest", lambda: tierce.ImageBuild("a", anything)),
        ("status", lambda: tierce.ImageBuild("a", status=anything)),
        ("images", lambda: tierce.build_all(anything)),
        ("image", lambda: tierce.build(anything)),
    ]
    for parameter, call in calls:
        with pytest.raises(TypeError, match=f"argument '{parameter}' must be "):
            call()
