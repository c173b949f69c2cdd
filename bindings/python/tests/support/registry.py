"""Debian's `docker-registry`, on a free loopback port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .require import program, skip

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class Registry:
    """A registry that speaks plain HTTP; `localhost` needs no setting for that."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.host = f"localhost:{port}"

    def __str__(self) -> str:
        return self.host

    def tags(self, repository: str) -> list[str]:
        """The tags of `repository`; none where there is no such repository."""
        try:
            return sorted(self._json(f"{repository}/tags/list")["tags"] or ())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise

    def has(self, uri: str) -> bool:
        """Whether the image is there."""
        try:
            self.manifest(uri)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        return True

    def manifest(self, uri: str) -> dict[str, Any]:
        """The manifest of the image; that of Linux on this machine where it is an index."""
        repository, reference = self._parts(uri)
        manifest = self._json(f"{repository}/manifests/{reference}")
        if "manifests" in manifest:
            return self._json(f"{repository}/manifests/{_own(manifest['manifests'])}")
        return manifest

    def config(self, uri: str) -> dict[str, Any]:
        """The configuration of the image: `["config"]["Env"]` and kin."""
        repository, _ = self._parts(uri)
        return self._json(f"{repository}/blobs/{self.manifest(uri)['config']['digest']}")

    def copy(self, uri: str, *names: str) -> None:
        """Gives the image further names in this registry: `library/python:3.11`."""
        repository, reference = self._parts(uri)
        kind, body = self._get(f"{repository}/manifests/{reference}")
        for name in names:
            to, tag = name.rsplit(":", 1)
            self._mount(json.loads(body), repository, to)
            self._send("PUT", f"{to}/manifests/{tag}", body, {"Content-Type": kind})

    def _mount(self, manifest: dict[str, Any], repository: str, to: str) -> None:
        for entry in manifest.get("manifests", ()):
            kind, body = self._get(f"{repository}/manifests/{entry['digest']}")
            self._mount(json.loads(body), repository, to)
            self._send("PUT", f"{to}/manifests/{entry['digest']}", body, {"Content-Type": kind})
        blobs = [manifest["config"], *manifest["layers"]] if "config" in manifest else []
        for blob in blobs:
            self._send("POST", f"{to}/blobs/uploads/?mount={blob['digest']}&from={repository}")

    def _parts(self, uri: str) -> tuple[str, str]:
        name = uri.removeprefix("docker://").removeprefix(f"{self.host}/")
        if "@" in name:
            repository, reference = name.split("@", 1)
            return repository.split(":", 1)[0], reference
        repository, _, tag = name.partition(":")
        return repository, tag or "latest"

    def _json(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._get(path)[1])
        return document

    def _get(self, path: str) -> tuple[str, bytes]:
        return self._send("GET", path, None, {"Accept": ", ".join(MANIFESTS)})

    def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[str, bytes]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v2/{path}", body, headers or {}, method=method
        )
        # Loopback, whatever proxy the environment names.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            return response.headers.get("Content-Type", ""), response.read()


def _own(entries: list[dict[str, Any]]) -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    for entry in entries:
        if entry.get("platform", {}).get("architecture") == machine:
            return str(entry["digest"])
    return str(entries[0]["digest"])


@contextmanager
def running(directory: Path, user: tuple[str, str] | None = None) -> Iterator[Registry]:
    """A registry that keeps its images in `directory`, until the end of the block; for everyone, or
    for one user with a password.
    """
    binary = program("docker-registry", "registry")
    auth = "" if user is None else _only_for(directory / "htpasswd", *user)
    # A port that was free a moment ago may be taken by now.
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = directory / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: warn}\n"
            f"storage: {{filesystem: {{rootdirectory: {directory / 'data'}}}}}\n"
            f'http: {{addr: "127.0.0.1:{port}"}}\n{auth}'
        )
        with open(directory / "log", "wb") as log:
            process = subprocess.Popen(
                [binary, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            if _answers(port, process):
                yield Registry(port)
                return
        finally:
            process.terminate()
            process.wait(30)
    skip("registry", f"docker-registry does not start here: {(directory / 'log').read_text()}")


def _only_for(file: Path, user: str, password: str) -> str:
    htpasswd = program("htpasswd", "registry")
    made = subprocess.run([htpasswd, "-Bbn", user, password], capture_output=True, check=True)
    file.write_bytes(made.stdout)
    return f"auth: {{htpasswd: {{realm: test, path: {file}}}}}\n"


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
