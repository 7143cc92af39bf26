"""Lines of syslog, as panels send them: RFC 3164, RFC 5424 with structured data, RFC 3339 times, and none of these.

Tolerant, because every family has its dialect: a line always comes out, with as much of a header as could be read and
the rest as its text. What a text means, each family's own table of phrases says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

LINE_LIMIT = 8192  # bytes; RFC 5424 asks for 2048 at least

_PRIORITY = re.compile(r"<(\d{1,3})> ?")
_5424 = re.compile(
    r"1 (?P<time>\S{1,64}) (?P<host>\S{1,255}) (?P<app>\S{1,48}) (?P<process>\S{1,128}) (?P<message_id>\S{1,32}) ?"
    r"(?=-|\[)"
)
_3339 = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) "
    r"(?P<host>[^\s:\[]{1,255}) (?P<app>[^\s:\[\]]{1,48})(?:\[(?P<process>[^\]\s]{1,128})\])?:? "
)
_3164 = re.compile(
    r"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(?P<day>\d{1,2}) (?P<clock>\d\d:\d\d:\d\d) "
    r"(?:(?P<host>[^\s:\[]{1,255}) )?"
)
# `app[pid]: text`, `app: text`; `Door Station 812: text` of Beward, whose names have spaces in them.
_TAG = re.compile(r"(?P<app>[^\s:\[\]]{1,48})(?:\[(?P<process>[^\]\s]{1,128})\])?: ?")
_NUMBERED = re.compile(r"(?P<app>[^:\[\]]{1,48}?) (?P<process>\d{1,10}): ?")
_ELEMENT = re.compile(r'\[(?P<id>[^\s=\]"]{1,64})(?P<pairs>(?: [^\s=\]"]{1,64}="(?:[^"\\\]]|\\.){0,2048}")*)\]')
_PAIR = re.compile(r' ([^\s=\]"]{1,64})="((?:[^"\\\]]|\\.){0,2048})"')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Line:
    """One message. What its header did not say, or not legibly, is "" or None.

    `time` is in seconds since the epoch where the message names a zone. Without one, `local` has what the device's own
    clock showed: year (None in RFC 3164), month, day, and time of day as it stands. `data` is RFC 5424's structured
    data, `element.name` to value. `raw` is all of it. `hint`: whose it is, only the line itself says.
    """

    text: str
    facility: int | None = None
    severity: int | None = None
    host: str = ""
    app: str = ""
    process: str = ""
    message_id: str = ""
    time: float | None = None
    local: tuple[int | None, int, int, str] | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""
    hint: bool = False


def parse(raw: bytes | str) -> Line:
    """Never raises: a line that cannot be read is its own text."""
    text = raw[:LINE_LIMIT] if isinstance(raw, str) else raw[:LINE_LIMIT].decode("utf-8", errors="replace")
    whole = line = text.replace("\0", " ").strip("\r\n \t\ufeff")
    facility = severity = None
    if (match := _PRIORITY.match(line)) and int(match[1]) < 192:
        facility, severity = divmod(int(match[1]), 8)
        line = line[match.end() :]
    told: dict[str, str] = {}
    local: tuple[int | None, int, int, str] | None = None
    data: Mapping[str, str] = {}
    if match := _5424.match(line):
        told = {name: "" if value == "-" else value for name, value in match.groupdict().items()}
        data, line = _structured(line[match.end() :])
    elif match := _3339.match(line):
        told = match.groupdict("")
        line = line[match.end() :]
    elif match := _3164.match(line):
        local = (None, _MONTHS.index(match["month"]) + 1, int(match["day"]), match["clock"])
        told = {"host": match["host"] or ""}
        line = line[match.end() :]
    if not told.get("app") and (match := _TAG.match(line) or _NUMBERED.match(line)):
        told |= match.groupdict("")
        line = line[match.end() :]
    time, shown = _moment(told.get("time", ""))
    return Line(
        line.lstrip("\ufeff"),
        facility,
        severity,
        told.get("host", ""),
        told.get("app", ""),
        told.get("process", ""),
        told.get("message_id", ""),
        time,
        local or shown,
        data,
        whole,
    )


def _structured(text: str) -> tuple[dict[str, str], str]:
    """The elements at the start of a text, and what follows them."""
    if text.startswith("-"):
        return {}, text[1:].lstrip(" ")
    data: dict[str, str] = {}
    at = 0
    while match := _ELEMENT.match(text, at):
        for name, value in _PAIR.findall(match["pairs"]):
            data[f"{match['id']}.{name}"] = re.sub(r"\\([\"\\\]])", r"\1", value)
        at = match.end()
    return data, text[at:].lstrip(" ")


def _moment(text: str) -> tuple[float | None, tuple[int, int, int, str] | None]:
    """Seconds since the epoch, or without a zone what the clock showed."""
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).timestamp(), None
    except (ValueError, OverflowError):
        return None, None
    return None, (moment.year, moment.month, moment.day, f"{moment:%H:%M:%S}")


class Frames:
    """Messages of a TCP stream (RFC 6587): counted octets where a line begins with a number, else one a line."""

    __slots__ = ("_buffer", "_passing_over")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._passing_over = False  # inside a message that is too long: up to the next end of a line

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now. One that is too long is cut at the limit, and its rest is passed over."""
        buffer, found = self._buffer, []
        buffer += data
        while buffer:
            space = buffer.find(b" ", 0, 7)
            count = bytes(buffer[:space]) if space > 0 else b""
            if not self._passing_over and count.isdigit() and 0 < int(count) <= LINE_LIMIT:
                if len(buffer) < space + 1 + int(count):
                    break
                found.append(bytes(buffer[space + 1 : space + 1 + int(count)]))
                del buffer[: space + 1 + int(count)]
                continue
            end = buffer.find(b"\n")
            if end < 0:
                if len(buffer) > LINE_LIMIT:
                    if not self._passing_over:
                        found.append(bytes(buffer[:LINE_LIMIT]))
                    self._passing_over = True
                    buffer.clear()
                break
            if not self._passing_over and end:
                found.append(bytes(buffer[: min(end, LINE_LIMIT)]))
            self._passing_over = False
            del buffer[: end + 1]
        return found
