"""Sink: the bridge as a Pusher Channels server, which the VMS's clients connect to directly.

Speaks protocol 5 to 7 with public and private channels; presence, encrypted and cache channels are refused with a
reason, and so are client events. The protocol delivers at most once: a push goes to whoever is subscribed at that
moment, and a push whose channel has no subscriber counts as delivered.

How it stays quick and whole:

- A push is made into one WebSocket frame, and the same bytes are written to each subscriber's transport. Nothing is
  awaited for a client: what it does not read gathers in its transport, and over `max_buffer` bytes it is closed.
- Every connection is in exactly one of three dicts, each in the order of time: heard from lately, pinged, leaving.
  One task looks at their heads once a second, so ten thousand idle connections cost no timers.
- The Origin of a handshake is not looked at: there are no cookies. What a client may hear is decided by the signature
  that it got for its bearer token (`bridge/web/broadcasting.py`).
- After a restart the outbox may hold pushes that were decided before it, and clients need a moment to come back.
  For the first `grace` seconds such a push waits until its channel has a subscriber. The order of pushes is kept, so
  those behind it wait too; pushes that are decided after the start never begin a wait.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from bridge.clock import Clock
from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.pusher_protocol import Code
from bridge.delivery.sink import Refused, TryAgain, wire_body
from bridge.metrics import Metrics
from bridge.secrets import Secret
from bridge.store.store import OutboxRow

MESSAGE_LIMIT = 16 * 1024  # bytes of a client's message; a subscription has about 300
MESSAGES_PER_SECOND = 100  # from one client, besides the subscriptions that it sends at once when it comes back
BATCH = 16  # pushes at a time: a kill -9 in the middle makes no more than these go out twice
STRIKES = 10  # messages in a row that make no sense, then the connection is closed
PONG_WAIT = 30.0  # seconds for an answer to our ping
# Seconds from our close frame to the end, for the client's own. Ends are kept clean: pusher-js gives up for good
# after two connections that broke within four minutes of their beginning.
LINGER = 5.0
REFUSED_AT_ONCE = 100  # connections beyond `max_connections` that are told why; those beyond that get a 503
CHUNK = 256  # subscribers that are served before the loop gets a turn: about 2.5 ms
TICK = 1.0

log = structlog.get_logger("delivery.pusher_server")


@dataclass(slots=True, eq=False)
class _Client:
    """One connection. `stage` is the dict of the server that holds it, with the time since when."""

    transport: asyncio.Transport
    socket_id: str
    stage: dict[_Client, float]
    channels: set[str] = field(default_factory=set)
    open: bool = True  # until we said goodbye
    strikes: int = 0
    second: float = 0.0  # when the current second of counting began
    messages: int = 0  # heard in it


class PusherServer:
    """Serves `routes()`, which the application mounts; a Sink for the pump.

    `name`: the sink's name. `key`, `secret`: the Pusher application; `key` is public and stands in the URL.
    `prefix` goes before every channel name, `socket_key` is page, always or never (`wire_body`). `paths`: the
    prefixes before `/app/{key}`; the Aipix clients use /pusher or /ws. `activity_timeout`: whole seconds of silence
    after which a client pings us; we ping it a quarter later. `max_buffer`: bytes that may wait for one subscriber.
    """

    confirms = False

    def __init__(
        self,
        name: str,
        key: str,
        secret: Secret,
        *,
        clock: Clock,
        metrics: Metrics,
        prefix: str = protocol.PRIVATE,
        paths: Sequence[str] = ("", "/pusher", "/ws"),
        socket_key: str = "page",
        activity_timeout: int = 120,
        max_connections: int = 10_000,
        max_subscriptions: int = 100,
        max_buffer: int = 1_000_000,
        grace: float = 5.0,
    ) -> None:
        if not re.fullmatch(r"[-\w.]+", key, re.ASCII):
            raise ValueError(f"{name}: a Pusher key stands in a URL and has letters, digits, - _ . only, not {key!r}")
        self.name = name
        self.batch = BATCH
        self.key = key
        self.prefix = prefix
        self._secret = secret
        self._clock = clock
        self._metrics = metrics
        self._paths = tuple(paths)
        self._socket_key = socket_key
        self._activity_timeout = activity_timeout
        self._max_connections = max_connections
        self._max_subscriptions = max_subscriptions
        self._max_messages = MESSAGES_PER_SECOND + max_subscriptions
        self._max_buffer = max_buffer
        self._grace = grace
        self._channels: dict[str, dict[_Client, None]] = {}
        self._heard: dict[_Client, float] = {}
        self._pinged: dict[_Client, float] = {}
        self._leaving: dict[_Client, float] = {}
        # The first half of every socket id: tells our connections from those of another server (`owns`).
        self._number = secrets.randbelow(10**12)
        self._opened = clock.now()
        self._serving = False
        self._holding = False
        self._changed = asyncio.Event()  # set by what `send` and `close` wait for
        self._ticking: asyncio.Task[None] | None = None

    # -- the sink ------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        if self._serving:
            return
        self._opened = self._clock.now()
        self._serving = self._holding = True
        self.batch = 1  # while pushes are held: a stop in that time leaves none behind that was sent and not noted
        self._ticking = asyncio.create_task(self._tick(), name=f"{self.name}: pings and deadlines")

    async def close(self) -> None:
        """Send every client away with 4200, so that it comes back at once; wait for them, but not for long."""
        self._serving = self._holding = False
        self._changed.set()
        for client in [*self._heard, *self._pinged]:
            self._goodbye(client, Code.RECONNECT, "the server restarts: please reconnect")
        if (ticking := self._ticking) is None:
            return
        # The tick ends those that do not answer, so this wait has its limit.
        while self.connections:
            self._changed.clear()
            await self._changed.wait()
        ticking.cancel()
        self._ticking = None

    def wants(self, row: OutboxRow) -> bool:
        return bool(row.channel)

    async def send(self, rows: Sequence[OutboxRow]) -> Refused:
        """Write each push to the subscribers of its channel. Raises TryAgain only when the server is closed.

        What follows one another on one channel is written at once: when a switch fails, its cameras' pushes come in
        a burst, and to write is nearly all that a push costs.
        """
        for channel, burst in groupby(rows, lambda row: self.prefix + row.channel):
            pushes = list(burst)
            while self._holding and pushes[0].at < self._opened.wall and channel not in self._channels:
                self._changed.clear()
                await self._changed.wait()
            if not self._serving:
                raise TryAgain("the Pusher server is closed")
            if clients := tuple(self._channels.get(channel, ())):
                frames = (protocol.event(one.event, channel, wire_body(one, self._socket_key)) for one in pushes)
                await self._write_all(b"".join(frames), clients)
                self._metrics.frames.inc(len(pushes) * len(clients))
        return ()

    async def check(self) -> str:
        if not self._serving:
            raise TryAgain("the Pusher server is closed")
        return f"the Pusher server is open, {self.connections} clients are connected"

    # -- for the web application ---------------------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """`/app/{key}` under each path. Our own key has a route of its own, so that several servers can be mounted
        on one application; the route for any key is there to answer an unknown one as the protocol says."""
        keys = (self.key, "{key}")
        return [web.get(f"{path}/app/{key}", self.handler, allow_head=False) for path in self._paths for key in keys]

    @property
    def connections(self) -> int:
        return len(self._heard) + len(self._pinged) + len(self._leaving)

    def owns(self, socket_id: str) -> bool:
        """Whether a connection with this id would be one of ours."""
        return socket_id.startswith(f"{self._number}.")

    def channel_auth(self, socket_id: str, channel: str) -> str:
        """What lets that connection subscribe to a private channel: `KEY:HEX`."""
        return protocol.channel_auth(self.key, self._secret, socket_id, channel)

    async def handler(self, request: web.Request) -> web.StreamResponse:
        if not self._serving:
            raise web.HTTPServiceUnavailable(text="the server is stopping or not yet open\n")
        if self.connections >= self._max_connections + REFUSED_AT_ONCE:
            self._metrics.refused.labels("capacity").inc()
            raise web.HTTPServiceUnavailable(text="too many connections\n")
        ws = web.WebSocketResponse(
            compress=False, autoclose=False, autoping=False, max_msg_size=MESSAGE_LIMIT, timeout=LINGER
        )
        await ws.prepare(request)
        transport = request.transport
        if transport is None:  # it left during the handshake
            return ws
        refusal = self._refusal(request)
        client = _Client(transport, f"{self._number}.{secrets.randbits(53)}", self._heard)
        self._enter(client, self._heard)
        self._metrics.subscribers.inc()
        try:
            if refusal is None:
                self._write(client, protocol.established(client.socket_id, self._activity_timeout))
            else:
                self._metrics.refused.labels(refusal[0]).inc()
                self._goodbye(client, *refusal[1:])
            await self._listen(client, ws)
        finally:
            self._metrics.subscribers.dec()
            self._end(client, gone=request.transport is None)
        return ws

    # -- one connection ------------------------------------------------------------------------------------------

    def _refusal(self, request: web.Request) -> tuple[str, Code, str] | None:
        """Why this client is not let in: the metric's label, the code, and words for people."""
        version = request.query.get("protocol")
        if not self._serving:  # the stop came during the handshake
            return "stopping", Code.RECONNECT, "the server restarts: please reconnect"
        if request.match_info.get("key", self.key) != self.key:
            return "unknown_key", Code.UNKNOWN_KEY, "no application has this key: compare it with the sink's key"
        if version is None:
            return "protocol", Code.NO_PROTOCOL, "the URL has no protocol=: 5, 6 and 7 are served"
        if version not in protocol.PROTOCOLS:
            return "protocol", Code.UNSUPPORTED_PROTOCOL, "this protocol is not served: 5, 6 and 7 are"
        if self.connections >= self._max_connections:
            return "capacity", Code.OVER_CAPACITY, "too many connections: raise max_connections, or come back later"
        return None

    async def _listen(self, client: _Client, ws: web.WebSocketResponse) -> None:
        """Until the client closes, vanishes, or breaks the WebSocket protocol itself (then aiohttp has closed)."""
        while True:
            message = await ws.receive()
            if message.type is WSMsgType.CLOSE and client.open:
                self._write(client, protocol.close(message.data))
                client.open = False
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
                return
            if not client.open:
                continue  # it has not read our close frame yet
            # Whatever it says, it is alive.
            self._enter(client, self._heard)
            if self._floods(client):
                self._refuse(client, "flood", f"more than {self._max_messages} messages in a second")
            elif message.type is WSMsgType.PING:
                self._write(client, protocol.frame(message.data, opcode=0xA))
            elif message.type is not WSMsgType.PONG:
                self._hear(client, message.data)

    def _hear(self, client: _Client, text: str | bytes) -> None:
        try:
            if isinstance(text, bytes):
                raise protocol.Malformed("binary messages have no meaning here")
            message = protocol.parse(text)
            if message.event == "pusher:ping":
                self._write(client, protocol.PONG)
            elif message.event == "pusher:subscribe":
                self._subscribe(client, message.data)
            elif message.event == "pusher:unsubscribe":
                self._leave(client, str(message.data.get("channel")))
            elif message.event.startswith(protocol.CLIENT_EVENT):
                self._write(client, protocol.error(Code.CLIENT_EVENT, "client events are not served"))
            elif message.event != "pusher:pong":
                raise protocol.Malformed(f"unknown event {message.event[:100]!r}")
            client.strikes = 0
        except protocol.Malformed as error:
            client.strikes += 1
            if client.strikes < STRIKES:
                self._write(client, protocol.error(None, str(error)))
            else:
                self._refuse(client, "malformed", f"{STRIKES} messages in a row that make no sense; the last: {error}")

    def _floods(self, client: _Client) -> bool:
        now = self._clock.now().mono
        if now - client.second >= 1.0:
            client.second, client.messages = now, 0
        client.messages += 1
        return client.messages > self._max_messages

    def _subscribe(self, client: _Client, data: Any) -> None:
        channel, auth = data.get("channel"), data.get("auth")
        if not isinstance(channel, str):
            raise protocol.Malformed('pusher:subscribe has no string "channel"')

        def refuse(kind: str, status: int, reason: str) -> None:
            self._metrics.refused.labels("subscription").inc()
            name = channel[: protocol.CHANNEL_NAME_LIMIT]
            self._write(client, protocol.subscription_error(name, kind, reason, status))

        if not protocol.is_channel_name(channel):
            limit = protocol.CHANNEL_NAME_LIMIT
            return refuse("NameError", 400, f"a channel name has 1 to {limit} of a-z A-Z 0-9 - _ = @ , . ;")
        if why := protocol.unserved(channel):
            return refuse("NotServed", 403, why)
        if channel.startswith(protocol.PRIVATE) and not (
            isinstance(auth, str) and protocol.is_channel_auth(auth, self.key, self._secret, client.socket_id, channel)
        ):
            return refuse("AuthError", 401, "the signature does not fit: post to broadcasting/auth for this socket_id")
        if channel not in client.channels and len(client.channels) >= self._max_subscriptions:
            return refuse("LimitReached", 429, f"more than {self._max_subscriptions} subscriptions on one connection")
        # A second subscription to the same channel is answered and changes nothing.
        channel = sys.intern(channel)
        client.channels.add(channel)
        self._channels.setdefault(channel, {})[client] = None
        self._write(client, protocol.subscribed(channel))
        return self._changed.set()

    def _leave(self, client: _Client, channel: str) -> None:
        if channel in client.channels:
            client.channels.remove(channel)
            subscribers = self._channels[channel]
            del subscribers[client]
            if not subscribers:
                del self._channels[channel]

    # -- writing and closing -------------------------------------------------------------------------------------

    async def _write_all(self, frames: bytes, clients: Sequence[_Client]) -> None:
        """Write the same bytes to all. Gives way to the event loop between chunks, so some may leave meanwhile."""
        # The transport and not `ws.send_str`, which frames anew for each client and waits for the slow ones; never
        # the bare socket, for under TLS that is not where the frames belong.
        limit = self._max_buffer
        for start in range(0, len(clients), CHUNK):
            if start:
                await asyncio.sleep(0)
            for client in clients[start : start + CHUNK]:
                transport = client.transport
                if client.open and not transport.is_closing():
                    transport.write(frames)
                    if transport.get_write_buffer_size() > limit:
                        self._too_slow(client)

    def _write(self, client: _Client, frame: bytes) -> None:
        """As `_write_all`, for one."""
        transport = client.transport
        if client.open and not transport.is_closing():
            transport.write(frame)
            if transport.get_write_buffer_size() > self._max_buffer:
                self._too_slow(client)

    def _too_slow(self, client: _Client) -> None:
        self._metrics.closed_slow.inc()
        waiting = client.transport.get_write_buffer_size()
        log.info("subscriber does not read; closed", sink=self.name, waiting=waiting)
        self._goodbye(client, Code.OVER_CAPACITY, "too slow: what you have not read does not fit the buffer")

    def _refuse(self, client: _Client, label: str, reason: str) -> None:
        self._metrics.refused.labels(label).inc()
        self._goodbye(client, Code.POLICY, reason)

    def _goodbye(self, client: _Client, code: Code, reason: str) -> None:
        """Say why and close; whoever has not gone LINGER seconds later is cut off."""
        client.open = False
        for channel in tuple(client.channels):
            self._leave(client, channel)
        if not client.transport.is_closing():
            client.transport.write(protocol.closing(code, reason))
        self._enter(client, self._leaving)

    def _end(self, client: _Client, *, gone: bool) -> None:
        """The connection's handler is done. Where it is not gone, what it has not yet taken may linger."""
        client.open = False
        for channel in tuple(client.channels):
            self._leave(client, channel)
        transport = client.transport
        # Never close twice: asyncio's TLS transports then forget how much they hold.
        if not gone and not transport.is_closing():
            transport.close()
        if not gone and transport.get_write_buffer_size():
            self._enter(client, self._leaving)
        else:
            client.stage.pop(client, None)
            self._changed.set()

    def _enter(self, client: _Client, stage: dict[_Client, float]) -> None:
        """Put the client last in a stage: each stage stays in the order of its times."""
        client.stage.pop(client, None)
        client.stage = stage
        stage[client] = self._clock.now().mono

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            now = self._clock.now().mono
            if self._holding and now - self._opened.mono >= self._grace:
                self._holding, self.batch = False, BATCH
                self._changed.set()
            for client in _since(self._heard, now - self._activity_timeout * 1.25):
                self._write(client, protocol.PING)
                if client.open:
                    self._enter(client, self._pinged)
            for client in _since(self._pinged, now - PONG_WAIT):
                self._goodbye(client, Code.NO_PONG, f"no answer to a ping in {PONG_WAIT:g} s")
            for client in _since(self._leaving, now - LINGER):
                client.transport.abort()
                del self._leaving[client]
                self._changed.set()


def _since(stage: dict[_Client, float], limit: float) -> list[_Client]:
    """Those that have been in a stage since `limit` or longer: they stand first."""
    found = []
    for client, since in stage.items():
        if since > limit:
            break
        found.append(client)
    return found
