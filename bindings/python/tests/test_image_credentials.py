"""What people see of an image has no credentials of URLs, and no values of variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tierce
from tierce import Image, ImageSpec
from tierce.errors import SpecificationError, TierceError

URL = "https://user:hunter2@h.example/simple"
BARE = "user:hunter2@h.example/simple"


def looks(image: Image) -> list[str]:
    """All that can be seen of it, errors too."""
    texts = [repr(image), str(image), str(image._repr_mimebundle_()), repr(image.layers)]
    looking: list[Callable[[], str]] = [lambda: image.uri, image.explain]
    for look in looking:
        try:
            texts.append(look())
        except TierceError as error:
            texts.append(f"{error} {error!r} {error.hint}")
    return texts


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.with_commands([f"pip install -i {URL} idna"]),
        lambda image: image.with_commands([f"pip install -i '{BARE}' idna"]),
        lambda image: image.with_pip_packages("idna", index_url=URL),
        lambda image: image.with_pip_packages("idna", index_url=BARE),
        lambda image: image.with_pip_packages("idna", index_url="https://user:hun/ter2@h.example"),
        lambda image: image.with_pip_packages("idna", extra_index_urls=[BARE]),
        lambda image: image.with_pip_packages("idna", extra_args=f"'--index-url={BARE}"),
        lambda image: image.with_env_vars({"TOKEN": "hunter2"}),
        lambda image: image.clone(registry="user:hunter2@h.example/x"),
        lambda image: Image.from_base("https://user:hunter2@h.example/x"),
        lambda image: Image.from_base("user:hunter2@h.example/x:1"),
        lambda image: Image.from_ref_name("user:hunter2@h.example/x:1"),
    ],
)
def test_nothing_shows_credentials(mirrored: Path, change: Callable[[Image], Image]) -> None:
    tierce.init()
    image = Image.from_base("python:3.11-slim-bookworm").clone(name="x", extendable=True)
    for text in looks(change(image)):
        assert "hunter2" not in text and "ter2" not in text, text


def test_an_explanation_names_variables(mirrored: Path) -> None:
    tierce.init()
    image = Image.from_base("python:3.11-slim-bookworm").clone(name="x", extendable=True)
    said = image.with_env_vars({"TOKEN": "hunter2", "OTHER": "b"}).explain()
    assert "1. env     OTHER, TOKEN" in said or "1. env     TOKEN, OTHER" in said


def test_errors_say_where_it_is(store: Path) -> None:
    tierce.init()
    with pytest.raises(SpecificationError) as raised:
        Image.from_base("user:hunter2@h.example/x:1").uri  # noqa: B018
    assert raised.value.code == "flyte/invalid-reference"
    assert '"***@h.example/x:1"' in str(raised.value)
    assert "user name or a password" in str(raised.value)


def test_digests_and_tags_are_no_credentials() -> None:
    digest = "sha256:" + "1" * 64
    for name in (f"python:3.11@{digest}", f"localhost:5000/x@{digest}"):
        assert name[:45] in repr(Image.from_base(name))
    image = Image.from_debian_base(install_flyte=False, name="x")
    assert "git@h:team/x" in repr(image.with_commands(["git clone git@h:team/x"]))


def test_specs_show_none_either() -> None:
    spec = ImageSpec("a", commands=[f"pip install -i {BARE} x"])
    assert "hunter2" not in repr(spec) and "***@h.example" in repr(spec)
