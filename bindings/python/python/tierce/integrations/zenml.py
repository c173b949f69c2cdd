"""tierce as an image builder of ZenML's.

```console
$ zenml image-builder flavor register tierce.integrations.zenml.TierceImageBuilderFlavor
$ zenml image-builder register tierce --flavor=tierce
$ zenml stack update --image_builder=tierce
```

The flavor and its configuration need nothing of tierce's engine, so a ZenML server can show them;
the engine is loaded when something is built.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Optional, cast

from pydantic import Field, field_validator
from zenml.image_builders import BaseImageBuilder, BaseImageBuilderConfig, BaseImageBuilderFlavor
from zenml.logger import get_logger
from zenml.stack import StackValidator

if TYPE_CHECKING:
    from zenml.config.docker_settings import DockerBuildOptions
    from zenml.container_registries import BaseContainerRegistry
    from zenml.image_builders import BuildContext
    from zenml.stack import Stack

__all__ = ["TierceImageBuilder", "TierceImageBuilderConfig", "TierceImageBuilderFlavor"]

logger = get_logger(__name__)

# Docker Hub's names, which ZenML leaves out before it compares.
_DOCKER_HUB = ("index.docker.io/", "docker.io/")
# Builders of tierce's that make no use of a Dockerfile.
_NOT_FOR_DOCKERFILES = ("native", "noop")


class TierceImageBuilderConfig(BaseImageBuilderConfig):
    """What `zenml image-builder register NAME --flavor=tierce --KEY=VALUE` takes."""

    builder: Optional[str] = Field(
        default=None,
        description="The builder of tierce's that builds: docker, podman, buildkit, or one that "
        "was registered with `tierce builder register`. Unless set, the first of these that is "
        "there: the builder that tierce's configuration names, a buildkitd with a configured "
        "address, Docker, podman.",
    )
    buildkit_address: Optional[str] = Field(
        default=None,
        description="The address of a buildkitd: unix:///path or tcp://host:port.",
    )
    platforms: list[str] = Field(
        default_factory=list,
        description="The platforms to build for, as linux/amd64; the builder's own unless set.",
    )
    network: Optional[Literal["default", "host", "none"]] = Field(
        default=None, description="The network of build steps."
    )
    cache_from: list[str] = Field(
        default_factory=list,
        description="Caches to read, as `docker buildx build --cache-from` takes them.",
    )
    cache_to: list[str] = Field(
        default_factory=list,
        description="Caches to write, as `docker buildx build --cache-to` takes them.",
    )

    @field_validator("builder")
    @classmethod
    def _builds_dockerfiles(cls, builder: Optional[str]) -> Optional[str]:
        if builder is None:
            return None
        if not builder or builder.split() != [builder]:
            raise ValueError(f"{builder!r} is not the name of a builder")
        if builder in _NOT_FOR_DOCKERFILES:
            raise ValueError(
                f"the builder {builder} builds no Dockerfiles; name docker, podman or buildkit, "
                "or leave it out"
            )
        return builder

    @field_validator("buildkit_address")
    @classmethod
    def _is_address(cls, address: Optional[str]) -> Optional[str]:
        if address is not None and not address.startswith(("unix:///", "tcp://")):
            raise ValueError(f"{address!r} is no address: expected unix:///path or tcp://host:port")
        return address

    @field_validator("platforms")
    @classmethod
    def _are_platforms(cls, platforms: list[str]) -> list[str]:
        for platform in platforms:
            parts = platform.split("/")
            if len(parts) not in (2, 3) or not all(part.isalnum() for part in parts):
                raise ValueError(f"{platform!r} is no platform: expected one as linux/amd64")
        return platforms

    @property
    def build_options(self) -> dict[str, Any]:
        """What holds for every build, as Docker's build options."""
        said = {
            "platforms": self.platforms,
            "network": self.network,
            "cache_from": self.cache_from,
            "cache_to": self.cache_to,
        }
        return {name: value for name, value in said.items() if value}


class TierceImageBuilderFlavor(BaseImageBuilderFlavor):
    """The flavor `tierce`."""

    @property
    def name(self) -> str:
        """The flavor's name."""
        return "tierce"

    @property
    def display_name(self) -> Optional[str]:
        """The flavor's name for people."""
        return "tierce"

    @property
    def config_class(self) -> type[TierceImageBuilderConfig]:
        """The configuration."""
        return TierceImageBuilderConfig

    @property
    def implementation_class(self) -> type[TierceImageBuilder]:
        """The builder."""
        return TierceImageBuilder


