"""A whole bridge on simulated Flussonic servers, and a driver alone on one."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bridge.clock import Clock, SystemClock
from bridge.config.load import load
from bridge.driver import DriverIO, Memory, ShortMemory
from bridge.runner import Runner
from bridge.service import Service
from bridge.supervisor import http_session
from bridge.testing.harness import device_of
from drivers.flussonic.driver import FlussonicDriver
from drivers.flussonic.simulator import FlussonicSimulator
from tests.support import until

WATCH = {"poll": 0.3, "offline_failures": 2, "offline_after": 0.5, "retry_cap": 0.3}


def entry(name: str, simulator: FlussonicSimulator, first_id: int = 1) -> dict[str, Any]:
    """The inventory entry of a simulator, its cameras known to the VMS from `first_id` on."""
    said = simulator.inventory()
    channels = [{**one, "vms": {"id": number}} for number, one in enumerate(said["channels"], first_id)]
    return {"id": name, **said, "channels": channels}


@dataclass
class Site:
    bridge: Service
    folder: Path

    @property
    def runner(self) -> Runner:
        return self.bridge.supervisor.runners["flu"]

    @property
    def statuses(self) -> list[str]:
        return [one.status.announced.value for one in self.runner.state.cameras.values()]

    async def pushes(self) -> list[tuple[int, str]]:
        """Camera id and status of each push so far."""
        rows = await self.bridge.store.outbox_after(0, 10_000)
        told = [json.loads(row.body)["data"]["data"]["camera"] for row in rows]
        return [(one["id"], one["status"]) for one in told]

    async def up(self, count: int) -> None:
        """Every camera has been told as active."""
        await until(lambda: self.statuses == ["active"] * count, 15)

    async def listening(self) -> None:
        await until(lambda: self.runner.listening and self.runner.state.facts.get("events_waiting") == 0, 15)

    async def heard(self, kind: str, count: int, *, or_more: bool = False) -> None:
        """Until that many events of a kind are in the record."""

        async def enough() -> bool:
            found = len(await self.bridge.journal.after(0, 10_000, kind=kind))
            return found >= count if or_more else found == count

        await until(enough, 10, f"{count} events of the kind {kind}")

    async def metrics(self) -> str:
        async with aiohttp.ClientSession() as http, http.get(f"{self.bridge.url}/metrics") as answer:
            return await answer.text()


@asynccontextmanager
async def site(
    folder: Path,
    simulator: FlussonicSimulator,
    *,
    watch: dict[str, Any] | None = None,
    files: dict[str, Any] | None = None,
    **config: Any,
) -> AsyncIterator[Site]:
    """A bridge whose one device `flu` is the simulator, which runs already. `config` is laid over its block."""
    one = entry("flu", simulator)
    one["flussonic"] |= {"timeout": 2, **config}
    inventory = folder / "config.json"
    inventory.write_text(
        json.dumps(
            {
                "bridge": {
                    "data": str(folder / "data"),
                    "http": {"listen": "127.0.0.1:0"},
                    "callbacks": {"listen": "127.0.0.1:0"},
                    "files": files or {},
                },
                "defaults": {"watch": {**WATCH, **(watch or {})}},
                "devices": [one],
            }
        )
    )
    bridge = Service(load(inventory))
    await bridge.start()
    try:
        yield Site(bridge, folder)
    finally:
        await bridge.stop()


@asynccontextmanager
async def running(**traits: Any) -> AsyncIterator[FlussonicSimulator]:
    simulator = FlussonicSimulator(**traits)
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop()


@asynccontextmanager
async def alone(
    *, config: dict[str, Any] | None = None, clock: Clock | None = None, memory: Memory | None = None, **traits: Any
) -> AsyncIterator[tuple[FlussonicDriver, FlussonicSimulator]]:
    """A driver on a simulator, without the bridge around it and without callbacks."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running(**traits))
        http = await stack.enter_async_context(http_session())
        device = device_of(simulator.inventory(), FlussonicDriver, {"timeout": 2, **(config or {})})
        io = DriverIO(
            device_id="flu",
            http=http,
            clock=clock or SystemClock(),
            random=random.Random(1),
            memory=memory or ShortMemory(),
        )
        driver = FlussonicDriver(device, device.config, io)
        stack.push_async_callback(driver.close)
        yield driver, simulator
