"""Numbers of cards: what readers report in a dozen ways, in one way for everybody behind the bridge."""

from __future__ import annotations

import re

from bridge.errors import ProtocolError

DIGITS = 14  # seven bytes, upper-case hex, left-padded with zeros
_HEX = re.compile(r"[0-9A-Fa-f]{1,14}")
_DECIMAL = re.compile(r"[0-9]{1,17}")


def from_hex(text: str, *, reverse: bool = False) -> str:
    """A number in hex, with or without separators between its bytes; `reverse`: last byte first. ProtocolError."""
    digits = re.sub(r"[\s:-]", "", text)
    if not _HEX.fullmatch(digits):
        raise ProtocolError("a card number that is no hex number of up to seven bytes")
    if reverse:
        digits = digits.zfill(len(digits) + len(digits) % 2)
        digits = bytes.fromhex(digits)[::-1].hex()
    return digits.upper().zfill(DIGITS)


def from_decimal(text: str) -> str:
    """A decimal number. ProtocolError for one that does not fit into seven bytes."""
    if not _DECIMAL.fullmatch(text.strip()) or int(text) >= 16**DIGITS:
        raise ProtocolError("a card number that is no decimal number of up to seven bytes")
    return f"{int(text):0{DIGITS}X}"


def to_hex(canon: str, *, even: bool = False, reverse: bool = False) -> str:
    """Without leading zeros; `even`: whole bytes; `reverse`: last byte first, as many bytes as it takes."""
    digits = canon.lstrip("0") or "0"
    if even or reverse:
        digits = digits.zfill(len(digits) + len(digits) % 2)
    return bytes.fromhex(digits)[::-1].hex().upper() if reverse else digits


def to_decimal(canon: str, width: int = 0) -> str:
    return str(int(canon, 16)).zfill(width)
