"""Drivers that are wrong on purpose, each in one way, and the test class of each: events.

Not collected by itself: `tests/contract/test_the_kit.py` runs it, and expects every test that it asks for to fail.
All are Acme's driver (`tests/third_party`) with something broken in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from bridge_driver_acme.driver import AcmeDriver

from bridge.model import DeviceEvent, EventKind
from tests.contract.broken.base import Broken

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
