"""Where devices send syslog: UDP and TCP on one port for all, or on a port of its own for a family.

A line is the device's whose address it comes from. Where several devices stand behind one address (NAT), they are told
apart by the host name in their lines; a line that only its host name assigns could be anybody's, and is marked so.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from bridge.clock import Clock
from bridge.datagrams import QUEUE, Datagrams, Measure, addresses_of, plain
from bridge.metrics import Metrics
from bridge.model import Device
from bridge.syslog.message import Frames, Line, parse

MEASURE = Measure(burst=6_000, per_second=200.0)
# TCP connections in all, and from one address: behind a router there may be a house of panels.
CONNECTIONS = 2_000
FROM_ONE = 200
FIRST_BYTES = 60.0  # seconds until a connection has to say something; after that, lines may be hours apart
# A peer that is gone is noticed after two minutes: seconds of silence, seconds between probes, probes.
_KEEP_ALIVE = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 3}

log = structlog.get_logger("syslog")
Handler = Callable[[Line], None]


class _Registered:
    """One device's lines: `bridge.driver.SyslogRegistration`."""

    __slots__ = ("_owner", "addresses", "device", "driver", "handler", "host", "name", "port")

    def __init__(
        self, owner: SyslogListener, device: Device, handler: Handler, name: str | None, addresses: frozenset[str]
    ) -> None:
        self._owner = owner
        self.device = device.id
        self.driver = device.driver
        self.handler = handler
        self.name = name
        self.addresses = addresses
        self.host = owner.host
        self.port = owner.port_of(device.driver)

    def close(self) -> None:
        self._owner.forget(self)


@dataclass(slots=True)
class _Door:
    """One port: what comes to it is of one driver's devices, or of those whose driver has no port of its own."""

    driver: str | None
    datagrams: Datagrams
    server: asyncio.Server
    port: int


