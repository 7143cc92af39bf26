"""What devices reported lately, for people and scripts: a bounded list in memory, newest last.

Pushes tell the VMS about changes of status; motion, tamper, inputs and vendor events have no push of their own and
end up here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count


@dataclass(frozen=True, slots=True)
class Entry:
    """One condition that began or ended, or one momentary event. `at` and `source_time` are seconds since the
    epoch, the latter by the device's clock; `reason` is event or timeout."""

    number: int
    at: float
    device: str
    channel: str | None
    kind: str
    active: bool | None
    reason: str = "event"
    source: str = ""
    source_time: float | None = None
    topic: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


class Journal:
    def __init__(self, bound: int = 2000) -> None:
        self._entries: deque[Entry] = deque(maxlen=bound)
        self._numbers = count(1)

    def add(
        self,
        *,
        at: float,
        device: str,
        channel: str | None,
        kind: str,
        active: bool | None,
        reason: str = "event",
        source: str = "",
        source_time: float | None = None,
        topic: str = "",
        data: Mapping[str, str] | None = None,
    ) -> None:
        self._entries.append(
            Entry(
                next(self._numbers), at, device, channel, kind, active, reason, source, source_time, topic, data or {}
            )
        )

    def after(self, number: int, limit: int = 500) -> list[Entry]:
        """Entries with a higher number, oldest first."""
        return [entry for entry in self._entries if entry.number > number][:limit]
