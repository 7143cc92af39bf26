"""Events on their way from a panel's listeners to events(): in order, once, never too many, history marked."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.driver import DriverIO, ShortMemory
from bridge.model import DeviceEvent, EventKind
from bridge.testing.clock import FakeClock
from drivers.transports.inbox import REMEMBERED, Inbox

NOW = 1_700_000_000.0


def inbox(clock: FakeClock, **options: float) -> Inbox:
    io = DriverIO(
        device_id="p",
        http=None,  # type: ignore[arg-type]
        clock=clock,
        random=random.Random(1),
        memory=ShortMemory(),
    )
    return Inbox(io, **options)  # type: ignore[arg-type]


def event(topic: str = "x", at: float | None = None) -> DeviceEvent:
    return DeviceEvent(EventKind.VENDOR, topic=topic, source_time=at)


async def all_of(box: Inbox) -> list[DeviceEvent]:
    found = []
    while len(box) and (one := await box.get(0.0)) is not None:
        found.append(one)
    return found


async def test_what_is_told_again_comes_once() -> None:
    box = inbox(FakeClock())
    for topic, key in (("a", "1"), ("b", "2"), ("a", "1"), ("no key", None), ("no key", None)):
        box.put(event(topic), key)
    assert [one.topic for one in await all_of(box)] == ["a", "b", "no key", "no key"]
    assert box.repeated == 1


async def test_what_is_old_is_marked_by_the_device_s_own_clock() -> None:
    box = inbox(FakeClock(wall=NOW), fresh=60.0)
    box.offset = 3600.0  # the device is an hour ahead
    for at in (NOW + 3600, NOW + 3600 - 59, NOW + 3600 - 61, NOW + 7200, None):
        box.put(event(at=at))
    assert [one.replayed for one in await all_of(box)] == [False, False, True, False, False]
    assert box.late == 1


async def test_it_has_a_bound_and_what_does_not_fit_may_come_again() -> None:
    box = inbox(FakeClock(), bound=2)
    box.put(event("a"), "a")
    box.put(event("b"), "b")
    with pytest.raises(asyncio.QueueFull):
        box.put(event("c"), "c")
    await box.get(0.0)
    box.put(event("c"), "c")
    assert [one.topic for one in await all_of(box)] == ["b", "c"]


async def test_whoever_waits_is_woken_or_told_that_nothing_came() -> None:
    clock = FakeClock()
    box = inbox(clock)
    waiting = asyncio.ensure_future(box.get(10.0))
    await clock.advance(5)
    assert not waiting.done()
    box.put(event("late"))
    await clock.advance(0)
    assert (await waiting) == event("late")
    waiting = asyncio.ensure_future(box.get(10.0))
    await clock.advance(10)
    assert await waiting is None


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200))
def test_it_is_a_queue_without_repetitions(actions: list[tuple[int, bool]]) -> None:
    async def run() -> None:
        box, model, seen = inbox(FakeClock(), bound=10), deque[str](), set[str]()
        for number, take in actions:
            key = str(number)
            if take:
                if model:
                    got = await box.get(0.0)
                    assert got is not None
                    assert got.topic == model.popleft()
            elif key not in seen and len(model) < 10:
                box.put(event(key), key)
                seen.add(key)
                model.append(key)
            elif key in seen:
                box.put(event(key), key)
            assert len(box) == len(model)

    asyncio.run(run())


async def test_it_remembers_a_bounded_number_of_keys() -> None:
    box = inbox(FakeClock(), bound=10_000)
    for number in range(REMEMBERED + 1):
        box.put(event(), str(number))
    box.put(event(), "1")
    assert box.repeated == 1
    box.put(event(), "0")
    assert box.repeated == 1, "that was forgotten"
