"""Bad input: what has the wrong type names its parameter, what makes no sense says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tierce
from tierce import Image
from tierce.errors import SpecificationError

Case = tuple[Callable[..., object], str]


class Odd:
    """Nothing that anything takes."""


image: Any = Image.from_debian_base((3, 11), install_flyte=False, name="x")
untyped: Any = Image
secret: Any = tierce.Secret
anything: Any = Odd()

SEPARATE = 'pass the items as separate arguments: "vim", "git" instead of ["vim", "git"]'

WRONG_TYPES: list[tuple[Callable[[], object], str]] = [
    (lambda: untyped.from_base(None), "'image_uri' must be str, not None"),
    (lambda: untyped.from_base(Path("a")), "'image_uri' must be str, not PosixPath"),
    (
        lambda: untyped.from_debian_base(3.12),
        "'python_version' must be a tuple as (3, 12), not float",
    ),
    (
        lambda: untyped.from_debian_base(("3", "12")),
        "'python_version' must be a tuple as (3, 12), but has str in it",
    ),
    (lambda: untyped.from_debian_base(flyte_version=2), "'flyte_version' must be str, not int"),
    (lambda: untyped.from_debian_base(install_flyte=1), "'install_flyte' must be bool, not int"),
    (
        lambda: untyped.from_debian_base(install_flyte=None),
        "'install_flyte' must be bool, not None",
    ),
    (lambda: untyped.from_debian_base(registry=b"r"), "'registry' must be str, not bytes"),
    (
        lambda: untyped.from_debian_base(registry_secret=["a"]),
        "'registry_secret' must be str or Secret, not list",
    ),
    (lambda: untyped.from_debian_base(name=1), "'name' must be str, not int"),
    (
        lambda: untyped.from_debian_base(platform=1),
        "'platform' must be str or a list of str, not int",
    ),
    (
        lambda: untyped.from_debian_base(platform=("linux/amd64", 1)),
        "'platform' must be str or a list of str, but has int in it",
    ),
    (lambda: untyped.from_dockerfile(1, "r", "n"), "'file' must be str or os.PathLike, not int"),
    (lambda: untyped.from_dockerfile("a", None, "n"), "'registry' must be str, not None"),
    (lambda: untyped.from_dockerfile("a", "r", None), "'name' must be str, not None"),
    (lambda: untyped.from_ref_name(None), "'name' must be str, not None"),
    (
        lambda: untyped.from_uv_script(b"a.py", name="x"),
        "'script' must be str or os.PathLike, not bytes",
    ),
    (lambda: untyped.from_uv_script("a.py", name=None), "'name' must be str, not None"),
    (lambda: untyped.from_uv_script("a.py"), "missing 1 required keyword argument: 'name'"),
    (lambda: untyped.from_uv_script("a.py", "x"), "takes 1 positional argument"),
    (
        lambda: untyped.from_pixi_script("a.py", name="x", environment=None),
        "'environment' must be str",
    ),
    (lambda: image.clone(extendable="yes"), "'extendable' must be bool, not str"),
    (
        lambda: image.clone(addl_layer="RUN a"),
        "'addl_layer' must be a Layer of another image, not str",
    ),
    (lambda: image.clone(base_image=image), "'base_image' must be str, not Image"),
    (
        lambda: image.with_pip_packages(["a", "b"]),
        f"'packages' must be str, not list\nhint: {SEPARATE}",
    ),
    (
        lambda: image.with_pip_packages("a", ("b",)),
        f"'packages' must be str, not tuple\nhint: {SEPARATE}",
    ),
    (lambda: image.with_pip_packages("a", 1), "'packages' must be str, not int"),
    (lambda: image.with_pip_packages("a", {"b": 1}), "'packages' must be str, not dict"),
    (lambda: image.with_pip_packages("a", index_url=1), "'index_url' must be str, not int"),
    (
        lambda: image.with_pip_packages("a", extra_index_urls={"u"}),
        "'extra_index_urls' must be str or a list of str, not set",
    ),
    (lambda: image.with_pip_packages("a", pre="yes"), "'pre' must be bool, not str"),
    (lambda: image.with_pip_packages("a", extra_args=["-x"]), "'extra_args' must be str, not list"),
    (
        lambda: image.with_pip_packages("a", secret_mounts={"a": 1}),
        "'secret_mounts' must be str, Secret or a list of them, not dict",
    ),
    (
        lambda: image.with_pip_packages("a", secret_mounts=["a", 1]),
        "'secret_mounts' must be str, Secret or a list of them, not int",
    ),
    (lambda: image.with_pip_packages("a", secrets="x"), "unexpected keyword argument 'secrets'"),
    (
        lambda: image.with_apt_packages(["git"]),
        f"'packages' must be str, not list\nhint: {SEPARATE}",
    ),
    (lambda: image.with_requirements(None), "'file' must be str or os.PathLike, not None"),
    (lambda: image.with_requirements(anything), "'file' must be str or os.PathLike, not Odd"),
    (lambda: image.with_uv_project(["p"]), "'pyproject_file' must be str or os.PathLike, not list"),
    (lambda: image.with_uv_project("p", uvlock=1), "'uvlock' must be str or os.PathLike, not int"),
    (
        lambda: image.with_uv_project("p", project_install_mode=1),
        "'project_install_mode' must be str",
    ),
    (lambda: image.with_poetry_project(1), "'pyproject_file' must be str or os.PathLike, not int"),
    (
        lambda: image.with_poetry_project("p", 1),
        "'poetry_lock' must be str or os.PathLike, not int",
    ),
    (lambda: image.with_pixi_project(1), "'manifest_file' must be str or os.PathLike, not int"),
    (lambda: image.with_pixi_project("p", 1), "'pixi_lock' must be str or os.PathLike, not int"),
    (lambda: image.with_commands(1), "'commands' must be str or a list of str, not int"),
    (
        lambda: image.with_commands(["a", ["b"]]),
        "'commands' must be str or a list of str, but has list in it",
    ),
    (
        lambda: image.with_env_vars([("A", "1")]),
        "'env_vars' must be a dict of str to str, not list",
    ),
    (
        lambda: image.with_env_vars({"A": 1}),
        "'env_vars' must be a dict of str to str, but the value of \"A\" is int",
    ),
    (
        lambda: image.with_env_vars({1: "A"}),
        "'env_vars' must be a dict of str to str, but has int in it",
    ),
    (lambda: image.with_workdir(Path("/srv")), "'workdir' must be str, not PosixPath"),
    (lambda: image.with_source_folder(1), "'src' must be str or os.PathLike, not int"),
    (lambda: image.with_source_folder(["a"]), "'src' must be str or os.PathLike, not list"),
    (lambda: image.with_source_folder("a", dst=None), "'dst' must be str, not None"),
    (
        lambda: image.with_source_folder("a", copy_contents_only=1),
        "'copy_contents_only' must be bool",
    ),
    (lambda: image.with_source_file(["a", 1]), "'src' must be str or os.PathLike, not int"),
    (lambda: image.with_code_bundle(None), "'copy_style' must be str, not None"),
    (lambda: image.with_dockerignore(None), "'path' must be str or os.PathLike, not None"),
    (lambda: image.with_local_v2(dist=1), "'dist' must be str or os.PathLike, not int"),
    (lambda: image.with_local_v2_plugins(1), "'plugins' must be str or a list of str, not int"),
    (lambda: image.plan(force=None), "'force' must be bool, not None"),
    (lambda: secret(), "missing 1 required positional argument: 'key'"),
    (lambda: secret(None), "'key' must be str, not None"),
    (lambda: secret("a", group=1), "'group' must be str, not int"),
    (lambda: secret("a", mount=1), "'mount' must be str or os.PathLike, not int"),
    (lambda: secret("a", as_env_var=1), "'as_env_var' must be str, not int"),
    (
        lambda: tierce.init(image_builder=anything),
        "'image_builder' must be the name of a builder or",
    ),
    (lambda: tierce.init(image_builder=anything.__class__), "a builder, not a class: Odd()"),
    (lambda: tierce.init(image_registry=anything), "'image_registry' must be str, not Odd"),
    (lambda: tierce.init(root_dir=anything), "'root_dir' must be str or os.PathLike, not Odd"),
]


@pytest.mark.parametrize("case", range(len(WRONG_TYPES)))
def test_wrong_types_name_the_parameter(case: int) -> None:
    call, message = WRONG_TYPES[case]
    with pytest.raises(TypeError) as raised:
        call()
    assert type(raised.value) is TypeError
    assert message in str(raised.value)


SENSELESS: list[tuple[Callable[[], object], str, str]] = [
    (lambda: untyped.from_base(""), "flyte/no-base", ""),
    (
        lambda: untyped.from_debian_base((3, 12, 1)),
        "python/argument",
        "'python_version' takes major and minor",
    ),
    (lambda: untyped.from_debian_base("three"), "python/argument", "'python_version' is wrong"),
    (lambda: untyped.from_debian_base((2, 7)), "python/argument", "python 2.7 is not supported"),
    (
        lambda: untyped.from_debian_base(platform="amd64"),
        "python/argument",
        '"amd64" is not a platform',
    ),
    (lambda: untyped.from_uv_script("a.sh", name="x"), "flyte/not-a-script", "a.sh"),
    (lambda: untyped.from_base("a\udcff"), "python/argument", "'image_uri' has characters"),
    (lambda: image.with_requirements("r.toml"), "flyte/not-requirements", "r.toml"),
    (lambda: image.with_pixi_project("p/other.toml"), "flyte/not-a-pixi-manifest", "other.toml"),
    (
        lambda: image.with_uv_project("p", project_install_mode="all"),
        "python/argument",
        '\'project_install_mode\' must be "dependencies_only" or "install_project", not "all"',
    ),
    (
        lambda: image.with_code_bundle("none"),
        "python/argument",
        '\'copy_style\' must be "loaded_modules" or "all", not "none"',
    ),
    (lambda: image.with_source_file(["a/x.py", "b/x.py"]), "flyte/duplicate-source", "x.py"),
    (lambda: image.with_source_folder(Path("a\udcff")), "python/argument", "'src' is not UTF-8"),
    (lambda: image.with_apt_packages("git", secret_mounts="a b"), "spec/invalid-secret", "a b"),
    (lambda: tierce.init(image_registry="https://ghcr.io"), "python/argument", "'image_registry'"),
]


@pytest.mark.parametrize("case", range(len(SENSELESS)))
def test_what_makes_no_sense_says_why(case: int) -> None:
    call, code, message = SENSELESS[case]
    with pytest.raises(SpecificationError) as raised:
        call()
    assert raised.value.code == code
    assert message in str(raised.value)
    # What names all that there is to choose from says what to do.
    assert code != "python/argument" or raised.value.hint or " or " in message
    for noise in ("Err(", "Some(", "panicked", "pyo3", "::"):
        assert noise not in str(raised.value)


PROBLEMS: list[tuple[Callable[[], Image], str]] = [
    (lambda: image.with_pip_packages("not a requirement"), "not a requirement"),
    (lambda: image.with_apt_packages("Git!"), "Git!"),
    (lambda: image.with_env_vars({"A B": "1"}), "A B"),
    (lambda: image.with_source_folder("nowhere"), "nowhere"),
    (lambda: image.with_source_file("nowhere.py"), "nowhere.py"),
    (lambda: image.with_requirements("nowhere.txt"), "nowhere.txt"),
    (lambda: image.with_dockerignore("nowhere"), "nowhere"),
    (lambda: image.clone(name="Not A Name"), "Not A Name"),
    (lambda: image.clone(registry="https://ghcr.io"), "registry"),
    (lambda: untyped.from_base("not a reference"), "not a reference"),
    (lambda: untyped.from_dockerfile("nowhere/Dockerfile", "ghcr.io/a", "x"), "nowhere/Dockerfile"),
]


@pytest.mark.parametrize("case", range(len(PROBLEMS)))
def test_validate_and_uri_say_what_is_wrong(
    case: int, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = PROBLEMS[case]
    made = make()
    for look in (made.validate, lambda: made.uri, made.explain, made.plan):
        with pytest.raises(SpecificationError) as raised:
            look()
        assert message in str(raised.value)
        assert "/" in raised.value.code
