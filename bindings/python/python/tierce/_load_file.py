"""Loads one Python file, as `python FILE` would find its imports."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import _modules
from ._load_images import find

_Document = dict[str, Any]


@dataclass(frozen=True)
class Wishes:
    """What the command line says."""

    root: str | None
    """The folder that files import from."""
    names: list[str]
    """The images that are wanted; empty for all."""
    all: bool
    """Whether environments in modules that a file imports count, too."""
    fast: bool
    """Whether sources are left out of images that get them from a task."""
    copy_style: str | None
    """The copy style, in Flyte's words."""
    builder: str | None
    """The builder that is named."""
    configured_builder: str | None
    """The builder of images for which nobody names one."""

    def wants(self, names: list[str]) -> bool:
        """Whether an image with these names is wanted."""
        return not self.names or not set(self.names).isdisjoint(names)


def load(path: str, wishes: Wishes, build: _Document | None = None, *, isolated: bool) -> _Document:
    """Runs the file, and says which images are in it.

    Args:
        path: the file.
        wishes: what the command line says.
        build: what to build of it, and how.
        isolated: whether the project's modules are forgotten again, so that each of several
            files is loaded as if it were the only one.
    """
    root = os.path.realpath(wishes.root) if wishes.root else _import_root(path)
    before = set(sys.modules)
    search_path = list(sys.path)
    arguments = sys.argv
    state = _State()
    try:
        # As `python FILE` has it, and the folder that the package of the file is in.
        here = os.path.dirname(os.path.realpath(path))
        sys.path[:0] = [root] if here == root else [root, here]
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        sys.argv = [path]
        module = _import(path, root)
        loaded = _modules.loaded_files()
        found = find(module, wishes, state.environments(), root)
        if build is not None:
            places = [place for file, place in build["images"] if file == path]
            found.build(places, build, wishes)
        return {
            "path": path,
            "init": state.init(),
            "loaded": loaded,
            "images": found.images,
            "without_image": found.without_image,
        }
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Whatever a file raises, `sys.exit()` included, is that file's alone.
        return {"path": path, "error": _failure(error)}
    finally:
        sys.argv = arguments
        sys.path[:] = search_path
        if isolated:
            _forget(before, _modules.loaded_files(), root)
            state.reset()


def _import_root(path: str) -> str:
    """The folder that the file's package is in: the nearest one above that is no package."""
    folder = os.path.dirname(os.path.realpath(path))
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def _import(path: str, root: str) -> ModuleType:
    """The module of the file, under the name that others import it by."""
    path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    relative, _ = os.path.splitext(os.path.relpath(path, root))
    parts = relative.split(os.sep)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    if all(part.isidentifier() for part in parts):
        name = ".".join(parts)
        taken = sys.modules.get(name)
        if taken is None or _is_file_of(taken, path):
            module = importlib.import_module(name)
            if _is_file_of(module, path):
                return module
    # A name that no import has, or that is somebody else's.
    return _import_as(f"__tierce_file__.{parts[-1]}", path)


def _is_file_of(module: ModuleType, path: str) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and os.path.realpath(file) == os.path.realpath(path)


def _import_as(name: str, path: str) -> ModuleType:
    name = name.rpartition(".")[2] if name.rpartition(".")[2] not in sys.modules else name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not Python code", path=path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _forget(before: set[str], loaded: list[str], root: str) -> None:
    """Forgets the project's modules. What is installed stays, since loading it takes long."""
    files = set(loaded)
    below = os.path.join(root, "")
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            if os.path.abspath(file) in files:
                del sys.modules[name]
        elif name.partition(".")[0] not in _KEPT:
            paths = [str(path) for path in getattr(module, "__path__", ())]
            if paths and all(path.startswith(below) for path in paths):
                del sys.modules[name]


_KEPT = frozenset({"tierce"})
"""Packages that are not a project's own, wherever they lie."""


class _State:
    """What files change besides their own modules."""

    def __init__(self) -> None:
        self._environments = len(_registered_environments())

    def environments(self) -> list[Any]:
        """Flyte's environments that were made since."""
        return _registered_environments()[self._environments :]

    def init(self) -> _Document:
        """What was said to `tierce.init`."""
        from . import _tierce

        said: _Document = _tierce._init_said()
        builder = said["image_builder"]
        return {
            # One that is an object is there only in this Python, which builds then.
            "builder": builder if isinstance(builder, str) else None,
            "registry": said.get("image_registry"),
            "root_dir": None if said.get("root_dir") is None else str(said["root_dir"]),
        }

    def reset(self) -> None:
        """Forgets what was said to `tierce.init`."""
        import tierce

        tierce.init()


def _registered_environments() -> list[Any]:
    module = sys.modules.get("flyte._environment")
    listed = getattr(module, "list_loaded_environments", None)
    return list(listed()) if callable(listed) else []


def _failure(error: BaseException) -> _Document:
    """An exception of a file, without what this module has to do with it."""
    if isinstance(error, SystemExit):
        code = "" if error.code is None else f"({error.code!r})"
        summary = f"it ends the program: sys.exit{code or '()'}"
    else:
        summary = traceback.format_exception_only(type(error), error)[-1].strip()
    report = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    pending: list[traceback.TracebackException | None] = [report]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        frames = [frame for frame in one.stack if not _is_ours(frame.filename)]
        one.stack = traceback.StackSummary.from_list(frames)
        pending += [one.__cause__, one.__context__]
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return {"summary": summary, "traceback": "".join(report.format()), "missing_module": missing}


def _is_ours(file: str) -> bool:
    return file in (__file__, importlib.__file__, "<string>") or file.startswith(
        "<frozen importlib"
    )
