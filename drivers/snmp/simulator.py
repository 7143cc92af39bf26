"""A simulated SNMP agent: a camera, a panel, a server, a UPS or a switch with PoE, on a UDP port of loopback.

Written from the MIBs and from RFC 3416 and 3414, on pysnmp's engine. It sends its notifications to `notify`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pyasn1.codec.ber import encoder
from pysnmp.proto import rfc1902

from bridge.driver import SnmpUser
from bridge.model import Kind
from bridge.secrets import Secret
from bridge.testing.simulator import Fault, Simulator
from drivers.snmp.simulated import mibs
from drivers.snmp.simulated.agent import Agent, Objects, Oid, Table, oid

_INSTEAD = {
    Fault.JUNK: bytes(range(256)) * 2,
    Fault.HTML: b"<!DOCTYPE html><html><body><form><input name=user></form></body></html>",
    Fault.EMPTY: b"",
    Fault.HUGE: b"\x30\x82\xff\xf0" + bytes(60_000),
}
_OPERATIONAL, _ADMIN, _DETECTION = (
    oid("1.3.6.1.2.1.2.2.1.8"),
    oid("1.3.6.1.2.1.105.1.1.1.3"),
    oid("1.3.6.1.2.1.105.1.1.1.6"),
)
_ADDRESS = oid("1.3.6.1.2.1.2.2.1.6")
_TRAP = 0xA7  # SNMPv2-Trap-PDU
_TRAPS = "1.3.6.1.6.3.1.1.5"
_KINDS = {Kind.CAMERA: "axis", Kind.INTERCOM: "two_n", Kind.SERVER: "host", Kind.SWITCH: "switch"}


@dataclass(slots=True)
class SwitchPort:
    """A port with a PoE device on it: without power it has no link."""

    powered: bool = True
    plugged: bool = True

    @property
    def link(self) -> bool:
        return self.powered and self.plugged

    @property
    def detection(self) -> int:
        """pethPsePortDetectionStatus: disabled, searching, deliveringPower."""
        return (3 if self.plugged else 2) if self.powered else 1


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._received(data, address)


class SnmpSimulator(Simulator):
    """`make` is one of `simulated.mibs.MAKES`; `version` the one that it speaks: v1 and v2c, or v3."""

    driver: ClassVar[str] = "snmp"
    kinds: ClassVar[frozenset[Kind]] = frozenset(_KINDS)

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.CAMERA,
        make: str = "",
        version: str = "2c",
        auth: str = "sha256",
        privacy: str = "aes128",
        ports: int = 8,
        writable: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.kind = kind
        self.version = version
        self.trap_community = self.password if version != "3" else "trap-community"
        self.on_power: Callable[[int, bool], None] = lambda port, on: None
        self.ports = {number: SwitchPort() for number in range(1, ports + 1)} if kind is Kind.SWITCH else {}
        self._auth, self._privacy, self._writable = auth, privacy, writable
        self._values = mibs.MAKES[make or _KINDS[kind]](name, self.seed)
        self._engine_id = bytes.fromhex("80007ed905") + hashlib.sha256(f"{name} {self.seed}".encode()).digest()[:8]
        self._booted_at = time.monotonic()
        self._transport: asyncio.DatagramTransport | None = None
        self._late: set[asyncio.Task[None]] = set()
        self._started = False
        self._requests = 0

    # -- what it has ------------------------------------------------------------------------------------------------

    def _objects(self) -> Objects:
        table: Table = dict(mibs.fixed(self._values))
        if self._values.keys() & {"1.3.6.1.2.1.1.1.0"}:
            table[oid("1.3.6.1.2.1.1.3.0")] = lambda: rfc1902.TimeTicks(self._ticks())
            table[oid("1.3.6.1.2.1.25.1.2.0")] = lambda: mibs.date_and_time(self.now())
        table[(*_ADDRESS, 1)] = lambda: rfc1902.OctetString(b"\x02\x00\x5e" + self.seed.to_bytes(8, "big")[-3:])
        for number, port in self.ports.items():
            table |= _of_port(number, port)
        return Objects(table, self._set)

    def _set(self, name: Oid, value: int) -> bool:
        number = name[-1]
        if not self._writable or name[:-2] != _ADMIN or number not in self.ports or value not in (1, 2):
            return False
        self.seen["set"] += 1
        self.ports[number].powered = value == 1
        self.on_power(number, value == 1)
        return True

    def _ticks(self) -> int:
        return int((time.monotonic() - self._booted_at) * 100) % 2**32

    def now(self) -> float:
        skew = self.faults.get(Fault.CLOCK_SKEW, 0.0)
        return time.time() + (6 * 3600.0 if skew is True else float(skew))

    def inventory(self) -> dict[str, Any]:
        block: dict[str, Any] = {"port": self.port, "version": self.version, "timeout": 1.0}
        if self.version == "3":
            block |= {"auth": self._auth, "privacy": self._privacy, "trap_community": self.trap_community}
        return {
            "driver": self.driver,
            "kind": self.kind,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            self.driver: block,
        }

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        if self._started:
            return
        self._started = True
        self._agent = self._boot()
        await self._open()

    def _boot(self) -> Agent:
        wrong = Fault.WRONG_PASSWORD in self.faults
        password = self.password[::-1] + "-no" if wrong else self.password
        user = None
        if self.version == "3":
            user = SnmpUser(self.username, self._auth, Secret(password), self._privacy, Secret(password))
        return Agent(self._objects(), self._engine_id, password, user)

    async def _open(self) -> None:
        if self._transport is None and Fault.CLOSED not in self.faults and self._started:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: _Socket(self._received), local_addr=(self.address, self.port)
            )
            self.port = self._transport.get_extra_info("sockname")[1]

    async def _shut(self) -> None:
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            self._transport = None
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self._started = False
        await self._shut()

    async def reboot(self, seconds: float = 0.0) -> None:
        await self._shut()
        await asyncio.sleep(seconds)
        self._booted_at = time.monotonic()
        self._agent = self._boot()
        await self._open()
        self._notify(f"{_TRAPS}.1", {})

    async def inject(self, fault: Fault | str, value: Any = True) -> None:
        await super().inject(fault, value)
        if Fault(fault) is Fault.CLOSED:
            await self._shut()
        if Fault(fault) is Fault.WRONG_PASSWORD:
            self._agent = self._boot()

    async def clear(self, fault: Fault | str | None = None) -> None:
        wrong = Fault.WRONG_PASSWORD in self.faults
        await super().clear(fault)
        if wrong and Fault.WRONG_PASSWORD not in self.faults:
            self._agent = self._boot()
        await self._open()

    # -- answers ----------------------------------------------------------------------------------------------------

    def _received(self, data: bytes, source: tuple[str, int]) -> None:
        self.seen["datagram"] += 1
        if Fault.BLACK_HOLE in self.faults:
            return None
        instead = next((_INSTEAD[fault] for fault in _INSTEAD if fault in self.faults), None)
        if instead is not None:
            return self._send(instead, source)
        if Fault.ENDLESS in self.faults:
            return self._later(self._without_end(source))
        before = self._agent.refusals()
        with suppress(Exception):  # what pysnmp thinks of a broken question is no matter of ours
            answers = self._agent.wire.exchange(data, source)
            self.seen["auth_failed"] += self._agent.refusals() - before
            if Fault.HALF_ANSWER in self.faults:
                answers = [answer[: len(answer) // 2] for answer in answers]
            if Fault.SLOW in self.faults:
                self._later(self._slowly(answers, source))
            else:
                for answer in answers:
                    self._send(answer, source)
        return None

    def _send(self, data: bytes, source: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(data, source)

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _slowly(self, answers: list[bytes], source: tuple[str, int]) -> None:
        slow = self.faults.get(Fault.SLOW, 0.0)
        await asyncio.sleep(5.0 if slow is True else float(slow))
        for answer in answers:
            self._send(answer, source)

    async def _without_end(self, source: tuple[str, int]) -> None:
        while Fault.ENDLESS in self.faults:
            self._send(_INSTEAD[Fault.JUNK], source)
            await asyncio.sleep(0.002)

    # -- what it reports --------------------------------------------------------------------------------------------

    async def act(self, action: str, **details: Any) -> None:
        match action:
            case "vendor_event":
                self._notify("1.3.6.1.4.1.32473.1.0.1", {"1.3.6.1.4.1.32473.1.1": details["data"]["text"]})
            case "link":
                number, up = int(details["port"]), bool(details["up"])
                if number in self.ports:
                    self.ports[number].plugged = up
                self._notify(f"{_TRAPS}.{4 if up else 3}", {f"1.3.6.1.2.1.2.2.1.1.{number}": number})
            case "authentication_failure":
                self._notify(f"{_TRAPS}.5", {})
            case "alarm" if f"{mibs.AXIS}.4.1.2.1" in self._values:
                which = "1.3.6.1.4.1.368.4.2"
                number = 1 if details.get("active", True) else 2
                self._notify(f"{which}.0.{number}", {f"{which}.1.0": 17, f"{which}.2.0": "FanFailure"})
            case "video" if f"{mibs.AXIS}.4.1.2.1" in self._values:
                self._values[f"{mibs.AXIS}.4.1.2.1"] = mibs.Integer(1 if details.get("up", True) else 2)
                self._agent = self._boot()
            case _:
                raise ValueError(f"{self.driver} simulators know no action {action!r}")

    def _notify(self, name: str, variables: dict[str, str | int]) -> None:
        """An SNMPv2-Trap-PDU to `notify` (RFC 3416, 4.2.6)."""
        if self.notify is None or self._transport is None:
            return
        self._requests += 1
        binds = [
            _sequence(_named("1.3.6.1.2.1.1.3.0"), encoder.encode(rfc1902.TimeTicks(self._ticks()))),
            _sequence(_named("1.3.6.1.6.3.1.1.4.1.0"), _named(name)),
        ]
        for key, value in variables.items():
            made = rfc1902.OctetString(value) if isinstance(value, str) else rfc1902.Integer32(value)
            binds.append(_sequence(_named(key), encoder.encode(made)))
        pdu = _sequence(
            *map(encoder.encode, map(rfc1902.Integer32, (self._requests, 0, 0))), _sequence(*binds), tag=_TRAP
        )
        community = encoder.encode(rfc1902.OctetString(self.trap_community))
        self._transport.sendto(_sequence(encoder.encode(rfc1902.Integer32(1)), community, pdu), self.notify)


@cache
def _named(dotted: str) -> bytes:
    return bytes(encoder.encode(rfc1902.ObjectName(dotted)))


def _sequence(*parts: bytes, tag: int = 0x30) -> bytes:
    """By hand (X.690, 8.1.3), because a flood of notifications is sent, and pysnmp takes a millisecond for each."""
    content = b"".join(parts)
    length = len(content)
    return bytes((tag, length) if length < 128 else (tag, 0x82, *length.to_bytes(2, "big"))) + content


def _of_port(number: int, port: SwitchPort) -> Table:
    return {
        (*_OPERATIONAL, number): lambda: rfc1902.Integer32(1 if port.link else 2),
        (*_ADMIN, 1, number): lambda: rfc1902.Integer32(1 if port.powered else 2),
        (*_DETECTION, 1, number): lambda: rfc1902.Integer32(port.detection),
    }
