"""One push to a thousand subscribers: CPU time a message, beside other WebSocket servers; and one that does not read.

Ours goes the way of production, from the store's outbox through `PusherServer.send`; the peers get the same bytes to
send to the same number of clients. All servers run in this process, one after the other in every round; a ratio is
the median of what the rounds say each by itself. CPU time is this process's, user and system. The clients are a
process of their own.

Each message is waited for before the next, so no server profits from a queue.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from operator import truediv
from pathlib import Path
from typing import Any

from aiohttp import web

from bridge.clock import SystemClock
from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.pusher_server import PusherServer
from bridge.metrics import Metrics
from bridge.pushes.catalogue import DictionaryUpdate
from bridge.secrets import Secret
from bridge.store.store import Store
from tests.benchmarks import subscribers

NAME = "fanout"
SUBSCRIBERS = 1_000
BODY = 900  # bytes of a push
ROUNDS = 5
WARM_UP = 20  # messages in a round, for each server: caches and TCP come out of their rest
MESSAGES = 30  # after that, the ones that count
HEALTHY = 20  # subscribers beside the one that is stuck, and as many without such a neighbour
PACED = 1_100  # messages to them: enough for the stuck one to be closed before the end
PACE = 400  # a second
CHANNEL = "admin.dictionary-update"
# What the peers answer to the one message of their clients, as ours does.
SUBSCRIBED = "subscription_succeeded"

Send = Callable[[], Awaitable[None]]


class Load:
    """The process with the clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Load:
        limit = 1 << 24  # bytes of an answer
        return cls(
            await asyncio.create_subprocess_exec(sys.executable, subscribers.__file__, stdin=-1, stdout=-1, limit=limit)
        )

    def ask(self, **command: Any) -> asyncio.Task[Any]:
        """The command is on its way when this returns; the task has the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return asyncio.create_task(self._answer())

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


class Outbox:
    """A store with pushes in it, which go out one at a time."""

    def __init__(self, store: Store, server: PusherServer) -> None:
        self._store = store
        self._server = server
        self._cursor = 0

    async def fill(self, count: int) -> None:
        first = self._store.last_seq
        pushes = []
        for number in range(first + 1, first + 1 + count):
            push = DictionaryUpdate(diff={"number": str(number), "text": ""})
            pushes.append(push.model_copy(update={"diff": push.diff | {"text": "x" * (BODY - len(push.body()))}}))
        await self._store.commit("benchmark", [], pushes)

    async def send(self) -> int:
        """Deliver the next push; returns its number."""
        rows = await self._store.outbox_after(self._cursor, 1)
        await self._server.send(rows)
        self._cursor = rows[-1].seq
        return self._cursor

    def skip(self) -> None:
        """Leave out what is in the store now."""
        self._cursor = self._store.last_seq

    def waiting(self) -> int:
        """Bytes that the slowest subscriber has still to take."""
        return max(client.transport.get_write_buffer_size() for client in self._server._channels[CHANNEL])

    async def frame(self) -> bytes:
        """The next push as a frame, for its size and for the peers."""
        (row,) = await self._store.outbox_after(self._cursor, 1)
        return protocol.event(row.event, row.channel, row.body)


async def _listen(stack: AsyncExitStack, routes: list[web.RouteDef]) -> int:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    return int(runner.addresses[0][1])


async def _aiohttp(stack: AsyncExitStack, text: str) -> tuple[int, Send]:
    """The plain loop over `await ws.send_str`."""
    clients: set[web.WebSocketResponse] = set()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        clients.add(ws)
        async for _ in ws:
            await ws.send_str(SUBSCRIBED)
        return ws

    async def send() -> None:
        for ws in clients:
            await ws.send_str(text)

    return await _listen(stack, [web.get("/", handler)]), send


async def _websockets(stack: AsyncExitStack, text: str) -> tuple[int, Send]:
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    clients: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        clients.add(connection)
        await connection.recv()
        await connection.send(SUBSCRIBED)
        await connection.wait_closed()

    server = await serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.1)
    stack.callback(server.close)

    async def send() -> None:
        broadcast(clients, text)

    return int(server.sockets[0].getsockname()[1]), send


async def _picows(stack: AsyncExitStack, text: str) -> tuple[int, Send]:
    import picows

    clients: set[Any] = set()

    class Listener(picows.WSListener):
        def on_ws_connected(self, transport: Any) -> None:
            clients.add(transport)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            transport.send(picows.WSMsgType.TEXT, SUBSCRIBED.encode())

    server = await picows.ws_create_server(lambda request: Listener(), "127.0.0.1", 0)
    stack.callback(server.close)
    message = text.encode()

    async def send() -> None:
        for transport in clients:
            transport.send(picows.WSMsgType.TEXT, message)

    return int(server.sockets[0].getsockname()[1]), send


PEERS = {"aiohttp": _aiohttp, "websockets": _websockets, "picows": _picows}


async def _cpu(stack: AsyncExitStack, load: Load, outbox: Outbox, port: int) -> dict[str, list[float]]:
    """CPU microseconds a message and subscriber, round by round: of ours and of each peer."""
    await outbox.fill(ROUNDS * (WARM_UP + MESSAGES))
    frame = await outbox.frame()
    text = frame[4:].decode()

    async def ours() -> None:
        await outbox.send()

    sends: dict[str, Send] = {"ours": ours}
    await load.ask(open="ours", port=port, path="/app/key?protocol=7", count=SUBSCRIBERS, channel=CHANNEL)
    for name, peer in PEERS.items():
        try:
            peer_port, sends[name] = await peer(stack, text)
        except ImportError as error:
            print(f"fanout: without {name} ({error})", file=sys.stderr)
            continue
        await load.ask(open=name, port=peer_port, path="/", count=SUBSCRIBERS, channel=CHANNEL)

    used: dict[str, list[float]] = {name: [] for name in sends}
    for _ in range(ROUNDS):
        for name, send in sends.items():
            began = 0.0
            for number in range(WARM_UP + MESSAGES):
                if number == WARM_UP:
                    began = time.process_time()
                arrived = load.ask(**{"await": name}, bytes=len(frame) * SUBSCRIBERS)
                await send()
                await arrived
            used[name].append((time.process_time() - began) / MESSAGES / SUBSCRIBERS * 1e6)
    return used


async def _stuck(load: Load, outboxes: Sequence[Outbox], ports: Sequence[int]) -> float:
    """p99 of those with a stuck subscriber beside them, by the p99 of those without.

    Two servers at the same time and by turns, so that whatever else the machine does slows both.
    """
    path, groups = "/app/key?protocol=7", ("alone", "beside")
    for group, port in zip(groups, ports, strict=True):
        await load.ask(open=group, port=port, path=path, count=HEALTHY, channel=CHANNEL)
    await load.ask(stuck=ports[1], path=path, channel=CHANNEL)
    # Until the kernel takes no more for it, and what it misses gathers with us.
    while not outboxes[1].waiting():
        await outboxes[1].fill(50)
        arrived = load.ask(**{"await": "beside"}, bytes=len(await outboxes[1].frame()) * 50 * HEALTHY)
        for _ in range(50):
            await outboxes[1].send()
        await arrived
    outboxes[0].skip()

    await outboxes[0].fill(PACED)
    times = load.ask(times=groups, frames=HEALTHY * PACED)
    sent: tuple[dict[int, float], dict[int, float]] = {}, {}
    start = time.monotonic()
    for number in range(PACED):
        await asyncio.sleep(max(0.0, start + number / PACE - time.monotonic()))
        for turn in (number % 2, 1 - number % 2):
            before = time.monotonic()
            sent[turn][await outboxes[turn].send()] = before
    assert not outboxes[1].waiting(), "the stuck subscriber was to be closed by now"
    alone, beside = (
        statistics.quantiles((arrived - began[number] for number, arrived in group), n=100)[98]
        for group, began in zip(await times, sent, strict=True)
    )
    return float(beside / alone)


def _rss() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def _run(directory: Path) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        store = await Store.open(directory, clock)
        stack.push_async_callback(store.close)
        load = await Load.start()
        stack.push_async_callback(load.close)

        async def serve() -> tuple[Outbox, int]:
            server = PusherServer("clients", "key", Secret("secret"), clock=clock, metrics=Metrics(), prefix="")
            await server.open()
            return Outbox(store, server), await _listen(stack, server.routes())

        outbox, port = await serve()
        idle = _rss()
        await load.ask(open="idle", port=port, path="/app/key?protocol=7", count=SUBSCRIBERS, channel="user.1")
        kilobytes = (_rss() - idle) / 1024 / SUBSCRIBERS
        used = await _cpu(stack, load, outbox, port)
        # Two servers without the thousand others.
        (one, one_port), (two, two_port) = await serve(), await serve()
        one.skip()
        two.skip()
        ratio = await _stuck(load, (one, two), (one_port, two_port))
    ours = used.pop("ours")
    ratios = {name: statistics.median(map(truediv, ours, theirs)) for name, theirs in used.items()}
    print("fanout: ours by theirs:", {name: round(ratio, 3) for name, ratio in ratios.items()}, file=sys.stderr)
    return {
        "cpu_us_per_message": statistics.median(ours),
        "ratio_to_aiohttp": ratios["aiohttp"],
        "ratio_to_best": max(ratios.values()),
        "stuck_p99_ratio": ratio,
        "kb_per_subscriber": kilobytes,
    }


def run() -> dict[str, float]:
    """All figures; about 25 s."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_run(Path(directory)))


if __name__ == "__main__":
    print(json.dumps(run()))
