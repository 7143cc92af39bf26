"""Where devices send SNMP traps and informs: one socket, one queue, many devices.

A trap is one datagram, unconfirmed, that anybody can forge: it is passed on as a hint and never believed. It comes from
the device's own address, or names that (snmpTrapAddress, for what comes through a relay), and carries the device's
community or is signed by its SNMPv3 user; everything else is counted, and answered by nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from bridge.clock import Clock
from bridge.driver import SnmpUser, Trap, TrapAccess
from bridge.errors import Unreachable
from bridge.metrics import Metrics
from bridge.model import Device
from bridge.traps.message import BadMessage, Plain, Sealed, read

if TYPE_CHECKING:
    from bridge.traps.usm import UserEngine

QUEUE = 20_000  # datagrams that wait to be read
TAKEN_AT_ONCE = 2_000  # datagrams from the socket before others have their turn: what waits in there may get lost
READ_FOR = 0.01  # seconds of reading what is in the queue before others have their turn
# One sender may send this many in a burst, and so many a second after that.
BURST = 6_000
PER_SECOND = 200.0
ENGINES = 64  # SNMPv3 users at the same time; each takes 2 MB
NEW_ENGINE_EVERY = 10.0  # seconds between two new engine IDs of one device, each of which costs time
# Asked of the kernel, which gives what net.core.rmem_max allows.
RECEIVE_BUFFER = 8 << 20
_SO_MEMINFO, _DROPS = 55, 8  # linux/sock_diag.h: how many datagrams did not fit into the buffer

log = structlog.get_logger("traps")
Handler = Callable[[Trap], None]


class _Bucket:
    """So many at once, so many a second."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = float(BURST)
        self._at = now

    def take(self, now: float) -> bool:
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class _Registered:
    """One device's traps: `bridge.driver.Registration`."""

    __slots__ = ("_owner", "access", "addresses", "device", "handler", "learned_at")

    def __init__(
        self, owner: TrapListener, device: Device, access: TrapAccess, handler: Handler, addresses: frozenset[str]
    ) -> None:
        self._owner = owner
        self.device = device
        self.access = access
        self.handler = handler
        self.addresses = addresses
        self.learned_at: float | None = None  # monotonic: when a new engine ID of it was last taken

    def close(self) -> None:
        self._owner.forget(self)


