"""Every layer that Flyte's SDK has, in the words of the core."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.require import skip

try:
    import flyte
except ImportError as error:
    skip("flyte", error)

import flyte._image as layers  # noqa: E402
from flyte.errors import ImageBuildError  # noqa: E402

from tierce.errors import SpecificationError  # noqa: E402
from tierce.integrations.flyte import to_document  # noqa: E402


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file that the layers below name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("flyte._initialize._init_config", None)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


FILES = {
    "requirements.txt": "requests\n",
    "dist/pkg-1-py3-none-any.whl": "",
    "project/pyproject.toml": "[project]\nname = 'p'\nversion = '1'\n",
    "project/uv.lock": "",
    "project/poetry.lock": "",
    "project/pixi.toml": "[workspace]\n",
    "project/pixi.lock": "",
    "script.py": "# /// script\n# requires-python = '>=3.11'\n# dependencies = ['httpx']\n# ///\n",
    "data.csv": "1\n",
    "src/module.py": "",
    "ignored": "*.log\n",
    "Dockerfile": "FROM scratch\n",
}

NO_OPTIONS = {
    "index_url": None,
    "extra_index_urls": [],
    "pre": False,
    "extra_args": None,
    "secrets": [],
}
OPTIONS = {
    "index_url": "https://a.example/simple",
    "extra_index_urls": ["https://b.example/simple"],
    "pre": True,
    "extra_args": "--no-deps",
    "secrets": [{"key": "token", "group": "pypi", "env": "PYPI_TOKEN"}],
}
FLYTES_OPTIONS: dict[str, Any] = {
    "index_url": "https://a.example/simple",
    "extra_index_urls": "https://b.example/simple",
    "pre": True,
    "extra_args": "--no-deps",
    "secret_mounts": flyte.Secret(key="token", group="pypi"),
}
PLAIN = {"key": "my-token", "env": "MY_TOKEN"}


def base() -> flyte.Image:
    return flyte.Image.from_base("docker.io/library/x:1").clone(name="app", extendable=True)


def document(image: flyte.Image) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(to_document(image))
    return written


LAYERS = {
    "pip": (
        lambda i: i.with_pip_packages("a", "b>1"),
        {"layer": "pip_packages", "packages": ["a", "b>1"], "options": NO_OPTIONS},
    ),
    "pip with options": (
        lambda i: i.with_pip_packages("a", **FLYTES_OPTIONS),
        {"layer": "pip_packages", "packages": ["a"], "options": OPTIONS},
    ),
    "pip of nothing": (
        lambda i: i.with_pip_packages(),
        {"layer": "pip_packages", "packages": [], "options": NO_OPTIONS},
    ),
    "requirements": (
        lambda i: i.with_requirements("requirements.txt", **FLYTES_OPTIONS),
        {"layer": "requirements", "file": "@requirements.txt", "options": OPTIONS},
    ),
    "wheels": (
        lambda i: i.clone(
            addl_layer=layers.PythonWheels(wheel_dir=Path("dist"), package_name="pkg")
        ),
        {"layer": "wheels", "dir": "@dist", "package": "pkg", "options": NO_OPTIONS},
    ),
    "uv": (
        lambda i: i.with_uv_project("project/pyproject.toml", extra_args="--no-dev"),
        {
            "layer": "uv_project",
            "pyproject": "@project/pyproject.toml",
            "lock": "@project/uv.lock",
            "mode": "dependencies_only",
            "options": {**NO_OPTIONS, "extra_args": "--no-dev"},
        },
    ),
    "poetry": (
        lambda i: i.with_poetry_project(
            Path("project/pyproject.toml"),
            secret_mounts="my-token",
            project_install_mode="install_project",
        ),
        {
            "layer": "poetry_project",
            "pyproject": "@project/pyproject.toml",
            "lock": "@project/poetry.lock",
            "mode": "install_project",
            "extra_args": None,
            "secrets": [PLAIN],
        },
    ),
    "pixi": (
        lambda i: i.with_pixi_project("project", environment="prod", extra_args="--frozen"),
        {
            "layer": "pixi_project",
            "manifest": "@project/pixi.toml",
            "lock": "@project/pixi.lock",
            "environment": "prod",
            "mode": "dependencies_only",
            "extra_args": "--frozen",
            "secrets": [],
        },
    ),
    "uv script": (
        lambda i: i.clone(addl_layer=layers.UVScript(script=Path("script.py"))),
        {"layer": "uv_script", "script": "@script.py", "options": NO_OPTIONS},
    ),
    "pixi script": (
        lambda i: i.clone(addl_layer=layers.PixiScript(script=Path("script.py"))),
        {
            "layer": "pixi_script",
            "script": "@script.py",
            "environment": "default",
            "extra_args": None,
            "secrets": [],
        },
    ),
    "apt": (
        lambda i: i.with_apt_packages(
            "git", "vim", secret_mounts=[flyte.Secret(key="k", mount=Path("/etc/flyte/secrets"))]
        ),
        {
            "layer": "apt_packages",
            "packages": ["git", "vim"],
            "secrets": [{"key": "k", "mount": "/etc/flyte/secrets"}],
        },
    ),
    "commands": (
        lambda i: i.with_commands(
            ["echo 1", "echo 2"],
            secret_mounts=["my-token", flyte.Secret(key="k", as_env_var="OTHER")],
        ),
        {
            "layer": "commands",
            "commands": ["echo 1", "echo 2"],
            "secrets": [PLAIN, {"key": "k", "env": "OTHER"}],
        },
    ),
    "workdir": (lambda i: i.with_workdir("/srv"), {"layer": "workdir", "workdir": "/srv"}),
    "env": (
        lambda i: i.with_env_vars({"B": "1 2", "A": "$PATH"}),
        {"layer": "env", "vars": [["B", "1 2"], ["A", "$PATH"]]},
    ),
    "folder": (
        lambda i: i.with_source_folder(Path("src")),
        {"layer": "source", "kind": "folder", "src": "@src", "dst": "./src"},
    ),
    "contents": (
        lambda i: i.with_source_folder(Path("src"), copy_contents_only=True),
        {"layer": "source", "kind": "folder", "src": "@src", "dst": "."},
    ),
    "file": (
        lambda i: i.with_source_file(Path("data.csv"), "/data/"),
        {"layer": "source", "kind": "file", "src": "@data.csv", "dst": "/data/"},
    ),
    "ignore file": (
        lambda i: i.with_dockerignore(Path("ignored")),
        {"layer": "dockerignore", "path": "@ignored"},
    ),
    "lines": (
        lambda i: i.clone(addl_layer=layers._DockerLines(("LABEL a=b",))),
        {"layer": "docker_lines", "lines": ["LABEL a=b"]},
    ),
    "code": (
        lambda i: layers.resolve_code_bundle_layer(i.with_code_bundle("all"), "none", Path("src")),
        {"layer": "source", "kind": "folder", "src": "@src", "dst": "."},
    ),
}


def placed(value: Any) -> Any:
    """`value` with `@` for the folder in which the test runs."""
    if isinstance(value, dict):
        return {name: placed(part) for name, part in value.items()}
    if isinstance(value, list):
        return [placed(part) for part in value]
    if isinstance(value, str) and value.startswith("@"):
        return os.path.join(os.getcwd(), value[1:])
    return value


@pytest.mark.parametrize("case", LAYERS)
def test_layers_are_written_with_all_they_have(case: str) -> None:
    make, expected = LAYERS[case]
    image = make(base())
    written = document(image)
    assert written["layers"] == [placed(expected)]
    assert written["uri"] == image.uri


def test_every_layer_of_flyte_has_a_case() -> None:
    made = {type(make(base())._layers[-1]) for make, _ in LAYERS.values()}
    made.add(layers.CodeBundleLayer)
    abstract = {layers.Layer, layers.PipOption}
    classes = {value for value in vars(layers).values() if isinstance(value, type)}
    known = {value for value in classes if issubclass(value, (layers.Layer, layers.PipOption))}
    assert known - abstract == made


def test_the_image_is_written_with_all_it_is() -> None:
    image = flyte.Image.from_debian_base(
        python_version=(3, 12),
        install_flyte=False,
        registry="r.example/me",
        registry_secret="my-token",
        name="app",
    )
    written = document(image)
    kinds = [layer["layer"] for layer in written.pop("layers")]
    assert kinds == ["docker_lines", "commands", "workdir", "env", "apt_packages"]
    assert written == {
        "base_image": "python:3.12-slim-bookworm",
        "dockerfile": None,
        "ref_name": None,
        "registry": "r.example/me",
        "registry_secret": PLAIN,
        "name": "app",
        "platform": ["linux/amd64", "linux/arm64"],
        "python_version": "3.12",
        "extendable": True,
        "is_cloned": True,
        "uri": image.uri,
    }


def test_images_on_dockerfiles_and_of_others_are_what_they_are() -> None:
    written = document(flyte.Image.from_dockerfile("Dockerfile", "r.example/me", "app"))
    assert written["dockerfile"] == placed("@Dockerfile")
    assert written["layers"] == []
    written = document(flyte.Image.from_base("r.example/x:1"))
    assert (written["uri"], written["is_cloned"]) == ("r.example/x:1", False)
    named = flyte.Image.from_ref_name("team").clone(base_image="r.example/team:1", extendable=True)
    written = document(named.with_workdir("/srv"))
    assert (written["base_image"], written["ref_name"]) == ("r.example/team:1", None)


def test_a_code_bundle_is_left_out_until_the_image_brings_the_code(project: Path) -> None:
    image = base().with_code_bundle("all", "/srv")
    assert document(image)["layers"] == []
    brought = json.loads(to_document(image, copy_style="none"))["layers"]
    assert brought == [{"layer": "source", "kind": "folder", "src": str(project), "dst": "/srv"}]


def test_a_bundle_of_loaded_modules_lists_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "src/other.py").write_text("")
    monkeypatch.syspath_prepend(str(project / "src"))
    import module  # type: ignore[import-not-found]  # noqa: F401

    image = layers.resolve_code_bundle_layer(base().with_code_bundle(), "none", project / "src")
    assert document(image)["layers"] == [
        {
            "layer": "code_bundle",
            "style": "loaded-modules",
            "dst": ".",
            "root": str(project / "src"),
            "loaded": ["module.py"],
        }
    ]


def test_the_projects_ignore_file_counts_unless_a_layer_names_one(project: Path) -> None:
    (project / ".dockerignore").write_text("*.tmp\n")
    flyte.init(root_dir=project)
    own = {"layer": "dockerignore", "path": str(project / ".dockerignore")}
    assert document(base().with_workdir("/srv"))["layers"][0] == own
    named = document(base().with_dockerignore(Path("ignored")))["layers"]
    assert [layer["path"] for layer in named] == [str(project / "ignored")]


@dataclasses.dataclass(frozen=True)
class Strange(layers.Layer):
    def update_hash(self, hasher: Any, ignore: Any = None) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Later(layers.Commands):
    shell: str = "sh"


def test_what_is_not_known_is_an_error_that_names_it() -> None:
    for layer, name in [(Strange(), "Strange"), (Later(("true",), shell="fish"), "Later.shell")]:
        with pytest.raises(SpecificationError, match=f"{name} of flyte 2|layer {name}") as raised:
            to_document(base().clone(addl_layer=layer))
        assert raised.value.code == "flyte/unknown-layer"
        assert "flyte 2.8 to" in str(raised.value.hint)
    # What a newer version does not use changes nothing.
    known = document(base().clone(addl_layer=Later(("true",))))["layers"]
    assert known == [{"layer": "commands", "commands": ["true"], "secrets": []}]


def test_what_flyte_says_of_an_image_without_a_name_is_said() -> None:
    with pytest.raises(ImageBuildError, match="has no name"):
        to_document(flyte.Image.from_base("x:1").clone())
