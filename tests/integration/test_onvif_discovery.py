"""WS-Discovery: the ONVIF driver's search against the simulated responder, and against answers written by hand."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from ruamel.yaml import YAML

from bridge.cli import discover as discover_cli
from bridge.driver import Scope
from bridge.model import Found
from drivers.onvif import discovery
from drivers.onvif.driver import OnvifDriver
from drivers.onvif.simulated.discovery import DiscoveryResponder
from drivers.onvif.simulator import OnvifSimulator
from tests.integration.processes import cli

SECONDS = 0.5
# The drafts and the standard: OASIS WS-Discovery 1.1 has its own namespaces, and some devices answer in those.
DRAFT = ("http://schemas.xmlsoap.org/ws/2004/08/addressing", "http://schemas.xmlsoap.org/ws/2005/04/discovery")
OASIS = ("http://www.w3.org/2005/08/addressing", "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01")


def match(
    endpoint: str = "urn:uuid:1",
    xaddrs: str = "http://127.0.0.1:8000/onvif/device_service",
    scopes: str = "onvif://www.onvif.org/name/Gate onvif://www.onvif.org/hardware/C1",
    types: str = "dn:NetworkVideoTransmitter",
    namespaces: tuple[str, str] = DRAFT,
) -> bytes:
    a, d = namespaces
    return (
        f'<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="{a}" '
        f'xmlns:d="{d}" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Body>'
        "<d:ProbeMatches><d:ProbeMatch><a:EndpointReference>"
        f"<a:Address>{endpoint}</a:Address></a:EndpointReference><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes>"
        f"<d:XAddrs>{xaddrs}</d:XAddrs></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
    ).encode()


class Answering(asyncio.DatagramProtocol):
    """Keeps what it is sent, and answers each datagram with what `answers` gives."""

    def __init__(self, answers: Callable[[], list[bytes]]) -> None:
        self.received: list[bytes] = []
        self._answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(data)
        for answer in self._answers():
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def answering(
    *answers: bytes, made: Callable[[], list[bytes]] | None = None
) -> AsyncIterator[tuple[Answering, str]]:
    """A device that answers so, and where to ask it."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Answering(made or (lambda: list(answers))), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol, "127.0.0.1:%d" % transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@asynccontextmanager
async def responding(devices: list[OnvifSimulator], *, delay: float = 0.0, start: bool = False) -> AsyncIterator[str]:
    """The simulated responder, speaking for some devices, and where to ask it."""
    responder = DiscoveryResponder(delay=delay)
    host, port = await responder.start()
    for one in devices:
        if start:
            await one.start()
        responder.hello(one.state)
    try:
        yield f"{host}:{port}"
    finally:
        responder.close()
        for one in devices:
            await one.stop()


async def search(*targets: str, seconds: float = SECONDS) -> list[Found]:
    scope = Scope(seconds=seconds, targets=targets)
    return [one async for one in OnvifDriver.discover(scope)]


async def test_each_device_is_found_once() -> None:
    devices = [OnvifSimulator(f"Gate {seed} / côté", seed=seed, kind=None) for seed in range(3)]
    async with responding(devices, start=True) as target:
        found = await search(target, target, seconds=0.8)  # long enough to be asked three times
    assert {one.port for one in found} == {one.port for one in devices}
    assert len(found) == 3
    by_port = {one.port: one for one in found}
    for one in devices:
        told = by_port[one.port]
        assert (told.driver, told.address, told.name) == ("onvif", "127.0.0.1", one.name)
        assert (told.model, told.endpoint) == (one.state.model, f"urn:uuid:{one.state.uuid}")
        assert told.extra == {}


async def test_nothing_is_asked_of_what_is_found() -> None:
    threads = threading.active_count()
    devices = [OnvifSimulator("Gate")]
    async with responding(devices, start=True) as target:
        assert len(await search(target)) == 1
        assert not devices[0].seen, "not even who it is"
    assert threading.active_count() == threads, "core#93742: no thread stays"
    assert len(asyncio.all_tasks()) == 1


