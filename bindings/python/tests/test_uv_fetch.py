"""The uv that images run is fetched where Python waits for it, and no longer than it does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tierce
from tierce import errors


class Silent:
    """A package index that takes a connection, says so, and nothing else."""

    def __init__(self) -> None:
        self.called: Callable[[], object] = lambda: None
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/simple"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(connection)
            self.called()

    def close(self) -> None:
        self._listener.close()
        for connection in self._held:
            connection.close()


@pytest.fixture
def silent(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    index = Silent()
    monkeypatch.setenv("TIERCE_INDEX", index.url)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield index
    index.close()


def image() -> tierce.Image:
    """An image that Flyte named, whose command may call uv."""
    document = {
        "python_version": "3.11",
        "name": "app",
        "extendable": True,
        "uri": "app:0123",
        "layers": [{"layer": "commands", "commands": ["uv --version"]}],
    }
    return tierce.Image._from_document(json.dumps(document))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: image().uri,
        lambda: image().plan(),
        lambda: image().explain(),
        lambda: tierce.build(image(), progress=None),
        lambda: tierce.build(image(), progress=None, wait=False),
    ],
)
def test_ctrl_c_stops_it(silent: Silent, ask: Callable[[], object]) -> None:
    silent.called = lambda: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        ask()


def test_a_loop_goes_on_and_can_cancel_it(silent: Silent) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        silent.called = lambda: loop.call_soon_threadsafe(called.set)
        seen: list[dict[str, object]] = []
        task = asyncio.ensure_future(tierce.build.aio(image(), progress=seen.append))
        await called.wait()
        # What is waited for is shown.
        while not any("uv" in str(event.get("title")) for event in seen):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_an_index_without_it_is_an_error(silent: Silent, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Path("simple")
    empty.mkdir()
    monkeypatch.setenv("TIERCE_INDEX", empty.resolve().as_uri())
    for ask in (lambda: image().uri, lambda: tierce.build(image(), progress=None)):
        with pytest.raises(errors.TierceError) as raised:
            ask()
        assert raised.value.code == "python/uv-unreachable"
        assert "TIERCE_INDEX" in str(raised.value.hint)
