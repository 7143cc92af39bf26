"""What the test class of every driver says that is wrong on purpose."""

from __future__ import annotations

from typing import ClassVar

from bridge_driver_acme.simulator import AcmeSimulator

from bridge.model import EventKind
from bridge.testing.contract import DriverContract, Happening


class Broken(DriverContract):
    simulator = AcmeSimulator
    valid_configs = ({},)
    invalid_configs = ({"port": 0},)
    config: ClassVar = {"timeout": 0.5}
    patience = 1.5
    drivers = 20
    happenings = (Happening("motion", EventKind.MOTION, True),)
