#!/usr/bin/env python3
"""How long Python waits for an image that exists: tierce beside Flyte's SDK and flytekit.

    python3 benches/python/bench.py [--rounds N] [--files N] [--wheel FILE | --dev]

It builds the release wheel (`scripts/wheel --release`) unless one is given, installs it, flyte and
flytekit into virtual environments of their own below `target/bench/python`, starts Debian's
`docker-registry` on loopback, and measures, each time in a new process,

- **import**: `import tierce`, `import flyte`, `import flytekit`, less what Python itself takes;
- **cold**: import it, define an image with a folder of 20,000 files, compute its URI, find that it
  exists; nothing of a run before is known (an empty home, an empty store);
- **warm**: the same once more; and of both, what importing, naming (defining the image and
  computing its URI) and finding it took by themselves;
- **in one call**: tierce computes a URI from the files as they are, each time it is asked, and so
  reads the folder twice above; the others keep the first. Here `tierce.image_exists` gives both.

tierce asks the registry. The others can't ask this one: what they ask says yes at once, at no
cost (`use_flyte.py`, `use_flytekit.py`). All three take turns in every round; the medians are
printed, and how many times as long the others take.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
PEERS = {"flyte": "flyte==2.12.1", "flytekit": "flytekit==1.16.31"}
SYSTEMS = ("tierce", *PEERS)
TOOLS = (*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin", "/sbin")
Seconds = list[float]
# What is measured besides the scripts.
BARE = "python"
IMPORT = "import"


def main() -> None:
    options = arguments()
    folder = target() / "bench" / "python"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = options.wheel or made_wheel(dev=options.dev)
    pythons = {system: environment(folder, system, wheel) for system in SYSTEMS}
    sources = folder / "sources"
    write_sources(sources, options.files)
    with registry(folder / "registry") as host:
        bench = Bench(folder, pythons, sources, host)
        bench.provide_image()
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            bench.round(number)
    print(f"{wheel.name}, {options.files} files, medians of {options.rounds}, {os.cpu_count()} cores")
    report = bench.report()
    (folder / "report.json").write_text(json.dumps(report, indent=2))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured (7)")
    parser.add_argument("--files", type=int, default=20_000, help="files in the folder (20000)")
    parser.add_argument("--wheel", type=lambda path: Path(path).resolve(), help="measure this one")
    parser.add_argument("--dev", action="store_true", help="measure an unoptimised wheel")
    return parser.parse_args()


class Bench:
    """What was measured: seconds by what was done and who did it."""

    def __init__(
        self, folder: Path, pythons: dict[str, Path], sources: Path, host: str
    ) -> None:
        self.folder, self.pythons, self.sources, self.host = folder, pythons, sources, host
        self.samples: dict[str, dict[str, Seconds]] = {}

    def provide_image(self) -> None:
        """Puts an image into the registry under the name that tierce computes."""
        uri, *_ = self.script("tierce", fresh=True)[1]
        push(self.host, uri.removeprefix(f"{self.host}/"))

    def round(self, number: int) -> None:
        turns = SYSTEMS[number % 3 :] + SYSTEMS[: number % 3]
        for system in turns * 3:
            self.note(BARE, system, self.process([self.pythons[system], "-c", "pass"])[0])
            imports: list[str | Path] = [self.pythons[system], "-c", f"import {system}"]
            self.note(IMPORT, system, self.process(imports)[0])
        for system in turns:
            self.measured("cold", system, fresh=True)
            self.measured("warm", system, fresh=False)

    def measured(self, what: str, system: str, *, fresh: bool) -> None:
        took, (uri, exists, *parts) = self.script(system, fresh=fresh)
        if exists != "True":
            raise SystemExit(f"error: {system} does not find {uri}")
        self.note(what, system, took)
        for name, part in zip(("imported", "named", "found"), parts, strict=True):
            self.note(f"{what}, {name}", system, float(part))
        # Theirs name the image once: what they are asked next goes by that name.
        if system == "tierce":
            took = self.script(system, "once", fresh=fresh)[0]
        self.note(f"{what}, in one call", system, took)

    def script(self, system: str, *more: str, fresh: bool) -> tuple[float, list[str]]:
        if fresh:
            shutil.rmtree(self.folder / "homes" / system, ignore_errors=True)
        took, said = self.process(
            [self.pythons[system], HERE / f"use_{system}.py", self.sources, self.host, *more], system
        )
        return took, said.split()

    def process(self, command: Sequence[str | Path], system: str = "none") -> tuple[float, str]:
        home = self.folder / "homes" / system
        home.mkdir(parents=True, exist_ok=True)
        kept = ("PATH", "LANG", "SSL_CERT_FILE")
        env = {name: os.environ[name] for name in kept if name in os.environ}
        env |= {"HOME": str(home), "TIERCE_STORE": str(home / "store")}
        begun = time.perf_counter()
        run = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True)
        took = time.perf_counter() - begun
        if run.returncode:
            raise SystemExit(f"error: {command}: {run.stderr}")
        # Their own messages come before.
        return took, run.stdout.strip().rsplit("\n", 1)[-1]

    def note(self, what: str, system: str, seconds: float) -> None:
        self.samples.setdefault(what, {}).setdefault(system, []).append(seconds)

    def report(self) -> dict[str, dict[str, float]]:
        """Prints the medians and the ratios, and returns the medians."""
        width = max(map(len, self.samples)) + 2
        print(" " * width + "".join(f"{system:>12}" for system in SYSTEMS) + "     times as long")
        medians = {
            what: {system: statistics.median(seconds) for system, seconds in of.items()}
            for what, of in sorted(self.samples.items(), key=lambda item: item[0])
        }
        # What importing adds to a Python that does nothing: of medians, as either alone is noise.
        bare = medians.pop(BARE)
        medians[IMPORT] = {name: took - bare[name] for name, took in medians[IMPORT].items()}
        for what, of in medians.items():
            own = of["tierce"]
            cells = "".join(f"{of[system] * 1000:>9.1f} ms" for system in SYSTEMS)
            # Who says yes for the others takes no time: there is nothing to compare.
            compared = not what.endswith(", found") and own > 0
            ratios = "".join(f"{of[peer] / own:>9.1f}x" for peer in PEERS) if compared else ""
            print(f"{what:<{width}}{cells}{ratios}")
        return medians


def target() -> Path:
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
    run = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    return Path(json.loads(run.stdout)["target_directory"])


def made_wheel(*, dev: bool) -> Path:
    command = [str(CHECKOUT / "scripts" / "wheel"), *(() if dev else ("--release",))]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Path(run.stdout.strip())


def environment(folder: Path, system: str, wheel: Path) -> Path:
    """A virtual environment for one of them, with its modules compiled: its interpreter."""
    venv = folder / f"venv-{system}"
    python = venv / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if system == "tierce":
        subprocess.run([*pip, wheel], check=True)
        subprocess.run([*pip, "--force-reinstall", "--no-deps", wheel], check=True)
    else:
        subprocess.run([*pip, PEERS[system]], check=True)
    return python


def write_sources(folder: Path, files: int) -> None:
    """Sources as those of `cargo run -p tierce-bench`: thirty lines, a hundred files a folder."""
    if len(list(folder.glob("*/*.py"))) == files:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(files):
        path = folder / f"package_{number // 100:03}" / f"module_{number:05}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (f"value_{line} = {hash_of(number, line)!r}" for line in range(30))
        path.write_text("\n".join(lines) + "\n")


def hash_of(number: int, line: int) -> str:
    return hashlib.sha256(f"{number} {line}".encode()).hexdigest()[:24]


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Debian's docker-registry on a free port, until the end of the block: `localhost:PORT`."""
    program = shutil.which("docker-registry", path=os.pathsep.join(TOOLS))
    if program is None:
        raise SystemExit("error: docker-registry is not installed: apt-get install docker-registry")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f'http: {{addr: "127.0.0.1:{port}"}}\n'
    )
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [program, "serve", folder / "config.yml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_for(port, process)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1500):
        if process.poll() is not None:
            break
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
    raise SystemExit("error: docker-registry does not start")


def push(host: str, name: str) -> None:
    """Gives the registry an image of nothing, for all platforms that are asked for."""
    repository, tag = name.rsplit(":", 1)
    kind = "application/vnd.oci.image.manifest.v1+json"
    entries = []
    for machine in ("amd64", "arm64"):
        config = json.dumps(
            {
                "architecture": machine,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": []},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": blob(host, repository, config),
            "layers": [],
        }
        body = json.dumps(manifest).encode()
        digest = digest_of(body)
        put(host, f"{repository}/manifests/{digest}", body, kind)
        entries.append(
            {
                "mediaType": kind,
                "digest": digest,
                "size": len(body),
                "platform": {"os": "linux", "architecture": machine},
            }
        )
    kind = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    put(host, f"{repository}/manifests/{tag}", json.dumps(index).encode(), kind)


def blob(host: str, repository: str, content: bytes) -> dict[str, object]:
    digest = digest_of(content)
    place = send("POST", f"http://{host}/v2/{repository}/blobs/uploads/", None, {})
    mark = "&" if "?" in place else "?"
    send(
        "PUT",
        f"{place}{mark}digest={digest}",
        content,
        {"Content-Type": "application/octet-stream"},
    )
    return {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest,
        "size": len(content),
    }


def put(host: str, path: str, body: bytes, kind: str) -> None:
    send("PUT", f"http://{host}/v2/{path}", body, {"Content-Type": kind})


def send(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> str:
    """The place that the answer names, if any."""
    request = urllib.request.Request(url, body, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return str(response.headers.get("Location", ""))


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    main()
