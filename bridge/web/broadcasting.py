"""`POST {any prefix}/broadcasting/auth`, as Laravel answers it: a bearer token for one signed subscription.

Laravel Echo, pusher-js, PusherSwift and pusher-java-client post `socket_id` and `channel_name`, as a form or as
JSON, with `Authorization: Bearer`, and pass the answer `{"auth": "KEY:HEX"}` on to the Pusher server. The signature
holds for that one connection and channel. Sources: the Pusher docs "Authorizing users"; the Laravel docs
"Broadcasting", "Authorizing Channels".

With several Pusher servers in one bridge, the one to which the connection belongs signs: its socket ids tell. An id
that none of them knows is signed by the first; such a signature is of no use to anybody.

Any web page may ask (CORS): what counts is the token in the header, which a foreign page does not have; there are no
cookies. Presence channels are refused, as the Pusher server refuses them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from urllib.parse import parse_qs

from aiohttp import web

from bridge.clock import Clock
from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.pusher_server import PusherServer
from bridge.metrics import Metrics
from bridge.store.writer import StoreError
from bridge.web.tokens import Tokens

BODY_LIMIT = 16 * 1024
BODY_SECONDS = 10.0
FAILURES = 30  # in WINDOW seconds from one address; then it is told to wait
WINDOW = 60.0
ADDRESSES = 4096  # that are counted at a time; beyond that the one that failed longest ago is forgotten

_CORS = {"Access-Control-Allow-Origin": "*"}


class Broadcasting:
    """The endpoint, for `servers` (at least one). The application mounts `routes()`."""

    def __init__(self, tokens: Tokens, servers: Sequence[PusherServer], *, clock: Clock, metrics: Metrics) -> None:
        self._tokens = tokens
        self._servers = tuple(servers)
        self._metrics = metrics
        self._failures = Failures(clock)

    def routes(self) -> list[web.RouteDef]:
        path = "/{prefix:(?:.*/)?}broadcasting/auth"
        return [web.post(path, self.auth), web.options(path, self.preflight)]

    async def preflight(self, request: web.Request) -> web.Response:
        # Whatever headers a client adds (X-Socket-ID, X-CSRF-TOKEN, X-Client ...): only one of them is read here.
        headers = request.headers.get("Access-Control-Request-Headers", "Authorization")
        allow = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": headers,
            "Access-Control-Max-Age": "600",
            "Vary": "Access-Control-Request-Headers",
        }
        return web.Response(status=204, headers=_CORS | allow)

    async def auth(self, request: web.Request) -> web.Response:
        source = request.remote or ""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            token = await self._tokens.verify(given.strip()) if scheme.lower() == "bearer" else None
        except StoreError:
            return _answer(503, "the store of the bridge does not answer: see its log", {"Retry-After": "5"})
        if token is None:
            self._metrics.refused.labels("token").inc()
            wait = self._failures.count(source)
            # A good token is let through in any case: behind a reverse proxy all clients have one address.
            if wait:
                return _answer(429, "too many wrong tokens from this address", {"Retry-After": str(wait)})
            return _answer(401, "Unauthenticated: send Authorization: Bearer and a token of the bridge")

        try:
            socket_id, channel = await _fields(request)
        except web.HTTPRequestEntityTooLarge:
            return _answer(413, f"the body has more than {BODY_LIMIT} bytes")
        except TimeoutError:
            return _answer(408, "the body did not arrive in time")
        errors = {}
        if not protocol.is_socket_id(socket_id):
            errors["socket_id"] = ["socket_id is required: two numbers with a dot, as connection_established has it"]
        if not protocol.is_channel_name(channel):
            errors["channel_name"] = ["channel_name is required: a Pusher channel name"]
        if errors:
            return _answer(422, "The given data was invalid.", errors=errors)

        server = next((one for one in self._servers if one.owns(socket_id)), self._servers[0])
        why = _not_allowed(channel, server.prefix)
        if why is None and not token.covers(channel.removeprefix(server.prefix)):
            why = f"the token {token.name!r} does not cover this channel"
        if why is not None:
            self._metrics.refused.labels("channel").inc()
            return _answer(403, why)
        return web.json_response({"auth": server.channel_auth(socket_id, channel)}, headers=_CORS)


class Failures:
    """How often each address failed lately, for a bounded number of addresses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[float, int]] = {}  # when its window began, failures in it; newest last

    def count(self, source: str) -> int:
        """Note one more; returns how many whole seconds to wait when it is too many, else 0."""
        now = self._clock.now().mono
        began, failures = self._counts.pop(source, (now, 0))
        if now - began >= WINDOW:
            began, failures = now, 0
        self._counts[source] = (began, failures + 1)
        if len(self._counts) > ADDRESSES:
            del self._counts[next(iter(self._counts))]
        return int(began + WINDOW - now) + 1 if failures >= FAILURES else 0

    def __len__(self) -> int:
        return len(self._counts)


def _not_allowed(channel: str, prefix: str) -> str | None:
    """Why nobody gets a signature for this channel; None where its token decides."""
    if not channel.startswith(protocol.PRIVATE):
        return protocol.unserved(channel) or "this is a public channel: subscribe to it without a signature"
    if why := protocol.unserved(channel):
        return why
    return None if channel.startswith(prefix) else f"the channels of this bridge begin with {prefix}"


async def _fields(request: web.Request) -> tuple[str, str]:
    """`socket_id` and `channel_name`, empty where they are missing or no text."""
    async with asyncio.timeout(BODY_SECONDS):
        body = await request.clone(client_max_size=BODY_LIMIT).read()
    text = body.decode(errors="replace")
    found: object
    try:
        if request.content_type == "application/json":
            found = json.loads(text)
        else:
            found = {name: values[-1] for name, values in parse_qs(text, max_num_fields=32).items()}
    except (ValueError, RecursionError):
        found = None
    fields = found if isinstance(found, dict) else {}
    socket_id, channel = fields.get("socket_id"), fields.get("channel_name")
    return socket_id if isinstance(socket_id, str) else "", channel if isinstance(channel, str) else ""


def _answer(
    status: int, message: str, headers: dict[str, str] | None = None, errors: dict[str, list[str]] | None = None
) -> web.Response:
    """An error as Laravel shapes it."""
    body: dict[str, object] = {"message": message}
    if errors:
        body["errors"] = errors
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return web.json_response(body, status=status, headers=_CORS | (headers or {}))
