"""A template of five sections on 500 simulated cameras that take 50 ms for each answer: how long, and what it costs.

The cameras are in a process of their own. The bridge is this process: store, runners, ONVIF driver and the engine of
templates, as the service has them; its CPU is what is measured, from the start of the job to its end.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import structlog
import yaml

from bridge.clock import SystemClock
from bridge.driver import DriverIO, ShortMemory
from bridge.jobs.records import Initiator
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import Channel, Credentials, Device, Kind, Policy
from bridge.pushes.labels import Labels
from bridge.runner import Runner, Surroundings
from bridge.secrets import Secret
from bridge.settings.engine import Configurator
from bridge.settings.selection import Selection
from bridge.settings.templates import Template
from bridge.settings.vocabulary import Settings
from bridge.state import device as states
from bridge.state.reachability import Reach
from bridge.store.store import Store
from bridge.supervisor import http_session
from drivers.onvif.config import OnvifConfig
from drivers.onvif.driver import OnvifDriver

NAME = "template_bulk"
CAMERAS = 500
ANSWER = 0.05  # seconds that a camera takes for each answer
TEMPLATE = {
    "osd_text": {"text": "${device.name}"},
    "imaging": {"brightness": 60},
    "ntp": {"servers": ["192.0.2.7"]},
    "video_encoder_second": {"fps": 10},
    "video_encoder_first": {"fps": 15, "bitrate": 2048},
}


def run() -> dict[str, float]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder) / "site.yaml"
        binary = Path(sys.prefix) / "bin" / "device-bridge"
        arguments = ["simulate", "--json", "--port", "0", "--cameras", str(CAMERAS), "--inventory", str(inventory)]
        site = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert site.stdout is not None
            control = json.loads(site.stdout.readline())["control"]
            listed = yaml.load(inventory.read_text(), yaml.CSafeLoader)
            return asyncio.run(measured(Path(folder), listed, control))
        finally:
            site.kill()
            site.wait()


async def measured(folder: Path, listed: dict[str, Any], control: str) -> dict[str, float]:
    clock = SystemClock()
    store = await Store.open(folder / "data", clock)
    runners: dict[str, Runner] = {}
    template = Template(12, "bulk", Settings.model_validate(TEMPLATE), fit="nearest", fingerprint="1")
    metrics = Metrics()
    engine = Configurator(
        store, runners=lambda: runners, templates=lambda: {12: template}, metrics=metrics, clock=clock
    )
    await engine.open()
    around = Surroundings(store, Journal(store, clock), Labels(), metrics, clock, random.Random(1), engine.identified)
    async with http_session() as http:
        for number, entry in enumerate(one for one in listed["devices"] if one.get("kind", "camera") == "camera"):
            runners[entry["id"]] = _runner(entry, listed, number, http, around)
            runners[entry["id"]].start(2.0)
        while any(not _ready(one) for one in runners.values()):
            await asyncio.sleep(0.1)
        for name in runners:
            await asyncio.to_thread(_slow, control, name)
        began, cpu = time.monotonic(), time.process_time()
        job = await engine.apply(Selection(), [12], Initiator(13))
        while (found := await engine.records.job(job)) is None or found.ended_at is None:
            await engine.wait(job, 1.0)
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
        items = await engine.records.items(job)
        bad = [item.detail for item in items if item.state != "ok"]
        if bad or len(items) != len(runners):
            raise RuntimeError(f"{len(bad)} of {len(items)} cameras did not take it: {bad[0] if bad else ''}")
        await engine.stop()
        await asyncio.gather(*(one.stop() for one in runners.values()))
    await store.close()
    return {"wall_s": wall, "cpu_ms_per_camera": cpu / len(items) * 1e3, "cameras": float(len(items))}


def _runner(entry: dict[str, Any], listed: dict[str, Any], number: int, http: Any, around: Surroundings) -> Runner:
    login = entry.get("credentials") or listed["defaults"]["credentials"]
    device = Device(
        entry["id"],
        Kind.CAMERA,
        "onvif",
        entry["address"],
        entry["name"],
        credentials=Credentials(login["username"], Secret(login["password"])),
        channels=(Channel(vms={"id": 1000 + number}),),
        policy=Policy(poll=300.0),
        config=OnvifConfig(port=entry["onvif"]["port"], events="off"),
    )
    io = DriverIO(device_id=device.id, http=http, clock=around.clock, random=around.random, memory=ShortMemory())
    return Runner(device, OnvifDriver(device, device.config, io), around, states.new(device))


def _ready(runner: Runner) -> bool:
    return runner.state.reach.reach is Reach.ONLINE and runner.state.cameras[""].status.announced == "active"


def _slow(control: str, name: str) -> None:
    body = json.dumps({"fault": "slow", "value": ANSWER}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{control}/devices/{name}/faults", body, headers)
    urllib.request.urlopen(request, timeout=10).close()


if __name__ == "__main__":
    print(run())
