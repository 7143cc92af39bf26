"""The ONVIF driver passes the contract kit: as a camera that speaks Digest, one that speaks WS-Security, and an NVR."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from bridge.driver import Scope
from bridge.model import EventKind
from bridge.testing.contract import DriverContract, Happening, Unit
from drivers.onvif import topics
from drivers.onvif.driver import OnvifDriver
from drivers.onvif.simulated.discovery import DiscoveryResponder
from drivers.onvif.simulator import OnvifSimulator


class OnvifContract(DriverContract):
    driver = OnvifDriver
    simulator = OnvifSimulator
    valid_configs = (
        {},
        {"tls": "off", "auth": "digest", "events": "pull", "stream_check": "describe", "timeout": 5},
        {"events": "off"},
    )
    invalid_configs = (
        {"port": 0},
        {"port": "eighty"},
        {"path": "onvif/device_service"},
        {"tls": True},
        {"auth": "basic"},
        {"timeout": 0},
        {"time_out": 5},
    )
    config: ClassVar = {"timeout": 1.0}
    patience = 5.0

    @asynccontextmanager
    async def scope(self, unit: Unit) -> AsyncIterator[Scope]:
        assert isinstance(unit.simulator, OnvifSimulator)
        responder = DiscoveryResponder()
        host, port = await unit.stage.run(responder.start())
        responder.hello(unit.simulator.state)
        try:
            yield Scope(seconds=0.7, interfaces=("127.0.0.1",), targets=(f"{host}:{port}",))
        finally:

            async def close() -> None:
                responder.close()

            await unit.stage.run(close())


CAMERA = (
    Happening("motion", EventKind.MOTION, True),
    Happening("tamper", EventKind.TAMPER, True),
    Happening("motion", EventKind.MOTION, False, {"active": False}),
    Happening("signal_loss", EventKind.SIGNAL_LOSS, True),
    Happening("input", EventKind.INPUT, True, channel=None),
    Happening("relay", EventKind.RELAY, True, channel=None),
    Happening("storage_failure", EventKind.HARDWARE, True, channel=None),
    Happening("profile_changed", EventKind.CONFIG_CHANGED),
)


class TestCameraWithDigest(OnvifContract):
    simulator_options: ClassVar = {"auth": "digest"}
    config: ClassVar = {"timeout": 1.0, "stream_check": "describe"}
    happenings = CAMERA


class TestCameraWithWsSecurity(OnvifContract):
    drivers = 30
    simulator_options: ClassVar = {"auth": "wsse"}
    happenings = CAMERA


class TestNvr(OnvifContract):
    drivers = 30
    simulator_options: ClassVar = {"channels": 4, "media2": True}
    config: ClassVar = {"timeout": 1.0, "stream_check": "options"}
    happenings = (
        Happening("motion", EventKind.MOTION, True, {"channel": 2}, channel=2),
        Happening("motion", EventKind.MOTION, True, {"channel": 0}, channel=0),
        Happening("motion", EventKind.MOTION, False, {"channel": 2, "active": False}, channel=2),
        Happening("signal_loss", EventKind.SIGNAL_LOSS, True, {"channel": 3}, channel=3),
        Happening("input", EventKind.INPUT, True, channel=None),
    )


def test_the_readme_tells_what_every_topic_means() -> None:
    rows = (Path(topics.__file__).with_name("README.md")).read_text().splitlines()
    told = {
        cells[1].strip().strip("`"): cells[2].strip()
        for row in rows
        if len(cells := row.split("|")) == 5 and "/" in cells[1]
    }
    assert {topic: told.get(topic) for topic in topics.TOPICS} == {
        topic: meaning.kind.value for topic, meaning in topics.TOPICS.items()
    }
    assert all(any(f"`{topic}`" in row for row in rows) for topic in topics.NOISE)
