"""POSIX 1003.1 time zones, section 8.3: `std offset [dst [offset] [,start[/time],end[/time]]]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+\-]{3,}>)"
_OFFSET = r"[+\-]?\d{1,2}(?::\d{1,2}(?::\d{1,2})?)?"
_DATE = r"(?:M\d{1,2}\.\d\.\d|J?\d{1,3})"
_RULE = rf"{_DATE}(?:/{_OFFSET})?"
_ZONE = re.compile(rf"({_NAME})({_OFFSET})(?:({_NAME})({_OFFSET})?(?:,({_RULE}),({_RULE}))?)?", re.ASCII)
# What POSIX leaves open and everybody takes: the rules of the United States.
_USUAL = ("M3.2.0", "M11.1.0")
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Zone:
    """Offsets in seconds east of UTC. `dst` is None for a zone without summer time."""

    name: str
    standard: int
    dst: int | None = None
    start: str = ""
    end: str = ""

    def offset(self, epoch: float, *, daylight: bool) -> int:
        """Seconds east of UTC at that moment; `daylight` says whether summer time counts."""
        if self.dst is None or not daylight:
            return self.standard
        year = datetime.fromtimestamp(epoch + self.standard, UTC).year
        begins = _moment(self.start, year) - self.standard
        ends = _moment(self.end, year) - self.dst
        # South of the equator summer is on both ends of the year.
        summer = begins <= epoch < ends if begins < ends else not ends <= epoch < begins
        return self.dst if summer else self.standard


def parse_zone(text: str) -> Zone:
    """ValueError for what POSIX does not allow."""
    match = _ZONE.fullmatch(text)
    if match is None:
        raise ValueError(f"no POSIX 1003.1 time zone: {text[:64]!r}")
    name, standard, dst, dst_offset, start, end = match.groups()
    east = -_seconds(standard, 24)
    if dst is None:
        return Zone(name, east)
    zone = Zone(
        name, east, -_seconds(dst_offset, 24) if dst_offset else east + _HOUR, start or _USUAL[0], end or _USUAL[1]
    )
    for rule in (zone.start, zone.end):
        _moment(rule, 2024)
    return zone


def _seconds(text: str, most: int) -> int:
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = (*map(int, text.lstrip("+-").split(":")), 0, 0)[:3]
    if hours > most or minutes > 59 or seconds > 59:
        raise ValueError(f"no offset of a time zone: {text!r}")
    return sign * (hours * _HOUR + minutes * 60 + seconds)


def _moment(rule: str, year: int) -> float:
    """When a rule comes true in a year: seconds since the epoch as if local time were UTC."""
    date, _, time = rule.partition("/")
    if date.startswith("M"):
        month, week, day = map(int, date[1:].split("."))
        if not (1 <= month <= 12 and 1 <= week <= 5 and day <= 6):
            raise ValueError(f"no rule of a time zone: {rule!r}")
        first = datetime(year, month, 1, tzinfo=UTC)
        # Sunday is 0 in POSIX and 6 in Python.
        at = first + timedelta(days=(day - 1 - first.weekday()) % 7 + 7 * (week - 1))
        if at.month != month:
            at -= timedelta(days=7)
    else:
        number = int(date.lstrip("J"))
        if number > 365 or (date.startswith("J") and number < 1):
            raise ValueError(f"no rule of a time zone: {rule!r}")
        leap = datetime(year, 3, 1, tzinfo=UTC) - datetime(year, 2, 28, tzinfo=UTC) == timedelta(days=2)
        # J counts from 1 and leaves out 29 February.
        days = number - 1 + (leap and number >= 60) if date.startswith("J") else number
        at = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=days)
    return at.timestamp() + (_seconds(time, 167) if time else 2 * _HOUR)
