"""Container images for Python, data and ML code, without Docker, a daemon or root."""

from __future__ import annotations

from ._tierce import __version__

__all__ = ["__version__"]
