"""Three hundred panels of all families in one bridge, polled every 30 s, with their events open: what it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bridge import registry
from tests.benchmarks.bridge_process import Bridge, counter, quantile

NAME = "panels_300"
PANELS = 300
SETTLE_LIMIT = 60.0
WINDOW = 30.0


@contextmanager
def simulated(folder: Path, panels: int) -> Iterator[dict[str, Any]]:
    """The inventory of so many panels, all families in turn, in a process of their own."""
    inventory = folder / f"site-{panels}.yaml"
    binary = Path(sys.prefix) / "bin" / "device-bridge"
    options = ["--json", "--port", "0", "--cameras", "0", "--panels", str(panels), "--inventory", str(inventory)]
    site = subprocess.Popen([binary, "simulate", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert site.stdout is not None
        json.loads(site.stdout.readline())
        written = yaml.load(inventory.read_text(), yaml.CSafeLoader)
        yield {
            "bridge": {"syslog": {"listen": "127.0.0.1:0"}},
            "devices": written["devices"],
            "sites": written["sites"],
            "defaults": {key: value for key, value in written["defaults"].items() if key == "credentials"},
        }
    finally:
        site.kill()
        site.wait()


def listening(bridge: Bridge, panels: int) -> None:
    """Until every panel's events are open."""
    deadline = time.monotonic() + SETTLE_LIMIT
    while (streams := counter(bridge.metrics(), "bridge_event_streams")) < panels:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {streams:g} of {panels} panels report their events")
        time.sleep(0.5)


def rss_of(folder: Path, panels: int) -> float:
    place = folder / f"small-{panels}"
    place.mkdir()
    with simulated(folder, panels) as devices, Bridge(place, devices, {"poll": 30}, {}) as bridge:
        listening(bridge, panels)
        time.sleep(2.0)
        return bridge.rss_mb()


def run() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        families = len(registry.panel_simulators())
        small = rss_of(folder, families)
        with simulated(folder, PANELS) as devices, Bridge(folder, devices, {"poll": 30}, {}) as bridge:
            listening(bridge, PANELS)
            time.sleep(5.0)  # what they are asked once, at the beginning
            before, cpu, began = bridge.metrics(), bridge.cpu_seconds(), time.monotonic()
            time.sleep(WINDOW)
            share = (bridge.cpu_seconds() - cpu) / (time.monotonic() - began)
            after = bridge.metrics()
            polls = counter(after, "bridge_polls_total") - counter(before, "bridge_polls_total")
            expected = PANELS * WINDOW / 30
            if not 0.7 * expected < polls < 1.5 * expected:
                raise RuntimeError(f"{polls:g} polls in {WINDOW:g} s where {expected:g} were due")
            return {
                "core_share": share,
                "kb_per_panel": (bridge.rss_mb() - small) * 1e3 / (PANELS - families),
                "late_p99_ms": quantile(before, after, "bridge_poll_late_seconds", 0.99) * 1e3,
            }
