"""Drivers that are wrong on purpose, each in one way, and the test class of each: declaration, purity and lifecycle.

Not collected by itself: `tests/contract/test_the_kit.py` runs it, and expects every test that it asks for to fail.
All are Acme's driver (`tests/third_party`) with something broken in it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import ClassVar

from bridge_driver_acme.driver import AcmeConfig, AcmeDriver, _Session
from pydantic import BaseModel, ConfigDict, Field

from bridge.driver import DriverIO
from bridge.errors import DeviceError, Unreachable
from bridge.model import Capability, Device, DeviceEvent, Identity, Reading, Rung
from tests.contract.broken.base import Broken
from tests.contract.broken.opens_a_socket import OpensASocket
from tests.contract.broken.sets_up_logging import SetsUpLogging

# -- declaration -------------------------------------------------------------------------------------------------


class ClaimsDiscovery(AcmeDriver):
    capabilities = AcmeDriver.capabilities | {Capability.DISCOVER}


class HidesItsEvents(AcmeDriver):
    capabilities = frozenset({Capability.STREAMS})


class HidesItsStreams(AcmeDriver):
    capabilities = frozenset({Capability.EVENTS})


class ClaimsStreams(AcmeDriver):
    async def poll(self) -> Reading:
        await super().poll()
        return Reading(Rung.READY)


class WantsAnArgument(AcmeDriver):
    async def poll(self, deep: bool = False) -> Reading:  # the runner knows of no argument
        return await super().poll()


class TakesAnything(AcmeDriver):
    class Config(BaseModel):
        model_config = ConfigDict(extra="ignore")
        port: int = Field(80, ge=1, description="TCP port")
        auth: str = Field("basic", description="how to log in")
        timeout: float = Field(5.0, description="seconds")


class ExplainsNothing(AcmeDriver):
    class Config(AcmeConfig):
        timeout: float = 5.0


class TestClaimsDiscovery(Broken):
    driver = ClaimsDiscovery


class TestHidesItsEvents(Broken):
    driver = HidesItsEvents


class TestHidesItsStreams(Broken):
    driver = HidesItsStreams


class TestClaimsStreams(Broken):
    driver = ClaimsStreams


class TestWantsAnArgument(Broken):
    driver = WantsAnArgument


class TestTakesAnything(Broken):
    driver = TakesAnything


class TestExplainsNothing(Broken):
    driver = ExplainsNothing


class TestTakesBadConfigs(Broken):
    driver = AcmeDriver
    invalid_configs = ({"port": 8080},)


# -- purity ------------------------------------------------------------------------------------------------------


class ConnectsWhenMade(AcmeDriver):
    def __init__(self, device: Device, config: AcmeConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        socket.socket().close()


class WritesWhenMade(AcmeDriver):
    def __init__(self, device: Device, config: AcmeConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        with open(os.devnull, "w") as file:
            file.write("here I am")


class ReadsTheClock(AcmeDriver):
    async def poll(self) -> Reading:
        return Reading((await super().poll()).rung, (await super().poll()).streams, {"at": time.time()})


_polls: list[str] = []


class CountsInTheModule(AcmeDriver):
    async def poll(self) -> Reading:
        _polls.append(self.device.id)
        return await super().poll()


class ChangesTheEnvironment(AcmeDriver):
    async def poll(self) -> Reading:
        os.environ["ACME_POLLS"] = str(int(os.environ.get("ACME_POLLS", 0)) + 1)
        return await super().poll()


class RemembersForAll(AcmeDriver):
    _known: ClassVar[dict[str, Identity]] = {}

    async def probe(self) -> Identity:
        if "it" not in self._known:
            self._known["it"] = await super().probe()
        return self._known["it"]


async def _for_ever() -> None:
    await asyncio.Event().wait()


class LeaksATask(AcmeDriver):
    __slots__ = ("_task",)

    async def poll(self) -> Reading:
        self._task = asyncio.get_running_loop().create_task(_for_ever())
        return await super().poll()


class TestOpensASocket(Broken):
    driver = OpensASocket


class TestSetsUpLogging(Broken):
    driver = SetsUpLogging


class TestConnectsWhenMade(Broken):
    driver = ConnectsWhenMade


class TestWritesWhenMade(Broken):
    driver = WritesWhenMade


class TestReadsTheClock(Broken):
    driver = ReadsTheClock


class TestCountsInTheModule(Broken):
    driver = CountsInTheModule


class TestChangesTheEnvironment(Broken):
    driver = ChangesTheEnvironment


class TestRemembersForAll(Broken):
    driver = RemembersForAll


class TestLeaksATask(Broken):
    driver = LeaksATask


# -- lifecycle ---------------------------------------------------------------------------------------------------


class LeaksASocket(AcmeDriver):
    __slots__ = ("_held",)

    async def poll(self) -> Reading:
        self._held = await asyncio.open_connection(self.device.address, self.config.port)
        return await super().poll()


class SwallowsCancellation(AcmeDriver):
    async def poll(self) -> Reading:
        try:
            return await super().poll()
        except asyncio.CancelledError:
            raise Unreachable("cancelled") from None


class LeavesItsSubscription(AcmeDriver):
    async def close(self) -> None:
        pass


class NeedsOpen(AcmeDriver):
    __slots__ = ("_opened",)

    async def open(self) -> None:
        self._opened = True

    async def close(self) -> None:
        assert self._opened
        await super().close()


class ListensOnAfterClose(AcmeDriver):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        while True:
            async for event in super().events():
                yield event


class SubscribesAnewAfterACrash(AcmeDriver):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        await self.io.memory.put("session", None)
        async for event in super().events():
            yield event


class UnsubscribesEverybody(AcmeDriver):
    async def close(self) -> None:
        await super().close()
        for number in range(1, 10):
            with suppress(DeviceError):
                await self._ask("DELETE", f"/api/events/e{number}", _Session)


class TestLeaksASocket(Broken):
    driver = LeaksASocket


class TestSwallowsCancellation(Broken):
    driver = SwallowsCancellation


class TestLeavesItsSubscription(Broken):
    driver = LeavesItsSubscription


class TestNeedsOpen(Broken):
    driver = NeedsOpen


class TestListensOnAfterClose(Broken):
    driver = ListensOnAfterClose


class TestSubscribesAnewAfterACrash(Broken):
    driver = SubscribesAnewAfterACrash


class TestUnsubscribesEverybody(Broken):
    driver = UnsubscribesEverybody
