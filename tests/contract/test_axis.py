"""The Axis driver passes the contract kit: with an event stream, and on firmware that is too old for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bridge.model import Capability, EventKind
from bridge.secrets import Secret
from bridge.testing.contract import DriverContract, Happening
from drivers.axis.driver import AxisDriver
from drivers.axis.simulator import AxisSimulator

SAMPLES: tuple[Mapping[str, Any], ...] = (
    {"hostname": {"name": "door-1"}, "osd_text": {"enabled": True, "text": "Main entrance"}},
    {"relays": {"1": {"duration": 7, "mode": "bistable"}, "2": {"mode": "monostable", "idle": "closed"}}},
    {"clock": {"time_zone": "MSK-3", "daylight_saving": False}},
)
CALLS: tuple[Mapping[str, Any], ...] = (
    {"sip": {"server": "192.0.2.41", "username": "7001", "password": Secret("sip-Pass-4711"), "display_name": "Yard"}},
    {"sip": {"port": 5070, "enabled": False}, "call": {"ring": 45, "talk": 120}, "door": {"dtmf": "*9"}},
)


class AxisContract(DriverContract):
    driver = AxisDriver
    simulator = AxisSimulator
    valid_configs = (
        {},
        {
            "port": 8080,
            "tls": "off",
            "timeout": 5,
            "events": "auto",
            "ping": "15s",
            "traps": True,
            "trap_community": "a-secret",
            "outputs": [2, 1],
            "door_sensor": 3,
            "open_seconds": 3,
        },
    )
    invalid_configs = (
        {"port": 0},
        {"tls": True},
        {"events": "push"},
        {"traps": True},
        {"ping": 0},
        {"outputs": [-1]},
        {"open_seconds": 0},
        {"door_sensor": "front"},
        {"prt": 80},
    )
    config: ClassVar = {"timeout": 1.0, "ping": 1.0}
    patience = 6.0
    settings_refused = (
        {"hostname": {"name": "${name}"}},
        {"relays": {"1": {"duration": 0.2}}},
    )


class TestEventStream(AxisContract):
    drivers = 50
    settings_samples = (
        *SAMPLES,
        {"ntp": {"from_dhcp": False, "servers": ["192.0.2.1", "ntp.example.org"]}},
        *CALLS,
        {"vendor": {"axis": {"incoming_calls": False, "traps": True, "trap_receiver": "192.0.2.9"}}},
        {"vendor": {"axis": {"trap_community": Secret("trap-Pass-4711")}}},
    )
    settings_refused = (
        *AxisContract.settings_refused,
        {"ntp": {"servers": ["no server"]}},
        {"call": {"ring": 700}},
        {"clock": {"time_zone": "nowhere"}},
    )
    happenings = (
        Happening("button", EventKind.INPUT, True),
        Happening("call", EventKind.CALL),
        Happening("call", EventKind.CALL, None, {"reason": "AcceptedByRemote"}),
        Happening("dtmf", EventKind.ACCESS),
        Happening("relay", EventKind.LOCK, True),
        Happening("door", EventKind.DOOR, True),
        Happening("call", EventKind.CALL, None, {"reason": "Terminated"}),
        Happening("relay", EventKind.LOCK, False, {"active": False}),
        Happening("door", EventKind.DOOR, False, {"active": False}),
        Happening("card", EventKind.ACCESS),
        Happening("pin", EventKind.ACCESS),
        Happening("motion", EventKind.MOTION, True),
        Happening("casing", EventKind.TAMPER, True),
    )


class TestOldFirmware(AxisContract):
    """AXIS OS 6.50, as it is on the A8105-E: parameters and port.cgi, no event stream."""

    lacks = frozenset({Capability.EVENTS})
    simulator_options: ClassVar = {"model": "A8105-E", "firmware": "6.50.5"}
    drivers = 30
    settings_samples = (*SAMPLES, {"ntp": {"servers": ["192.0.2.1"]}}, CALLS[0])
