"""Where devices send SNMP traps and informs: one socket, one queue, many devices.

A trap is one datagram, unconfirmed, that anybody can forge: it is passed on as a hint and never believed. It comes from
the device's own address, or names that (snmpTrapAddress, for what comes through a relay), and carries the device's
community or is signed by its SNMPv3 user; everything else is counted, and answered by nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.clock import Clock
from bridge.datagrams import QUEUE, Datagrams, Measure, Source, addresses_of
from bridge.driver import SnmpUser, Trap, TrapAccess
from bridge.metrics import Metrics
from bridge.model import Device
from bridge.traps.message import BadMessage, Plain, Sealed, read

if TYPE_CHECKING:
    from bridge.traps.usm import UserEngine

MEASURE = Measure(burst=6_000, per_second=200.0)
ENGINES = 64  # SNMPv3 users at the same time; each takes 2 MB
NEW_ENGINE_EVERY = 10.0  # seconds between two new engine IDs of one device, each of which costs time

Handler = Callable[[Trap], None]


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
        self._clock = clock
        self._by_address: dict[str, list[_Registered]] = {}
        self._engine_id = bytes.fromhex("8000000005") + secrets.token_bytes(8)  # RFC 3411: octets, new at each start
        self._engines: dict[SnmpUser, UserEngine] = {}
        self._datagrams = Datagrams(
            clock,
            MEASURE,
            take=self._take,
            known=self._by_address.__contains__,
            count=lambda outcome, number: metrics.traps.labels(outcome).inc(number),
            bound=bound,
        )
        metrics.traps_waiting.set_function(lambda: len(self._datagrams))

    async def open(self, host: str, port: int) -> None:
        """Raises OSError."""
        await self._datagrams.open(host, port)
        self.port = self._datagrams.port

    async def close(self) -> None:
        await self._datagrams.close()

    async def register(self, device: Device, access: TrapAccess, handler: Handler) -> _Registered:
        """From now on the device's traps go to `handler`, which raises asyncio.QueueFull for what it cannot take.
        Raises Unreachable for a name that the name service does not know."""
        addresses = await addresses_of(device.address)
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
                self._datagrams.forget(address)

    def _take(self, data: bytes, source: Source) -> str:
        try:
            message = read(data)
        except BadMessage:
            return "unreadable"
        if isinstance(message, Sealed):
            return self._sealed(data, message, source)
        there = self._by_address.get(source[0]) or self._by_address.get(message.trap.agent)
        if not there:
            return "unknown_source"
        outcome = self._deliver(message.trap, [one for one in there if _knows_community(one, message)])
        if message.response is not None and outcome == "ok":
            self._datagrams.send(message.response, source)
        return outcome

    def _sealed(self, data: bytes, message: Sealed, source: Source) -> str:
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
                self._datagrams.send(answer, source)
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


def _knows_community(one: _Registered, message: Plain) -> bool:
    community = one.access.community
    return community is not None and secrets.compare_digest(community.reveal().encode(), message.community)


def _sealed_enough(message: Sealed, user: SnmpUser) -> bool:
    return (message.signed or user.auth == "none") and (message.encrypted or user.privacy == "none")
