"""Drivers that are wrong on purpose, each in one way, and the test class of each.

Not collected by itself: `tests/contract/test_the_kit.py` runs it, and expects every test that it asks for to fail.
All are Acme's driver (`tests/third_party`) with something broken in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, ClassVar

import aiohttp
from bridge_driver_acme.driver import AcmeConfig, AcmeDriver, Reply, _Session
from bridge_driver_acme.simulator import AcmeSimulator
from pydantic import BaseModel, ConfigDict, Field

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, DeviceError, Unreachable
from bridge.model import Capability, Device, DeviceEvent, EventKind, Identity, Reading, Rung
from bridge.testing.contract import DriverContract, Happening
from tests.contract.broken.opens_a_socket import OpensASocket
from tests.contract.broken.sets_up_logging import SetsUpLogging


class Broken(DriverContract):
    simulator = AcmeSimulator
    valid_configs = ({},)
    invalid_configs = ({"port": 0},)
    config: ClassVar = {"timeout": 0.5}
    patience = 1.5
    drivers = 20
    happenings = (Happening("motion", EventKind.MOTION, True),)


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


# -- health ------------------------------------------------------------------------------------------------------


class _OwnHttp(AcmeDriver):
    """Does HTTP by itself, the way that comes to mind first."""

    follow: ClassVar[bool] = False
    limit: ClassVar[float | None] = 0.5
    errors: ClassVar[tuple[type[Exception], ...]] = (aiohttp.ClientError, TimeoutError, ValueError)

    async def _ask(self, method: str, path: str, reply: type[Reply], wait: int = 0) -> Reply:
        timeout = aiohttp.ClientTimeout(total=self.limit and self.limit + wait)
        try:
            async with self.io.http.request(
                method,
                self._origin.with_path(path),
                headers=self._authorization(),
                timeout=timeout,
                allow_redirects=self.follow,
            ) as response:
                if response.status == 401:
                    raise AuthFailed("refused")
                return reply.model_validate_json(await response.read())
        except self.errors as error:
            raise Unreachable(type(error).__name__) from None


class FollowsTheRedirect(_OwnHttp):
    follow = True


class HangsInABlackHole(_OwnHttp):
    limit = None


class LetsForeignErrorsOut(_OwnHttp):
    errors = (aiohttp.ClientConnectorError, TimeoutError)


class ReadsItAll(_OwnHttp):
    pass


class RetriesAWrongPassword(AcmeDriver):
    async def _ask(self, method: str, path: str, reply: type[Reply], wait: int = 0) -> Reply:
        try:
            return await super()._ask(method, path, reply, wait)
        except AuthFailed:
            return await super()._ask(method, path, reply, wait)


class CallsEverythingUnreachable(AcmeDriver):
    async def probe(self) -> Identity:
        try:
            return await super().probe()
        except DeviceError as error:
            raise Unreachable(error.detail) from error


class NeedsTheRightTime(AcmeDriver):
    async def poll(self) -> Reading:
        reading = await super().poll()
        if abs(float(reading.facts["clock_offset"] or 0)) > 60:
            raise Unreachable("its clock is wrong")
        return reading


class TestFollowsTheRedirect(Broken):
    driver = FollowsTheRedirect


class TestHangsInABlackHole(Broken):
    driver = HangsInABlackHole


class TestLetsForeignErrorsOut(Broken):
    driver = LetsForeignErrorsOut


class TestReadsItAll(Broken):
    driver = ReadsItAll


class TestRetriesAWrongPassword(Broken):
    driver = RetriesAWrongPassword


class TestCallsEverythingUnreachable(Broken):
    driver = CallsEverythingUnreachable


class TestNeedsTheRightTime(Broken):
    driver = NeedsTheRightTime


# -- events ------------------------------------------------------------------------------------------------------


class SwallowsUnknownTopics(AcmeDriver):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        async for event in super().events():
            if event.kind is not EventKind.VENDOR:
                yield event


class NeverResyncs(AcmeDriver):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        async for event in super().events():
            if event.kind is not EventKind.RESYNC:
                yield event


class DropsRepeats(AcmeDriver):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        last: Any = None
        async for event in super().events():
            if (event.topic, event.data) != last:
                yield event
            last = (event.topic, event.data)


class SaysEverythingTwice(AcmeDriver):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        async for event in super().events():
            yield event
            yield event


class ShufflesEvents(AcmeDriver):
    async def events(self) -> AsyncIterator[DeviceEvent]:
        held: DeviceEvent | None = None
        async for event in super().events():
            if event.kind is EventKind.VENDOR and event.data.get("text", "").endswith("77"):
                held = event
                continue
            yield event
            if held is not None:
                yield held
                held = None


class MarksNothing(AcmeDriver):
    def _event(self, one: Any) -> DeviceEvent:
        return super()._event(one.model_copy(update={"repeated": False}))


class LosesTheTime(AcmeDriver):
    def _event(self, one: Any) -> DeviceEvent:
        event = super()._event(one)
        return DeviceEvent(event.kind, event.channel, active=event.active, initial=event.initial, topic=event.topic)


class EndsForGoodAfterAReboot(AcmeDriver):
    __slots__ = ("_started",)

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if getattr(self, "_started", False):
            await asyncio.Event().wait()
        self._started = True
        async for event in super().events():
            yield event


class TestSwallowsUnknownTopics(Broken):
    driver = SwallowsUnknownTopics


class TestNeverResyncs(Broken):
    driver = NeverResyncs


class TestDropsRepeats(Broken):
    driver = DropsRepeats


class TestSaysEverythingTwice(Broken):
    driver = SaysEverythingTwice


class TestShufflesEvents(Broken):
    driver = ShufflesEvents


class TestMarksNothing(Broken):
    driver = MarksNothing


class TestLosesTheTime(Broken):
    driver = LosesTheTime


class TestEndsForGoodAfterAReboot(Broken):
    driver = EndsForGoodAfterAReboot


# -- secrets -----------------------------------------------------------------------------------------------------


def _password(driver: AcmeDriver) -> str:
    assert driver.device.credentials is not None
    return driver.device.credentials.password.reveal()


class LogsThePassword(AcmeDriver):
    async def poll(self) -> Reading:
        self.io.log.debug("polling", headers=self._authorization())
        return await super().poll()


class PrintsThePassword(AcmeDriver):
    async def poll(self) -> Reading:
        print(f"login with {_password(self)}")
        return await super().poll()


class QuotesThePassword(AcmeDriver):
    async def probe(self) -> Identity:
        try:
            return await super().probe()
        except AuthFailed:
            raise AuthFailed(f"http://admin:{_password(self)}@{self.device.address}/ is refused") from None


class KeepsThePassword(AcmeDriver):
    async def poll(self) -> Reading:
        await self.io.memory.put("login", _password(self))
        return await super().poll()


class TestLogsThePassword(Broken):
    driver = LogsThePassword


class TestPrintsThePassword(Broken):
    driver = PrintsThePassword


class TestQuotesThePassword(Broken):
    driver = QuotesThePassword


class TestKeepsThePassword(Broken):
    driver = KeepsThePassword


# -- budget ------------------------------------------------------------------------------------------------------


class KeepsReplies(AcmeDriver):
    __slots__ = ("_replies",)

    async def poll(self) -> Reading:
        self._replies = bytearray(1 << 20)
        return await super().poll()


class Computes(AcmeDriver):
    async def poll(self) -> Reading:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000)
        return await super().poll()


class BlocksTheLoop(AcmeDriver):
    async def poll(self) -> Reading:
        try:
            return await super().poll()
        except DeviceError:
            time.sleep(0.7)  # what a library with blocking requests does
            raise


class TestKeepsReplies(Broken):
    driver = KeepsReplies


class TestComputes(Broken):
    driver = Computes
    config: ClassVar = {"timeout": 10.0}


class TestBlocksTheLoop(Broken):
    driver = BlocksTheLoop
