"""Between those who hear a device (listeners, streams, polls) and `events()`: one bounded queue, nothing twice."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

from bridge.clock import Wake
from bridge.driver import DriverIO
from bridge.model import DeviceEvent

REMEMBERED = 500  # keys of events, so that one that is told again is known


class Inbox:
    """Events of one device, in the order in which they came.

    `fresh`: an event that is older than so many seconds is history, and marked so. `offset` is how far the device's
    clock is ahead of ours, in seconds; whoever reads that clock says it here.
    """

    __slots__ = ("_bound", "_fresh", "_io", "_queue", "_seen", "_wake", "late", "offset", "repeated")

    def __init__(self, io: DriverIO, *, fresh: float = 60.0, bound: int = 500) -> None:
        self._io = io
        self._fresh = fresh
        self._bound = bound
        self._queue: deque[DeviceEvent] = deque()
        self._seen: dict[str, None] = {}
        self._wake = Wake()
        self.offset = 0.0
        self.repeated = 0  # told again
        self.late = 0  # told long after it happened

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, event: DeviceEvent, key: str | None = None) -> None:
        """`key` names the event: one of the same name is dropped. Raises asyncio.QueueFull."""
        if key is not None and key in self._seen:
            self.repeated += 1
            return
        if len(self._queue) >= self._bound:
            raise asyncio.QueueFull
        if key is not None:
            self._seen[key] = None
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
        told = event.source_time
        if told is not None and self._io.clock.now().wall - (told - self.offset) > self._fresh:
            self.late += 1
            event = replace(event, replayed=True)
        self._queue.append(event)
        self._wake.set()

    async def get(self, seconds: float) -> DeviceEvent | None:
        """The next one, or None when none came for so many seconds."""
        if not self._queue:
            self._wake.clear()
            await self._io.clock.wait(self._wake, seconds)
        return self._queue.popleft() if self._queue else None
