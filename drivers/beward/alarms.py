"""The stream of alarms: `alarmchangestate_cgi`, lines of text without an end. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.model import EventKind
from drivers.beward.lines import TEXT_LIMIT, Meaning

LINE_LIMIT = 4096  # bytes

# `2019-07-28;00:57:27;MotionDetection;1;0`
_LINE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2});(\d{1,2}:\d{1,2}:\d{1,2});([^;]{1,500});(\d{1,3})(?:;[^;]{0,200}){0,4};?"
)
_NAMES = {
    "MotionDetection": (EventKind.MOTION, "motion"),
    "SensorAlarm": (EventKind.INPUT, "SensorAlarm"),
    "SensorOutAlarm": (EventKind.RELAY, "SensorOutAlarm"),
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """`local` is what the panel's clock showed: year, month, day, time."""

    what: Meaning
    local: tuple[int, int, int, str]


class Lines:
    """Cuts a stream into lines, with a bound. `bad` counts those that are none."""

    __slots__ = ("_buffer", "_skipping", "bad")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipping = False
        self.bad = 0

    def feed(self, data: bytes) -> Iterator[Alarm]:
        """The alarms that are whole now. A line that cannot be read costs that line."""
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            raw, skipped = bytes(self._buffer[:end]), self._skipping
            del self._buffer[: end + 1]
            self._skipping = False
            text = raw.decode("utf-8", errors="replace").strip()
            if not text and not skipped:
                continue
            alarm = None if skipped or len(raw) > LINE_LIMIT else read(text)
            if alarm is None:
                self.bad += 1
            else:
                yield alarm
        if len(self._buffer) > LINE_LIMIT:
            self._buffer.clear()
            self._skipping = True


def read(text: str) -> Alarm | None:
    """One line; None for what is none."""
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    year, month, day, time, name, state = match.groups()
    local = (int(year), int(month), int(day), time)
    if name in _NAMES:
        kind, topic = _NAMES[name]
        return Alarm(Meaning(kind, topic, state != "0", "0"), local)
    return Alarm(Meaning(EventKind.VENDOR, "alarm", data={"name": name[:TEXT_LIMIT], "state": state}), local)
