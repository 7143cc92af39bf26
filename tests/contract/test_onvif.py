"""The ONVIF driver passes the contract kit: as a camera that speaks Digest, one that speaks WS-Security, and an NVR.

What can be set differs more than that, and is looked at on cameras of each generation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from bridge.driver import Scope
from bridge.model import EventKind
from bridge.testing.checks.base import Contract
from bridge.testing.checks.settings import SettingsChecks
from bridge.testing.contract import DriverContract, Happening, Unit
from drivers.onvif import topics
from drivers.onvif.driver import OnvifDriver
from drivers.onvif.simulated.discovery import DiscoveryResponder
from drivers.onvif.simulator import OnvifSimulator

# What every simulated camera takes, one sample for each kind of object that is written.
SETTINGS: tuple[Mapping[str, Any], ...] = (
    {"hostname": {"name": "gate-7"}},
    {"users": {"viewer": {"role": "user", "password": "view-Pass-4711"}}},
    {"clock": {"time_zone": "MSK-3", "daylight_saving": False}, "ntp": {"servers": ["192.0.2.7"], "from_dhcp": False}},
    {"video_encoder_first": {"resolution": "1280x720", "fps": 10}, "video_encoder_second": {"bitrate": 256}},
)
REFUSED: tuple[Mapping[str, Any], ...] = (
    {"video_encoder_first": {"resolution": "123x45"}},
    {"users": {"a-name-that-no-list-of-users-has-room-for": {"role": "user", "password": "view-Pass-4711"}}},
)


class OnvifContract(Contract):
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
    settings_samples = SETTINGS
    settings_refused = REFUSED

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


class TestCameraWithDigest(OnvifContract, DriverContract):
    simulator_options: ClassVar = {"auth": "digest"}
    config: ClassVar = {"timeout": 1.0, "stream_check": "describe"}
    happenings = CAMERA


class TestCameraWithWsSecurity(OnvifContract, DriverContract):
    drivers = 30
    simulator_options: ClassVar = {"auth": "wsse"}
    happenings = CAMERA


class TestNvr(OnvifContract, DriverContract):
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


class TestSettingsOfMedia1(OnvifContract, SettingsChecks):
    settings_samples = (
        *SETTINGS,
        {"osd_time": {"position": "lower_left", "date_format": "yyyy-MM-dd"}},
        {"osd_text": {"enabled": True, "text": "Gate & <7>", "position": "lower_left"}},
        {"imaging": {"brightness": 60, "contrast": 40, "white_balance": "manual"}},
        {"relays": {"RelayOutput_1": {"mode": "monostable", "duration": "5s", "idle": "closed"}}},
    )


class TestSettingsOfMedia2(OnvifContract, SettingsChecks):
    simulator_options: ClassVar = {"media2": True, "h265": True, "audio": True, "analytics": True, "event_brokers": 2}
    settings_samples = (
        *SETTINGS,
        {"video_encoder_first": {"codec": "h265", "profile": "main", "fps": 15, "bitrate": 1500, "gop": 30}},
        {"audio": {"codec": "aac", "bitrate": 32, "sample_rate": 16}},
        {"motion_detection": {"sensitivity": 35}},
        {"event_targets": {"vms": {"url": "mqtt://192.0.2.9:1883"}}},
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
