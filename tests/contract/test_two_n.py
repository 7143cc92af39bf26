"""The 2N driver passes the contract kit: with each firmware, and where logins differ from service to service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bridge.model import EventKind
from bridge.secrets import Secret
from bridge.testing.contract import DriverContract, Happening
from drivers.two_n import events
from drivers.two_n.driver import TwoNDriver
from drivers.two_n.simulator import TwoNSimulator

SAMPLES: tuple[Mapping[str, Any], ...] = (
    {"call": {"talk": 300, "ring": 45}, "vendor": {"two_n": {"device_name": "North gate & yard"}}},
    {"ntp": {"enabled": False, "servers": ["192.0.2.123"]}, "clock": {"time_zone": "MSK-3"}},
    {
        "sip": {"server": "192.0.2.20", "port": 5070, "username": "301", "password": Secret("sip-Pass-4711")},
        "vendor": {"two_n": {"sip_domain": "pbx.example", "door_open_limit": 60}},
    },
    {"clock": {"time_zone": "EST5EDT,M3.2.0,M11.1.0"}, "sip": {"enabled": False, "display_name": "Nordtor"}},
)


class TwoNContract(DriverContract):
    driver = TwoNDriver
    simulator = TwoNSimulator
    valid_configs = (
        {},
        {"port": 8080, "tls": "insecure", "auth": "digest", "events": "off", "account": 2, "timeout": "5s"},
        {"door_sensor": "input1", "door_sensor_inverted": True},
    )
    invalid_configs = (
        {"port": 0},
        {"tls": True},
        {"auth": "bearer"},
        {"events": "push"},
        {"account": 5},
        {"door_sensor": "in put"},
        {"timeout": 0},
        {"prt": 80},
    )
    config: ClassVar = {"timeout": 1.0}
    patience = 6.0
    drivers = 30
    flood = 2000
    settings_samples = SAMPLES
    settings_refused = (
        {"call": {"talk": 7000}},
        {"clock": {"time_zone": "XXX-3YYY,M1.1.0,M2.1.0"}},
        {"sip": {"username": "x" * 100}},
        {"ntp": {"servers": ["no such name"]}},
    )
    happenings = (
        Happening("ring", EventKind.CALL),
        Happening("card", EventKind.ACCESS, None, {"granted": True}),
        Happening("switch", EventKind.LOCK, True),
        Happening("door", EventKind.DOOR, True),
        Happening("code", EventKind.ACCESS, None, {"granted": False, "session": 8}),
        Happening("switch", EventKind.LOCK, False, {"on": False}),
        Happening("door", EventKind.DOOR, False, {"open": False}),
        Happening("event", EventKind.TAMPER, True, {"name": "TamperSwitchActivated", "params": {"state": "in"}}),
        Happening("event", EventKind.MOTION, False, {"name": "MotionDetected", "params": {"state": "out", "id": 1}}),
        Happening("register", EventKind.SYSTEM, None, {"registered": False}, channel=None),
    )


class TestFirmware250(TwoNContract):
    """Digest, Basic, and with the camera nothing at all."""

    simulator_options: ClassVar = {"schemes": {"camera": "none"}}


class TestFirmware210(TwoNContract):
    """The oldest one, with Basic sent unasked: its clock and its accounts cannot be set, its users are not told of."""

    drivers = 10
    flood = 750
    config: ClassVar = {"timeout": 1.0, "auth": "basic"}
    simulator_options: ClassVar = {
        "firmware": "2.10",
        "schemes": dict.fromkeys(("system", "switch", "phone", "io", "camera", "log"), "basic"),
    }
    settings_samples = (
        {"call": {"talk": 300}, "vendor": {"two_n": {"door_open_limit": 60, "auto_answer": 5}}},
        {"vendor": {"two_n": {"device_name": "Gate"}}},
    )
    settings_refused = ({"call": {"talk": 7000}}, {"relays": {"1": {"duration": 3}}})


def test_the_readme_tells_what_every_event_means() -> None:
    text = Path(events.__file__).with_name("README.md").read_text()
    names = (
        *events.MEANINGS,
        *events.CREDENTIALS,
        "UserAuthenticated",
        "UserRejected",
        "CallStateChanged",
        "KeyPressed",
    )
    assert [name for name in names if f"`{name}`" not in text] == []
