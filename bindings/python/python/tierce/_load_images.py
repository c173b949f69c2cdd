"""The images in a module: its own, and those of Flyte's and flytekit's objects in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import _tierce

if TYPE_CHECKING:
    from ._load_file import Wishes

_Document = dict[str, Any]


@dataclass
class _Image:
    """An object that is an image, and what it can be called."""

    value: Any
    names: list[tuple[str, str]]
    attached: bool = False
    """Whether a task of flytekit's runs in it."""


@dataclass
class Found:
    """What is in a module."""

    images: list[_Document] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    """What the images are built from; None for those that nobody wants."""
    without_image: list[str] = field(default_factory=list)
    """The names of environments and tasks that run in images which are there already."""

    def build(self, places: list[int], how: _Document, wishes: Wishes) -> None:
        """Builds the images at these places."""
        import tierce

        said = _tierce._init_said()
        tierce.init(
            image_builder=said["image_builder"],
            image_registry=how["registry"] or said["image_registry"],
            root_dir=wishes.root or said["root_dir"],
        )
        for place in places:
            if "problem" not in self.images[place]:
                self.images[place]["build"] = _built(self.objects[place], how, wishes)


def _built(image: Any, how: _Document, wishes: Wishes) -> _Document:
    import tierce

    try:
        build = tierce.build(
            image,
            how["dry_run"],
            how["force"],
            push=True if how["push"] else False if how.get("no_push") else None,
            builder=wishes.builder,
            platforms=how["platforms"],
            progress=how["progress"],
        )
    except Exception as error:
        return {"problem": _problem(error)}
    digest = None if build.digest is None else str(build.digest)
    return {"uri": build.uri, "status": build.status, "digest": digest}


def find(module: ModuleType, wishes: Wishes, registered: list[Any], root: str) -> Found:
    """The images in `module`.

    Args:
        module: the module.
        wishes: what the command line says.
        registered: Flyte's environments that were made while the module was loaded.
        root: the folder that the module imports from.
    """
    search = _Search(_Types())
    for name, value in list(vars(module).items()):
        if not (name.startswith("__") and name.endswith("__")):
            search.look_at(name, value)
    if wishes.all:
        for environment in registered:
            search.look_at_environment(environment, None)
    found = Found(without_image=search.without_image)
    for image in search.images:
        document, value = _described(image, search.types, wishes, root)
        found.images.append(document)
        found.objects.append(value)
    return found


class _Types:
    """The types that are looked for: those of the packages that are loaded."""

    def __init__(self) -> None:
        self.image = _loaded_types(("tierce._tierce", "Image"))
        self.image_spec = _loaded_types(("tierce._tierce", "ImageSpec"))
        self.flyte_image = _loaded_types(("flyte._image", "Image"))
        self.environment = _loaded_types(("flyte._environment", "Environment"))
        self.flyte_task = _loaded_types(("flyte._task", "TaskTemplate"))
        self.flytekit_spec = _loaded_types(("flytekit.image_spec.image_spec", "ImageSpec"))
        self.flytekit_task = _loaded_types(
            ("flytekit.core.python_auto_container", "PythonAutoContainerTask"),
            ("flytekit.core.container_task", "ContainerTask"),
        )
        self.workflow = _loaded_types(("flytekit.core.workflow", "WorkflowBase"))
        self.images = self.image + self.image_spec + self.flyte_image + self.flytekit_spec
        self.specs = self.image_spec + self.flytekit_spec


def _loaded_types(*wanted: tuple[str, str]) -> tuple[type, ...]:
    found = (getattr(sys.modules.get(module), name, None) for module, name in wanted)
    return tuple(one for one in found if isinstance(one, type))


def _is(value: object, types: tuple[type, ...]) -> bool:
    try:
        return isinstance(value, types)
    except Exception:  # Proxies answer for what they stand for, which need not be there.
        return False