class TierceImageBuilder(BaseImageBuilder):
    """Builds ZenML's images with tierce."""

    _found: Optional[tuple[str, bool]] = None

    @property
    def config(self) -> TierceImageBuilderConfig:
        """The configuration."""
        return cast(TierceImageBuilderConfig, self._config)

    @property
    def is_building_locally(self) -> bool:
        """Whether images are on this machine when they are built, so that the next one can start
        from one that was not pushed. A buildkitd keeps none.
        """
        _, keeps = self._builder()
        return keeps

    @property
    def validator(self) -> Optional[StackValidator]:
        """Asks for a container registry where the builder keeps no images."""

        def validate(stack: Stack) -> tuple[bool, str]:
            if stack.container_registry is not None or self._wants_no_registry():
                return True, ""
            return False, (
                f"The image builder `{self.name}` builds with a buildkitd, which keeps no "
                "images. Add a container registry to the stack, or choose another builder: "
                f"`zenml image-builder update {self.name} --builder=docker`."
            )

        return StackValidator(custom_validation_function=validate)

    def build(
        self,
        image_name: str,
        build_context: BuildContext,
        docker_build_options: Optional[DockerBuildOptions] = None,
        container_registry: Optional[BaseContainerRegistry] = None,
    ) -> str:
        """Builds an image, and pushes it if there is a container registry.

        Args:
            image_name: Name of the image, with its tag.
            build_context: The files to build with, a `Dockerfile` among them.
            docker_build_options: Docker's build options.
            container_registry: The registry to push to.

        Returns:
            `name@sha256:...` of what was pushed; the name of what was not.

        Raises:
            ValueError: If the name is not one of the registry's.
        """
        from tierce import _tierce

        credentials = None
        if container_registry is not None:
            _check_name(image_name, container_registry)
            credentials = container_registry.credentials
            container_registry.prepare_image_push(image_name)
        options = [self.config.build_options]
        if docker_build_options is not None:
            options.append(docker_build_options.model_dump(exclude_none=True))
        digest = _tierce.build_context(
            image_name,
            build_context.get_files(),
            build_context.get_extra_files(),
            [json.dumps(said, default=str) for said in options],
            ignored=build_context.dockerignore_file is not None,
            push=container_registry is not None,
            credentials=credentials,
            log=_log,
            **self._wish(),
        )
        if container_registry is None or digest is None:
            return image_name
        return f"{_without_tag(image_name)}@{digest}"

    def _builder(self) -> tuple[str, bool]:
        """The builder's name, and whether it keeps images; found out once."""
        from tierce import _tierce

        if self._found is None:
            self._found = _tierce.context_builder(**self._wish())
        return self._found

    def _wish(self) -> dict[str, Optional[str]]:
        """Who is to build: what is configured here, else what ZenML itself uses."""
        from zenml.config.global_config import GlobalConfiguration

        engine = GlobalConfiguration().container_engine
        return {
            "builder": self.config.builder,
            "buildkit_address": self.config.buildkit_address,
            "engine": engine.value if engine else None,
        }

    def _wants_no_registry(self) -> bool:
        from tierce.errors import TierceError

        try:
            return self.is_building_locally
        except TierceError as error:
            # Stacks are validated on machines that build nothing, too.
            logger.debug("Nothing builds images here: %s", error)
            return True


def _check_name(image_name: str, container_registry: BaseContainerRegistry) -> None:
    """Fails where the image is another registry's. ZenML compares beginnings, and would take
    `ghcr.io/foobar` for one of `ghcr.io/foo`.
    """
    uri = container_registry.config.uri
    candidates = {image_name, _without_hub(image_name)}
    prefixes = {f"{uri}/", f"{_without_hub(uri)}/"}
    belongs = any(name.startswith(prefix) for name in candidates for prefix in prefixes)
    if not belongs or not container_registry.is_valid_image_name_for_registry(image_name):
        raise ValueError(
            f"Container image `{image_name}` does not belong to container registry `{uri}`."
        )


def _without_hub(name: str) -> str:
    for prefix in _DOCKER_HUB:
        name = name.removeprefix(prefix)
    return name


def _without_tag(image_name: str) -> str:
    """The name without its tag; a colon before the last slash is that of a port."""
    name, separator, tag = image_name.rpartition(":")
    return name if separator and "/" not in tag else image_name


def _log(level: str, line: str) -> None:
    if level == "warning":
        logger.warning("%s", line)
    elif level == "info":
        logger.info("%s", line)
    else:
        logger.debug("%s", line)
