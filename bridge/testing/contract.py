"""The contract kit: what every driver must pass, ours and those of others.

In the tests of your package:

    from bridge.testing.contract import DriverContract, Happening

    class TestMyDriver(DriverContract):
        driver = MyDriver
        simulator = MySimulator
        valid_configs = [{}, {"port": 8000}]
        invalid_configs = [{"port": 0}, {"prot": 80}]
        config = {"timeout": 1}
        happenings = [Happening("motion", EventKind.MOTION, True, {"active": True})]

and `pytest` runs every check below on it, with any setting of pytest-asyncio, or without it. Everything that can be
said in such a class is in `bridge.testing.checks.base.Contract`; `docs/drivers.md` tells how to go about it.
"""

from __future__ import annotations

from bridge.testing.checks.base import Happening
from bridge.testing.checks.budget import BudgetChecks
from bridge.testing.checks.declaration import DeclarationChecks
from bridge.testing.checks.doors import DoorChecks
from bridge.testing.checks.events import EventChecks
from bridge.testing.checks.health import HealthChecks
from bridge.testing.checks.lifecycle import LifecycleChecks
from bridge.testing.checks.purity import PurityChecks
from bridge.testing.checks.secrets import SecretChecks
from bridge.testing.checks.settings import SettingsChecks
from bridge.testing.harness import Unit

__all__ = ["DriverContract", "Happening", "Unit"]


# The last one is run first.
class DriverContract(
    BudgetChecks,
    SecretChecks,
    SettingsChecks,
    DoorChecks,
    EventChecks,
    LifecycleChecks,
    HealthChecks,
    PurityChecks,
    DeclarationChecks,
):
    """Derive a class whose name begins with `Test`, and say in it what `Contract` asks for."""
