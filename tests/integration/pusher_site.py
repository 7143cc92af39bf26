"""For the tests of the Pusher server: servers on one application, over real sockets, and clients of it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.pusher_server import PusherServer
from bridge.metrics import Metrics
from bridge.secrets import Secret
from bridge.store.store import OutboxRow
from bridge.testing.clock import FakeClock

KEY, SECRET = "app-key", Secret("app-secret")
QUERY = "?protocol=7&client=js&version=8.6.0&flash=false"
BODY = r'{"data":{"type":"export_config","status":"ok","data":{"url":"https:\/\/x"}},"subject":null,"message":null}'
LIMIT = 10.0  # seconds that any condition gets


def row(
    channel: str = "user.13", seq: int = 1, *, body: str = BODY, at: float = 2e9, socket: bool = False
) -> OutboxRow:
    return OutboxRow(seq, at, "gate", "export_config", "App\\Events\\UserPush", channel, body, socket)


class Client:
    """A client that shows every frame it gets."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.socket_id = ""

    async def frame(self) -> aiohttp.WSMessage:
        async with asyncio.timeout(LIMIT):
            return await self.ws.receive()

    async def event(self) -> Any:
        frame = await self.frame()
        assert frame.type is WSMsgType.TEXT, frame
        return json.loads(frame.data)

    async def say(self, event: str, data: Any = None, **more: Any) -> None:
        await self.ws.send_str(json.dumps({"event": event, "data": {} if data is None else data, **more}))

    async def subscribe(self, channel: str = "private-user.13") -> Any:
        auth = protocol.channel_auth(KEY, SECRET, self.socket_id, channel)
        await self.say("pusher:subscribe", {"channel": channel, "auth": auth})
        return await self.event()

    async def is_served(self) -> None:
        """The connection still works, and nothing else has come on it meanwhile."""
        await self.say("pusher:ping")
        assert await self.event() == {"event": "pusher:pong", "data": {}}

    async def is_closed(self, code: int) -> None:
        """The error event comes first, then the close frame; both with the code."""
        error = await self.event()
        assert error["event"] == "pusher:error"
        assert error["data"]["code"] == code
        assert error["data"]["message"]
        assert (await self.frame()).type is WSMsgType.CLOSE
        assert self.ws.close_code == code


class Site:
    """Pusher servers mounted on one application, and clients of it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.server: PusherServer
        self.url = ""

    async def start(self, *servers: PusherServer, tls: ssl.SSLContext | None = None, **options: Any) -> PusherServer:
        self.server, *_ = servers = servers or (self.make(**options),)
        app = web.Application()
        for server in servers:
            app.add_routes(server.routes())
            await server.open()
        self.web = TestServer(app, scheme="https" if tls else "http")
        await self.web.start_server(ssl=tls, shutdown_timeout=0.1)
        self.stack.push_async_callback(self.web.close)
        self.url = str(self.web.make_url("")).rstrip("/")
        self.port = self.web.port
        return self.server

    def make(self, name: str = "clients", key: str = KEY, **options: Any) -> PusherServer:
        return PusherServer(name, key, SECRET, clock=self.clock, metrics=self.metrics, **options)

    async def client(self, path: str = f"/app/{KEY}{QUERY}", **options: Any) -> Client:
        """Connected, nothing read yet."""
        session = await self.stack.enter_async_context(aiohttp.ClientSession())
        options = {"autoping": False, "autoclose": False, "compress": 15} | options
        return Client(await session.ws_connect(self.url + path, **options))

    async def guest(self, **options: Any) -> Client:
        """Connected and welcomed."""
        client = await self.client(**options)
        client.socket_id = json.loads((await client.event())["data"])["socket_id"]
        return client

    async def subscriber(self, channel: str = "private-user.13", **options: Any) -> Client:
        client = await self.guest(**options)
        assert (await client.subscribe(channel))["event"] == "pusher_internal:subscription_succeeded"
        return client

    def refused(self, reason: str) -> float:
        return self.metrics.registry.get_sample_value("bridge_subscribers_refused_total", {"reason": reason}) or 0.0

    def counted(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"bridge_{name}") or 0.0


async def raw_client(site: Site, receive_buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has sent its handshake and has read up to the end of the answer's headers."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", site.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=receive_buffer or 65536)
    writer.write(
        f"GET /app/{KEY}{QUERY} HTTP/1.1\r\nHost: bridge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    async with asyncio.timeout(LIMIT):
        await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def masked(text: str) -> bytes:
    """A client's text frame; its mask is zero."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode()
