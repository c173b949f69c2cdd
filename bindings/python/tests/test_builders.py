"""Builders and checkers that are written in Python: Flyte's kind."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tierce
from support.builds import small
from support.registry import Registry
from tierce import Image
from tierce.errors import EnvironmentFailure, SpecificationError, StepError, UpstreamError
from tierce.extend import Architecture, ImageBuild, ImageBuilder, ImageChecker

pytestmark = pytest.mark.usefixtures("plain")

DIGEST = "sha256:" + "1" * 64


class Failing(ImageBuilder):
    """Raises what it is given."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    async def build_image(
        self, image: Image, dry_run: bool, wait: bool = True, force: bool = False
    ) -> ImageBuild:
        await asyncio.sleep(0)
        raise self.failure

    def get_checkers(self) -> list[type[ImageChecker]] | None:
        return []


@dataclass
class Recorder(ImageBuilder):
    """Remembers what it is asked to build."""

    calls: list[tuple[Any, bool, bool, bool]] = field(default_factory=list)
    checkers: list[Any] | None = field(default_factory=list)
    answer: Any = None

    async def build_image(
        self, image: Image, dry_run: bool, wait: bool = True, force: bool = False
    ) -> ImageBuild:
        await asyncio.sleep(0)
        self.calls.append((image, dry_run, wait, force))
        built: ImageBuild = self.answer or ImageBuild(uri=image.uri, digest=DIGEST)
        return built

    def get_checkers(self) -> list[type[ImageChecker]] | None:
        return self.checkers


def checker(answer: Callable[[str, str, tuple[Architecture, ...]], str | None]) -> Any:
    class Checker(ImageChecker):
        @classmethod
        async def image_exists(
            cls, repository: str, tag: str, arch: tuple[Architecture, ...] = ("linux/amd64",)
        ) -> str | None:
            await asyncio.sleep(0)
            return answer(repository, tag, arch)

    return Checker


def test_an_object_builds(empty: str) -> None:
    image, builder = small(empty), Recorder()
    built = tierce.build(image, builder=builder)
    assert (built.uri, built.digest, built.status) == (image.uri, DIGEST, "built")
    assert builder.calls == [(image, False, True, False)]
    assert builder.calls[0][0] is image
    tierce.build(image, builder=builder, force=True)
    assert builder.calls[1][1:] == (False, True, True)


def test_a_dry_run_is_passed_on(empty: str) -> None:
    builder = Recorder()
    assert tierce.build(small(empty), builder=builder, dry_run=True).status == "would-build"
    assert builder.calls[0][1] is True


def test_who_does_not_wait_gets_the_builders_run(empty: str) -> None:
    builder = Recorder(answer=SimpleNamespace(uri=None, remote_run="run 7"))
    built = tierce.build(small(empty), builder=builder, wait=False)
    assert builder.calls[0][2] is False
    assert (built.uri, built.remote_run) == (small(empty).uri, "run 7")
    assert built.status == "started"


def test_init_takes_an_object(empty: str) -> None:
    builder = Recorder()
    tierce.init(image_builder=builder)
    tierce.build(small(empty))
    assert len(builder.calls) == 1
    tierce.build(small(empty), builder="native")
    assert len(builder.calls) == 1


def test_a_name_is_as_good_where_it_is_registered(empty: str) -> None:
    builder = Recorder()
    tierce.ImageBuildEngine.register("recorder", builder)
    tierce.build(small(empty), builder="recorder")
    tierce.init(image_builder="recorder")
    tierce.build(small(empty))
    assert len(builder.calls) == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda image: "other.example/app:1", ("other.example/app:1", None)),
        (lambda image: SimpleNamespace(uri="a/b:1", remote_run=None), ("a/b:1", None)),
        (lambda image: ImageBuild(uri=f"a.example/b:1@{DIGEST}"), (None, DIGEST)),
    ],
)
def test_plain_functions_and_others_results_do(
    empty: str, answer: Callable[[Image], Any], expected: tuple[str | None, str | None]
) -> None:
    class Plain:
        def build_image(self, image: Image, dry_run: bool, wait: bool, force: bool) -> Any:
            return answer(image)

    for built in (
        tierce.build(small(empty), builder=Plain()),  # type: ignore[arg-type]
        asyncio.run(tierce.build.aio(small(empty), builder=Plain())),  # type: ignore[arg-type]
    ):
        uri, digest = expected
        assert built.digest == digest
        assert uri is None or built.uri == uri


