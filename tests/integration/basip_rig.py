"""A BAS-IP driver on a simulated panel, with real listeners and without the rest of the bridge."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from bridge.clock import Clock
from bridge.driver import DriverIO, Memory, ShortMemory
from bridge.errors import Unreachable
from bridge.metrics import Metrics
from bridge.model import DeviceEvent, EventKind, Fact, Policy
from bridge.supervisor import http_session
from bridge.syslog.listener import SyslogListener
from bridge.testing.harness import HurriedClock, device_of
from bridge.web.callbacks import CallbackListener
from drivers.basip.driver import BasIpDriver
from drivers.basip.simulator import BasIpSimulator
from tests.support import until


@asynccontextmanager
async def running(**traits: Any) -> AsyncIterator[BasIpSimulator]:
    simulator = BasIpSimulator(**traits)
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop()


@dataclass
class Listeners:
    """Where panels report, as the bridge has them; they outlive a driver."""

    callbacks: CallbackListener
    syslog: SyslogListener


@asynccontextmanager
async def listeners() -> AsyncIterator[Listeners]:
    callbacks = CallbackListener("", Metrics(), HurriedClock())
    runner = web.AppRunner(callbacks.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    callbacks.base_url = f"http://{host}:{port}"
    syslog = SyslogListener(Metrics(), HurriedClock())
    await syslog.open("127.0.0.1", 0, {}, "127.0.0.1")
    try:
        yield Listeners(callbacks, syslog)
    finally:
        await syslog.close()
        await runner.cleanup()


@dataclass
class Heard:
    """What the driver tells, while it is listened to."""

    driver: BasIpDriver
    events: list[DeviceEvent] = field(default_factory=list)

    @property
    def news(self) -> list[DeviceEvent]:
        return [event for event in self.events if event.kind is not EventKind.RESYNC]

    def of(self, kind: EventKind) -> list[DeviceEvent]:
        return [event for event in self.events if event.kind is kind]

    async def count(self, kind: EventKind, number: int) -> list[DeviceEvent]:
        await until(lambda: len(self.of(kind)) >= number, 10, f"{number} events {kind}; there are {self.news}")
        return self.of(kind)

    async def facts(self) -> dict[str, Fact]:
        return dict((await self.driver.poll()).facts)


@asynccontextmanager
async def listening(driver: BasIpDriver) -> AsyncIterator[Heard]:
    heard = Heard(driver)

    async def listen() -> None:
        while True:
            with suppress(Unreachable):  # the runner begins anew as well
                async with aclosing(driver.events()) as events:  # type: ignore[type-var]
                    async for event in events:
                        heard.events.append(event)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(listen())
    try:
        await until(lambda: heard.events or task.done(), 10, "events() says nothing")
        if task.done():
            task.result()
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def made(
    simulator: BasIpSimulator,
    where: Listeners | None = None,
    *,
    clock: Clock | None = None,
    memory: Memory | None = None,
    auth_retry: float = 600.0,
    **config: Any,
) -> AsyncIterator[BasIpDriver]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_session())
        device = device_of(simulator.inventory(), BasIpDriver, {"timeout": 2, **config})
        device = replace(device, policy=Policy(auth_retry=auth_retry))
        io = DriverIO(
            device_id="panel",
            http=http,
            clock=clock or HurriedClock(),
            random=random.Random(1),
            memory=memory or ShortMemory(),
            callbacks=where.callbacks if where else None,
            syslog=where.syslog if where else None,
        )
        driver = BasIpDriver(device, device.config, io)
        stack.push_async_callback(driver.close)
        yield driver


@asynccontextmanager
async def heard(simulator: BasIpSimulator, where: Listeners | None = None, **options: Any) -> AsyncIterator[Heard]:
    """A driver that has looked at the panel and listens to it."""
    async with made(simulator, where, **options) as driver:
        await driver.probe()
        async with listening(driver) as found:
            yield found
