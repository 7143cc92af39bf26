"""What is asked of whom: one data file for each family in `profiles/`, numeric OIDs, no MIB at run time.

A profile says where an agent tells who it is, which of its values become facts, which column tells of a video signal,
and what its traps mean. A family is recognised by its sysObjectID, or by a `sign`, an object that only it has.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bridge.model import EventKind, Kind

Oid = Annotated[str, Field(pattern=r"^\d+(\.\d+)+$")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Data):
    """An object of which a text is made: whole, or the first group of `pattern`."""

    oid: Oid
    pattern: str | None = None


class Value(_Data):
    """An object, or with `tables` a column, that becomes a fact: a number, or one of `words`."""

    name: str
    oid: Oid
    words: Mapping[int, str] = {}


class Signal(_Data):
    """The column that tells for each video channel whether there is a picture."""

    oid: Oid
    up: tuple[int, ...]


class Meaning(_Data):
    """What a notification means. `source`: the objects in it that say which of several it is about."""

    oid: Oid
    topic: str
    kind: EventKind
    active: bool | None = None
    source: tuple[Oid, ...] = ()
    data: Mapping[str, str] = {}


class Profile(_Data):
    title: str
    objects: tuple[Oid, ...] = ()
    sign: Oid | None = None
    manufacturer: str | Source = ""
    model: Source
    firmware: Source | None = None
    serial: Source | None = None
    hardware: Source | None = None
    mac: Source | None = None
    facts: tuple[Value, ...] = ()
    tables: tuple[Value, ...] = ()
    signal: Signal | None = None
    traps: tuple[Meaning, ...] = ()


# What every agent may send (RFC 3418, RFC 2863). The end of a condition has the topic of its beginning.
_LINK = {"source": ("1.3.6.1.2.1.2.2.1.1",), "topic": "IF-MIB/linkDown", "kind": EventKind.HARDWARE}
STANDARD = (
    Meaning(oid="1.3.6.1.6.3.1.1.5.1", topic="SNMPv2-MIB/coldStart", kind=EventKind.REBOOT),
    Meaning(oid="1.3.6.1.6.3.1.1.5.2", topic="SNMPv2-MIB/warmStart", kind=EventKind.REBOOT),
    Meaning(oid="1.3.6.1.6.3.1.1.5.3", active=True, **_LINK),
    Meaning(oid="1.3.6.1.6.3.1.1.5.4", active=False, **_LINK),
    Meaning(oid="1.3.6.1.6.3.1.1.5.5", topic="SNMPv2-MIB/authenticationFailure", kind=EventKind.SYSTEM),
)


@cache
def load() -> dict[str, Profile]:
    """All profiles by name. Read once; they are as immutable as code."""
    folder = files("drivers.snmp").joinpath("profiles")
    return {
        entry.name.removesuffix(".toml"): Profile.model_validate(tomllib.loads(entry.read_text("utf-8")))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }


def by_object(object_id: str) -> str | None:
    """The name of the profile for a sysObjectID."""
    for name, profile in load().items():
        if any(object_id == own or object_id.startswith(f"{own}.") for own in profile.objects):
            return name
    return None


def signs() -> dict[str, str]:
    """The names of profiles by the object that only their family has."""
    return {profile.sign: name for name, profile in load().items() if profile.sign is not None}


def generic(kind: Kind) -> str:
    return "switch" if kind is Kind.SWITCH else "host"


@cache
def meanings(name: str) -> Mapping[str, Meaning]:
    """What notifications mean to a family, by their OID."""
    return {one.oid: one for one in (*STANDARD, *load()[name].traps)}


def meaning(name: str, trap: str) -> Meaning | None:
    """A trap of v1 has a 0 before its last number where the same of v2c may have none (Dahua)."""
    known = meanings(name)
    front, _, last = trap.rpartition(".")
    return known.get(trap) or (known.get(f"{front.removesuffix('.0')}.{last}") if front.endswith(".0") else None)
