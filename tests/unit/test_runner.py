"""One device's life, with a driver that does what the test says, a clock that stands still and a real store."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bridge import mailbox
from bridge.driver import Driver, DriverIO, ShortMemory
from bridge.errors import AuthFailed, ProtocolError, Throttled, Unreachable, Unsupported
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import (
    Capability,
    Channel,
    Device,
    DeviceEvent,
    EventKind,
    Identity,
    Kind,
    Policy,
    Reading,
    Rung,
    Stream,
)
from bridge.pushes.labels import Labels
from bridge.runner import Runner, Surroundings
from bridge.state.reachability import Reach
from bridge.store import kept
from bridge.store.store import Store
from bridge.store.writer import StoreError
from bridge.testing.clock import FakeClock
from tests.support import until

UP, DOWN = Reading(Rung.READY, {"": (Stream("high", True),)}), Reading(Rung.READY, {"": (Stream("high", False),)})
POLICY = Policy(poll=30.0, offline_failures=3, offline_after=30.0, auth_retry=600.0)


class NoConfig(BaseModel):
    pass


class Scripted(Driver[NoConfig]):
    """Answers polls with `answer`, and reports what is put into `said`."""

    name = "scripted"
    kinds = frozenset({Kind.CAMERA, Kind.INTERCOM})
    capabilities = frozenset({Capability.STREAMS, Capability.EVENTS})
    Config = NoConfig

    def __init__(self, device: Device, config: NoConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self.answer: Reading | BaseException = UP
        self.identity = Identity("Acme", "C1", "1.0", "SN1", capabilities=self.capabilities)
        self.polls = self.probes = self.streams = self.closed = 0
        self.said: asyncio.Queue[DeviceEvent | BaseException] = asyncio.Queue()

    async def close(self) -> None:
        self.closed += 1

    async def probe(self) -> Identity:
        self.probes += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.identity

    async def poll(self) -> Reading:
        self.polls += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    async def events(self) -> AsyncIterator[DeviceEvent]:
        self.streams += 1
        while True:
            one = await self.said.get()
            if isinstance(one, BaseException):
                raise one
            yield one


class World:
    """A store, a clock, and runners on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.runners: list[Runner] = []

    async def open(self) -> None:
        self.store = await Store.open(self.directory, self.clock)
        self.journal = Journal(self.store, self.clock)
        self.around = Surroundings(self.store, self.journal, Labels("en"), self.metrics, self.clock, random.Random(1))

    async def close(self) -> None:
        await asyncio.gather(*(runner.stop() for runner in self.runners))
        await self.store.close()

    async def add(
        self, name: str = "cam", kind: Kind = Kind.CAMERA, address: str = "192.0.2.1", policy: Policy = POLICY
    ) -> tuple[Runner, Scripted]:
        number = len(self.runners) + 1
        device = Device(
            name, kind, "scripted", address, channels=(Channel(vms={"id": number}),), policy=policy, config=NoConfig()
        )
        http: Any = None
        io = DriverIO(device_id=name, http=http, clock=self.clock, random=random.Random(1), memory=ShortMemory())
        driver = Scripted(device, NoConfig(), io)
        known, _ = await self.store.knowledge()
        runner = Runner(device, driver, self.around, kept.restore(device, known.get(name, {})))
        self.runners.append(runner)
        return runner, driver

    async def told(self) -> list[str]:
        """The statuses pushed so far."""
        rows = await self.store.outbox_after(0, 1000)
        told = [json.loads(row.body)["data"]["data"] for row in rows]
        return [one.get("camera", one)["status"] for one in told]

    async def step(self, seconds: float, driver: Scripted | None = None) -> None:
        """Let time pass once everything is waiting for it; then until the driver was polled by it."""
        before = driver.polls + driver.probes if driver else 0
        await until(lambda: self.clock.sleeping)
        await self.clock.advance(seconds)
        if driver:
            await until(lambda: driver.polls + driver.probes > before)
        await until(lambda: self.store.waiting == 0)
        await asyncio.sleep(0.01)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    one = World(tmp_path)
    await one.open()
    yield one
    await one.close()


async def test_a_first_answer_is_told_once(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.polls == 1)
    await world.step(33, driver)
    await world.step(33, driver)
    assert await world.told() == ["active"]
    assert driver.probes == 1


async def test_a_restart_tells_nothing_again_and_a_difference_once(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: world.store.last_seq == 1)
    await runner.stop()
    await world.store.close()

    await world.open()
    again, driver = await world.add()
    assert again.state.reach.reach is Reach.ONLINE
    again.start()
    await until(lambda: driver.polls == 1)
    await world.step(33, driver)
    assert await world.told() == ["active"]
    driver.answer = DOWN
    await world.step(33, driver)
    await world.step(3, driver)
    assert await world.told() == ["active", "inactive"]


