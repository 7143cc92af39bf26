"""What a device would take: for each setting that it has, the values that are legal there.

A driver reads these with the settings. They are shown to people ("legal: h264, h265"), they refuse a template before
anything is written, and where the template says `values: nearest` they choose the nearest legal value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.secrets import Secret
from bridge.settings.vocabulary import NAMED, Flat, Value, split

# Legal values that are shown of a long list.
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class OneOf:
    """These values and no others. Resolutions (`1920x1080`) and numbers have a nearest one, words have not."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers from `low` to `high`, in steps from `low` on where `step` is not 0.

    Two values that differ by no more than `tolerance` are the same: a percentage that went through a device's own
    scale comes back rounded.
    """

    low: float
    high: float
    step: float = 0.0
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Text:
    """Words of that many characters."""

    longest: int = 255
    shortest: int = 0


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of words, that many at most."""

    most: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone, as POSIX writes it. Two are the same when they are as far from UTC and do not contradict each other
    in summer: Hikvision answers `CST-8:00:00` and Dahua `GMT+08:00`, whatever they were told."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """It can be read, and not be set."""


@dataclass(frozen=True, slots=True)
class Anything:
    """The device says nothing about it; what it takes shows when it is written."""


@dataclass(frozen=True, slots=True)
class Either:
    """What any of these takes: a number of seconds, or the word `off`."""

    limits: tuple[OneOf | Between | Text, ...]


Limit = OneOf | Between | Text | Texts | Zone | Fixed | Anything | Either
FLAG: Final = OneOf((False, True))


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that a channel of a device has, with what is legal for each.

    `fields` are by path; `users.*.role` holds for every user. A setting that is not in it is one that the device does
    not have. `given` has what holds instead while another setting has a certain value: the frame rates of H.265, under
    `("video_encoder_first.codec", Codec.H265)`.
    """

    fields: Mapping[str, Limit] = field(default_factory=dict)
    given: Mapping[tuple[str, Value], Mapping[str, Limit]] = field(default_factory=dict)

    def of(self, path: str, values: Flat) -> Limit | None:
        """The limit of a setting while the device has `values`; None for one that it does not have."""
        for (other, value), table in self.given.items():
            if path in table and values.get(other) == value:
                return table[path]
        if path in self.fields:
            return self.fields[path]
        section, _, leaf = split(path)
        return self.fields.get(f"{section}.*.{leaf}") if section in NAMED else None


def same(limit: Limit | None, one: Value, other: Value) -> bool:
    """Whether two values of a setting are the same to the device."""
    if isinstance(limit, Between) and _is_number(one) and _is_number(other):
        return bool(abs(one - other) <= limit.tolerance + 1e-9)
    if isinstance(limit, Zone) and isinstance(one, str) and isinstance(other, str):
        (first, summer), (second, other_summer) = _zone(one), _zone(other)
        return first is not None and first == second and (summer == other_summer or not summer or not other_summer)
    # 25 and 25.0 are the same, True and 1 are not.
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def allows(limit: Limit, value: Value) -> bool:
    """Whether the device would take the value, as far as it says."""
    match limit:
        case OneOf(values):
            return any(same(None, value, legal) for legal in values)
        case Between(low, high, step):
            if not _is_number(value) or not low - 1e-9 <= value <= high + 1e-9:
                return False
            return not step or abs((value - low) / step - round((value - low) / step)) < 1e-6
        case Text(longest, shortest):
            text = value.reveal() if isinstance(value, Secret) else value
            return isinstance(text, str) and shortest <= len(text) <= longest
        case Texts(most):
            return isinstance(value, tuple) and len(value) <= most
        case Zone():
            return isinstance(value, str) and _zone(value)[0] is not None
        case Either(limits):
            return any(allows(one, value) for one in limits)
        case Fixed():
            return False
        case Anything():
            return True


def nearest(limit: Limit, value: Value) -> Value:
    """The legal value that is nearest, or None where nothing is near: words have no distance."""
    if allows(limit, value):
        return value
    match limit:
        case OneOf(values):
            size = _size(value)
            if size is None:
                return None
            # Of two that are equally near the smaller one: it costs less.
            sized = [(abs(other - size), other, legal) for legal in values if (other := _size(legal)) is not None]
            return min(sized, key=lambda one: one[:2])[2] if sized else None
        case Between(low, high, step) if _is_number(value):
            within = min(max(value, low), high)
            if step:
                within = low + round((within - low) / step) * step
                within = within if within <= high + 1e-9 else within - step
            return type(value)(round(within, 6)) if float(within).is_integer() else round(within, 6)
        case Either(limits):
            return next((near for one in limits if (near := nearest(one, value)) is not None), None)
        case _:
            return None


def legal(limit: Limit) -> str:
    """What is legal, for people."""
    match limit:
        case OneOf(values):
            shown = ", ".join(_shown(value) for value in values[:_SHOWN])
            return shown + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")
        case Between(low, high, step):
            return f"{low:g} to {high:g}" + (f" in steps of {step:g}" if step not in (0, 1) else "")
        case Text(longest, shortest):
            return f"{shortest} to {longest} characters" if shortest else f"up to {longest} characters"
        case Texts(most):
            return f"up to {most} entries"
        case Zone():
            return "a POSIX time zone, like CET-1CEST,M3.5.0,M10.5.0"
        case Either(limits):
            return ", or ".join(map(legal, limits))
        case Fixed():
            return "it cannot be changed"
        case Anything():
            return "anything"


# `MSK-3`, `<+05>-5:30`, with anything about summer behind it. West of Greenwich is positive (POSIX.1, chapter 8).
_POSIX = re.compile(r"(?:[A-Za-z]{3,12}|<[A-Za-z0-9+-]{1,10}>)([+-]?)(\d{1,2})(?::(\d\d))?(?::(\d\d))?(.*)", re.DOTALL)
# Dahua: east of Greenwich is positive.
_EAST = re.compile(r"(?:GMT|UTC)([+-])(\d\d):(\d\d)")


def east_of_utc(zone: str) -> int | None:
    """Seconds that a POSIX time zone is ahead of UTC outside of summer time; None for what is no time zone."""
    return _zone(zone)[0]


def _zone(text: str) -> tuple[int | None, str]:
    """Seconds east of UTC, and what is said about summer time; None for what is no time zone."""
    if match := _EAST.fullmatch(text):
        sign, hours, minutes = match.groups()
        return (1 if sign == "+" else -1) * (int(hours) * 3600 + int(minutes) * 60), ""
    if match := _POSIX.fullmatch(text):
        sign, hours, *rest, summer = match.groups()
        minutes, seconds = (int(part or 0) for part in rest)
        if int(hours) <= 24:
            return (1 if sign == "-" else -1) * (int(hours) * 3600 + minutes * 60 + seconds), summer
    return (0, "") if text in ("UTC", "GMT") else (None, "")


def _shown(value: Value) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(value: Value) -> float | None:
    """How large a number is, or how many pixels a resolution has."""
    if _is_number(value):
        return float(value)
    width, cross, height = value.partition("x") if isinstance(value, str) else ("", "", "")
    return float(width) * float(height) if cross and width.isdecimal() and height.isdecimal() else None
