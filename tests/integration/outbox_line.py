"""For the tests of the HTTP sink: a store, the sink, the pump between them, and the server at the other end."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bridge.delivery.pusher_http import PusherHttp
from bridge.delivery.sink import Pump
from bridge.metrics import Metrics
from bridge.pushes.catalogue import ExportConfig, ImportConfig, Push
from bridge.secrets import Redactor, Secret
from bridge.store.store import OutboxRow, Store
from bridge.testing.clock import FakeClock
from tests.integration.pusher_api import APP_ID, KEY, SECRET, PusherApi

LIMIT = 20.0  # seconds that any condition gets


class Line:
    """A store, a sink, and the pump between them; `receiver` is the other side."""

    def __init__(self, directory: Path, receiver: PusherApi) -> None:
        self.directory = directory
        self.receiver = receiver
        self.clock = FakeClock()
        self.redactor = Redactor()
        self.metrics = Metrics()
        self.store: Store
        self.sink: PusherHttp
        self.pump: Pump
        self._task: asyncio.Task[None] | None = None
        self._decided = 0

    async def make(self, **changes: Any) -> PusherHttp:
        options: dict[str, Any] = {
            "url": self.receiver.url,
            "app_id": APP_ID,
            "key": KEY,
            "secret": Secret(SECRET),
        } | changes
        self.sink = PusherHttp("vms", **options, clock=self.clock, redactor=self.redactor)
        await self.sink.open()
        return self.sink

    async def start(self, **options: Any) -> None:
        await self.make(**options)
        self.store = await Store.open(self.directory, self.clock)
        self.metrics = Metrics()
        self.pump = Pump(self.sink, self.store, self.metrics, self.clock, random.Random(1))
        self._task = asyncio.create_task(self.pump.run())
        # The sink has joined, so that what is decided from now on is its business.
        await self.store.join("vms")

    async def kill(self) -> None:
        """As `kill -9` leaves it: what is in the file counts."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.sink.close()
            await self.store.close()

    async def decide(self, count: int = 1, *, place: int = -1, text: str = "") -> None:
        """Commit pushes that say 0, 1, 2 ... since the first; the one at `place` says `text` instead."""
        pushes: list[Push] = []
        for number in range(count):
            if number == place:
                pushes.append(ImportConfig(user_id=13, status="ok", message=text))
            else:
                pushes.append(ExportConfig(user_id=13, status="ok", url=str(self._decided)))
                self._decided += 1
        await self.store.commit("gate", [], pushes)

    async def until(self, condition: Callable[[], bool], step: float = 0.5) -> None:
        """Let time pass, `step` seconds at a go, until the condition holds."""
        async with asyncio.timeout(LIMIT):
            while not condition():
                await self.clock.advance(step)
                await asyncio.sleep(0.002)

    async def delivered(self) -> None:
        """Everything that was decided has left the outbox, and the cursor is on disk."""
        async with asyncio.timeout(LIMIT):
            while (await self.store.join("vms")).cursor < self.store.last_seq:
                await self.clock.advance(0.5)
                await asyncio.sleep(0.002)

    def got(self) -> list[int]:
        """The numbers of the pushes that have arrived, in order."""
        data = (json.loads(event["data"])["data"]["data"] for event in self.receiver.received)
        return [int(one["url"]) for one in data if one]

    def counted(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"bridge_{name}_total", {"sink": "vms"}) or 0.0


@asynccontextmanager
async def connected(directory: Path) -> AsyncIterator[Line]:
    """The server at the other end runs; the sink is not made yet."""
    receiver = PusherApi()
    await receiver.start()
    line = Line(directory, receiver)
    yield line
    await line.kill()
    if hasattr(line, "sink"):
        await line.sink.close()
    await receiver.stop()


def row(seq: int = 1, body: str = '{"data":[]}') -> OutboxRow:
    return OutboxRow(seq, 0.0, "gate", "export_config", "App\\Events\\UserPush", "user.13", body, False)
