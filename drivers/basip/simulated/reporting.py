"""How a panel's log leaves it: RFC 5424 over UDP or TCP, or POSTs of lines, which it keeps until they are taken."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
from yarl import URL

BATCH = 200
AGAIN = 0.05  # seconds until a POST that was not taken is tried again; a real panel takes longer


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(URL(server).host or server).is_loopback
    except ValueError:
        return server == "localhost"


class Reporting:
    """`settings` are those of /syslog/settings as they stand. `push` is what this firmware does with a bare host name
    (`http`, `udp`, `tcp`); a URL is always POSTed to."""

    def __init__(self, settings: Callable[[], dict[str, Any] | None], push: str, host: str, address: str) -> None:
        self._settings = settings
        self._push = push
        self._host = host
        self._address = address  # the panel's own, from which it reports
        self._kept: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.held_back = False  # what is written is kept, as while the server cannot be reached
        self.posts = 0
        self.lost = 0  # datagrams that are to be lost on the way
        self.doubled = False  # each datagram arrives twice

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="reports")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def write(self, line: str, at: float) -> None:
        """One event, if the panel was told to send it somewhere."""
        settings = self._settings()
        if settings is None or not settings["enabled"] or not settings["server"]["server"]:
            return
        moment = datetime.fromtimestamp(at, UTC)
        tag = settings["tag"] or "-"
        if self._posts(settings):
            said = f"<134> {moment:%Y-%m-%d %H:%M:%S.%f}+00:00 {self._host} {tag} EVENT:{line}"
        else:
            said = f"<134>1 {moment:%Y-%m-%dT%H:%M:%S.%fZ} {self._host} {tag} - - - EVENT:{line}"
        self._kept.append(said.encode())
        self._wake.set()

    def release(self) -> None:
        """The server can be reached again."""
        self.held_back = False
        self._wake.set()

    def _posts(self, settings: dict[str, Any]) -> bool:
        return "://" in settings["server"]["server"] or self._push == "http"

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True, local_addr=(self._address, 0))
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._kept and not self.held_back:
                    settings = self._settings()
                    if settings is None or not settings["enabled"]:
                        self._kept.clear()
                        break
                    server, port = settings["server"]["server"], settings["server"]["port"]
                    if not _is_loopback(server):
                        self._kept.clear()  # a simulated panel talks to nobody else
                        break
                    if self._posts(settings):
                        url = server if "://" in server else f"http://{server}:{port}/"
                        if not await self._post(session, url):
                            await asyncio.sleep(AGAIN)
                    elif self._push == "tcp":
                        await self._stream(server, port)
                    else:
                        await self._datagrams(server, port)

    async def _post(self, session: aiohttp.ClientSession, url: str) -> bool:
        batch = [self._kept[place] for place in range(min(BATCH, len(self._kept)))]
        self.posts += 1
        try:
            async with session.post(url, data=b"\n".join(batch) + b"\n") as response:
                if response.status != 200:
                    return False
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        for _ in batch:
            self._kept.popleft()
        return True

    async def _stream(self, server: str, port: int) -> None:
        batch, self._kept = list(self._kept), deque()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(server, port, local_addr=(self._address, 0))
            writer.writelines(line + b"\n" for line in batch)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _datagrams(self, server: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.bind((self._address, 0))
            while self._kept:
                line = self._kept.popleft()
                if self.lost:
                    self.lost -= 1
                    continue
                for _ in range(2 if self.doubled else 1):
                    with contextlib.suppress(OSError):
                        await loop.sock_sendto(sender, line, (server, port))
