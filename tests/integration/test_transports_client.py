"""The HTTP client of panels against real servers: which login it sends where, and when it stops."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from bridge.driver import DriverIO, ShortMemory
from bridge.errors import AuthFailed, Locked, ProtocolError, Unreachable
from bridge.model import Credentials, Device, Kind, Policy
from bridge.secrets import Secret
from bridge.supervisor import http_session
from bridge.testing.clock import FakeClock
from drivers.transports.client import HttpClient
from drivers.transports.http import Reply

USER, PASSWORD = "admin", "kan@rie:7/%20&#"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


class Panel:
    """Basic below /basic, Digest below /digest (a nonce lasts `lasts` requests), whatever `handler` says elsewhere."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []  # path, scheme
        self.done: list[str] = []
        self.lasts = 10**9
        self.stale = True
        self.password = PASSWORD
        self.handler: Handler | None = None
        self._nonce, self._uses = 0, 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        self.asked.append((request.path, given.partition(" ")[0]))
        if request.path.startswith("/basic") and given != BASIC:
            return self._refuse('Basic realm="x"')
        if request.path.startswith("/digest") and not self._right(request, given):
            return self._challenge(given)
        if self.handler is not None:
            return await self.handler(request)
        self.done.append(request.path)
        return web.Response(text=request.path_qs)

    def _right(self, request: web.Request, given: str) -> bool:
        fields = dict(part.strip().split("=", 1) for part in given.removeprefix("Digest ").split(", ") if "=" in part)
        told = {key: value.strip('"') for key, value in fields.items()}
        if told.get("nonce") != str(self._nonce) or self._uses >= self.lasts:
            return False
        self._uses += 1
        a1, a2 = md5(f"{USER}:panel:{self.password}"), md5(f"{request.method}:{told['uri']}")
        wanted = md5(f"{a1}:{told['nonce']}:{told['nc']}:{told['cnonce']}:auth:{a2}")
        return told["response"] == wanted and told["uri"] == request.raw_path

    def _challenge(self, given: str) -> web.Response:
        old = given.startswith("Digest") and self._uses >= self.lasts
        self._nonce, self._uses = self._nonce + 1, 0
        stale = ", stale=true" if old and self.stale else ""
        return self._refuse(f'Digest realm="panel", nonce="{self._nonce}", qop="auth"{stale}')

    def _refuse(self, challenge: str) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})


