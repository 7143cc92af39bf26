"""Where devices call the bridge: a listener of its own, a secret path for each device.

What arrives is hostile until shown otherwise: it must come to a path that nobody can guess, from the address of the
very device that was given it, small, and not too often. Everything else is counted and answered 404, so that a
scanner learns nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from bridge.buckets import Bucket
from bridge.clock import Clock
from bridge.driver import BODY_LIMIT, CallbackRequest
from bridge.errors import DeviceError
from bridge.metrics import Metrics
from bridge.model import Device
from bridge.web.silence import Silence

BODY_SECONDS = 10.0
# A device may call this often in bursts; what comes faster is told to come later.
BURST = 200
PER_SECOND = 50.0

Handler = Callable[[CallbackRequest], Awaitable[None]]
log = structlog.get_logger("callbacks")


class _Registered:
    """One device's callback: `bridge.driver.Callback`."""

    __slots__ = ("_owner", "body_limit", "bucket", "device", "handler", "path")

    def __init__(
        self, owner: CallbackListener, device: Device, handler: Handler, body_limit: int, path: str, now: float
    ) -> None:
        self._owner = owner
        self.device = device
        self.handler = handler
        self.body_limit = body_limit
        self.path = path
        self.bucket = Bucket(BURST, PER_SECOND, now)

    @property
    def url(self) -> str:
        return f"{self._owner.base_url}/{self.path}"

    def close(self) -> None:
        self._owner.forget(self)


class CallbackListener:
    """`bridge.driver.Callbacks` on an aiohttp application of its own."""

    def __init__(self, base_url: str, metrics: Metrics, clock: Clock) -> None:
        self.base_url = base_url.rstrip("/")
        self._metrics = metrics
        self._clock = clock
        self._registered: dict[str, _Registered] = {}
        self.silence = Silence(clock)

    def register(
        self, device: Device, handler: Handler, *, body_limit: int = BODY_LIMIT, path: str | None = None
    ) -> _Registered:
        path = path or secrets.token_urlsafe(24)
        one = self._registered[path] = _Registered(self, device, handler, body_limit, path, self._clock.now().mono)
        return one

    def forget(self, one: _Registered) -> None:
        if self._registered.get(one.path) is one:
            del self._registered[one.path]

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self.silence.heard])
        app.router.add_route("*", "/{secret:.*}", self._receive)
        return app

    async def _receive(self, request: web.Request) -> web.Response:
        # The path is 192 random bits: a dictionary look-up tells a guesser nothing that time could measure.
        one = self._registered.get(request.match_info["secret"])
        if one is None:
            return self._answer("unknown_path", 404)
        source = request.remote or ""
        if not await _is_from(source, one.device.address):
            log.warning("callback from a foreign address", device=one.device.id, source=source)
            return self._answer("foreign_source", 404)
        if one.bucket.take(self._clock.now().mono):
            return self._answer("too_often", 429, {"Retry-After": "1"})
        try:
            async with asyncio.timeout(BODY_SECONDS):
                # aiohttp takes the limit from each request's copy of itself: drivers differ in theirs.
                body = await request.clone(client_max_size=one.body_limit).read()
        except web.HTTPRequestEntityTooLarge:
            return self._answer("too_large", 413)
        except (TimeoutError, ConnectionError):
            return self._answer("too_slow", 408)
        content_type = request.headers.get("Content-Type", "")
        call = CallbackRequest(request.method, request.query_string, content_type, body, source)
        try:
            await one.handler(call)
        except asyncio.QueueFull:
            return self._answer("queue_full", 503, {"Retry-After": "1"})
        except DeviceError as error:
            log.warning("callback that cannot be read", device=one.device.id, reason=error.detail)
            return self._answer("unreadable", 400)
        return self._answer("ok", 200)

    def _answer(self, outcome: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
        self._metrics.callbacks.labels(outcome).inc()
        return web.Response(status=status, headers=headers)


async def _is_from(source: str, address: str) -> bool:
    """Whether a sender's IP address is the one that a device of the inventory has."""
    if source == address:
        return True
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(entry[4][0] == source for entry in found)
