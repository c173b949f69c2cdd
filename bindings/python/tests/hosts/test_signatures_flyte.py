"""Every public method of Flyte's `Image` and `Secret` is ours, parameter by parameter."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import tierce

flyte = pytest.importorskip("flyte", reason="flyte is not installed")

# What ours take besides, all of it optional.
EXTRAS = {
    "Image.with_local_v2": {"dist"},
    "Image.with_local_rs_controller": {"dist"},
    "Image.with_local_v2_plugins": {"dist"},
}
# What Flyte's `init` has and ours has.
INIT = ("image_builder", "image_registry", "root_dir")


def methods(cls: type) -> list[str]:
    names = [name for name in dir(cls) if not name.startswith("_")]
    return [name for name in names if callable(getattr(cls, name))]


CASES = [("Image", name) for name in methods(flyte.Image)]
CASES += [("Secret", name) for name in methods(flyte.Secret)]


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    return found


def assert_same(path: str, theirs: Any, ours: Any) -> None:
    wanted, given = parameters(theirs), parameters(ours)
    extras = set(given) - set(wanted)
    assert extras == EXTRAS.get(path, set())
    assert all(given[name].default is None for name in extras)
    assert [name for name in given if name not in extras] == list(wanted)
    for name, parameter in wanted.items():
        assert given[name].kind is parameter.kind, name
        assert given[name].default == parameter.default, name


@pytest.mark.parametrize(("cls", "name"), CASES)
def test_methods_have_the_same_parameters(cls: str, name: str) -> None:
    theirs, ours = getattr(flyte, cls), getattr(tierce, cls)
    assert_same(f"{cls}.{name}", getattr(theirs, name), getattr(ours, name))
    kind = type(inspect.getattr_static(theirs, name)).__name__
    made = type(inspect.getattr_static(ours, name)).__name__
    assert made.startswith("classmethod") == (kind == "classmethod")


def test_secrets_are_made_with_the_same_arguments() -> None:
    assert_same("Secret", flyte.Secret, tierce.Secret)


def test_init_has_parameters_of_the_same_names() -> None:
    theirs, ours = parameters(flyte.init), parameters(tierce.init)
    assert tuple(ours) == INIT
    assert set(INIT) <= set(theirs)


def test_attributes_have_the_same_names() -> None:
    image = flyte.Image.from_base("ghcr.io/acme/base:1")
    public = [name for name in vars(image) if not name.startswith("_")]
    ours = tierce.Image.from_base("ghcr.io/acme/base:1")
    for name in [*public, "uri"]:
        theirs = getattr(image, name)
        assert getattr(ours, name) == theirs, name
        assert type(getattr(ours, name)) is type(theirs), name


def test_without_a_version_the_host_decides() -> None:
    theirs, ours = flyte.Image.from_debian_base(), tierce.Image.from_debian_base()
    assert ours.uri == theirs.uri
    assert (ours.name, ours.extendable) == (theirs.name, theirs.extendable)
    assert ours.python_version == theirs.python_version
    assert tierce.Image.from_debian_base(install_flyte=False).base_image is None


@pytest.mark.parametrize(
    "add",
    [
        lambda image: image.with_pip_packages(["a"]),
        lambda image: image.with_apt_packages("a", ["b"]),
        lambda image: image.with_commands(["a", ["b"]]),
    ],
)
def test_the_same_lists_are_type_errors(add: Any) -> None:
    for module in (flyte, tierce):
        with pytest.raises(TypeError, match="list"):
            add(module.Image.from_debian_base())


@pytest.mark.parametrize(
    "add",
    [
        lambda image: image.from_base("a:b").with_workdir("/srv"),
        lambda image: image.from_base("a:b").clone(extendable=True).with_workdir("/srv"),
        lambda image: (
            image.from_dockerfile("D", "r.io", "n").clone(extendable=True).with_workdir("/")
        ),
        lambda image: image.from_debian_base().with_requirements("a.toml"),
        lambda image: image.from_debian_base().with_local_v2_plugins("vllm"),
    ],
)
def test_the_same_images_are_refused(add: Any) -> None:
    for module in (flyte, tierce):
        with pytest.raises(ValueError):
            add(module.Image)


def test_its_secrets_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    image = tierce.Image.from_debian_base(install_flyte=False)
    theirs = [flyte.Secret("token", group="pypi"), "other"]
    ours = [tierce.Secret("token", group="pypi"), "other"]
    assert image.with_pip_packages("a", secret_mounts=theirs) == image.with_pip_packages(
        "a", secret_mounts=ours
    )


def test_secrets_name_the_same_variables() -> None:
    for arguments in ({"key": "a-b"}, {"key": "a", "group": "g"}, {"key": "a", "as_env_var": "X"}):
        theirs, ours = flyte.Secret(**arguments), tierce.Secret(**arguments)
        assert ours.as_env_var == theirs.as_env_var