class _Search:
    """Collects images, each object once with all of its names."""

    def __init__(self, types: _Types) -> None:
        self.types = types
        self.images: list[_Image] = []
        self.without_image: list[str] = []
        self._seen: set[int] = set()

    def look_at(self, name: str, value: object) -> None:
        """Takes what the variable `name` holds; of lists and dicts, what is in them."""
        if not self._take(name, value):
            for key, item in _items(value):
                self._take(f"{name}.{key}", item)

    def _take(self, name: str, value: Any) -> bool:
        types = self.types
        if _is(value, types.images):
            self._add(value, [("variable", name)])
        elif _is(value, types.environment):
            self.look_at_environment(value, name)
        elif _is(value, types.flyte_task):
            self._add_of_task(value, value.image, name)
        elif _is(value, types.flytekit_task):
            self._add_of_flytekit_task(value, name)
        elif _is(value, types.workflow):
            self._look_at_workflow(value, name)
        else:
            return False
        return True

    def look_at_environment(self, environment: Any, variable: str | None) -> None:
        """Takes the image of one of Flyte's environments, and of those it depends on."""
        names = [("environment", environment.name)]
        if variable is not None:
            names.append(("variable", variable))
        if _is(environment.image, self.types.images):
            self._add(environment.image, names)
        else:
            self.without_image += [name for _, name in names]
        if id(environment) not in self._seen:
            self._seen.add(id(environment))
            for other in environment.depends_on:
                self.look_at_environment(other, None)

    def _add_of_task(self, task: Any, image: object, variable: str) -> None:
        names = [("task", variable), ("task", str(task.name))]
        # What Flyte takes for a task that says nothing is nothing to build.
        if _is(image, self.types.images) and not _is_plain(image):
            self._add(image, names)
        else:
            self.without_image += [name for _, name in names]

    def _add_of_flytekit_task(self, task: Any, variable: str) -> None:
        image = getattr(task, "container_image", None) or getattr(task, "_image", None)
        names = [("task", variable), ("task", str(task.name))]
        if _is(image, self.types.images):
            self._add(image, names, attached=True)
        else:
            self.without_image += [name for _, name in names]

    def _look_at_workflow(self, workflow: Any, variable: str) -> None:
        if id(workflow) in self._seen:
            return
        self._seen.add(id(workflow))
        before = len(self.images)
        named: list[_Image] = []
        for entity in _tasks_of(workflow, self.types):
            image = getattr(entity, "container_image", None) or getattr(entity, "_image", None)
            if _is(image, self.types.images):
                named.append(self._add(image, [("task", str(entity.name))], attached=True))
        for one in named:
            _add_name(one, ("task", variable))
            _add_name(one, ("task", str(workflow.name)))
        if not named and len(self.images) == before:
            self.without_image += [variable, str(workflow.name)]

    def _add(self, value: Any, names: Iterable[tuple[str, str]], attached: bool = False) -> _Image:
        image = next((known for known in self.images if known.value is value), None)
        if image is None:
            image = _Image(value, [])
            self.images.append(image)
        image.attached |= attached
        for name in names:
            _add_name(image, name)
        return image


def _add_name(image: _Image, name: tuple[str, str]) -> None:
    if name not in image.names:
        image.names.append(name)


def _items(value: object) -> Iterator[tuple[str, Any]]:
    """What is in a list, a tuple or a dict with texts for keys."""
    if type(value) is dict:
        yield from ((key, item) for key, item in list(value.items()) if type(key) is str)
    elif type(value) in (list, tuple):
        yield from ((str(index), item) for index, item in enumerate(list(value)))  # type: ignore[call-overload]


def _tasks_of(workflow: Any, types: _Types, seen: set[int] | None = None) -> Iterator[Any]:
    """The tasks that a workflow of flytekit's runs, those of workflows in it included."""
    seen = set() if seen is None else seen
    if id(workflow) in seen:
        return
    seen.add(id(workflow))
    for node in workflow.nodes:
        entity = getattr(node, "flyte_entity", None)
        if _is(entity, types.workflow):
            yield from _tasks_of(entity, types, seen)
        elif _is(entity, types.flytekit_task):
            yield entity


def _is_plain(image: Any) -> bool:
    """Whether an image of Flyte's is nothing but its base."""
    return not (getattr(image, "_is_cloned", True) or getattr(image, "_layers", True))


