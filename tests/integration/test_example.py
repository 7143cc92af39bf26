"""config.example.yaml, run against simulated devices: every device in it answers and is told to the VMS."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.config import yaml12
from bridge.config.load import load
from bridge.model import Kind
from bridge.service import Service
from bridge.state.reachability import Reach
from bridge.testing.simulator import Simulator
from drivers.analytics.simulator import AnalyticsSimulator
from drivers.flussonic.simulator import FlussonicSimulator
from drivers.onvif.simulator import OnvifSimulator
from drivers.snmp.simulator import SnmpSimulator
from tests.support import until

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
PASSWORD = "s3cret-pass"
# What each device of the example is in reality.
KINDS: dict[str, tuple[type[Simulator], dict[str, Any]]] = {
    "cam-1": (OnvifSimulator, {}),
    "cam-2": (OnvifSimulator, {}),
    "nvr-1": (OnvifSimulator, {"channels": 2}),
    "panel-1": (OnvifSimulator, {"kind": Kind.INTERCOM, "username": "operator"}),
    "switch-1": (SnmpSimulator, {"kind": Kind.SWITCH}),
    "server-1": (SnmpSimulator, {"kind": Kind.SERVER, "username": "bridge", "version": "3"}),
    "faces-1": (AnalyticsSimulator, {"style": "other", "auth": "bearer"}),
}
STREAMS = ("playground", "playground-low", "live/garden", "live/garden_sd")


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    flussonic = ("FLUSSONIC_PASSWORD", "FLUSSONIC_PLAYBACK_KEY")
    templates = ("VMS_USER_PASSWORD", "SIP_PASSWORD", "DOOR_CODE")
    snmp = ("SNMP_COMMUNITY", "SNMP_PASSWORD", "SNMP_PRIVACY")
    for name in ("CAM_PASSWORD", "NVR_PASSWORD", "PANEL_PASSWORD", *flussonic, *templates, *snmp):
        monkeypatch.setenv(name, PASSWORD)
    monkeypatch.setenv("STATS_TOKEN", PASSWORD)
    monkeypatch.setenv("PUSHER_SECRET", "pusher-secret")
    monkeypatch.setenv("VMS_PUSH_SECRET", "vms-secret")
    monkeypatch.setenv("WEBHOOK_SECRET", "hook-secret")


def on_this_machine(simulators: dict[str, Simulator], receiver: str, folder: Path) -> Path:
    """The example with the addresses, ports and tokens of simulated devices, and `receiver` in the place of the servers
    that it publishes to; everything else as it stands."""
    example: dict[str, Any] = json.loads(json.dumps(yaml12.load(EXAMPLE.read_bytes()).root))
    example["bridge"] |= {"data": str(folder / "data"), "http": {"listen": "127.0.0.1:0"}}
    example["bridge"]["callbacks"] = {"listen": "127.0.0.1:0"}
    example["bridge"]["traps"] = {"listen": "127.0.0.1:0"}
    example["bridge"]["syslog"] = {"listen": "127.0.0.1:0"}
    for sink in example["delivery"]["sinks"]:
        if "url" in sink:
            sink["url"] = receiver
    for device in example["devices"]:
        if (simulator := simulators.get(device["id"])) is None:
            continue
        device["address"] = "127.0.0.1"
        device.setdefault(simulator.driver, {})["port"] = simulator.port
        if isinstance(simulator, AnalyticsSimulator):
            device["analytics"] |= simulator.inventory()["analytics"]
        if not isinstance(simulator, OnvifSimulator):
            continue
        tokens = list(simulator.state.profiles)
        sources = list(dict.fromkeys(one.source.token for one in simulator.state.profiles.values()))
        if "streams" in device:
            device["streams"] = tokens[:2]
        for channel, source in zip(device.get("channels", []), sources, strict=False):
            channel["source"] = source
            if "streams" in channel:
                channel["streams"] = [
                    one.token for one in simulator.state.profiles.values() if one.source.token == source
                ]
    config = folder / "config.yaml"
    config.write_text(json.dumps(example))  # JSON is YAML
    return config


async def receiving(taken: list[str], stack: AsyncExitStack) -> str:
    """The URL of a server that takes everything, and notes the paths."""

    async def take(request: web.Request) -> web.Response:
        taken.append(request.path)
        return web.json_response({})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_the_example_runs(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        simulators: dict[str, Simulator] = {
            name: kind(name, password=PASSWORD, **traits) for name, (kind, traits) in KINDS.items()
        }
        streams = tuple({"name": name, "inputs": []} for name in STREAMS)
        simulators["media-1"] = FlussonicSimulator(username="bridge", password=PASSWORD, cameras=0, streams=streams)
        for simulator in simulators.values():
            await simulator.start()
            stack.push_async_callback(simulator.stop)
        taken: list[str] = []
        bridge = Service(load(on_this_machine(simulators, await receiving(taken, stack), tmp_path)))
        await bridge.start()
        stack.push_async_callback(bridge.stop)
        runners = bridge.supervisor.runners
        assert set(runners) == {*simulators, "panel-2", "bridge-host"}
        reached = [runners[name] for name in simulators]
        await until(lambda: all(one.state.reach.reach is Reach.ONLINE and one.state.facts for one in reached), 20)
        assert [one.state.health.detail for one in reached] == [""] * len(reached)
        await until(lambda: bridge.store.last_seq >= 11, 10)
        pushes = [json.loads(row.body) for row in await bridge.store.outbox_after(0, 100)]
        assert {push["subject"] for push in pushes} == {None, "server_stats", "binary_stats"}
        assert {push["data"].get("ipaddress") for push in pushes} > {"127.0.0.1", "192.0.2.5"}
        rows = [push["data"]["data"] for push in pushes if push["subject"] is None]
        told = {(row.get("camera") or row)["id"]: (row.get("camera") or row)["status"] for row in rows}
        cameras = dict.fromkeys((429, 430, 431, 432, 441, 442), "active")
        assert told == {**cameras, 17: "active", 18: "empty"}
        own_words = [row["status_pretty"] for row in rows if row.get("id") == 17]
        assert own_words == ["Works"]
        await until(lambda: {path for path in taken if path.startswith("/apps/app/")}, 10)
