"""The panel's time zone: an offset (`GMT+3:00`) and the name of a city, which tells about summer time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

OFFSET = "Config.Settings.SNTP.TimeZone"
CITY = "Config.Settings.SNTP.Name"
_OFFSET = re.compile(r"(?:GMT|UTC)?\s*(?:([+-])\s*(\d{1,2})(?::?([0-5]\d))?)?")
_WINTER = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


@cache
def _cities() -> dict[str, str]:
    return {name.rpartition("/")[2].lower(): name for name in sorted(available_timezones(), reverse=True)}


def offset(text: str) -> int | None:
    """Seconds east of UTC; None for what is no time zone."""
    match = _OFFSET.fullmatch(text.strip())
    if not text.strip() or match is None or int(match[2] or 0) > 14:
        return None
    seconds = int(match[2] or 0) * 3600 + int(match[3] or 0) * 60
    return -seconds if match[1] == "-" else seconds


def zone(text: str, city: str) -> tzinfo | None:
    """By the city where it is one that lies there, else by the offset alone. None where it is not known."""
    seconds = offset(text)
    if seconds is None:
        return None
    if (name := _cities().get(city.strip().replace(" ", "_").lower())) is not None:
        found = ZoneInfo(name)
        # In the southern half winter is in July.
        if any(found.utcoffset(day) == timedelta(seconds=seconds) for day in _WINTER):
            return found
    return timezone(timedelta(seconds=seconds))


def posix(seconds: int) -> str:
    """As POSIX writes it, without summer time: `<+03>-3`."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    clock = f"{hours:02}{minutes:02}" if minutes else f"{hours:02}"
    east = f"{hours}:{minutes:02}" if minutes else str(hours)
    return f"<{'-' if seconds < 0 else '+'}{clock}>{'' if seconds < 0 else '-'}{east}"


def written(seconds: int) -> str:
    """As the panel writes it: `GMT+3:00`."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"GMT{'-' if seconds < 0 else '+'}{hours}:{minutes:02}"


def moment(local: datetime, where: tzinfo | None) -> float | None:
    """Seconds since the epoch of a time on the panel's wall."""
    return None if where is None else local.replace(tzinfo=where).timestamp()


def nearest_year(month: int, day: int, clock: str, now: float) -> datetime | None:
    """The header of a line has no year: it is the one that is nearest to now. None for a date that there is not."""
    today = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    found = []
    for year in (today.year - 1, today.year, today.year + 1):
        try:
            found.append(datetime.fromisoformat(f"{year}-{month:02}-{day:02} {clock}"))
        except ValueError:
            continue
    return min(found, key=lambda one: abs(one - today), default=None)
