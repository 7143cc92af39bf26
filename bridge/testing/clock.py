"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from bridge.clock import Instant, Wake


class FakeClock:
    """`advance(seconds)` wakes those who sleep, in the order of their deadlines, each at its own time."""

    def __init__(self, wall: float = 1_700_000_000.0, mono: float = 1000.0) -> None:
        self._wall = wall
        self._mono = mono
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> Instant:
        return Instant(self._wall, self._mono)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._mono + seconds, next(self._order), future))
        await future

    async def wait(self, wake: Wake, seconds: float) -> bool:
        sleeper = asyncio.ensure_future(self.sleep(seconds))
        waker = asyncio.ensure_future(wake.wait())
        try:
            await asyncio.wait((sleeper, waker), return_when=asyncio.FIRST_COMPLETED)
            return waker.done()
        finally:
            sleeper.cancel()
            waker.cancel()

    @property
    def sleeping(self) -> int:
        """How many wait for this clock."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def set_wall(self, wall: float) -> None:
        """Wall time jumps (NTP, an operator); monotonic time does not."""
        self._wall = wall

    async def advance(self, seconds: float) -> None:
        target = self._mono + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            self._move_to(due)
            if not future.done():
                future.set_result(None)
            await _settle()
        self._move_to(target)
        await _settle()

    def _move_to(self, mono: float) -> None:
        self._wall += mono - self._mono
        self._mono = mono


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
