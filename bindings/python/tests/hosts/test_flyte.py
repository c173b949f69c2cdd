"""Flyte's own SDK, with tierce as its image builder, and no Docker anywhere."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.containers import Containers
from support.registry import Registry
from support.require import skip

try:
    import flyte
except ImportError as error:
    skip("flyte", error)

from flyte._image import _CREATE_FLYTE_USER_CMD, PixiScript  # noqa: E402
from flyte._internal.imagebuild.image_builder import (  # noqa: E402
    ImageBuildEngine,
    PersistentCacheImageChecker,
)
from flyte._persistence._db import LocalDB  # noqa: E402
from flyte.errors import ImageBuildError  # noqa: E402

from flyte_host import EXAMPLE, FLYTE, Host, made  # noqa: E402
from tierce import Run  # noqa: E402
from tierce.errors import TierceError  # noqa: E402
from tierce.integrations.flyte import TierceImageBuilder, TierceImageChecker  # noqa: E402

AMD64 = ("linux/amd64",)
PATH = os.environ["PATH"]


@pytest.fixture(scope="session")
def machine(
    registry: Registry, base: str, tmp_path_factory: pytest.TempPathFactory
) -> Host:
    """A machine without Docker, on which Flyte and tierce are installed."""
    return made(tmp_path_factory.mktemp("flyte") / "home", registry)


@pytest.fixture
def host(machine: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """That machine, for this process: Flyte remembers nothing, and has not been set up."""
    for name, value in machine.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    forget()
    monkeypatch.setattr("flyte._initialize._init_config", None)
    yield machine
    forget()
    assert machine.engines_asked == []


def forget() -> None:
    """What this process has found out about images."""
    ImageBuildEngine.build.cache_clear()
    ImageBuildEngine.image_exists.cache_clear()
    if LocalDB._conn_sync is not None:
        LocalDB._conn_sync.close()
    LocalDB._conn_sync = None
    shutil.rmtree(Path.home() / ".flyte", ignore_errors=True)


@pytest.fixture
def run(crun_run: Containers, monkeypatch: pytest.MonkeyPatch) -> Containers:
    """`crun_run`, which is not on the machine without Docker."""

    def on_the_real_machine(*args: Any, **more: Any) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as changes:
            changes.setenv("PATH", PATH)
            return crun_run(*args, **more)

    return cast(Containers, on_the_real_machine)


@pytest.fixture
def tierce(host: Host) -> Host:
    """Flyte, set up to build with tierce and to push to the registry."""
    flyte.init(image_builder="tierce", image_registry=host.registry.host, root_dir=Path.cwd())
    return host


def slim(name: str, **more: Any) -> flyte.Image:
    """A Python image that Flyte has not made."""
    image = flyte.Image.from_base("python:3.11-slim-bookworm")
    more.setdefault("platform", AMD64)
    return image.clone(name=name, python_version=(3, 11), extendable=True, **more)


def variables(config: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in config["config"]["Env"])


def wheel(folder: Path, name: str, version: str, code: str, requires: str = "") -> Path:
    """A wheel of one module."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


# --- every layer


