"""Our event sink on a server: made, looked after, removed. Never anybody else's.

A sink is the server's list of events that it posts to a URL, batch after batch, each only once the one before was
answered. It is part of the server's configuration and stays there, so its name is remembered before it is made.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from bridge.driver import Callback, CallbackRequest, Callbacks, DriverIO
from bridge.errors import DeviceError
from bridge.model import Device
from drivers.flussonic.api import V3, Api, NotThere, segment
from drivers.flussonic.events import CHATTY, Inbox

THROTTLE = 1  # seconds that an event may wait for others; a hundred of them do not wait
RESEND_AFTER = 5  # seconds until a batch that we did not take comes again
RESEND_LIMIT = 2000  # events that the server keeps for us meanwhile
BODY_LIMIT = 2 << 20  # of one batch: those 2,000 events, with a kilobyte for each
_NAME = "sink"  # in io.memory


class EventSink:
    __slots__ = ("_api", "_callback", "_device", "_inbox", "_io", "_name")

    def __init__(self, api: Api, device: Device, io: DriverIO) -> None:
        self._api = api
        self._device = device
        self._io = io
        self._name: str | None = None
        self._callback: Callback | None = None
        self._inbox: Inbox | None = None

    async def open(self, callbacks: Callbacks) -> Inbox:
        """Have the server call us from now on. What it reported before is not told."""
        self.hang_up()
        self._name = self._name or self._io.memory.get(_NAME) or f"device-bridge-{secrets.token_hex(4)}"
        await self._io.memory.put(_NAME, self._name)
        inbox = Inbox()

        async def receive(request: CallbackRequest) -> None:
            inbox.take_in(request.body)

        self._callback = callbacks.register(self._device, receive, body_limit=BODY_LIMIT)
        self._inbox = inbox
        body = {
            "name": self._name,
            "url": self._callback.url,
            "only": None,
            "except": [{"event": list(CHATTY)}],
            "throttle_delay": THROTTLE,
            "resend_timeout": RESEND_AFTER,
            "resend_limit": RESEND_LIMIT,
        }
        await self._api.ask("PUT", self._path(self._name), body=body)
        return inbox

    async def stands(self) -> bool:
        """Whether the server still has it as we made it."""
        if self._name is None or self._callback is None:
            return False
        try:
            found = await self._api.ask("GET", self._path(self._name))
        except NotThere:
            return False
        return isinstance(found, dict) and found.get("url") == self._callback.url and not found.get("only")

    def hang_up(self) -> None:
        """Take no calls any more; whoever waits for events stops waiting."""
        callback, self._callback = self._callback, None
        inbox, self._inbox = self._inbox, None
        if callback is not None:
            callback.close()
        if inbox is not None:
            inbox.end()

    async def close(self) -> None:
        """Remove it from the server, also one that an earlier life of the bridge left there."""
        self.hang_up()
        name = self._name or self._io.memory.get(_NAME)
        if name is None:
            return
        with suppress(DeviceError):  # a server that is away keeps it, and the memory keeps its name
            with suppress(NotThere):
                await self._api.ask("DELETE", self._path(name))
            self._name = None
            await self._io.memory.put(_NAME, None)

    def _path(self, name: str) -> str:
        return f"{V3}/event_sinks/{segment(name)}"
