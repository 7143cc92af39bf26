"""From a camera's event to a client's socket: video signals lost and regained at 100 events a second.

The cameras and the client live in this process, the bridge in its own; each event is a change of a camera's status,
so it passes the device's long poll, the state machine, the store with its fsync, and the websocket.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from bridge import log
from bridge.delivery import pusher_protocol
from bridge.secrets import Secret
from bridge.testing.site import SimulatedSite
from tests.benchmarks.bridge_process import KEY, SECRET, Bridge, counter

NAME = "event_latency"
CAMERAS = 300
RATE = 100.0
SECONDS = 12.0
CHANNEL = "private-admin.admin"


async def _subscribe(socket: aiohttp.ClientWebSocketResponse) -> None:
    hello = await socket.receive_json(timeout=5)
    socket_id = json.loads(hello["data"])["socket_id"]
    auth = pusher_protocol.channel_auth(KEY, Secret(SECRET), socket_id, CHANNEL)
    await socket.send_json({"event": "pusher:subscribe", "data": {"channel": CHANNEL, "auth": auth}})
    answer = await socket.receive_json(timeout=5)
    assert answer["event"] == "pusher_internal:subscription_succeeded", answer


async def _listen(
    socket: aiohttp.ClientWebSocketResponse, sent: dict[tuple[int, str], float], took: list[float]
) -> None:
    async for message in socket:
        now = time.perf_counter()
        camera = json.loads(json.loads(message.data)["data"])["data"]["data"]["camera"]
        at = sent.pop((camera["id"], camera["status"]), None)
        if at is not None:
            took.append(now - at)


async def _ready(bridge: Bridge) -> None:
    while counter(await asyncio.to_thread(bridge.metrics), "bridge_event_streams") < CAMERAS:
        await asyncio.sleep(0.3)


async def _run(folder: Path) -> dict[str, float]:
    site = SimulatedSite(CAMERAS)
    took: list[float] = []
    sent: dict[tuple[int, str], float] = {}
    async with site, aiohttp.ClientSession() as http:
        bridge: Bridge = await asyncio.to_thread(Bridge, folder, site.inventory(), {"poll": 30}, {})
        with bridge:
            async with asyncio.timeout(30):
                await _ready(bridge)
            async with http.ws_connect(f"{bridge.url.replace('http', 'ws')}/app/{KEY}?protocol=7") as socket:
                await _subscribe(socket)
                listening = asyncio.create_task(_listen(socket, sent, took))
                members: list[Any] = list(site)
                random.Random(1).shuffle(members)
                lost = [False] * len(members)
                begin = time.perf_counter()
                for number in range(int(RATE * SECONDS)):
                    await asyncio.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
                    which = number % len(members)
                    lost[which] = not lost[which]
                    status = "inactive" if lost[which] else "active"
                    vms_id = int(members[which].id.partition("-")[2])
                    sent[vms_id, status] = time.perf_counter()
                    await members[which].simulator.act("signal_loss", active=lost[which])
                async with asyncio.timeout(5):
                    while sent:
                        await asyncio.sleep(0.05)
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    quantiles = statistics.quantiles(took, n=100)
    return {"p50_ms": quantiles[49] * 1e3, "p99_ms": quantiles[98] * 1e3}


def run() -> dict[str, float]:
    log.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder)))
