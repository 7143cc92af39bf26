"""Does each thing that happens arrive: once, in order, with its channel and its time? Also over reboots and losses."""

from __future__ import annotations

import pytest

from bridge.driver import AnyDriver
from bridge.model import Capability, DeviceEvent, EventKind
from bridge.testing.checks.base import Contract, Happening, Listener
from bridge.testing.harness import HurriedClock, Unit, on_a_loop

_BURST = 250
# As many may be on their way: a device's queue has an end, and what falls out of it is not the driver's loss.
_AHEAD = 500
# Seconds by which what an event says of its time may differ from when it was made.
_SAME_TIME = 10.0
# A device may tell these about itself when it is back.
_OF_A_REBOOT = frozenset({EventKind.REBOOT, EventKind.SYSTEM, EventKind.CLOCK})


class EventChecks(Contract):
    @on_a_loop
    async def test_what_happens_arrives_once_and_in_order(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit, clock=HurriedClock())
            async with self.listen(driver) as listener:
                began = driver.io.clock.now().wall
                for happening in self.happenings:
                    await unit.act(happening.act, **happening.details)
                # What nobody knows comes last; when it is there, everything else is.
                await self.tell(unit, "last")
                await listener.until(
                    lambda: "last" in listener.told() or len(listener.news()) > len(self.happenings),
                    f"of {len(self.happenings)} things that happened and one more, {len(listener.news())} arrived",
                )
                arrived = [one for one in listener.news() if one.kind is not EventKind.VENDOR]
                for number, (happening, event) in enumerate(zip(self.happenings, arrived, strict=False), 1):
                    self._is(happening, event, driver, began, f"event {number}, for act({happening.act!r})")
                assert len(arrived) == len(self.happenings), (
                    f"{len(self.happenings)} things happened, {len(arrived)} events arrived: {arrived}"
                )

    def _is(self, happening: Happening, event: DeviceEvent, driver: AnyDriver, began: float, what: str) -> None:
        assert event.kind is happening.kind, f"{what}, is {event.kind.name} and not {happening.kind.name}: {event}"
        assert event.active is happening.active, f"{what}, has active={event.active}, not {happening.active}: {event}"
        channels = driver.device.channels
        expected = None if happening.channel is None else channels[happening.channel].key
        assert event.channel == expected, f"{what}, is of channel {event.channel!r}, not {expected!r}: {event}"
        assert event.topic, f"{what}, has no topic: what did the device call it?"
        if happening.timed:
            assert event.source_time is not None, f"{what}, has no source_time, although the device told it: {event}"
            late = abs(event.source_time - began)
            assert late < _SAME_TIME, (
                f"{what}, has a source_time that is {late:.0f} s off: it is in seconds since the epoch, in UTC"
            )
        else:
            assert event.source_time is None, f"{what}, has a source_time, and the device tells none: leave it None"

    @on_a_loop
    async def test_what_nobody_knows_is_passed_on(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            async with self.listen(await bench.ready(unit, clock=HurriedClock())) as listener:
                await self.tell(unit, "news")
                await listener.until(
                    lambda: listener.told(),
                    "an event that the driver does not know is swallowed: pass it on as EventKind.VENDOR",
                )
                found = listener.news()[-1]
                assert found.kind is EventKind.VENDOR, f"an unknown event is passed on as {found.kind.name}: {found}"
                assert found.topic, "an unknown event is passed on without its topic"

    @on_a_loop
    async def test_two_equal_events_are_two(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            async with self.listen(await bench.ready(unit, clock=HurriedClock())) as listener:
                await self.tell(unit, "again", "again", "last")
                await listener.until(lambda: "last" in listener.told(), "the last of three events does not arrive")
                assert listener.told() == ["again", "again", "last"], (
                    f"the device said again, again, last; the driver {', '.join(listener.told())}. A driver neither "
                    "repeats nor drops: whoever presses the bell twice rings twice"
                )

    @on_a_loop
    async def test_what_a_device_only_repeats_is_marked(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            for happening in self.happenings:
                await unit.act(happening.act, **happening.details)
            async with self.listen(await bench.ready(unit, clock=HurriedClock())) as listener:
                await self.tell(unit, "first")
                await listener.until(lambda: listener.told(), "an event does not arrive")
                first = listener.news()[0]
                assert first.kind is EventKind.VENDOR, (
                    f"before anything happened, events() yields {first}: what a device says of its state to a new "
                    "subscriber has initial=True"
                )

    @on_a_loop
    async def test_a_flood_keeps_its_order(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            async with self.listen(await bench.ready(unit, clock=HurriedClock())) as listener:
                for start in range(0, self.flood, _BURST):
                    await self.tell(unit, *(str(number) for number in range(start, start + _BURST)))
                    expected = start + _BURST - _AHEAD
                    await listener.until(
                        lambda expected=expected: len(listener.told()) >= expected,
                        f"a flood comes to a halt: of {start + _BURST} events so far, {len(listener.told())} arrived",
                    )
                await listener.until(
                    lambda: len(listener.told()) >= self.flood,
                    f"of a flood of {self.flood} events the last do not arrive",
                )
                arrived = [int(text) for text in listener.told()]
                assert arrived == list(range(self.flood)), (
                    f"a flood of {self.flood} events arrives with gaps, twice, or in another order, first at "
                    f"{next(i for i, number in enumerate(arrived) if number != i)}"
                )
                assert listener.count(EventKind.RESYNC) == 1, "a flood costs the driver its subscription"

    # -- what the device forgets --------------------------------------------------------------------------------

    @on_a_loop
    async def test_it_listens_again_after_a_reboot(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            async with self.listen(await bench.ready(unit, clock=HurriedClock())) as listener:
                await self._heard(unit, listener, "before")
                await unit.reboot(0.2)
                await listener.resync(2)
                await self._heard(unit, listener, "after")
                self._once(listener, "a reboot")

    @on_a_loop
    async def test_it_notices_a_lost_subscription(self) -> None:
        self.needs(Capability.EVENTS)
        if self.traps:
            pytest.skip("nobody subscribes to traps")
        async with self.bench() as bench:
            unit = await bench.unit()
            async with self.listen(await bench.ready(unit, clock=HurriedClock())) as listener:
                await self._heard(unit, listener, "before")
                await unit.act_all([self.lose_subscriptions()])
                await listener.resync(2)
                await self._heard(unit, listener, "after")
                self._once(listener, "a lost subscription")

    async def _heard(self, unit: Unit, listener: Listener, text: str) -> None:
        await self.tell(unit, text)
        await listener.until(lambda: text in listener.told(), f"an event {text} the loss does not arrive")

    def _once(self, listener: Listener, what: str) -> None:
        assert listener.told() == ["before", "after"], f"over {what}, these arrive: {', '.join(listener.told())}"
        more = [one for one in listener.news() if one.kind is not EventKind.VENDOR and one.kind not in _OF_A_REBOOT]
        assert not more, (
            f"after {what}, events() yields {more[0]} as news: what a device repeats for a new subscription has "
            "initial=True"
        )