class TrapListener:
    """`bridge.driver.Traps` on a UDP socket. From `open` to `close`."""

    def __init__(self, metrics: Metrics, clock: Clock, bound: int = QUEUE) -> None:
        self._metrics = metrics
        self._clock = clock
        self._bound = bound
        self._by_address: dict[str, list[_Registered]] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._strangers = _Bucket(clock.now().mono)  # all of them together
        self._queue: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._fresh = asyncio.Event()
        self._engine_id = bytes.fromhex("8000000005") + secrets.token_bytes(8)  # RFC 3411: octets, new at each start
        self._engines: dict[SnmpUser, UserEngine] = {}
        self._lost = 0
        metrics.traps_waiting.set_function(lambda: len(self._queue))

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
        self._reader = asyncio.create_task(self._read_forever(), name="traps")

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        self._socket.close()

    async def register(self, device: Device, access: TrapAccess, handler: Handler) -> _Registered:
        """From now on the device's traps go to `handler`, which raises asyncio.QueueFull for what it cannot take.
        Raises Unreachable for a name that the name service does not know."""
        addresses = await _addresses(device.address)
        user = access.user
        if user is not None and user not in self._engines and len(self._engines) < ENGINES:
            from bridge.traps.usm import UserEngine

            self._engines[user] = await asyncio.to_thread(UserEngine, user, self._engine_id)
        one = _Registered(self, device, access, handler, addresses)
        for address in addresses:
            self._by_address.setdefault(address, []).append(one)
        return one

    def forget(self, one: _Registered) -> None:
        for address in one.addresses:
            rest = [other for other in self._by_address.get(address, ()) if other is not one]
            if rest:
                self._by_address[address] = rest
            else:
                self._by_address.pop(address, None)
                self._buckets.pop(address, None)

    # -- in ------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        now = self._clock.now().mono
        for _ in range(TAKEN_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(65_535)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                break  # an ICMP error for an answer of ours
            host = _plain(source[0])
            if not self._bucket(host, now).take(now):
                self._count("too_often")
            elif len(self._queue) >= self._bound:
                self._count("queue_full")
            else:
                self._queue.append((data, (host, source[1])))
        self._fresh.set()

    def _bucket(self, host: str, now: float) -> _Bucket:
        if host not in self._by_address:
            return self._strangers
        bucket = self._buckets.get(host)
        if bucket is None:
            bucket = self._buckets[host] = _Bucket(now)
        return bucket

    # -- and on --------------------------------------------------------------------------------------------------

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
                except BadMessage:
                    outcome = "unreadable"
                except Exception as error:
                    outcome = "fault"
                    log.error("a trap that breaks the listener", source=source[0], exc_info=error)
                self._count(outcome)
            await asyncio.sleep(0)

    def _take(self, data: bytes, source: tuple[str, int]) -> str:
        message = read(data)
        if isinstance(message, Sealed):
            return self._sealed(data, message, source)
        there = self._by_address.get(source[0]) or self._by_address.get(message.trap.agent)
        if not there:
            return "unknown_source"
        outcome = self._deliver(message.trap, [one for one in there if _knows_community(one, message)])
        if message.response is not None and outcome == "ok":
            self._answer(message.response, source)
        return outcome

    def _sealed(self, data: bytes, message: Sealed, source: tuple[str, int]) -> str:
        # Of a relay's own address nothing can be told: who sent it is sealed, too.
        there = [one for one in self._by_address.get(source[0], ()) if one.access.user in self._engines]
        if not there:
            return "unknown_source"
        mine = [one for one in there if one.access.user is not None and one.access.user.name == message.user]
        # Before an inform a sender asks, without a user, who we are.
        user = (mine or there)[0].access.user
        assert user is not None
        if message.user and not _sealed_enough(message, user):
            return "refused"  # pysnmp would take a message without a signature from whoever knows the name
        engine = self._engines[user]
        if mine and message.engine_id and not engine.knows(message.engine_id):
            now = self._clock.now().mono
            if mine[0].learned_at is not None and now - mine[0].learned_at < NEW_ENGINE_EVERY:
                return "too_often"
            mine[0].learned_at = now
            engine.learn(message.engine_id)
        trap, answers = engine.open(data, source)
        outcome = self._deliver(trap, mine) if trap is not None else "question" if answers else "refused"
        if trap is None or outcome == "ok":
            for answer in answers:
                self._answer(answer, source)
        return outcome

    def _deliver(self, trap: Trap, there: list[_Registered]) -> str:
        if not there:
            return "refused"
        outcome = "ok"
        for one in there:
            try:
                one.handler(trap)
            except asyncio.QueueFull:
                outcome = "device_queue_full"
        return outcome

    def _answer(self, data: bytes, source: tuple[str, int]) -> None:
        with suppress(OSError):
            host = source[0]
            if self._socket.family is socket.AF_INET6 and ":" not in host:
                host = f"::ffff:{host}"
            self._socket.sendto(data, (host, source[1]))

    def _count(self, outcome: str) -> None:
        self._metrics.traps.labels(outcome).inc()

    def _count_lost(self) -> None:
        """Those that did not even fit into the kernel's buffer."""
        try:
            told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
        except OSError:
            return  # not Linux
        if len(told) == 4 * (_DROPS + 1):
            lost = struct.unpack_from("I", told, 4 * _DROPS)[0]
            self._metrics.traps.labels("buffer_full").inc(max(0, lost - self._lost))
            self._lost = lost


def _knows_community(one: _Registered, message: Plain) -> bool:
    community = one.access.community
    return community is not None and secrets.compare_digest(community.reveal().encode(), message.community)


def _sealed_enough(message: Sealed, user: SnmpUser) -> bool:
    return (message.signed or user.auth == "none") and (message.encrypted or user.privacy == "none")


def _plain(host: str) -> str:
    """An IPv4 address as such, when it comes through an IPv6 socket."""
    return host.removeprefix("::ffff:") if "." in host else host


async def _addresses(address: str) -> frozenset[str]:
    try:
        return frozenset({str(ipaddress.ip_address(address))})
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address, None, type=socket.SOCK_DGRAM)
    except OSError:
        raise Unreachable(f"the name {address} is not known") from None
    return frozenset(_plain(str(entry[4][0])) for entry in found)
