"""Base notification, the device's side: messages are posted to the consumer's address (WS-BaseNotification 1.3, 3.2).

A message that could not be delivered is gone, as on the real ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from xml.sax.saxutils import escape

import aiohttp

from drivers.onvif.simulated.events import Subscription
from drivers.onvif.simulated.soap import render
from drivers.onvif.simulated.state import DeviceState

_ACTION = "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify"
_TIMEOUT = aiohttp.ClientTimeout(total=5)
# Messages in one Notify.
_BATCH = 10


class Notifier:
    """Serves the subscriptions that have a consumer. `seen["notify_failed"]` counts posts that did not arrive."""

    def __init__(self, state: DeviceState, seen: Counter[str]) -> None:
        self._state = state
        self._seen = seen
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def serve(self, subscription: Subscription) -> None:
        task = asyncio.create_task(self._serve(subscription), name=f"onvif notify {self._state.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _serve(self, subscription: Subscription) -> None:
        while not subscription.dead:
            if not subscription.queue:
                subscription.waiter = asyncio.get_running_loop().create_future()
                await subscription.waiter
                subscription.waiter = None
                continue
            queue = subscription.queue
            messages = "".join(queue.popleft() for _ in range(min(_BATCH, len(queue))))
            if not await self._post(subscription.consumer or "", messages):
                self._seen["notify_failed"] += 1

    async def _post(self, consumer: str, messages: str) -> bool:
        header = f"<wsa:Action>{_ACTION}</wsa:Action><wsa:To>{escape(consumer)}</wsa:To>"
        body = render(f"<wsnt:Notify>{messages}</wsnt:Notify>", self._state.make, header=header)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        try:
            async with self._session.post(
                consumer,
                data=body,
                headers={"Content-Type": f'application/soap+xml; charset=utf-8; action="{_ACTION}"'},
                allow_redirects=False,
            ) as response:
                return response.status < 300
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
