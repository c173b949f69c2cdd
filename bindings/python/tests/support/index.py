"""A package index on a loopback port, of packages that are made here."""

from __future__ import annotations

import hashlib
import inspect
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Index:
    """An index (PEP 503) in a folder: what is added is there at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""

    def add(self, name: str, version: str) -> None:
        """Adds a wheel with one module, which knows the version."""
        folder = self._folder(name)
        _write_wheel(folder, name, version)
        _write_links(folder)

    def add_source(self, name: str, version: str) -> None:
        """Adds the same as a source distribution with a backend of its own."""
        folder, root = self._folder(name), f"{name}-{version}"
        metadata = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
        project = (
            "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
            f"[project]\nname = '{name}'\nversion = '{version}'\n"
        )
        backend = (
            "from __future__ import annotations\nimport pathlib, zipfile\n"
            f"{inspect.getsource(_write_wheel)}\n"
            "def build_wheel(folder, settings=None, metadata=None):\n"
            f"    return _write_wheel(pathlib.Path(folder), {name!r}, {version!r})\n"
        )
        files = {"PKG-INFO": metadata, "pyproject.toml": project, "backend.py": backend}
        with tarfile.open(folder / f"{root}.tar.gz", "w:gz") as archive:
            for file, text in files.items():
                entry = tarfile.TarInfo(f"{root}/{file}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        _write_links(folder)

    def _folder(self, name: str) -> Path:
        folder = self.directory / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _write_wheel(folder: Path, name: str, version: str) -> str:
    wheel = f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / wheel, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", tags)
        files = (f"{name}.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD")
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in files))
    return wheel


def _write_links(folder: Path) -> None:
    def link(file: Path) -> str:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return f'<a href="{file.name}#sha256={digest}">{file.name}</a>'

    files = sorted(file for file in folder.iterdir() if file.suffix != ".html")
    (folder / "index.html").write_text("\n".join(map(link, files)))


class _Quiet(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        # What changes is asked for again.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(directory: Path) -> Iterator[Index]:
    """An index in `directory`, served until the end."""
    index = Index(directory)
    (directory / "simple").mkdir(parents=True)
    handler = partial(_Quiet, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        index.url = f"http://127.0.0.1:{server.server_address[1]}/simple/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
