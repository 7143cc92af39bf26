"""A 2N driver alone on a simulated intercom."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bridge.clock import Clock, SystemClock
from bridge.driver import DriverIO, Memory, ShortMemory
from bridge.model import Capability as Can
from bridge.model import Command, DeviceEvent, EventKind
from bridge.supervisor import http_session
from bridge.testing.harness import device_of
from drivers.two_n.driver import TwoNDriver
from drivers.two_n.simulator import TwoNSimulator
from tests.support import until


@dataclass
class Rig:
    driver: TwoNDriver
    panel: TwoNSimulator
    memory: Memory

    async def open_door(self, output: int = 1) -> None:
        await self.driver.command(Command(Can.OPEN_DOOR, arguments={"output": output}))

    async def heard(self, count: int, *acts: tuple[str, dict[str, Any]]) -> list[DeviceEvent]:
        """Listen, let things happen once we do, and take that many events."""
        found: list[DeviceEvent] = []

        async def listen() -> None:
            async with aclosing(self.driver.events()) as events:  # type: ignore[type-var]
                async for event in events:
                    if event.kind is not EventKind.RESYNC:
                        found.append(event)
                        continue
                    for name, details in acts:
                        await self.panel.act(name, **details)

        # As the runner does: cancelled where it waits for more.
        task = asyncio.create_task(listen())
        try:
            await until(lambda: task.done() or len(found) >= count, 10)
        finally:
            task.cancel()
            await asyncio.wait([task])
        assert len(found) >= count, task.exception() if not task.cancelled() else found
        return found


@asynccontextmanager
async def panel(**traits: Any) -> AsyncIterator[TwoNSimulator]:
    made = TwoNSimulator(**traits)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def driver_of(
    one: TwoNSimulator,
    *,
    config: dict[str, Any] | None = None,
    clock: Clock | None = None,
    memory: Memory | None = None,
) -> AsyncIterator[Rig]:
    async with http_session() as http:
        device = device_of(one.inventory(), TwoNDriver, {"timeout": 2, **(config or {})})
        memory = memory or ShortMemory()
        io = DriverIO(device_id="gate", http=http, clock=clock or SystemClock(), random=random.Random(1), memory=memory)
        made = TwoNDriver(device, device.config, io)
        try:
            yield Rig(made, one, memory)
        finally:
            await made.close()


@asynccontextmanager
async def rig(*, config: dict[str, Any] | None = None, clock: Clock | None = None, **traits: Any) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(panel(**traits))
        yield await stack.enter_async_context(driver_of(one, config=config, clock=clock))
