"""Two thousand traps a second for ten seconds, from 200 devices: each has to be in the record of events."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.bridge_process import Bridge, counter
from tests.benchmarks.trap_storm import address
from tests.integration.net_snmp import snmpd
from tests.integration.processes import free_port

NAME = "traps"
DEVICES = 200
RATE = 2000
SECONDS = 10.0
LIMIT = 20.0


def site(agent: int, traps: int) -> dict[str, Any]:
    return {
        "bridge": {"traps": {"listen": f"127.0.0.1:{traps}"}},
        "defaults": {"driver": "snmp", "snmp": {"port": agent}, "credentials": {"username": "x", "password": "public"}},
        "sites": [],
        "devices": [
            {"id": f"device-{number}", "kind": "intercom", "address": address(number)} for number in range(DEVICES)
        ],
    }


def run() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name, snmpd(Path(name), everywhere=True) as agent:
        port = free_port(socket.SOCK_DGRAM)
        with Bridge(Path(name), site(agent, port), {"poll": 60.0}, {}) as bridge:
            deadline = time.monotonic() + LIMIT
            while (listening := counter(bridge.metrics(), "bridge_event_streams")) < DEVICES:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"only {listening:g} of {DEVICES} devices are listened to")
                time.sleep(0.2)
            before, cpu, began = (
                counter(bridge.metrics(), "bridge_events_total"),
                bridge.cpu_seconds(),
                time.monotonic(),
            )
            arguments = [str(port), str(DEVICES), str(RATE), str(SECONDS)]
            storm = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.trap_storm", *arguments],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                timeout=60,
            )
            sent, deadline = json.loads(storm.stdout), time.monotonic() + LIMIT
            recorded = 0.0
            while recorded < sent and time.monotonic() < deadline:
                time.sleep(0.2)
                recorded = counter(bridge.metrics(), "bridge_events_total") - before
            share = (bridge.cpu_seconds() - cpu) / (time.monotonic() - began)
            return {"lost": sent - recorded, "core_share": share}
