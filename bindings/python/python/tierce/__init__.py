"""Container images for Python, data and ML code, without Docker, a daemon or root."""

from __future__ import annotations

# Only what is compiled is imported at once. Everything else, and with it all of the standard
# library that costs time, is imported when it is first asked for: see `_LATER`.
try:
    from ._tierce import __version__
except ImportError as error:
    from . import _platforms

    raise ImportError(_platforms.explanation(error), name="tierce._tierce") from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import errors as errors

__all__ = ["__version__", "errors"]

# Names that are not compiled: the module, and the name in it, or None for the module itself.
_LATER: dict[str, tuple[str, str | None]] = {
    "errors": ("errors", None),
}


def __getattr__(name: str) -> object:
    later = _LATER.get(name)
    if later is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module_name, attribute = later
    module = __import__(f"{__name__}.{module_name}", fromlist=["*"])
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
