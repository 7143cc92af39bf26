"""Serves declared routes: who asks, how often, how much, how long; then the handler; then its answer as JSON."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any

import structlog
from aiohttp import web

from bridge.buckets import Buckets
from bridge.clock import Clock
from bridge.errors import AuthFailed, DeviceError, Locked, Rejected, Throttled, Unreachable, Unsupported
from bridge.files import ShelfFull
from bridge.jobs import records
from bridge.metrics import Metrics
from bridge.store.writer import StoreError
from bridge.web.audit import Audit, Earlier
from bridge.web.broadcasting import Failures
from bridge.web.initiator import initiator
from bridge.web.openapi import document
from bridge.web.routes import (
    BODY_LIMIT,
    PREFIX,
    PROBLEM,
    Call,
    Refused,
    Reply,
    Route,
    Wrong,
    adapter,
    read_body,
    read_headers,
    read_path,
    read_query,
)
from bridge.web.tokens import NEEDED_CHANNEL, Token, Tokens

BODY_SECONDS = 10.0
FILE_SECONDS = 60.0
# What one token may ask.
BURST = 300
PER_SECOND = 50.0
AT_ONCE = 64  # requests in flight: those that wait for a job count, too
TOKENS = 4096  # whose rates are remembered

# What a device's own trouble is in HTTP: it is the bridge's upstream.
_STATUS: dict[type[DeviceError], int] = {
    Unsupported: 422,
    Rejected: 409,
    AuthFailed: 502,
    Locked: 503,
    Throttled: 503,
    Unreachable: 504,
}

log = structlog.get_logger("api")


class Serving:
    """The aiohttp side of `routes`. The application mounts `routes()` and has `middleware` among its own."""

    def __init__(self, routes: Sequence[Route], tokens: Tokens, audit: Audit, clock: Clock, metrics: Metrics) -> None:
        self._routes = tuple(routes)
        self._audit = audit
        self._tokens = tokens
        self._clock = clock
        self._metrics = metrics
        self._failures = Failures(clock)
        self._rates = Buckets(BURST, PER_SECOND, TOKENS)
        self._in_flight: Counter[str] = Counter()
        self._under_way: set[int] = set()  # entries of the audit
        self._document = document(self._routes)

    def routes(self) -> list[web.RouteDef]:
        made = [web.route(one.method, PREFIX + one.path, self._handler(one)) for one in self._routes]
        return [web.get(f"{PREFIX}/openapi.json", self._openapi), *made]

    @staticmethod
    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        """What aiohttp itself answers below our prefix (no such path, no such method) as problem details."""
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            if error.status < 400 or not request.path.startswith(f"{PREFIX}/"):
                raise
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            said = {404: "there is no such path: see openapi.json", 405: f"this path takes {headers.get('Allow')}"}
            return Refused(error.status, said.get(error.status, error.reason), headers=headers).response()
        return response

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type="application/json")

    def _handler(self, route: Route) -> Any:
        async def handle(request: web.Request) -> web.Response:
            response = await self._refusals(route, self._answer(route, request))
            self._metrics.requests.labels(route.method, route.path, str(response.status)).inc()
            return response

        return handle

    async def _refusals(self, route: Route, answer: Awaitable[web.Response]) -> web.Response:
        """The answer, or why there is none, as problem details."""
        try:
            return await answer
        except Refused as refused:
            return refused.response()
        except records.Refused as refused:
            return Refused(409, str(refused)).response()
        except ShelfFull as full:
            return Refused(507, str(full)).response()
        except DeviceError as error:
            return _device_trouble(error).response()
        except StoreError as error:
            log.error("the store does not answer", path=route.path, reason=str(error))
            again = {"Retry-After": "5"}
            return Refused(503, "the store of the bridge does not answer: see its log", headers=again).response()
        except (ConnectionError, web.HTTPException):
            raise
        except Exception as error:
            log.error("bug in the API", method=route.method, path=route.path, exc_info=error)
            return Refused(500, "the bridge failed at this; its log has the details").response()

    async def _answer(self, route: Route, request: web.Request) -> web.Response:
        token = await self._known(route, request)
        self._in_flight[token.digest] += 1
        try:
            call = await self._read(route, request, token)
            if route.scope == "read":
                return await self._handled(route, call)
            return await self._audited(route, call)
        finally:
            self._in_flight[token.digest] -= 1
            if not self._in_flight[token.digest]:
                del self._in_flight[token.digest]

    async def _audited(self, route: Route, call: Call) -> web.Response:
        """Written down before it is done; what is asked again with the same key is answered again, and not done."""
        said = call.headers.get("Idempotency-Key")
        key = f"{call.token.digest}:{said}" if said is not None else None
        path = call.request.path_qs
        begun = await self._audit.begin(call.by, call.token.name, route.method, path, call.body, key)
        if isinstance(begun, Earlier):
            return self._again(begun)
        self._under_way.add(begun)
        try:
            response = await self._refusals(route, self._handled(route, call))
            answer = (response.text or "") if response.body else ""
            detail = json.loads(answer)["detail"] if response.status >= 400 else ""
            await self._audit.end(begun, response.status, detail, answer)
        finally:
            self._under_way.discard(begun)
        return response

    def _again(self, earlier: Earlier) -> web.Response:
        if not earlier.same:
            raise Refused(422, "this Idempotency-Key was used for something else: take a new one for each command")
        if earlier.status is None and earlier.number in self._under_way:
            raise Refused(409, "this is under way: ask again for its outcome", headers={"Retry-After": "1"})
        if earlier.status is None:
            raise Refused(409, "the bridge ended in the middle of this: whether it was done is not known")
        kind = PROBLEM if earlier.status >= 400 else "application/json"
        headers = {"Idempotent-Replayed": "true"}
        return web.Response(body=earlier.answer.encode(), status=earlier.status, content_type=kind, headers=headers)

    async def _handled(self, route: Route, call: Call) -> web.Response:
        try:
            async with asyncio.timeout(route.seconds) as limit:
                value = await route.handler(call)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Refused(504, f"no end of it within {route.seconds:g} s; what was begun may still go on") from None
        reply = value if isinstance(value, Reply) else Reply(value)
        # A page must not keep what a device's name or a plan said.
        headers = {"Cache-Control": "no-store", **reply.headers}
        if route.answer is None:
            return web.Response(status=route.status, headers=headers)
        body = adapter(route.answer).dump_json(reply.value)
        return web.Response(body=body, status=route.status, content_type="application/json", headers=headers)

    async def _known(self, route: Route, request: web.Request) -> Token:
        """Whose request it is, and that they may ask it now."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        token = await self._tokens.verify(given.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            wait = self._failures.count(request.remote or "")
            if wait:
                raise Refused(429, "too many wrong tokens from this address", headers={"Retry-After": str(wait)})
            detail = f"a bearer token is needed: device-bridge tokens issue NAME --api {route.scope}"
            raise Refused(401, detail, headers={"WWW-Authenticate": "Bearer"})
        wait_for = self._rates.take(token.digest, self._clock.now().mono)
        if wait_for:
            detail = f"the token {token.name} asks more than {PER_SECOND:g} times a second"
            raise Refused(429, detail, headers={"Retry-After": str(int(wait_for) + 1)})
        if self._in_flight[token.digest] >= AT_ONCE:
            detail = f"the token {token.name} has {AT_ONCE} requests open already"
            raise Refused(429, detail, headers={"Retry-After": "1"})
        if not token.may(route.scope):
            channel = f" (or --channel {NEEDED_CHANNEL})" if route.scope == "read" else ""
            raise Refused(403, f"the token {token.name} was issued without --api {route.scope}{channel}")
        return token

    async def _read(self, route: Route, request: web.Request, token: Token) -> Call:
        path = read_path(route, request.match_info)
        query, wrong = read_query(route, request)
        headers, more = read_headers(route, request.headers)
        body, yet_more = read_body(route, request, await _bytes(route, request))
        wrong = [*wrong, *more, *yet_more]
        if wrong:
            raise Refused(422, _counted(wrong), wrong)
        return Call(request, token, initiator(token, query, body, headers), path, query, body, headers)


def _device_trouble(error: DeviceError) -> Refused:
    headers = {"Retry-After": str(int(error.seconds) + 1)} if isinstance(error, Locked | Throttled) else {}
    return Refused(_STATUS.get(type(error), 502), error.detail, headers=headers)


def _counted(wrong: Sequence[Wrong]) -> str:
    first = wrong[0]
    where = first.parameter or first.pointer or "the body"
    return f"{where}: {first.detail}" + (f", and {len(wrong) - 1} more" if len(wrong) > 1 else "")


async def _bytes(route: Route, request: web.Request) -> bytes:
    limit = route.limit if route.files or route.body else BODY_LIMIT
    try:
        async with asyncio.timeout(FILE_SECONDS if route.files else BODY_SECONDS):
            return await request.clone(client_max_size=limit).read()
    except web.HTTPRequestEntityTooLarge:
        raise Refused(413, f"the body has more than {limit} bytes") from None
    except TimeoutError:
        raise Refused(408, "the body did not arrive in time", headers={"Connection": "close"}) from None
