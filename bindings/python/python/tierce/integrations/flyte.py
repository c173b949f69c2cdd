"""tierce as an image builder of Flyte's SDK: `flyte.init(image_builder="tierce")`.

Flyte finds it by the entry point `tierce` of the group `flyte.plugins.image_builders`. Images are
made by tierce's own builder, to exactly the names that Flyte computes; Docker is not needed, and
not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import TierceError
from ._flyte_image import push_registry, to_document, with_registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    import flyte

__all__ = ["TierceImageBuilder", "TierceImageChecker", "to_document"]

_WIDTH = 80
"""How many characters of a step's title are shown."""


class TierceImageBuilder:
    """Builds images of Flyte's SDK.

    Flyte makes one by itself, from the name `tierce`. To choose which of tierce's builders builds,
    hand one over: `flyte.init(image_builder=TierceImageBuilder("buildkit"))`.
    """

    def __init__(self, builder: str | None = None) -> None:
        """
        Args:
            builder: the name of a builder of tierce's, instead of the one that tierce is
                configured to use; images on a Dockerfile take what builds those on this machine.
        """
        self.builder = builder

    def __repr__(self) -> str:
        return f"TierceImageBuilder({self.builder!r})" if self.builder else "TierceImageBuilder()"

    def get_checkers(self) -> list[Any]:
        """Who knows whether an image exists: what Flyte remembers, then its registry."""
        from flyte._internal.imagebuild.image_builder import PersistentCacheImageChecker

        return [PersistentCacheImageChecker, TierceImageChecker, LetTheBuilderDecide]

    async def build_image(
        self, image: flyte.Image, dry_run: bool, wait: bool = True, force: bool = False
    ) -> flyte.ImageBuild:
        """Builds `image` under the name that Flyte gave it, and pushes it to its registry.

        Args:
            image: the image.
            dry_run: print what would be built, and build nothing.
            wait: whether to return when the image is there; else it is built by a process of its
                own, which `tierce runs` shows.
            force: build it even if it is there already.

        Raises:
            flyte.errors.ImageBuildError: with the code and the hint of what went wrong; its
                `__cause__` is the `tierce.errors.TierceError`.
        """
        import asyncio

        import flyte
        from flyte.errors import ImageBuildError

        try:
            image = with_registry(image)
            builder = self.builder
            if builder is None and image.dockerfile is None:
                builder = _tierce().builder_for_flyte()
            elif builder is None:
                # Whatever builds Dockerfiles on this machine.
                builder, _ = await asyncio.to_thread(_tierce().context_builder)
            uri = await _build(image, builder, dry_run, wait, force)
        except TierceError as error:
            raise ImageBuildError(f"cannot build {image.uri}: {_said(error)}") from error
        return flyte.ImageBuild(uri=uri, remote_run=None)


def _said(error: TierceError) -> str:
    """What went wrong, and what to do about it in Flyte's words."""
    if error.code != "build/foreign-platform":
        return str(error)
    return f"{error}\nOr name what its tasks run on: platform=(\"linux/amd64\",)."


async def _build(
    image: flyte.Image, builder: str | None, dry_run: bool, wait: bool, force: bool
) -> str:
    import tierce

    build = await tierce.build.aio(
        image,
        builder=builder,
        dry_run=dry_run,
        wait=wait,
        force=force,
        progress=progress(),
    )
    if dry_run:
        print(build.plan)
    elif build.remote_run is not None:
        status = _status()
        run = build.remote_run.id
        if status is not None:
            status.info(f"Image {image.uri} is built in the background: tierce runs wait {run}")
    return image.uri


class TierceImageChecker:
    """Asks an image's registry whether it is there, for every platform that is asked for."""

    @classmethod
    async def image_exists(
        cls, repository: str, tag: str, arch: Sequence[str] = ("linux/amd64",)
    ) -> str | None:
        """The image's name, or None where its registry does not have it.

        Raises:
            tierce.errors.TierceError: the registry could not tell.
        """
        name = f"{_pushed_as(repository)}:{tag}"
        return name if await _tierce().reference_exists(name, list(arch)) else None


class LetTheBuilderDecide:
    """The last checker: what nobody could tell is left to the builder.

    tierce asks the registry again when it builds, and its settings say what an answer that it
    does not get means: see `unknown` of its configuration. Flyte would take the image for there.
    """

    @classmethod
    async def image_exists(
        cls, repository: str, tag: str, arch: Sequence[str] = ("linux/amd64",)
    ) -> str | None:
        """None."""
        return None


def _pushed_as(repository: str) -> str:
    """The repository with the registry that images without one of their own are pushed to."""
    first, slash, _ = repository.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return repository
    registry = push_registry()
    return repository if registry is None else f"{registry}/{repository}"


def _tierce() -> Any:
    from .. import _tierce as compiled

    return compiled


def progress() -> Steps | Literal["auto"]:
    """What shows how a build gets on: Flyte's own status lines, a line for a step that is done.

    Notebooks get tierce's.
    """
    from .._notebook import is_here

    status = None if is_here() else _status()
    return "auto" if status is None else Steps(status)


def _status() -> Any:
    """Where Flyte says what it does: several builds at once, and a spinner, share it."""
    try:
        from flyte._status import status
    except ImportError:
        return None
    return status


class Steps:
    """Says what happens in a build in Flyte's status lines. What was there already is counted."""

    def __init__(self, status: Any) -> None:
        self._status = status
        self._titles: dict[int, str] = {}
        self._cached = 0

    def __call__(self, event: dict[str, Any]) -> None:
        """Takes in one event."""
        match event["event"]:
            case "step-started":
                self._titles[event["step"]] = _short(event["title"])
            case "step-finished" if event["outcome"] == "cached":
                self._cached += 1
            case "step-finished":
                said = [f"{event['millis'] / 1000:.1f} s"]
                said += [event["detail"]] if event["detail"] else []
                self._status.info(_plain(f"{self._titles[event['step']]}: {', '.join(said)}"))
            case "step-failed":
                self._status.warn(_plain(f"{self._titles[event['step']]}: failed"))
            case "build-finished":
                seconds = event["millis"] / 1000
                self._status.info(f"built in {seconds:.1f} s, {self._cached} steps were cached")
            case "warning":
                self._status.warn(_plain(f"{event['message']} [{event['code']}]"))


def _short(title: str) -> str:
    """A title that fits a line, with paths as people write them."""
    import os

    title = title.replace(os.getcwd() + os.sep, "")
    return title if len(title) <= _WIDTH else title[: _WIDTH - 1] + "…"


def _plain(text: str) -> str:
    """Text as it is, in Flyte's words: its terminal reads `[...]` as markup."""
    from flyte._status import get_output_mode

    if get_output_mode() != "rich":
        return text
    from rich.markup import escape

    return escape(text)
