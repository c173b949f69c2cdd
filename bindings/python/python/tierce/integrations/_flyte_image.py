"""Images of Flyte's SDK in the words that tierce has for them.

Flyte keeps what an image consists of in private attributes. They are read here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import SpecificationError

if TYPE_CHECKING:
    import flyte

__all__ = ["SUPPORTED", "decided", "push_registry", "root_dir", "to_document", "with_registry"]

SUPPORTED = "flyte 2.8 to 2.12"
"""The versions of Flyte's SDK whose images are known."""

_Document = dict[str, Any]


def to_document(image: flyte.Image, *, copy_style: str = "loaded_modules") -> str:
    """The JSON of `image`, as the core reads it: all of its layers, and the name Flyte gave it.

    Args:
        image: an image of Flyte's SDK.
        copy_style: who brings the code of an image that has a code bundle which nobody decided
            about yet, as in `flyte build --copy-style`: "none" for the image itself, anything
            else for whoever runs it.

    Raises:
        SpecificationError: the image has a layer that is not known here.
    """
    image = decided(image, copy_style)
    secret = _attribute(image, "_image_registry_secret")
    ref_name = _attribute(image, "_ref_name")
    layers = [_layer(layer) for layer in _layers(image)]
    document = {
        "base_image": image.base_image,
        "dockerfile": _path(image.dockerfile),
        # A name that was looked up already is the base's.
        "ref_name": None if image.base_image else ref_name,
        "registry": image.registry,
        "registry_secret": None if secret is None else _secret(secret),
        "name": image.name,
        "platform": list(image.platform),
        "python_version": ".".join(map(str, image.python_version)),
        "extendable": image.extendable,
        "is_cloned": _attribute(image, "_is_cloned"),
        "layers": [*_ignore_file(layers), *layers],
        "uri": image.uri,
    }
    return json.dumps(document)


def with_registry(image: flyte.Image) -> flyte.Image:
    """The image with a registry to push it to, which Flyte itself finds for its own builders only.

    Raises:
        SpecificationError: nobody says which.
    """
    if image.registry or not _attribute(image, "_is_cloned"):
        return image
    registry = push_registry()
    if registry is None:
        raise SpecificationError(
            f"no registry is known to push the image {image.name!r} to",
            "flyte/no-registry",
            "Say it once: flyte.init(image_registry='ghcr.io/me'), `image: registry: ghcr.io/me` "
            "in Flyte's config.yaml, or the variable FLYTE_IMAGE_REGISTRY=ghcr.io/me; or for one "
            "image: Image.from_debian_base(registry='ghcr.io/me').",
        )
    return image.clone(registry=registry)


def push_registry() -> str | None:
    """The registry that Flyte is configured to push images to."""
    module = _flyte_module("flyte._image")
    registry = _attribute(module, "_get_push_registry")()
    return str(registry) if registry else None


def root_dir() -> str | None:
    """The project's folder that `flyte.init` was given or found."""
    init = _flyte_module("flyte._initialize")._get_init_config()
    root = getattr(init, "root_dir", None)
    return None if root is None else os.path.abspath(root)


def _flyte_module(name: str) -> Any:
    import importlib

    return importlib.import_module(name)


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("flyte")


def _attribute(thing: Any, name: str) -> Any:
    """A private attribute of Flyte's."""
    try:
        return getattr(thing, name)
    except AttributeError:
        owner = getattr(thing, "__name__", type(thing).__name__)
        raise _unknown(f"{owner} of flyte {_version()} has no {name}") from None


def _unknown(what: str) -> SpecificationError:
    hint = f"This version of tierce knows the images of {SUPPORTED}. Upgrade whichever is older."
    return SpecificationError(what, "flyte/unknown-layer", hint)


def _layers(image: flyte.Image) -> Iterable[Any]:
    layers: Iterable[Any] = _attribute(image, "_layers")
    return layers


