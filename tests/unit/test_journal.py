"""What devices reported: kept in the store, read back, bounded, and handed to the outbox where a sink asks for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.journal import Journal
from bridge.model import Channel, Device, DeviceEvent, EventKind, Kind
from bridge.store.store import Store
from bridge.testing.clock import FakeClock

PANEL = Device("door-1", Kind.INTERCOM, "acme", "192.0.2.1", "Door 1", "house-12", channels=(Channel(vms={"id": 17}),))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path, FakeClock())
    yield store
    await store.close()


async def test_it_is_kept_over_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    store = await Store.open(tmp_path, clock)
    journal = Journal(store, clock)
    event = DeviceEvent(EventKind.ACCESS, "", source_time=5.5, topic="card", data={"by": "card", "granted": "true"})
    await journal.add(PANEL, event, None)
    await journal.add(PANEL, DeviceEvent(EventKind.DOOR, "", active=True, replayed=True), True)
    await store.close()
    store = await Store.open(tmp_path, clock)
    first, second = await Journal(store, clock).after(0)
    await store.close()
    assert (first.number, first.device, first.channel, first.kind, first.active) == (1, "door-1", "", "access", None)
    assert (first.source_time, first.topic, first.data) == (5.5, "card", {"by": "card", "granted": "true"})
    assert (second.active, second.replayed) == (True, True)


async def test_it_is_read_by_number_device_and_kind(store: Store) -> None:
    journal = Journal(store, FakeClock())
    other = Device("door-2", Kind.INTERCOM, "acme", "192.0.2.2")
    for device, kind in ((PANEL, EventKind.DOOR), (other, EventKind.DOOR), (PANEL, EventKind.CALL)):
        await journal.add(device, DeviceEvent(kind), None)
    assert [one.number for one in await journal.after(1)] == [2, 3]
    assert [one.number for one in await journal.after(0, 1)] == [1]
    assert [one.number for one in await journal.after(0, device="door-1")] == [1, 3]
    assert [one.number for one in await journal.after(0, kind="door")] == [1, 2]
    assert [one.number for one in await journal.after(0, kind="door", device="door-1")] == [1]


async def test_it_is_bounded_by_number_and_by_age(store: Store) -> None:
    clock = FakeClock()
    journal = Journal(store, clock)
    for _ in range(5):
        await journal.add(PANEL, DeviceEvent(EventKind.MOTION), True)
        await clock.advance(10)
    await journal.prune(max_rows=4, max_age=1000)
    assert [one.number for one in await journal.after(0)] == [2, 3, 4, 5]
    await journal.prune(max_rows=4, max_age=25)
    assert [one.number for one in await journal.after(0)] == [4, 5]
    await clock.advance(100)
    await journal.prune(max_rows=4, max_age=25)
    assert await journal.after(0) == []
    await journal.add(PANEL, DeviceEvent(EventKind.MOTION), True)
    assert [one.number for one in await journal.after(0)] == [6], "a number is never used twice"


async def test_only_what_a_sink_asks_for_goes_into_the_outbox(store: Store) -> None:
    journal = Journal(store, FakeClock(), frozenset({EventKind.DOOR}))
    await journal.add(PANEL, DeviceEvent(EventKind.MOTION, ""), True)
    await journal.add(PANEL, DeviceEvent(EventKind.DOOR, "", active=True, data={"state": "forced"}), True)
    (row,) = await store.outbox_after(0, 10)
    assert (row.device, row.type, row.event, row.channel) == ("door-1", "device_event", "door", "")
    told = json.loads(row.body)
    assert (told["number"], told["kind"], told["active"], told["vms_id"]) == (2, "door", True, 17)
    assert told["device"] == {"id": "door-1", "name": "Door 1", "kind": "intercom", "site": "house-12"}
    assert told["data"] == {"state": "forced"}
