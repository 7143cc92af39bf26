"""Time, handed in. Nothing in the bridge or in a driver reads the system's clock by itself.

Wall time (`Instant.wall`, seconds since the epoch, UTC) is for people, the store and the wire. Monotonic time
(`Instant.mono`, seconds) is for durations: a site computer without a battery-backed clock jumps by years when
NTP first answers, and no camera may go offline because of it.
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    wall: float
    mono: float


class Clock(Protocol):
    def now(self) -> Instant: ...

    async def sleep(self, seconds: float) -> None: ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Sleep until the event is set (True), at most that long (False)."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> Instant:
        return Instant(time.time(), time.monotonic())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return False
