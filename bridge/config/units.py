"""Durations and sizes as people write them: `1h30m`, `250ms`, `1MB`."""

from __future__ import annotations

import math
import re

_DURATIONS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}  # in milliseconds
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in _DURATIONS), re.ASCII)
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>B|[KMG]I?B|)", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_LONGEST = 40  # characters; keeps numbers within what a float can hold


def parse_duration(value: object) -> float:
    """Seconds, of `1h30m`, `2d`, `250ms` (largest unit first, each once) or a plain number of seconds.

    Raises ValueError, whose text does not repeat the value.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value) or value < 0:
            raise ValueError("must be a duration that is finite and not negative")
        return float(value)
    if isinstance(value, str) and 0 < len(value) <= _LONGEST:
        if _NUMBER.fullmatch(value):
            return float(value)
        if match := _DURATION.fullmatch(value):
            parts = ((unit, text) for unit, text in match.groupdict().items() if text is not None)
            return sum(float(text) * _DURATIONS[unit] for unit, text in parts) / 1000
    raise ValueError("must be a duration")


def format_duration(seconds: float) -> str:
    """The short form that `parse_duration` reads back, exact to the millisecond: 5400.0 is `1h30m`, 0 is `0s`."""
    left = round(seconds * 1000)
    text = ""
    for unit, size in _DURATIONS.items():
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def parse_size(value: object) -> int:
    """Bytes, of `512KB`, `1.5MB`, `2GB` (powers of 1000), `1MiB` (of 1024), or a plain number of bytes.

    Raises ValueError, whose text does not repeat the value.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and len(value) <= _LONGEST and (match := _SIZE.fullmatch(value)):
        return round(float(match["number"]) * _SIZES[match["unit"].upper()])
    raise ValueError("must be a size")
