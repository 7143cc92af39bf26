"""The read side of the API, `/api/v1`: JSON about devices, events, pushes and sinks.

`Authorization: Bearer TOKEN`; the token must be one that may hear `admin.admin`, because whoever sees all devices
sees what the administrators' channel tells. Errors are problem details (RFC 9457).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from bridge.delivery.sink import Pump
from bridge.journal import Journal
from bridge.runner import Runner
from bridge.state.reachability import Reach
from bridge.store.store import Store
from bridge.web.tokens import Tokens

LIMIT = 1000
NEEDED_CHANNEL = "admin.admin"


class Api:
    """Mounts `routes()`. `runners` and `pumps` are asked for anew on each request: a reload replaces them."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        store: Store,
        journal: Journal,
        runners: Callable[[], Mapping[str, Runner]],
        pumps: Callable[[], Mapping[str, Pump]],
    ) -> None:
        self._tokens = tokens
        self._store = store
        self._journal = journal
        self._runners = runners
        self._pumps = pumps

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/devices", self._guarded(self._devices)),
            web.get("/api/v1/devices/{id}", self._guarded(self._device)),
            web.get("/api/v1/events", self._guarded(self._events)),
            web.get("/api/v1/pushes", self._guarded(self._pushes)),
            web.get("/api/v1/sinks", self._guarded(self._sinks)),
        ]

    def _guarded(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def guarded(request: web.Request) -> web.Response:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            token = await self._tokens.verify(given.strip()) if scheme.lower() == "bearer" else None
            if token is None:
                return problem(401, "a bearer token is needed: device-bridge tokens issue NAME --channel '*'")
            if not token.covers(NEEDED_CHANNEL):
                return problem(403, f"the token {token.name} may not hear {NEEDED_CHANNEL}, which the API needs")
            response: web.Response = await handler(request)
            return response

        return guarded

    async def _devices(self, request: web.Request) -> web.Response:
        return web.json_response({"devices": [view(one) for one in self._runners().values()]})

    async def _device(self, request: web.Request) -> web.Response:
        runner = self._runners().get(request.match_info["id"])
        if runner is None:
            return problem(404, "no device of the inventory has this id")
        return web.json_response(view(runner))

    async def _events(self, request: web.Request) -> web.Response:
        asked = request.query
        entries = await self._journal.after(
            number(request, "after"), LIMIT, device=asked.get("device"), kind=asked.get("kind")
        )
        return web.json_response({"events": [{**asdict(one), "data": dict(one.data)} for one in entries]})

    async def _pushes(self, request: web.Request) -> web.Response:
        rows = await self._store.outbox_after(number(request, "after"), LIMIT)
        return web.json_response({"pushes": [asdict(row) for row in rows], "last": self._store.last_seq})

    async def _sinks(self, request: web.Request) -> web.Response:
        last = self._store.last_seq
        sinks = [
            {"name": name, "waiting": max(0, last - pump.cursor), "failing": pump.failing or None}
            for name, pump in self._pumps().items()
        ]
        letters = [asdict(one) for one in await self._store.dead_letters()]
        return web.json_response({"sinks": sinks, "dead_letters": letters})


def number(request: web.Request, name: str) -> int:
    """A non-negative number of the query; 0 for anything else."""
    text = request.query.get(name, "0")
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def problem(status: int, detail: str) -> web.Response:
    return web.json_response(
        {"status": status, "detail": detail}, status=status, content_type="application/problem+json"
    )


def view(runner: Runner) -> dict[str, Any]:
    """A device for people and scripts."""
    state, device, identity = runner.state, runner.device, runner.state.identity
    return {
        "id": device.id,
        "name": device.name,
        "kind": device.kind,
        "driver": device.driver,
        "address": device.address,
        "site": device.site,
        "reach": state.reach.reach,
        "since": state.reach.since,
        "problem": asdict(state.health) if state.health.kind else None,
        "listening": runner.listening,
        "manufacturer": identity.manufacturer if identity else None,
        "model": identity.model if identity else None,
        "firmware": identity.firmware if identity else None,
        "serial": identity.serial if identity else None,
        "facts": dict(state.facts),
        "channels": [_channel(runner, channel.key, channel.vms) for channel in device.channels],
    }


def _channel(runner: Runner, key: str, vms: Mapping[str, Any]) -> dict[str, Any]:
    camera, panel = runner.state.cameras.get(key), runner.state.intercoms.get(key)
    status = camera.status if camera else panel
    assert status is not None, "a channel is a camera or a panel"
    return {
        "key": key,
        "vms_id": vms.get("id"),
        "name": vms.get("name"),
        "status": status.announced,
        "since": status.since,
        # The server that tells about it is gone: the status is the last that was known.
        "stale": runner.device.second_hand and runner.state.reach.reach is Reach.OFFLINE,
        "flapping": status.flapping,
        "streams": [asdict(stream) for stream in (camera.streams if camera else None) or ()],
    }
