"""`tierce.build`: what it does with an image, and what it says of it."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tierce
from support.builds import small
from support.registry import Registry
from tierce import ImageBuild
from tierce.errors import SpecificationError, TierceError

pytestmark = pytest.mark.usefixtures("plain")


def test_without_a_registry_it_is_kept_in_the_store(empty: str) -> None:
    built = tierce.build(small(empty))
    assert built.status == "built"
    assert built.uri is not None and built.uri.startswith("small:")
    assert built.digest is not None and built.digest.startswith("sha256:")
    assert built.remote_run is None
    assert [platform.platform for platform in built.platforms] != []
    assert built.bytes_uploaded == 0
    again = tierce.build(small(empty))
    assert (again.status, again.uri, again.digest) == ("present", built.uri, built.digest)


def test_arguments_that_do_not_fit_are_told_under_the_functions_names(empty: str) -> None:
    wrong: dict[str, Any] = {"foo": 1}
    calls: list[tuple[str, Callable[..., Any]]] = [
        ("build", tierce.build),
        ("build.aio", tierce.build.aio),
        ("build_all", tierce.build_all),
        ("build_all.aio", tierce.build_all.aio),
        ("image_exists", tierce.image_exists),
        ("image_exists.aio", tierce.image_exists.aio),
    ]
    for name, call in calls:
        with pytest.raises(TypeError) as raised:
            call(small(empty), **wrong)
        assert str(raised.value) == f"{name}() got an unexpected keyword argument 'foo'"


def test_with_a_registry_it_is_pushed(empty: str, registry: Registry) -> None:
    image = small(empty, "pushed").clone(registry=f"{registry.host}/team")
    built = tierce.build(image)
    assert built.uri == image.uri
    assert built.uri is not None and built.uri.startswith(f"{registry.host}/team/pushed:")
    assert registry.config(built.uri)["config"]["Env"][-1] == "A=1"
    assert built.requests > 0
    assert tierce.build(image).status == "present"


def test_a_registry_may_be_that_of_the_program(empty: str, registry: Registry) -> None:
    tierce.init(image_registry=registry.host)
    built = tierce.build(small(empty, "by-default"))
    assert built.uri is not None and registry.has(built.uri)


def test_push_says_otherwise(empty: str, registry: Registry, store: Path) -> None:
    image = small(empty, "kept").clone(registry=registry.host)
    built = tierce.build(image, push=False)
    assert built.uri == image.uri
    assert not registry.has(image.uri)
    with pytest.raises(SpecificationError) as raised:
        tierce.build(small(empty), push=True)
    assert raised.value.code == "engine/no-registry"


def test_exports_are_written(empty: str, registry: Registry, tmp_path: Path) -> None:
    image = small(empty, "exported").clone(registry=registry.host)
    built = tierce.build(image, exports=[f"oci:{tmp_path}/out"])
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert index["manifests"][0]["digest"] == built.digest
    assert not registry.has(image.uri)
    with pytest.raises(SpecificationError) as raised:
        tierce.build(image, exports=["zip:x"])
    assert raised.value.code == "cli/invalid-output"


def test_a_dry_run_changes_nothing(empty: str) -> None:
    built = tierce.build(small(empty), dry_run=True)
    assert built.status == "would-build"
    assert built.digest is None
    assert built.plan is not None and built.plan.uri == built.uri
    assert tierce.build(small(empty), dry_run=True).status == "would-build"


def test_force_builds_what_is_there(empty: str) -> None:
    first = tierce.build(small(empty))
    again = tierce.build(small(empty), force=True)
    assert (again.status, again.digest) == ("built", first.digest)


def test_what_is_its_base_is_not_built(empty: str) -> None:
    built = tierce.build(tierce.Image.from_base(empty))
    assert (built.status, built.uri, built.digest) == ("unmodified", empty, None)


def test_platforms_are_chosen(empty: str) -> None:
    built = tierce.build(small(empty), platforms=["linux/amd64"])
    assert [platform.platform for platform in built.platforms] == ["linux/amd64"]
    assert built.platforms[0].digest == built.digest
    assert built.layers == built.platforms[0].layers


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dry_run": "yes"}, "'dry_run' must be bool, not str"),
        ({"push": 1}, "'push' must be bool, not int"),
        ({"wait": None}, "'wait' must be bool, not None"),
        ({"exports": 1}, "'exports' must be"),
        ({"platforms": 1}, "'platforms' must be"),
        ({"progress": 1}, "'progress' must be str, a function or None, not int"),
        ({"builder": 1}, "'builder' must be the name of a builder or an object with build_image"),
        ({"builder": ImageBuild}, "not a class: ImageBuild()"),
    ],
)
def test_wrong_types_name_the_parameter(
    empty: str, arguments: dict[str, object], says: str
) -> None:
    with pytest.raises(TypeError) as raised:
        tierce.build(small(empty), **arguments)  # type: ignore[arg-type]
    assert says in str(raised.value)


@pytest.mark.parametrize("image", [None, "debian:12", 1, ImageBuild])
def test_what_is_no_image_is_a_type_error(image: object) -> None:
    with pytest.raises(TypeError, match="argument 'image' must be Image or ImageSpec"):
        tierce.build(image)


def test_a_list_gets_a_hint(empty: str) -> None:
    with pytest.raises(TypeError, match="tierce.build_all builds several"):
        tierce.build([small(empty)])


def test_errors_have_code_and_hint(empty: str, registry: Registry) -> None:
    image = tierce.Image.from_base(f"{registry.host}/nothing:1").clone(name="x", extendable=True)
    with pytest.raises(SpecificationError) as raised:
        tierce.build(image.with_env_vars({"A": "1"}))
    assert raised.value.code == "base/not-found"
    assert f"{registry.host} has no nothing:1" in str(raised.value)


def test_several_are_built_at_once(empty: str) -> None:
    images = [small(empty, "one"), small(empty, "two"), small(empty, "one")]
    builds = tierce.build_all(images)
    uris = [build.uri for build in builds]
    assert [uri.split(":")[0] for uri in uris] == ["one", "two", "one"]
    assert uris[0] == uris[2]
    assert asyncio.run(tierce.build_all.aio(images))[0].status == "present"


def test_a_failure_leaves_the_others_alone(empty: str, registry: Registry) -> None:
    broken = tierce.Image.from_base(f"{registry.host}/nothing:1").clone(name="x", extendable=True)
    images = [broken.with_env_vars({"A": "1"}), small(empty, "fine")]
    failure, built = tierce.build_all(images, return_exceptions=True)
    assert isinstance(failure, SpecificationError)
    assert built.status == "built"
    with pytest.raises(SpecificationError):
        tierce.build_all(images)


def test_whether_it_is_there_can_be_asked(empty: str, registry: Registry) -> None:
    image = small(empty, "asked").clone(registry=registry.host)
    assert tierce.image_exists(image) is None
    tierce.build(image)
    assert tierce.image_exists(image) == image.uri
    assert asyncio.run(tierce.image_exists.aio(image)) == image.uri
    assert asyncio.run(tierce.ImageBuildEngine.image_exists(image)) == image.uri
    assert tierce.image_exists(tierce.Image.from_base(empty)) == empty


def test_the_engine_is_flytes_and_flytekits(empty: str, registry: Registry) -> None:
    async def with_flyte() -> ImageBuild:
        return await tierce.ImageBuildEngine.build(small(empty), dry_run=True)

    assert asyncio.run(with_flyte()).status == "would-build"
    spec = tierce.ImageSpec("spec", base_image=empty, env={"A": "1"}, registry=registry.host)
    built = tierce.ImageBuildEngine.build(spec, dry_run=True)
    assert isinstance(built, ImageBuild)
    assert built.status == "would-build"


def test_in_the_background_a_run_builds(empty: str) -> None:
    started = tierce.build(small(empty, "later"), wait=False)
    run = started.remote_run
    assert isinstance(run, tierce.Run)
    assert (started.status, started.build_run) == ("started", run.id)
    assert run.uri == started.uri
    built = run.wait()
    assert (built.status, built.uri, built.build_run) == ("built", started.uri, run.id)
    assert (run.status, run.done(), run.cancel()) == ("succeeded", True, False)
    assert any("built later:" in line for line in run.logs())
    assert repr(run) == f"<tierce run {run.id}: succeeded, {run.uri}>"
    assert tierce.Run.get(run.id) == run == pickle.loads(pickle.dumps(run))
    # What is there needs no run.
    again = tierce.build(small(empty, "later"), wait=False)
    assert (again.status, again.remote_run) == ("present", None)


def test_what_is_wrong_with_an_image_is_said_before_a_run_starts(empty: str, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("")
    missing = small(empty, "missing").with_source_file(source)
    source.unlink()
    with pytest.raises(TierceError) as raised:
        tierce.build(missing, wait=False)
    assert raised.value.code.startswith("source/")


def test_a_run_that_fails_raises_what_the_build_would_have(empty: str, registry: Registry) -> None:
    broken = tierce.Image.from_base(f"{registry.host}/nothing:1").clone(name="x", extendable=True)
    run = tierce.build(broken.with_env_vars({"A": "1"}), wait=False).remote_run
    assert run is not None
    with pytest.raises(SpecificationError) as raised:
        run.wait()
    assert raised.value.code == "base/not-found"
    assert raised.value.hint
    assert run.status == "failed"


def test_an_unknown_run_is_an_error(store: Path) -> None:
    with pytest.raises(SpecificationError, match="no run"):
        tierce.Run.get("nothing")


def test_results_are_values() -> None:
    build = ImageBuild(uri="a:1", digest=None, remote_run=None)
    assert (build.uri, build.digest, build.remote_run, build.status) == ("a:1", None, None, "built")
    assert repr(build) == "ImageBuild(uri='a:1', status='built')"
    assert build == ImageBuild("a:1") != ImageBuild("a:2")
    assert hash(build) == hash(ImageBuild("a:1"))
    assert pickle.loads(pickle.dumps(build)) == build
    running = ImageBuild(None, None, "somewhere")
    assert (running.status, running.remote_run) == ("started", "somewhere")
    with pytest.raises(AttributeError):
        build.uri = "b"  # type: ignore[misc]