async def test_what_is_sent_has_no_credentials_in_it() -> None:
    async with answering() as (device, target):
        assert await search(target, seconds=0.8) == []
    assert len(device.received) == 6, "three times, with and without a type"
    assert sum(b"NetworkVideoTransmitter" in data for data in device.received) == 3
    for data in device.received:
        assert b"Probe" in data
        assert not [
            word for word in (b"Security", b"Username", b"Password", b"Authorization", b"admin") if word in data
        ]
    ids = {data.partition(b"MessageID>")[2].partition(b"<")[0] for data in device.received}
    assert len(ids) == 6


@pytest.mark.parametrize("namespaces", [DRAFT, OASIS], ids=["2005/04", "2009/01"])
async def test_both_namespaces_are_read(namespaces: tuple[str, str]) -> None:
    async with answering(match(namespaces=namespaces)) as (_, target):
        (found,) = await search(target)
    assert (found.name, found.model, found.port, found.endpoint) == ("Gate", "C1", 8000, "urn:uuid:1")


@pytest.mark.parametrize(
    ("xaddrs", "port", "extra"),
    [
        ("http://192.168.1.88/onvif/device_service", 80, {}),
        ("http://192.168.1.88:8899/onvif/device_service", 8899, {}),
        ("http://10.0.0.1:1/a http://127.0.0.1:8000/onvif/device_service http://10.0.0.2:2/b", 8000, {}),
        ("http://[fe80::1]:81/onvif/device_service http://10.0.0.1:82/onvif/device_service", 82, {}),
        ("http://127.0.0.1:8000/weird/path", 8000, {"path": "/weird/path"}),
        ("https://127.0.0.1/onvif/device_service", 443, {"tls": "insecure"}),
        ("", 80, {}),
        ("http://127.0.0.1:99999/x ftp://x y http://[::1", 80, {}),
    ],
)
async def test_wrong_xaddrs_are_not_followed(xaddrs: str, port: int, extra: dict[str, str]) -> None:
    async with answering(match(xaddrs=xaddrs)) as (_, target):
        (found,) = await search(target)
    assert (found.address, found.port, dict(found.extra)) == ("127.0.0.1", port, extra)


async def test_many_devices() -> None:
    devices = [OnvifSimulator(f"Camera {seed}", seed=seed) for seed in range(300)]
    for seed, one in enumerate(devices):
        one.state.port = 10_000 + seed  # none of them runs
    async with responding(devices, delay=0.3) as target:
        found = await search(target, seconds=2.0)
    assert {one.port for one in found} == {10_000 + seed for seed in range(300)}
    assert len(found) == 300


async def test_junk_is_passed_over() -> None:
    junk = (
        b"",
        b"\x00\xff" * 500,
        b"<?xml version='1.0'?>",
        b"<a>" * 5000,
        match()[:200],
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + match(endpoint="urn:uuid:entity"),
        match(
            "urn:uuid:printer", types="wsdp:PrintDevice wprt:PrinterService".replace("Device", ""), scopes="ldap:///x"
        ),
        match("urn:uuid:2", xaddrs="http://127.0.0.1:8001/onvif/device_service"),
        b" " * 60_000,
    )
    async with answering(*junk) as (_, target):
        found = await search(target)
    assert [one.endpoint for one in found] == ["urn:uuid:2"]


async def test_what_it_says_of_itself_is_one_line_of_text() -> None:
    name = "onvif://www.onvif.org/name/%1B%5B31mGate%0D%0A%00%E2%80%AE" + "x" * 500
    async with answering(match(scopes=name)) as (_, target):
        (found,) = await search(target)
    assert found.name == ("[31mGate " + "x" * 500)[:128]


async def test_a_device_that_makes_up_its_endpoint_is_one_device() -> None:
    number = iter(range(1000))
    async with answering(made=lambda: [match(f"urn:uuid:{next(number)}")]) as (_, target):
        assert len(await search(target, seconds=0.8)) == 1


async def test_hosts_that_cannot_be_asked_keep_nobody_else_from_it() -> None:
    async with answering(match()) as (_, target):
        bad = ("127.0.0.1:99999", "::1", "fe80::1", "nobody.invalid", "", ":80", "127.0.0.1:1")
        assert len(await search(*bad, target)) == 1
    with pytest.raises(OSError, match="no IPv4 address for ::1, fe80::1"):
        await search("::1", "fe80::1")


