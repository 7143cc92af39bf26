"""Multipart streams: whole whatever the pieces they come in, forgiving, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ProtocolError
from drivers.transports import keyvalue
from drivers.transports.multipart import HEAD_LIMIT, PART_LIMIT, Part, Reader, boundary_of, parts_of

BODIES = st.lists(st.binary(max_size=200).filter(lambda data: b"--mark" not in data), max_size=6)


def written(bodies: list[bytes], *, end: bytes, length: bool) -> bytes:
    out = b""
    for body in bodies:
        head = b"--mark" + end + b"Content-Type: text/plain; charset=x" + end
        out += head + (b"Content-Length: %d" % len(body) + end if length else b"") + end + body + end
    return out + b"--mark"


@given(BODIES, st.sampled_from([b"\r\n", b"\n"]), st.data())
def test_parts_are_whole_whatever_the_pieces(bodies: list[bytes], end: bytes, data: st.DataObject) -> None:
    wire = written(bodies, end=end, length=True)
    reader, found = Reader("mark"), []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        found += list(reader.feed(wire[:cut]))
        wire = wire[cut:]
    assert found == [Part("text/plain", body) for body in bodies]


@given(BODIES, st.sampled_from([b"\r\n", b"\n"]))
def test_without_lengths_the_next_boundary_ends_a_part(bodies: list[bytes], end: bytes) -> None:
    found = list(Reader("mark").feed(written(bodies, end=end, length=False)))
    assert [part.body for part in found] == [body.rstrip(b"\r\n") for body in bodies]


def test_a_length_that_is_too_short_loses_nothing_of_what_follows() -> None:
    wire = b"--mark\r\nContent-Length: 2\r\n\r\nabcd\r\n--mark\r\nContent-Length: 1\r\n\r\nx\r\n"
    assert [part.body for part in Reader("mark").feed(wire)] == [b"ab", b"x"]


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/mixed; boundary=MIME_boundary", "MIME_boundary"),
        ('multipart/x-mixed-replace; charset=utf-8; Boundary="--my"', "--my"),
        ("multipart/mixed", None),
    ],
)
def test_boundaries(header: str, boundary: str | None) -> None:
    assert boundary_of(header) == boundary


def test_dashes_of_the_boundary_may_stand_in_the_header_too() -> None:
    assert [part.body for part in Reader("--my").feed(b"--my\r\n\r\nx\r\n--my")] == [b"x"]


def test_what_does_not_end_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no end of its head"):
        list(Reader("mark").feed(b"--mark" + b"x" * (HEAD_LIMIT + 1)))
    with pytest.raises(ProtocolError, match="larger than"):
        list(Reader("mark").feed(b"--mark\r\nContent-Length: 99999999\r\n\r\n"))
    with pytest.raises(ProtocolError, match="does not end"):
        list(Reader("mark").feed(b"--mark\r\n\r\n" + b"x" * (PART_LIMIT + HEAD_LIMIT)))
    reader = Reader("mark")
    for _ in range(100):
        assert list(reader.feed(b"x" * 100_000)) == []  # nothing but noise is kept of noise
    assert len(reader._buffer) < 10


def test_a_whole_message() -> None:
    head = b"--mark\r\nContent-Type: "
    body = head + b'application/json\r\n\r\n{"a": 1}\r\n' + head + b"image/jpeg\r\n\r\n\xff\xd8\r\n"
    assert parts_of(body, "multipart/form-data; boundary=mark") == [
        Part("application/json", b'{"a": 1}'),
        Part("image/jpeg", b"\xff\xd8"),
    ]
    with pytest.raises(ProtocolError, match="names no boundary"):
        parts_of(body, "multipart/form-data")


def test_key_value_bodies() -> None:
    assert keyvalue.parse(b"\xef\xbb\xbfDeviceModel = DKS15122\r\nUpTime=1:2:3\r\nnothing\r\n=x\r\nURL=a=b\r\n") == {
        "DeviceModel": "DKS15122",
        "UpTime": "1:2:3",
        "URL": "a=b",
    }
    for junk in (b"<html>", b"a=\0", b"a=b\n" * 30_000):
        with pytest.raises(ProtocolError):
            keyvalue.parse(junk)
