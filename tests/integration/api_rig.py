"""A whole bridge in this process, on simulated devices, and a client of its API that is not ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bridge.clock import Clock
from bridge.config.load import load
from bridge.model import Kind
from bridge.service import Service
from bridge.state.reachability import Reach
from bridge.testing.site import SimulatedSite
from tests.support import until


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any
    body: bytes
    headers: Any


class Bridge:
    """`read` and `write` are tokens; `write` stands for user 13."""

    def __init__(self, service: Service, site: SimulatedSite, http: aiohttp.ClientSession) -> None:
        self.service, self.site, self.http = service, site, http
        self.read = self.write = ""
        self.url = service.url

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, raw: bytes | None = None,
        **headers: str,
    ) -> Answer:  # fmt: skip
        """One request; `token` is the reading one for GET and the writing one else, unless given. Headers are given
        with underscores."""
        token = token if token is not None else (self.read if method == "GET" else self.write)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        options: dict[str, Any] = {"data": raw} if raw is not None else {"json": body} if body is not None else {}
        async with self.http.request(method, f"{self.url}/api/v1{path}", headers=sent, **options) as answer:
            data = await answer.read()
            is_json = answer.content_type.endswith("json")
            return Answer(answer.status, json.loads(data) if is_json and data else None, data, answer.headers)

    async def until(self, ask: Callable[[], Awaitable[Any]], wanted: Any) -> None:
        """Until `ask` gives what is wanted: a bridge sees tokens of another process within a moment."""

        async def is_so() -> bool:
            return bool(await ask() == wanted)

        await until(is_so, 5)

    async def up(self) -> None:
        """Until every device has answered and was identified."""
        runners = self.service.supervisor.runners.values()
        await until(lambda: all(one.state.reach.reach is Reach.ONLINE and one.state.identity for one in runners), 20)
        await until(lambda: self.service.store.last_seq >= len(runners), 20)


def inventory(site: SimulatedSite, **more: Any) -> dict[str, Any]:
    return {
        "bridge": {"data": "data", "http": {"listen": "127.0.0.1:0"}},
        "delivery": {"sinks": [{"name": "local", "type": "pusher_server", "key": "k", "secret": "not-a-secret"}]},
        "defaults": {
            "watch": {"poll": 1, "offline_failures": 2, "offline_after": 2},
            "onvif": {"timeout": 3},
        },
        **site.inventory(),
        **more,
    }


@asynccontextmanager
async def bridge(
    folder: Path, *, cameras: int = 2, panels: int = 1, clock: Clock | None = None, **more: Any
) -> AsyncIterator[Bridge]:
    """`more` are further blocks of the inventory."""
    site = SimulatedSite(cameras)
    for _ in range(panels):
        site.add("onvif", kind=Kind.INTERCOM)
    async with site:
        path = folder / "config.yaml"
        path.write_text(json.dumps(inventory(site, **more)))  # JSON is YAML
        service = Service(load(path), clock=clock)
        await service.start()
        try:
            async with aiohttp.ClientSession() as http:
                one = Bridge(service, site, http)
                one.read = await service.tokens.issue("reader", [], api="read")
                one.write = await service.tokens.issue("writer", [], api="write", user_id=13)
                yield one
        finally:
            await service.stop()
