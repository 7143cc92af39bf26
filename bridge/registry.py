"""Drivers, found through the entry-point group `device_bridge.drivers`.

A driver of any installed package takes part by declaring itself there; nothing is ever imported by a name that
a configuration chose. A driver that cannot be loaded is listed with the reason and hurts no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from bridge.driver import API_VERSION, AnyDriver, Driver
from bridge.model import Kind

DRIVERS = "device_bridge.drivers"
SIMULATORS = "device_bridge.simulators"


class BrokenDriver(Exception):
    """The driver is installed and cannot be used; the text says why and whose it is."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A driver as its package declares it, not yet imported."""

    name: str
    package: str
    version: str
    entry: EntryPoint


@cache
def _declared(group: str) -> dict[str, tuple[Installed, ...]]:
    found: dict[str, dict[tuple[str, str], Installed]] = {}
    for entry in entry_points(group=group):
        package = entry.dist.name if entry.dist else "?"
        version = entry.dist.version if entry.dist else "?"
        # The same package seen twice on the path (an editable install, say) is still one driver.
        found.setdefault(entry.name, {})[package, entry.value] = Installed(entry.name, package, version, entry)
    return {name: tuple(found[name].values()) for name in sorted(found)}


def names() -> list[str]:
    return list(_declared(DRIVERS))


def installed() -> list[Installed]:
    return [one for several in _declared(DRIVERS).values() for one in several]


@cache
def load(name: str) -> type[AnyDriver]:
    """The driver class of that name. Raises KeyError for an unknown name, BrokenDriver for an unusable one."""
    candidates = _declared(DRIVERS)[name]
    if len(candidates) > 1:
        packages = " and ".join(one.package for one in candidates)
        raise BrokenDriver(f"driver {name!r} is declared by {packages}: uninstall all but one")
    one = candidates[0]
    try:
        driver = one.entry.load()
    except Exception as error:
        raise BrokenDriver(
            f"driver {name!r} of {one.package} {one.version} does not import: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(driver, type) and issubclass(driver, Driver)):
        raise BrokenDriver(f"driver {name!r} of {one.package}: {one.entry.value} is not a bridge.driver.Driver")
    if driver.api_version != API_VERSION:
        raise BrokenDriver(
            f"driver {name!r} of {one.package} {one.version} is written for driver API {driver.api_version}, "
            f"this bridge has {API_VERSION}: update the older of the two"
        )
    if driver.name != name:
        raise BrokenDriver(f"driver {name!r} of {one.package} calls itself {driver.name!r}: the two must agree")
    if problem := driver.problem():
        raise BrokenDriver(f"driver {name!r} cannot work here: {problem}")
    return driver


@cache
def load_simulator(name: str) -> Any:
    """The simulator class that comes with a driver (`bridge.testing.simulator.Simulator`). KeyError if none."""
    return _declared(SIMULATORS)[name][0].entry.load()


@cache
def panel_simulators() -> tuple[str, ...]:
    """The drivers whose simulators can be a panel: ONVIF, and every family that is nothing else."""
    families = [name for name in _declared(SIMULATORS) if load_simulator(name).kinds == frozenset({Kind.INTERCOM})]
    return ("onvif", *families)
