"""Values out of a request: what is missing or malformed is ter:InvalidArgs, as Core has it."""

from __future__ import annotations

import math
import re

from lxml import etree

from drivers.onvif.simulated.soap import Call, SoapFault, find

_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_LONGEST = 2048


def invalid_args(reason: str) -> SoapFault:
    return SoapFault("Sender", ("ter:InvalidArgs",), reason)


def needed(element: etree._Element, *path: str) -> etree._Element:
    found = find(element, *path)
    if found is None:
        raise invalid_args(f"{path[-1]} is missing")
    return found


def argument(call: Call, name: str) -> etree._Element:
    return needed(call.element, name)


def text(element: etree._Element, *path: str) -> str:
    """The text of an element that has to be there."""
    value = (needed(element, *path).text or "").strip()
    if len(value) > _LONGEST:
        raise invalid_args(f"{path[-1]} is too long")
    return value


def optional(element: etree._Element, *path: str) -> str | None:
    return text(element, *path) if find(element, *path) is not None else None


def as_integer(value: str, name: str) -> int:
    if _INTEGER.fullmatch(value) is None:
        raise invalid_args(f"{name} is no whole number: {value[:40]!r}")
    return int(value)


def as_number(value: str, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise invalid_args(f"{name} is no number: {value[:40]!r}")
    return number


def as_flag(value: str, name: str) -> bool:
    if value not in ("true", "false", "1", "0"):
        raise invalid_args(f"{name} is neither true nor false: {value[:40]!r}")
    return value in ("true", "1")


def integer(element: etree._Element, *path: str) -> int:
    return as_integer(text(element, *path), path[-1])


def number(element: etree._Element, *path: str) -> float:
    return as_number(text(element, *path), path[-1])


def flag(element: etree._Element, *path: str) -> bool:
    return as_flag(text(element, *path), path[-1])


def optional_number(element: etree._Element, *path: str) -> float | None:
    value = optional(element, *path)
    return None if value is None else as_number(value, path[-1])
