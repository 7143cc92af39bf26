"""Values as agents send them: of another type than the MIB says, with units, with zero bytes at the end."""

from __future__ import annotations

import re

from drivers.snmp.clients.seam import Value

TEXT = 256
_NUMBER = re.compile(r"\s*([-+]?\d{1,18}(?:\.\d{1,9})?)")


def text(value: Value | None) -> str:
    """ "" for what is not there."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.rstrip(b"\0").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in str(value)[:TEXT]).strip()


def number(value: Value | None) -> int | float | None:
    """Also of "15 PERCENT" and "512 MB" (Hikvision), and of a load as text (UCD-SNMP-MIB)."""
    if value is None or isinstance(value, int | float):
        return value
    found = _NUMBER.match(text(value))
    if found is None:
        return None
    return float(found[1]) if "." in found[1] else int(found[1])


def integer(value: Value | None) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def mac(value: Value | None) -> str | None:
    """Of six bytes, or of text in any of its forms."""
    if isinstance(value, bytes) and len(value) == 6:
        digits = value.hex()
    else:
        digits = "".join(letter for letter in text(value).lower() if letter in "0123456789abcdef")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2)) if len(digits) == 12 and int(digits, 16) else None
