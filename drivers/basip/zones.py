"""Time zones as panels write them: `UTC+03:00` (Android, Linux), `GMT+3` (older), or a region (`Europe/Kyiv`).

The first two are offsets and become POSIX (`<+03>-3`); a region is a name that only its panel can read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_OFFSET = re.compile(r"(UTC|GMT)(?:±00:00|([+-])(\d{1,2})(?::?(\d\d))?)?")
_NAME = r"(?:[A-Za-z]{3,12}|<[A-Za-z0-9+-]{1,10}>)"
_POSIX = re.compile(_NAME + r"([+-]?)(\d{1,2})(?::(\d\d))?(?::\d\d)?(?:\D.*)?", re.DOTALL)


def offset(word: str) -> int | None:
    """Minutes east of UTC; None for a region."""
    found = _OFFSET.fullmatch(word.strip())
    if found is None:
        return None
    _, sign, hours, minutes = found.groups()
    east = int(hours or 0) * 60 + int(minutes or 0)
    return -east if sign == "-" else east


def posix(word: str) -> str | None:
    """`UTC+05:30` as `<+0530>-5:30`; None for a region."""
    east = offset(word)
    if east is None:
        return None
    if east == 0:
        return "UTC0"
    hours, minutes = divmod(abs(east), 60)
    name = f"{'+' if east > 0 else '-'}{hours:02d}" + (f"{minutes:02d}" if minutes else "")
    west = f"{'-' if east > 0 else ''}{hours}" + (f":{minutes:02d}" if minutes else "")
    return f"<{name}>{west}"


def word(zone: str, like: str, available: Sequence[str]) -> str | None:
    """A POSIX zone in the words of a panel that says `like` now; None where it has none for it. Summer time is a
    setting of its own on these panels, so that only the offset counts."""
    east = 0 if zone in ("UTC", "GMT") else _east(zone)
    if east is None:
        return None
    if available:
        return next((one for one in available if offset(one) == east), None)
    hours, minutes = divmod(abs(east), 60)
    sign = "-" if east < 0 else "+"
    if like.startswith("GMT"):
        return f"GMT{sign}{hours}" + (f":{minutes:02d}" if minutes else "")
    return f"UTC{sign}{hours:02d}:{minutes:02d}" if east else "UTC±00:00"


def _east(zone: str) -> int | None:
    found = _POSIX.fullmatch(zone)
    if found is None:
        return offset(zone)
    sign, hours, minutes = found.groups()
    west = int(hours) * 60 + int(minutes or 0)
    return west if sign == "-" else -west
