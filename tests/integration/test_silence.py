"""Connections that ask for nothing are closed, on both listeners; nobody else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bridge.config.load import load
from bridge.metrics import Metrics
from bridge.service import Service
from bridge.testing.clock import FakeClock
from bridge.web.callbacks import CallbackListener
from bridge.web.silence import FIRST_REQUEST

LIMIT = 10.0
Listener = Callable[[FakeClock, Path], AbstractAsyncContextManager[int]]


@asynccontextmanager
async def front(clock: FakeClock, folder: Path) -> AsyncIterator[int]:
    config = folder / "config.yaml"
    config.write_text(f"bridge: {{data: {folder / 'data'}, http: {{listen: '127.0.0.1:0'}}}}")
    bridge = Service(load(config), clock=clock)
    await bridge.start()
    try:
        yield int(bridge.url.rpartition(":")[2])
    finally:
        await bridge.stop()


@asynccontextmanager
async def callbacks(clock: FakeClock, folder: Path) -> AsyncIterator[int]:
    listener = CallbackListener("http://here", Metrics(), clock)
    runner = web.AppRunner(listener.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    watching = asyncio.create_task(listener.silence.watch(runner))
    try:
        yield runner.addresses[0][1]
    finally:
        watching.cancel()
        await runner.cleanup()


@pytest.mark.parametrize("listener", [front, callbacks])
@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Slow: "])
async def test_who_never_asks_is_sent_away(listener: Listener, said: bytes, tmp_path: Path) -> None:
    clock = FakeClock()
    async with asyncio.timeout(LIMIT), listener(clock, tmp_path) as port:
        asking, answers = await asyncio.open_connection("127.0.0.1", port)
        silent, mute = await asyncio.open_connection("127.0.0.1", port)
        mute.write(said)
        for _ in range(3):
            answers.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            head = await asking.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await asking.readexactly(int(length.partition(b":")[2]))
            await clock.advance(FIRST_REQUEST)
        assert await silent.read() == b"", "its connection is closed"
        answers.close()
        mute.close()