def decided(image: flyte.Image, copy_style: str, root: str | None = None) -> flyte.Image:
    """The image with its code bundle decided about, as Flyte does before it builds.

    Args:
        image: an image of Flyte's SDK.
        copy_style: as for `to_document`.
        root: the folder with the code, instead of the one that Flyte knows.
    """
    module = _flyte_module("flyte._image")
    bundle = _attribute(module, "CodeBundleLayer")
    if not any(isinstance(layer, bundle) and layer.root_dir is None for layer in _layers(image)):
        return image
    from pathlib import Path

    resolve = _attribute(module, "resolve_code_bundle_layer")
    found: flyte.Image = resolve(image, copy_style, Path(root or root_dir() or os.getcwd()))
    return found


def _ignore_file(layers: list[_Document]) -> list[_Document]:
    """The project's ignore file, where no layer names one."""
    root = root_dir()
    named = any(layer["layer"] == "dockerignore" for layer in layers)
    path = os.path.join(root, ".dockerignore") if root and not named else ""
    return [{"layer": "dockerignore", "path": path}] if os.path.isfile(path) else []


def _path(path: str | os.PathLike[str] | None) -> str | None:
    """Flyte's relative paths are relative to where Python runs."""
    return None if path is None else os.path.abspath(os.fspath(path))


def _secret(secret: str | flyte.Secret) -> _Document:
    if isinstance(secret, str):
        import flyte

        secret = flyte.Secret(key=secret)
    parts = {
        "key": secret.key,
        "group": secret.group,
        "mount": None if secret.mount is None else str(secret.mount),
        "env": secret.as_env_var,
    }
    return {name: value for name, value in parts.items() if value}


def _secrets(layer: Any) -> list[_Document]:
    return [_secret(secret) for secret in _several(layer.secret_mounts)]


def _several(value: Any) -> list[Any]:
    """Flyte takes one or several in many places, and keeps what it was given in some."""
    if not value:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _options(layer: Any) -> _Document:
    return {
        "index_url": layer.index_url,
        "extra_index_urls": _several(layer.extra_index_urls),
        "pre": bool(layer.pre),
        "extra_args": layer.extra_args,
        "secrets": _secrets(layer),
    }


def _requirements(layer: Any) -> _Document:
    # Flyte itself ignores `packages` of a layer that has a file.
    return {"file": _path(layer.file), "options": _options(layer)}


def _pip_packages(layer: Any) -> _Document:
    return {"packages": _several(layer.packages), "options": _options(layer)}


def _wheels(layer: Any) -> _Document:
    options = _options(layer)
    return {"dir": _path(layer.wheel_dir), "package": layer.package_name, "options": options}


def _uv_project(layer: Any) -> _Document:
    return {
        "pyproject": _path(layer.pyproject),
        "lock": _path(layer.uvlock),
        "mode": layer.project_install_mode,
        "options": _options(layer),
    }


def _poetry_project(layer: Any) -> _Document:
    return {
        "pyproject": _path(layer.pyproject),
        "lock": _path(layer.poetry_lock),
        "mode": layer.project_install_mode,
        "extra_args": layer.extra_args,
        "secrets": _secrets(layer),
    }


def _pixi_project(layer: Any) -> _Document:
    return {
        "manifest": _path(layer.manifest),
        "lock": _path(layer.pixi_lock),
        "environment": layer.environment,
        "mode": layer.project_install_mode,
        "extra_args": layer.extra_args,
        "secrets": _secrets(layer),
    }


def _uv_script(layer: Any) -> _Document:
    return {"script": _path(layer.script), "options": _options(layer)}


def _pixi_script(layer: Any) -> _Document:
    return {
        "script": _path(layer.script),
        "environment": layer.environment,
        "extra_args": layer.extra_args,
        "secrets": _secrets(layer),
    }


def _apt_packages(layer: Any) -> _Document:
    return {"packages": _several(layer.packages), "secrets": _secrets(layer)}


def _commands(layer: Any) -> _Document:
    return {"commands": _several(layer.commands), "secrets": _secrets(layer)}


def _env(layer: Any) -> _Document:
    return {"vars": [[str(name), str(value)] for name, value in layer.env_vars]}


def _workdir(layer: Any) -> _Document:
    return {"workdir": layer.workdir}


