"""ZenML's own package, with tierce as its image builder: real build contexts, built by the
container engines of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import environment
from support import require
from support.containers import Containers
from support.registry import Registry, running
from support.require import skip

try:
    import zenml  # noqa: F401
except ImportError as error:
    skip("zenml", error)

from click.testing import CliRunner  # noqa: E402
from zenml.cli.cli import cli  # noqa: E402
from zenml.client import Client  # noqa: E402
from zenml.config.docker_settings import (  # noqa: E402
    DockerBuildConfig,
    DockerBuildOptions,
    DockerSettings,
)
from zenml.config.global_config import GlobalConfiguration  # noqa: E402
from zenml.container_registries import BaseContainerRegistry  # noqa: E402
from zenml.container_registries.base_container_registry import (  # noqa: E402
    BaseContainerRegistryConfig,
)
from zenml.enums import ContainerEngineType, StackComponentType  # noqa: E402
from zenml.exceptions import StackValidationError  # noqa: E402
from zenml.image_builders import BuildContext  # noqa: E402
from zenml.stack import Stack  # noqa: E402
from zenml.utils.pipeline_docker_image_builder import PipelineDockerImageBuilder  # noqa: E402

import zenml_host  # noqa: E402
from tierce.errors import EnvironmentFailure, SpecificationError, TierceError  # noqa: E402
from tierce.integrations import zenml as integration  # noqa: E402
from tierce.integrations.zenml import (  # noqa: E402
    TierceImageBuilder,
    TierceImageBuilderConfig,
    TierceImageBuilderFlavor,
)
from zenml_host import EXAMPLE, FLAVOR, Engine  # noqa: E402

USER, PASSWORD = "robot", "sesame-open-the-registry"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a ZenML store in it, for this process and those that it starts."""
    home = tmp_path_factory.mktemp("zenml")
    project = home / "project"
    project.mkdir()
    variables = {
        **environment(home),
        "ZENML_CONFIG_PATH": str(home / "zenml"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_REPOSITORY_PATH": str(project),
        # No daemon that happens to run here.
        "DOCKER_HOST": f"unix://{home}/docker.sock",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        for name in ("BUILDKIT_HOST", "TIERCE_IMAGE_BUILDER", "FLYTE_IMAGE_BUILDER"):
            patch.delenv(name, raising=False)
        patch.chdir(project)
        forget()
        yield home
    forget()


def forget() -> None:
    """Has ZenML read its configuration anew."""
    GlobalConfiguration._reset_instance()
    Client._reset_instance()


@pytest.fixture(scope="session", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest, machine: Path) -> Iterator[Engine]:
    """Each of the engines."""
    with getattr(zenml_host, request.param)() as engine:
        yield engine


@pytest.fixture
def here(engine: Engine, machine: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine, as the only one of this machine."""
    for name, value in engine.variables.items():
        monkeypatch.setenv(name, value)
    return engine


@pytest.fixture
def alone(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing builds Dockerfiles: the only folder of its PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running(tmp_path_factory.mktemp("private"), user=(USER, PASSWORD)) as registry:
        yield registry


def made_by_tierce(program: str, project: Path, registry: Registry, *lines: str) -> str:
    """An image in the registry, made without any engine."""
    (project / "tierce.toml").write_text("\n".join(lines) + "\n")
    build = subprocess.run(
        [program, "build", "--push", "--registry", registry.host],
        cwd=project,
        env={**os.environ, **environment(project.with_name(f"{project.name}-home"))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr
    return build.stdout.strip()


@pytest.fixture(scope="session")
def small(registry: Registry, program: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smallest image that has a shell."""
    project = tmp_path_factory.mktemp("small")
    programs = project / "root" / "bin"
    programs.mkdir(parents=True)
    busybox = require.program("busybox")
    shutil.copy(busybox, programs / "busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for applet in set(applets.stdout.split()) - {"busybox"}:
        (programs / applet).symlink_to("busybox")
    lines = ['name = "small"', 'base = "scratch"', 'env = { PATH = "/bin" }']
    lines.append('copy = [{ src = "root", dst = "/" }]')
    return made_by_tierce(program, project, registry, *lines)


@pytest.fixture(scope="session")
def parent(registry: Registry, program: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Debian with Python and pip, which trust whom this machine does."""
    project = tmp_path_factory.mktemp("parent")
    lines = ['name = "parent"', 'base = { debian = "bookworm", python = true }', 'pip = ["pip"]']
    lines.append("bytecode = false")
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle:
        shutil.copy(bundle, project / "ca.pem")
        inside = "/etc/ssl/machine.pem"
        lines.append(f'env = {{ PIP_CERT = "{inside}", SSL_CERT_FILE = "{inside}" }}')
        lines.append(f'copy = [{{ src = "ca.pem", dst = "{inside}" }}]')
    return made_by_tierce(program, project, registry, *lines)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was logged of builds: level and line."""
    lines: list[tuple[str, str]] = []
    monkeypatch.setattr(integration, "_log", lambda level, line: lines.append((level, line)))
    return lines


def warnings(log: list[tuple[str, str]]) -> list[str]:
    return [line for level, line in log if level == "warning"]


def common() -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    return {"id": uuid.uuid4(), "user": None, "created": now, "updated": now}


def builder(**config: Any) -> TierceImageBuilder:
    return TierceImageBuilder(
        name="tierce",
        config=TierceImageBuilderConfig(**config),
        flavor="tierce",
        type=StackComponentType.IMAGE_BUILDER,
        **common(),
    )


def container_registry(uri: str, **config: Any) -> BaseContainerRegistry:
    return BaseContainerRegistry(
        name="registry",
        config=BaseContainerRegistryConfig(uri=uri, **config),
        flavor="default",
        type=StackComponentType.CONTAINER_REGISTRY,
        **common(),
    )


def options(engine: Engine, **said: Any) -> DockerBuildOptions:
    return DockerBuildOptions(**{**engine.options, **said})


def context(dockerfile: str, root: Path | None = None, **files: str) -> BuildContext:
    made = BuildContext(root=str(root) if root else None)
    made.add_file(source=dockerfile, destination="Dockerfile")
    for path, text in files.items():
        made.add_file(source=text, destination=path)
    return made


def only(name: str, engine: Engine) -> None:
    """What takes long is tested with one engine."""
    if engine.name != name:
        pytest.skip(f"tested with {name}")


def zenml_command(*args: str) -> str:
    """Runs the `zenml` command."""
    run = CliRunner().invoke(cli, args)
    assert run.exit_code == 0, f"zenml {' '.join(args)}: {run.output}{run.exception}"
    return run.output


def refused(*args: str) -> str:
    """What the `zenml` command says of what it does not do."""
    run = CliRunner().invoke(cli, args)
    assert run.exit_code != 0, run.output
    return f"{run.output}{run.exception}"


class TestRegistered:
    """What `zenml image-builder` does with the flavor."""

    def test_by_the_command(self, machine: Path) -> None:
        zenml_command("image-builder", "flavor", "register", FLAVOR)
        flavor = Client().get_flavor_by_name_and_type("tierce", StackComponentType.IMAGE_BUILDER)
        assert flavor.source.endswith(FLAVOR.rsplit(".", 1)[-1])
        assert set(flavor.config_schema["properties"]) == set(TierceImageBuilderConfig.model_fields)
        keys = ["--builder=podman", '--platforms=["linux/amd64"]', "--network=host"]
        zenml_command("image-builder", "register", "mine", "--flavor=tierce", *keys)
        assert "mine" in zenml_command("image-builder", "list")
        described = zenml_command("image-builder", "describe", "mine")
        assert "podman" in described and "linux/amd64" in described
        zenml_command("image-builder", "update", "mine", "--builder=docker")
        component = Client().get_stack_component(StackComponentType.IMAGE_BUILDER, "mine")
        made = TierceImageBuilder.from_model(component)
        assert isinstance(made, TierceImageBuilder)
        assert (made.config.builder, made.config.network) == ("docker", "host")
        for wrong, said in [
            ("--builder=native", "builds no Dockerfiles"),
            ("--platforms=[\"amd64\"]", "is no platform"),
            ("--network=bridge2", "network"),
            ("--buildkit_address=localhost", "is no address"),
        ]:
            message = refused("image-builder", "register", "bad", "--flavor=tierce", wrong)
            assert said in " ".join(message.split()), message
        zenml_command("image-builder", "delete", "mine")
        zenml_command("image-builder", "flavor", "delete", "tierce")

    def test_without_the_engine(self, machine: Path, tmp_path: Path) -> None:
        """What a server does that shows the flavor: nothing is opened, made or asked."""
        store = tmp_path / "store"
        script = (
            "from tierce.integrations.zenml import TierceImageBuilderFlavor as Flavor\n"
            "import json\n"
            "flavor = Flavor()\n"
            "config = flavor.config_class(builder='docker')\n"
            "print(json.dumps([flavor.name, flavor.type, flavor.implementation_class.__name__,\n"
            "    'builder' in flavor.config_schema['properties']]))\n"
        )
        variables = {**os.environ, "TIERCE_STORE": str(store), "PATH": str(tmp_path)}
        run = subprocess.run(
            [sys.executable, "-c", script], env=variables, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        said = json.loads(run.stdout.splitlines()[-1])
        assert said == ["tierce", "image_builder", "TierceImageBuilder", True]
        assert not store.exists()


class TestChosen:
    """Which builder builds."""

    def test_what_answers(self, here: Engine) -> None:
        chosen = builder()
        assert chosen._builder() == (here.name, True)
        assert chosen.is_building_locally
        assert chosen.build_context_class is BuildContext

    def test_what_is_configured(self, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # It is not asked whether it works: whoever names one means it.
        assert builder(builder="podman")._builder() == ("podman", True)
        address = "unix:///run/nobody.sock"
        assert builder(buildkit_address=address)._builder() == ("buildkit", False)
        monkeypatch.setenv("TIERCE_IMAGE_BUILDER", "docker")
        assert builder()._builder() == ("docker", True)
        # Those that build no Dockerfiles are for images of tierce's own.
        monkeypatch.setenv("TIERCE_IMAGE_BUILDER", "native")
        assert builder(buildkit_address=address)._builder() == ("buildkit", False)

    def test_nothing(self, alone: Path) -> None:
        with pytest.raises(EnvironmentFailure) as raised:
            builder().build("app:1", context("FROM scratch"))
        error = raised.value
        assert error.code == "context/no-builder"
        assert "docker: " in str(error) and "podman: " in str(error)
        assert "does not read Dockerfiles yet" in str(error.hint)

    def test_the_engine_of_zenml(self, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(GlobalConfiguration(), "container_engine", ContainerEngineType.PODMAN)
        with pytest.raises(EnvironmentFailure, match="podman: ") as raised:
            builder()._builder()
        assert "docker: " not in str(raised.value)

    def test_a_name_that_is_none(self, alone: Path) -> None:
        with pytest.raises(SpecificationError, match="dokcer"):
            builder(builder="dokcer")._builder()

    def test_a_daemon_without_images_needs_a_registry(self, machine: Path) -> None:
        active = Client().active_stack

        def stack(**components: Any) -> Stack:
            own = {"orchestrator": active.orchestrator, "artifact_store": active.artifact_store}
            return Stack(id=uuid.uuid4(), name="stack", **own, **components)

        pushing = stack(container_registry=container_registry("registry.example"))
        remote = builder(buildkit_address="tcp://buildkit.example:1234")
        assert not remote.is_building_locally
        assert remote.validator is not None
        with pytest.raises(StackValidationError, match="Add a container registry"):
            remote.validator.validate(stack())
        remote.validator.validate(pushing)
        # Those that keep images need none, nor do machines on which nothing is built.
        for local in (builder(builder="docker"), builder()):
            assert local.validator is not None
            local.validator.validate(stack())


class TestBuilt:
    """Contexts, built."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "root"
        (root / "pkg").mkdir(parents=True)
        (root / "pkg" / "run.sh").write_text("#!/bin/sh\necho ran\n")
        (root / "pkg" / "run.sh").chmod(0o755)
        (root / "link").symlink_to("/usr/bin/python3")
        (root / "left-out").write_text("")
        (root / ".dockerignore").write_text("left-out\n*.txt\n")
        return root

    def test_pushed(
        self,
        here: Engine,
        registry: Registry,
        small: str,
        root: Path,
        crun_run: Containers,
        log: list[tuple[str, str]],
    ) -> None:
        dockerfile = (
            f"ARG BASE\nFROM $BASE AS run\nARG WHO=nobody\nWORKDIR /app\nCOPY . .\n"
            "ENV WHO=$WHO\nRUN echo built-for $WHO > built\nFROM scratch\n"
        )
        made = context(dockerfile, root, **{"requirements.txt": "numpy\n", "conf/a.ini": "a = 1\n"})
        name = f"{registry.host}/team/{here.name}:moving"
        said = options(
            here,
            build_args={"BASE": small, "WHO": "zenml"},
            labels={"org.example.team": "blue", "org.example.number": 7},
            target="run",
            rm=False,
        )
        first = builder().build(name, made, said, container_registry(registry.host))
        assert first.startswith(f"{registry.host}/team/{here.name}@sha256:")
        labels = registry.config(first)["config"]["Labels"]
        assert labels["org.example.team"] == "blue" and labels["org.example.number"] == "7"
        script = (
            "./pkg/run.sh; cat built requirements.txt conf/a.ini; readlink link; echo $WHO; "
            "ls -a; stat -c %a pkg/run.sh requirements.txt"
        )
        said_by = crun_run(first, ["sh", "-c", script]).stdout.split()
        for word in ("ran", "built-for", "zenml", "numpy", "/usr/bin/python3", "755", "644"):
            assert word in said_by
        assert "left-out" not in said_by
        assert not warnings(log)
        assert any(level == "info" and "RUN echo" in line for level, line in log)
        # The tag is there, and means something else now.
        again = context(dockerfile, root, **{"requirements.txt": "scipy\n"})
        second = builder().build(name, again, said, container_registry(registry.host))
        assert second != first
        assert registry.manifest(name) == registry.manifest(second)

    def test_kept(self, here: Engine, small: str) -> None:
        """What is not pushed is there to start from."""
        name = "zenml:kept-intermediate-build"
        assert builder().build(name, context(f"FROM {small}\nENV KEPT=1\n"), options(here)) == name
        on_top = context(f"FROM {name}\nRUN test $KEPT = 1\n")
        pulled = options(here, pull=False)
        assert builder().build("zenml:kept", on_top, pulled) == "zenml:kept"
        assert "KEPT=1" in here.run("image", "inspect", "zenml:kept")

    def test_options(
        self, here: Engine, registry: Registry, small: str, log: list[tuple[str, str]]
    ) -> None:
        number = "cat /proc/sys/kernel/random/uuid"
        dockerfile = f"FROM {small}\nRUN {number} > /number && df -k /dev/shm > /shm\n"

        def built(**said: Any) -> str:
            name = f"{registry.host}/options-{here.name}:1"
            to = container_registry(registry.host)
            image = builder().build(name, context(dockerfile), options(here, **said), to)
            return str(registry.manifest(image)["layers"][-1]["digest"])

        first = built()
        assert built(nocache=False) == first
        assert built(no_cache=True) != first
        assert not warnings(log)
        built(shm_size=8 * 1024 * 1024, extra_hosts={"somewhere": "192.0.2.7"}, no_cache=True)
        old = here.name == "docker" and here.run("version", "-f", "{{.Server.Version}}") < "23"
        assert ["shm-size" in line for line in warnings(log)] == ([True] if old else [])
        log.clear()
        # All that means nothing is named, and nothing else.
        cache = f"{registry.host}/cache"
        built(squash=True, gzip=True, forcerm=True, cache_from=[f"{cache}:1"], quiet=None)
        said = sorted(line for line in warnings(log) if "build option" in line)
        expected = ["gzip", "squash"] if here.name == "docker" else ["cache_from", "gzip", "squash"]
        assert [line.split("build option ")[1].split(":")[0] for line in said] == expected

    def test_pull(self, here: Engine, registry: Registry, small: str) -> None:
        parent = f"{registry.host}/parent-{here.name}:moving"
        to = container_registry(registry.host)

        def child(pull: bool) -> list[str]:
            name = f"{registry.host}/child-{here.name}:1"
            image = builder().build(name, context(f"FROM {parent}\n"), options(here, pull=pull), to)
            return [entry for entry in registry.config(image)["config"]["Env"] if "V=" in entry]

        for version in ("V=1", "V=2"):
            # Pushed by somebody else: the engine does not know.
            somebody = f"{registry.host}/somebody-{here.name}:{version[-1]}"
            builder().build(somebody, context(f"FROM {small}\nENV {version}\n"), options(here), to)
            registry.copy(somebody, parent.split("/", 1)[1])
            assert child(pull=True) == [version]

    def test_a_large_context(
        self, here: Engine, root: Path, log: list[tuple[str, str]], small: str
    ) -> None:
        only("docker", here)
        with open(root / "weights", "wb") as weights:
            weights.truncate(60 * 1024 * 1024)
        dockerfile = f"FROM {small}\nRUN true\n"
        builder().build("zenml:large", context(dockerfile, root), options(here))
        # ZenML's own ignore file has said what is left out.
        assert not warnings(log)
        (root / ".dockerignore").unlink()
        builder().build("zenml:large", context(dockerfile, root), options(here))
        assert ["weights (60" in line for line in warnings(log)] == [True]

    def test_a_step_that_fails(self, here: Engine, small: str) -> None:
        failing = context(f"FROM {small}\nRUN echo this-is-why >&2; exit 7\n")
        with pytest.raises(TierceError, match="this-is-why") as raised:
            builder().build("zenml:failing", failing, options(here))
        assert raised.value.code == "step/failed"

    def test_another_registry(self, machine: Path, registry: Registry) -> None:
        # ZenML compares beginnings: the first would do for it.
        for name in (f"{registry.host}0/zenml:1", "ghcr.io/other/zenml:1"):
            with pytest.raises(ValueError, match="does not belong to"):
                to = container_registry(registry.host)
                builder().build(name, context("FROM scratch"), None, to)

    def test_options_that_make_no_sense(self, machine: Path) -> None:
        said = DockerBuildOptions(platform="pdp11")
        with pytest.raises(SpecificationError, match="build option platform") as raised:
            builder(builder="docker").build("zenml:1", context("FROM scratch"), said)
        assert raised.value.code == "context/invalid-option"


class TestCredentials:
    """Registries that know their users."""

    def test_of_the_component(
        self,
        here: Engine,
        private: Registry,
        log: list[tuple[str, str]],
    ) -> None:
        name = f"{private.host}/team/app-{here.name}:1"
        made = context("FROM scratch\nCOPY Dockerfile /\n")
        values = {"username": USER, "password": PASSWORD}
        Client().create_secret(f"login-{here.name}", values=values)
        known = container_registry(private.host, authentication_secret=f"login-{here.name}")
        assert known.credentials == (USER, PASSWORD)
        image = builder().build(name, made, options(here), known)
        assert image.startswith(f"{private.host}/team/app-{here.name}@sha256:")
        # What needs them to be pulled, too.
        on_top = context(f"FROM {name}\nENV B=1\n")
        name = f"{private.host}/team/top-{here.name}:1"
        builder().build(name, on_top, options(here, pull=True), known)
        assert PASSWORD not in "\n".join(line for _, line in log)


class TestPipelines:
    """What ZenML itself builds for pipelines."""

    @pytest.fixture
    def stack(self, here: Engine, registry: Registry) -> Stack:
        active = Client().active_stack
        return Stack(
            id=uuid.uuid4(),
            name=f"tierce-{here.name}",
            orchestrator=active.orchestrator,
            artifact_store=active.artifact_store,
            container_registry=container_registry(registry.host),
            image_builder=builder(network="host"),
        )

    def test_an_image_for_a_pipeline(
        self,
        here: Engine,
        stack: Stack,
        registry: Registry,
        parent: str,
        tmp_path: Path,
        crun_run: Containers,
    ) -> None:
        """A Dockerfile of the user's first, and what ZenML adds on top of it."""
        only("docker", here)
        dockerfile = tmp_path / "Dockerfile"
        dockerfile.write_text(f"FROM {parent}\nENV BY_USER=yes\n")
        settings = DockerSettings(
            dockerfile=str(dockerfile),
            requirements=["cowsay==6.1"],
            environment={"GREETING": "hello"},
            install_stack_requirements=False,
            build_config=DockerBuildConfig(build_options=DockerBuildOptions(labels={"a": "b"})),
        )
        image, text, requirements = PipelineDockerImageBuilder().build_docker_image(
            docker_settings=settings,
            tag=f"pipeline-{here.name}",
            stack=stack,
            include_files=False,
            entrypoint="python -c 'import cowsay'",
            extra_files={"extra.txt": "extra"},
        )
        assert image.startswith(f"{registry.host}/zenml@sha256:")
        assert "cowsay" in str(requirements) and "RUN pip install" in str(text)
        assert registry.config(image)["config"]["Labels"]["a"] == "b"
        # The first one is the engine's alone.
        assert f"pipeline-{here.name}-intermediate-build" not in registry.tags("zenml")
        script = "import cowsay, os; print(os.environ['GREETING'], os.environ['BY_USER'])"
        run = crun_run(image, ["python", "-c", script + "; print(open('extra.txt').read())"])
        assert run.stdout.split() == ["hello", "yes", "extra"]

    def test_the_example(
        self,
        here: Engine,
        machine: Path,
        registry: Registry,
        parent: str,
        tmp_path: Path,
        crun_run: Containers,
    ) -> None:
        only("podman", here)
        project = tmp_path / "example"
        project.mkdir()
        for file in EXAMPLE.glob("*.py"):
            (project / file.name).write_text(file.read_text())
        run = subprocess.run(
            [sys.executable, "run.py", "--registry", registry.host, "--parent-image", parent]
            + ["--network", "host"],
            cwd=project,
            env={
                **os.environ,
                "ZENML_REPOSITORY_PATH": str(project),
                "ZENML_CONFIG_PATH": str(tmp_path / "zenml"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, f"{run.stdout}{run.stderr}"
        image = run.stdout.split()[-1]
        assert image.startswith(f"{registry.host}/zenml@sha256:"), run.stdout
        labels = registry.config(image)["config"]["Labels"]
        assert labels["org.example.team"] == "greeters"
        script = "import cowsay, os; print(os.environ['GREETING'], os.path.exists('hello.py'))"
        assert crun_run(image, ["python", "-c", script]).stdout.split() == ["hello", "True"]


def test_the_flavor() -> None:
    flavor = TierceImageBuilderFlavor()
    assert flavor.config_class is TierceImageBuilderConfig
    assert flavor.implementation_class is TierceImageBuilder
    assert flavor.service_connector_requirements is None


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("localhost:5000/zenml:a", "localhost:5000/zenml"),
        ("localhost:5000/zenml", "localhost:5000/zenml"),
        ("zenml:a", "zenml"),
        ("docker.io/me/zenml:a-b.c", "docker.io/me/zenml"),
    ],
)
def test_names_without_tags(name: str, without: str) -> None:
    assert integration._without_tag(name) == without
