"""Which of the sources an `ImageSpec` copies."""

from __future__ import annotations

from enum import Enum

__all__ = ["CopyFileDetection"]


class CopyFileDetection(Enum):
    """Which of the sources an `ImageSpec` copies, as `source_copy_mode`.

    >>> import tierce
    >>> tierce.ImageSpec(source_root="src").source_copy_mode
    <CopyFileDetection.LOADED_MODULES: 1>
    """

    LOADED_MODULES = 1
    """The modules that the running program has imported."""
    ALL = 2
    """All of them, but for what is ignored."""
    NO_COPY = 3
    """None."""


CopyFileDetection.__module__ = "tierce"
