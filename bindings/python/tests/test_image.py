"""`tierce.Image` as a value: what it is made of, that it never changes, and how it is shown."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import tierce
from tierce import Image, Secret
from tierce.errors import SpecificationError

HERE = (sys.version_info.major, sys.version_info.minor)


def debian(name: str | None = None) -> Image:
    return Image.from_debian_base((3, 11), install_flyte=False, name=name)


# One image for each way to make one, with its representation.
IMAGES: dict[str, tuple[Callable[[], Image], str]] = {
    "debian": (
        lambda: debian("etl"),
        "Image.from_debian_base(python_version=(3, 11), name='etl')",
    ),
    "base": (lambda: Image.from_base("python:3.12"), "Image.from_base('python:3.12')"),
    "clone": (
        lambda: Image.from_base("python:3.12").clone(name="x", registry="r.io/a", extendable=True),
        "Image.from_base('python:3.12').clone(name='x', registry='r.io/a')",
    ),
    "dockerfile": (
        lambda: Image.from_dockerfile(Path("a/Dockerfile"), "r.io/a", "x"),
        "Image.from_dockerfile('a/Dockerfile', name='x', registry='r.io/a')",
    ),
    "ref": (lambda: Image.from_ref_name("gpu"), "Image.from_ref_name('gpu')"),
    "uv script": (
        lambda: Image.from_uv_script("a.py", name="x", index_url="https://u:p@pypi.example/s"),
        "Image.from_uv_script('a.py', name='x')",
    ),
    "pixi script": (
        lambda: Image.from_pixi_script(Path("a.py"), name="x", environment="gpu"),
        "Image.from_pixi_script('a.py', name='x')",
    ),
}

DEBIAN = "Image.from_debian_base(python_version=(3, 11), name='tierce')"

# One image for each layer, with that layer's representation and line.
LAYERS: dict[str, tuple[Callable[[Image], Image], str, str]] = {
    "pip": (
        lambda i: i.with_pip_packages(
            "numpy",
            "ours @ git+https://user:secret@git.example/ours",
            index_url="https://user:secret@pypi.example/simple",
            extra_index_urls=["https://two.example", "https://three.example"],
            pre=True,
            extra_args="--no-deps",
            secret_mounts=["token", Secret("key", group="g")],
        ),
        "with_pip_packages('numpy', 'ours @ git+https://git.example/ours', "
        "index_url='https://pypi.example/simple', "
        "extra_index_urls=['https://two.example', 'https://three.example'], "
        "pre=True, extra_args='--no-deps', secret_mounts=['token', 'g/key'])",
        "pip numpy ours @ git+https://git.example/ours from https://pypi.example/simple",
    ),
    "many": (
        lambda i: i.with_pip_packages("a", "b", "c", "d", "e", "f", "g", "h"),
        "with_pip_packages('a', 'b', 'c', 'd', ...)",
        "pip a b c d e f and 2 more",
    ),
    "requirements": (
        lambda i: i.with_requirements(Path("r.txt")),
        "with_requirements('r.txt')",
        "requirements r.txt",
    ),
    "uv": (
        lambda i: i.with_uv_project("p/pyproject.toml", project_install_mode="install_project"),
        "with_uv_project('p/pyproject.toml', project_install_mode='install_project')",
        "uv project p itself",
    ),
    "poetry": (
        lambda i: i.with_poetry_project(Path("p/pyproject.toml"), secret_mounts=Secret("token")),
        "with_poetry_project('p/pyproject.toml', secret_mounts=['token'])",
        "poetry project p with token",
    ),
    "pixi": (
        lambda i: i.with_pixi_project("p/pixi.toml", environment="gpu"),
        "with_pixi_project('p/pixi.toml', environment='gpu')",
        "pixi project p (gpu)",
    ),
    "apt": (
        lambda i: i.with_apt_packages("git", "curl", secret_mounts="token"),
        "with_apt_packages('git', 'curl', secret_mounts=['token'])",
        "apt git curl with token",
    ),
    "commands": (
        lambda i: i.with_commands(["echo 'a'", "true"]),
        "with_commands(['echo \\'a\\'', 'true'])",
        "run echo 'a' and 1 more",
    ),
    "one command": (lambda i: i.with_commands("true"), "with_commands(['true'])", "run true"),
    "env": (
        lambda i: i.with_env_vars({"B": "1", "A": "secret"}),
        "with_env_vars({'B': ..., 'A': ...})",
        "env B A",
    ),
    "workdir": (lambda i: i.with_workdir("/srv"), "with_workdir('/srv')", "workdir /srv"),
    "folder": (
        lambda i: i.with_source_folder(Path("a/src")),
        "with_source_folder('a/src', './src')",
        "copy a/src to ./src",
    ),
    "folder's contents": (
        lambda i: i.with_source_folder("a/src", copy_contents_only=True),
        "with_source_folder('a/src', '.')",
        "copy a/src to .",
    ),
    "file": (
        lambda i: i.with_source_file(Path("a.py"), "/srv/"),
        "with_source_file('a.py', '/srv/')",
        "copy a.py to /srv/",
    ),
    "code": (
        lambda i: i.with_code_bundle("all", "/srv"),
        "with_code_bundle('all', dst='/srv')",
        "code, all, to /srv",
    ),
    "ignore file": (
        lambda i: i.with_dockerignore("ignore"),
        "with_dockerignore('ignore')",
        "dockerignore ignore",
    ),
    "wheel": (
        lambda i: i.with_local_v2_plugins(["flyteplugins-x-y"], dist="dist"),
        "with_wheels('dist', 'flyteplugins_x_y')",
        "wheel flyteplugins_x_y of dist",
    ),
}


@pytest.mark.parametrize("made", IMAGES)
def test_images_are_shown_as_the_calls_that_make_them(made: str) -> None:
    make, shown = IMAGES[made]
    assert repr(make()) == shown


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_are_shown_as_calls_and_lines(layer: str) -> None:
    add, call, line = LAYERS[layer]
    image = add(debian())
    assert repr(image) == f"{DEBIAN}.{call}"
    assert str(image).startswith(f"{DEBIAN}\n  {line}")
    [shown] = image.layers
    assert repr(shown) == f"Layer.{call}"
    assert str(shown).startswith(line)
    assert "secret@" not in repr(image) + str(image)


def test_notebooks_get_text_and_html() -> None:
    image = debian("etl").with_commands(["echo <&>"]).with_apt_packages("git")
    shown = image._repr_mimebundle_()
    assert shown["text/plain"] == str(image)
    assert shown["text/html"] == (
        "<code>Image.from_debian_base(python_version=(3, 11), name=&#39;etl&#39;)</code>"
        "<ol><li><code>run echo &lt;&amp;&gt;</code></li><li><code>apt git</code></li></ol>"
    )


@pytest.mark.parametrize("made", [*IMAGES, *LAYERS])
def test_the_same_calls_make_equal_images(made: str) -> None:
    def make() -> Image:
        return IMAGES[made][0]() if made in IMAGES else LAYERS[made][0](debian())

    image, same, other = make(), make(), debian("another")
    assert image == same and hash(image) == hash(same) and image is not same
    assert image != other and hash(image) != hash(other)
    assert image != "image"
    assert {image: 1}[same] == 1
    for again in (
        pickle.loads(pickle.dumps(image)),
        copy.copy(image),
        copy.deepcopy(image),
        Image._from_document(image._document()),
    ):
        assert again == image and repr(again) == repr(image)
    assert type(image).__module__ == "tierce"


def test_arguments_that_mean_the_same_make_equal_images() -> None:
    image = debian("x")
    same = [
        image.with_pip_packages("a", secret_mounts="token", extra_index_urls="https://i.example"),
        image.with_pip_packages(
            "a", secret_mounts=[Secret("token")], extra_index_urls=("https://i.example",)
        ),
        image.with_pip_packages(
            "a",
            secret_mounts=(Secret("token", as_env_var="TOKEN"),),
            extra_index_urls=["https://i.example", ""],
            index_url="",
            extra_args="",
        ),
    ]
    assert same[0] == same[1] == same[2]
    assert Image.from_debian_base("3.11", install_flyte=False) == debian()
    assert image.clone(platform="linux/arm64") == image.clone(platform=("linux/arm64",))
    assert image.with_env_vars({"A": "1"}) == image.with_env_vars(MappingProxyType({"A": "1"}))
    assert image.with_source_file("a.py") == image.with_source_file([Path("a.py")])
    assert image.clone(addl_layer=image.with_workdir("/srv").layers[0]) == image.with_workdir(
        "/srv"
    )


def test_nothing_about_an_image_can_change() -> None:
    image = debian("x").with_apt_packages("git")
    before = image._document()
    for attribute in ("name", "registry", "uri", "layers", "extendable", "brand_new"):
        with pytest.raises(AttributeError):
            setattr(image, attribute, "y")
    with pytest.raises(AttributeError):
        delattr(image, "name")
    for add, _, _ in LAYERS.values():
        assert add(image) is not image
    image.clone(name="y", registry="r.io/a", python_version=(3, 13))
    assert image._document() == before
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Other", (Image,), {})


def test_images_are_not_instantiated() -> None:
    untyped: Any = Image
    for arguments in ((), ("python:3.12",)):
        with pytest.raises(TypeError, match=r"use one of its from_\.\.\.\(\) methods"):
            untyped(*arguments)
    with pytest.raises(TypeError, match="not instantiated directly"):
        untyped(base_image="python:3.12")


def test_what_constructors_say_of_an_image() -> None:
    image = Image.from_debian_base(install_flyte=False)
    assert (image.name, image.registry, image.base_image, image.dockerfile) == (
        "tierce",
        None,
        None,
        None,
    )
    assert image.python_version == HERE and image.extendable is True and image.layers == ()
    assert len(image.platform) == 1 and image.platform[0].startswith("linux/")
    base = Image.from_base("python:3.12")
    assert (base.base_image, base.name, base.extendable) == ("python:3.12", None, False)
    dockerfile = Image.from_dockerfile("a/Dockerfile", "r.io/a", "x", "linux/arm64")
    assert dockerfile.dockerfile == Path("a/Dockerfile")
    assert dockerfile.platform == ("linux/arm64",) and dockerfile.extendable is False
    assert Image.from_ref_name().name == "default"
    script = Image.from_uv_script("a.py", name="x", python_version=(3, 13), registry="r.io/a")
    assert (script.name, script.registry, script.python_version) == ("x", "r.io/a", (3, 13))
    several = Image.from_debian_base(platform=("linux/amd64", "linux/arm64"), install_flyte=False)
    assert several.platform == ("linux/amd64", "linux/arm64")


def test_a_release_of_flyte_is_the_base_where_it_is_asked_for() -> None:
    image = Image.from_debian_base((3, 12), flyte_version="2.12.1")
    assert image.base_image == "ghcr.io/flyteorg/flyte:py3.12-v2.12.1"
    assert image.uri == image.base_image
    assert (image.name, image.extendable) == ("flyte", True)
    assert image.with_pip_packages("httpx").base_image == image.base_image


def test_a_clone_keeps_what_is_not_said() -> None:
    image = debian("x").with_apt_packages("git")
    clone = image.clone(
        registry="r.io/a", name="y", python_version=(3, 13), platform=["linux/arm64"]
    )
    assert (clone.registry, clone.name, clone.python_version) == ("r.io/a", "y", (3, 13))
    assert clone.platform == ("linux/arm64",) and clone.layers == image.layers
    assert clone.clone(name="", registry="") == clone
    closed = image.clone(extendable=False)
    assert closed.extendable is False and closed.clone().extendable is False
    assert image.clone(base_image="python:3.12").base_image == "python:3.12"
    assert image.clone(registry_secret="hub") == image.clone(registry_secret=Secret("hub"))
    assert image.clone(registry_secret="hub") != image.clone()


@pytest.mark.parametrize(
    ("image", "code", "advice"),
    [
        (lambda: Image.from_base("a:b"), "flyte/not-extendable", "clone"),
        (lambda: debian("x").clone(extendable=False), "flyte/not-extendable", "extendable=True"),
        (lambda: Image.from_base("a:b").clone(extendable=True), "flyte/no-name", "name"),
        (lambda: Image.from_dockerfile("Dockerfile", "r.io/a", "x"), "flyte/dockerfile-layers", ""),
        (
            lambda: Image.from_dockerfile("Dockerfile", "r.io/a", "x").clone(extendable=True),
            "flyte/dockerfile-layers",
            "",
        ),
    ],
)
def test_some_images_take_no_layers(image: Callable[[], Image], code: str, advice: str) -> None:
    for add, _, _ in LAYERS.values():
        with pytest.raises(SpecificationError) as raised:
            add(image())
        assert raised.value.code == code
        assert advice in str(raised.value)
        # As in Flyte.
        assert isinstance(raised.value, ValueError)


def test_folders_of_pixi_projects_are_searched_as_pixi_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "pyproject.toml").write_text("")
    image = debian("x")
    assert image.with_pixi_project("p") == image.with_pixi_project("p/pyproject.toml")
    (tmp_path / "p" / "pixi.toml").write_text("")
    assert image.with_pixi_project(Path("p")) == image.with_pixi_project("p/pixi.toml")


def test_local_wheels_of_flyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "flyte-2.13-py3-none-any.whl").write_text("")
    image = debian("x")
    assert [str(x) for x in image.with_local_v2(dist="dist").layers] == ["wheel flyte of dist"]
    (tmp_path / "dist" / "flyteidl2-1-py3-none-any.whl").write_text("")
    assert [str(x) for x in image.with_local_v2(dist="dist").layers] == [
        "wheel flyte of dist",
        "wheel flyteidl2 of dist",
    ]
    (tmp_path / "dist" / "flyteidl2-2-py3-none-any.whl").write_text("")
    with pytest.raises(SpecificationError, match="flyteidl2-1-py3-none-any.whl"):
        image.with_local_v2(dist="dist")
    controller = image.with_local_rs_controller(dist="dist")
    assert str(controller.layers[0]) == "wheel flyte_controller_base of dist"
    assert image.with_local_v2_plugins() == image
    with pytest.raises(SpecificationError, match="flyteplugins-"):
        image.with_local_v2_plugins("vllm")


def test_documents_are_for_whoever_reads_them() -> None:
    assert (
        Image._from_document('{"base_image": "a:b", "python_version": "3.12"}').base_image == "a:b"
    )
    for document in ("", "{}", '{"python_version": "3.12", "surprise": 1}'):
        with pytest.raises(SpecificationError) as raised:
            Image._from_document(document)
        assert raised.value.code == "python/document"


def test_what_is_imported_is_what_is_documented() -> None:
    for value in (tierce.Image, tierce.Secret, tierce.Layer, tierce.Plan, tierce.PlannedLayer):
        members = [name for name in vars(value) if not name.startswith("_")]
        assert [name for name in members if not getattr(value, name).__doc__] == []
        assert value.__doc__ and ">>>" in value.__doc__
