"""A UDP socket on which many devices report: one queue with a bound, a measure for each sender, every loss counted.

What a datagram means, and whose it is, its owner says; see `bridge.traps` and `bridge.syslog`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from bridge.buckets import Bucket
from bridge.clock import Clock
from bridge.errors import Unreachable

QUEUE = 20_000  # datagrams that wait to be read
TAKEN_AT_ONCE = 2_000  # datagrams from the socket before others have their turn: what waits in there may get lost
READ_FOR = 0.01  # seconds of reading what is in the queue before others have their turn
# Asked of the kernel, which gives what net.core.rmem_max allows.
RECEIVE_BUFFER = 8 << 20
_SO_MEMINFO, _DROPS = 55, 8  # linux/sock_diag.h: how many datagrams did not fit into the buffer

log = structlog.get_logger("datagrams")
Source = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Measure:
    """One sender may send so many at once, and so many a second after that; all strangers together the same."""

    burst: int
    per_second: float


class Datagrams:
    """From `open` to `close`. `take` gets each datagram and says what came of it, in a word for `count`; `known` says
    whether an address is a device's."""

    def __init__(
        self,
        clock: Clock,
        measure: Measure,
        *,
        take: Callable[[bytes, Source], str],
        known: Callable[[str], bool],
        count: Callable[[str, int], None],
        bound: int = QUEUE,
    ) -> None:
        self._clock = clock
        self._measure = measure
        self._take = take
        self._known = known
        self._count = count
        self._bound = bound
        self._buckets: dict[str, Bucket] = {}
        self._strangers = self._new_bucket()
        self._queue: deque[tuple[bytes, Source]] = deque()
        self._fresh = asyncio.Event()
        self._lost = 0

    def __len__(self) -> int:
        """Those that wait to be read."""
        return len(self._queue)

    async def open(self, host: str, port: int) -> None:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except BaseException:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        loop.add_reader(self._socket, self._readable)
        self._reader = asyncio.create_task(self._read_forever(), name=f"datagrams:{self.port}")

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        self._socket.close()

    def send(self, data: bytes, target: Source) -> None:
        with suppress(OSError):
            host = target[0]
            if self._socket.family is socket.AF_INET6 and ":" not in host:
                host = f"::ffff:{host}"
            self._socket.sendto(data, (host, target[1]))

    def forget(self, address: str) -> None:
        """It is no device's address any more."""
        self._buckets.pop(address, None)

    def allows(self, host: str) -> bool:
        """Whether a sender may send one more; for what does not come as a datagram."""
        bucket = self._strangers
        if self._known(host):
            bucket = self._buckets.get(host) or self._buckets.setdefault(host, self._new_bucket())
        return not bucket.take(self._clock.now().mono)

    def _new_bucket(self) -> Bucket:
        return Bucket(self._measure.burst, self._measure.per_second, self._clock.now().mono)

    def _readable(self) -> None:
        for _ in range(TAKEN_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(65_535)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                break  # an ICMP error for an answer of ours
            host = plain(source[0])
            if not self.allows(host):
                self._count("too_often", 1)
            elif len(self._queue) >= self._bound:
                self._count("queue_full", 1)
            else:
                self._queue.append((data, (host, source[1])))
        self._fresh.set()

    async def _read_forever(self) -> None:
        while True:
            if not self._queue:
                self._fresh.clear()
                self._count_lost()
                await self._fresh.wait()
            until = self._clock.now().mono + READ_FOR
            while self._queue and self._clock.now().mono <= until:
                data, source = self._queue.popleft()
                try:
                    outcome = self._take(data, source)
                except Exception as error:
                    outcome = "fault"
                    log.error("a datagram that breaks the listener", source=source[0], exc_info=error)
                self._count(outcome, 1)
            await asyncio.sleep(0)

    def _count_lost(self) -> None:
        """Those that did not even fit into the kernel's buffer."""
        try:
            told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
        except OSError:
            return  # not Linux
        if len(told) == 4 * (_DROPS + 1):
            lost = struct.unpack_from("I", told, 4 * _DROPS)[0]
            self._count("buffer_full", max(0, lost - self._lost))
            self._lost = lost


def plain(host: str) -> str:
    """An IPv4 address as such, when it comes through an IPv6 socket."""
    return host.removeprefix("::ffff:") if "." in host else host


async def addresses_of(address: str) -> frozenset[str]:
    """The IP addresses of an address or a name. Raises Unreachable for a name that the name service does not know."""
    try:
        return frozenset({str(ipaddress.ip_address(address))})
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address, None, type=socket.SOCK_DGRAM)
    except OSError:
        raise Unreachable(f"the name {address} is not known") from None
    return frozenset(plain(str(entry[4][0])) for entry in found)
