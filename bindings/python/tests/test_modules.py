"""Which files `LOADED_MODULES` finds."""

from __future__ import annotations

import json
import py_compile
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from support.require import skip
from tierce import _modules

ASK = "import json, sys; from tierce import _modules; print(json.dumps(_modules.loaded_files()))"


def found(project: Path, code: str, *, run: str = "main.py", module: bool = False) -> list[str]:
    """The files that a program with `code` finds below `project`."""
    main = project / run
    main.parent.mkdir(parents=True, exist_ok=True)
    main.write_text(f"{code}\n{ASK}\n")
    arguments = ["-m", ".".join(Path(run).with_suffix("").parts)] if module else [str(main)]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files = [Path(file) for file in json.loads(done.stdout.splitlines()[-1])]
    assert all(file.is_absolute() for file in files), files
    return [str(f.relative_to(project)) for f in files if f.is_relative_to(project)]


def write(project: Path, *files: str) -> None:
    for name in files:
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")


@pytest.mark.parametrize(
    ("files", "code", "expected"),
    [
        ([], "", ["main.py"]),
        (["a.py", "b.py"], "import a", ["a.py", "main.py"]),
        (
            ["pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/leaf.py", "pkg/other.py"],
            "import pkg.sub.leaf",
            ["main.py", "pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/leaf.py"],
        ),
        # A namespace package has no file of its own.
        (["space/part/leaf.py"], "import space.part.leaf", ["main.py", "space/part/leaf.py"]),
        # What is installed comes by other ways, from whichever environment.
        (
            ["env/lib/python3/site-packages/dep.py", "near.py"],
            "import sys; sys.path.append('env/lib/python3/site-packages'); import dep, near",
            ["main.py", "near.py"],
        ),
        # Anything may be in `sys.modules`.
        (
            ["real.py"],
            "import sys, types, real\n"
            "class Lazy(types.ModuleType):\n"
            "    def __getattr__(self, name): raise RuntimeError(name)\n"
            "sys.modules.update(lazy=Lazy('lazy'), none=None, number=5, odd=object())\n"
            "sys.modules['wrong'] = types.ModuleType('wrong')\n"
            "sys.modules['wrong'].__file__ = 5\n"
            "sys.modules['gone'] = types.ModuleType('gone')\n"
            "sys.modules['gone'].__file__ = 'gone.py'",
            ["main.py", "real.py"],
        ),
        # One that loads itself when it is used is meant, too.
        (
            ["slow.py"],
            "import importlib.util as u, sys\n"
            "spec = u.find_spec('slow')\n"
            "spec.loader = u.LazyLoader(spec.loader)\n"
            "sys.modules['slow'] = u.module_from_spec(spec)\n"
            "spec.loader.exec_module(sys.modules['slow'])",
            ["main.py", "slow.py"],
        ),
    ],
    ids=["alone", "module", "package", "namespace", "installed", "odd", "lazy"],
)
def test_modules(tmp_path: Path, files: list[str], code: str, expected: list[str]) -> None:
    write(tmp_path, *files)
    assert found(tmp_path, code) == expected


def test_the_main_module_is_found_by_its_name_too(tmp_path: Path) -> None:
    write(tmp_path, "app/__init__.py", "app/used.py")
    files = found(tmp_path, "from . import used", run="app/start.py", module=True)
    assert files == ["app/__init__.py", "app/start.py", "app/used.py"]


def test_an_archive_is_the_file_of_what_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("packed/__init__.py", "")
        archive.writestr("packed/leaf.py", "")
    code = "import sys; sys.path.insert(0, 'lib.zip'); import packed.leaf"
    assert found(tmp_path, code) == ["lib.zip", "main.py"]


def test_modules_without_sources_and_extension_modules(tmp_path: Path) -> None:
    write(tmp_path, "bare.txt")
    py_compile.compile(str(tmp_path / "bare.txt"), str(tmp_path / "bare.pyc"))
    dynamic = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    extension = next(iter(sorted(dynamic.glob("_testbuffer*.so"))), None)
    extension = extension or next(iter(sorted(dynamic.glob("_lsprof*.so"))), None)
    if extension is None:
        skip("python", f"this Python has no extension modules in {dynamic}")
    name = extension.name.split(".")[0]
    (tmp_path / extension.name).write_bytes(extension.read_bytes())
    assert found(tmp_path, f"import bare, {name}") == sorted(
        [extension.name, "bare.pyc", "main.py"]
    )


def test_a_project_may_lie_below_the_prefix(tmp_path: Path) -> None:
    write(tmp_path, "src/a.py")
    # As /usr/src/app lies below /usr.
    code = "import sys; sys.prefix = sys.base_prefix = sys.path[0]; import src.a"
    assert found(tmp_path, code) == ["main.py", "src/a.py"]


def test_versions_are_those_that_are_installed() -> None:
    assert _modules.installed_version("pytest") == pytest.__version__
    assert _modules.installed_version("nothing_like_it") is None
