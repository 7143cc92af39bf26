"""The syslog listener on real sockets: whose a line is, what is lost, what is refused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.clock import SystemClock
from bridge.datagrams import Measure
from bridge.metrics import Metrics
from bridge.model import Device, Kind
from bridge.syslog import listener as listener_module
from bridge.syslog.listener import SyslogListener
from bridge.syslog.message import Line
from bridge.testing.harness import until

LIMIT = 5.0


def panel(address: str, driver: str = "beward", name: str = "panel") -> Device:
    return Device(name, Kind.INTERCOM, driver, address)


class Rig:
    def __init__(self, metrics: Metrics, listener: SyslogListener) -> None:
        self.metrics = metrics
        self.listener = listener
        self.lines: dict[str, list[Line]] = {}

    async def add(self, name: str, address: str, *, driver: str = "beward", host: str | None = None) -> None:
        lines = self.lines[name] = []
        await self.listener.register(panel(address, driver, name), lines.append, name=host)

    def send(self, text: str, *, source: str = "127.0.0.1", driver: str = "beward") -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((source, 0))
            one.sendto(text.encode(), ("127.0.0.1", self.listener.port_of(driver)))

    def texts(self, name: str) -> list[str]:
        return [line.text for line in self.lines[name]]

    def counted(self, outcome: str) -> float:
        return float(self.metrics.syslog.labels(outcome)._value.get())

    async def until(self, outcome: str, count: int = 1) -> None:
        await until(lambda: self.counted(outcome) >= count, f"not {count} times {outcome}", LIMIT)


@asynccontextmanager
async def rig(**ports: int) -> AsyncIterator[Rig]:
    metrics = Metrics()
    listener = SyslogListener(metrics, SystemClock())
    await listener.open("127.0.0.1", 0, ports, "192.0.2.5")
    try:
        yield Rig(metrics, listener)
    finally:
        await listener.close()


async def test_a_line_is_the_device_s_that_it_comes_from() -> None:
    async with rig() as one:
        await one.add("a", "127.0.0.2")
        await one.add("b", "127.0.0.3")
        one.send("<30>Nov 25 10:11:12 x app: from a", source="127.0.0.2")
        one.send("<30>Nov 25 10:11:12 x app: from b", source="127.0.0.3")
        one.send("<30>Nov 25 10:11:12 x app: from nobody", source="127.0.0.4")
        await one.until("ok", 2)
        await one.until("unknown_source")
        assert (one.texts("a"), one.texts("b")) == (["from a"], ["from b"])
        assert not one.lines["a"][0].hint


async def test_behind_one_address_the_host_name_decides() -> None:
    async with rig() as one:
        await one.add("a", "127.0.0.2", host="panel-a")
        await one.add("b", "127.0.0.2", host="panel-b")
        one.send("<30>Nov 25 10:11:12 panel-b app: hello", source="127.0.0.2")
        one.send("<30>Nov 25 10:11:12 panel-c app: stranger", source="127.0.0.2")
        await one.until("ok")
        await one.until("unknown_source")
        assert (one.texts("a"), one.texts("b")) == ([], ["hello"])
        assert not one.lines["b"][0].hint, "its address is that of the device"


async def test_what_could_be_anothers_is_nobodys() -> None:
    async with rig() as one:
        await one.add("a", "127.0.0.2")
        await one.add("b", "127.0.0.2")
        one.send("<30>Nov 25 10:11:12 x app: door opened", source="127.0.0.2")
        await one.until("ambiguous")
        assert (one.texts("a"), one.texts("b")) == ([], [])


async def test_a_name_alone_is_a_hint() -> None:
    async with rig() as one:
        await one.add("a", "127.0.0.2", host="panel-a")
        one.send("<30>Nov 25 10:11:12 panel-a app: hello", source="127.0.0.9")
        await one.until("ok")
        assert one.texts("a") == ["hello"]
        assert one.lines["a"][0].hint, "anybody could have sent it"


async def test_a_driver_may_have_a_port_of_its_own() -> None:
    async with rig(akuvox=0) as one:
        assert one.listener.port_of("akuvox") != one.listener.port_of("beward") == one.listener.port_of("basip")
        await one.add("a", "127.0.0.2", driver="akuvox")
        await one.add("b", "127.0.0.2", driver="beward")
        one.send("of the one", source="127.0.0.2", driver="akuvox")
        one.send("of the other", source="127.0.0.2", driver="beward")
        await one.until("ok", 2)
        assert (one.texts("a"), one.texts("b")) == (["of the one"], ["of the other"])


async def test_the_device_is_told_where() -> None:
    async with rig() as one:
        registered = await one.listener.register(panel("127.0.0.2"), lambda line: None)
        assert (registered.host, registered.port) == ("192.0.2.5", one.listener.port_of("beward"))
        registered.close()
        one.send("late", source="127.0.0.2")
        await one.until("unknown_source")


async def test_tcp_with_both_framings() -> None:
    async with rig() as one:
        await one.add("a", "127.0.0.2")
        port = one.listener.port_of("beward")
        _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        writer.write(b"<30>Nov 25 10:11:12 x app: one\n13 <14>two three<30>Nov 25 10:11:12 x app: fo")
        await writer.drain()
        await one.until("ok", 2)
        writer.write(b"ur\n")
        await one.until("ok", 3)
        assert one.texts("a") == ["one", "two three", "four"]
        writer.close()
        await writer.wait_closed()


async def test_tcp_from_a_stranger_is_refused() -> None:
    async with rig() as one:
        await one.add("a", "127.0.0.2")
        reader, _ = await asyncio.open_connection(
            "127.0.0.1", one.listener.port_of("beward"), local_addr=("127.0.0.8", 0)
        )
        async with asyncio.timeout(LIMIT):
            assert await reader.read() == b""
        assert one.counted("refused") == 1


async def test_one_sender_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "MEASURE", Measure(burst=10, per_second=0.001))
    async with rig() as one:
        await one.add("loud", "127.0.0.2")
        await one.add("quiet", "127.0.0.3")
        for _ in range(50):
            one.send("noise", source="127.0.0.2")
        one.send("news", source="127.0.0.3")
        await one.until("too_often", 40)
        await one.until("ok", 11)
        assert (len(one.lines["loud"]), one.texts("quiet")) == (10, ["news"])


async def test_a_device_that_takes_no_more_loses_only_its_own() -> None:
    def full(line: Line) -> None:
        raise asyncio.QueueFull

    async with rig() as one:
        await one.listener.register(panel("127.0.0.2"), full)
        await one.add("b", "127.0.0.3")
        one.send("x", source="127.0.0.2")
        one.send("y", source="127.0.0.3")
        await one.until("device_queue_full")
        await one.until("ok")
        assert one.texts("b") == ["y"]
