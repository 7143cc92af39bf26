"""What the models and firmwares of the family can do, as data. What a unit tells of itself goes before this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """`relays`: how many doors it may have. `posts`: the configuration takes POST, else one GET for each key.
    `encodes`: passwords go there in base64."""

    relays: int = 4
    posts: bool = True
    encodes: bool = False


# By the beginning of the model's name, then of its firmware; the first row that fits. Sources: SmartYard-Server (S532,
# base64), the vendor's HTTP API manual (E16, GET), the capability matrix of pylocal-akuvox (IT83, A08S, E12).
_TABLE: tuple[tuple[str, str, Profile], ...] = (
    ("E16", "", Profile(relays=2, posts=False)),
    ("E12", "", Profile(relays=1)),
    ("E11", "", Profile(relays=1)),
    ("S53", "", Profile(relays=2, encodes=True)),
    ("IT8", "", Profile(relays=2)),
    ("A08", "", Profile(relays=2)),
    ("R20", "", Profile(relays=2)),
    ("R29", "", Profile(relays=3)),
)
_OTHER = Profile()


def profile_of(model: str, firmware: str) -> Profile:
    name = model.upper().removeprefix("SP-")
    return next((row for prefix, band, row in _TABLE if name.startswith(prefix) and firmware.startswith(band)), _OTHER)