def _described(image: _Image, types: _Types, wishes: Wishes, root: str) -> tuple[_Document, Any]:
    """What there is to say of an image, and the object to build it from."""
    value = image.value
    own_name = getattr(value, "name", None)
    if isinstance(own_name, str) and own_name:
        _add_name(image, ("image", own_name))
    order = ["variable", "environment", "task", "image"]
    names = sorted(image.names, key=lambda name: order.index(name[0]))
    document: _Document = {
        "kind": "image-spec" if _is(value, types.specs) else "image",
        "names": [{"of": of, "name": name} for of, name in names],
        # As everywhere in Python: such a name is nobody else's business.
        "private": all(of == "image" or name.startswith("_") for of, name in names),
        # Flyte has to know who brings the code before it can name an image.
        "decided": _is(value, types.flyte_image),
    }
    if not wishes.wants([name for _, name in names]) or (document["private"] and not wishes.names):
        return document, None
    try:
        value = _prepared(image, types, wishes, root)
        document["document"] = json.loads(_document(value, types))
        document["python_builder"] = _python_builder(value, types, wishes)
    except Exception as error:
        document["problem"] = _problem(error)
    return document, value


def _prepared(image: _Image, types: _Types, wishes: Wishes, root: str) -> Any:
    """The image as it is built: with its registry, its code and its sources decided about."""
    value = image.value
    sources = image.attached and not wishes.fast
    if _is(value, types.flyte_image):
        from .integrations import _flyte_image as flyte

        if flyte.push_registry() is not None:
            value = flyte.with_registry(value)
        return flyte.decided(value, wishes.copy_style or "loaded_modules", wishes.root)
    if _is(value, types.flytekit_spec):
        from .integrations import flytekit

        if sources:
            _add_sources_as_flytekit(value, root)
        return flytekit.to_image_spec(value)
    if sources and _is(value, types.image_spec):
        return _with_sources(value, root)
    return value


def _document(value: Any, types: _Types) -> str:
    """The image in words that the program understands."""
    if _is(value, types.flyte_image):
        from .integrations import _flyte_image as flyte

        return flyte.to_document(value)
    document: str = value._document()
    return document


_BUILT_IN = frozenset({"buildkit", "docker", "native", "noop", "podman"})


def _python_builder(value: Any, types: _Types, wishes: Wishes) -> str | None:
    """What the builder of an image is called, where it is there only in this Python."""
    said = _tierce._init_said()["image_builder"]
    own = getattr(value, "builder", None) if _is(value, types.image_spec) else None
    if _tierce.has_spec_builder(value, wishes.builder):
        return wishes.builder or own or "of ImageSpecs"
    chosen = wishes.builder or own or said or wishes.configured_builder
    if chosen is None or chosen in _BUILT_IN:
        return None
    if not isinstance(chosen, str):
        return type(chosen).__qualname__
    from . import _entry_points

    installed = {name for name, _ in _entry_points.names()}
    return chosen if chosen in installed else None


def _with_sources(spec: Any, root: str) -> Any:
    """With the sources that the image of a task gets without being asked, as in flytekit."""
    from ._copy_detection import CopyFileDetection

    mode = spec.source_copy_mode
    if mode is CopyFileDetection.NO_COPY or spec.source_root is not None:
        return spec
    return spec.__replace__(
        source_root=root, source_copy_mode=mode or CopyFileDetection.LOADED_MODULES
    )


def _add_sources_as_flytekit(spec: Any, root: str) -> None:
    """The same for a spec of flytekit's, which computes its name from its sources, too."""
    from flytekit.configuration import ImageConfig, SerializationSettings
    from flytekit.core.python_auto_container import update_image_spec_copy_handling

    settings = SerializationSettings(image_config=ImageConfig(), source_root=root)
    update_image_spec_copy_handling(spec, settings)


def _problem(error: Exception) -> _Document:
    from .errors import (
        EnvironmentFailure,
        InternalError,
        StepError,
        TierceError,
        UpstreamError,
    )

    if not isinstance(error, TierceError):
        return {"message": f"{type(error).__name__}: {error}"}
    kinds = {
        EnvironmentFailure: "environment",
        InternalError: "bug",
        StepError: "step",
        UpstreamError: "upstream",
    }
    kind = next((kind for known, kind in kinds.items() if isinstance(error, known)), "user")
    message = error.args[0] if error.args else str(error)
    return {"message": message, "code": error.code, "hint": error.hint, "kind": kind}
