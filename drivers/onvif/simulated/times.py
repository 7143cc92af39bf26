"""Durations and date-times as a device reads and writes them: XML Schema part 2, sections 3.2.6 and 3.2.7.

ONVIF Core wants UTC with `Z` in everything it sends, and understands an offset in what it is sent.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone

_DAY = 86_400.0
# Calendar units have no fixed length; nobody asks a camera for a subscription of years to the second.
_UNITS = (365 * _DAY, 30 * _DAY, _DAY, 3600.0, 60.0, 1.0)
_DURATION = re.compile(
    r"P(?=[\dT])(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})D)?"
    r"(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)
_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,12})?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `PT1M` or `P1DT0.5S`. ValueError for anything else, negative ones too."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a duration: {text[:40]!r}")
    return math.fsum(float(amount) * unit for amount, unit in zip(match.groups(), _UNITS, strict=True) if amount)


def format_duration(seconds: float) -> str:
    """`PT90S`, `PT0.25S`: seconds only, to the millisecond."""
    return f"PT{seconds:.3f}".rstrip("0").rstrip(".") + "S"


def parse_datetime(text: str) -> float:
    """Seconds since the epoch of an `xs:dateTime`; without a zone it is taken for UTC. ValueError if it is none."""
    match = _DATETIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a dateTime: {text[:40]!r}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    offset = UTC
    if zone and zone != "Z":
        sign = -1 if zone[0] == "-" else 1
        offset = timezone(sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])))
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=offset)
    return moment.timestamp() + float(fraction or 0)


def to_utc(epoch: float) -> datetime:
    """The moment in UTC, held inside the years that Python and XML Schema both know."""
    return datetime.fromtimestamp(min(max(epoch, 0.0), 253_402_300_799.0), UTC)


def format_datetime(epoch: float) -> str:
    """`2026-11-23T17:39:17Z`."""
    return to_utc(epoch).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_unpadded(epoch: float) -> str:
    """`2026-1-1T0:0:0Z`, which is no dateTime and is sent all the same (`Quirk.BAD_DATETIME`)."""
    at = to_utc(epoch)
    return f"{at.year}-{at.month}-{at.day}T{at.hour}:{at.minute}:{at.second}Z"