def test_the_traceback_tells_of_nothing_but_the_builder(empty: str) -> None:
    with pytest.raises(StepError) as raised:
        tierce.build(small(empty), builder=Failing(RuntimeError("inner")), progress=None)
    told = "".join(traceback.format_exception(raised.value))
    assert "RuntimeError: inner" in told
    assert "During handling" not in told
    assert "no running event loop" not in told
    cause = raised.value.__cause__
    assert cause is not None and cause.__context__ is None


def test_exceptions_are_the_cause_with_their_traceback(empty: str) -> None:
    for on_a_loop in (False, True):
        builder = Failing(ValueError("boom"))
        with pytest.raises(StepError) as raised:
            if on_a_loop:
                asyncio.run(tierce.build.aio(small(empty), builder=builder))
            else:
                tierce.build(small(empty), builder=builder)
        assert raised.value.code == "python/builder"
        assert "the builder Failing failed to build small:" in str(raised.value)
        assert "ValueError: boom" in str(raised.value)
        cause = raised.value.__cause__
        assert isinstance(cause, ValueError)
        frames = [frame.name for frame in traceback.extract_tb(cause.__traceback__)]
        assert frames[-1] == "build_image"


def test_what_exceptions_say_of_urls_has_no_credentials(empty: str) -> None:
    said = "at https://user:hunter2@h.example/simple and user:hunter2@h.example"
    with pytest.raises(StepError) as raised:
        tierce.build(small(empty), builder=Failing(RuntimeError(said)), progress=None)
    assert "hunter2" not in str(raised.value)
    assert "at https://h.example/simple and ***@h.example" in str(raised.value)
    # What the builder raised stays what it is.
    assert str(raised.value.__cause__) == said


