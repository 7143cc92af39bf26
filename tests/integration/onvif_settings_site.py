"""Simulated ONVIF cameras, the real driver, runners and the engine of templates: all but the inventory and the API."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from bridge.driver import DriverIO
from bridge.jobs.records import Initiator
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import Channel, Credentials, Device, Kind, Policy
from bridge.pushes.labels import Labels
from bridge.runner import Runner, Surroundings
from bridge.secrets import Secret
from bridge.settings.engine import Configurator
from bridge.settings.selection import Selection
from bridge.settings.templates import Template
from bridge.settings.vocabulary import SECTIONS, Settings, Value, flatten
from bridge.state import device as states
from bridge.store.store import Store
from bridge.supervisor import _Memory, http_session
from drivers.onvif.config import OnvifConfig
from drivers.onvif.driver import OnvifDriver
from drivers.onvif.simulator import OnvifSimulator
from tests.integration.onvif_rig import PASSWORD, HastyClock
from tests.support import until

ALL, ME = Selection(), Initiator(user_id=13)


class Site:
    def __init__(self, store: Store, http: aiohttp.ClientSession, clock: HastyClock) -> None:
        self.store = store
        self.clock = clock
        self.templates: dict[int, Template] = {}
        self.runners: dict[str, Runner] = {}
        self.simulators: dict[str, OnvifSimulator] = {}
        self._http = http
        metrics = Metrics()
        self.engine = Configurator(
            store, runners=lambda: self.runners, templates=lambda: self.templates, metrics=metrics, clock=clock
        )
        self.around = Surroundings(
            store, Journal(store, clock), Labels("en"), metrics, clock, random.Random(1), self.engine.identified
        )

    async def add(self, name: str = "cam", **traits: Any) -> OnvifSimulator:
        """One more camera, once the bridge knows that it is well."""
        simulator = self.simulators[name] = OnvifSimulator(name, **{"seed": len(self.simulators), **traits})
        await simulator.start()
        channels = tuple(Channel(key=f"c{n}" if traits.get("channels", 1) > 1 else "", source=source.token,
                                 vms={"id": 400 + 10 * len(self.runners) + n})
                         for n, source in enumerate(simulator.state.sources))  # fmt: skip
        config = OnvifConfig(port=simulator.port, timeout=2, events="off")
        device = Device(
            name, Kind.CAMERA if len(channels) == 1 else Kind.SERVER, "onvif", "127.0.0.1", channels=channels,
            credentials=Credentials("admin", Secret(PASSWORD)), config=config,
            policy=Policy(poll=30, offline_failures=10_000),
        )  # fmt: skip
        io = DriverIO(
            device_id=name, http=self._http, clock=self.clock, random=random.Random(1),
            memory=_Memory(self.store, name, {}),
        )  # fmt: skip
        runner = Runner(device, OnvifDriver(device, config, io), self.around, states.new(device))
        self.runners[name] = runner
        runner.start()
        await until(lambda: all(one.status.announced == "active" for one in runner.state.cameras.values()), 10)
        return simulator

    def template(self, number: int = 12, **sections: Any) -> Template:
        made = Template(number, f"T{number}", Settings.model_validate(sections), fingerprint=repr(sections))
        self.templates[number] = made
        return made

    def change(self, number: int = 12, **fields: Any) -> None:
        self.templates[number] = replace(self.templates[number], **fields)

    async def apply(self, *templates: int, **options: Any) -> str:
        """Apply to all; returns the job's state."""
        return await self.finish(await self.engine.apply(ALL, templates or (12,), ME, **options))

    async def finish(self, job: int) -> str:
        async def ended() -> str | None:
            found = await self.engine.records.job(job)
            return found.state if found is not None and found.ended_at is not None else None

        state: str = await until(ended, 60)
        return state

    async def read(self, name: str = "cam", *sections: str) -> Mapping[str, Value]:
        runner = self.runners[name]
        async with runner.mailbox.exclusive() as driver:
            found = await driver.read_settings(runner.device.channels[0], sections or SECTIONS)
        return flatten(found.settings)

    async def pushes(self) -> list[tuple[int, int, str, str | None]]:
        """Camera, template, status and reason of every camera_config_apply so far."""
        rows = [json.loads(row.body)["data"] for row in await self.store.outbox_after(0, 100_000)]
        return [
            (one["data"]["camera"]["id"], one["data"]["config_template"], one["status"], one["data"]["reason"])
            for one in rows
            if one["type"] == "camera_config_apply"
        ]


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    clock = HastyClock()
    store = await Store.open(folder, clock)
    async with http_session() as http:
        one = Site(store, http, clock)
        await one.engine.open()
        try:
            yield one
        finally:
            await one.engine.stop()
            for runner in one.runners.values():
                await runner.stop()
            for simulator in one.simulators.values():
                await simulator.stop()
            await store.close()
