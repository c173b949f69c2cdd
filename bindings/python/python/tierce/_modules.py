"""What the running program has imported, and could import: what `LOADED_MODULES` copies."""

from __future__ import annotations

import os
import sys


def loaded_files() -> list[str]:
    """The files of all modules that are loaded and belong to nobody's installation.

    Absolute and sorted. Left out is what images get in other ways: the standard library and what
    is installed into an environment. Packages without an `__init__.py` have no file of their own;
    of what is imported from an archive the archive is the file.
    """
    installed = _installed()
    files = set()
    # A copy: what a module's attributes do may import others.
    for module in list(sys.modules.values()):
        path = _file(module)
        if path is None:
            continue
        path = os.path.abspath(path)
        if not _is_installed(path, installed):
            existing = _existing(path)
            if existing is not None:
                files.add(existing)
    return sorted(files)


def _file(module: object) -> str | None:
    """The file that a module says it was loaded from.

    Lazy modules load themselves when they are asked for an attribute, so nothing is asked for
    that is not there; and anything at all may be in `sys.modules`.
    """
    try:
        namespace = object.__getattribute__(module, "__dict__")
        file = namespace.get("__file__")
        if file is None:
            spec = namespace.get("__spec__")
            file = spec.origin if spec is not None and spec.has_location else None
    except AttributeError:
        return None
    return file if isinstance(file, str) and file else None


def _installed() -> tuple[str, ...]:
    """The folders whose content is installed: the interpreter's own, and tierce itself.

    Not the whole of `sys.prefix`: that may be `/usr`, and the project in `/usr/src`.
    """
    import site
    import sysconfig

    folders = {os.path.dirname(os.path.abspath(__file__)), site.getusersitepackages()}
    folders.update(site.getsitepackages())
    variables = [None, {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}]
    for given in variables:
        paths = sysconfig.get_paths(vars=given)
        folders.update(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
        folders.add(paths["scripts"])
    everywhere = {path for folder in folders for path in (folder, os.path.realpath(folder))}
    return tuple(os.path.join(folder, "") for folder in everywhere if folder)


def _is_installed(path: str, installed: tuple[str, ...]) -> bool:
    if path.startswith(installed):
        return True
    # Of another environment, which is on `sys.path` too.
    return not {"site-packages", "dist-packages"}.isdisjoint(path.split(os.sep))


def _existing(path: str) -> str | None:
    """The file, or the archive that it is in; None where neither is there."""
    while not os.path.isfile(path):
        above = os.path.dirname(path)
        if above == path or os.path.isdir(above):
            return None
        path = above
    return path


def installed_version(distribution: str) -> str | None:
    """The version of a distribution that is installed here, or None.

    As `importlib.metadata.version`, which takes longer to import than an image to name.
    `distribution` is as file names have it: lower-case, with underscores.
    """
    start, end = f"{distribution}-", ".dist-info"
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            # Archives, and what is not there.
            continue
        for name in names:
            if name.startswith(start) and name.endswith(end):
                return name[len(start) : -len(end)]
    return None
