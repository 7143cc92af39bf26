"""A thousand events a second from a Flussonic server, its sink posting batch after batch.

The server is in this process, the bridge in its own. `python -m tests.benchmarks.flussonic_events 60` does it for 60 s.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bridge import log
from drivers.flussonic.simulator import FlussonicSimulator
from tests.benchmarks.bridge_process import Bridge, counter

NAME = "flussonic_events"
CAMERAS = 200
RATE = 1000
SECONDS = 20.0
SETTLE_LIMIT = 15.0
_EVENTS = ("source_started", "motion_started", "source_ready", "motion_stopped")


async def _arrived(bridge: Bridge) -> float:
    return counter(await asyncio.to_thread(bridge.metrics), "bridge_events_total")


async def _listening(bridge: Bridge, server: FlussonicSimulator) -> None:
    async with asyncio.timeout(SETTLE_LIMIT):
        while not server.open_subscriptions() or await _arrived(bridge) < 2:  # "resync", and the look that follows
            await asyncio.sleep(0.2)


async def _send(server: FlussonicSimulator, seconds: float) -> int:
    count, begin = 0, time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        for number in range(count, int(passed * RATE)):
            name = _EVENTS[number // CAMERAS % len(_EVENTS)]
            stream = f"cam-{number % CAMERAS + 1}"
            url = f"rtsp://admin:secret@192.0.2.7/{stream}"
            server.tell(
                name, media=stream, id="61942414-8c4e-4b1f-9a53-1c2b3d4e5f60", proto="rtsp", url=url, priority=1
            )
            count = number + 1
        await asyncio.sleep(0.01)
    return count


async def _run(folder: Path, seconds: float) -> dict[str, float]:
    server = FlussonicSimulator(cameras=CAMERAS, version=25)
    await server.start()
    try:
        said = server.inventory()
        channels = [{**one, "vms": {"id": number}} for number, one in enumerate(said["channels"], 1)]
        device = {"id": "flussonic-1", **said, "channels": channels}
        bridge = await asyncio.to_thread(Bridge, folder, {"devices": [device]}, {"poll": 10})
        with bridge:
            await _listening(bridge, server)
            before, cpu, began = await _arrived(bridge), bridge.cpu_seconds(), time.monotonic()
            server.answers.clear()
            sent = await _send(server, seconds)
            share = (bridge.cpu_seconds() - cpu) / (time.monotonic() - began)
            arrived, deadline = 0.0, time.monotonic() + 5
            while arrived < sent and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
                arrived = await _arrived(bridge) - before
            if arrived > sent:
                raise RuntimeError(f"{sent} events were sent and {arrived:g} arrived")
            p99 = statistics.quantiles(server.answers, n=100)[98]
            return {"lost": sent - arrived, "sink_p99_ms": p99 * 1e3, "core_share": share}
    finally:
        await server.stop()


def run(seconds: float = SECONDS) -> dict[str, float]:
    log.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder), seconds))


if __name__ == "__main__":
    print(json.dumps(run(float(sys.argv[1]))))
