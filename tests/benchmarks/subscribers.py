"""The other end of `fanout`: a process of its own with thousands of WebSocket clients on raw sockets and one epoll.

Reads one JSON command a line and answers each with one line:

    {"open": GROUP, "port", "path", "count", "channel"}   connect and subscribe; answers true
    {"await": GROUP, "bytes"}    answers true once so many bytes more have come to the group
    {"times": [GROUP, ...], "frames"}   once so many frames more have come to each, answers, group by group,
                                 [[number in the push, arrival], ...]
    {"stuck": PORT, "path", "channel"}   one subscriber that never reads again; answers true
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time

HANDSHAKE = (
    "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# The push's own number, in a body that is JSON in a JSON string.
NUMBER = re.compile(rb'\\"number\\":\\"([0-9]+)\\"')
WAIT = 20.0


class Group:
    """Clients of one server. With `times`, whole frames are looked at; else bytes are counted."""

    def __init__(self) -> None:
        self.received = 0
        self.times: list[tuple[int, float]] | None = None
        self.rest: dict[int, bytes] = {}

    def take(self, fd: int, data: bytes) -> None:
        if self.times is None:
            self.received += len(data)
            return
        now = time.monotonic()
        data = self.rest.get(fd, b"") + data
        while len(data) > 4 and len(data) >= (end := 4 + int.from_bytes(data[2:4], "big")):
            found = NUMBER.search(data, 0, end)
            if found:
                self.times.append((int(found[1]), now))
            data = data[end:]
        self.rest[fd] = data


def connect(port: int, path: str, channel: str, buffer: int = 0) -> socket.socket:
    client = socket.socket()
    client.settimeout(WAIT)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", port))
    client.sendall(HANDSHAKE.format(path).encode())
    _read_until(client, b"\r\n\r\n")
    # A public channel, so that no signature is needed. The mask is zero.
    text = json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}).encode()
    client.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)
    _read_until(client, b"subscription_succeeded")
    # Linux acknowledges at once or late by what it believes of a connection, and bills the receiver or the sender for
    # it. This makes all connections equal: acknowledged when the client reads.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return client


def _read_until(client: socket.socket, mark: bytes) -> None:
    got = b""
    while mark not in got:
        data = client.recv(4096)
        if not data:
            raise SystemExit(f"the server closed: {got!r}")
        got += data


def main() -> None:
    poll = select.epoll()
    clients: dict[int, tuple[socket.socket, Group]] = {}
    groups: dict[str, Group] = {}
    kept: list[socket.socket] = []
    for command in map(json.loads, sys.stdin):
        if "open" in command:
            group = groups.setdefault(command["open"], Group())
            for _ in range(command["count"]):
                client = connect(command["port"], command["path"], command["channel"])
                client.setblocking(False)
                clients[client.fileno()] = client, group
                poll.register(client, select.EPOLLIN)
        elif "stuck" in command:
            kept.append(connect(command["stuck"], command["path"], command["channel"], buffer=4096))
        elif "await" in command:
            group = groups[command["await"]]
            group.received -= command["bytes"]
            while group.received < 0:
                _receive(poll, clients)
        elif "times" in command:
            times: list[list[tuple[int, float]]] = [[] for _ in command["times"]]
            for name, one in zip(command["times"], times, strict=True):
                groups[name].times = one
            while any(len(one) < command["frames"] for one in times):
                _receive(poll, clients)
            print(json.dumps(times), flush=True)
            continue
        print("true", flush=True)


def _receive(poll: select.epoll, clients: dict[int, tuple[socket.socket, Group]]) -> None:
    for fd, _ in poll.poll(WAIT):
        client, group = clients[fd]
        data = client.recv(1 << 16)
        if not data:
            raise SystemExit("the server closed a connection that reads")
        group.take(fd, data)


if __name__ == "__main__":
    main()
