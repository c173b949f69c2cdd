"""ZenML with a store of its own, and the container engines that tierce builds its contexts with."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.require import program, skip

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "zenml"
FLAVOR = "tierce.integrations.zenml.TierceImageBuilderFlavor"
PATIENCE = 30


@dataclass(frozen=True)
class Engine:
    """A container engine that sees neither the machine's images nor its configuration."""

    name: str
    variables: Mapping[str, str]
    """Those that make every program use this one, and no other."""
    command: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    """What builds must ask for to work on machines where little is allowed."""

    def run(self, *args: str) -> str:
        """Runs the engine's own command."""
        run = subprocess.run(
            [*self.command, *args],
            env={**os.environ, **self.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout


@contextmanager
def docker() -> Iterator[Engine]:
    """Debian's docker.io with a data root and a socket of its own, as crates/tierce-testing has it:
    it has no bridge, so steps have the machine's network or none.
    """
    if os.geteuid() != 0:
        skip("docker", "dockerd needs root")
    dockerd = program("dockerd", "docker")
    # A client that somebody put in front of it may need plug-ins that are not there.
    own = "/usr/bin/docker"
    client = own if os.access(own, os.X_OK) else program("docker")
    # Not below pytest's folder: the path of a socket has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="dockerd"))
    (folder / "daemon.json").write_text("{}")
    host = f"unix://{folder}/docker.sock"
    command = [dockerd, "--config-file", f"{folder}/daemon.json", "--data-root", f"{folder}/data"]
    command += ["--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid", "-H", host]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    command += ["--ip-forward=false", "--ip-masq=false"]
    with open(folder / "log", "wb") as log:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        if not _answers(folder / "docker.sock", daemon):
            skip("docker", f"dockerd does not start here: {(folder / 'log').read_text()[-500:]}")
        variables = {"DOCKER_HOST": host, "DOCKER_CONFIG": f"{folder}/config"}
        yield Engine("docker", variables, (client,), {"network": "host"})
    finally:
        daemon.terminate()
        try:
            daemon.wait(3)
        except subprocess.TimeoutExpired:
            # Nothing of it is kept; and its containerd goes with it.
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait(PATIENCE)
        # What it leaves mounted: its network namespaces; and, if it is killed, its data root.
        for path in (*folder.glob("exec/netns/*"), folder / "data"):
            subprocess.run(["umount", "--lazy", str(path)], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(path: Path, daemon: subprocess.Popen[bytes]) -> bool:
    """Whether requests are answered: the socket is there before the daemon is ready."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and daemon.poll() is None:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(5)
            try:
                stream.connect(str(path))
                stream.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
                if stream.recv(15) == b"HTTP/1.1 200 OK":
                    return True
            except OSError:
                pass
        time.sleep(0.02)
    return False


@contextmanager
def podman() -> Iterator[Engine]:
    """A podman with storage of its own, as crates/tierce-testing has it."""
    command = program("podman")
    folder = Path(tempfile.mkdtemp(prefix="podman"))
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'
    )
    # crun refuses to run where version 1 and 2 of the control groups are mounted together.
    hybrid = not Path("/sys/fs/cgroup/cgroup.controllers").exists() and shutil.which("runc")
    (folder / "containers.conf").write_text(
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        f'tmp_dir = "{folder}/tmp"\n' + ('runtime = "runc"\n' if hybrid else "")
    )
    (folder / "auth.json").write_text("{}")
    (folder / "registries.conf").write_text("")
    variables = {
        "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
        "CONTAINERS_CONF": f"{folder}/containers.conf",
        "REGISTRY_AUTH_FILE": f"{folder}/auth.json",
        "CONTAINERS_REGISTRIES_CONF": f"{folder}/registries.conf",
        # No daemon that happens to run here.
        "DOCKER_HOST": f"unix://{folder}/docker.sock",
    }
    engine = Engine("podman", variables, (command,), {"network": "host"})
    try:
        info = subprocess.run(
            [command, "info"], env={**os.environ, **variables}, capture_output=True, text=True
        )
        if info.returncode:
            skip("podman", f"podman does not work here: {info.stderr}")
        yield engine
    finally:
        if os.geteuid() != 0:
            # Its files can be removed in its own user namespace alone.
            subprocess.run([command, "unshare", "rm", "-rf", f"{folder}/root"])
        subprocess.run(["umount", "--lazy", f"{folder}/root/overlay"], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
