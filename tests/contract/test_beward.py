"""The Beward driver passes the contract kit: a house panel over syslog, a door panel over its stream of alarms."""

from __future__ import annotations

from typing import ClassVar

from bridge.model import EventKind
from bridge.secrets import Secret
from bridge.testing.contract import DriverContract, Happening
from drivers.beward.driver import BewardDriver
from drivers.beward.simulator import BewardSimulator


class BewardContract(DriverContract):
    driver = BewardDriver
    simulator = BewardSimulator
    valid_configs = (
        {},
        {"port": 8080, "tls": "off", "auth": "digest", "events": "off", "syslog_name": "IPC1692", "timeout": 5},
    )
    invalid_configs = (
        {"port": 0},
        {"tls": True},
        {"auth": "bearer"},
        {"events": "syslog"},
        {"syslog_name": ""},
        {"timeout": 0},
        {"prt": 80},
    )
    config: ClassVar = {"timeout": 1.0}
    patience = 5.0


class TestHouseOverSyslog(BewardContract):
    drivers = 50
    happenings = (
        Happening("motion", EventKind.MOTION, True),
        Happening("card", EventKind.ACCESS),
        Happening("code", EventKind.ACCESS, details={"apartment": 7}),
        Happening("ring", EventKind.CALL),
        Happening("answer", EventKind.CALL),
        Happening("dtmf", EventKind.LOCK),
        Happening("hang_up", EventKind.CALL),
        Happening("button", EventKind.LOCK, details={"second": True}),
        Happening("motion", EventKind.MOTION, False, {"active": False}),
        Happening("tamper", EventKind.TAMPER, True),
    )
    settings_samples = (
        {"call": {"ring": 55, "talk": 120}, "door": {"dtmf": "7", "code_enabled": True}},
        {"relays": {"1": {"duration": 9, "idle": "closed"}}, "audio": {"speaker": 80}},
        {"ntp": {"servers": ["192.0.2.7"]}, "clock": {"time_zone": "<+05>-5"}, "display": {"text": "House 7"}},
        {
            "sip": {"server": "192.0.2.8", "username": "2042", "password": Secret("sip-Pass-4711")},
            "osd_text": {"text": "Gate"},
            "hostname": {"name": "gate-1"},
            "event_targets": {"syslog": {"url": "udp://192.0.2.9:514"}},
        },
        {"door": {"code": Secret("31415926")}},
        {
            "vendor": {
                "beward": {"volume_gate_in_vol": 12, "auto_collect_keys": True, "sos_number": "911", "dtmf_second": "8"}
            }
        },
    )
    settings_refused = (
        {"call": {"ring": 3000}},
        {"clock": {"time_zone": "<+0545>-5:45"}},
        {"event_targets": {"syslog": {"url": "mqtt://192.0.2.9"}}},
        {"event_targets": {"other": {"url": "udp://192.0.2.9"}}},
    )


class TestDoorOverItsStream(BewardContract):
    drivers = 30
    flood = 1500
    simulator_options: ClassVar = {"profile": "ds_plain", "auth": "digest", "forms_redirect": True}
    happenings = (
        Happening("motion", EventKind.MOTION, True),
        Happening("sensor", EventKind.INPUT, True),
        Happening("motion", EventKind.MOTION, False, {"active": False}),
    )
    settings_samples = (
        {"door": {"dtmf": "9"}},
        {"sip": {"username": "2042", "password": Secret("sip-Pass-4711")}, "hostname": {"name": "gate-2"}},
        {"vendor": {"beward": {"volume_audio_out_vol_talk": 11}}, "ntp": {"enabled": False}},
    )
    settings_refused = ({"osd_text": {"text": "x" * 80}},)
