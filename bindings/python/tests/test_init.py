"""`tierce.init`: what it says holds until it is called again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tierce
from tierce import Image
from tierce.errors import SpecificationError


@pytest.fixture(autouse=True)
def forgotten(store: Path) -> Iterator[None]:
    tierce.init()
    yield
    tierce.init()


def image() -> Image:
    return Image.from_debian_base((3, 11), install_flyte=False, name="x")


def test_a_second_call_replaces_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    tierce.init("native", "localhost:5000", tmp_path)
    assert image().registry == "localhost:5000"
    image().with_source_file("a.txt").validate()
    tierce.init(image_builder="native")
    assert image().registry is None
    with pytest.raises(SpecificationError):
        image().with_source_file("a.txt").validate()


def test_short_names_of_registries_are_docker_hubs() -> None:
    tierce.init(image_registry="team/")
    assert image().registry == "docker.io/team"
    tierce.init(image_registry="")
    assert image().registry is None


def test_a_call_that_fails_changes_nothing() -> None:
    tierce.init(image_registry="localhost:5000")
    with pytest.raises(SpecificationError, match="image_registry"):
        tierce.init(image_registry="https://ghcr.io", root_dir="/")
    nothing: Any = 1
    with pytest.raises(TypeError, match="image_builder"):
        tierce.init(nothing, "ghcr.io/other")
    assert image().registry == "localhost:5000"


def test_it_holds_in_all_threads() -> None:
    tierce.init(image_registry="localhost:5000")
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.append(image().registry))
    thread.start()
    thread.join()
    assert seen == ["localhost:5000"]
