"""Event sinks: each posts its batches one after the other; what nobody takes is kept and sent again, up to a limit.

From the vendor's manual of event sinks and its OpenAPI document. Events that wait are in memory: a restart loses them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import aiohttp

Event = dict[str, Any]
AT_ONCE = 100  # more than so many do not wait for `throttle_delay`
ANSWER_LIMIT = 10.0


class Sink:
    """One sink on its way to an HTTP receiver. `start`, then `put` events, then `stop`."""

    def __init__(self, config: dict[str, Any], counters: Counter[str], took: Callable[[float], None]) -> None:
        self.config = config
        self._counters = counters
        self._took = took
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None and str(self.config["url"]).startswith(("http://", "https://")):
            self._task = asyncio.create_task(self._push(), name=f"event sink {self.config['name']}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def put(self, event: Event) -> None:
        if not self._wants(event):
            return
        limit = self.config.get("resend_limit")
        if limit is not None and len(self._waiting) >= limit:
            self._counters["dropped_events"] += 1
            self._waiting.popleft()
        self._waiting.append(event)
        self._news.set()

    def _wants(self, event: Event) -> bool:
        only, never = self.config.get("only"), self.config.get("except")
        if only and not any(_fits(one, event) for one in only):
            return False
        return not (never and any(_fits(one, event) for one in never))

    async def _push(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            again = False
            while True:
                await self._gathered(again)
                batch = list(self._waiting)
                if again:
                    self._counters["resent_events"] += len(batch)
                again = not await self._post(http, batch)
                if not again:
                    # Some of them may have been dropped at the limit meanwhile.
                    sent = {id(event) for event in batch}
                    while self._waiting and id(self._waiting[0]) in sent:
                        self._waiting.popleft()

    async def _gathered(self, again: bool) -> None:
        """Until there is a batch to send."""
        if again:
            await asyncio.sleep(self.config.get("resend_timeout") or 10)
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        if again:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.get("throttle_delay") or 0):
                while len(self._waiting) <= AT_ONCE:
                    self._news.clear()
                    await self._news.wait()

    async def _post(self, http: aiohttp.ClientSession, batch: list[Event]) -> bool:
        began = asyncio.get_running_loop().time()
        try:
            async with http.post(self.config["url"], json=batch) as answer:
                await answer.read()
                taken = answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            taken = False
        self._took(asyncio.get_running_loop().time() - began)
        return taken


def _fits(condition: Mapping[str, list[str]], event: Event) -> bool:
    """Every key must match, by any of its values; `*` stands for anything."""
    return all(any(fnmatchcase(str(event.get(key, "")), one) for one in values) for key, values in condition.items())
