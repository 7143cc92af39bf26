"""The event log of a simulated intercom: a history, and a queue for each who has subscribed to it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from typing import Any

BATCH = 128
DURATION, LONGEST = 90, 3600  # seconds


class Channel:
    def __init__(self, names: frozenset[str], duration: float, now: float) -> None:
        self.names = names
        self.duration = duration
        self.used = now
        self.queue: deque[dict[str, Any]] = deque(maxlen=10_000)
        self.wake = asyncio.Event()
        self.held = 0  # pulls that wait
        self.gone = False

    def wants(self, event: Mapping[str, Any]) -> bool:
        return not self.names or event["event"] in self.names


class Log:
    """`silent` are events that the account has no privilege for: they are left out without a word."""

    def __init__(self, history: int, rng: random.Random) -> None:
        self.history: deque[dict[str, Any]] = deque(maxlen=history)
        self.channels: dict[int, Channel] = {}
        self.silent: set[str] = set()
        self._rng = rng
        self._last = 0

    def forget(self) -> None:
        """After a restart the history is empty, and events are counted from 1."""
        self.drop()
        self.history.clear()
        self._last = 0

    def drop(self) -> None:
        for channel in self.channels.values():
            channel.gone = True
            channel.wake.set()
        self.channels.clear()

    def add(self, name: str, params: Mapping[str, Any], *, utc: float, up: float, shift: int = 0) -> None:
        self._last += 1
        event = {
            "id": self._last,
            "tzShift": shift,
            "utcTime": int(utc),
            "upTime": int(up),
            "event": name,
            "params": dict(params),
        }
        self.put(event)

    def put(self, event: dict[str, Any]) -> None:
        """An event as it stands, be it as it may."""
        self.history.append(event)
        for channel in self.channels.values():
            if channel.wants(event) and event["event"] not in self.silent:
                channel.queue.append(event)
                channel.wake.set()

    def subscribe(self, include: str, names: frozenset[str], duration: int, now: float, utc: float) -> int:
        self.expire(now)
        channel = Channel(names, duration, now)
        if include != "new":
            since = -1.0 if include == "all" else utc - int(include[1:])
            kept = (one for one in self.history if one["utcTime"] >= since and channel.wants(one))
            channel.queue.extend(one for one in kept if one["event"] not in self.silent)
        number = self._rng.getrandbits(31)
        self.channels[number] = channel
        return number

    async def pull(self, number: int, timeout: float) -> list[dict[str, Any]] | None:
        """None: there is no such channel (any more)."""
        loop = asyncio.get_running_loop()
        self.expire(loop.time())
        channel = self.channels.get(number)
        if channel is None:
            return None
        if not channel.queue and timeout:
            channel.wake.clear()
            channel.held += 1
            try:
                async with asyncio.timeout(timeout):
                    await channel.wake.wait()
            except TimeoutError:
                pass
            finally:
                channel.held -= 1
        channel.used = loop.time()
        if channel.gone:
            return None
        return [channel.queue.popleft() for _ in range(min(BATCH, len(channel.queue)))]

    def unsubscribe(self, number: int) -> bool:
        channel = self.channels.pop(number, None)
        if channel is None:
            return False
        channel.gone = True
        channel.wake.set()
        return True

    def expire(self, now: float) -> None:
        for number, channel in tuple(self.channels.items()):
            if not channel.held and now - channel.used > channel.duration:
                self.unsubscribe(number)
