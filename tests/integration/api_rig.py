"""A whole bridge in this process, on simulated devices, and a client of its API that is not ours."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from pydantic import BaseModel

from bridge import registry
from bridge.config.load import load
from bridge.driver import Driver
from bridge.errors import Rejected
from bridge.model import Capability, Command, Identity, Kind, Reading, Result, Rung
from bridge.service import Service
from bridge.state.reachability import Reach
from bridge.testing.site import SimulatedSite
from tests.integration.processes import free_port
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

    async def ended(self, job: int) -> Any:
        """The job with its items, once it has ended."""
        while True:
            told = (await self.ask("GET", f"/jobs/{job}?wait=30")).json
            if told["job"]["ended_at"] is not None:
                return told

    async def pushes(self, kind: str) -> list[tuple[str, Any]]:
        """Channel and envelope of every push of a type so far."""
        rows = await self.service.store.outbox_after(0, 10_000)
        return [(row.channel, json.loads(row.body)) for row in rows if row.type == kind]

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
        "bridge": {"data": "data", "http": {"listen": f"127.0.0.1:{free_port()}"}},
        "delivery": {"sinks": [{"name": "local", "type": "pusher_server", "key": "k", "secret": "not-a-secret"}]},
        "defaults": {
            "watch": {"poll": 1, "offline_failures": 2, "offline_after": 2},
            "onvif": {"timeout": 3},
        },
        **site.inventory(),
        **more,
    }


class NoConfig(BaseModel):
    pass


class Gate(Driver[NoConfig]):
    """A door with a camera, in memory: what it was told to do is in `done`."""

    name = "gate"
    kinds = frozenset({Kind.INTERCOM})
    capabilities = frozenset({Capability.STREAMS, Capability.OPEN_DOOR, Capability.SNAPSHOT})
    Config = NoConfig
    done: ClassVar[list[Command]] = []
    hold: ClassVar[asyncio.Event | None] = None  # a command ends when this is set

    async def probe(self) -> Identity:
        return Identity("Acme", "Gate", "1", "SN-1", capabilities=self.capabilities)

    async def poll(self) -> Reading:
        return Reading(Rung.READY)

    async def command(self, command: Command) -> Result:
        self.done.append(command)
        if self.hold is not None:
            await self.hold.wait()
        if str(command.arguments.get("output")) == "99":
            raise Rejected("it has no output 99")
        if command.arguments.get("output") == "bug":
            raise KeyError("a driver's bug")
        if command.action is Capability.SNAPSHOT:
            return Result("", b"\xff\xd8picture", "image/jpeg")
        return Result("the door is open")


@contextmanager
def gate_driver() -> Iterator[None]:
    """The driver `gate` is installed."""
    load_real, names = registry.load, registry.names()
    Gate.done, Gate.hold = [], None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "names", lambda: [*names, "gate"])
        patch.setattr(registry, "load", lambda name: Gate if name == "gate" else load_real(name))
        yield


GATE = {"id": "gate", "driver": "gate", "kind": "intercom", "address": "127.0.0.9", "vms": {"id": 90, "name": "Gate"}}


@asynccontextmanager
async def bridge(
    folder: Path, *, cameras: int = 2, panels: int = 1, gate: bool = False, environ: Mapping[str, str] | None = None,
    **more: Any,
) -> AsyncIterator[Bridge]:  # fmt: skip
    """`more` are further blocks of the inventory."""
    site = SimulatedSite(cameras)
    for _ in range(panels):
        site.add("onvif", kind=Kind.INTERCOM)
    async with site, AsyncExitStack() as stack:
        if gate:
            stack.enter_context(gate_driver())
        path = folder / "config.yaml"
        said = inventory(site, **more)
        said["devices"] += [GATE] if gate else []
        path.write_text(json.dumps(said))  # JSON is YAML
        service = Service(load(path, environ={**os.environ, **(environ or {})}))
        await service.start()
        stack.push_async_callback(service.stop)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        one = Bridge(service, site, http)
        one.read = await service.tokens.issue("reader", [], api="read")
        one.write = await service.tokens.issue("writer", [], api="write", user_id=13)
        yield one