async def test_offline_after_failures_and_silence_and_back(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: world.store.last_seq == 1)
    driver.answer = Unreachable("no connection: Connection refused")
    while runner.state.reach.failures == 0:
        await world.step(1)
    began = world.clock.now().mono
    while runner.state.reach.reach is not Reach.OFFLINE:
        await world.step(1)
        assert world.clock.now().mono - began < 60
    assert world.clock.now().mono - began >= 29, "three quick failures are not silence"
    assert await world.told() == ["active", "inactive"]
    assert runner.state.health.detail == "no connection: Connection refused"
    driver.answer = UP
    while driver.probes == 1:
        await world.step(5)
    await until(lambda: world.store.last_seq == 3)
    assert await world.told() == ["active", "inactive", "active"]
    assert runner.state.health.kind == ""


async def test_a_wrong_password_is_tried_once_and_then_left_alone(world: World) -> None:
    runner, driver = await world.add("panel", Kind.INTERCOM)
    driver.answer = AuthFailed("it refuses the credentials")
    runner.start()
    await until(lambda: driver.probes == 1)
    await world.step(500)
    assert driver.probes + driver.polls == 1
    assert driver.streams == 0, "what cannot log in is not listened to"
    assert await world.told() == ["inactive"], "it answers and is not authorised"
    driver.answer = UP
    await world.step(200, driver)
    await until(lambda: world.store.last_seq == 2)
    assert await world.told() == ["inactive", "active"]


async def test_a_throttling_device_is_obeyed(world: World) -> None:
    runner, driver = await world.add()
    driver.answer = Throttled("too many requests", 120.0)
    runner.start()
    await until(lambda: driver.probes == 1)
    await world.step(115)
    assert driver.probes == 1
    await world.step(20, driver)
    assert driver.probes == 2


