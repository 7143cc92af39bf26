"""A Pusher-compatible HTTP API for tests, written from the docs alone ("HTTP API reference"): it shares no line with
the sink that it receives from, and believes no signature that it has not computed itself."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

APP_ID, KEY, SECRET = "app-id", "app-key", "app-secret"

Answer = Callable[[web.Request], web.StreamResponse | None]


class PusherApi:
    """Receives events on a port of its own, also after a stop and a new start.

    `batches`: whether there is /batch_events. `event_limit`: bytes of one event's data, else 413. `request_limit`:
    bytes of a request, else 413. `bad`: events whose data holds this text are answered 422. `answer`: may answer in
    place of all else. `swallow`: requests are taken in, and then the connection is closed or hangs.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, str]] = []  # events in the order of their arrival
        self.bodies: list[bytes] = []
        self.requests: Counter[str] = Counter()  # by the path's last part
        self.unsigned = 0
        self.now = 1_700_000_000.0
        self.batches = True
        self.event_limit = self.request_limit = 100_000
        self.bad = "\0"
        self.answer: Answer | None = None
        self.swallow = ""  # "close" or "hang"
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post(f"/apps/{APP_ID}/events", self._events)
        app.router.add_post(f"/apps/{APP_ID}/batch_events", self._batch)
        app.router.add_get(f"/apps/{APP_ID}/channels", self._channels)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _signed(self, request: web.Request, body: bytes) -> bool:
        query = dict(request.query)
        given = query.pop("auth_signature", "")
        text = f"{request.method}\n{request.path}\n" + "&".join(f"{name}={query[name]}" for name in sorted(query))
        good = (
            hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest() == given
            and query["auth_key"] == KEY
            and query["auth_version"] == "1.0"
            and abs(int(query["auth_timestamp"]) - self.now) <= 600
            and (not body or query["body_md5"] == hashlib.md5(body).hexdigest())
        )
        self.unsigned += not good
        return good

    async def _take(self, request: web.Request, events: Callable[[Any], list[dict[str, str]]]) -> web.StreamResponse:
        body = await request.read()
        self.requests[request.path.rsplit("/", 1)[1]] += 1
        self.bodies.append(body)
        if self.answer is not None and (answer := self.answer(request)) is not None:
            return answer
        if not self._signed(request, body):
            return self.unauthorized()
        if len(body) > self.request_limit:
            return web.Response(status=413, text="Request entity too large")
        got = events(json.loads(body))
        for event in got:
            if len(event["data"]) > self.event_limit:
                return web.Response(status=413, text="The data content of this event exceeds the allowed maximum")
            if self.bad in event["data"]:
                return web.json_response({"error": "The data field must be\na better one."}, status=422)
        self.received.extend(got)
        if self.swallow:
            if self.swallow == "hang":
                await asyncio.Event().wait()
            assert request.transport is not None
            request.transport.close()
        return web.json_response({})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._take(request, lambda body: [body])

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        if not self.batches:
            self.requests["batch_events"] += 1
            return web.Response(status=404, text="no such route")
        return await self._take(request, lambda body: list(body["batch"]))

    async def _channels(self, request: web.Request) -> web.StreamResponse:
        if self.answer is not None and (answer := self.answer(request)) is not None:
            return answer
        return web.json_response({"channels": {}}) if self._signed(request, b"") else self.unauthorized()

    def unauthorized(self) -> web.Response:
        words = "Invalid signature: you should have sent HmacSHA256Hex(...)"
        return web.Response(status=401, text=words, headers={"Date": formatdate(self.now, usegmt=True)})
