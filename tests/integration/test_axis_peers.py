"""Our simulated door station, asked by a client that others wrote: Kane610's `axis`, as Home Assistant has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.axis.simulator import AxisSimulator
from tests.integration import axis_client
from tests.peers import python_peer
from tests.support import until

# The last one for Python 3.11; the latest has the event stream, and says that it needs 3.14.
REQUESTS = ("axis==60",)
WEBSOCKET = (
    ("--no-deps", "--ignore-requires-python", "axis==74"),
    ("aiohttp>=3.14", "orjson>=3.10", "xmltodict>=0.13"),
)


@pytest.fixture
async def panel() -> AsyncIterator[AxisSimulator]:
    simulator = AxisSimulator("door", password='a"b, c', seed=5)
    await simulator.start()
    yield simulator
    await simulator.stop()


async def start(python: Path, what: str, panel: AxisSimulator) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        python, axis_client.__file__, what, panel.address, str(panel.port), panel.username, panel.password,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> dict[str, Any]:
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return found


async def test_its_requests_find_what_the_panel_is(panel: AxisSimulator) -> None:
    python = await asyncio.to_thread(python_peer, "axis", REQUESTS)
    found = await ended(await start(python, "requests", panel))
    assert found["serial"] == panel.unit.serial
    assert found["firmware"] == panel.unit.firmware
    assert (found["model"], found["type"]) == ("A8207-VE Mk II", "Door Station")
    assert "event-streaming-over-websocket" in found["apis"]
    assert found["ports"]["1"] == ["output", "open", "Door"]
    assert found["ports"]["0"] == ["input", "open", "Button"]
    assert panel.seen["auth_failed"] == 0
    assert panel.openings() == 1


async def test_its_event_stream_hears_what_happens(panel: AxisSimulator) -> None:
    python = await asyncio.to_thread(python_peer, "axis-websocket", *WEBSOCKET)
    process = await start(python, "websocket", panel)
    await until(panel.open_subscriptions, 15)
    await panel.act("door")
    await panel.act("relay", output=1)
    await panel.act("casing")
    await panel.act("vendor_event", topic="Never/Heard", data={"on": "1"})
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode().strip() == axis_client.READY
    found = await ended(process)
    assert found["signals"] == ["playing"]
    heard = {(one["topic"], one["source"], one["source_idx"]): one["value"] for one in found["heard"]}
    assert heard["tns1:Device/tnsaxis:IO/Port", "port", "3"] == "1"
    assert heard["tns1:Device/tnsaxis:IO/OutputPort", "port", "1"] == "1"
    assert heard["tns1:Device/tnsaxis:Casing/Open", "Name", "Casing"] == "1"
    assert ("tnsaxis:Call/State", "Source", "DoorStation") in heard, "states are told to a newcomer"
