"""Ctrl-C: the build stops at once, and leaves nothing broken or running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import tierce
from support.builds import child, small
from tierce.errors import StepError

pytestmark = pytest.mark.usefixtures("plain")

SYNC = """
import sys, tierce
image = tierce.Image.from_base(sys.argv[1]).clone(name="slow", extendable=True)
image = image.with_commands(["echo be''gun; sleep 1000.5"])
try:
    tierce.build(image, progress=lambda event: print(event.get("line", ""), flush=True))
except KeyboardInterrupt:
    print("stopped", flush=True)
    raise
"""

ASYNC = """
import asyncio, sys, tierce
image = tierce.Image.from_base(sys.argv[1]).clone(name="slow", extendable=True)
image = image.with_commands(["echo be''gun; sleep 1000.5"])
try:
    said = lambda event: print(event.get("line", ""), flush=True)
    asyncio.run(tierce.build.aio(image, progress=said))
except KeyboardInterrupt:
    print("stopped", flush=True)
    raise
"""

PLUGIN = """
import sys, time, tierce
class Builder:
    def build_image(self, image, dry_run, wait=True, force=False):
        print("begun", flush=True)
        time.sleep(1000.5)
    def get_checkers(self):
        return []
image = tierce.Image.from_base(sys.argv[1]).clone(name="slow", extendable=True)
try:
    tierce.build(image.with_env_vars({"A": "1"}), builder=Builder())
except KeyboardInterrupt:
    print("stopped", flush=True)
    raise
"""

COROUTINE = PLUGIN.replace("    def build_image", "    async def build_image").replace(
    "        time.sleep(1000.5)", "        import asyncio; await asyncio.sleep(1000.5)"
)


def sleepers() -> list[str]:
    """The processes that the command started, by their numbers."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if process.read_bytes().startswith(b"sleep\x001000.5"):
                found.append(process.parent.name)
        except OSError:
            continue
    return found


def interrupted(code: str, base: str) -> str:
    """What a program said that got SIGINT when it had said `begun`."""
    running = child(code, base)
    assert running.stdout is not None
    said = ""
    try:
        while "begun" not in said:
            line = running.stdout.readline()
            assert line, said
            said += line
        running.send_signal(signal.SIGINT)
        started = time.monotonic()
        rest, _ = running.communicate(timeout=30)
        # At once: not the thousand seconds, nor the ten that cleaning up may take.
        assert time.monotonic() - started < 8
    finally:
        running.kill()
        running.wait()
    assert running.returncode == -signal.SIGINT
    return said + rest


@pytest.mark.parametrize("code", [SYNC, ASYNC], ids=["sync", "async"])
def test_a_command_is_stopped(base: str, empty: str, store: Path, code: str) -> None:
    said = interrupted(code, base)
    assert "stopped" in said and "KeyboardInterrupt" in said
    end = time.monotonic() + 10
    while sleepers() and time.monotonic() < end:
        time.sleep(0.05)
    assert sleepers() == []
    assert mounts(store) == []
    # The store is whole.
    assert tierce.build(small(empty)).status == "built"
    image = tierce.Image.from_base(base).clone(name="next", extendable=True)
    assert tierce.build(image.with_commands(["echo next > /next"])).status == "built"


def test_a_run_in_the_background_is_stopped_by_who_asks(base: str) -> None:
    image = tierce.Image.from_base(base).clone(name="slow", extendable=True)
    run = tierce.build(image.with_commands(["echo be''gun; sleep 1000.5"]), wait=False).remote_run
    while not any("| begun" in line for line in run.logs()):
        assert not run.done(), run.logs()
        time.sleep(0.05)
    assert run.cancel()
    assert run.status == "cancelled"
    with pytest.raises(StepError) as raised:
        run.wait()
    assert raised.value.code == "run/cancelled"
    assert sleepers() == []


def mounts(store: Path) -> list[str]:
    table = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in table if str(store) in line]


@pytest.mark.parametrize("code", [PLUGIN, COROUTINE], ids=["function", "coroutine"])
def test_a_builder_written_in_python_is_stopped(empty: str, code: str) -> None:
    said = interrupted(code, empty)
    assert "stopped" in said and "KeyboardInterrupt" in said


def test_signals_with_handlers_of_their_own_are_theirs(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        image = small(empty, "signalled")
        sender = subprocess.Popen(["kill", "-USR1", str(os.getpid())])
        assert tierce.build(image).status == "built"
        sender.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]