async def test_a_bug_in_a_driver_is_that_device_s_trouble(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, bad = await world.add("bad")
    sound, good = await world.add("good")
    bad.answer = KeyError("oops")
    broken.start()
    sound.start()
    for _ in range(4):
        await world.step(40)
    await until(lambda: good.polls >= 4)
    assert broken.state.health.kind == "fault"
    assert sound.state.reach.reach is Reach.ONLINE
    assert capsys.readouterr().out.count("Traceback") == 1, "one stack trace for each place, not for each poll"


async def test_a_lost_picture_is_told_at_once_and_a_poll_follows(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.streams == 1)
    driver.said.put_nowait(DeviceEvent(EventKind.SIGNAL_LOSS, channel="", active=True))
    await until(lambda: world.store.last_seq == 2)
    driver.said.put_nowait(DeviceEvent(EventKind.SIGNAL_LOSS, channel="", active=False))
    await until(lambda: world.store.last_seq == 3)
    assert await world.told() == ["active", "inactive", "active"]
    await world.step(1.5)
    assert driver.polls >= 2


async def test_an_event_is_a_sign_of_life(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.streams == 1)
    driver.answer = Unreachable("gone")
    while runner.state.reach.failures < 4:
        await world.step(2)
    assert runner.state.reach.reach is Reach.SUSPECT
    driver.said.put_nowait(DeviceEvent(EventKind.MOTION, channel="", active=True))
    await until(lambda: runner.state.reach.failures <= 1, what="counting starts anew")


async def test_motion_is_noted_at_its_edges_and_ends_itself(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.streams == 1)
    for _ in range(3):
        driver.said.put_nowait(DeviceEvent(EventKind.MOTION, channel="", source="V1", active=True))
    driver.said.put_nowait(DeviceEvent(EventKind.VENDOR, topic="Acme/Odd", data={"x": "1"}))
    await until(lambda: world.journal.written == 2)
    for _ in range(4):
        await world.step(31)
    entries = [(one.kind, one.active, one.reason) for one in await world.journal.after(0)]
    assert entries == [("motion", True, "event"), ("vendor", None, "event"), ("motion", False, "timeout")]
    assert await world.told() == ["active"], "motion is no status"


async def test_a_device_that_makes_up_sources_fills_no_memory(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.streams == 1)
    for number in range(1000):
        driver.said.put_nowait(DeviceEvent(EventKind.INPUT, source=str(number), active=True))
    await until(lambda: driver.said.empty())
    assert len(runner.conditions) == 256
    dropped = world.metrics.events_dropped.labels("alarms")._value.get()
    assert dropped == 1000 - 256


async def test_a_broken_event_stream_is_opened_again_later_and_later(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    opened: list[float] = []
    for number in range(1, 8):
        while driver.streams < number:
            await world.step(0.5)
        opened.append(world.clock.now().mono)
        driver.said.put_nowait(ProtocolError("its subscriptions vanish as soon as they are made"))
    gaps = [b - a for a, b in itertools.pairwise(opened)]
    assert gaps[0] <= 2.5
    assert gaps[-1] >= 15, gaps
    assert all(later > sooner * 0.9 for sooner, later in itertools.pairwise(gaps)), gaps


async def test_a_device_without_events_is_asked_once(world: World) -> None:
    runner, driver = await world.add()
    driver.said.put_nowait(Unsupported("it has no pull points"))
    runner.start()
    await until(lambda: driver.streams == 1)
    for _ in range(5):
        await world.step(40, driver)
    assert driver.streams == 1


async def test_a_unit_whose_probe_finds_no_events_is_not_listened_to(world: World) -> None:
    runner, driver = await world.add()
    driver.identity = Identity("Acme", "C1", capabilities=frozenset({Capability.STREAMS}))
    runner.start()
    await until(lambda: driver.polls == 1)
    await world.step(40, driver)
    assert driver.streams == 0


async def test_a_panel_without_an_address_is_not_set_up(world: World) -> None:
    runner, driver = await world.add("panel", Kind.INTERCOM, address="")
    runner.start()
    await until(lambda: world.store.last_seq == 1)
    assert await world.told() == ["empty"]
    assert driver.probes == driver.polls == 0


async def test_worse_news_of_a_poll_is_looked_at_again_soon(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.polls == 1)
    driver.answer = DOWN
    await world.step(33, driver)
    assert await world.told() == ["active"]
    await world.step(2.5, driver)
    assert await world.told() == ["active", "inactive"]


async def test_a_store_that_takes_nothing_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commit: Callable[..., Awaitable[None]] = world.store.commit
    refusals = 3

    async def full(*arguments: Any) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise StoreError("database or disk is full")
        await commit(*arguments)

    monkeypatch.setattr(world.store, "commit", full)
    runner, _ = await world.add()
    runner.start()
    while world.store.last_seq == 0:
        await world.step(2)
    assert await world.told() == ["active"]
    assert world.metrics.store_errors._value.get() == 3


async def test_stop_ends_everything_and_closes_the_driver(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.streams == 1)
    tasks = set(runner._tasks)
    await runner.stop()
    assert driver.closed == 1
    assert all(task.done() for task in tasks)


async def test_another_device_behind_the_same_entry_is_noticed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.streams == 1)
    driver.identity = Identity("Acme", "C2", "1.0", "SN2", capabilities=driver.capabilities)
    driver.said.put_nowait(DeviceEvent(EventKind.REBOOT))
    while driver.probes == 1:
        await world.step(1)
    await until(lambda: runner.state.identity is not None and runner.state.identity.serial == "SN2")
    assert "another device answers" in capsys.readouterr().out


async def test_one_command_at_a_time_and_not_too_many(world: World) -> None:
    runner, driver = await world.add()
    with pytest.raises(Unreachable, match="only just started"):
        async with runner.mailbox.exclusive():
            pass
    runner.start()
    await until(lambda: driver.polls)
    order: list[int] = []
    release = asyncio.Event()

    async def command(number: int) -> None:
        async with runner.mailbox.exclusive() as given:
            assert given is driver
            order.append(number)
            await release.wait()

    tasks = [asyncio.create_task(command(number)) for number in range(1 + mailbox.WAITING)]
    await until(lambda: order == [0])
    with pytest.raises(Throttled, match="too many commands wait"):
        async with runner.mailbox.exclusive():
            pass
    tasks[3].cancel()  # whoever gives up waiting leaves its place
    await asyncio.gather(tasks[3], return_exceptions=True)
    release.set()
    await asyncio.gather(*tasks[:3], *tasks[4:])
    assert order == [0, 1, 2, *range(4, 1 + mailbox.WAITING)]
    async with runner.mailbox.exclusive():
        pass


async def test_what_a_device_replays_goes_into_the_record_and_moves_nothing(world: World) -> None:
    runner, driver = await world.add()
    runner.start()
    await until(lambda: driver.streams == 1)
    probes = driver.probes
    driver.said.put_nowait(DeviceEvent(EventKind.REBOOT, replayed=True))
    driver.said.put_nowait(DeviceEvent(EventKind.SIGNAL_LOSS, channel="", active=True, replayed=True))
    driver.said.put_nowait(DeviceEvent(EventKind.DOOR, channel="", active=True, replayed=True))
    await until(lambda: world.journal.written == 3)
    assert [(one.kind, one.replayed) for one in await world.journal.after(0)] == [
        ("reboot", True), ("signal_loss", True), ("door", True)
    ]  # fmt: skip
    await world.step(31)
    assert driver.probes == probes
    assert await world.told() == ["active"]
