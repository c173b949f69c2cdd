"""Python files through the `tierce` program: loaded by this Python, as `python FILE` would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

IMAGE = "tierce.Image.from_debian_base((3, 11), install_flyte=False, name={name!r})"


class Project:
    """A folder with Python files, and the program started in it."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self.program = program

    def write(self, name: str, *lines: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    def command(self, *arguments: str) -> list[str]:
        # Nothing else decides which Python it is.
        return [self.program, *arguments, "--python", sys.executable]

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        return done

    def key(self, *arguments: str) -> str:
        return self.run("key", *arguments).stdout.strip()

    def image(self, *arguments: str) -> Any:
        return json.loads(self.run("key", *arguments, "--format", "json").stdout)["image"]

    def names(self, *arguments: str) -> list[str]:
        """The names of all images: what an error lists that asks for one."""
        done = self.run("key", *arguments, code=2)
        return done.stderr.partition("Name one after the file: ")[2].strip()[:-1].split(", ")


@pytest.fixture
def project(store: Path, tmp_path: Path, program: str) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, program)


def image(name: str) -> str:
    return IMAGE.format(name=name)


def test_a_file_names_its_images_as_python_does(project: Project) -> None:
    project.write(
        "app.py",
        "import tierce",
        f"image = {image('app')}.with_pip_packages('requests').with_env_vars({{'A': 'b c'}})",
        "spec = tierce.ImageSpec('report', packages=['pandas'], tag_format='{spec_hash}-dev')",
        "if __name__ == '__main__':",
        "    print(image.uri, spec.image_name())",
    )
    said = subprocess.run(
        [sys.executable, "app.py"], cwd=project.folder, check=True, capture_output=True, text=True
    )
    assert [project.key("app.py", name) for name in ("image", "spec")] == said.stdout.split()


def test_images_are_found_where_modules_keep_them(project: Project) -> None:
    project.write("helper.py", "import tierce", f"shared = {image('shared')}")
    project.write(
        "app.py",
        "import tierce",
        "from helper import shared",
        f"one = {image('first')}",
        "alias = one",
        f"_base = {image('base')}",
        f"images = {{'a': {image('a')}, 1: 2}}",
        f"several = [{image('zero')}, 'text']",
        "class Odd:",
        "    @property",
        "    def __class__(self): raise RuntimeError('nobody is here')",
        "odd = Odd()",
    )
    assert project.names("app.py") == ["shared", "one", "images.a", "several.0"]
    for name, built in [
        ("alias", "first"),
        ("first", "first"),
        ("_base", "base"),
        ("images.a", "a"),
        ("several.0", "zero"),
    ]:
        assert project.key("app.py", name).startswith(f"{built}:"), name


def test_imports_are_those_of_python_and_of_the_package(project: Project) -> None:
    project.write("pkg/__init__.py", "")
    project.write("pkg/common.py", "import tierce", "NAME = 'common'")
    project.write("pkg/sub/__init__.py", "from ..common import NAME")
    project.write(
        "pkg/sub/app.py",
        "import tierce",
        "import beside, top, namespaced.module",
        "from . import NAME",
        "image = tierce.Image.from_debian_base((3, 11), install_flyte=False, name=NAME)",
        "assert __name__ == 'pkg.sub.app'",
    )
    project.write("pkg/sub/beside.py", "")
    project.write("top.py", "")
    project.write("namespaced/module.py", "")
    assert project.key("pkg/sub/app.py").startswith("common:")
    # Names of Python's own modules, and names that no import has.
    for name in ("json.py", "types.py", "my-app.py", "2.py"):
        project.write(f"odd/{name}", "import tierce", f"image = {image('odd')}")
        assert project.key(f"odd/{name}").startswith("odd:"), name
    project.write("src/apps/app.py", "import tierce, apps.lib", f"image = {image('src')}")
    project.write("src/apps/lib.py", "")
    failed = project.run("key", "src/apps/app.py", code=2)
    assert "python/load-failed" in failed.stderr and "--root-dir" in failed.stderr
    assert project.key("src/apps/app.py", "--root-dir", "src").startswith("src:")


