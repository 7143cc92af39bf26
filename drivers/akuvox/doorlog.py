"""The door log: what it says, and what of it is new since the last look.

Its entries have numbers on most firmware; on some, the number is only the place in the list. So what is new goes by the
numbers where they grow with time, and else by the times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drivers.akuvox.told import KEYS, OPENERS, Told, access, opened

_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d-%m-%Y", "%d/%m/%Y")
_NEVER = "0000-00-00 00:00:00"


@dataclass(frozen=True, slots=True)
class Entry:
    """`number` is None where it is none; `stamp` is local time as ISO, "" where it cannot be read."""

    number: int | None
    stamp: str
    type: str
    granted: bool
    code: str
    user: str
    output: str

    @property
    def moment(self) -> datetime | None:
        """By the panel's own clock on the wall."""
        return datetime.fromisoformat(self.stamp) if self.stamp else None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The newest entry that was looked at."""

    number: int = 0
    stamp: str = _NEVER

    def __str__(self) -> str:
        return json.dumps([self.number, self.stamp])

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        try:
            number, stamp = json.loads(text or "")
            return cls(int(number), str(stamp))
        except (ValueError, TypeError):
            return None


def entry(item: Mapping[str, Any]) -> Entry:
    def text(name: str) -> str:
        value = item.get(name)
        return str(value)[:128].strip() if isinstance(value, str | int) else ""

    number = text("ID")
    return Entry(
        number=int(number) if number.isdecimal() and len(number) < 16 else None,
        stamp=_stamp(text("Date"), text("Time")),
        type=text("Type"),
        granted=text("Status").lower().startswith(("succ", "1", "true", "ok")),
        code=text("Code"),
        user=text("Name"),
        output=text("Relay").strip(",;"),
    )


def _stamp(date: str, time: str) -> str:
    for form in _DATES:
        try:
            return str(datetime.strptime(f"{date} {time[:8]}", f"{form} %H:%M:%S"))  # noqa: DTZ007 - local time
        except ValueError:
            continue
    return ""


def counts(entries: Sequence[Entry]) -> bool:
    """Whether their numbers can be gone by: they grow with time, as places in a list do not."""
    numbers = [one.number for one in entries]
    if None in numbers or len(set(numbers)) != len(numbers):
        return False
    in_order = [one.stamp for one in sorted(entries, key=lambda one: one.number or 0) if one.stamp]
    return in_order == sorted(in_order)


def newer(entries: Sequence[Entry], since: Cursor) -> list[Entry]:
    """Those that happened after the cursor, the oldest first."""
    # A log that was emptied begins to count anew: then the times decide.
    if counts(entries) and max((one.number or 0 for one in entries), default=0) >= since.number:
        found = [one for one in entries if (one.number or 0) > since.number]
        return sorted(found, key=lambda one: one.number or 0)
    # They come newest first, and those of one second stay in that order.
    return sorted((one for one in reversed(entries) if one.stamp > since.stamp), key=lambda one: one.stamp)


def advanced(since: Cursor, entries: Sequence[Entry]) -> Cursor:
    """The cursor behind all of these."""
    if not entries:
        return since
    newest = max(entries, key=lambda one: one.stamp)
    numbers = [one.number or 0 for one in entries]
    # A log that was emptied begins to count anew.
    return Cursor(max(numbers), max(newest.stamp, since.stamp if max(numbers) >= since.number else _NEVER))


def told(one: Entry, at: float | None) -> Told:
    word = one.type.lower()
    if (by := KEYS.get(word)) is not None:
        return access(by, one.granted, credential=one.code, user=one.user, output=one.output, at=at, topic="doorlog")
    if one.granted or word in OPENERS:
        return opened(OPENERS.get(word, word), one.output, at=at, topic="doorlog")
    return access(word or "unknown", one.granted, user=one.user, at=at, topic="doorlog")