def sources(folder: Path) -> None:
    """Files for every layer that takes some."""
    files = {
        ".dockerignore": "**/*.log\n",
        "requirements.txt": "toolz==1.0.0\n",
        "data.csv": "1,2\n",
        "src/pkg/__init__.py": "WHERE = __file__\n",
        "src/pkg/noise.log": "",
        "project/pyproject.toml": (
            '[project]\nname = "proj"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            'dependencies = ["iniconfig==2.0.0"]\n'
        ),
        "script.py": (
            "# /// script\n# requires-python = '>=3.11'\n"
            "# dependencies = ['itsdangerous==2.2.0']\n# ///\n"
        ),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    wheel(folder / "dist", "local_pkg", "9.9", "WHO = 'local'\n", requires="packaging==24.2")
    uv_lock(folder / "project")
    poetry_project(folder / "poetry")


POETRY = """\
[tool.poetry]
name = "verse"
version = "1.0"
description = ""
authors = []
[tool.poetry.dependencies]
python = "^3.11"
rhyme = {{ path = "vendor/{file}" }}
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
POETRY_LOCK = """\
[[package]]
name = "rhyme"
version = "1.0"
description = ""
optional = false
python-versions = "*"
groups = ["main"]
files = [{{file = "{file}", hash = "sha256:{hash}"}}]

[package.source]
type = "file"
url = "vendor/{file}"

[metadata]
lock-version = "2.1"
python-versions = "^3.11"
content-hash = "{content}"
"""


def poetry_project(folder: Path) -> None:
    """A project and its lock, as Poetry writes it. Not every mirror of PyPI is one to Poetry: what
    it needs comes along.
    """
    package = wheel(folder / "vendor", "rhyme", "1.0", "")
    needs = {"python": "^3.11", "rhyme": {"path": f"vendor/{package.name}"}}
    content = {"dependencies": needs, "dev-dependencies": None, "extras": None, "source": None}
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "pyproject.toml").write_text(POETRY.format(file=package.name))
    lock = POETRY_LOCK.format(file=package.name, hash=digest, content=key)
    (folder / "poetry.lock").write_text(lock)


def uv_lock(folder: Path) -> None:
    lock = ["uv", "lock", "--quiet", "--python", sys.executable]
    subprocess.run(lock, cwd=folder, check=True)


def everything(folder: Path) -> flyte.Image:
    """An image with a layer of every kind that needs no more than PyPI and Debian's archive."""
    image = (
        slim("everything")
        .with_apt_packages("tree")
        .with_pip_packages("six==1.17.0")
        .with_requirements(folder / "requirements.txt")
        .with_uv_project(folder / "project/pyproject.toml")
        .with_poetry_project(folder / "poetry/pyproject.toml")
        .with_env_vars({"GREETING": "hello", "PATH": "/extra/bin:$PATH"})
        .with_workdir("/srv/app")
        .with_source_folder(folder / "src")
        .with_source_file(folder / "data.csv", "/data/")
        .with_commands(
            ["test -n \"$BUILD_TOKEN\"", "mkdir -p /made && pwd > /made/where"],
            secret_mounts="build-token",
        )
        .with_dockerignore(folder / ".dockerignore")
    )
    from flyte._image import PythonWheels, UVScript, _DockerLines

    for layer in (
        PythonWheels(wheel_dir=folder / "dist", package_name="local_pkg"),
        UVScript(script=folder / "script.py"),
        _DockerLines(("LABEL org.example.a='b c'",)),
    ):
        image = image.clone(addl_layer=layer)
    return image


LOOK = """
import importlib.metadata, json, os, sys
import six, toolz, iniconfig, local_pkg, itsdangerous, rhyme, pkg
names = ["six", "toolz", "iniconfig", "local_pkg", "itsdangerous", "rhyme", "packaging"]
print(json.dumps({
    "versions": {name: importlib.metadata.version(name) for name in names},
    "prefix": sys.prefix,
    "cwd": os.getcwd(),
    "where": open("/made/where").read().strip(),
    "pkg": pkg.WHERE,
    "files": sorted(os.listdir("/srv/app/src/pkg")),
    "data": open("/data/data.csv").read(),
    "tree": os.path.exists("/usr/bin/tree"),
    "token": "BUILD_TOKEN" in os.environ,
}))
"""


def test_every_layer_is_built_under_the_name_that_flyte_computed(
    tierce: Host, registry: Registry, run: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_TOKEN", "s3cr3t-of-the-test")
    folder = Path.cwd()
    sources(folder)
    image = everything(folder)
    named = image.clone(registry=registry.host)
    built = flyte.build(image)
    assert built.uri == named.uri
    assert registry.has(named.uri)
    config = registry.config(named.uri)
    env = variables(config)
    assert env["_F_IMG_ID"] == named.uri
    assert (env["GREETING"], env["UV_PYTHON"]) == ("hello", "/opt/venv/bin/python")
    assert env["PATH"].split(":")[0] == "/extra/bin"
    assert "/opt/venv/bin" in env["PATH"].split(":")
    assert config["config"]["WorkingDir"] == "/srv/app"
    assert config["config"]["Labels"]["org.example.a"] == "b c"
    assert "s3cr3t-of-the-test" not in json.dumps(config)
    seen = run(named.uri, ["python", "-c", LOOK], env={"PYTHONPATH": "/srv/app/src"})
    assert json.loads(seen.stdout) == {
        "versions": {
            "six": "1.17.0",
            "toolz": "1.0.0",
            "iniconfig": "2.0.0",
            "local_pkg": "9.9",
            "itsdangerous": "2.2.0",
            "rhyme": "1.0",
            "packaging": "24.2",
        },
        "prefix": "/opt/venv",
        "cwd": "/srv/app",
        "where": "/srv/app",
        "pkg": "/srv/app/src/pkg/__init__.py",
        "files": ["__init__.py", "__pycache__"],
        "data": "1,2\n",
        "tree": True,
        "token": False,
    }


def conda_channel(folder: Path) -> str:
    """A conda channel with the package tool, which has a program that says where it is."""
    placeholder = "/home/builder/placehold_placehold_placehold"
    index = {
        "name": "tool",
        "version": "1.0",
        "build": "h0_0",
        "build_number": 0,
        "depends": [],
        "subdir": "linux-64",
    }
    files = {
        "bin/tool": f"#!/bin/sh\necho tool of {placeholder}\n",
        "info/files": "bin/tool\n",
        "info/has_prefix": f"{placeholder} text bin/tool\n",
        "info/index.json": json.dumps(index),
    }
    (folder / "linux-64").mkdir(parents=True)
    (folder / "noarch").mkdir()
    package = folder / "linux-64/tool-1.0-h0_0.tar.bz2"
    with tarfile.open(package, "w:bz2") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755 if name == "bin/tool" else 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    content = package.read_bytes()
    record = {**index, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    for subdir, packages in [("linux-64", {package.name: record}), ("noarch", {})]:
        repodata = {"info": {"subdir": subdir}, "packages": packages, "packages.conda": {}}
        (folder / subdir / "repodata.json").write_text(json.dumps(repodata))
    return folder.absolute().as_uri()


def test_pixis_projects_and_scripts_are_layers(
    tierce: Host, registry: Registry, run: Containers
) -> None:
    channel = conda_channel(Path("channel"))
    project = Path("project")
    project.mkdir()
    (project / "pixi.toml").write_text(
        f'[workspace]\nchannels = ["{channel}"]\nplatforms = ["linux-64"]\n'
        '[feature.tools.dependencies]\ntool = "*"\n[environments]\nprod = ["tools"]\n'
    )
    Path("script.py").write_text(
        "# /// script\n# dependencies = []\n# [tool.pixi.workspace]\n"
        f"# channels = ['{channel}']\n# [tool.pixi.dependencies]\n# tool = '1.*'\n# ///\n"
    )
    image = slim("pixi", registry=registry.host).with_pixi_project(project, environment="prod")
    image = image.clone(addl_layer=PixiScript(script=Path("script.py")))
    assert flyte.build(image).uri == image.uri
    folder = "/opt/pixi-project/.pixi/envs"
    env = variables(registry.config(image.uri))
    assert env["VIRTUAL_ENV"] == f"{folder}/default"
    assert env["PATH"].startswith(f"{folder}/default/bin:{folder}/prod/bin:")
    seen = run(image.uri, ["sh", "-c", f"tool; {folder}/prod/bin/tool; python -V"])
    for part in (f"tool of {folder}/default", f"tool of {folder}/prod", "Python 3.11"):
        assert part in seen.stdout


# --- the command


@pytest.fixture(scope="session")
def example(machine: Host, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The example project, built by Flyte's command: its folder, and the image's name."""
    folder = tmp_path_factory.mktemp("example") / "flyte"
    shutil.copytree(EXAMPLE, folder)
    config = folder / "config.yaml"
    text = config.read_text()
    assert "localhost:5000" in text
    config.write_text(text.replace("localhost:5000", machine.registry.host))
    run = build_example(machine, folder)
    (uri,) = set(re.findall(rf"{machine.registry.host}/hello:[0-9a-f]{{32}}", run))
    return folder, uri


def build_example(machine: Host, folder: Path) -> str:
    args = ["--config", "config.yaml", "build", "--copy-style", "none", "--root-dir", "."]
    run = machine.flyte(*args, "hello.py", "env", cwd=folder)
    return re.sub(r"[\s│]+", " ", run.stdout + run.stderr)


def test_flytes_command_builds_images_that_tasks_run_in(
    machine: Host, example: tuple[Path, str], registry: Registry, crun_run: Containers
) -> None:
    _, uri = example
    assert registry.has(uri)
    config = registry.config(uri)
    assert (config["config"]["User"], config["config"]["WorkingDir"]) == ("flyte", "/home/flyte")
    assert variables(config)["_F_IMG_ID"] == uri
    program = (
        "import asyncio, getpass, os, sys, flyte, hello; "
        "print(sys.prefix, getpass.getuser(), os.getcwd(), flyte.__version__, "
        "os.environ['_F_IMG_ID'], os.environ['GREETED_BY'], "
        "asyncio.run(hello.hello.func('crun')))"
    )
    said = crun_run(uri, ["python", "-c", program]).stdout.strip()
    assert said == f"/opt/venv flyte /home/flyte {FLYTE} {uri} tierce Hello, crun!"
    # What Flyte starts tasks with.
    assert "Usage" in crun_run(uri, ["a0", "--help"]).stdout
    assert machine.engines_asked == []


def test_what_is_there_is_found_and_not_built_again(
    machine: Host, example: tuple[Path, str]
) -> None:
    folder, uri = example
    # Flyte remembers; without its memory, the registry is asked.
    for remembered in (True, False):
        if not remembered:
            for cache in folder.rglob("cache.db"):
                cache.unlink()
        said = build_example(machine, folder)
        assert f"{uri} already exists, skipping build" in said
        assert "building" not in said
    assert machine.engines_asked == []


def test_released_images_are_bases_as_they_are(
    tierce: Host, example: tuple[Path, str], registry: Registry, run: Containers
) -> None:
    _, uri = example
    registry.copy(uri, f"flyteorg/flyte:py3.11-v{FLYTE}")
    released = flyte.Image.from_debian_base(
        python_version=(3, 11), flyte_version=FLYTE, registry=registry.host, name="released",
        platform=AMD64,
    )
    assert released.base_image == f"ghcr.io/flyteorg/flyte:py3.11-v{FLYTE}"
    image = released.with_pip_packages("six==1.17.0").with_env_vars({"A": "1"})
    assert flyte.build(image).uri == image.uri
    seen = run(image.uri, ["python", "-c", "import six, flyte, sys; print(sys.prefix)"])
    assert seen.stdout.strip() == "/opt/venv"
    env = variables(registry.config(image.uri))
    assert (env["A"], env["_F_IMG_ID"]) == ("1", image.uri)
    # Nothing was run, and nothing of the base was copied: its layers come first.
    below = [layer["digest"] for layer in registry.manifest(uri)["layers"]]
    above = [layer["digest"] for layer in registry.manifest(image.uri)["layers"]]
    assert above[: len(below)] == below
    # Unmodified, it is there for all of Flyte's users.
    plain = flyte.Image.from_debian_base(python_version=(3, 11), flyte_version=FLYTE)
    assert flyte.build(plain).uri == f"ghcr.io/flyteorg/flyte:py3.11-v{FLYTE}"


# --- what else is asked


def platforms(registry: Registry, uri: str) -> list[str]:
    repository, tag = uri.removeprefix(f"{registry.host}/").split(":")
    index = registry._json(f"{repository}/manifests/{tag}")
    return sorted(entry["platform"]["architecture"] for entry in index["manifests"])


BOTH = """\
name = "both"
tag = "1"
base = "scratch"
platforms = ["linux/amd64", "linux/arm64"]
copy = [{ src = "venv", dst = "/opt/venv" }]

[env]
PYTHON_VERSION = "3.11.2"
VIRTUAL_ENV = "/opt/venv"
PATH = "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin"
"""


@pytest.fixture(scope="session")
def both(
    machine: Host, registry: Registry, program: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Stands in for what Flyte releases, for both platforms: there is nothing to run in it."""
    base = tmp_path_factory.mktemp("both")
    has = base / f"venv/lib/python3.11/site-packages/flyte-{FLYTE}.dist-info"
    has.mkdir(parents=True)
    (has / "METADATA").write_text(f"Metadata-Version: 2.1\nName: flyte\nVersion: {FLYTE}\n")
    (base / "venv/bin").mkdir()
    (base / "venv/bin/python").symlink_to("/usr/local/bin/python3.11")
    (base / "tierce.toml").write_text(BOTH)
    build = [program, "build", "--push", "--registry", registry.host]
    subprocess.run(build, cwd=base, env={**machine.variables}, check=True)
    registry.copy(f"{registry.host}/both:1", f"flyteorg/flyte:py3.11-v{FLYTE}-both")
    return f"{registry.host}/both:1"


def test_what_is_only_assembled_is_made_for_both_platforms(
    tierce: Host, registry: Registry, both: str
) -> None:
    released = flyte.Image.from_debian_base(
        python_version=(3, 11),
        flyte_version=f"{FLYTE}-both",
        registry=registry.host,
        name="assembled",
    )
    image = released.with_pip_packages("markupsafe==3.0.2").with_env_vars({"A": "1"})
    flyte.build(image)
    index = registry._json(f"assembled/manifests/{image.uri.rsplit(':', 1)[1]}")
    made = [entry["platform"]["architecture"] for entry in index["manifests"]]
    assert sorted(made) == ["amd64", "arm64"]


def test_what_runs_for_a_processor_that_is_not_here_is_refused(tierce: Host, both: str) -> None:
    image = flyte.Image.from_base(both).clone(
        name="foreign", python_version=(3, 11), extendable=True, platform=("linux/arm64",)
    )
    image = image.with_commands(["true"])
    with pytest.raises(ImageBuildError, match="build/foreign-platform") as raised:
        flyte.build(image)
    assert "linux/arm64" in str(raised.value)
    assert 'platform=("linux/amd64",)' in str(raised.value)


def test_of_the_default_platforms_the_one_that_runs_here_is_built(
    tierce: Host, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    image = flyte.Image.from_base("python:3.11-slim-bookworm").clone(
        name="default",
        registry=registry.host,
        python_version=(3, 11),
        extendable=True,
        platform=("linux/amd64", "linux/arm64"),
    )
    # What Flyte does first in images of its own.
    image = image.with_commands([_CREATE_FLYTE_USER_CMD])
    flyte.build(image)
    assert "flyte/default-platforms" in capsys.readouterr().err
    assert registry.config(image.uri)["architecture"] == "amd64"


def test_images_need_a_registry_and_all_ways_to_name_one_are_taken(
    host: Host, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    flyte.init(image_builder="tierce")
    image = slim("homeless").with_env_vars({"A": "1"})
    with pytest.raises(ImageBuildError, match="flyte/no-registry") as raised:
        flyte.build(image)
    for way in ("image_registry=", "config.yaml", "FLYTE_IMAGE_REGISTRY", "registry='"):
        assert way in str(raised.value)
    monkeypatch.setenv("FLYTE_IMAGE_REGISTRY", f"{registry.host}/team")
    forget()
    built = flyte.build(image)
    assert built.uri == image.clone(registry=f"{registry.host}/team").uri
    assert registry.has(built.uri)
    # It is found by its bare name, too.
    forget()
    assert flyte.build(image).uri == built.uri


def test_what_flyte_is_configured_to_use_otherwise_does_not_matter(
    tierce: Host, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_IMAGE_BUILDER", "remote")
    image = slim("chosen", registry=registry.host).with_env_vars({"A": "1"})
    flyte.build(image)
    assert registry.has(image.uri)


def test_a_dry_run_prints_the_plan_and_changes_nothing(
    tierce: Host, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    image = slim("dry", registry=registry.host).with_pip_packages("six==1.17.0")
    assert flyte.build(image, dry_run=True).uri == image.uri
    assert "six" in capsys.readouterr().out
    assert not registry.has(image.uri)


def test_what_is_forced_is_built_again(
    tierce: Host, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    image = slim("forced", registry=registry.host).with_env_vars({"A": "1"})
    flyte.build(image)
    capsys.readouterr()
    forget()
    flyte.build(image, force=True)
    assert "push" in capsys.readouterr().err


def test_a_build_that_is_not_waited_for_goes_on(
    tierce: Host, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    image = slim("detached", registry=registry.host).with_env_vars({"A": "1"})
    assert flyte.build(image, wait=False).uri == image.uri
    (run,) = re.findall(r"tierce runs wait (\w+)", capsys.readouterr().err)
    assert Run.get(run).wait().uri == image.uri
    assert registry.has(image.uri)


def test_dockerfiles_need_somebody_who_builds_them(host: Host, registry: Registry) -> None:
    flyte.init(image_builder="tierce")
    Path("Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    image = flyte.Image.from_dockerfile(Path("Dockerfile"), registry.host, "dockerfile")
    with pytest.raises(ImageBuildError) as raised:
        asyncio.run(TierceImageBuilder("native").build_image(image, dry_run=False))
    assert "docker" in str(raised.value)
    with pytest.raises(ImageBuildError, match="hint: ") as raised:
        flyte.build(image)
    for engine in ("docker", "podman", "buildkit"):
        assert engine in str(raised.value)
    # They were asked whether they are there.
    (host.home / "engines").unlink(missing_ok=True)


def test_failures_are_flytes_with_code_hint_and_cause(tierce: Host) -> None:
    image = slim("failing").with_commands(["echo so far so good; exit 7"])
    with pytest.raises(ImageBuildError) as raised:
        flyte.build(image)
    text = str(raised.value)
    assert "[step/failed]" in text
    assert "so far so good" in text
    assert isinstance(raised.value.__cause__, TierceError)
    assert raised.value.__cause__.code == "step/failed"


def test_checkers_ask_the_registry(tierce: Host, registry: Registry, base: str) -> None:
    repository, tag = base.rsplit(":", 1)

    def ask(*args: Any) -> str | None:
        return asyncio.run(TierceImageChecker.image_exists(*args))

    assert ask(repository, tag, AMD64) == base
    assert ask(repository, tag, ("linux/amd64", "linux/arm64")) is None
    assert ask(repository, "0", AMD64) is None
    bare = repository.removeprefix(f"{registry.host}/")
    assert ask(bare, tag, AMD64) == base
    with pytest.raises(TierceError, match="127.0.0.1:1"):
        ask("127.0.0.1:1/app", "1", AMD64)
    first, *_, last = TierceImageBuilder().get_checkers()
    assert first is PersistentCacheImageChecker
    # What nobody can tell is not taken for there.
    assert asyncio.run(last.image_exists("127.0.0.1:1/app", "1")) is None


def test_several_images_are_built_at_once(tierce: Host, registry: Registry) -> None:
    images = [slim(f"one-of-{i}").with_env_vars({"I": str(i)}) for i in range(4)]

    async def build() -> list[flyte.ImageBuild]:
        return await asyncio.gather(*(flyte.build.aio(image) for image in images))

    for image, built in zip(images, asyncio.run(build()), strict=True):
        assert built.uri == image.clone(registry=registry.host).uri
        assert registry.has(built.uri)
