"""The panel's clock: what it shows, its time zones by number, and when a line without year and zone was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.settings.limits import east_of_utc

# The numbers of time zones, with hours east of UTC. Several stand for one: the first of them is what is written.
ZONES: Mapping[int, float] = {
    **{number: float(number - 12) for number in range(8)},
    8: -5.0, 9: -4.0, 10: -3.5, 11: -3.0, 12: -2.0, 13: -1.0, 14: 0.0,
    15: 1.0, 16: 1.0, 17: 1.0, 18: 1.0, 19: 2.0, 20: 2.0, 21: 3.0, 22: 3.5, 23: 4.0, 24: 4.5, 25: 5.0, 26: 5.5,
    27: 6.0, 28: 7.0, 29: 8.0, 30: 9.0, 31: 9.5, 32: 10.0, 33: 11.0, 34: 12.0,
}  # fmt: skip
_NUMBERS: Mapping[float, int] = {hours: number for number, hours in reversed([*ZONES.items()])}
_QUARTER = 900  # seconds; no zone on earth is finer

# `10 3, 2026 14:24:26 21 192.168.1.30`: month, day, year, time, number of the zone, NTP server.
_SHOWN = re.compile(
    r"\s*(?P<month>\d{1,2}|[A-Za-z]{3,9})[ ,]+(?P<day>\d{1,2})[ ,]+(?P<year>\d{4})[ ,]+"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2}):(?P<second>\d{1,2})(?:[ ,]+(?P<zone>\d{1,2})(?:[ ,]|$))?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Clock:
    """`zone` is in seconds east of UTC, `offset` in seconds that it is ahead of ours."""

    zone: float
    offset: float

    def moment(self, local: tuple[int | None, int, int, str] | None, wall: float) -> float | None:
        """When, in seconds since the epoch by the panel's clock, it showed that; the year is the nearest to now."""
        if local is None:
            return None
        year, month, day, clock = local
        now = wall + self.offset
        this_year = datetime.fromtimestamp(now + self.zone, UTC).year
        found = [
            at - self.zone
            for one in ([year] if year is not None else [this_year - 1, this_year, this_year + 1])
            if (at := _epoch(one, month, day, clock)) is not None
        ]
        return min(found, key=lambda at: abs(at - now), default=None)


def clock(text: str, wall: float) -> Clock | None:
    """What date_cgi answers, read at `wall` (seconds since the epoch). None for what is no such answer.

    Where it names no zone, its clock is taken to be right to a few minutes, and the zone for the rest.
    """
    match = _SHOWN.match(text)
    if match is None:
        return None
    word = match["month"].lower()[:3]
    month = int(word) if word.isdigit() else _MONTHS.index(word) + 1 if word in _MONTHS else 0
    time = f"{match['hour']}:{match['minute']}:{match['second']}"
    local = _epoch(int(match["year"]), month, int(match["day"]), time)
    if local is None:
        return None
    number = int(match["zone"]) if match["zone"] else -1
    zone = ZONES[number] * 3600 if number in ZONES else round((local - wall) / _QUARTER) * _QUARTER
    return Clock(zone, local - zone - wall)


def posix(number: int) -> str | None:
    """A zone as POSIX writes it."""
    if number not in ZONES:
        return None
    minutes = round(ZONES[number] * 60)
    sign, hours, rest = "-" if minutes < 0 else "+", *divmod(abs(minutes), 60)
    tail = f":{rest:02d}" if rest else ""
    return f"<{sign}{hours:02d}{f'{rest:02d}' if rest else ''}>{'+' if minutes < 0 else '-'}{hours}{tail}"


def number(zone: str) -> int | None:
    """The panel's number for a zone, whatever its summer is; None when it has none that far from UTC."""
    east = east_of_utc(zone)
    return None if east is None else _NUMBERS.get(east / 3600)


def _epoch(year: int, month: int, day: int, clock: str) -> float | None:
    try:
        hour, minute, second = map(int, clock.split(":"))
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
