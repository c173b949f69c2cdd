"""Builders that installed packages bring, by their entry points."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint
    from typing import Any

# Flyte's are the same kind of object.
GROUPS = ("tierce.plugins.image_builders", "flyte.plugins.image_builders")


def _all() -> Iterator[EntryPoint]:
    from importlib.metadata import entry_points

    for group in GROUPS:
        for entry_point in entry_points(group=group):
            # That is how Flyte finds tierce: it would find itself.
            if entry_point.module.partition(".")[0] != "tierce":
                yield entry_point


def names() -> list[tuple[str, str]]:
    """The builders' names, and where they come from; none is loaded."""
    return [(found.name, f"entry point {found.value}") for found in _all()]


def load(name: str) -> Any:
    """The builder called `name`, or None where no package has one."""
    for found in _all():
        if found.name == name:
            builder: Any = found.load()
            # A class, or a function that makes one.
            return builder() if callable(builder) else builder
    return None
