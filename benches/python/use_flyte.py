"""The script that is measured, for Flyte's SDK: `use_flyte.py SOURCES REGISTRY`.

Its checkers are those of docker, podman and Docker Hub, none of which knows the registry here. The
first of them is made to say yes at once; the record of that on disk, which is asked before, is
Flyte's own.
"""

from time import perf_counter

begun = perf_counter()

import asyncio
import sys

import flyte
from flyte._internal.imagebuild.image_builder import (
    ImageBuildEngine,
    LocalDockerCommandImageChecker,
)

imported = perf_counter()


async def yes(cls, repository, tag, arch=("linux/amd64",)):
    return f"{repository}:{tag}"


LocalDockerCommandImageChecker.image_exists = classmethod(yes)

sources, registry = sys.argv[1:]
image = (
    flyte.Image.from_debian_base(install_flyte=False, name="bench", registry=registry)
    .with_pip_packages("numpy", "pandas")
    .with_source_folder(sources, dst="/app")
)
uri = image.uri
named = perf_counter()

exists = asyncio.run(ImageBuildEngine.image_exists(image))
found = perf_counter()

print(uri, bool(exists), imported - begun, named - imported, found - named)
