"""How long an inventory of 5,000 devices takes.

`load_5000_s`: `load()` in a running process, median of five; what a reload costs. `check_5000_s`: the same in a new
process, from its start to its end, imports of the driver included; what `device-bridge check` costs offline.
Processor time, not wall time: the machine may be shared.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bridge.config.load import load

NAME = "inventory"
DEVICES = 5000
ROUNDS = 5
ENVIRON = {"CAM_PASSWORD": "a-password", "PUSHER_SECRET": "a-secret"}

HEAD = """\
bridge: {name: benchmark}
delivery:
  sinks:
    - {name: local, type: pusher_server, key: key, secret: env:PUSHER_SECRET}
defaults:
  driver: onvif
  watch: {retry_cap: 2m}
groups:
  - {id: hikvision, onvif: {auth: digest}}
"""
DEVICE = """\
  - id: cam-{n}
    driver: onvif
    kind: camera
    name: Entrance {n}
    address: 10.{a}.{b}.1
    site: house-{site}
    group: hikvision
    credentials: {{username: admin, password: env:CAM_PASSWORD}}
    watch: {{poll: 30s, offline_failures: 3}}
    vms: {{id: {n}, group_id: 556, lat: 59.9386, lng: 30.3141, azimuth: 90, type: without_server, is_favorite: false}}
    onvif: {{port: 80, events: pull}}
"""
CHECK = "import sys; from pathlib import Path; from bridge.config import load; load(Path(sys.argv[1]))"


def inventory(devices: int) -> str:
    """A file as people would write it: flow and block style, every device with a block of its own."""
    sites = "".join(f"  - {{id: house-{n}, name: House {n}}}\n" for n in range(50))
    rows = (DEVICE.format(n=n, a=n // 250, b=n % 250, site=n % 50) for n in range(1, devices + 1))
    return f"{HEAD}sites:\n{sites}devices:\n{''.join(rows)}"


def run() -> dict[str, float]:
    """The two figures, in seconds."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        path.write_text(inventory(DEVICES))
        loads, checks = [], []
        for _ in range(ROUNDS):
            begin = time.process_time()
            loaded = load(path, environ=ENVIRON)
            loads.append(time.process_time() - begin)
            assert len(loaded.devices) == DEVICES
            del loaded
            checks.append(_check(path))
    return {"load_5000_s": median(loads), "check_5000_s": median(checks)}


def _check(path: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", CHECK, str(path)], check=True, env={**os.environ, **ENVIRON})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
