"""Makes tierce the image builder of a ZenML stack, and builds the image of a pipeline with it.

Run again, it builds again, from what is cached.
"""

from __future__ import annotations

import argparse

from hello import DOCKER, hello
from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.exceptions import EntityExistsError

FLAVOR = "tierce.integrations.zenml.TierceImageBuilderFlavor"


def component(kind: StackComponentType, name: str, flavor: str, **configuration: str) -> None:
    """Registers a component, or gives the one of that name this configuration."""
    client = Client()
    try:
        client.create_stack_component(name, flavor, kind, configuration)
    except EntityExistsError:
        client.update_stack_component(name, kind, configuration=configuration)


def stack(registry: str, **builder: str) -> None:
    """Registers a stack that builds with tierce, and makes it the active one."""
    client = Client()
    try:
        client.create_flavor(FLAVOR, StackComponentType.IMAGE_BUILDER)
    except EntityExistsError:
        pass
    component(StackComponentType.IMAGE_BUILDER, "tierce", "tierce", **builder)
    component(StackComponentType.CONTAINER_REGISTRY, "registry", "default", uri=registry)
    component(StackComponentType.ORCHESTRATOR, "docker", "local_docker")
    components = {
        StackComponentType.ORCHESTRATOR: "docker",
        StackComponentType.ARTIFACT_STORE: "default",
        StackComponentType.CONTAINER_REGISTRY: "registry",
        StackComponentType.IMAGE_BUILDER: "tierce",
    }
    try:
        client.create_stack("tierce", components)
    except EntityExistsError:
        pass
    client.activate_stack("tierce")


def main() -> None:
    """Builds, and prints the names of the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", default="localhost:5000", help="where images are pushed")
    parser.add_argument("--parent-image", default="python:3.11-slim", help="what they start from")
    parser.add_argument("--builder", help="docker, podman or buildkit; else what is there")
    parser.add_argument("--network", help="the network of build steps, as host")
    args = parser.parse_args()
    chosen = {"builder": args.builder, "network": args.network}
    stack(args.registry, **{name: value for name, value in chosen.items() if value})
    settings = DOCKER.model_copy(update={"parent_image": args.parent_image})
    build = hello.with_options(settings={"docker": settings}).build()
    for item in build.images.values() if build else ():
        print(item.image)


if __name__ == "__main__":
    main()