def test_errors_of_tierce_are_passed_on(empty: str) -> None:
    failure = UpstreamError("gone", "registry/gone")
    with pytest.raises(UpstreamError) as raised:
        tierce.build(small(empty), builder=Failing(failure))
    assert raised.value is failure


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_what_is_no_failure_is_passed_on(empty: str, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        tierce.build(small(empty), builder=Failing(failure))
    # Nothing is left in the way of the next one.
    assert tierce.build(small(empty), builder=Recorder()).status == "built"


def test_what_is_no_result_is_an_error(empty: str) -> None:
    with pytest.raises(StepError, match="must return an ImageBuild, not int"):
        tierce.build(small(empty), builder=Recorder(answer=7))


def test_the_engine_validates_before(empty: str) -> None:
    builder = Recorder()
    with pytest.raises(SpecificationError):
        tierce.build(small(empty).with_apt_packages("Git!"), builder=builder)
    assert builder.calls == []


def test_sources_that_change_meanwhile_are_an_error(empty: str, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("before")

    class Slow(Recorder):
        async def build_image(
            self, image: Image, dry_run: bool, wait: bool = True, force: bool = False
        ) -> ImageBuild:
            source.write_text("afterwards")
            return ImageBuild(uri=image.uri)

    with pytest.raises(SpecificationError, match=r"a\.txt"):
        tierce.build(small(empty).with_source_file(source), builder=Slow())


def test_checkers_decide(empty: str, registry: Registry) -> None:
    image = small(empty, "checked").clone(registry=f"{registry.host}/team")
    asked: list[tuple[str, str, tuple[str, ...]]] = []

    def there(repository: str, tag: str, arch: tuple[Architecture, ...]) -> str:
        asked.append((repository, tag, arch))
        return f"{repository}:{tag}"

    builder = Recorder(checkers=[checker(there)])
    built = tierce.build(image, builder=builder, platforms=["linux/amd64", "linux/arm64"])
    repository, tag, arch = asked[0]
    assert (built.status, built.uri) == ("present", f"{repository}:{tag}")
    assert repository == f"{registry.host}/team/checked"
    assert set(arch) == {"linux/amd64", "linux/arm64"}
    assert builder.calls == []
    assert tierce.image_exists(small(empty), builder=builder) == small(empty).uri
    assert asked[1][0] == "small"
    tierce.build(image, builder=builder, force=True)
    assert (len(asked), len(builder.calls)) == (2, 1)


def test_what_was_seen_elsewhere_does_not_count_for_them(empty: str, registry: Registry) -> None:
    image = small(empty, "seen").clone(registry=registry.host)
    tierce.build(image)
    assert tierce.build(image).status == "present"
    absent = checker(lambda repository, tag, arch: None)
    assert tierce.build(image, builder=Recorder(checkers=[absent])).status == "built"


def test_a_checker_may_know_the_digest(empty: str, registry: Registry) -> None:
    image = small(empty, "pinned").clone(registry=registry.host)
    pinned = checker(lambda repository, tag, arch: f"{repository}:{tag}@{DIGEST}")
    built = tierce.build(image, builder=Recorder(checkers=[pinned]))
    assert (built.status, built.digest) == ("present", DIGEST)


def test_the_next_checker_is_asked_where_one_raises(
    empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def raises(repository: str, tag: str, arch: tuple[Architecture, ...]) -> str:
        raise LookupError("asleep")

    absent = checker(lambda repository, tag, arch: None)
    builder = Recorder(checkers=[checker(raises), absent()])
    assert tierce.build(small(empty), builder=builder).status == "built"
    assert "asleep" not in capsys.readouterr().err
    builder = Recorder(checkers=[checker(raises)])
    assert tierce.build(small(empty), builder=builder).status == "built"
    assert "LookupError: asleep" in capsys.readouterr().err


def test_without_checkers_the_registry_is_asked(empty: str, registry: Registry) -> None:
    image = small(empty, "there").clone(registry=registry.host)
    tierce.build(image)
    builder = Recorder(checkers=None)
    assert tierce.build(image, builder=builder).status == "present"
    assert builder.calls == []
    assert tierce.build(small(empty, "nowhere"), builder=builder).status == "built"


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with builders of both groups, and one that can't be loaded."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/acme_builders.py").write_text(
        "class Builder:\n"
        "    made = 0\n"
        "    def __init__(self):\n"
        "        Builder.made += 1\n"
        "    async def build_image(self, image, dry_run, wait=True, force=False):\n"
        "        from tierce.extend import ImageBuild\n"
        "        return ImageBuild(uri='acme.example/' + image.name + ':1')\n"
        "    def get_checkers(self):\n"
        "        return []\n"
        "instance = Builder()\n"
    )
    info = tmp_path / "site/acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tierce.plugins.image_builders]\nacme = acme_builders:Builder\n"
        "broken = acme_builders:Missing\n"
        "[flyte.plugins.image_builders]\nacme-flyte = acme_builders:instance\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "acme_builders", raising=False)
    return tmp_path / "site"


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("name", ["acme", "acme-flyte"])
def test_packages_bring_builders(empty: str, name: str) -> None:
    assert tierce.build(small(empty), builder=name).uri == "acme.example/small:1"
    built = asyncio.run(tierce.build.aio(small(empty), builder=name))
    assert built.uri == "acme.example/small:1"


@pytest.mark.usefixtures("plugins")
def test_an_unknown_builder_lists_those_that_exist(empty: str) -> None:
    with pytest.raises(SpecificationError) as raised:
        tierce.build(small(empty), builder="nope")
    assert raised.value.code == "engine/unknown-builder"
    for name in ("native", "docker", "acme", "acme-flyte"):
        assert name in str(raised.value)
    assert "acme_builders:Builder" in str(raised.value)
    assert "entry points tierce.plugins.image_builders" in (raised.value.hint or "")
    # That is how Flyte finds tierce.
    assert "TierceImageBuilder" not in str(raised.value)


@pytest.mark.usefixtures("plugins")
def test_a_builder_that_cannot_be_loaded_says_why(empty: str) -> None:
    with pytest.raises(EnvironmentFailure) as raised:
        tierce.build(small(empty), builder="broken")
    assert isinstance(raised.value.__cause__, AttributeError)


def test_no_metadata_is_read_for_builders_of_the_engine(empty: str, plugins: Path) -> None:
    seen: list[str] = []
    original = sys.modules.pop("tierce._entry_points", None)
    try:
        tierce.build(small(empty), builder="native")
        if "tierce._entry_points" in sys.modules:
            seen.append("tierce._entry_points")
    finally:
        if original is not None:
            sys.modules["tierce._entry_points"] = original
    assert seen == []


def test_several_are_built_by_one_at_once(empty: str) -> None:
    begun: list[str] = []

    class Meeting(Recorder):
        async def build_image(
            self, image: Image, dry_run: bool, wait: bool = True, force: bool = False
        ) -> ImageBuild:
            begun.append(str(image.name))
            while len(begun) < 2:
                await asyncio.sleep(0.01)
            return ImageBuild(uri=image.uri)

    builds = tierce.build_all([small(empty, "one"), small(empty, "two")], builder=Meeting())
    assert [str(build.uri).split(":")[0] for build in builds] == ["one", "two"]
    assert sorted(begun) == ["one", "two"]


def test_a_builder_may_build_with_tierce(empty: str) -> None:
    class Wrapping(Recorder):
        async def build_image(
            self, image: Image, dry_run: bool, wait: bool = True, force: bool = False
        ) -> ImageBuild:
            if wait:
                return await tierce.build.aio(image, builder="native")
            return tierce.build(image, builder=Recorder())

    built = tierce.build(small(empty), builder=Wrapping())
    assert built.digest is not None and built.digest != DIGEST
    assert tierce.build(small(empty), builder=Wrapping(), wait=False).digest == DIGEST


def test_each_image_is_handed_over_as_itself(empty: str) -> None:
    plain = small(empty, "same")
    differing = [
        plain.clone(registry="one.example.com", name="same"),
        plain.clone(registry="two.example.com", name="same"),
        plain.clone(name="other"),
        plain.with_workdir("/a"),
        plain.with_workdir("/b"),
        Image.from_base(empty)
        .clone(name="same", extendable=True, platform=("linux/arm64",))
        .with_env_vars({"A": "1"}),
        plain.clone(name="above", extendable=True).with_env_vars({"B": "2"}),
    ]
    builder = Recorder()
    built = tierce.build_all(differing, builder=builder, force=True, progress=None)
    assert [build.uri for build in built] == [image.uri for image in differing]
    given = [image for image, *_ in builder.calls]
    assert all(sum(image is one for one in given) == 1 for image in differing)


def test_a_base_is_handed_over_as_itself(empty: str) -> None:
    other = small(empty, "other")
    below = tierce.ImageSpec("below", env={"A": "2"})
    upon = tierce.ImageSpec("upon", base_image=below, env={"B": "2"})
    builder = Recorder(answer=ImageBuild(uri="example.com/app:1"))
    tierce.build_all([other, upon], builder=builder, force=True, progress=None)
    given = [image for image, *_ in builder.calls]
    assert sorted(image.name for image in given) == ["below", "other", "upon"]
    assert all(any(image == one for one in given) for image in (other, below, upon))
