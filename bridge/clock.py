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


class Wake:
    """An event that one task waits for. `asyncio.Event` does the same for many, and keeps 700 bytes ready for them:
    too much for thousands of devices that have two each."""

    __slots__ = ("_set", "_waiter")

    def __init__(self) -> None:
        self._set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        self._set = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def lapse(self) -> None:
        """Let go of who waits, without being set."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def waiter(self) -> asyncio.Future[None]:
        """What is done once it is set, or has lapsed."""
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    async def wait(self) -> None:
        if not self._set:
            await self.waiter()


class Clock(Protocol):
    def now(self) -> Instant: ...

    async def sleep(self, seconds: float) -> None: ...

    async def wait(self, wake: Wake, seconds: float) -> bool:
        """Sleep until woken (True), at most that long (False)."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> Instant:
        return Instant(time.time(), time.monotonic())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, wake: Wake, seconds: float) -> bool:
        # Not asyncio.timeout() around wake.wait(): thousands of devices wait here most of the time, in little memory.
        if not wake.is_set():
            timer = asyncio.get_running_loop().call_later(seconds, wake.lapse)
            try:
                await wake.waiter()
            finally:
                timer.cancel()
        return wake.is_set()
