"""The Hikvision driver passes the contract kit: with old firmware and with new, which differ in all that hurts."""

from __future__ import annotations

from typing import Any, ClassVar

from bridge.model import EventKind
from bridge.secrets import Secret
from bridge.testing.contract import DriverContract, Happening
from drivers.hikvision.driver import HikvisionDriver
from drivers.hikvision.simulator import HikvisionSimulator


class HikvisionContract(DriverContract):
    driver = HikvisionDriver
    simulator = HikvisionSimulator
    valid_configs = (
        {},
        {"port": 8080, "tls": "off", "events": "webhook", "calls": "poll", "silence": 60, "timeout": 5},
        {"events": "log", "calls": "off"},
    )
    invalid_configs = (
        {"port": 0},
        {"tls": True},
        {"events": "syslog"},
        {"calls": True},
        {"silence": 1},
        {"timeout": 0},
        {"prt": 80},
    )
    config: ClassVar[Any] = {"timeout": 0.7, "silence": 30}
    patience = 6.0
    happenings = (
        Happening("card", EventKind.ACCESS, None, {"card": "0012345678"}),
        Happening("lock", EventKind.LOCK, True),
        Happening("door", EventKind.DOOR, True),
        Happening("lock", EventKind.LOCK, False, {"on": False}),
        Happening("door", EventKind.DOOR, False, {"on": False}),
        Happening("code", EventKind.ACCESS, None, {"granted": False}),
        Happening("motion", EventKind.MOTION, True),
        Happening("exit_button", EventKind.INPUT, True),
        Happening("tamper", EventKind.TAMPER, True),
        Happening("motion", EventKind.MOTION, False, {"active": False}),
    )
    settings_samples = (
        {
            "audio": {"speaker": 50, "microphone": 90},
            "call": {"ring": 45, "talk": 100},
            "relays": {"1": {"duration": 8}},
        },
        {"sip": {"server": "sip.example.net", "port": 5070, "username": "205", "password": Secret("sip-Pass-4711")}},
        {"ntp": {"servers": ["192.0.2.4"]}, "clock": {"time_zone": "CST-5:00:00"}, "osd_text": {"text": "Gate 7"}},
        {
            "vendor": {"hikvision": {"device_name": "Gate 7", "talk_volume": 20}},
            "users": {"guard": {"role": "operator", "password": Secret("guard-P-4711")}},
        },
    )
    settings_refused = (
        {"call": {"ring": 3000}},
        {"clock": {"time_zone": "CET-1CEST,M3.5.0,M10.5.0"}},
        {"vendor": {"hikvision": {"device_name": "a<b"}}},
        {"users": {"guard": {"role": "operator"}}},
    )


class TestOldFirmware(HikvisionContract):
    """Heartbeats, calls in the stream, the older namespace."""

    drivers = 50
    simulator_options: ClassVar[Any] = {"profile": "kv6113", "heartbeat": 0.05}
    happenings = (
        *HikvisionContract.happenings,
        Happening("ring", EventKind.CALL),
        Happening("answer", EventKind.CALL),
        Happening("hang_up", EventKind.CALL),
    )


class TestNewFirmware(HikvisionContract):
    """No heartbeats, calls have to be asked for, each nonce is good for one request."""

    drivers = 10
    simulator_options: ClassVar[Any] = {"profile": "kv6124", "nonce_once": True}
