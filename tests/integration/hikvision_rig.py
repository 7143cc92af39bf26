"""A Hikvision driver on a simulated panel, with a listener that the panel can call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import aiohttp
from aiohttp import web

from bridge.clock import Clock, SystemClock
from bridge.driver import DriverIO, Memory, ShortMemory
from bridge.errors import DeviceError
from bridge.metrics import Metrics
from bridge.model import DeviceEvent, EventKind, Policy
from bridge.supervisor import http_session
from bridge.testing.harness import HurriedClock, device_of
from bridge.web.callbacks import CallbackListener
from drivers.hikvision.driver import HikvisionDriver
from drivers.hikvision.simulator import HikvisionSimulator
from tests.support import until


class Ears:
    """Listens as the runner does, a little faster."""

    def __init__(self, driver: HikvisionDriver) -> None:
        self.driver = driver
        self.events: list[DeviceEvent] = []
        self.errors: list[DeviceError] = []

    async def listen(self) -> None:
        while True:
            try:
                async with aclosing(self.driver.events()) as events:  # type: ignore[type-var]
                    async for event in events:
                        self.events.append(event)
            except DeviceError as error:
                self.errors.append(error)
            await asyncio.sleep(0.02)

    def of(self, kind: EventKind) -> list[DeviceEvent]:
        return [event for event in self.events if event.kind is kind]

    async def heard(self, kind: EventKind, count: int = 1) -> list[DeviceEvent]:
        await until(lambda: len(self.of(kind)) >= count, 8, f"{count} {kind}; {self.events}, {self.errors[-3:]}")
        return self.of(kind)


class Rig:
    def __init__(self, http: aiohttp.ClientSession, callbacks: CallbackListener | None) -> None:
        self.http = http
        self.callbacks = callbacks

    def driver(
        self, panel: HikvisionSimulator, *, clock: Clock | None = None, memory: Memory | None = None, **config: Any
    ) -> HikvisionDriver:
        device = replace(
            device_of(panel.inventory(), HikvisionDriver, {"timeout": 2, **config}),
            policy=Policy(),
        )
        io = DriverIO(
            device_id="gate",
            http=self.http,
            clock=clock or SystemClock(),
            random=random.Random(1),
            memory=memory or ShortMemory(),
            callbacks=self.callbacks,
        )
        return HikvisionDriver(device, device.config, io)

    @asynccontextmanager
    async def listening(self, panel: HikvisionSimulator, **options: Any) -> AsyncIterator[Ears]:
        """A driver that listens, by a clock that runs twenty times as fast where none is given."""
        driver = self.driver(panel, **{"clock": HurriedClock(), **options})
        await driver.probe()
        ears = Ears(driver)
        task = asyncio.create_task(ears.listen())
        try:
            await ears.heard(EventKind.RESYNC)
            yield ears
            assert not task.done(), "events() raises what is no DeviceError"
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await driver.close()


@asynccontextmanager
async def rig(*, callbacks: bool = True, scheme: str = "http") -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_session())
        listener = CallbackListener("", Metrics(), SystemClock()) if callbacks else None
        if listener is not None:
            runner = web.AppRunner(listener.application(), access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            listener.base_url = f"{scheme}://{host}:{port}"
        yield Rig(http, listener)


@asynccontextmanager
async def panel(**traits: Any) -> AsyncIterator[HikvisionSimulator]:
    made = HikvisionSimulator(**traits)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
