"""The BAS-IP driver passes the contract kit: with each way to be reported to, and with each generation of the API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bridge.model import EventKind
from bridge.secrets import Secret
from bridge.testing.checks.base import Contract
from bridge.testing.checks.events import EventChecks
from bridge.testing.contract import DriverContract, Happening
from drivers.basip import driver
from drivers.basip.driver import BasIpDriver
from drivers.basip.simulator import BasIpSimulator

SAMPLES: tuple[Mapping[str, Any], ...] = (
    {"sip": {"server": "sip.example.org", "port": 5070, "username": "2001", "password": Secret("sip-Pass-4711")}},
    {"audio": {"speaker": 80, "microphone": 20}, "call": {"ring": 55, "talk": 90}, "display": {"language": "ru"}},
    {
        "door": {"dtmf": "77", "code": Secret("83619427"), "code_enabled": True},
        "relays": {"1": {"duration": 7}, "2": {"duration": 9}},
        "vendor": {"basip": {"dtmf_2": "88", "sip_transport": "tcp", "sip_registration_interval": 300}},
    },
    {"ntp": {"servers": ["192.0.2.123"]}, "clock": {"time_zone": "EET-2EEST,M3.5.0/3,M10.5.0/4"}},
)
HAPPENINGS = (
    Happening("card", EventKind.ACCESS),
    Happening("exit_button", EventKind.LOCK, True),
    Happening("door", EventKind.DOOR, True),
    Happening("card", EventKind.ACCESS, None, {"granted": False}),
    Happening("door", EventKind.DOOR, False, {"open": False}),
    Happening("code", EventKind.ACCESS),
    Happening("call", EventKind.CALL, None, {"state": "missed"}),
    Happening("tamper", EventKind.TAMPER),
)


class Panel(Contract):
    driver = BasIpDriver
    simulator = BasIpSimulator
    valid_configs = (
        {},
        {"port": 8080, "tls": "off", "auth": "token", "events": "auto", "push": "http", "timeout": 5},
        {"push": "syslog", "syslog_name": "panel-7"},
    )
    invalid_configs = (
        {"port": 0},
        {"tls": True},
        {"auth": "digest"},
        {"events": "push"},
        {"push": "mqtt"},
        {"syslog_name": ""},
        {"timeout": 0},
        {"prt": 80},
    )
    config: ClassVar = {"timeout": 1.0}
    patience = 6.0
    happenings = HAPPENINGS
    settings_samples = SAMPLES
    settings_refused = ({"call": {"talk": 5}}, {"vendor": {"basip": {"sip_registration_interval": 901}}})


class TestOverHttp(Panel, DriverContract):
    settings_samples = (*SAMPLES, {"event_targets": {"syslog": {"url": "syslog://192.0.2.9:5514"}}})


class TestOverSyslog(Panel, EventChecks):
    """Over UDP, where what is too much at once is lost; all else is as above."""

    flood = 500
    config: ClassVar = {"timeout": 1.0, "push": "syslog"}


class TestByItsLog(Panel, DriverContract):
    """A panel without an event server."""

    simulator_options: ClassVar = {"model": "AA-07BD"}
    settings_samples = SAMPLES[2:]
    flood = 1000
    drivers = 20


def test_the_readme_tells_what_every_setting_is() -> None:
    text = Path(driver.__file__).with_name("README.md").read_text()
    table = text[text.index("## Templates") :]
    for path in BasIpDriver.settings:
        section, leaf = path.partition(".")[0], path.rpartition(".")[2]
        assert f"`{section}." in table, path
        assert leaf == "absent" or f"{leaf}`" in table, path
