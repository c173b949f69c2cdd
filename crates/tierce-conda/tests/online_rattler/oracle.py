"""Solves and installs with py-rattler, and converts packages with conda-package-streaming."""

import asyncio
import json
import sys
from pathlib import Path

import rattler


async def solve(channel, specs, virtual):
    packages = [
        rattler.GenericVirtualPackage(
            rattler.PackageName(name), rattler.Version(version), rattler.BuildString(build)
        )
        for name, version, build in (v.split("=") for v in virtual)
    ]
    gateway = rattler.Gateway(cache_dir=Path("gateway"))
    return await rattler.solve(
        sources=[channel],
        specs=specs,
        gateway=gateway,
        platforms=["linux-64", "noarch"],
        virtual_packages=packages,
        timestamp_policy="allow-missing",
    )


async def main():
    job = json.load(sys.stdin)
    records = await solve(job["channel"], job["specs"], job["virtual"])
    await rattler.install(
        records,
        target_prefix=job["target"],
        alternative_target_prefix=job["prefix"],
        cache_dir=Path("packages"),
        show_progress=False,
    )
    written = []
    for path in sorted(Path(job["written"]).glob("*.json")):
        record = rattler.PrefixRecord.from_path(path)
        written.append(f"{record.name.normalized}={record.version}={record.build}")
    from conda_package_streaming.transmute import transmute

    converted = [transmute(package, "converted").name for package in job["convert"]]
    found = sorted(f"{r.name.normalized}={r.version}={r.build}" for r in records)
    json.dump({"found": found, "written": written, "converted": converted}, sys.stdout)


asyncio.run(main())
