"""The script that is measured, for tierce: `use_tierce.py SOURCES REGISTRY [once]`."""

from time import perf_counter

begun = perf_counter()

import sys

import tierce

imported = perf_counter()

sources, registry, *once = sys.argv[1:]
image = (
    tierce.Image.from_debian_base(install_flyte=False, name="bench", registry=registry)
    .with_pip_packages("numpy", "pandas")
    .with_source_folder(sources, dst="/app")
)
uri = None if once else image.uri
named = perf_counter()

exists = tierce.image_exists(image)
found = perf_counter()

print(uri or exists, bool(exists), imported - begun, named - imported, found - named)