def _source(layer: Any) -> _Document:
    kind = "folder" if layer.path_type == 1 else "file"
    return {"kind": kind, "src": _path(layer.src), "dst": layer.dst}


def _code_bundle(layer: Any) -> _Document:
    """A code bundle that was decided about: the image brings the code."""
    style = layer.copy_style.replace("_", "-")
    root = os.path.realpath(layer.root_dir)
    loaded = _loaded_modules(root) if style == "loaded-modules" else []
    return {"style": style, "dst": layer.dst, "root": root, "loaded": loaded}


def _loaded_modules(root: str) -> list[str]:
    """What Flyte's own builder copies, as paths below `root`."""
    from pathlib import Path

    ls_files = _attribute(_flyte_module("flyte._code_bundle._utils"), "ls_files")
    files, _ = ls_files(Path(root), "loaded_modules")
    return sorted(os.path.relpath(file, root) for file in files)


def _dockerignore(layer: Any) -> _Document:
    return {"path": _path(layer.path)}


def _docker_lines(layer: Any) -> _Document:
    return {"lines": _several(layer.lines)}


@dataclasses.dataclass(frozen=True)
class _Kind:
    """How the layers of one class of Flyte's are written."""

    name: str
    fields: frozenset[str]
    write: Callable[[Any], _Document]


def _kind(name: str, fields: str, write: Callable[[Any], _Document]) -> _Kind:
    return _Kind(name, frozenset(fields.split()), write)


_PIP = "index_url extra_index_urls pre extra_args secret_mounts "
_POETRY = "pyproject poetry_lock extra_args project_install_mode secret_mounts"
_PIXI = "manifest pixi_lock environment extra_args project_install_mode secret_mounts"
# The platforms of a script are the image's.
_PIXI_SCRIPT = "script script_name platforms environment extra_args secret_mounts"

_KINDS: Mapping[str, _Kind] = {
    "PipPackages": _kind("pip_packages", _PIP + "packages", _pip_packages),
    "Requirements": _kind("requirements", _PIP + "packages file", _requirements),
    "PythonWheels": _kind("wheels", _PIP + "wheel_dir wheel_dir_name package_name", _wheels),
    "UVProject": _kind("uv_project", _PIP + "pyproject uvlock project_install_mode", _uv_project),
    "PoetryProject": _kind("poetry_project", _POETRY, _poetry_project),
    "PixiProject": _kind("pixi_project", _PIXI, _pixi_project),
    "UVScript": _kind("uv_script", _PIP + "script script_name", _uv_script),
    "PixiScript": _kind("pixi_script", _PIXI_SCRIPT, _pixi_script),
    "AptPackages": _kind("apt_packages", "packages secret_mounts", _apt_packages),
    "Commands": _kind("commands", "commands secret_mounts", _commands),
    "WorkDir": _kind("workdir", "workdir", _workdir),
    "DockerIgnore": _kind("dockerignore", "path", _dockerignore),
    "CopyConfig": _kind("source", "path_type src dst", _source),
    "CodeBundleLayer": _kind("code_bundle", "copy_style dst root_dir", _code_bundle),
    "_DockerLines": _kind("docker_lines", "lines", _docker_lines),
    "Env": _kind("env", "env_vars", _env),
}


def _layer(layer: Any) -> _Document:
    kind = _KINDS.get(_known_class(type(layer)))
    if kind is None:
        raise _unknown(f"the layer {type(layer).__name__} of flyte {_version()} is not known")
    for field in dataclasses.fields(layer):
        if field.name not in kind.fields and getattr(layer, field.name) != _default(field):
            name = f"{type(layer).__name__}.{field.name}"
            raise _unknown(f"{name} of flyte {_version()} is not known")
    return {"layer": kind.name, **kind.write(layer)}


def _known_class(cls: type) -> str:
    """The class of Flyte's that `cls` is, or is made from; what is made from it is that, too."""
    for base in cls.__mro__:
        if base.__module__ == "flyte._image" and base.__name__ in _KINDS:
            return base.__name__
        if base.__module__ == "flyte._image":
            break
    return ""


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
