"""Time zones: 2N devices name them as the IANA database does, or give an offset; templates write them as POSIX does."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,3}")
_OFFSET = re.compile(r"UTC([+\-\u2212])(\d\d):(\d\d)")
_FIXED = re.compile(r"(?:[A-Za-z]{3,12}|<[A-Za-z0-9+-]{1,10}>)([+-]?)(\d{1,2})(?::(\d\d))?(?::\d\d)?")
_TIME = re.compile(r"/\d+(?::\d+)*")


def of_name(name: str) -> str | None:
    """The POSIX rule of a zone, from the last line of its file (RFC 8536); None for one that nobody here knows."""
    name = name.replace(" ", "_")  # the manual has "America/Los Angeles"
    if not _NAME.fullmatch(name):
        return None
    for folder in zoneinfo.TZPATH:
        file = Path(folder, name)
        if file.is_file():
            data = file.read_bytes()
            return data.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace") if data[:4] == b"TZif" else None
    return None


def of_offset(custom: str) -> str | None:
    """`UTC+03:00` as POSIX has it, where west is positive."""
    match = _OFFSET.fullmatch(custom)
    if match is None:
        return None
    west, hours, minutes = match[1] != "+", int(match[2]), int(match[3])
    tail = f":{minutes:02d}" if minutes else ""
    shown = f"{'-' if west else '+'}{hours:02d}" + (f"{minutes:02d}" if minutes else "")
    return f"<{shown}>{'' if west else '-'}{hours}{tail}"


def to_offset(posix: str) -> str | None:
    """`UTC+03:00` for a zone without summer time, else None."""
    match = _FIXED.fullmatch(posix)
    if match is None or int(match[2]) > 24:
        return "UTC+00:00" if posix in ("UTC", "GMT") else None
    away = f"{int(match[2]):02d}:{match[3] or '00'}"
    return f"UTC{'+' if match[1] == '-' or away == '00:00' else '-'}{away}"


def to_name(posix: str, offered: Iterable[str]) -> str | None:
    """One of the zones that a device offers that follows a rule. Templates often leave away at what time of the day
    clocks change, so that this alone makes no difference."""
    rules = {name: rule for name in offered if (rule := of_name(name))}
    exact = (name for name, rule in rules.items() if rule == posix)
    alike = (name for name, rule in rules.items() if _TIME.sub("", rule) == _TIME.sub("", posix))
    return next(exact, None) or next(alike, None)
