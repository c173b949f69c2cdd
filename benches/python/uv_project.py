#!/usr/bin/env python3
"""How long an image of a uv project takes: 120 packages, built by tierce and, where there is a
docker that runs, by docker from the Dockerfile that Flyte's SDK writes for `with_uv_project`.

    python3 benches/python/uv_project.py --binary PATH --uv PATH [--rounds N]

The packages are made here, are the same on every run, and come from an index on loopback. The base
is Debian with its Python, made once and pushed to Debian's `docker-registry` on loopback, where
docker takes it from, too. Measured, each pushed to that registry, are

- **first**: nothing is known but the base; docker's caches are empty, too;
- **bumped**: one small dependency is of a new version;
- **code**: of the project's 100 modules one has changed; the packages, and the sources as a folder;
- **code, installed**: the same where the project itself is built and installed.

Medians are printed, what tierce sends, and how many times as long docker takes.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import registry, target

PACKAGES = 120
BUMPED = 7
MODULES = 100
EPOCH = (1980, 1, 1, 0, 0, 0)
# What Flyte's SDK has for a project with a lock, without its cache of a fixed name.
DOCKERFILE = """\
# syntax=docker/dockerfile:1
FROM {base}
RUN --mount=type=bind,source=uv,target=/usr/bin/uv uv venv --python /usr/bin/python3 /opt/venv
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH
"""
DEPENDENCIES = """\
RUN --mount=type=cache,sharing=locked,target=/root/.cache/uv,id={cache} \\
    --mount=type=bind,source=uv,target=/usr/bin/uv \\
    --mount=type=bind,target=uv.lock,src=uv.lock,rw \\
    --mount=type=bind,target=pyproject.toml,src=pyproject.toml \\
    uv sync --active --inexact --locked --no-install-project
COPY src /root/src
"""
INSTALLED = """\
COPY . /tmp/project
RUN --mount=type=cache,sharing=locked,target=/root/.cache/uv,id={cache} \\
    --mount=type=bind,source=uv,target=/usr/bin/uv \\
    cd /tmp/project && uv sync --active --inexact --no-editable --locked
