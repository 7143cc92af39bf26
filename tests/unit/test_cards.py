"""Numbers of cards go through every way of writing them and come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ProtocolError
from drivers.transports.cards import DIGITS, from_decimal, from_hex, to_decimal, to_hex

CANON = st.integers(0, 16**DIGITS - 1).map(lambda number: f"{number:0{DIGITS}X}")


@given(CANON, st.booleans(), st.booleans())
def test_hex(canon: str, even: bool, reverse: bool) -> None:
    assert from_hex(to_hex(canon, even=even, reverse=reverse), reverse=reverse) == canon
    assert from_hex(to_hex(canon, even=even).lower()) == canon


@given(CANON, st.integers(0, 17))
def test_decimal(canon: str, width: int) -> None:
    assert from_decimal(to_decimal(canon, width)) == canon


@pytest.mark.parametrize(
    ("written", "canon"),
    [("75BC01AD", "00000075BC01AD"), ("00-00-00-1A-2B-3C-4D", "0000001A2B3C4D"), ("1a2b3c", "000000001A2B3C")],
)
def test_as_readers_write_them(written: str, canon: str) -> None:
    assert from_hex(written) == canon


def test_last_byte_first() -> None:
    assert from_hex("4D3C2B1A", reverse=True) == "0000001A2B3C4D"
    assert to_hex("0000001A2B3C4D", reverse=True) == "4D3C2B1A"
    assert to_decimal("0000001A2B3C4D", 10) == "0439041101"


@pytest.mark.parametrize("text", ["", "xyz", "123456789012345", "-"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        from_hex(text)


@pytest.mark.parametrize("text", ["", "12a", "99999999999999999", "-1", "1" * 40])
def test_what_is_no_decimal_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        from_decimal(text)
