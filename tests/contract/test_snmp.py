"""The SNMP driver passes the contract kit: each version of the protocol, both clients, each kind of device."""

from __future__ import annotations

from typing import ClassVar

from bridge.model import Capability, EventKind, Kind
from bridge.testing.contract import DriverContract, Happening
from bridge.testing.simulator import Fault
from drivers.snmp.driver import SnmpDriver
from drivers.snmp.simulator import SnmpSimulator

# A datagram is whole or not there, and nothing in SNMP sends a client elsewhere.
NOT_OVER_UDP = frozenset({Fault.DRIP, Fault.REDIRECT, Fault.ENTITY_BOMB})
# With a community nobody is refused; the agent is silent (RFC 3584).
NOT_IN_V2C = NOT_OVER_UDP | {Fault.WRONG_PASSWORD}


class SnmpContract(DriverContract):
    driver = SnmpDriver
    simulator = SnmpSimulator
    valid_configs = (
        {},
        {"port": 1161, "version": "3", "auth": "sha512", "privacy": "aes256", "privacy_password": "another-pass"},
        {"version": "1", "client": "pysnmp", "profile": "hikvision", "timeout": 5, "traps": False},
        {"trap_community": "traps", "off_seconds": 10, "ports": {1: {"interface": 49, "poe": "1.1"}}},
    )
    invalid_configs = (
        {"port": 0},
        {"version": 2},
        {"auth": "sha"},
        {"profile": "hickvision"},
        {"ports": {0: {}}},
        {"ports": {1: {"poe": "one"}}},
        {"community": "public"},
        {"timeout": 0},
    )
    config: ClassVar = {"timeout": 1.0}
    patience = 8.0
    late = 0.05
    # What one takes is the same with more of them, and the simulated agent takes twenty times as long as a poll.
    drivers = 20
    traps = True
    impossible = NOT_IN_V2C


AXIS = (
    Happening("alarm", EventKind.HARDWARE, True, channel=None, timed=False),
    Happening("authentication_failure", EventKind.SYSTEM, channel=None, timed=False),
    Happening("alarm", EventKind.HARDWARE, False, {"active": False}, channel=None, timed=False),
)
SWITCH = (
    Happening("link", EventKind.HARDWARE, True, {"port": 3, "up": False}, channel=None, timed=False),
    Happening("link", EventKind.HARDWARE, False, {"port": 3, "up": True}, channel=None, timed=False),
)


class TestCamera(SnmpContract):
    lacks = frozenset({Capability.POWER_CYCLE})
    happenings = AXIS


class TestSwitch(SnmpContract):
    lacks = frozenset({Capability.STREAMS})
    simulator_options: ClassVar = {"kind": Kind.SWITCH}
    happenings = SWITCH


class TestServerWithVersion3(SnmpContract):
    drivers = 10
    lacks = frozenset({Capability.POWER_CYCLE, Capability.STREAMS})
    simulator_options: ClassVar = {"kind": Kind.SERVER, "version": "3"}
    impossible = NOT_OVER_UDP
    happenings = (Happening("authentication_failure", EventKind.SYSTEM, channel=None, timed=False),)


class TestCameraWithPysnmp(SnmpContract):
    lacks = frozenset({Capability.POWER_CYCLE})
    config: ClassVar = {"timeout": 1.0, "client": "pysnmp"}
    happenings = AXIS
    drivers = 5
    cpu_per_poll = 0.05


class TestSwitchWithPysnmpAndVersion3(SnmpContract):
    lacks = frozenset({Capability.STREAMS})
    simulator_options: ClassVar = {"kind": Kind.SWITCH, "version": "3", "auth": "sha512", "privacy": "aes256"}
    config: ClassVar = {"timeout": 1.0, "client": "pysnmp"}
    impossible = NOT_OVER_UDP
    happenings = SWITCH
    # Each has an engine of its own; the README says so.
    drivers = 4
    memory_per_driver = 4 << 20
    cpu_per_poll = 0.2
