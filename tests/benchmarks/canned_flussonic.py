"""The cheapest possible Flussonic servers, for measuring clients: canned answers, in a process of its own.

`python -m tests.benchmarks.canned_flussonic SERVERS CAMERAS` prints the ports as JSON and serves until it is killed.
Each camera has two streams, `cam-1` and `cam-1-low`. Nothing is checked: what is measured is the other side.
"""

from __future__ import annotations

import asyncio
import json
import sys

_STATS = {
    "now": 1_795_000_000_000,
    "server_version": "23.01",
    "streamer_status": "running",
    "hostname": "flussonic-1",
    "id": "61942414-8c4e-4b1f-9a53-1c2b3d4e5f60",
    "uptime": 864_000,
    "cpu_usage": 17,
    "memory_usage": 42,
    "total_clients": 3,
    "partitions": [{"path": "/storage", "total_mb": 4_000_000, "usage": 71}],
    "text_alerts": {},
}


def _page(answer: object) -> bytes:
    body = json.dumps(answer, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _streams(cameras: int) -> dict[str, object]:
    names = [name for number in range(1, cameras + 1) for name in (f"cam-{number}", f"cam-{number}-low")]
    said = {"disabled": False, "static": True, "stats": {"alive": True, "status": "running"}}
    return {"streams": [{"name": name, **said} for name in names], "estimated_count": len(names), "timing": {}}


class Server(asyncio.Protocol):
    def __init__(self, streams: bytes, stats: bytes) -> None:
        self._streams = streams
        self._stats = stats
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            line, self._data = self._data[:end], self._data[end + 4 :]
            self._transport.write(self._streams if b"/streams" in line.partition(b"\r\n")[0] else self._stats)


async def serve(servers: int, cameras: int) -> None:
    loop = asyncio.get_running_loop()
    streams, stats = _page(_streams(cameras)), _page(_STATS)
    made = [await loop.create_server(lambda: Server(streams, stats), "127.0.0.1", 0) for _ in range(servers)]
    print(json.dumps([one.sockets[0].getsockname()[1] for one in made]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
