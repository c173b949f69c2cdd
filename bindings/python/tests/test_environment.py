"""`Image.from_env`: what is installed for this Python, as an image."""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from tierce import Image
from tierce.errors import SpecificationError


class Site:
    """A folder with what is installed, and nothing else is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def add(
        self,
        name: str,
        version: str,
        url: dict[str, Any] | None = None,
        installer: str = "pip",
        record: bool = True,
    ) -> None:
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "INSTALLER").write_text(f"{installer}\n")
        if record:
            (info / "RECORD").write_text("")
        if url is not None:
            (info / "direct_url.json").write_text(json.dumps(url))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Path) -> Site:
    site = Site(tmp_path / "site")
    import importlib.metadata  # noqa: F401  (what it needs is found before nothing else is)

    import tierce._environment  # noqa: F401

    monkeypatch.setattr(sys, "path", [str(site.folder)])
    return site


def lines(image: Image) -> list[str]:
    return [str(layer) for layer in image.layers]


def test_what_is_installed_is_pinned(site: Site, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    site.add("Six", "1.16.0")
    site.add("pip", "25.0")
    site.add("unwanted", "1")
    site.add("httpx", "0.27", {"url": "https://h/httpx-0.27.zip", "archive_info": {}})
    vcs = {"vcs": "git", "commit_id": "0123", "requested_revision": "main"}
    site.add("ours", "2", {"url": "https://h/ours.git", "vcs_info": vcs})
    site.add("lib", "3", {"url": project.as_uri(), "dir_info": {"editable": True}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = Image.from_env(name="same", registry="r.io/me", exclude=["unwanted"])
    assert (image.name, image.registry) == ("same", "r.io/me")
    assert image.python_version == sys.version_info[:2]
    pins = ["httpx @ https://h/httpx-0.27.zip", "ours @ git+https://h/ours.git@0123"]
    assert lines(image) == [f"pip {' '.join(pins)} six==1.16.0", f"local lib of {project}"]
    assert pickle.loads(pickle.dumps(image)) == image
    more = image.with_pip_packages("rich")
    assert len(more.layers) == 3


def test_what_can_not_be_pinned_is_a_warning(site: Site, tmp_path: Path) -> None:
    site.add("numpy", "1", installer="conda")
    site.add("python-apt", "2", record=False)
    site.add("gone", "3", {"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    site.add("six", "1.16.0")
    with pytest.warns(UserWarning) as said:
        image = Image.from_env()
    assert lines(image) == ["pip six==1.16.0"]
    messages = [str(warning.message) for warning in said]
    assert [message.rpartition(": ")[2] for message in messages] == [
        "numpy 1",
        "python-apt 2",
        "gone 3",
    ]
    assert all(Path(warning.filename) == Path(__file__) for warning in said)


def test_projects_that_are_used_in_place_without_a_record(site: Site, tmp_path: Path) -> None:
    project = tmp_path / "old"
    info = project / "src" / "old.egg-info"
    info.mkdir(parents=True)
    (project / "setup.py").write_text("")
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: old\nVersion: 1\n")
    sys.path.append(str(project / "src"))
    assert lines(Image.from_env()) == [f"local old of {project}"]


def test_the_python_is_the_one_that_runs(site: Site) -> None:
    with pytest.raises(SpecificationError, match="python_version") as raised:
        Image.from_env(python_version=(3, 12))
    assert isinstance(raised.value, ValueError)
    assert raised.value.code == "python/from-env-python-version"
    assert Image.from_env().layers == ()
    with pytest.raises(TypeError, match="'exclude' must be str or a list of str"):
        Image.from_env(exclude=1)  # type: ignore[arg-type]
