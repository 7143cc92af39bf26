"""A thousand simulated cameras on one machine, polled every 30 s and long-polled for events: what the bridge takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.benchmarks.bridge_process import Bridge, counter, quantile

NAME = "onvif_1000"
CAMERAS = 1000
SETTLE_LIMIT = 25.0
WINDOW = 20.0


def run() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "site.yaml"
        binary = Path(sys.prefix) / "bin" / "device-bridge"
        site = subprocess.Popen(
            [binary, "simulate", "--json", "--port", "0", "--cameras", str(CAMERAS), "--inventory", inventory],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert site.stdout is not None
            json.loads(site.stdout.readline())
            devices = yaml.load(inventory.read_text(), yaml.CSafeLoader)
            with Bridge(Path(folder), devices, {"poll": 30}, {}) as bridge:
                deadline = time.monotonic() + SETTLE_LIMIT
                while (listening := counter(bridge.metrics(), "bridge_event_streams")) < CAMERAS:
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"only {listening:g} of {CAMERAS} event streams are open")
                    time.sleep(0.5)
                before, cpu, began = bridge.metrics(), bridge.cpu_seconds(), time.monotonic()
                time.sleep(WINDOW)
                share = (bridge.cpu_seconds() - cpu) / (time.monotonic() - began)
                after = bridge.metrics()
                polls = counter(after, "bridge_polls_total") - counter(before, "bridge_polls_total")
                expected = CAMERAS * WINDOW / 30
                if not 0.7 * expected < polls < 1.3 * expected:
                    raise RuntimeError(f"{polls:g} polls in {WINDOW:g} s where {expected:g} were due")
                return {
                    "core_share": share,
                    "rss_mb": bridge.rss_mb(),
                    "late_p99_ms": quantile(before, after, "bridge_poll_late_seconds", 0.99) * 1e3,
                }
        finally:
            site.kill()
            site.wait()
