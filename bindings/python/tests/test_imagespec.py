"""`tierce.ImageSpec`: flytekit's words."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tierce
from support.registry import Registry
from tierce import CopyFileDetection, ImageSpec
from tierce.errors import SpecificationTypeError

FIELDS = [
    "name",
    "python_version",
    "builder",
    "source_root",
    "env",
    "registry",
    "packages",
    "conda_packages",
    "conda_channels",
    "requirements",
    "apt_packages",
    "cuda",
    "cudnn",
    "base_image",
    "platform",
    "pip_index",
    "pip_extra_index_url",
    "pip_secret_mounts",
    "pip_extra_args",
    "registry_config",
    "entrypoint",
    "commands",
    "tag_format",
    "source_copy_mode",
    "copy",
    "python_exec",
    "runtime_packages",
    "builder_options",
    "builder_config",
]

EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "python_version": "3.10",
    "builder": "native",
    "source_root": "src",
    "env": {"B": "2", "A": "1"},
    "registry": "ghcr.io/team",
    "packages": ["pandas>=2"],
    "requirements": "requirements.txt",
    "apt_packages": ["git"],
    "base_image": "python:3.10-slim",
    "platform": "linux/amd64,linux/arm64",
    "pip_index": "https://me:secret@example.com/simple",
    "pip_extra_index_url": ["https://example.org/simple"],
    "pip_secret_mounts": [(".netrc", "/root/.netrc")],
    "pip_extra_args": "--no-deps",
    "registry_config": "registry.json",
    "entrypoint": [],
    "commands": ["mkdir /data"],
    "tag_format": "{spec_hash}-dev",
    "source_copy_mode": CopyFileDetection.ALL,
    "copy": ["data/a.txt"],
    "runtime_packages": ["numpy"],
    "builder_options": {"user": "root", "deep": {"list": [1, 2.5, None, True]}},
    "builder_config": {"uv_image": "uv:1"},
}


def test_the_fields_are_those_of_flytekit_in_its_order() -> None:
    parameters = inspect.signature(ImageSpec).parameters
    assert list(parameters) == FIELDS
    assert [p.default for p in parameters.values()] == ["flytekit"] + [None] * (len(FIELDS) - 1)
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_what_was_said_can_be_read() -> None:
    spec = ImageSpec(**EVERYTHING)
    assert {name: getattr(spec, name) for name in EVERYTHING} == EVERYTHING
    assert ImageSpec("a", "3.12").python_version == "3.12"


def test_what_was_not_said_is_none() -> None:
    spec = ImageSpec()
    said = {name: getattr(spec, name) for name in FIELDS if getattr(spec, name) is not None}
    assert said == {"name": "flytekit", "platform": "linux/amd64"}


def test_what_flytekit_makes_of_fields() -> None:
    spec = ImageSpec(name="Report", registry="GHCR.io/Team", source_root=Path("src"))
    assert (spec.name, spec.registry, spec.source_root) == ("report", "ghcr.io/team", "src")
    assert spec.source_copy_mode is CopyFileDetection.LOADED_MODULES


@pytest.mark.parametrize(
    "field",
    [
        "packages",
        "conda_channels",
        "conda_packages",
        "apt_packages",
        "pip_extra_index_url",
        "entrypoint",
        "commands",
        "runtime_packages",
    ],
)
@pytest.mark.parametrize(
    ("value", "given"),
    [
        ("pandas", "not str"),
        (("pandas",), "not tuple"),
        ([1], "but has int in it"),
        ({"pandas": 1}, "not dict"),
        (3, "not int"),
    ],
    ids=str,
)
def test_lists_are_lists_of_strings(field: str, value: object, given: str) -> None:
    expected = f"{field}: must be a list of strings or None, {given}"
    # flytekit raises ValueErrors for them.
    for kind in (TypeError, ValueError):
        with pytest.raises(kind, match=expected) as caught:
            ImageSpec(**{field: value})  # type: ignore[arg-type]
    assert isinstance(caught.value, SpecificationTypeError)
    assert caught.value.code == "imagespec/wrong-type"
    assert caught.value.hint
    if value == "pandas":
        assert caught.value.hint == f"Put it into a list: {field}=['pandas']."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"registry": "gh cr.io"}, "registry: "),
        ({"name": ""}, "name: the name is empty"),
        ({"builder_options": {"a": object()}}, "builder_options: must be what JSON can say"),
        ({"source_copy_mode": CopyFileDetection.ALL}, "source_copy_mode: there is no source_root"),
        ({"copy": ["/etc/passwd"]}, r"copy\[0\]: /etc/passwd is an absolute path"),
        ({"copy": ["../a"]}, r"copy\[0\]: \.\./a has a"),
        ({"tag_format": "{hash}"}, "tag_format: "),
        ({"python_version": "three"}, "python_version: "),
        ({"platform": "windows"}, "platform: "),
        ({"pip_index": "nowhere"}, "pip_index: "),
        ({"python_exec": "/bin/python", "conda_packages": ["a"]}, "conda_packages: not supported"),
        ({"requirements": "uv.lock", "packages": ["a"]}, "packages: not supported together"),
    ],
)
def test_what_makes_no_sense_is_a_value_error_that_names_the_field(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ImageSpec(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": 5}, "'name' must be str, not int"),
        ({"name": None}, "'name' must be str, not None"),
        ({"pip_secret_mounts": [["a", "b"]]}, "pip_secret_mounts: .*, but has list in it"),
        ({"pip_secret_mounts": [("a",)]}, "pip_secret_mounts: must be a list of tuples"),
        ({"builder_options": ["a"]}, "builder_options: must be a dictionary or None, not list"),
        ({"registry": 5}, "'registry' must be str, not int"),
        ({"python_version": 3.12}, "'python_version' must be str, not float"),
        ({"env": [1]}, "'env' must be a dict of str to str"),
        ({"env": {"A": 1}}, "'env' must be a dict of str to str"),
        ({"base_image": 5}, "'base_image' must be str or ImageSpec, not int"),
        ({"source_copy_mode": "ALL"}, "'source_copy_mode' must be CopyFileDetection, not str"),
        ({"pakcages": []}, "pakcages"),
    ],
)
def test_wrong_types_are_type_errors_that_name_the_parameter(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        ImageSpec(**fields)


@pytest.mark.parametrize("field", FIELDS)
def test_a_type_that_no_field_has_is_a_type_error_that_names_the_field(field: str) -> None:
    with pytest.raises(TypeError, match=rf"'{field}' must be|\] {field}: must be"):
        ImageSpec(**{field: 3.5})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        ("with_commands", "commands"),
        ("with_packages", "packages"),
        ("with_apt_packages", "apt_packages"),
        ("with_copy", "src"),
        ("with_runtime_packages", "runtime_packages"),
        ("with_builder_options", "builder_options"),
    ],
)
@pytest.mark.parametrize("value", [3, [3], None], ids=str)
def test_what_methods_are_given_has_the_right_type(
    method: str, parameter: str, value: object
) -> None:
    if (parameter, value) == ("builder_options", None):
        return
    with pytest.raises(TypeError, match=rf"{parameter}: must be ") as caught:
        getattr(ImageSpec(), method)(value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        (lambda s: s.with_commands("a").with_commands(["b"]), "commands", ["a", "b"]),
        (lambda s: s.with_packages("a").with_packages(["b", "c"]), "packages", ["a", "b", "c"]),
        (lambda s: s.with_apt_packages(["a"]).with_apt_packages("b"), "apt_packages", ["a", "b"]),
        (lambda s: s.with_copy("a").with_copy(["b/c"]), "copy", ["a", "b/c"]),
        (lambda s: s.with_runtime_packages(["a"]), "runtime_packages", ["a"]),
        (
            lambda s: s.with_builder_options({"a": 1}).with_builder_options({"b": [2]}),
            "builder_options",
            {"a": 1, "b": [2]},
        ),
    ],
)
def test_methods_give_new_specs(
    change: Callable[[ImageSpec], ImageSpec], field: str, expected: object
) -> None:
    spec = ImageSpec()
    changed = change(spec)
    assert getattr(changed, field) == expected
    assert spec == ImageSpec()
    assert spec != changed
    # What was forced stays forced.
    assert repr(change(spec.force_push())).endswith(".force_push()")


def test_what_methods_are_given_is_checked() -> None:
    with pytest.raises(ValueError, match=r"copy\[0\]: /a is an absolute path"):
        ImageSpec().with_copy("/a")


def test_specs_are_values() -> None:
    spec = ImageSpec(**EVERYTHING)
    same = ImageSpec(**{**EVERYTHING, "env": {"A": "1", "B": "2"}})
    assert (spec, hash(spec), spec.id) == (same, hash(same), same.id)
    assert spec != ImageSpec(**{**EVERYTHING, "packages": ["pandas"]})
    assert spec != "everything"
    assert {spec: 1}[same] == 1
    with pytest.raises(AttributeError):
        spec.name = "other"  # type: ignore[misc]
    # Neither who builds it nor what its secrets are says what it is.
    assert spec.id == spec.__replace__(builder="docker", pip_secret_mounts=None).id


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_specs_can_be_pickled_and_copied(copied: Callable[[ImageSpec], ImageSpec]) -> None:
    for spec in [
        ImageSpec(),
        ImageSpec(**EVERYTHING),
        ImageSpec(base_image=ImageSpec("base", packages=["a"])),
        ImageSpec("forced").force_push(),
    ]:
        assert copied(spec) == spec
        assert repr(copied(spec)) == repr(spec)


def test_replacing() -> None:
    spec = ImageSpec("a", packages=["x"]).force_push()
    assert spec.__replace__(name="b") == ImageSpec("b", packages=["x"]).force_push()
    assert spec.__replace__(packages=None) == ImageSpec("a").force_push()
    with pytest.raises(ValueError, match="packages: "):
        spec.__replace__(packages="x")
    if sys.version_info >= (3, 13):
        assert copy.replace(spec, name="b").name == "b"


def test_repr_is_what_makes_it_without_credentials() -> None:
    spec = ImageSpec(
        "a",
        base_image=ImageSpec("b"),
        packages=["pandas", "it's"],
        source_root="src",
        pip_index="https://me:hush@example.com/simple",
    )
    assert repr(spec) == (
        "ImageSpec(name='a', source_root='src', packages=['pandas', \"it's\"], "
        "base_image=ImageSpec(name='b'), pip_index='https://example.com/simple', "
        "source_copy_mode=CopyFileDetection.LOADED_MODULES)"
    )
    assert repr(ImageSpec()) == "ImageSpec()"
    without = spec.__replace__(pip_index=None)
    assert eval(repr(without), vars(tierce)) == without


def test_copy_modes_are_those_of_flytekit() -> None:
    assert [(mode.name, mode.value) for mode in CopyFileDetection] == [
        ("LOADED_MODULES", 1),
        ("ALL", 2),
        ("NO_COPY", 3),
    ]
    assert pickle.loads(pickle.dumps(CopyFileDetection.ALL)) is CopyFileDetection.ALL


def test_from_env_pins_what_is_installed() -> None:
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    spec = ImageSpec.from_env(pinned_packages=["pytest"], packages=["rich"], name="pinned")
    assert spec.packages == ["rich", f"pytest=={pytest.__version__}"]
    assert (spec.name, spec.python_version) == ("pinned", running)
    assert ImageSpec.from_env().packages is None
    with pytest.raises(ValueError, match="python_version cannot be set"):
        ImageSpec.from_env(python_version="3.12")
    with pytest.raises(ValueError, match="not installed in this environment: nothing-like-it"):
        ImageSpec.from_env(pinned_packages=["nothing-like-it"])


def test_is_container(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    spec = ImageSpec(packages=["pandas"])
    assert spec.is_container()
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    assert not spec.is_container()
    monkeypatch.setenv("_F_IMG_ID", spec.id)
    assert spec.is_container()
    assert not spec.with_packages("numpy").is_container()


def test_names_and_tags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.txt").write_text("six\n")
    spec = ImageSpec("app", registry="ghcr.io/team", requirements="requirements.txt")
    assert spec.image_name() == f"ghcr.io/team/app:{spec.tag}"
    local = spec.__replace__(registry=None)
    assert local.image_name() == f"app:{local.tag}"
    assert spec.__replace__(tag_format="{spec_hash}-dev").tag.endswith("-dev")
    assert spec.__replace__(tag_format="1.0").image_name() == "ghcr.io/team/app:1.0"
    before = spec.tag
    # What was read before is not remembered for what the file holds now.
    (tmp_path / "requirements.txt").write_text("six\nattrs\n")
    assert spec.tag != before
    noop = ImageSpec(builder="noop", base_image="ghcr.io/team/mine:1")
    assert noop.image_name() == "ghcr.io/team/mine:1"


def test_loaded_modules_decide_the_tag(tmp_path: Path, store: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import sys, used, tierce\n"
        "spec = tierce.ImageSpec(source_root=sys.argv[1], base_image='python:3.12')\n"
        "print(spec.tag)\n"
    )
    (tmp_path / "used.py").write_text("")

    def tag() -> str:
        run = [sys.executable, str(script), str(tmp_path)]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout

    first = tag()
    (tmp_path / "unused.py").write_text("")
    assert tag() == first
    (tmp_path / "used.py").write_text("a = 1\n")
    assert tag() != first


def test_existence(registry: Registry, base: str, store: Path) -> None:
    repository, tag = base.removeprefix(f"{registry.host}/").rsplit(":", 1)
    there = ImageSpec(repository, registry=registry.host, tag_format=tag)
    assert there.exist() is True
    assert there.__replace__(tag_format="other").exist() is False
    # Nobody listens there.
    assert there.__replace__(registry="localhost:9").exist() is None
    assert ImageSpec("nothing-local").exist() is False


def test_builders_of_python_decide_for_themselves(registry: Registry, base: str, store: Path) -> None:
    repository, tag = base.removeprefix(f"{registry.host}/").rsplit(":", 1)
    there = ImageSpec(repository, registry=registry.host, tag_format=tag)
    builder = tierce.ImageSpecBuilder()
    assert builder.should_build(there) is False
    assert builder.should_build(there.force_push()) is True
    assert builder.should_build(there.__replace__(tag_format="other")) is True
    with pytest.raises(NotImplementedError):
        builder.build_image(there)
