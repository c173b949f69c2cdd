"""What is installed for the running Python: what `Image.from_env` is made of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import metadata

Distribution = tuple[str, str, "str | None", "str | None", bool, "str | None"]


def distributions() -> list[Distribution]:
    """Name, version, installer, `direct_url.json`, whether it has a record, and the folder of a
    project that is used in place, of all that can be imported; the first of a name is what counts.
    """
    return list(_distributions())


def _distributions() -> Iterator[Distribution]:
    for found in metadata.distributions():
        # What a removal that failed has left has neither.
        name = found.metadata["Name"]
        version = found.metadata["Version"]
        if not name or not version:
            continue
        yield (
            name,
            version,
            _text(found, "INSTALLER"),
            _text(found, "direct_url.json"),
            _text(found, "RECORD") is not None,
            _develop(found),
        )


def _text(found: metadata.Distribution, name: str) -> str | None:
    try:
        return found.read_text(name)
    except (OSError, UnicodeDecodeError):
        return None


def _develop(found: metadata.Distribution) -> str | None:
    """The folder of a project whose metadata lies beside its sources."""
    place = getattr(found, "_path", None)
    if place is None or not str(place).endswith(".egg-info") or not os.path.isdir(place):
        return None
    folder = os.path.dirname(os.path.abspath(str(place)))
    for candidate in (folder, os.path.dirname(folder)):
        if any(os.path.isfile(os.path.join(candidate, name)) for name in _MANIFESTS):
            return candidate
    return None


_MANIFESTS = ("pyproject.toml", "setup.py")
