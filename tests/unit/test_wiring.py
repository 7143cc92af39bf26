"""Cameras behind a switch: what its ports say about them, silence when it is down, and the remedy carried out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bridge.clock import Instant
from bridge.driver import Driver, DriverIO, ShortMemory
from bridge.errors import Rejected, Unreachable
from bridge.journal import Entry, Journal
from bridge.metrics import Metrics
from bridge.model import (
    CameraStatus,
    Capability,
    Channel,
    Command,
    Device,
    DeviceEvent,
    EventKind,
    Identity,
    Kind,
    Policy,
    Port,
    PowerCycle,
    Reading,
    Result,
    Rung,
    ServerSample,
    Stream,
    Uplink,
)
from bridge.pushes.labels import Labels
from bridge.runner import Runner, Surroundings
from bridge.state import device as device_state
from bridge.state.reachability import Reach, Way
from bridge.store import kept
from bridge.store.store import Store
from bridge.testing.clock import FakeClock
from bridge.wiring import Wiring
from tests.support import until

POLICY = Policy(poll=30.0, offline_failures=3, offline_after=30.0)
UP = Port(link=True, power="delivering")
DOWN = Port(link=False, power="searching")


class Empty(BaseModel):
    pass


class Fake(Driver[Empty]):
    name = "fake"
    kinds = frozenset({Kind.CAMERA, Kind.SWITCH, Kind.SERVER})
    capabilities = frozenset({Capability.STREAMS, Capability.EVENTS, Capability.POWER_CYCLE})
    Config = Empty

    def __init__(self, device: Device, config: Empty, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self.alive = True
        self.polls = 0
        self.ports: dict[int, Port] = {}
        self.samples: tuple[ServerSample, ...] = ()
        self.commands: list[Command] = []
        self.refuses = False
        self.said: asyncio.Queue[DeviceEvent] = asyncio.Queue()

    async def probe(self) -> Identity:
        return Identity("Acme", "X", capabilities=self.capabilities)

    async def poll(self) -> Reading:
        self.polls += 1
        if not self.alive:
            raise Unreachable("no answer")
        streams = {one.key: (Stream("high", True),) for one in self.device.channels}
        return Reading(Rung.READY, streams, ports=dict(self.ports), samples=self.samples)

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while True:
            yield await self.said.get()

    async def command(self, command: Command) -> Result:
        self.commands.append(command)
        if self.refuses:
            raise Rejected("read-only")
        return Result("done")


class Site:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = FakeClock()
        self.runners: dict[str, Runner] = {}
        self.drivers: dict[str, Fake] = {}

    async def open(self) -> None:
        self.store = await Store.open(self.directory, self.clock)
        self.journal = Journal(self.store, self.clock)
        self.metrics = Metrics()
        self.around = Surroundings(self.store, self.journal, Labels("en"), self.metrics, self.clock, random.Random(1))
        self.wiring = self.around.wiring = Wiring(lambda: self.runners, self.store, self.journal, self.clock)

    async def close(self) -> None:
        await self.wiring.close()
        await asyncio.gather(*(runner.stop() for runner in self.runners.values()))
        await self.store.close()

    def device(self, name: str, kind: Kind, uplink: Uplink | None = None) -> Device:
        channels = () if kind is not Kind.CAMERA else (Channel(vms={"id": len(self.runners) + 1}),)
        return Device(name, kind, "fake", "192.0.2.1", channels=channels, policy=POLICY, uplink=uplink, config=Empty())

    async def add(self, *devices: Device) -> None:
        known, _ = await self.store.knowledge()
        for one in devices:
            http: Any = None
            io = DriverIO(device_id=one.id, http=http, clock=self.clock, random=random.Random(1), memory=ShortMemory())
            self.drivers[one.id] = Fake(one, Empty(), io)
            self.runners[one.id] = Runner(
                one, self.drivers[one.id], self.around, kept.restore(one, known.get(one.id, {}))
            )
        self.wiring.rewire([runner.device for runner in self.runners.values()], known)

    async def start(self) -> None:
        for runner in self.runners.values():
            runner.start()
        await until(lambda: all(one.state.reach.reach is Reach.ONLINE for one in self.runners.values()))

    async def pass_by(self, seconds: float) -> None:
        """Let time pass in small steps, each until everything has settled."""
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)
            await until(lambda: self.store.waiting == 0)
            for _ in range(20):
                await asyncio.sleep(0)
        await asyncio.sleep(0.02)

    def reach(self, name: str) -> Reach:
        return self.runners[name].state.reach.reach

    def status(self, name: str) -> CameraStatus:
        return self.runners[name].state.cameras[""].status.announced

    async def noted(self) -> list[Entry]:
        return [one for one in await self.journal.after(0) if one.topic.startswith("bridge/")]

    async def pushes(self) -> list[str]:
        return [row.type for row in await self.store.outbox_after(0, 1000)]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    one = Site(tmp_path)
    await one.open()
    yield one
    await one.close()


async def two_cameras(site: Site, remedy: PowerCycle | None = None) -> tuple[Fake, Fake, Fake]:
    await site.add(
        site.device("switch", Kind.SWITCH),
        site.device("cam-1", Kind.CAMERA, Uplink("switch", 1, remedy)),
        site.device("cam-2", Kind.CAMERA, Uplink("switch", 2, remedy)),
    )
    switch, first, second = site.drivers.values()
    switch.ports = {1: UP, 2: UP}
    await site.start()
    await until(lambda: site.status("cam-1") is CameraStatus.ACTIVE and site.status("cam-2") is CameraStatus.ACTIVE)
    return switch, first, second


async def test_a_link_that_goes_down_is_told_at_once(site: Site) -> None:
    switch, first, _ = await two_cameras(site)
    first.alive, switch.ports[1] = False, DOWN
    site.runners["switch"].poll_soon()
    await until(lambda: site.clock.sleeping)
    await site.pass_by(2)
    assert site.reach("cam-1") is Reach.OFFLINE
    assert site.status("cam-1") is CameraStatus.INACTIVE
    assert site.runners["cam-1"].state.health.detail == "switch port down"
    assert site.status("cam-2") is CameraStatus.ACTIVE
    first.alive, switch.ports[1] = True, UP
    site.runners["switch"].poll_soon()
    await site.pass_by(3)
    assert site.status("cam-1") is CameraStatus.ACTIVE


def test_the_switch_s_last_word_stands_until_it_says_another() -> None:
    camera = Device("cam", Kind.CAMERA, "fake", "192.0.2.1", policy=POLICY)
    gone, _ = device_state.unplugged(device_state.new(camera), camera, Instant(1.0, 1.0))
    for way, detail in (
        (Way.DOUBT, "switch port down"),
        (Way.PORT_DOWN, "switch port down"),
        (Way.OPEN, "no answer"),
    ):
        after, _ = device_state.failed(gone, camera, Unreachable("no answer"), Instant(2.0, 2.0), way)
        assert after.health.detail == detail


async def test_a_camera_that_answers_wins_over_a_wrong_map(site: Site) -> None:
    switch, _, _ = await two_cameras(site)
    switch.ports[1] = DOWN
    site.runners["switch"].poll_soon()
    await site.pass_by(120)
    assert site.status("cam-1") is CameraStatus.ACTIVE


async def test_a_switch_that_is_down_is_said_once_and_its_cameras_are_unknown(site: Site) -> None:
    switch, first, second = await two_cameras(site)
    before = await site.pushes()
    switch.alive = first.alive = second.alive = False
    await site.pass_by(300)
    assert site.reach("switch") is Reach.OFFLINE
    assert {site.reach("cam-1"), site.reach("cam-2")} == {Reach.UNKNOWN}
    assert {site.status("cam-1"), site.status("cam-2")} == {CameraStatus.ACTIVE}
    assert await site.pushes() == before
    noted = await site.noted()
    assert [(one.device, one.topic, one.active, one.data["count"]) for one in noted] == [
        ("switch", "bridge/switch_down", True, "2")
    ]
    switch.alive = first.alive = True
    await site.pass_by(120)
    assert (site.reach("cam-1"), site.reach("cam-2")) == (Reach.ONLINE, Reach.OFFLINE)
    assert (site.status("cam-1"), site.status("cam-2")) == (CameraStatus.ACTIVE, CameraStatus.INACTIVE)
    assert [one.active for one in await site.noted()] == [True, False]


async def test_a_camera_alone_goes_offline_as_without_a_switch(site: Site) -> None:
    _, first, _ = await two_cameras(site)
    first.alive = False
    await site.pass_by(90)
    assert site.status("cam-1") is CameraStatus.INACTIVE
    assert site.runners["cam-1"].state.health.kind == "unreachable"


async def test_the_remedy_is_tried_as_often_as_allowed(site: Site) -> None:
    switch, first, _ = await two_cameras(site, PowerCycle(after=120.0, per_day=2))
    first.alive = False
    await site.pass_by(100)
    assert switch.commands == []
    await site.pass_by(800)
    assert [one.arguments for one in switch.commands] == [{"port": 1}, {"port": 1}]
    assert [(one.device, one.data["outcome"]) for one in await site.noted()] == [("cam-1", "ok"), ("cam-1", "ok")]


async def test_a_restart_remembers_what_was_tried(site: Site) -> None:
    switch, first, _ = await two_cameras(site, PowerCycle(after=120.0, per_day=1))
    first.alive, switch.refuses = False, True
    await site.pass_by(400)
    assert len(switch.commands) == 1
    assert [one.data["outcome"] for one in await site.noted()] == ["read-only"]
    known, _ = await site.store.knowledge()
    site.wiring = site.around.wiring = Wiring(lambda: site.runners, site.store, site.journal, site.clock)
    site.wiring.rewire([runner.device for runner in site.runners.values()], known)
    site.runners["switch"].poll_soon()
    await site.pass_by(400)
    assert len(switch.commands) == 1


async def test_two_cameras_on_one_port_are_cycled_once_and_only_when_both_are_away(site: Site) -> None:
    remedy = PowerCycle(after=120.0, per_day=1)
    await site.add(
        site.device("switch", Kind.SWITCH),
        site.device("cam-1", Kind.CAMERA, Uplink("switch", 1, remedy)),
        site.device("cam-2", Kind.CAMERA, Uplink("switch", 1, remedy)),
    )
    switch, first, second = site.drivers.values()
    switch.ports = {1: UP}
    await site.start()
    first.alive = False
    await site.pass_by(400)
    assert switch.commands == []
    second.alive = False
    await site.pass_by(400)
    assert len(switch.commands) == 1


async def test_each_sample_is_one_push_and_a_restart_repeats_none(site: Site) -> None:
    await site.add(site.device("server", Kind.SERVER))
    site.drivers["server"].samples = (ServerSample("192.0.2.5", 4, 37.5, 30.0, None, 1000, 600, 300),)
    await site.start()
    await until(lambda: site.store.last_seq == 1)
    await site.pass_by(60)
    rows = await site.store.outbox_after(0, 10)
    assert len(rows) == site.drivers["server"].polls
    assert (rows[0].event, rows[0].channel) == ("App\\Events\\AdminStatPush", "admin.analytic-servers-index")
    assert rows[0].body == (
        '{"data":{"cpu":{"cpu_count":4,"cpu_loadavg_percent_15min":null,"cpu_loadavg_percent_1min":37.5,'
        '"cpu_loadavg_percent_5min":30},"ipaddress":"192.0.2.5","memory":{"available_memory":600,"total_memory":1000,'
        '"used_memory":300,"used_percent_memory":40}},"subject":"server_stats","message":null}'
    )
    last = site.store.last_seq
    await site.runners["server"].stop()
    await site.store.close()
    await site.open()
    await site.add(site.runners["server"].device)
    await site.start()
    await site.pass_by(40)
    assert site.drivers["server"].polls >= 2
    assert site.store.last_seq == last


async def test_a_hint_is_recorded_polled_after_and_never_believed(site: Site) -> None:
    await site.add(site.device("cam", Kind.CAMERA))
    (cam,) = site.drivers.values()
    await site.start()
    await until(lambda: site.runners["cam"].listening)
    await site.pass_by(5)
    before = cam.polls
    for _ in range(50):
        cam.said.put_nowait(DeviceEvent(EventKind.SIGNAL_LOSS, "", active=True, topic="trap", hint=True))
    await site.pass_by(3)
    assert cam.polls - before in (1, 2)  # coalesced
    assert site.status("cam") is CameraStatus.ACTIVE
    assert [one.topic for one in await site.journal.after(0)] == ["trap"]
    cam.alive = False
    await site.pass_by(90)
    assert site.reach("cam") is Reach.OFFLINE
    cam.said.put_nowait(DeviceEvent(EventKind.SYSTEM, topic="trap", hint=True))
    await site.pass_by(3)
    assert site.reach("cam") is Reach.OFFLINE
