"""Multipart streams without an end (RFC 2046): events from Hikvision, Dahua, DoorBird and their like.

Devices get this wrong in every way there is: the boundary with and without its leading dashes, in quotes or not, a
Content-Length that is missing or too short, CRLF or LF. The reader forgives all of that and is bounded in all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.errors import ProtocolError

PART_LIMIT = 1 << 20
HEAD_LIMIT = 16 << 10

_BOUNDARY = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `content_type` is in lower case, without parameters."""

    content_type: str
    body: bytes


def boundary_of(content_type: str) -> str | None:
    """The boundary that a Content-Type header names."""
    match = _BOUNDARY.search(content_type)
    return match[1].strip() if match else None


class Reader:
    """Takes bytes as they come, gives parts as they become whole."""

    def __init__(self, boundary: str) -> None:
        # `--myboundary` in the header, and `--myboundary` (not `----myboundary`) on the wire: Dahua.
        self._mark = b"--" + boundary.removeprefix("--").encode()
        self._buffer = bytearray()
        self._inside = False  # behind a boundary: a head follows

    def feed(self, data: bytes) -> Iterator[Part]:
        """Raises ProtocolError for a part that is larger than any event with its picture."""
        self._buffer += data
        while (part := self._next()) is not None:
            yield part
        if len(self._buffer) > PART_LIMIT + HEAD_LIMIT:
            raise ProtocolError("a part of its event stream does not end", bytes(self._buffer[:512]))

    def _next(self) -> Part | None:
        buffer = self._buffer
        if not self._inside:
            at = buffer.find(self._mark)
            if at < 0:
                # Half a mark may stand at the end.
                del buffer[: max(0, len(buffer) - len(self._mark))]
                return None
            del buffer[: at + len(self._mark)]
            self._inside = True
        end = _HEAD_END.search(buffer, 0, HEAD_LIMIT)
        if end is None:
            if len(buffer) > HEAD_LIMIT:
                raise ProtocolError("a part of its event stream has no end of its head", bytes(buffer[:512]))
            return None
        head = _head(bytes(buffer[: end.start()]))
        announced = head.get("content-length", "")
        if announced.isdecimal() and len(announced) < 9:
            length = int(announced)
            if length > PART_LIMIT:
                raise ProtocolError(f"a part of its event stream is larger than {PART_LIMIT >> 10} KB")
            if len(buffer) < end.end() + length:
                return None
            body = bytes(buffer[end.end() : end.end() + length])
            del buffer[: end.end() + length]
            self._inside = False
            # Too short a length: what is left of the body stands before the next mark, and is passed over there.
        else:
            following = buffer.find(self._mark, end.end())
            if following < 0:
                return None
            body = bytes(buffer[end.end() : following]).rstrip(b"\r\n")
            del buffer[:following]
            self._inside = False
        return Part(head.get("content-type", "").partition(";")[0].strip().lower(), body)


def parts_of(body: bytes, content_type: str) -> list[Part]:
    """The parts of a whole body, as webhooks bring it: an event, and the picture that goes with it."""
    boundary = boundary_of(content_type)
    if boundary is None:
        raise ProtocolError("its multipart message names no boundary", body[:512])
    # A last part without a length ends where the body does.
    return list(Reader(boundary).feed(body + b"\r\n--" + boundary.removeprefix("--").encode()))


def _head(data: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in data.decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip() for name, separator, value in lines if separator}
