"""Five thousand streams on five Flussonic servers, polled every 10 s: what the bridge takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.bridge_process import Bridge, counter

NAME = "flussonic_poll"
SERVERS = 5
CAMERAS = 500  # of each, with two streams
POLL = 10.0
SETTLE = 2.2 * POLL  # the first polls come soon after the start, the second ones are spread over the period
WINDOW = 2 * POLL


def _entry(number: int, port: int) -> dict[str, Any]:
    cameras = range(1, CAMERAS + 1)
    return {
        "id": f"flussonic-{number}",
        "driver": "flussonic",
        "address": "127.0.0.1",
        "credentials": {"username": "bridge", "password": "bench"},
        "flussonic": {"port": port, "low": "{key}-low", "events": "off"},
        "channels": [{"source": f"cam-{one}", "vms": {"id": number * 1000 + one}} for one in cameras],
    }


def run() -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.canned_flussonic", str(SERVERS), str(CAMERAS)]
    servers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert servers.stdout is not None
        ports = json.loads(servers.stdout.readline())
        devices = [_entry(number, port) for number, port in enumerate(ports, 1)]
        with (
            tempfile.TemporaryDirectory() as folder,
            Bridge(Path(folder), {"devices": devices}, {"poll": POLL}) as bridge,
        ):
            time.sleep(SETTLE)
            before, cpu, began = bridge.metrics(), bridge.cpu_seconds(), time.monotonic()
            told = counter(before, "bridge_pushes_total")
            if told != SERVERS * CAMERAS:
                raise RuntimeError(f"{told:g} of {SERVERS * CAMERAS} cameras were told as active")
            time.sleep(WINDOW)
            share = (bridge.cpu_seconds() - cpu) / (time.monotonic() - began)
            polls = counter(bridge.metrics(), "bridge_polls_total") - counter(before, "bridge_polls_total")
            expected = SERVERS * WINDOW / POLL
            if polls < 0.8 * expected:
                raise RuntimeError(f"only {polls:g} polls in {WINDOW:g} s where {expected:g} were due")
            return {"core_share": share, "rss_mb": bridge.rss_mb()}
    finally:
        servers.kill()
        servers.wait()
