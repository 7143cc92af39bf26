"""The Acme driver passes the contract kit, as a camera with a password and as an intercom with a token."""

from __future__ import annotations

from typing import ClassVar

from bridge_driver_acme.driver import AcmeDriver
from bridge_driver_acme.simulator import AcmeSimulator

from bridge.model import EventKind, Kind
from bridge.testing.contract import DriverContract, Happening


class TestAcme(DriverContract):
    driver = AcmeDriver
    simulator = AcmeSimulator
    valid_configs = ({}, {"port": 8080, "auth": "bearer", "timeout": 2.5})
    invalid_configs = ({"port": 0}, {"auth": "digest"}, {"timeout": -1}, {"prot": 80})
    config: ClassVar = {"timeout": 1.0}  # so that the kit does not wait long for a device that is silent
    patience = 4.0
    happenings = (
        Happening("motion", EventKind.MOTION, True),
        Happening("button", EventKind.INPUT),
        Happening("door", EventKind.RELAY, True),
        Happening("motion", EventKind.MOTION, False, {"active": False}),
        Happening("cover", EventKind.TAMPER, True),
    )
    settings_samples = (
        {"osd_text": {"text": "Gate", "position": "lower_left"}},
        {"hostname": {"name": "gate-1"}, "vendor": {"acme": {"light": False}}},
    )
    settings_refused = ({"osd_text": {"text": "far too long for the small picture of an intercom"}},)


class TestIntercomWithToken(TestAcme):
    simulator_options: ClassVar = {"kind": Kind.INTERCOM, "auth": "bearer"}
    settings_samples = ({"sip": {"server": "192.0.2.8", "username": "410", "password": "sip-Pass-4711"}},)
    settings_refused = ({"sip": {"password": "onlyletters"}},)
