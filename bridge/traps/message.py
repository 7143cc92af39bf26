"""SNMP notifications as bytes: v1, v2c, and the readable front of v3 (RFC 1157, 3416, 3412, 3414).

A reader of our own, because a site that loses its power sends thousands of traps in a few seconds and the general
decoders for Python take a millisecond for each. It reads what a notification has and refuses everything else; lengths
are checked against what is there before anything is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.driver import Trap, TrapValue

VARBINDS = 64  # in one notification, at most; no MIB defines one with half as many
_SUBIDS = 128  # in an object identifier (RFC 2578, 3.5)

INTEGER, OCTETS, OID, SEQUENCE = 0x02, 0x04, 0x06, 0x30
ADDRESS, COUNTER, GAUGE, TICKS, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x46
V1_TRAP, INFORM, V2_TRAP, RESPONSE = 0xA4, 0xA6, 0xA7, 0xA2
_UNSIGNED = frozenset({COUNTER, GAUGE, TICKS, COUNTER64})

SYS_UPTIME = "1.3.6.1.2.1.1.3.0"
SNMP_TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"
SNMP_TRAP_ADDRESS = "1.3.6.1.6.3.18.1.3.0"
_SNMP_TRAPS = "1.3.6.1.6.3.1.1.5"
_ENTERPRISE_SPECIFIC = 6


class BadMessage(ValueError):
    """Not a notification."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A v1 or v2c notification. `response` is the whole message that confirms it, None for a trap."""

    community: bytes
    trap: Trap
    response: bytes | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A v3 message, of which only the front can be read without a key: whose it claims to be, and whether it is signed
    and encrypted."""

    engine_id: bytes
    user: str
    signed: bool
    encrypted: bool


def read(data: bytes) -> Plain | Sealed:
    """Raises BadMessage."""
    _, at, end = _expect(data, 0, len(data), SEQUENCE)
    tag, start, stop = _tlv(data, at, end)
    version = _integer(data, tag, start, stop)
    if version == 3:
        return _sealed(data, stop, end)
    if version not in (0, 1):
        raise BadMessage("an unknown version")
    _, start, stop = _expect(data, stop, end, OCTETS)
    community, at = data[start:stop], stop
    tag, start, stop = _tlv(data, at, end)
    if tag == V1_TRAP and version == 0:
        return Plain(community, _v1(data, start, stop), None)
    if tag not in (V2_TRAP, INFORM) or version != 1:
        raise BadMessage("no notification")
    # The confirmation of an inform is the inform itself, under another tag (RFC 3416, 4.2.7).
    response = data[:at] + bytes((RESPONSE,)) + data[at + 1 :] if tag == INFORM else None
    return Plain(community, _v2(data, start, stop), response)


def notification(binds: list[tuple[str, TrapValue]], version: int) -> Trap:
    """Of the variable bindings of a v2 notification. Raises BadMessage when they do not say which one it is."""
    name, uptime, agent = "", None, ""
    rest: list[tuple[str, TrapValue]] = []
    for oid, value in binds:
        if oid == SNMP_TRAP_OID and isinstance(value, str):
            name = value
        elif oid == SYS_UPTIME and isinstance(value, int):
            uptime = value
        elif oid == SNMP_TRAP_ADDRESS and isinstance(value, str):
            agent = value
        else:
            rest.append((oid, value))
    if not name:
        raise BadMessage("a notification without a name")
    return Trap(name, tuple(rest), version, uptime, agent)


def _v2(data: bytes, at: int, end: int) -> Trap:
    for _ in range(3):  # request id, error status, error index
        _, _, at = _expect(data, at, end, INTEGER)
    return notification(list(_varbinds(data, at, end)), 2)


def _v1(data: bytes, at: int, end: int) -> Trap:
    """Translated as RFC 3584 (3.1) has it."""
    _, start, at = _expect(data, at, end, OID)
    enterprise = _oid(data, start, at)
    _, start, at = _expect(data, at, end, ADDRESS)
    agent = _address(data, start, at)
    numbers = []
    for wanted in (INTEGER, INTEGER, TICKS):
        tag, start, at = _expect(data, at, end, wanted)
        numbers.append(_integer(data, tag, start, at))
    generic, specific, uptime = numbers
    name = f"{enterprise}.0.{specific}" if generic == _ENTERPRISE_SPECIFIC else f"{_SNMP_TRAPS}.{generic + 1}"
    return Trap(name, tuple(_varbinds(data, at, end)), 1, uptime, agent)


def _sealed(data: bytes, at: int, end: int) -> Sealed:
    _, inner, at = _expect(data, at, end, SEQUENCE)  # msgGlobalData
    for _ in range(2):  # message id, largest size
        _, _, inner = _expect(data, inner, at, INTEGER)
    _, start, stop = _expect(data, inner, at, OCTETS)
    if stop - start != 1:
        raise BadMessage("flags that cannot be")
    flags = data[start]
    _, at, end = _expect(data, at, end, OCTETS)  # msgSecurityParameters
    _, at, end = _expect(data, at, end, SEQUENCE)
    _, start, at = _expect(data, at, end, OCTETS)
    engine_id = data[start:at]
    for _ in range(2):  # boots and time
        _, _, at = _expect(data, at, end, INTEGER)
    _, start, stop = _expect(data, at, end, OCTETS)
    if len(engine_id) > 32 or stop - start > 32:
        raise BadMessage("an engine or a user with a longer name than RFC 3411 allows")
    user = data[start:stop].decode("utf-8", "replace")
    return Sealed(engine_id, user, signed=bool(flags & 1), encrypted=bool(flags & 2))


def _varbinds(data: bytes, at: int, end: int) -> Iterator[tuple[str, TrapValue]]:
    _, at, end = _expect(data, at, end, SEQUENCE)
    for _ in range(VARBINDS):
        if at == end:
            return
        _, inner, at = _expect(data, at, end, SEQUENCE)
        _, start, stop = _expect(data, inner, at, OID)
        yield _oid(data, start, stop), _value(data, *_tlv(data, stop, at))
    if at != end:
        raise BadMessage("too many variables")


def _value(data: bytes, tag: int, start: int, stop: int) -> TrapValue:
    if tag == INTEGER or tag in _UNSIGNED:
        return _integer(data, tag, start, stop)
    if tag == OID:
        return _oid(data, start, stop)
    if tag == ADDRESS:
        return _address(data, start, stop)
    # Null, and the words for "there is none" (0x80 to 0x82), carry nothing; Opaque and what is new are bytes.
    return None if start == stop and tag != OCTETS else data[start:stop]


def _tlv(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """The tag, start and end of the element that begins at `at`."""
    if at + 2 > end:
        raise BadMessage("it ends too early")
    tag, length = data[at], data[at + 1]
    at += 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or at + count > end:
            raise BadMessage("a length that cannot be")
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    if length > end - at:
        raise BadMessage("an element that is longer than what holds it")
    return tag, at, at + length


def _expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int, int]:
    found = _tlv(data, at, end)
    if found[0] != tag:
        raise BadMessage("another element than belongs there")
    return found


def _integer(data: bytes, tag: int, start: int, stop: int) -> int:
    if not 1 <= stop - start <= 9:
        raise BadMessage("a number that is too long")
    return int.from_bytes(data[start:stop], "big", signed=tag not in _UNSIGNED)


def _address(data: bytes, start: int, stop: int) -> str:
    if stop - start != 4:
        raise BadMessage("an address that is none")
    return ".".join(map(str, data[start:stop]))


def _oid(data: bytes, start: int, stop: int) -> str:
    if start == stop or data[stop - 1] & 0x80:
        raise BadMessage("an object identifier without an end")
    subids: list[int] = []
    value = 0
    for octet in data[start:stop]:
        value = value << 7 | octet & 0x7F
        if value > 0xFFFFFFFF + 80:
            raise BadMessage("an object identifier with a number that is too large")
        if not octet & 0x80:
            if not subids:
                first = min(value // 40, 2)
                subids += [first, value - 40 * first]
            else:
                subids.append(value)
            value = 0
    if len(subids) > _SUBIDS:
        raise BadMessage("an object identifier that is too long")
    return ".".join(map(str, subids))
