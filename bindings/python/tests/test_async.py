"""Builds on a loop: it goes on meanwhile, and cancelling stops the build."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest
import tierce
from support.builds import small
from tierce import Image
from tierce.extend import ImageBuild, ImageBuilder, ImageChecker

pytestmark = pytest.mark.usefixtures("plain")

PERSON = contextvars.ContextVar("person", default="nobody")


class OnLoop(ImageBuilder):
    """Says which loop and thread it runs on, and waits for as long as it is told to."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.threads: list[threading.Thread] = []
        self.people: list[str] = []
        self.ends: list[str] = []
        self.begun = asyncio.Event()

    async def build_image(
        self, image: Image, dry_run: bool, wait: bool = True, force: bool = False
    ) -> ImageBuild:
        self.loops.append(asyncio.get_running_loop())
        self.threads.append(threading.current_thread())
        self.people.append(PERSON.get())
        self.begun.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        self.ends.append("done")
        return ImageBuild(uri=image.uri)

    def get_checkers(self) -> list[type[ImageChecker]] | None:
        return []


def test_the_loop_goes_on_meanwhile(empty: str) -> None:
    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticker = asyncio.create_task(tick())
        builds = [tierce.build.aio(small(empty, f"app-{n}")) for n in range(5)]
        built = await asyncio.gather(*builds)
        ticker.cancel()
        assert {build.status for build in built} == {"built"}
        assert ticks > 0

    asyncio.run(main())


def test_builders_run_on_the_callers_loop_and_in_its_context(empty: str) -> None:
    builder = OnLoop()

    async def main() -> None:
        PERSON.set("caller")
        await tierce.build.aio(small(empty), builder=builder)
        assert builder.loops == [asyncio.get_running_loop()]

    asyncio.run(main())
    assert builder.threads == [threading.main_thread()]
    assert builder.people == ["caller"]


def test_a_build_that_is_not_awaited_elsewhere_has_a_loop_of_its_own(empty: str) -> None:
    builder = OnLoop()
    PERSON.set("main")
    tierce.build(small(empty), builder=builder)
    assert builder.threads == [threading.main_thread()]

    async def main() -> None:
        # As in a notebook's cell: this thread's loop waits for the cell.
        tierce.build(small(empty), builder=builder)
        assert builder.loops[-1] is not asyncio.get_running_loop()

    asyncio.run(main())
    assert builder.people == ["main", "main"]


def test_cancelling_stops_a_builder(empty: str) -> None:
    builder = OnLoop(seconds=1000)

    async def main() -> None:
        task = asyncio.create_task(tierce.build.aio(small(empty), builder=builder))
        await builder.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert builder.ends == ["cancelled"]
    assert tierce.build(small(empty)).status == "built"


def test_a_timeout_stops_a_command(base: str) -> None:
    image = Image.from_base(base).clone(name="slow", extendable=True)
    image = image.with_commands(["echo begun; sleep 1000"])
    begun = asyncio.Event()

    def watch(event: dict[str, object]) -> None:
        if event.get("line") == "begun":
            begun.set()

    async def main() -> None:
        task = asyncio.create_task(tierce.build.aio(image, progress=watch))
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), task.result()
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Not the thousand seconds, nor the ten that cleaning up may take.
        assert time.monotonic() - started < 8

    asyncio.run(main())


def test_failures_of_progress_stop_the_build(empty: str) -> None:
    def fail(event: dict[str, object]) -> None:
        raise ZeroDivisionError("shown")

    with pytest.raises(ZeroDivisionError):
        tierce.build(small(empty), progress=fail)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(tierce.build.aio(small(empty), progress=fail))
    assert tierce.build(small(empty)).uri == small(empty).uri
