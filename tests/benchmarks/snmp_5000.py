"""Five thousand SNMP targets, asked every 30 s: what the bridge takes of a core, and of memory, over an idle one.

One snmpd of Debian's answers on every address of 127.0.0.0/8 with the right source address, so each target is a device,
a session and a socket of its own.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from bridge import log
from bridge.model import Credentials, Device, Kind, Policy
from bridge.secrets import Secret
from drivers.snmp.config import SnmpConfig
from drivers.snmp.driver import SnmpDriver
from tests.benchmarks.bridge_process import Bridge, counter, quantile
from tests.benchmarks.kept_memory import kept_kb
from tests.integration.net_snmp import snmpd

NAME = "snmp_5000"
TARGETS = 5000
KEPT = 400
POLL = 30.0
WINDOW = 8.0
SETTLE_LIMIT = 40.0
ONLINE = r'bridge_devices\{driver="snmp",reach="online"\}'


def site(port: int, count: int) -> dict[str, Any]:
    return {
        "defaults": {"driver": "snmp", "snmp": {"port": port}, "credentials": {"username": "x", "password": "public"}},
        "sites": [],
        "devices": [
            # Without an id in the VMS: no pushes, which would be counted as the target's memory.
            {"id": f"target-{number}", "kind": "intercom", "address": f"127.1.{number // 250}.{number % 250 + 1}"}
            for number in range(count)
        ],
    }


def idle_mb(folder: Path, port: int) -> float:
    with Bridge(folder, site(port, 1), {"poll": POLL}, {}) as bridge:
        deadline = time.monotonic() + 10
        while counter(bridge.metrics(), "bridge_polls_total") < 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        return bridge.rss_mb()


async def kept_memory(port: int) -> float:
    """KB that a target takes between two polls; its socket is the kernel's."""
    # What is equal is one object, as the inventory has it.
    config, login, policy = SnmpConfig(port=port), Credentials("x", Secret("public")), Policy(poll=3600.0)

    def make(number: int) -> Device:
        address = f"127.1.{number // 250}.{number % 250 + 1}"
        name = f"target-{number}"
        return Device(name, Kind.INTERCOM, "snmp", address, name, credentials=login, policy=policy, config=config)

    async with aiohttp.ClientSession() as http:
        return await kept_kb(SnmpDriver, make, KEPT, http)


def run() -> dict[str, float]:
    log.configure("error")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < TARGETS + 500:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name, snmpd(Path(name), everywhere=True) as port:
        folder = Path(name)
        kb = asyncio.run(kept_memory(port))
        (folder / "idle").mkdir()
        (folder / "full").mkdir()
        idle = idle_mb(folder / "idle", port)
        with Bridge(folder / "full", site(port, TARGETS), {"poll": POLL}, {}) as bridge:
            deadline = time.monotonic() + SETTLE_LIMIT
            while (online := counter(bridge.metrics(), ONLINE)) < TARGETS:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"only {online:g} of {TARGETS} targets have been asked")
                time.sleep(0.5)
            before, cpu, began = bridge.metrics(), bridge.cpu_seconds(), time.monotonic()
            time.sleep(WINDOW)
            share = (bridge.cpu_seconds() - cpu) / (time.monotonic() - began)
            after = bridge.metrics()
            polls = counter(after, "bridge_polls_total") - counter(before, "bridge_polls_total")
            expected = TARGETS * WINDOW / POLL
            if not 0.7 * expected < polls < 2.0 * expected:
                raise RuntimeError(f"{polls:g} polls in {WINDOW:g} s where {expected:g} were due")
            return {
                "core_share": share * expected / polls,
                "kb_per_target": kb,
                "rss_kb_per_target": (bridge.rss_mb() - idle) * 1e3 / TARGETS,
                "late_p99_ms": quantile(before, after, "bridge_poll_late_seconds", 0.99) * 1e3,
                "cpu_us_per_poll": share * WINDOW / polls * 1e6,
            }