"""


def main() -> None:
    options = arguments()
    folder = target() / "bench" / "uv-project"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_packages(folder / "index")
    docker = has_docker()
    with registry(folder / "registry") as host, index(folder / "index") as url:
        bench = Bench(folder, options.binary, options.uv, host, url)
        bench.make_base()
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            bench.round(number, docker=docker)
    print(f"{PACKAGES} packages, medians of {options.rounds}, {os.cpu_count()} cores")
    (folder / "report.json").write_text(json.dumps(bench.report(), indent=2))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--uv", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def has_docker() -> bool:
    try:
        found = subprocess.run(["docker", "info"], capture_output=True).returncode == 0
    except FileNotFoundError:
        found = False
    if not found:
        print("skipped: there is no docker that runs", file=sys.stderr)
    return found


class Bench:
    """What was measured: seconds by what was done and who did it."""

    def __init__(self, folder: Path, binary: Path, uv: Path, host: str, url: str) -> None:
        self.folder, self.binary, self.uv, self.host, self.url = folder, binary, uv, host, url
        self.samples: dict[str, dict[str, list[float]]] = {}
        self.sent: dict[str, list[int]] = {}

    def make_base(self) -> None:
        project = self.folder / "base"
        project.mkdir()
        spec = 'name = "bench/base"\ntag = "1"\nbase = { debian = "bookworm", python = true }\n'
        (project / "tierce.toml").write_text(spec)
        self.tierce(project, self.folder / "base-store")

    def round(self, number: int, *, docker: bool) -> None:
        project = self.folder / f"project-{number}"
        write_project(project, number, self.url)
        self.lock(project)
        shutil.copy(self.uv, project / "uv")
        store, cache = self.folder / f"store-{number}", f"tierce-bench-{os.getpid()}-{number}"

        def both(what: str, installed: bool) -> None:
            self.specify(project, installed=installed, cache=cache)
            took, sent = self.tierce(project, store)
            self.note(what, "tierce", took)
            self.sent.setdefault(what, []).append(sent)
            if docker:
                self.note(what, "docker", self.docker(project, fresh=what == "first"))

        both("first", installed=False)
        edit(project)
        both("code", installed=False)
        write_manifest(project, number, self.url, bumped=True)
        self.lock(project)
        both("bumped", installed=False)
        # The first time is not of interest: it builds what the next one changes.
        both("first, installed", installed=True)
        edit(project)
        both("code, installed", installed=True)

    def lock(self, project: Path) -> None:
        command = [self.uv, "lock", "--project", project, "--python", "/usr/bin/python3"]
        home = self.folder / "home"
        subprocess.run(command, env=self.environment(home), check=True, capture_output=True)

    def environment(self, home: Path) -> dict[str, str]:
        home.mkdir(parents=True, exist_ok=True)
        kept = ("PATH", "LANG", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")
        env = {name: os.environ[name] for name in kept if name in os.environ}
        return env | {"HOME": str(home), "TIERCE_PROGRESS": "quiet"}

    def specify(self, project: Path, *, installed: bool, cache: str) -> None:
        base = f"{self.host}/bench/base:1"
        install = ', install = "project"' if installed else ""
        lines = [
            'name = "bench/project"',
            f'base = "{base}"',
            "bytecode = false",
            f'project = {{ uv = "pyproject.toml"{install} }}',
            "" if installed else 'copy = [{ src = "src", dst = "/root/src" }]',
        ]
        (project / "tierce.toml").write_text("\n".join(lines) + "\n")
        text = DOCKERFILE + (INSTALLED if installed else DEPENDENCIES)
        (project / "Dockerfile").write_text(text.format(base=base, cache=cache))
        (project / ".dockerignore").write_text("tierce.toml\nDockerfile\n.dockerignore\n")

    def tierce(self, project: Path, store: Path) -> tuple[float, int]:
        env = self.environment(self.folder / "home") | {"TIERCE_STORE": str(store)}
        command = [self.binary, "build", "--push", "--registry", self.host, "--format", "json"]
        took, said = run([*command, project], env)
        return took, json.loads(said)["bytes-uploaded"]

    def docker(self, project: Path, *, fresh: bool) -> float:
        name = f"{self.host}/bench/docker:1"
        command = ["docker", "build", "--network=host", "--push", "-t", name]
        command += ["--no-cache"] if fresh else []
        return run([*command, project], dict(os.environ) | {"DOCKER_BUILDKIT": "1"})[0]

    def note(self, what: str, system: str, seconds: float) -> None:
        self.samples.setdefault(what, {}).setdefault(system, []).append(seconds)

    def report(self) -> dict[str, dict[str, float]]:
        """Prints the medians and the ratios, and returns the medians."""
        medians = {
            what: {system: statistics.median(seconds) for system, seconds in of.items()}
            for what, of in self.samples.items()
        }
        for what, of in medians.items():
            sent = statistics.median(self.sent[what]) / 1024
            line = f"{what:<18}tierce {of['tierce'] * 1000:>9.1f} ms {sent:>10.1f} KiB sent"
            if "docker" in of:
                line += f"   docker {of['docker'] * 1000:>9.1f} ms"
                line += f"   {of['docker'] / of['tierce']:>6.1f}x"
            print(line)
        return medians


def run(command: list[str | Path], env: dict[str, str]) -> tuple[float, str]:
    begun = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    took = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"error: {command}: {done.stderr}")
    return took, done.stdout


def write_project(folder: Path, number: int, url: str) -> None:
    """A project whose sources are those of no other round: nothing of one helps the next."""
    for module in range(MODULES):
        path = folder / "src" / "app" / f"module_{module:03}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source(f"{number} {module}", 40))
    (folder / "src" / "app" / "__init__.py").write_text("")
    (folder / "README.md").write_text("app\n")
    write_manifest(folder, number, url, bumped=False)


def write_manifest(folder: Path, number: int, url: str, *, bumped: bool) -> None:
    versions = {package: "1.0" for package in range(PACKAGES)}
    versions[BUMPED] = "1.1" if bumped else "1.0"
    wanted = [f"{name_of(package)}=={version}" for package, version in versions.items()]
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "app"\nversion = "0.{number}"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(wanted)}\n"
        '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
        f'[[tool.uv.index]]\nname = "bench"\nurl = "{url}"\nexplicit = false\n'
    )


def edit(project: Path) -> None:
    path = project / "src" / "app" / "module_042.py"
    path.write_text(path.read_text() + f"CHANGED = {time.time_ns()}\n")


def source(seed: str, lines: int) -> str:
    chance = random.Random(seed)
    words = (f"value_{line} = '{chance.getrandbits(96):x}'" for line in range(lines))
    return "\n".join(words) + "\n"


def name_of(package: int) -> str:
    return f"bench-{package:03}"


def write_packages(folder: Path) -> None:
    """Wheels as those of projects are: most are small, every twelfth is of 2 MB."""
    for package in range(PACKAGES):
        for version in ("1.0", "1.1") if package == BUMPED else ("1.0",):
            modules = 200 if package % 12 == 0 else 12
            place = folder / "simple" / name_of(package)
            place.mkdir(parents=True, exist_ok=True)
            content = wheel(package, version, modules)
            (place / f"bench_{package:03}-{version}-py3-none-any.whl").write_bytes(content)
    for place in sorted((folder / "simple").iterdir()):
        links = (
            f'<a href="{file.name}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}">'
            f"{file.name}</a>"
            for file in sorted(place.glob("*.whl"))
        )
        (place / "index.html").write_text("\n".join(links))


def wheel(package: int, version: str, modules: int) -> bytes:
    name = f"bench_{package:03}"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/module_{module:03}.py": source(f"{package} {module} {version}", 250)
        for module in range(modules)
    }
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{path},sha256={digest.decode()},{len(text.encode())}\n")
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return made.getvalue()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The index, which says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def index(folder: Path) -> Iterator[str]:
    """A simple index (PEP 503) on a free port, until the end of the block."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()


if __name__ == "__main__":
    main()
