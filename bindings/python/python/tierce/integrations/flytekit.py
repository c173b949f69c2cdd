"""tierce as an image builder of flytekit: `ImageSpec(builder="tierce")`.

flytekit finds it by the entry point `tierce` of the group `flytekit.plugins`, and takes it for
every spec that names no builder. Images are made by tierce's own builder, to exactly the names
that flytekit computes; Docker is not needed, and not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tierce

__all__ = ["NAME", "PRIORITY", "TierceImageSpecBuilder", "load", "to_image_spec"]

NAME = "tierce"
"""What specs call the builder."""

PRIORITY = 10
"""Above flytekit's own builders: envd has 5, the one that needs Docker 1."""


def load() -> None:
    """Registers the builder. flytekit imports this module and does not call what it finds in it,
    so that importing it registers the builder, too."""
    ImageBuildEngine.register(NAME, TierceImageSpecBuilder(), PRIORITY)


# After `load`: where this is imported before flytekit is, flytekit asks for it from in here.
from flytekit.constants import CopyFileDetection  # noqa: E402
from flytekit.image_spec.image_spec import (  # noqa: E402
    ImageBuildEngine,
    ImageSpec,
    ImageSpecBuilder,
)


class TierceImageSpecBuilder(ImageSpecBuilder):
    """Builds specs of flytekit's."""

    builder_type = NAME

    def should_build(self, image_spec: ImageSpec) -> bool:
        """Whether the image is missing, or is to be built whatever is there.

        Its registry is asked, by tierce: for what nobody can tell, tierce's setting `unknown`
        counts.

        Raises:
            RuntimeError: nobody can tell, and FLYTE_IMG_FAST_FAIL is set.
        """
        import click

        import tierce
        from tierce.errors import TierceError

        _remember(image_spec)
        name = image_spec.image_name()
        try:
            build = tierce.ImageSpecBuilder().should_build(to_image_spec(image_spec))
        except TierceError as error:
            if error.code == "engine/unknown-presence":
                raise RuntimeError(f"cannot tell whether the image {name} exists: {error}") from error
            raise
        if not build:
            click.secho(f"Image {name} found. Skip building.", fg="blue")
        return build

    def build_image(self, image_spec: ImageSpec) -> str:
        """Builds the image, and pushes it to its registry unless FLYTE_PUSH_IMAGE_SPEC forbids it.

        Returns:
            The name that flytekit has for it.

        Raises:
            tierce.errors.TierceError: it can't be built.
            ValueError: its sources are not what they were.
        """
        import tierce

        _remember(image_spec)
        before = _tag_now(image_spec)
        name = image_spec.image_name()
        tierce.build(to_image_spec(image_spec))
        after = _tag_now(image_spec)
        if after != before:
            raise ValueError(
                f"the sources of {name} changed while it was built: its tag is {after} now, and was "
                f"{before}. Build it again."
            )
        return name


def to_image_spec(spec: ImageSpec) -> tierce.ImageSpec:
    """The spec in tierce's words; its image has the tag, and its containers the id, that flytekit
    has for it."""
    import dataclasses

    import tierce

    said: dict[str, Any] = {}
    for field in dataclasses.fields(ImageSpec):
        value = getattr(spec, field.name)
        if value is not None:
            said[field.name] = value
    if said.get("builder") == NAME:
        # Whichever of tierce's builders is configured.
        del said["builder"]
    base = said.get("base_image")
    if isinstance(base, str):
        # It may be nowhere but in tierce's store.
        base = _built.get(base, base)
    if isinstance(base, ImageSpec):
        base = to_image_spec(base)
    if base is None:
        # Without a base flytekit brings the Python that runs.
        said.setdefault("python_version", _running_python())
    else:
        said["base_image"] = base
    if "python_version" in said:
        said["python_version"] = str(said["python_version"])
    if "env" in said:
        said["env"] = {name: str(value) for name, value in said["env"].items()}
    converted = tierce.ImageSpec(**said)._known_as(_container_id(spec), spec.tag)
    return converted.force_push() if spec._is_force_push else converted


_built: dict[str, ImageSpec] = {}
"""What this process was asked to build, under the images' names. flytekit builds a spec that is a
base first, and gives its name alone to the one that is built upon it."""


def _remember(spec: ImageSpec) -> None:
    _built[spec.image_name()] = spec


def _as_written(spec: ImageSpec) -> ImageSpec:
    """The spec as the program that runs in its containers will have it.

    While a workflow is registered, flytekit sets `source_root` to the project's folder on this
    machine. No container has that.
    """
    import dataclasses
    import os

    changes: dict[str, Any] = {}
    base = spec.base_image
    if isinstance(base, str) and base in _built:
        changes["base_image"] = _as_written(_built[base])
    if spec.source_root is not None and os.path.isabs(spec.source_root):
        changes["source_root"] = None
        if spec.source_copy_mode == CopyFileDetection.LOADED_MODULES:
            changes["source_copy_mode"] = None
    return dataclasses.replace(spec, **changes) if changes else spec


def _container_id(spec: ImageSpec) -> str:
    """What `is_container()` compares in the spec's containers."""
    identifier: str = _as_written(spec).id
    return identifier


def _tag_now(spec: ImageSpec) -> str:
    """The tag for what the files hold now: flytekit remembers what it has computed once."""
    vars(spec).pop("tag", None)
    tag: str = spec.tag
    return tag


def _running_python() -> str:
    import sys

    return f"{sys.version_info.major}.{sys.version_info.minor}"


load()