@asynccontextmanager
async def rig(**options: object) -> AsyncIterator[tuple[Panel, HttpClient, FakeClock]]:
    panel, clock = Panel(), FakeClock()
    runner = web.ServerRunner(web.Server(panel.handle), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    session = http_session()
    login = Credentials(USER, Secret(PASSWORD))
    device = Device("p", Kind.INTERCOM, "x", "127.0.0.1", credentials=login, policy=Policy(auth_retry=600.0))
    io = DriverIO(device_id="p", http=session, clock=clock, random=random.Random(1), memory=ShortMemory())
    port = runner.addresses[0][1]
    try:
        yield panel, HttpClient(device, io, port=port, timeout=2.0, **options), clock  # type: ignore[arg-type]
    finally:
        await session.close()
        await runner.cleanup()


async def test_each_group_of_paths_gets_the_login_that_it_asks_for() -> None:
    async with rig(group=lambda path: path.split("/")[1]) as (panel, client, _):
        for path in ("/basic/a", "/digest/a", "/open/a", "/basic/b", "/digest/b", "/open/b"):
            assert (await client.request("GET", path)).body == path.encode()
    assert panel.asked == [
        ("/basic/a", ""), ("/basic/a", "Basic"), ("/digest/a", ""), ("/digest/a", "Digest"), ("/open/a", ""),
        ("/basic/b", "Basic"), ("/digest/b", "Digest"), ("/open/b", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("stale", [True, False])
async def test_an_old_nonce_is_renewed_once_whether_it_is_called_stale_or_not(stale: bool) -> None:
    async with rig() as (panel, client, _):
        panel.lasts, panel.stale = 1, stale
        for number in range(3):
            assert (await client.request("GET", f"/digest/{number}", query={"a b": "c&d"})).status == 200
    assert len(panel.asked) == 6


async def test_two_refused_logins_are_the_last_for_a_long_while() -> None:
    async with rig() as (panel, client, clock):
        panel.password = "another"
        for _ in range(2):
            with pytest.raises(AuthFailed, match="refuses the credentials"):
                await client.request("GET", "/digest/x")
        sent = len(panel.asked)
        for _ in range(5):
            with pytest.raises(AuthFailed, match="not sent for another"):
                await client.request("GET", "/digest/x")
            with pytest.raises(AuthFailed, match="not sent for another"):
                async with client.stream("/digest/x", silence=1.0):
                    pass
        assert len(panel.asked) == sent
        assert sum(scheme == "Digest" for _, scheme in panel.asked) == 2
        await clock.advance(600)
        panel.password = PASSWORD
        assert (await client.request("GET", "/digest/x")).status == 200


async def test_a_lock_that_the_device_tells_of_is_respected() -> None:
    def refused(reply: Reply) -> Locked | None:
        return Locked("locked", seconds=1800.0) if reply.headers.get("X-Locked") else None

    async def locked(request: web.Request) -> web.Response:
        return web.Response(status=401, headers={"X-Locked": "1", "WWW-Authenticate": 'Basic realm="x"'})

    async with rig(refused=refused) as (panel, client, _):
        panel.handler = locked
        with pytest.raises(Locked):
            await client.request("GET", "/open")
    assert [scheme for _, scheme in panel.asked] == [""], "no password is sent to an account that is locked"


async def test_a_401_without_a_challenge_is_called_so() -> None:
    async def refuses(request: web.Request) -> web.Response:
        return web.Response(status=401)

    async with rig() as (panel, client, _):
        panel.handler = refuses
        with pytest.raises(AuthFailed, match="does not say which login"):
            await client.request("GET", "/open")


async def test_own_logins_are_left_to_the_driver() -> None:
    async with rig(auth="own") as (panel, client, _):
        reply = await client.request("GET", "/basic", headers={"Authorization": "Bearer t"})
    assert (reply.status, panel.asked) == (401, [("/basic", "Bearer")])


async def test_what_must_not_happen_twice_is_sent_once() -> None:
    async def lost(request: web.Request) -> web.Response:
        panel.done.append(request.path)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with rig() as (panel, client, _):
        await client.request("GET", "/open")  # a connection is kept, on which the next one goes
        panel.handler = lost
        for method in ("GET", "PUT", "POST"):
            panel.done.clear()
            with pytest.raises(Unreachable):
                await client.request(method, "/door", once=True)
            assert panel.done == ["/door"]
        with pytest.raises(Unreachable):
            await client.request("GET", "/read")
        assert panel.done == ["/door", "/read", "/read", "/read"], "what only reads may be asked again"


async def test_a_redirect_is_not_followed() -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://192.0.2.1/"})

    async with rig() as (panel, client, _):
        panel.handler = elsewhere
        with pytest.raises(ProtocolError, match="redirects"):
            await client.request("GET", "/open")
        with pytest.raises(ProtocolError, match="redirects"):
            async with client.stream("/open", silence=1.0):
                pass


async def test_a_path_stays_at_the_device() -> None:
    async with rig() as (panel, client, _):
        await client.request("GET", "//192.0.2.1/x")
    assert panel.asked == [("//192.0.2.1/x", "")]


async def test_a_stream_logs_in_and_is_watched() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.sleep(30)
        return response

    async with rig() as (panel, client, _):
        panel.handler = endless
        read: list[bytes] = []

        async def listen() -> None:
            async with client.stream("/digest/events", silence=0.2) as response:
                while True:
                    read.append(await response.content.readany())

        with pytest.raises(Unreachable):
            await listen()
        assert read == [b"first"]
    assert [scheme for _, scheme in panel.asked] == ["", "Digest"]


async def test_a_websocket_logs_in_and_is_watched() -> None:
    async def socket(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        await ws.send_str("hello")
        async for _ in ws:
            pass  # and no pong
        return ws

    async with rig() as (panel, client, _):
        panel.handler = socket
        async with client.websocket("/digest/ws", silence=0.2) as ws:
            assert (await ws.receive()).data == "hello"
            async with asyncio.timeout(5):
                gone = await ws.receive()
            assert gone.type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
    assert [scheme for _, scheme in panel.asked] == ["", "Digest"]


async def test_requests_take_turns_and_long_polls_do_not() -> None:
    inside, most = 0, 0

    async def slow(request: web.Request) -> web.Response:
        nonlocal inside, most
        if request.path == "/pull":
            await asyncio.sleep(0.3)
            return web.Response(text="pulled")
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)
        inside -= 1
        return web.Response()

    async with rig() as (panel, client, _):
        panel.handler = slow
        pull = asyncio.create_task(client.request("GET", "/pull", wait=5.0))
        await asyncio.gather(*(client.request("GET", f"/{number}") for number in range(10)))
        assert not pull.done(), "requests do not wait for a long poll"
        assert (await pull).body == b"pulled"
    assert most == 1
