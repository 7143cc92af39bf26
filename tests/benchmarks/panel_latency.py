"""From a panel's event to a webhook's receiver: keys shown at 50 a second on 100 panels.

Panels and receiver live in this process, the bridge in its own. Each event goes the panel's own way (a long poll, a
stream, a websocket, a call to the bridge, a line of syslog), then through the record with its fsync, and out signed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from aiohttp import web

from bridge import log, registry
from bridge.model import EventKind
from bridge.testing.checks.base import Happening
from bridge.testing.site import SimulatedSite
from tests.benchmarks.bridge_process import SECRET, SINK, Bridge, counter
from tests.contract.test_devices import contracts

NAME = "panel_latency"
PANELS = 100
RATE = 50.0
SECONDS = 12.0


def happenings() -> dict[str, list[Happening]]:
    """By driver, keys that are shown: what every family reports, whichever way it takes."""
    found: dict[str, list[Happening]] = {}
    for one in contracts():
        told = [each for each in one.happenings if each.kind is EventKind.ACCESS]
        # The first class has the simulator as it is without being told otherwise.
        found.setdefault(one.driver.name, told)
    return {driver: told for driver, told in found.items() if told}


class Receiver:
    """Counts how long each event took; events of one panel come in their order."""

    def __init__(self) -> None:
        self.sent: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self.took: list[float] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        body, now = await request.read(), time.perf_counter()
        event = json.loads(body)["event"]
        waiting = self.sent.get((event["device"]["id"], event["kind"]))
        if waiting:
            self.took.append(now - waiting.popleft())
        return web.Response()

    @property
    def waiting(self) -> int:
        return sum(map(len, self.sent.values()))


async def _run(folder: Path) -> dict[str, float]:
    known, site, receiver = happenings(), SimulatedSite(), Receiver()
    families = [name for name in registry.panel_simulators() if name in known]
    site.add_panels(PANELS, families)
    runner = web.ServerRunner(web.Server(receiver.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with site:
        sinks = [
            SINK,
            {"name": "hook", "type": "webhook", "url": f"http://127.0.0.1:{runner.addresses[0][1]}/", "secret": SECRET},
        ]
        inventory = {**site.inventory(), "bridge": {"syslog": {"listen": "127.0.0.1:0"}}, "sinks": sinks}
        bridge: Bridge = await asyncio.to_thread(Bridge, folder, inventory, {"poll": 30}, {})
        with bridge:
            async with asyncio.timeout(60):
                while counter(await asyncio.to_thread(bridge.metrics), "bridge_event_streams") < PANELS:
                    await asyncio.sleep(0.3)
            await asyncio.sleep(2.0)  # registrations have been written
            members: list[Any] = list(site)
            # Each panel goes through what can happen there in order.
            turns = {member.id: itertools.cycle(known[member.simulator.driver]) for member in members}
            begin = time.perf_counter()
            for number in range(int(RATE * SECONDS)):
                await asyncio.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
                member = members[number % PANELS]
                happening = next(turns[member.id])
                receiver.sent[member.id, str(happening.kind)].append(time.perf_counter())
                await member.simulator.act(happening.act, **happening.details)
            deadline = time.perf_counter() + 5
            while receiver.waiting and time.perf_counter() < deadline:
                await asyncio.sleep(0.05)
    await runner.cleanup()
    quantiles = statistics.quantiles(receiver.took, n=100)
    return {"p50_ms": quantiles[49] * 1e3, "p99_ms": quantiles[98] * 1e3, "lost": float(receiver.waiting)}


def run() -> dict[str, float]:
    log.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder)))
