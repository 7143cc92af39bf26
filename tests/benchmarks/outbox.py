"""Pushes through the store and a sink that takes everything: committed with state, delivered, acknowledged."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bridge.clock import SystemClock
from bridge.delivery.sink import Pump, Refused
from bridge.metrics import Metrics
from bridge.model import CameraStatus, Channel, Device, Kind
from bridge.pushes import render
from bridge.store.store import OutboxRow, StateRow, Store

NAME = "outbox"
DEVICES = 200
PUSHES = 20_000


class Taker:
    name = "taker"
    batch = 100
    confirms = True

    def __init__(self) -> None:
        self.taken = 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def check(self) -> str:
        return "takes everything"

    def wants(self, row: OutboxRow) -> bool:
        return True

    async def send(self, rows: Sequence[OutboxRow]) -> Refused:
        self.taken += len(rows)
        return ()


async def _run(folder: Path) -> float:
    store = await Store.open(folder, SystemClock())
    sink = Taker()
    pump = Pump(sink, store, Metrics(), SystemClock(), random.Random(1))
    await store.join(sink.name)
    pumping = asyncio.create_task(pump.run())

    async def device(number: int) -> None:
        one = Device(f"cam-{number}", Kind.CAMERA, "onvif", "192.0.2.1")
        channel = Channel(vms={"id": number + 1, "name": f"Camera {number}"})
        for turn in range(PUSHES // DEVICES):
            status = CameraStatus.ACTIVE if turn % 2 else CameraStatus.INACTIVE
            push = render.camera_status(one, channel, status)
            assert push is not None
            await store.commit(one.id, [StateRow(one.id, "channel:", {"status": status})], [push])

    began = time.perf_counter()
    await asyncio.gather(*(device(number) for number in range(DEVICES)))
    await pump.drained()
    seconds = time.perf_counter() - began
    assert sink.taken == PUSHES
    pumping.cancel()
    await asyncio.gather(pumping, return_exceptions=True)
    await store.close()
    return seconds


def run() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return {"pushes_per_s": PUSHES / asyncio.run(_run(Path(folder)))}
