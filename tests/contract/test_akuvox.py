"""The Akuvox driver passes the contract kit: heard by its lines, and by its action URLs."""

from __future__ import annotations

from typing import ClassVar

from bridge.model import EventKind
from bridge.secrets import Secret
from bridge.testing.contract import DriverContract, Happening
from drivers.akuvox.driver import AkuvoxDriver
from drivers.akuvox.simulator import AkuvoxSimulator


class AkuvoxContract(DriverContract):
    driver = AkuvoxDriver
    simulator = AkuvoxSimulator
    valid_configs = (
        {},
        {"port": 443, "tls": "insecure", "auth": "digest", "gap": 0.5, "events": "off", "syslog_name": "gate-1"},
        {"relay_username": "door", "relay_password": "a-secret", "picture_password": "other", "timeout": 5},
    )
    invalid_configs = (
        {"port": 0},
        {"tls": "on"},
        {"auth": "none"},
        {"gap": -1},
        {"events": "push"},
        {"syslog_name": ""},
        {"timeout": 0},
        {"prt": 80},
    )
    config: ClassVar = {"timeout": 1.0, "gap": 0}
    patience = 6.0
    drivers = 40
    settings_samples = (
        {"osd_text": {"enabled": True, "text": "Gate 1"}, "audio": {"speaker": 100, "microphone": 0}},
        {"motion_detection": {"enabled": True, "sensitivity": 25}, "call": {"ring": 30, "talk": 600}},
        {"door": {"dtmf": "5"}, "relays": {"1": {"duration": 8, "idle": "closed"}, "2": {"mode": "bistable"}}},
        {"vendor": {"akuvox": {"location": "Yard", "hang_up_button": False, "time_zone_city": "Berlin"}}},
        {"event_targets": {"syslog": {"url": "syslog://192.0.2.7:5514"}}},
        {"clock": {"time_zone": "<+01>-1"}, "ntp": {"enabled": False, "servers": ["192.0.2.1", "192.0.2.2"]}},
        {"sip": {"server": "sip.example.com", "username": "2002", "password": Secret("sip-Pass-4711")}},
    )
    settings_refused = (
        {"osd_text": {"text": "Подъезд 1"}},
        {"call": {"ring": 600}},
        {"event_targets": {"other": {"url": "syslog://192.0.2.7:5514"}}},
        {"event_targets": {"syslog": {"url": "mqtt://192.0.2.7:1883"}}},
    )


class TestLines(AkuvoxContract):
    """A panel without action URLs, whose target for syslog holds at once."""

    simulator_options: ClassVar = {"action_urls": False, "reboot_for_syslog": False}
    happenings = (
        Happening("card", EventKind.ACCESS, None, {"code": "1A2B3C4D"}),
        Happening("code", EventKind.ACCESS, None, {"granted": False}),
        Happening("button", EventKind.LOCK),
        Happening("call", EventKind.CALL, None, {"number": "1000000012", "name": "12"}),
        Happening("answer", EventKind.CALL),
        Happening("dtmf", EventKind.LOCK),
        Happening("finish", EventKind.CALL),
        Happening("motion", EventKind.MOTION, True),
    )


class TestActionUrls(AkuvoxContract):
    """A panel without syslog, with HTTP Basic."""

    flood = 250  # the listener takes fifty a second from one device
    drivers = 10
    settings_samples = AkuvoxContract.settings_samples[:1] + AkuvoxContract.settings_samples[-1:]
    settings_refused = AkuvoxContract.settings_refused[:1]
    simulator_options: ClassVar = {"model": "X916", "auth": "basic", "syslog": False}
    happenings = (
        Happening("card", EventKind.ACCESS, None, {"code": "1A2B3C4D"}, timed=False),
        Happening("face", EventKind.ACCESS, None, {"granted": False}, timed=False),
        Happening("relay", EventKind.LOCK, True, {"number": 2}, timed=False),
        Happening("relay", EventKind.LOCK, False, {"number": 2, "on": False}, timed=False),
        Happening("input", EventKind.INPUT, True, timed=False),
        Happening("input", EventKind.INPUT, False, {"on": False}, timed=False),
        Happening("call", EventKind.CALL, timed=False),
        Happening("hang_up", EventKind.CALL, timed=False),
        Happening("tamper", EventKind.TAMPER, True, timed=False),
        Happening("break_in", EventKind.DOOR, True, timed=False),
    )
