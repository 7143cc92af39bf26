"""The listener for traps, told by Debian's snmptrap and snmpinform."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge import datagrams
from bridge.clock import SystemClock
from bridge.datagrams import Measure
from bridge.driver import SnmpUser, Trap, TrapAccess
from bridge.metrics import Metrics
from bridge.model import Device, Kind
from bridge.secrets import Secret
from bridge.testing.clock import FakeClock
from bridge.traps import listener as listener_module
from bridge.traps.listener import TrapListener
from tests.integration.net_snmp import notify
from tests.support import until
from tests.unit.test_trap_message import v2

USER = SnmpUser("trapusr", "sha256", Secret("authpass12345"), "aes128", Secret("privpass12345"))
ACCESS = TrapAccess(Secret("public"), USER)
V3 = (
    "-v3",
    "-l",
    "authPriv",
    "-u",
    "trapusr",
    "-a",
    "SHA-256",
    "-A",
    "authpass12345",
    "-x",
    "AES",
    "-X",
    "privpass12345",
)
ENGINE = ("-e", "0x8000000001020304")
LINK_DOWN, INTERFACE = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1.3"
BODY = f"|.{LINK_DOWN}|.{INTERFACE}|i|3"


class Heard:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.traps: list[Trap] = []

    def count(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("bridge_traps_total", {"outcome": outcome}) or 0.0


def device(address: str = "127.0.0.1") -> Device:
    return Device("cam", Kind.CAMERA, "snmp", address)


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def listener(heard: Heard) -> AsyncIterator[TrapListener]:
    one = TrapListener(heard.metrics, SystemClock())
    await one.open("127.0.0.1", 0)
    yield one
    await one.close()


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("snmptrap", ("-v2c", "-c", "public", BODY)),
        ("snmptrap", ("-v1", "-c", "public", f".1.3.6.1.4.1.368|192.0.2.9|2|0|12345|.{INTERFACE}|i|3")),
        ("snmpinform", ("-v2c", "-c", "public", "-t", "3", BODY)),
        ("snmptrap", (*V3, *ENGINE, BODY)),
        ("snmpinform", (*V3, "-t", "3", BODY)),
    ],
    ids=["trap-v2c", "trap-v1", "inform-v2c", "trap-v3", "inform-v3"],
)
async def test_it_is_heard(listener: TrapListener, heard: Heard, program: str, arguments: tuple[str, ...]) -> None:
    registration = await listener.register(device(), ACCESS, heard.traps.append)
    assert await notify(program, listener.port, *arguments) == 0
    await until(lambda: heard.traps, 10)
    (trap,) = heard.traps
    assert (trap.name, dict(trap.variables)[INTERFACE]) == (LINK_DOWN, 3)
    registration.close()
    await notify("snmptrap", listener.port, "-v2c", "-c", "public", BODY)
    await until(lambda: heard.count("unknown_source") == 1, 10)
    assert len(heard.traps) == 1


async def test_one_of_a_vendor(listener: TrapListener, heard: Heard) -> None:
    await listener.register(device(), ACCESS, heard.traps.append)
    body = ".1.3.6.1.4.1.368|192.0.2.9|6|3|1|.1.3.6.1.4.1.368.1|s|text"
    await notify("snmptrap", listener.port, "-v1", "-c", "public", body)
    await until(lambda: heard.traps, 10)
    assert heard.traps[0].name == "1.3.6.1.4.1.368.0.3"
    assert heard.traps[0].variables == (("1.3.6.1.4.1.368.1", b"text"),)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-v2c", "-c", "wrong", BODY),
        (*V3[:8], "wrong-password", *V3[9:], *ENGINE, BODY),
        (*V3[:4], "nobody", *V3[5:], *ENGINE, BODY),
        ("-v3", "-l", "noAuthNoPriv", "-u", "trapusr", *ENGINE, BODY),
    ],
    ids=["community", "password", "user", "unsigned"],
)
async def test_who_has_no_right_to_is_not_heard(
    listener: TrapListener, heard: Heard, arguments: tuple[str, ...]
) -> None:
    await listener.register(device(), ACCESS, heard.traps.append)
    await notify("snmptrap", listener.port, *arguments)
    await until(lambda: heard.count("refused") == 1, 10)
    assert heard.traps == []
    # And it spoils nothing for who has.
    await notify("snmptrap", listener.port, *V3, "-e", "0x8000000005060708", BODY)
    await notify("snmptrap", listener.port, "-v2c", "-c", "public", BODY)
    await until(lambda: heard.traps, 10)


async def test_an_inform_that_is_not_taken_is_not_confirmed(listener: TrapListener, heard: Heard) -> None:
    await listener.register(device(), ACCESS, heard.traps.append)
    assert await notify("snmpinform", listener.port, "-v2c", "-c", "wrong", "-t", "0.3", "-r", "0", BODY) != 0

    def full(trap: Trap) -> None:
        raise asyncio.QueueFull

    await listener.register(device(), TrapAccess(Secret("full")), full)
    assert await notify("snmpinform", listener.port, "-v2c", "-c", "full", "-t", "0.3", "-r", "0", BODY) != 0
    assert heard.count("device_queue_full") == 1


async def test_who_comes_through_a_relay_is_known_by_the_address_in_it(listener: TrapListener, heard: Heard) -> None:
    await listener.register(device("192.0.2.7"), ACCESS, heard.traps.append)
    body = f"|.{LINK_DOWN}|.1.3.6.1.6.3.18.1.3.0|a|192.0.2.7"
    await notify("snmptrap", listener.port, "-v2c", "-c", "public", body)
    await until(lambda: heard.traps, 10)
    await notify("snmptrap", listener.port, "-v2c", "-c", "public", body.replace("2.7", "2.8"))
    await until(lambda: heard.count("unknown_source") == 1, 10)


# -- bounds ----------------------------------------------------------------------------------------------------------


def send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for one in datagrams:
            sender.sendto(one, ("127.0.0.1", port))


async def test_junk_is_counted(listener: TrapListener, heard: Heard) -> None:
    await listener.register(device(), ACCESS, heard.traps.append)
    send(listener.port, b"", b"junk", b"\x30\x03\x02\x01\x03", v2("1.3.6.1.6.3.1.1.5.1", []) + b"more")
    await until(lambda: heard.count("unreadable") == 3, 10)
    await until(lambda: len(heard.traps) == 1, 10)  # what stands behind a message does not matter


async def test_one_sender_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    monkeypatch.setattr(listener_module, "MEASURE", Measure(burst=10, per_second=200.0))
    clock = FakeClock()
    listener = TrapListener(heard.metrics, clock)
    await listener.open("127.0.0.1", 0)
    try:
        await listener.register(device(), ACCESS, heard.traps.append)
        send(listener.port, *[v2("1.3.6.1.6.3.1.1.5.1", [])] * 30)
        await until(lambda: heard.count("too_often") == 20, 10)
        assert len(heard.traps) == 10
        await clock.advance(0.021)
        send(listener.port, *[v2("1.3.6.1.6.3.1.1.5.1", [])] * 30)
        await until(lambda: heard.count("too_often") == 46, 10)
        assert len(heard.traps) == 14
    finally:
        await listener.close()


async def test_the_queue_has_a_bound(heard: Heard) -> None:
    listener = TrapListener(heard.metrics, SystemClock(), bound=5)
    await listener.open("127.0.0.1", 0)
    try:
        await listener.register(device(), ACCESS, heard.traps.append)
        send(listener.port, *[v2("1.3.6.1.6.3.1.1.5.1", [])] * 20)  # before the loop has its turn
        await until(lambda: heard.count("queue_full") == 15, 10)
        await until(lambda: len(heard.traps) == 5, 10)
    finally:
        await listener.close()


async def test_what_does_not_fit_into_the_kernel_s_buffer_is_counted(
    monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    monkeypatch.setattr(datagrams, "RECEIVE_BUFFER", 4096)
    listener = TrapListener(heard.metrics, SystemClock())
    await listener.open("127.0.0.1", 0)
    try:
        await listener.register(device(), ACCESS, heard.traps.append)
        send(listener.port, *[v2("1.3.6.1.6.3.1.1.5.1", [])] * 500)
        await until(lambda: heard.traps, 10)
        send(listener.port, v2("1.3.6.1.6.3.1.1.5.1", []))
        lost: Any = lambda: heard.count("buffer_full")  # noqa: E731
        await until(lambda: lost() > 0 and lost() + len(heard.traps) == 501, 10)
    finally:
        await listener.close()
