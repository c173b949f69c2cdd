"""The name of an image: what decides it, and what does not."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import tierce
from tierce import Image, Secret
from tierce.errors import SpecificationError


@pytest.fixture(autouse=True)
def project(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `app/main.py`, as the current one; nothing was said to `tierce.init`."""
    folder = tmp_path / "project"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "main.py").write_text("print(1)\n")
    monkeypatch.chdir(folder)
    tierce.init()
    return folder


def debian(name: str = "etl") -> Image:
    return Image.from_debian_base((3, 11), install_flyte=False, name=name)


def test_it_is_registry_name_and_a_tag() -> None:
    assert re.fullmatch(r"etl:[a-z0-9]+", debian().uri)
    assert re.fullmatch(r"ghcr.io/team/etl:[a-z0-9]+", debian().clone(registry="ghcr.io/team").uri)


def test_an_image_that_nothing_was_done_to_is_its_base() -> None:
    assert Image.from_base("ghcr.io/acme/base:1").uri == "ghcr.io/acme/base:1"
    assert Image.from_base("python:3.12").uri == "docker.io/library/python:3.12"
    assert Image.from_base("ghcr.io/acme/base:1").clone(name="mine").uri.startswith("mine:")


def test_sources_are_looked_at_each_time(project: Path) -> None:
    image = debian().with_source_folder("app")
    before = image.uri
    assert image.uri == before
    (project / "app" / "main.py").write_text("print(2)\n")
    assert image.uri != before
    (project / "app" / "main.py").write_text("print(1)\n")
    assert image.uri == before


def test_what_changes_the_name_and_what_does_not() -> None:
    image = debian().with_pip_packages("numpy", "scipy")
    tag = image.uri.split(":")[1]
    for same in (
        image.clone(name="other"),
        image.clone(registry="ghcr.io/team"),
        image.clone(registry_secret="hub"),
        debian().with_pip_packages("numpy", "scipy", index_url=""),
    ):
        assert same.uri.split(":")[-1] == tag
    different = [
        image.clone(platform="linux/arm64"),
        image.clone(platform=("linux/amd64", "linux/arm64")),
        image.with_apt_packages("git"),
        debian().with_pip_packages("numpy"),
        debian().with_pip_packages("numpyscipy"),
        debian().with_pip_packages("numpy", "scipy", pre=True),
        debian().with_pip_packages("numpy", "scipy", secret_mounts="token"),
        debian().with_apt_packages("numpy", "scipy"),
    ]
    tags = {each.uri.split(":")[1] for each in different}
    assert len(tags) == len(different) and tag not in tags


def test_where_a_secret_comes_from_is_not_in_the_name() -> None:
    def image(secret: Secret) -> Image:
        return debian().with_commands(["true"], secret_mounts=secret)

    mine = image(Secret("mine", as_env_var="TOKEN"))
    assert mine.uri == image(Secret("yours", group="team", as_env_var="TOKEN")).uri
    assert mine.uri != image(Secret("mine", as_env_var="OTHER")).uri


def test_relative_paths_start_from_the_root_folder(project: Path, tmp_path: Path) -> None:
    image = debian().with_source_folder("app")
    here = image.uri
    tierce.init(root_dir=project)
    os.chdir(tmp_path)
    assert image.uri == here
    tierce.init()
    with pytest.raises(SpecificationError, match="app"):
        image.validate()
    tierce.init(root_dir="project")
    os.chdir("/")
    assert image.uri == here


def test_the_registry_that_init_names_is_for_images_that_name_none() -> None:
    tierce.init(image_registry="localhost:5000/team")
    assert debian().registry == "localhost:5000/team"
    assert debian().uri.startswith("localhost:5000/team/etl:")
    assert debian().clone(registry="ghcr.io/me").uri.startswith("ghcr.io/me/etl:")
    made_before = debian()
    tierce.init()
    assert debian().registry is None and debian().uri.startswith("etl:")
    assert made_before.uri.startswith("localhost:5000/team/etl:")


def test_the_configuration_names_a_registry_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_IMAGE_REGISTRY", "ghcr.io/flyte-team")
    assert debian().registry is None
    assert debian().uri.startswith("ghcr.io/flyte-team/etl:")


def test_references_are_looked_up_in_the_configuration(tmp_path: Path) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "tierce" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[images]\ngpu = "ghcr.io/acme/gpu:7"\n')
    assert Image.from_ref_name("gpu").uri == "ghcr.io/acme/gpu:7"
    with pytest.raises(SpecificationError, match="cpu"):
        Image.from_ref_name("cpu").uri  # noqa: B018


def test_the_command_says_the_same(program: str, project: Path) -> None:
    image = debian().with_env_vars({"MODE": "nightly"}).with_source_folder("app", "/srv/app")
    (project / "tierce.toml").write_text(
        'name = "etl"\npython = "3.11"\n'
        'base = { debian = "bookworm", python = true, packages = ["ca-certificates"] }\n'
        'copy = [{ src = "app", dst = "/srv/app" }]\nenv = { MODE = "nightly" }\n'
    )
    said = subprocess.run([program, "key"], capture_output=True, text=True, check=True)
    assert image.uri == said.stdout.strip()
