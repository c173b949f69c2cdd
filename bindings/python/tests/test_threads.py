"""Several threads, and processes made by fork."""

from __future__ import annotations

import multiprocessing
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tierce
from support.builds import child, small

pytestmark = pytest.mark.usefixtures("plain")


def test_several_threads_build_at_once(empty: str) -> None:
    images = [small(empty, f"app-{number % 4}") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        builds = list(pool.map(lambda image: tierce.build(image, progress=None), images))
    digests = {build.uri: build.digest for build in builds}
    assert len(digests) == 4
    assert [digests[build.uri] for build in builds] == [build.digest for build in builds]


# Eight threads of a fresh process that all build for the first time.
FIRST = """
import sys, threading
import tierce
from support.builds import small

def build(number):
    barrier.wait()
    built.append(tierce.build(small(sys.argv[1], f"first-{number}"), progress=None).digest)

barrier, built = threading.Barrier(8), []
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=build, args=[number]) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(built))
"""


def test_the_first_builds_of_a_process_are_made_at_once(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    for _ in range(5):
        said, _ = child(FIRST, empty).communicate(timeout=60)
        assert said == "8\n"


# The program is found whatever else the threads of a fresh process ask sysconfig for.
FOUND = """
import sys, threading
from tierce import _program

def find():
    barrier.wait()
    found.append(_program.find())

barrier, found = threading.Barrier(16), []
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=find) for number in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(found), *set(found))
"""


def test_threads_find_the_program_at_once(program: str) -> None:
    for _ in range(10):
        said, _ = child(FOUND).communicate(timeout=60)
        assert said == f"16 {program}\n"


def test_other_threads_run_meanwhile(empty: str) -> None:
    done, counted = threading.Event(), 0

    def count() -> None:
        nonlocal counted
        while not done.wait(0.001):
            counted += 1

    counter = threading.Thread(target=count)
    counter.start()
    for number in range(5):
        tierce.build(small(empty, f"app-{number}"), progress=None)
    done.set()
    counter.join()
    assert counted > 0


def _build(base: str, folder: str, results: multiprocessing.Queue[str | None]) -> None:
    image = small(base, "forked").with_source_folder(folder)
    results.put(tierce.build(image, progress=None).digest)


def test_a_process_made_by_fork_builds(empty: str, tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.txt").write_text(str(number))
    image = small(empty, "forked").with_source_folder(folder)
    own = tierce.build(image, progress=None).digest
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str | None] = context.Queue()
    # One more file, so that what the parent knows of the folder will not do.
    (folder / "more.txt").write_text("more")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        processes = [
            context.Process(target=_build, args=(empty, str(folder), results)) for _ in range(2)
        ]
        for process in processes:
            process.start()
    try:
        digests = [results.get(timeout=60) for _ in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()
    assert len(set(digests)) == 1
    assert digests[0] not in (None, own)
    assert tierce.build(image, progress=None).digest == digests[0]


# An interpreter that ends while a thread still builds, or a job that nobody waited for is left.
ENDS = """
import sys, threading, time, asyncio
import tierce
from support.builds import small

class Forever:
    async def build_image(self, image, dry_run, wait=True, force=False):
        started.set()
        await asyncio.sleep(1000)
    def get_checkers(self):
        return []

started = threading.Event()
build = lambda: tierce.build(small(sys.argv[1]), builder=Forever(), progress=None)
threading.Thread(target=build, daemon=True).start()
assert started.wait(30)
print("ends")
"""


def test_an_interpreter_ends_whatever_goes_on(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    # A few at a time make threads wait.
    for _ in range(3):
        programs = [child(ENDS, empty) for _ in range(4)]
        for ending in programs:
            said, _ = ending.communicate(timeout=60)
            assert (ending.returncode, said) == (0, "ends\n")