def test_paths_start_where_python_was_started(project: Project) -> None:
    project.write("data/here.txt", "here")
    project.write("sub/data/there.txt", "there")
    lines = ("import tierce", f"image = {image('app')}.with_source_folder('data', '/data')")
    project.write("sub/app.py", *lines)

    def key(*arguments: str) -> str:
        return project.key("sub/app.py", *arguments)

    plain = key()
    assert key("--root-dir", ".") == plain
    project.write("sub/app.py", *lines, "tierce.init(root_dir='sub')")
    there = key()
    assert there != plain
    assert key("--root-dir", ".") == plain
    project.write("data/here.txt", "changed")
    assert key() == there


def test_a_folder_is_loaded_file_by_file(project: Project) -> None:
    def base(name: str) -> str:
        # Nothing is added to it, so nothing is built.
        return f"{name} = tierce.Image.from_base('example.com/{name}:1')"

    project.write("pkg/common.py", "import tierce", base("shared"), "state = []")
    for name in ("a", "b"):
        project.write(
            f"pkg/{name}.py",
            "import common, tierce",
            "from common import shared",
            "assert not common.state, 'each is loaded for itself'",
            f"common.state.append({name!r})",
            base(name),
            f"tierce.init(image_registry='example.com/{name}')" if name == "a" else "",
        )
    project.write("pkg/sub/c.py", "import tierce", base("c"))
    project.write("pkg/setup.py", "raise SystemExit('nobody asked')")
    assert project.names("pkg") == ["shared", "a", "shared", "b", "shared"]
    build = project.run("build", "pkg/", "-r", "--format", "json")
    specs = [built["spec"] for built in json.loads(build.stdout)]
    # What is the same in several files is one image; with another registry it is another one.
    expected = ["pkg/a.py:shared", "pkg/a.py:a", "pkg/b.py:shared", "pkg/b.py:b", "pkg/sub/c.py:c"]
    assert specs == expected


def test_what_cannot_be_loaded_is_told_with_its_traceback(project: Project) -> None:
    project.write("good.py", "import tierce", "image = tierce.Image.from_base('example.com/a:1')")
    project.write("missing.py", "def load():", "    import no_such_module_1", "load()")
    project.write("syntax.py", "x = (")
    project.write("exits.py", "import sys", "sys.exit(3)")
    project.write("asks.py", "input('what?')")
    failed = project.run("build", ".", code=2).stderr
    assert "4 of 5 files cannot be loaded" in failed
    for says in (
        "ModuleNotFoundError: No module named 'no_such_module_1'",
        'missing.py", line 2, in load',
        "SyntaxError: '(' was never closed",
        "SystemExit: 3",
        "EOFError",
    ):
        assert says in failed, says
    assert f"{os.path.dirname(sys.executable)}" in failed
    for ours in ("_load_file", "importlib", "<string>"):
        assert ours not in failed
    built = project.run("build", ".", "-i")
    assert built.stdout == "example.com/a:1\n"
    assert built.stderr.count("warning[python/load-failed]") == 4


def test_a_file_that_ends_python_is_that_files_alone(project: Project) -> None:
    for name in ("a", "c", "e"):
        project.write(f"{name}.py", "import tierce", f"x = tierce.Image.from_base('x.io/{name}:1')")
    project.write("b.py", "import os", "os._exit(0)")
    project.write("d.py", "import os, signal", "os.kill(os.getpid(), signal.SIGSEGV)")
    failed = project.run("build", ".", code=2).stderr
    for says in (
        "error[python/load-failed]: 2 of 5 files cannot be loaded",
        "b.py: it ends Python (exit status: 0)",
        "d.py: it ends Python (signal: 11 (SIGSEGV)",
        "os._exit",
    ):
        assert says in failed, says
    built = project.run("build", ".", "-i", "--format", "json")
    assert [image["spec"] for image in json.loads(built.stdout)] == ["a.py:x", "c.py:x", "e.py:x"]
    assert built.stderr.count("warning[python/load-failed]") == 2
    alone = project.run("key", "b.py", code=2).stderr
    assert "cannot load b.py: it ends Python (exit status: 0)" in alone