async def test_an_interface_that_is_not_ours_is_told() -> None:
    for interface in ("eth0", "::1", "203.0.113.1"):
        with pytest.raises(OSError):  # noqa: PT011 - the words are the system's
            [one async for one in OnvifDriver.discover(Scope(0.1, (interface,)))]


async def test_stopping_early_leaves_nothing_open() -> None:
    async with answering(match()) as (_, target):
        stream: Any = OnvifDriver.discover(Scope(seconds=30.0, targets=(target,)))
        assert (await anext(stream)).name == "Gate"
        await stream.aclose()
    assert len(asyncio.all_tasks()) == 1


def test_a_hello_is_read_like_an_answer() -> None:
    hello = match().replace(b"ProbeMatches", b"x").replace(b"ProbeMatch", b"Hello")
    (found,) = discovery.matches(hello, "192.0.2.9")
    assert (found.address, found.port) == ("192.0.2.9", 8000)


# --- the command


async def discover(*arguments: str | Path) -> Any:
    answer = await asyncio.to_thread(cli, "discover", "--json", "--seconds", "1", *arguments)
    assert answer.returncode in (0, 4), answer.stderr
    return json.loads(answer.stdout)


async def test_the_command_tells_scripts(tmp_path: Path) -> None:
    devices = [OnvifSimulator("Main gate", seed=1)]
    async with responding(devices, start=True) as target:
        told = await discover("--target", target, "--config", tmp_path / "none.yaml")
        assert told["added"] == []
        (found,) = told["found"]
        assert (found["driver"], found["address"], found["port"]) == ("onvif", "127.0.0.1", devices[0].port)
        assert (found["name"], found["in_inventory"]) == ("Main gate", False)
        assert not devices[0].seen
    async with answering() as (_, silent):
        assert await discover("--target", silent, "--config", tmp_path / "none.yaml") == {"found": [], "added": []}


INVENTORY = """\
# Who put this here: Anna, 2026.
bridge: {name: site}   # a note

defaults:
  credentials: {username: bridge, password: env:CAMERA_PASSWORD}

devices:
  # the first one
  - id: gate            # keep this id
    driver: onvif
    address: 127.0.0.1
    onvif: {port: PORT}
    vms: {id: 1}        # in the VMS
# the end
"""


async def test_the_command_adds_what_is_new_and_keeps_every_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "not-to-be-sent-4711")
    devices = [OnvifSimulator(name, seed=seed) for seed, name in enumerate(("Gate", "Front door: left", "Yard"))]
    async with responding(devices, start=True) as target:
        before = INVENTORY.replace("PORT", str(devices[0].port))
        path = tmp_path / "config.yaml"
        path.write_text(before)
        told = await discover("--target", target, "--config", path, "--add")
        assert sorted(told["added"]) == ["front-door-left", "yard"]
        assert sorted(one["in_inventory"] for one in told["found"]) == [False, False, True]
        after = path.read_text()
        for line in before.splitlines():
            assert line in after.splitlines(), line
        assert "not-to-be-sent-4711" not in after
        listed = {one["id"]: one for one in YAML(typ="safe").load(after)["devices"]}
        assert listed["front-door-left"]["name"] == "Front door: left"
        assert {one["onvif"]["port"] for one in listed.values()} == {one.port for one in devices}
        again = await discover("--target", target, "--config", path, "--add")
        assert again["added"] == []
        assert path.read_text() == after
        assert all(not one.seen for one in devices)


async def test_where_there_is_no_inventory_one_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    async with responding([OnvifSimulator()], start=True) as target:
        told = await discover("--target", target, "--config", path, "--add")
        assert len(told["added"]) == 1
    text = path.read_text()
    assert text.startswith("# ")
    assert YAML().load(text)["devices"][0]["driver"] == "onvif"
    empty = tmp_path / "none.yaml"
    async with answering() as (_, target):
        await discover("--target", target, "--config", empty, "--add")
    assert not empty.exists(), "nothing was found"


@pytest.mark.parametrize("name", ["Gate [/x]", "[red]Gate", "Gate \x1b[31m"])
async def test_names_are_neither_markup_nor_terminal_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    discover_cli._print([Found("onvif", "192.0.2.1", 80, name=name, model="[/]")], set(), [], Path("config.yaml"))
    printed = capsys.readouterr().out
    assert "Gate" in printed
    assert "\x1b" not in printed
