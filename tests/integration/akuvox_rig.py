"""An Akuvox driver on a simulated panel, with what it needs around it: listeners for calls and lines, and a clock."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bridge.clock import Clock, SystemClock
from bridge.driver import DriverIO, Memory, ShortMemory
from bridge.metrics import Metrics
from bridge.model import DeviceEvent, EventKind
from bridge.supervisor import http_session
from bridge.syslog.listener import SyslogListener
from bridge.testing.clock import FakeClock
from bridge.testing.harness import device_of
from bridge.web.callbacks import CallbackListener
from drivers.akuvox.driver import AkuvoxDriver
from drivers.akuvox.simulator import AkuvoxSimulator
from tests.support import until

PASSWORD = "pa/ss&4711-kanarie"


def fake_clock() -> FakeClock:
    return FakeClock(wall=time.time())


@dataclass
class Ear:
    """What events() has yielded so far."""

    driver: AkuvoxDriver
    events: list[DeviceEvent] = field(default_factory=list)

    async def listen(self) -> None:
        async with aclosing(self.driver.events()) as stream:  # type: ignore[type-var]
            async for event in stream:
                self.events.append(event)

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    def of(self, kind: EventKind) -> list[DeviceEvent]:
        return [event for event in self.events if event.kind is kind]

    async def heard(self, kind: EventKind, count: int = 1) -> list[DeviceEvent]:
        await until(lambda: len(self.of(kind)) >= count, 5, f"{count} events of the kind {kind}")
        return self.of(kind)


@dataclass
class Rig:
    """`base_url` and the ports stay the same over restarts of the driver."""

    simulator: AkuvoxSimulator
    callbacks: CallbackListener
    syslog: SyslogListener
    stack: AsyncExitStack
    memory: Memory

    async def driver(self, *, clock: Clock | None = None, memory: Memory | None = None, **own: Any) -> AkuvoxDriver:
        """Made, and it has identified its panel."""
        http = await self.stack.enter_async_context(http_session())
        device = device_of(self.simulator.inventory(), AkuvoxDriver, {"timeout": 2, "gap": 0, **own})
        io = DriverIO(
            device_id="gate",
            http=http,
            clock=clock or SystemClock(),
            random=random.Random(1),
            memory=memory or self.memory,
            callbacks=self.callbacks,
            syslog=self.syslog,
        )
        driver = AkuvoxDriver(device, device.config, io)
        self.stack.push_async_callback(driver.close)
        return driver

    async def asked(self, what: str, times: int) -> None:
        """Until the panel was asked that so many times."""
        await until(lambda: self.simulator.requests.count(what) >= times, 5, f"{what} {times} times")

    @asynccontextmanager
    async def ear(self, driver: AkuvoxDriver) -> AsyncIterator[Ear]:
        ear = Ear(driver)
        task = asyncio.create_task(ear.listen())
        try:
            await until(lambda: ear.events or task.done(), 5, "RESYNC")
            if task.done():
                task.result()
            yield ear
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def rig(**traits: Any) -> AsyncIterator[Rig]:
    """`traits` are the simulated panel's."""
    async with AsyncExitStack() as stack:
        simulator = AkuvoxSimulator(password=PASSWORD, **traits)
        await simulator.start()
        stack.push_async_callback(simulator.stop)
        callbacks = CallbackListener("", Metrics(), SystemClock())
        runner = web.AppRunner(callbacks.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        callbacks.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        syslog = SyslogListener(Metrics(), SystemClock())
        await syslog.open("127.0.0.1", 0, {}, "127.0.0.1")
        stack.push_async_callback(syslog.close)
        yield Rig(simulator, callbacks, syslog, stack, ShortMemory())
