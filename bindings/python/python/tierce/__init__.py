"""Container images for Python, data and ML code, without Docker, a daemon or root."""

from __future__ import annotations

# Only what is compiled is imported at once. Everything else, and with it all of the standard
# library that costs time, is imported when it is first asked for: see `_LATER`.
try:
    from ._tierce import (
        Image,
        ImageBuild,
        ImageSpec,
        ImageSpecBuilder,
        Layer,
        LayerFact,
        Plan,
        PlannedLayer,
        PlatformBuild,
        Rendering,
        Run,
        Secret,
        init,
        __version__,
    )
except ImportError as error:
    from . import _platforms

    raise ImportError(_platforms.explanation(error), name="tierce._tierce") from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import errors as errors
    from . import extend as extend
    from ._build import ImageBuildEngine as ImageBuildEngine
    from ._build import build as build
    from ._build import build_all as build_all
    from ._build import image_exists as image_exists
    from ._copy_detection import CopyFileDetection as CopyFileDetection

__all__ = [
    "CopyFileDetection",
    "Image",
    "ImageBuild",
    "ImageBuildEngine",
    "ImageSpec",
    "ImageSpecBuilder",
    "Layer",
    "LayerFact",
    "Plan",
    "PlannedLayer",
    "PlatformBuild",
    "Rendering",
    "Run",
    "Secret",
    "__version__",
    "build",
    "build_all",
    "errors",
    "extend",
    "image_exists",
    "init",
]

# Names that are not compiled: the module, and the name in it, or None for the module itself.
_LATER: dict[str, tuple[str, str | None]] = {
    "CopyFileDetection": ("_copy_detection", "CopyFileDetection"),
    "ImageBuildEngine": ("_build", "ImageBuildEngine"),
    "build": ("_build", "build"),
    "build_all": ("_build", "build_all"),
    "errors": ("errors", None),
    "extend": ("extend", None),
    "image_exists": ("_build", "image_exists"),
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
    # Not what only the type checker asks for.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
