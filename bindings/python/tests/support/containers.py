"""Running images under crun, as crates/tierce-cli/tests/executed.rs does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .require import program, skip


class Containers:
    """Images that are unpacked once, and run as often as it takes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(
        self,
        image: str | Path,
        argv: Sequence[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs `argv`, or what the image says, in `image`: `localhost:PORT/name:tag`, or an OCI
        layout's `DIRECTORY:TAG`. What it writes is seen by later runs of the same image.
        """
        crun = program("crun")
        bundle = self._unpacked(image)
        _configure(bundle, argv, env or {})
        command = [crun, "--cgroup-manager=disabled", "--root", str(self._directory / "state")]
        command += ["run", "--bundle", str(bundle), f"tierce-{uuid.uuid4().hex}"]
        if os.geteuid() == 0:
            # crun refuses machines with control groups of both versions, even where it uses none:
            # it is shown none.
            hide = 'mount -t tmpfs none /sys/fs/cgroup; exec "$0" "$@"'
            command = ["unshare", "--mount", "sh", "-c", hide, *command]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if "cgroups in hybrid mode not supported" in run.stderr and os.geteuid() != 0:
            skip("crun", "crun does not run beside control groups of both versions")
        if check and run.returncode:
            raise AssertionError(
                f"{argv or 'its command'} in {image}: status {run.returncode}\n"
                f"{run.stdout}{run.stderr}"
            )
        return run

    def _unpacked(self, image: str | Path) -> Path:
        umoci = program("umoci")
        layout = str(image)
        name = layout
        if not Path(layout.rsplit(":", 1)[0]).is_dir():
            skopeo = program("skopeo")
            uri = layout.removeprefix("docker://")
            found = [skopeo, "inspect", "--tls-verify=false", "--format", "{{.Digest}}"]
            name = _out([*found, f"docker://{uri}"]).strip()
            layout = f"{self._directory / _short(name)}.oci:image"
        bundle = self._directory / _short(name)
        if bundle.is_dir():
            return bundle
        if name != layout:
            copy = [skopeo, "copy", "--quiet", "--src-tls-verify=false", f"docker://{uri}"]
            _out([*copy, f"oci:{layout}"])
        command = [umoci, "unpack", "--image", layout]
        if os.geteuid() != 0:
            command.append("--rootless")
        _out([*command, str(bundle)])
        if name != layout:
            shutil.rmtree(layout.rsplit(":", 1)[0])
        shutil.copy(bundle / "config.json", bundle / "config.original.json")
        return bundle


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _out(command: Sequence[str]) -> str:
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:
        raise AssertionError(f"{' '.join(command)}: status {run.returncode}\n{run.stderr}")
    return run.stdout


def _configure(bundle: Path, argv: Sequence[str] | None, env: Mapping[str, str]) -> None:
    spec: dict[str, Any] = json.loads((bundle / "config.original.json").read_text())
    # umoci asks for a terminal, which tests have none of.
    spec["process"]["terminal"] = False
    if argv is not None:
        spec["process"]["args"] = list(argv)
    spec["process"]["env"] += [f"{name}={value}" for name, value in env.items()]
    # Control groups are the machine's affair: crun does not know every kind.
    spec["mounts"] = [mount for mount in spec["mounts"] if mount["type"] != "cgroup"]
    linux = spec["linux"]
    linux.pop("resources", None)
    linux["namespaces"] = [space for space in linux["namespaces"] if space["type"] != "cgroup"]
    (bundle / "config.json").write_text(json.dumps(spec))