def test_files_see_what_python_would_show_them(project: Project) -> None:
    project.write(
        "app.py",
        "import os, subprocess, sys, tierce",
        "print('printed')",
        "sys.stdout.write('written\\n')",
        "subprocess.run(['echo', 'by a program'])",
        "assert sys.stdin.read() == ''",
        "assert sys.argv == [__file__]",
        "assert os.getcwd() == os.path.dirname(__file__)",
        "image = tierce.Image.from_base('example.com/a:1')",
        "import threading; threading.Thread(target=threading.Event().wait).start()",
        "import atexit; atexit.register(print, 'ended')",
    )
    done = project.run("key", "app.py")
    assert done.stdout == "example.com/a:1\n"
    for printed in ("printed", "written", "by a program", "ended"):
        assert printed in done.stderr


def test_a_python_without_the_package_is_named(project: Project, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    project.write("app.py", "raise RuntimeError('this is not run')")
    done = subprocess.run(
        [project.program, "key", "app.py", "--python", tmp_path / "bare"],
        cwd=project.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "python/no-package" in done.stderr
    assert f"uv pip install --python {tmp_path}/bare/bin/python tierce" in done.stderr


def _is_running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def _until(what: Any) -> Any:
    end = time.monotonic() + 30
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_python_does_not_outlive_the_program(project: Project, sent: signal.Signals) -> None:
    pid = project.folder / "pid"
    project.write(
        "app.py",
        "import os, pathlib, time",
        "pathlib.Path('new').write_text(str(os.getpid())); os.rename('new', 'pid')",
        "try:",
        "    time.sleep(1000)",
        "finally:",
        "    pathlib.Path('cleaned').touch()",
    )
    running = subprocess.Popen(
        project.command("build", "app.py"), cwd=project.folder, stderr=subprocess.PIPE, text=True
    )
    python = int(_until(lambda: pid.exists() and pid.read_text()))
    running.send_signal(sent)
    _, said = running.communicate(timeout=30)
    if sent == signal.SIGINT:
        assert running.returncode == 130
        assert "cli/interrupted" in said
        assert (project.folder / "cleaned").exists()
    _until(lambda: not _is_running(python))


def test_builders_of_the_files_own_build(project: Project) -> None:
    project.write(
        "app.py",
        "import tierce",
        "class Kiln:",
        "    async def build_image(self, image, dry_run, wait=True, force=False):",
        "        if image.name == 'bad':",
        "            raise RuntimeError('too hot')",
        "        return tierce.ImageBuild(f'example.com/{image.name}:{force}')",
        "    def get_checkers(self):",
        "        return None",
        "tierce.init(image_builder=Kiln())",
        f"good = {image('good')}",
        f"bad = {image('bad')}",
    )
    assert project.run("build", "app.py", "good", "--force").stdout == "example.com/good:True\n"
    for push in ("--push", "--no-push"):
        pushes = project.run("build", "app.py", "good", push, "--registry", "example.com")
        assert pushes.stdout == "example.com/good:False\n", push
    done = project.run("build", "app.py", "--format", "json", code=5)
    good, bad = json.loads(done.stdout)
    assert (good["uri"], good["spec"]) == ("example.com/good:False", "app.py:good")
    assert "too hot" in bad["error"]["message"]
    for refused in (["build", "app.py", "good", "--output", "oci:out"], ["run", "app.py", "good"]):
        assert "python/builder" in project.run(*refused, code=2).stderr
    # The command line's choice is a builder of the program's.
    noop = project.run("build", "app.py", "good", "--builder", "noop", code=2)
    assert "too hot" not in noop.stderr and "example.com/good" not in noop.stdout


def test_code_bundles_are_in_unless_somebody_else_brings_them(project: Project) -> None:
    project.write("lib/used.py", "")
    project.write("lib/unused.py", "")
    project.write(
        "app.py",
        "import tierce",
        "import lib.used",
        f"image = {image('app')}.with_code_bundle()",
    )

    def sources(*arguments: str) -> str:
        steps = project.image("app.py", *arguments)["steps"]
        return json.dumps([step for step in steps if "source-folder" in step])

    assert "lib/used.py" in sources() and "unused" not in sources()
    assert sources("--copy-style", "none") == sources()
    for left_out in (["--fast"], ["--copy-style", "all"], ["--copy-style", "loaded_modules"]):
        assert sources(*left_out) == "[]"


def test_python_m_is_the_program(program: str) -> None:
    module = subprocess.run(
        [sys.executable, "-m", "tierce", "--version"], capture_output=True, text=True, check=True
    )
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert module.stdout == said.stdout
