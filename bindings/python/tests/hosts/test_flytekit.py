"""flytekit's own `ImageSpec`s, with tierce as their builder, and no Docker anywhere."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.containers import Containers
from support.registry import Registry
from support.require import skip

try:
    import flytekit
except ImportError as error:
    skip("flytekit", error)

import tierce  # noqa: E402
from conftest import environment  # noqa: E402
from flytekit.configuration import SerializationSettings  # noqa: E402
from flytekit.constants import CopyFileDetection  # noqa: E402
from flytekit.core.python_auto_container import update_image_spec_copy_handling  # noqa: E402
from flytekit.image_spec import image_spec as theirs  # noqa: E402
from flytekit.image_spec.image_spec import ImageBuildEngine, ImageSpec  # noqa: E402
from tierce.errors import SpecificationError  # noqa: E402
from tierce.integrations.flytekit import TierceImageSpecBuilder, to_image_spec  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "flytekit"
FLYTEKIT = f"flytekit=={flytekit.__version__}"


def programs(folder: Path) -> str:
    """A PATH with this Python's programs and what sandboxes need, and nothing of Docker's."""
    folder.mkdir()
    for name in ("newuidmap", "newgidmap", "sh", "cat"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return f"{folder}:{os.path.dirname(sys.executable)}"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The variables of a machine without Docker; its store is shared by the tests."""
    home = tmp_path_factory.mktemp("flytekit") / "home"
    return {
        **environment(home),
        "PATH": programs(home / "bin"),
        # There is no engine to ask.
        "DOCKER_HOST": f"unix://{home}/none.sock",
        "FLYTECTL_CONFIG": str(home / "none.yaml"),
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def host(
    machine: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """That machine, for this process."""
    for name in [name for name in os.environ if name.startswith(("FLYTE_", "TIERCE_IMAGE"))]:
        monkeypatch.delenv(name)
    for name, value in machine.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    ImageBuildEngine.build.cache_clear()
    return machine


def pyflyte(
    machine: Mapping[str, str], *args: str, cwd: Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs the `pyflyte` command."""
    kept = {n: v for n, v in os.environ.items() if n.upper().endswith("_PROXY") or n == "SSL_CERT_FILE"}
    run = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "pyflyte"), *args],
        cwd=cwd,
        env={**kept, **machine},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and run.returncode:
        raise AssertionError(f"pyflyte {' '.join(args)}:\n{run.stdout}{run.stderr}")
    return run


def local(to: Registry | None, base: str, **fields: Any) -> ImageSpec:
    """A spec that is quick to build: on a base of this machine's, without flytekit."""
    options = {"flytekit": False, "user": "root"}
    fields = {"name": f"app-{uuid.uuid4().hex[:8]}", "registry": to and to.host, **fields}
    return ImageSpec(builder="tierce", base_image=base, builder_options=options, **fields)


# --- what flytekit's class has, tierce's has


def test_the_signature_is_flytekits() -> None:
    mine = inspect.signature(tierce.ImageSpec).parameters
    flytekits = inspect.signature(ImageSpec).parameters
    assert [(p.name, p.kind, p.default) for p in mine.values()] == [
        (p.name, p.kind, p.default) for p in flytekits.values()
    ]


def test_every_method_of_flytekits_is_there() -> None:
    methods = {name for name in vars(ImageSpec) if not name.startswith("_")}
    assert methods <= set(dir(tierce.ImageSpec))
    for name in ("with_commands", "with_packages", "with_copy", "with_builder_options", "from_env"):
        mine = inspect.signature(getattr(tierce.ImageSpec, name)).parameters
        flytekits = inspect.signature(getattr(ImageSpec, name)).parameters
        assert [p.name for p in mine.values()] == [p.name for p in flytekits.values()]


def test_copy_modes_are_flytekits() -> None:
    assert {m.name: m.value for m in tierce.CopyFileDetection} == {
        m.name: m.value for m in CopyFileDetection
    }
    spec = tierce.ImageSpec(source_root=".", source_copy_mode=CopyFileDetection.ALL)
    assert spec.source_copy_mode is tierce.CopyFileDetection.ALL


@pytest.mark.parametrize(
    "fields",
    [
        {"packages": "pandas"},
        {"commands": [1]},
        {"entrypoint": ("a",)},
        {"pip_secret_mounts": ["a"]},
        {"pip_secret_mounts": [("a", 1)]},
        {"builder_options": []},
        {"registry": "not a registry"},
        {"registry": "https://ghcr.io"},
    ],
)
def test_what_flytekit_refuses_tierce_refuses_with_a_value_error(fields: dict[str, Any]) -> None:
    for class_ in (ImageSpec, tierce.ImageSpec):
        with pytest.raises(ValueError, match=next(iter(fields))):
            class_(**fields)


# --- tierce as flytekit's builder


def test_flytekit_finds_the_builder_and_prefers_it() -> None:
    builder, priority = ImageBuildEngine.get_registry()["tierce"]
    assert isinstance(builder, TierceImageSpecBuilder)
    assert priority > 5
    assert ImageSpec().builder == "tierce"


@pytest.mark.parametrize("first", ["flytekit", "tierce.integrations.flytekit", "tierce"])
def test_whatever_is_imported_first(first: str) -> None:
    code = (
        f"import {first}; from flytekit.image_spec.image_spec import ImageBuildEngine as e; "
        "print(type(e.get_registry()['tierce'][0]).__name__)"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["TierceImageSpecBuilder"]


def test_every_field_is_carried_over(host: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six\n")
    (tmp_path / "data").write_text("")
    said: dict[str, Any] = {
        "name": "every",
        "python_version": "3.11",
        "source_root": "src",
        "env": {"A": "1"},
        "registry": "localhost:1",
        "packages": ["pandas"],
        "conda_packages": ["gdal"],
        "conda_channels": ["nvidia"],
        "requirements": "requirements.txt",
        "apt_packages": ["git"],
        "cuda": "12.1",
        "cudnn": "8",
        "base_image": "python:3.11",
        "platform": "linux/amd64,linux/arm64",
        "pip_index": "https://example.com/simple",
        "pip_extra_index_url": ["https://example.org/simple"],
        "pip_secret_mounts": [(".netrc", "/root/.netrc")],
        "pip_extra_args": "--no-deps",
        "registry_config": "registry.json",
        "entrypoint": ["run"],
        "commands": ["true"],
        "tag_format": "{spec_hash}-x",
        "source_copy_mode": CopyFileDetection.NO_COPY,
        "copy": ["data"],
        "runtime_packages": ["six"],
        "builder_options": {"user": "root"},
        "builder_config": {"uv_image": "uv"},
    }
    fields = {field.name for field in dataclasses.fields(ImageSpec)}
    assert fields == {*said, "builder", "python_exec"}
    spec = ImageSpec(builder="tierce", **said)
    mine = to_image_spec(spec)
    said["source_copy_mode"] = tierce.CopyFileDetection.NO_COPY
    assert {name: getattr(mine, name) for name in said} == said
    assert mine.builder is None
    # conda's are left out of those with an interpreter of the base.
    assert to_image_spec(ImageSpec(python_exec="/bin/python")).python_exec == "/bin/python"
    # Without a base the image gets the Python that runs, as flytekit's does.
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    plain = ImageSpec(name="a")
    expected = tierce.ImageSpec(name="a", python_version=running, platform="linux/amd64")
    assert to_image_spec(plain) == expected._known_as(plain.id, plain.tag)
    assert to_image_spec(plain.force_push()) == to_image_spec(plain).force_push()


def test_the_name_is_flytekits(host: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text("a = 1\n")
    spec = ImageSpec(
        "App",
        registry="localhost:1/Team",
        base_image="python:3.11",
        source_root="src",
        source_copy_mode=CopyFileDetection.ALL,
    )
    assert to_image_spec(spec).image_name() == spec.image_name()
    dev = ImageSpec("app", base_image="python:3.11", tag_format="{spec_hash}-dev")
    assert to_image_spec(dev).image_name() == dev.image_name()
    assert tierce.ImageSpec("x").id != tierce.ImageSpec("x")._known_as("i", "t").image_name()


def test_an_image_is_built_and_found(
    host: Mapping[str, str], registry: Registry, base: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = local(registry, base, commands=["echo built > /made"], env={"WORDS": "a b"})
    builder = TierceImageSpecBuilder()
    assert builder.should_build(spec)
    ImageBuildEngine.build(spec)
    assert registry.has(spec.image_name())
    config = registry.config(spec.image_name())["config"]
    assert f"_F_IMG_ID={spec.id}" in config["Env"]
    assert "WORDS=a b" in config["Env"]
    assert not builder.should_build(spec)
    assert f"Image {spec.image_name()} found. Skip building." in capfd.readouterr().out
    # Forced, it is built again.
    assert builder.should_build(spec.force_push())
    ImageBuildEngine.build.cache_clear()
    ImageBuildEngine.build(spec.force_push())


def test_a_base_is_built_first_and_need_not_be_pushed(
    host: Mapping[str, str], registry: Registry, base: str
) -> None:
    below = local(None, base, commands=["echo below > /below"])
    spec = dataclasses.replace(
        local(registry, base, commands=["cat /below"]), base_image=below
    )
    ImageBuildEngine.build(spec)
    assert registry.has(spec.image_name())
    # The container knows the spec by what it is, not by what its base is called.
    env = registry.config(spec.image_name())["config"]["Env"]
    assert f"_F_IMG_ID={copy.deepcopy(spec).id}" in env


def test_variables_of_flytekit(
    host: Mapping[str, str],
    registry: Registry,
    base: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builder = TierceImageSpecBuilder()
    monkeypatch.setenv("FLYTE_PUSH_IMAGE_SPEC", "false")
    kept = local(registry, base, env={"KEPT": "here"})
    assert builder.build_image(kept) == kept.image_name()
    assert not registry.has(kept.image_name())
    monkeypatch.delenv("FLYTE_PUSH_IMAGE_SPEC")

    repository, tag = base.removeprefix(f"{registry.host}/").rsplit(":", 1)
    there = ImageSpec(repository, registry=registry.host, tag_format=tag)
    assert not builder.should_build(there)
    monkeypatch.setenv(theirs.FLYTE_FORCE_PUSH_IMAGE_SPEC, "true")
    assert builder.should_build(ImageSpec(repository, registry=registry.host, tag_format=tag))
    monkeypatch.delenv(theirs.FLYTE_FORCE_PUSH_IMAGE_SPEC)

    # Nobody listens there.
    monkeypatch.setenv(theirs.FLYTE_IMG_FAST_FAIL, "true")
    with pytest.raises(RuntimeError, match="cannot tell whether the image localhost:9/gone:"):
        builder.should_build(ImageSpec("gone", registry="localhost:9"))


def test_what_cannot_be_built_says_so(host: Mapping[str, str], registry: Registry) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"cuda": "12.1"}, "imagespec/cuda-unsupported"),
        ({"base_image": "debian:bookworm-slim"}, "imagespec/conda-unsupported"),
    ]
    for fields, code in cases:
        with pytest.raises(SpecificationError) as caught:
            TierceImageSpecBuilder().build_image(ImageSpec(registry=registry.host, **fields))
        assert caught.value.code == code


def test_sources_that_change_meanwhile_are_noticed(
    host: Mapping[str, str],
    registry: Registry,
    base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "a.py").write_text("a = 1\n")
    spec = local(registry, base, source_root=str(source), source_copy_mode=CopyFileDetection.ALL)
    build = tierce.build

    def slow(image: Any, **more: Any) -> Any:
        built = build(image, **more)
        (source / "a.py").write_text("a = 2\n")
        return built

    monkeypatch.setattr(tierce, "build", slow)
    with pytest.raises(ValueError, match="changed while it was built"):
        TierceImageSpecBuilder().build_image(spec)


def test_containers_know_a_spec_as_it_is_written(tmp_path: Path, host: Mapping[str, str]) -> None:
    """flytekit adds a folder of this machine to specs that it registers."""
    written = ImageSpec("app", base_image="python:3.11", packages=["six"])
    registered = copy.deepcopy(written)
    settings = SerializationSettings(
        image_config=None, project="p", domain="d", source_root=str(tmp_path)
    )
    update_image_spec_copy_handling(registered, settings)
    assert registered.id != written.id
    document = to_image_spec(registered)
    assert document.source_root == str(tmp_path)
    same = to_image_spec(registered).__replace__()
    assert same._known_as(written.id, registered.tag) == document


# --- the example


@pytest.fixture(scope="module")
def project(
    registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    project = tmp_path_factory.mktemp("example") / "project"
    shutil.copytree(EXAMPLE, project)
    text = (project / "wf.py").read_text()
    text = text.replace("localhost:5000", registry.host).replace("flytekit==1.16.31", FLYTEKIT)
    (project / "wf.py").write_text(text)
    (project / "unused.py").write_text("")
    return project


def test_the_example_is_built_by_pyflyte_and_runs(
    machine: Mapping[str, str], registry: Registry, project: Path, crun_run: Containers
) -> None:
    if sys.version_info[:2] != (3, 11):
        skip("python", "the default base has Python 3.11, and flytekit's images this one")
    before = set(registry.tags("greeter"))
    pyflyte(machine, "build", "wf.py", "wf", cwd=project)
    (tag,) = set(registry.tags("greeter")) - before
    image = f"{registry.host}/greeter:{tag}"

    code = (
        "import os, flytekit, wf\n"
        "from flytekit.core.context_manager import ExecutionState, FlyteContextManager as m\n"
        "print(wf.wf(name='Ada'))\n"
        "context = m.current_context()\n"
        "mode = ExecutionState.Mode.TASK_EXECUTION\n"
        "state = context.new_execution_state().with_params(mode=mode)\n"
        "with m.with_context(context.with_execution_state(state)):\n"
        "    print(wf.image.is_container(), os.getcwd(), sorted(os.listdir()))\n"
    )
    ran = crun_run(image, ["python", "-c", code]).stdout
    assert "Hello Ada, from tierce" in ran
    assert "^__^" in ran
    assert "True /root" in ran
    assert "'wf.py'" in ran
    assert "'words.py'" in ran
    assert "'unused.py'" not in ran

    # It is there: nothing is built.
    again = pyflyte(machine, "build", "wf.py", "wf", cwd=project)
    assert f"Image {image} found. Skip building." in again.stdout
    # Without the sources it is another image.
    pyflyte(machine, "build", "--fast", "wf.py", "wf", cwd=project)
    assert len(registry.tags("greeter")) == len(before) + 2
