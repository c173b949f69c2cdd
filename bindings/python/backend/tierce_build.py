"""The build backend of the package (PEP 517): maturin's, with the `tierce` program added.

maturin compiles an extension module or a program into a wheel, not both. So the program is
compiled first, by cargo, with the same profile and for the same target, and lies in maturin's
data directory, from which it gets into the wheel as a script: the environment's `bin/tierce`.

Takes what maturin takes (`pip wheel -C build-args="--profile dev" ...`, `MATURIN_PEP517_ARGS`).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import maturin
from maturin import (  # noqa: F401 - the hooks that need no program
    get_requires_for_build_editable,
    get_requires_for_build_wheel,
)

PACKAGE = Path(__file__).resolve().parent.parent
# `data` in pyproject.toml's [tool.maturin].
SCRIPTS = PACKAGE / "data" / "scripts"
CHECKOUT = PACKAGE.parent.parent
# What is another path in a source distribution, where pyproject.toml lies above the workspace.
MOVED = {
    'backend-path = ["backend"]': 'backend-path = ["bindings/python/backend"]',
    'readme = "README.md"': 'readme = "bindings/python/README.md"',
    "[tool.maturin]": '[tool.maturin]\nmanifest-path = "bindings/python/Cargo.toml"',
    'python-source = "python"': 'python-source = "bindings/python/python"',
    'data = "data"': 'data = "bindings/python/data"',
}

Settings = Mapping[str, Any] | None


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    settings = with_program(config_settings, profile="release")
    return maturin.build_wheel(wheel_directory, settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    settings = with_program(config_settings, profile="dev")
    return maturin.build_editable(wheel_directory, settings, metadata_directory)


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Packs the checkout: the program is made of crates that the extension does not name, so that
    maturin would leave them out.
    """
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder) / prepare_metadata_for_build_wheel(folder)
        metadata = (info / "METADATA").read_bytes()
        name = info.name.removesuffix(".dist-info")
    path = Path(sdist_directory) / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for file in tracked():
            archive.add(CHECKOUT / file, f"{name}/{file}", recursive=False, filter=nobodys)
        for file, content in (("pyproject.toml", moved()), ("PKG-INFO", metadata)):
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return path.name


def tracked() -> list[str]:
    """The files of the checkout that are git's."""
    command = ["git", "ls-files", "-z", "--cached"]
    listed = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, check=False)
    if listed.returncode:
        raise SystemExit("error: a source distribution is made of a git checkout, with git")
    files = (os.fsdecode(file) for file in listed.stdout.split(b"\0") if file)
    return sorted(file for file in files if (CHECKOUT / file).is_file())


def nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def moved() -> bytes:
    """pyproject.toml as it is above the workspace."""
    text = (PACKAGE / "pyproject.toml").read_text()
    for here, there in MOVED.items():
        if text.count(f"\n{here}\n") != 1:
            raise SystemExit(f"error: pyproject.toml has not one line {here}")
        text = text.replace(f"\n{here}\n", f"\n{there}\n")
    return text.encode()


def with_program(settings: Settings, *, profile: str) -> dict[str, Any]:
    """Compiles the program into the data directory; what maturin is told, with the profile."""
    arguments = list(maturin.get_maturin_pep517_args(settings))
    said = understood(arguments)
    if said.profile is None:
        said.profile = profile
        arguments += ["--profile", profile]
    program = compiled(said)
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    script = SCRIPTS / "tierce"
    script.unlink(missing_ok=True)
    if said.target or not stripped(program, script):
        # maturin follows links.
        script.symlink_to(program)
    return {**(settings or {}), "build-args": arguments}


def understood(arguments: Sequence[str]) -> argparse.Namespace:
    """Those of maturin's arguments that hold for the program, too."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile")
    parser.add_argument("--target", default=os.environ.get("CARGO_BUILD_TARGET"))
    parser.add_argument("--target-dir")
    parser.add_argument("--compatibility", "--manylinux", nargs="*", default=[])
    parser.add_argument("--zig", action="store_true")
    for switch in ("--locked", "--offline", "--frozen"):
        parser.add_argument(switch, action="append_const", dest="switches", const=switch)
    return parser.parse_known_args(arguments)[0]


def compiled(said: argparse.Namespace) -> Path:
    """Has cargo compile the program, and says where it is."""
    command = ["cargo", "zigbuild" if said.zig else "build"]
    command += ["--package", "tierce-cli", "--bin", "tierce", "--profile", said.profile]
    if target := zig_target(said) if said.zig else said.target:
        command += ["--target", target]
    if said.target_dir:
        command += ["--target-dir", said.target_dir]
    command += [*(said.switches or []), "--message-format", "json-render-diagnostics"]
    print("Running", *command, flush=True)
    run = subprocess.run(command, cwd=PACKAGE, stdout=subprocess.PIPE, check=False)
    if run.returncode:
        raise SystemExit(f"error: cargo could not compile the program (status {run.returncode})")
    for line in reversed(run.stdout.splitlines()):
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["executable"]:
            return Path(message["executable"])
    raise SystemExit("error: cargo did not say where the program is")


def stripped(program: Path, script: Path) -> bool:
    """Writes `program` without its symbols to `script`, as maturin does with the extension.

    Done afterwards: said to cargo, it would compile the program anew for the wheel.
    """
    strip = shutil.which("strip")
    if not sys.platform.startswith("linux") or strip is None:
        return False
    return subprocess.run([strip, "-o", script, program], check=False).returncode == 0


def zig_target(said: argparse.Namespace) -> str:
    """The target with the version of glibc that the wheel is to be for."""
    if not said.target:
        raise SystemExit("error: --zig wants a --target, as x86_64-unknown-linux-gnu")
    for tag in said.compatibility:
        family, _, version = tag.partition("_")
        if family == "manylinux" and version:
            return f"{said.target}.{version.replace('_', '.')}"
    return said.target
