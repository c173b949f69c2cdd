"""Projects, scripts with locks, environments and runtime packages, as images that run."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.containers import Containers
from support.registry import Registry
from support.require import skip

import tierce
from tierce import Image, ImageSpec

pytestmark = pytest.mark.usefixtures("plain")

PYTHON = "python:3.11-slim-bookworm"
BACKEND = '[build-system]\nrequires = ["flit_core==3.10.1"]\nbuild-backend = "flit_core.buildapi"\n'
VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


@pytest.fixture
def here(mirrored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, on a machine whose docker.io is the registry of the tests."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def project(folder: Path, name: str, dependencies: str = "", more: str = "") -> None:
    folder.mkdir(parents=True)
    (folder / f"{name}.py").write_text(f'"""{name}"""\n__version__ = "1.0"\nWHO = "{name}"\n')
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\ndescription = ""\n'
        f'requires-python = ">=3.11"\ndependencies = [{dependencies}]\n{more}{BACKEND}'
    )


def lock(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "uv", "lock", "--quiet", "--python", sys.executable]
    subprocess.run([*command, *arguments], cwd=cwd, check=True)


def versions(run: Containers, uri: str, *names: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(run(uri, ["python", "-c", VERSIONS, *names]).stdout)
    return found


def built(image: Image | ImageSpec) -> str:
    uri = tierce.build(image).uri
    assert uri is not None
    return uri


def test_projects_are_installed_as_they_are_locked(
    here: Path, registry: Registry, crun_run: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = '[tool.uv.sources]\nlib = { path = "../lib", editable = true }\n'
    groups = '[dependency-groups]\ndev = ["itsdangerous==2.2.0"]\ndocs = ["toolz==1.0.0"]\n'
    project(here / "lib", "lib", '"packaging==24.2"')
    project(here / "app", "app", '"iniconfig==2.0.0", "lib"', groups + sources)
    lock(cwd=here / "app")
    image = Image.from_base(PYTHON).clone(name="locked", registry=registry.host, extendable=True)
    arguments = "--no-dev --group docs"
    image = image.with_uv_project(
        "app/pyproject.toml", extra_args=arguments, project_install_mode="install_project"
    )
    uri = built(image)
    names = ("app", "lib", "iniconfig", "packaging", "toolz")
    expected = dict(zip(names, ("1.0", "1.0", "2.0.0", "24.2", "1.0.0"), strict=True))
    assert versions(crun_run, uri, *names) == expected
    look = "import app, lib, importlib.util as u; print(lib.WHO, u.find_spec('itsdangerous'))"
    assert crun_run(uri, ["python", "-c", look]).stdout == "lib None\n"
    # The same lock in flytekit's words: without the project, and without uv in the image.
    spec = ImageSpec(
        "spec",
        registry=registry.host,
        base_image=PYTHON,
        requirements="app/uv.lock",
        pip_extra_args="--group docs",
        builder_options={"user": "root"},
    )
    uri = built(spec)
    assert versions(crun_run, uri, *names[1:]) == {name: expected[name] for name in names[1:]}
    look = "import importlib.util as u; print(u.find_spec('app'), u.find_spec('flytekit'))"
    assert crun_run(uri, ["python", "-c", look]).stdout == "None None\n"


def test_scripts_are_installed_as_they_are_locked(
    here: Path, registry: Registry, crun_run: Containers
) -> None:
    script = here / "run.py"
    script.write_text(
        '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["iniconfig"]\n'
        '# [tool.uv]\n# constraint-dependencies = ["iniconfig<2.1"]\n# ///\n'
    )
    lock("--script", "run.py", cwd=here)
    image = Image.from_uv_script("run.py", name="script", registry=registry.host)
    image = image.clone(base_image=PYTHON, python_version=(3, 11))
    assert versions(crun_run, built(image), "iniconfig") == {"iniconfig": "2.0.0"}
    script.write_text(script.read_text().replace('["iniconfig"]', '["iniconfig", "six"]'))
    with pytest.raises(tierce.errors.TierceError) as raised:
        tierce.build(image)
    assert raised.value.code == "python/stale-lock"


def test_environments_are_installed_as_they_are_here(
    here: Path, registry: Registry, crun_run: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info[:2] != (3, 11):
        skip("python3.11", f"this is Python {sys.version_info[:2]}, and the base has 3.11")
    project(here / "own", "own", '"iniconfig"')
    site = here / "site"
    for name, version, url in (
        ("iniconfig", "2.0.0", None),
        ("own", "1.0", {"url": (here / "own").as_uri(), "dir_info": {"editable": True}}),
    ):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "RECORD").write_text("")
        if url is not None:
            (info / "direct_url.json").write_text(json.dumps(url))
    import tierce._environment  # noqa: F401  (before nothing else can be imported)

    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", [str(site)])
        image = Image.from_env(name="same", registry=registry.host)
    uri = built(image.clone(base_image=PYTHON))
    assert versions(crun_run, uri, "iniconfig", "own") == {"iniconfig": "2.0.0", "own": "1.0"}


def wheel(folder: Path, name: str) -> None:
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"WHO = '{name}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


def test_runtime_packages_are_there_when_the_command_runs(
    here: Path, registry: Registry, crun_run: Containers
) -> None:
    wheel(here / "wheels", "late")
    spec = ImageSpec(
        "runtime",
        registry=registry.host,
        base_image=PYTHON,
        packages=["pip==24.3.1"],
        copy=["wheels"],
        entrypoint=[],
        runtime_packages=["late==1.0"],
        builder_options={"flytekit": False},
    )
    uri = built(spec)
    config = registry.config(uri)["config"]
    assert config["Entrypoint"] == ["/opt/tierce/entry"]
    assert "_F_RUNTIME_PACKAGES=late==1.0" in config["Env"]
    places = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/root/wheels"}
    entry = config["Entrypoint"]
    nothing = {**places, "_F_RUNTIME_PACKAGES": ""}
    look = "import importlib.util as u, os; print(u.find_spec('late'), '_F_RUNTIME_PACKAGES' in os.environ)"
    quiet = crun_run(uri, [*entry, "python", "-c", look], env=nothing)
    assert (quiet.stdout, quiet.stderr) == ("None True\n", "")
    missing = {**places, "_F_RUNTIME_PACKAGES": "nowhere"}
    failed = crun_run(uri, [*entry, "touch", "/tmp/ran"], env=missing, check=False)
    assert failed.returncode == 1
    assert "the packages nowhere could not be installed" in failed.stderr
    show = "import late, os; print(late.WHO, late.__file__, '_F_RUNTIME_PACKAGES' in os.environ)"
    done = crun_run(uri, [*entry, "python", "-c", show], env=places)
    assert done.stdout.startswith("late /opt/venv/lib/python3.11/site-packages/late.py False")
    assert "Successfully installed late-1.0" in done.stderr
