"""Cameras that are set up in memory, and do with what is written to them what the test says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bridge.driver import Driver, DriverIO, ShortMemory
from bridge.errors import DeviceError, Unreachable
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import (
    Capability,
    Channel,
    Command,
    Credentials,
    Device,
    Identity,
    Kind,
    Policy,
    Reading,
    Result,
    Rung,
    Stream,
)
from bridge.pushes.labels import Labels
from bridge.runner import Runner, Surroundings
from bridge.secrets import Secret
from bridge.settings.engine import Configurator
from bridge.settings.limits import FLAG, Between, Limits, OneOf, Text, Texts
from bridge.settings.plan import Configuration, Step
from bridge.settings.templates import Template
from bridge.settings.vocabulary import Codec, Flat, Role, Settings, flatten, section_of, split, unflatten
from bridge.store import kept
from bridge.store.store import Store
from bridge.testing.clock import FakeClock
from tests.support import until

LIMITS = Limits(
    {
        "osd_time.enabled": FLAG,
        "osd_text.text": Text(40),
        "ntp.enabled": FLAG,
        "ntp.servers": Texts(3),
        "video_encoder_first.codec": OneOf((Codec.H264, Codec.H265)),
        "video_encoder_first.fps": Between(1, 25, 1),
        "video_encoder_first.bitrate": Between(64, 8192, 1),
        "users.*.role": OneOf(tuple(Role)),
        "users.*.password": Text(32, 4),
    }
)
BEFORE: Flat = {
    "osd_time.enabled": False,
    "osd_text.text": "",
    "ntp.enabled": False,
    "ntp.servers": ("192.0.2.1",),
    "video_encoder_first.codec": Codec.H264,
    "video_encoder_first.fps": 25.0,
    "video_encoder_first.bitrate": 4096,
    "users.admin.role": Role.ADMINISTRATOR,
}
Hook = Callable[["Camera", Step], None]


class NoConfig(BaseModel):
    pass


class Unit:
    """The device itself: what it is set to outlives the driver."""

    def __init__(self, name: str = "cam", values: Flat = BEFORE) -> None:
        self.values: dict[str, Any] = dict(values)
        self.passwords: dict[str, str] = {"admin": "pw"}
        self.identity = Identity("Acme", "C1", "1.0", f"SN-{name}", capabilities=Camera.capabilities)
        self.away: DeviceError | None = None
        self.hooks: list[Hook] = []  # one for each write that is to come; what is left is taken as it is
        self.always: Hook | None = None
        self.reboots_for: set[str] = set()
        self.writes = self.reads = self.reboots = 0
        self.streams: Any = (Stream("high", True),)

    def take(self, step: Step) -> None:
        """As a well-behaved device does."""
        for path, value in flatten(step.after).items():
            section, name, leaf = split(path)
            if leaf == "absent":
                for one in [one for one in self.values if split(one)[:2] == (section, name)]:
                    del self.values[one]
            elif isinstance(value, Secret):
                self.passwords[name] = value.reveal()
            elif path in step.paths:
                self.values[path] = value


class Camera(Driver[NoConfig]):
    name = "scripted"
    kinds = frozenset({Kind.CAMERA})
    capabilities = frozenset({Capability.STREAMS, Capability.SETTINGS, Capability.REBOOT})
    Config = NoConfig

    def __init__(self, device: Device, config: NoConfig, io: DriverIO, unit: Unit | None = None) -> None:
        super().__init__(device, config, io)
        self.unit = unit or Unit()

    def _there(self) -> None:
        if self.unit.away is not None:
            raise self.unit.away

    async def probe(self) -> Identity:
        self._there()
        return self.unit.identity

    async def poll(self) -> Reading:
        self._there()
        return Reading(Rung.READY, {"": self.unit.streams})

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        await asyncio.sleep(0)
        self._there()
        self.unit.reads += 1
        values = {path: value for path, value in self.unit.values.items() if section_of(path) in sections}
        return Configuration(unflatten(values), LIMITS)

    async def apply(self, channel: Channel, step: Step) -> bool:
        await asyncio.sleep(0)
        self._there()
        self.unit.writes += 1
        hook = self.unit.hooks.pop(0) if self.unit.hooks else self.unit.always
        if hook is None:
            self.unit.take(step)
        else:
            hook(self, step)
        return step.section in self.unit.reboots_for

    async def command(self, command: Command) -> Result:
        self.unit.reboots += 1
        return Result()


def template(number: int = 12, settings: Mapping[str, Any] | None = None, **fields: Any) -> Template:
    said = {"video_encoder_first": {"fps": 10}, "osd_time": {"enabled": True}} if settings is None else settings
    return replace(Template(number, f"T{number}", Settings.model_validate(said), fingerprint=str(said)), **fields)


class World:
    """A store, a clock, cameras with runners, and the engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.units: dict[str, Unit] = {}
        self.runners: dict[str, Runner] = {}
        self.templates: dict[int, Template] = {}

    async def open(self) -> None:
        self.store = await Store.open(self.folder, self.clock)
        journal = Journal(self.store, self.clock)
        self.around = Surroundings(self.store, journal, Labels("en"), self.metrics, self.clock, random.Random(1))
        self.engine = Configurator(
            self.store,
            runners=lambda: self.runners,
            templates=lambda: self.templates,
            metrics=self.metrics,
            clock=self.clock,
        )
        self.around.identified = self.engine.identified
        await self.engine.open()

    async def close(self) -> None:
        await self.engine.stop()
        await asyncio.gather(*(runner.stop() for runner in self.runners.values()))
        self.runners.clear()
        await self.store.close()

    async def restart(self) -> None:
        """As after a crash: nothing is brought to its end."""
        names = list(self.runners)
        await self.close()
        await self.open()
        for name in names:
            await self.add(name)
        await self.engine.resume()

    async def add(self, name: str = "cam", unit: Unit | None = None, *, ready: bool = True, **fields: Any) -> Unit:
        unit = self.units.setdefault(name, unit or Unit(name))
        channel = Channel(vms={"id": 400 + len(self.runners)})
        device = Device(
            name, Kind.CAMERA, "scripted", "192.0.2.1", credentials=Credentials("admin", Secret("pw")),
            channels=(channel,), policy=Policy(poll=30, offline_failures=2, offline_after=10), **fields,
        )  # fmt: skip
        io = DriverIO(device_id=name, http=None, clock=self.clock, random=random.Random(1), memory=ShortMemory())  # type: ignore[arg-type]
        known, _ = await self.store.knowledge()
        runner = Runner(
            device, Camera(device, NoConfig(), io, unit), self.around, kept.restore(device, known.get(name, {}))
        )
        self.runners[name] = runner
        runner.start()
        if ready:
            await until(lambda: runner.state.facts is not None and runner.state.reach.reach == "online")
            await until(lambda: runner.state.cameras[""].status.announced == "active")
        return unit

    async def pass_until(self, condition: Callable[[], Any], *, within: float = 2000.0, step: float = 1.0) -> None:
        """Move time on until a condition holds."""
        passed = 0.0
        while True:
            try:
                await until(condition, limit=0.02)
                return
            except AssertionError:
                assert passed < within, f"not within {within:g} s"
            await self.clock.advance(step)
            passed += step

    async def finish(self, job: int, *, step: float = 1.0) -> str:
        """Until the job has ended; returns its state."""

        async def ended() -> bool:
            found = await self.engine.records.job(job)
            return found is not None and found.ended_at is not None

        await self.pass_until(ended, step=step)
        found = await self.engine.records.job(job)
        assert found is not None
        return found.state

    async def pushes(self) -> list[tuple[int, str, str | None]]:
        """Camera id, status and reason of every camera_config_apply so far."""
        import json

        rows = [json.loads(row.body)["data"] for row in await self.store.outbox_after(0, 10_000)]
        return [
            (row["data"]["camera"]["id"], row["status"], row["data"]["reason"])
            for row in rows
            if row["type"] == "camera_config_apply"
        ]


AWAY = Unreachable("no connection: Connection refused")
