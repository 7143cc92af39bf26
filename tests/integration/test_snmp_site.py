"""A bridge on a simulated switch with a camera behind it: what a trap sets off, and what the power switch does."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import aiohttp

from bridge.config.load import load
from bridge.model import Capability, Command, Kind
from bridge.service import Service
from bridge.state.reachability import Reach
from bridge.testing.simulator import Fault
from drivers.onvif.simulator import OnvifSimulator
from drivers.snmp.simulator import SnmpSimulator
from tests.integration.processes import free_port
from tests.support import until


async def test_a_trap_makes_the_camera_behind_the_port_offline_at_once(tmp_path: Path) -> None:
    switch, camera = SnmpSimulator("switch", kind=Kind.SWITCH), OnvifSimulator("cam")
    traps = free_port(socket.SOCK_DGRAM)
    switch.notify = ("127.0.0.1", traps)
    await switch.start()
    await camera.start()
    inventory = {
        "bridge": {"data": str(tmp_path / "data"), "http": {"listen": "127.0.0.1:0"},
                   "traps": {"listen": f"127.0.0.1:{traps}"}},
        "delivery": {"sinks": []},
        # So rare that only the trap can have been it.
        "defaults": {"watch": {"poll": "10m", "offline_failures": 1000}},
        "devices": [
            {"id": "switch", **switch.inventory()},
            {"id": "cam", **camera.inventory(), "vms": {"id": 1}, "uplink": {"switch": "switch", "port": 3}},
        ],
    }  # fmt: skip
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(inventory))
    bridge = Service(load(config))
    await bridge.start()
    try:
        runners = bridge.supervisor.runners
        seen, watched = runners["switch"], runners["cam"]
        await until(lambda: seen.listening and watched.state.reach.reach is Reach.ONLINE, 20)
        await until(lambda: watched.state.cameras[""].status.announced == "active", 20)
        await camera.inject(Fault.CLOSED)
        await switch.act("link", port=3, up=False)
        await until(lambda: watched.state.reach.reach is Reach.OFFLINE, 10)
        assert watched.state.health.detail == "switch port down"
        last = json.loads((await bridge.store.outbox_after(0, 100))[-1].body)
        assert last["data"]["data"]["camera"]["status"] == "inactive"
        # And back.
        await camera.clear()
        await switch.act("link", port=3, up=True)
        await until(lambda: watched.state.reach.reach is Reach.ONLINE, 10)
        # The power switch, as a command.
        async with seen.mailbox.exclusive() as driver:
            driver.config = driver.config.model_copy(update={"off_seconds": 1.0})
            driver._power._config = driver.config  # type: ignore[attr-defined]
            await driver.command(Command(Capability.POWER_CYCLE, arguments={"port": 3}))
        assert switch.seen["set"] == 2
        assert switch.ports[3].powered
    finally:
        await bridge.stop()
        await camera.stop()
        await switch.stop()


async def test_power_that_was_taken_is_given_back_by_the_next_life_of_the_bridge(tmp_path: Path) -> None:
    switch = SnmpSimulator("switch", kind=Kind.SWITCH)
    await switch.start()
    switch.ports[2].powered = False
    config = tmp_path / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "bridge": {"data": str(tmp_path / "data"), "http": {"listen": "127.0.0.1:0"}},
                "delivery": {"sinks": []},
                "devices": [{"id": "switch", **switch.inventory()}],
            }
        )
    )
    bridge = Service(load(config))
    await bridge.start()
    try:
        await bridge.store.remember("switch", "power_taken", "2")
    finally:
        await bridge.stop()
    assert not switch.ports[2].powered
    bridge = Service(load(config))
    await bridge.start()
    try:
        await until(lambda: switch.ports[2].powered, 10)
        await until(lambda: bridge.supervisor.runners["switch"].state.reach.reach is Reach.ONLINE, 10)
        assert switch.seen["set"] == 1
    finally:
        await bridge.stop()
        await switch.stop()


async def test_the_power_switch_over_the_api(tmp_path: Path) -> None:
    """A command like any other: by capability, audited, once for one key."""
    switch = SnmpSimulator("switch", kind=Kind.SWITCH)
    await switch.start()
    entry = switch.inventory()
    entry["snmp"] = {**entry["snmp"], "off_seconds": 1}
    config = tmp_path / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "bridge": {"data": str(tmp_path / "data"), "http": {"listen": "127.0.0.1:0"}},
                "delivery": {"sinks": []},
                "devices": [{"id": "switch", **entry}],
            }
        )
    )
    bridge = Service(load(config))
    await bridge.start()
    session = aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {await bridge.tokens.issue('t', ['*'], api='write')}"}
    )

    async def command(key: str, **arguments: object) -> tuple[int, Any]:
        body = {"action": "power_cycle", "arguments": arguments}
        url = f"{bridge.url}/api/v1/devices/switch/commands"
        async with session.post(url, json=body, headers={"Idempotency-Key": key}) as answer:
            return answer.status, await answer.json()

    try:
        await until(lambda: bridge.supervisor.runners["switch"].state.reach.reach is Reach.ONLINE, 20)
        first = await command("one", port=3)
        assert first[0] == 200, first
        assert (switch.seen["set"], switch.ports[3].powered) == (2, True), "off and on again"
        assert await command("one", port=3) == first, "the same key: the same answer"
        assert switch.seen["set"] == 2, "and nothing is done again"
        status, problem = await command("two", port=99)
        assert status == 422, problem
        refused, problem = await command("three")
        assert refused == 422, problem
        assert switch.seen["set"] == 2
        async with session.get(f"{bridge.url}/api/v1/audit") as answer:
            told = [(json.loads(one["asked"])["arguments"], one["status"]) for one in (await answer.json())["entries"]]
        assert told == [({"port": 3}, 200), ({"port": 99}, 422), ({}, 422)], "each of them once"
    finally:
        await session.close()
        await bridge.stop()
        await switch.stop()
