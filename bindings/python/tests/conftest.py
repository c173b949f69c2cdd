"""Fixtures for all tests. Each test has its own store and its own home; the registry, the base and
what is unpacked of images belong to the session.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builds import empty_base
from support.containers import Containers
from support.registry import Registry, running
from support.require import skip

# What a lane of scripts/test sets: a lane in which no test passed has tested nothing.
LANE = "TIERCE_TEST_LANE"
# The store that lanes share.
STORE = "TIERCE_TEST_STORE"
# The names under which the host systems ask for the base that stands in for theirs.
BASES = ("library/python:3.11-slim-bookworm", "library/python:3.11-slim", "library/debian:bookworm")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if LANE in os.environ and reporter is not None and not reporter.stats.get("passed"):
        reporter.write_line(f"error: no test of lane {os.environ[LANE]} ran", red=True)
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry on a free loopback port: `registry.host`."""
    with running(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def program() -> str:
    """The `tierce` program that came with the package."""
    from tierce import _program

    return _program.find()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, and a home with nothing in it: the path of the store."""
    for name, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    for name in list(os.environ):
        foreign = name.startswith(("TIERCE_", "FLYTE_", "FLYTECTL_"))
        if foreign and name != "TIERCE_STORE" and not name.startswith("TIERCE_TEST_"):
            monkeypatch.delenv(name)
    return tmp_path / "home" / "store"


def environment(home: Path) -> dict[str, str]:
    """The variables of somebody who has configured nothing, at home in `home`."""
    for folder in ("config", "cache", "data", "docker"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "DOCKER_CONFIG": str(home / "docker"),
        "TIERCE_STORE": str(home / "store"),
    }


@pytest.fixture(scope="session")
def debian_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is shared by who needs Debian's packages: by all lanes of scripts/test-python."""
    shared = os.environ.get(STORE)
    return Path(shared) if shared else tmp_path_factory.mktemp("debian") / "store"


@pytest.fixture(scope="session")
def base(
    registry: Registry,
    program: str,
    debian_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """Debian with its Python 3.11, assembled from the archive and pushed: `localhost:PORT/...`.

    It is also there under the names of `BASES`, for who asks the registry as a mirror.
    """
    project = tmp_path_factory.mktemp("base")
    (project / "tierce.toml").write_text(
        'name = "debian-python"\nbase = { debian = "bookworm", python = true }\n'
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("TIERCE_")}
    build = subprocess.run(
        [program, "build", "--push", "--registry", registry.host],
        cwd=project,
        env={**own, **environment(project / "home"), "TIERCE_STORE": str(debian_store)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if build.returncode:
        skip("debian", f"no base can be made from Debian's archive: {build.stderr}")
    uri = build.stdout.strip()
    registry.copy(uri, *BASES)
    return uri


@pytest.fixture
def mirrored(store: Path, registry: Registry, base: str) -> Path:
    """Has docker.io's images come from the registry, and `base` stand in for them: config.toml."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "tierce" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f'registry = "{registry.host}"\n\n'
        f'[registries."docker.io"]\nmirrors = ["{registry.host}"]\nfallback = false\n'
    )
    return config


@pytest.fixture(scope="session")
def crun_run(tmp_path_factory: pytest.TempPathFactory) -> Containers:
    """Runs a command in an image: `crun_run("localhost:5000/app:1", ["python3", "-V"]).stdout`."""
    return Containers(tmp_path_factory.mktemp("containers"))


@pytest.fixture(scope="session")
def empty(registry: Registry, program: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base of nothing, which images are built on in no time: `localhost:PORT/empty:...`."""
    project = tmp_path_factory.mktemp("empty")
    return empty_base(program, project, registry.host, environment(project / "home"))


@pytest.fixture
def plain(store: Path) -> Iterator[None]:
    """Nothing that `tierce.init` said, before and after."""
    import tierce

    tierce.init()
    yield
    tierce.init()
