"""What is there to be extended: builders and checkers of one's own.

A builder is an object with `build_image`, a checker one with `image_exists`; both may be coroutine
functions or plain ones. They are the same as Flyte's, which `tierce` takes as they are.

A builder is handed to `tierce.build(image, builder=...)` or `tierce.init(image_builder=...)`,
registered by `ImageBuildEngine.register(name, builder)`, or named in an entry point of the group
`tierce.plugins.image_builders` of a package.

Example:
    >>> import tierce
    >>> from tierce.extend import ImageBuild, ImageBuilder
    >>> class Echo(ImageBuilder):
    ...     async def build_image(self, image, dry_run, wait=True, force=False):
    ...         return ImageBuild(uri=f"example.com/{image.name}:1")
    ...     def get_checkers(self):
    ...         return []
    >>> image = tierce.Image.from_base("debian:12").clone(name="app", extendable=True)
    >>> tierce.build(image.with_env_vars({"A": "1"}), builder=Echo(), progress=None).uri
    'example.com/app:1'
"""

from __future__ import annotations

from typing import Literal, Protocol

from ._build import ImageBuildEngine
from ._tierce import Image, ImageBuild, ImageSpecBuilder

__all__ = [
    "Architecture",
    "ImageBuild",
    "ImageBuildEngine",
    "ImageBuilder",
    "ImageChecker",
    "ImageSpecBuilder",
]

Architecture = Literal["linux/amd64", "linux/arm64"]


class ImageChecker(Protocol):
    """Knows whether images are where they should be."""

    @classmethod
    async def image_exists(
        cls, repository: str, tag: str, arch: tuple[Architecture, ...] = ("linux/amd64",)
    ) -> str | None:
        """Looks for an image.

        Args:
            repository: `<registry>/<name>`, or `<name>` of an image that is not pushed.
            tag: Its tag.
            arch: The platforms that it must be there for.

        Returns:
            Its name where it is there, None where it is not.

        Raises:
            Exception: It cannot be told; the next checker is asked.
        """
        ...


class ImageBuilder(Protocol):
    """Builds images.

    What the engine guarantees holds for it, too: an image that makes no sense is refused before,
    one that is there already is not built, and what happens when nobody can tell whether it is
    there is the user's choice.
    """

    async def build_image(
        self, image: Image, dry_run: bool, wait: bool = True, force: bool = False
    ) -> ImageBuild:
        """Builds an image, and pushes it where it has a registry.

        Args:
            image: What the user has: a `tierce.Image`, or whatever `tierce.build` was given.
            dry_run: Build nothing.
            wait: Whether somebody waits for the end. If not, what is returned may have a
                `remote_run`.
            force: Build it whatever was built before.

        Returns:
            The image's name, and its digest where that is known.

        Raises:
            Exception: It fails; the caller gets a `StepError` with this as its cause.
        """
        ...

    def get_checkers(self) -> list[type[ImageChecker]] | None:
        """Who is asked whether an image is there, in this order; each is a class or an object.

        None stands for tierce's own, which ask the registry; with an empty list nobody is asked,
        and the image is built each time.
        """
        return None


def __dir__() -> list[str]:
    return __all__
