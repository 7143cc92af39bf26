"""What differs between models and firmware, as a table. The first row that fits is a unit's.

A unit's own word (its capabilities) comes first where it has one; these are what no panel tells of itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Traits:
    """`rings`: its event stream reports calls. `calls`: it can be asked how its call is. `fingerprints`: it has a
    reader for them; codes 38 and 39 mean something else on panels without one."""

    rings: bool
    calls: bool = True
    fingerprints: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """`model` is a pattern, `since` the lowest firmware as (major, minor)."""

    model: str
    since: tuple[int, int]
    traits: Traits


# Panels and door stations are silent about rings since firmware 3.7: Scrypted's and Home Assistant's users found out.
MODELS: Sequence[Row] = (
    Row(r"DS-(KV|KD|KB|HD)", (3, 7), Traits(rings=False)),
    Row(r"DS-(KV|KD|KB|HD)", (0, 0), Traits(rings=True)),
    Row(r"DS-K1T", (0, 0), Traits(rings=True, calls=False, fingerprints=True)),
    Row(r"DS-K", (0, 0), Traits(rings=True, calls=False)),
    Row(r"", (0, 0), Traits(rings=False)),
)


def traits_of(model: str, firmware: str) -> Traits:
    version = version_of(firmware)
    return next(row.traits for row in MODELS if re.match(row.model, model.upper()) and version >= row.since)


def version_of(firmware: str) -> tuple[int, int]:
    """Major and minor of `V3.9.0`, `V2.2.53 build 210521`; (0, 0) for what is none."""
    match = _VERSION.search(firmware)
    return (int(match[1]), int(match[2])) if match else (0, 0)