class SyslogListener:
    """`bridge.driver.SyslogIntake`. From `open` to `close`."""

    def __init__(self, metrics: Metrics, clock: Clock, bound: int = QUEUE) -> None:
        self._metrics = metrics
        self._clock = clock
        self._bound = bound
        self._doors: dict[str | None, _Door] = {}
        self._by_address: dict[str, list[_Registered]] = {}
        self._by_name: dict[str, list[_Registered]] = {}
        self._warned: set[str] = set()  # addresses of several devices, which is said once of each
        self._connections: dict[asyncio.Task[None], str] = {}
        self.host = ""  # how devices reach us
        metrics.syslog_waiting.set_function(lambda: sum(len(door.datagrams) for door in self._doors.values()))

    async def open(self, host: str, port: int, ports: Mapping[str, int], reached_at: str) -> None:
        """`ports` are those of drivers that get one of their own; port 0 takes a free one. Raises OSError."""
        self.host = reached_at
        try:
            for driver, number in [(None, port), *ports.items()]:
                self._doors[driver] = await self._door(driver, host, number)
        except BaseException:
            await self.close()
            raise

    async def _door(self, driver: str | None, host: str, port: int, tries: int = 10) -> _Door:
        datagrams = Datagrams(
            self._clock,
            MEASURE,
            take=lambda data, source: self._take(data, source[0], driver),
            known=self._by_address.__contains__,
            count=self._count,
            bound=self._bound,
        )
        await datagrams.open(host, port)
        try:
            server = await asyncio.start_server(
                lambda reader, writer: self._connected(reader, writer, driver), host, datagrams.port
            )
        except OSError as error:
            await datagrams.close()
            if port == 0 and tries > 1 and error.errno == errno.EADDRINUSE:
                return await self._door(driver, host, port, tries - 1)  # it was free for UDP alone
            raise
        except BaseException:
            await datagrams.close()
            raise
        return _Door(driver, datagrams, server, datagrams.port)

    async def close(self) -> None:
        doors, self._doors = list(self._doors.values()), {}
        for door in doors:
            door.server.close()
            await door.datagrams.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def port_of(self, driver: str) -> int:
        """Where devices of that driver send their lines."""
        return (self._doors.get(driver) or self._doors[None]).port

    async def register(self, device: Device, handler: Handler, *, name: str | None = None) -> _Registered:
        """Raises Unreachable for an address that the name service does not know."""
        one = _Registered(self, device, handler, name, await addresses_of(device.address))
        for address in one.addresses:
            self._by_address.setdefault(address, []).append(one)
        if name is not None:
            self._by_name.setdefault(name, []).append(one)
        return one

    def forget(self, one: _Registered) -> None:
        for address in one.addresses:
            if not _without(self._by_address, address, one):
                for door in self._doors.values():
                    door.datagrams.forget(address)
        if one.name is not None:
            _without(self._by_name, one.name, one)

    # -- in ------------------------------------------------------------------------------------------------------

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, driver: str | None) -> None:
        host = plain(writer.get_extra_info("peername")[0])
        from_there = Counter(self._connections.values())[host]
        known = host in self._by_address or self._by_name
        if not known or len(self._connections) >= CONNECTIONS or from_there >= FROM_ONE:
            self._count("refused", 1)
            writer.close()
            return
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE.items():
            raw.setsockopt(socket.IPPROTO_TCP, option, value)
        task = asyncio.create_task(self._read(reader, writer, host, driver), name=f"syslog:{host}")
        self._connections[task] = host
        task.add_done_callback(self._connections.pop)

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, driver: str | None
    ) -> None:
        frames = Frames()
        try:
            async with asyncio.timeout(FIRST_BYTES) as limit:
                while data := await reader.read(16_384):
                    limit.reschedule(None)
                    for line in frames.feed(data):
                        allowed = self._doors[driver].datagrams.allows(host)
                        self._count(self._take(line, host, driver) if allowed else "too_often", 1)
                    await asyncio.sleep(0)
        except (TimeoutError, OSError, KeyError):
            pass  # silent, gone, or the listener is closing
        finally:
            with suppress(OSError):
                writer.close()

    def _take(self, data: bytes, host: str, driver: str | None) -> str:
        line = parse(data)
        there = [one for one in self._by_address.get(host, ()) if self._comes_to(one, driver)]
        if len(there) > 1:
            # Behind one address, the name decides; those without one are whoever is not named.
            named = [one for one in there if one.name == line.host]
            there = named or [one for one in there if one.name is None]
        if not there:
            there = [one for one in self._by_name.get(line.host, ()) if self._comes_to(one, driver)]
            line = replace(line, hint=True)
        if not there:
            return "unknown_source"
        if len({one.device for one in there}) > 1:
            return self._ambiguous(host, there)
        outcome = "ok"
        for one in there:
            try:
                one.handler(line)
            except asyncio.QueueFull:
                outcome = "device_queue_full"
        return outcome

    def _ambiguous(self, host: str, there: list[_Registered]) -> str:
        """Nobody gets a line that could be another's: somebody would seem to have opened another door."""
        if host not in self._warned:
            self._warned.add(host)
            log.warning(
                "lines of syslog from an address of several devices: give each syslog_name, the host name in its lines",
                source=host,
                devices=sorted({one.device for one in there}),
            )
        return "ambiguous"

    def _comes_to(self, one: _Registered, driver: str | None) -> bool:
        """Whether its lines come to that port."""
        return (one.driver if one.driver in self._doors else None) == driver

    def _count(self, outcome: str, number: int) -> None:
        self._metrics.syslog.labels(outcome).inc(number)


def _without(table: dict[str, list[_Registered]], key: str, one: _Registered) -> bool:
    """Take one out; whether others are left."""
    rest = [other for other in table.get(key, ()) if other is not one]
    if rest:
        table[key] = rest
    else:
        table.pop(key, None)
    return bool(rest)
