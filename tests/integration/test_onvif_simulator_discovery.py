"""WS-Discovery of the simulated devices, asked by hand over UDP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from lxml import etree

from drivers.onvif.simulated.discovery import DiscoveryResponder
from drivers.onvif.simulator import OnvifSimulator
from tests.integration.onvif_raw import LIMIT

D = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"


class Listener(asyncio.DatagramProtocol):
    """Sends datagrams and keeps what comes back, parsed."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[etree._Element] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.put_nowait(etree.fromstring(data))

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.transport.get_extra_info("sockname")[:2]
        return host, port

    async def next(self) -> etree._Element:
        return await asyncio.wait_for(self.heard.get(), LIMIT)


def message(body: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="{A}"><s:Header>'
        f"<a:Action>{D}/Probe</a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def probe(types: str = "dn:NetworkVideoTransmitter", scopes: str = "") -> bytes:
    inside = f'<d:Types xmlns:dn="http://www.onvif.org/ver10/network/wsdl">{types}</d:Types>'
    if scopes:
        inside += f"<d:Scopes>{scopes}</d:Scopes>"
    return message(f'<d:Probe xmlns:d="{D}">{inside}</d:Probe>')


@asynccontextmanager
async def listener(host: str = "127.0.0.1") -> AsyncIterator[Listener]:
    made = Listener()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, local_addr=(host, 0))
    try:
        yield made
    finally:
        transport.close()


@asynccontextmanager
async def two_devices(responder: DiscoveryResponder) -> AsyncIterator[list[OnvifSimulator]]:
    devices = [OnvifSimulator(name, seed=seed) for seed, name in enumerate(("Main gate", "Lobby"))]
    for one in devices:
        one.announcer = responder
        await one.start()
    try:
        yield devices
    finally:
        for one in devices:
            await one.stop()


async def test_hello_probe_resolve_bye() -> None:
    responder = DiscoveryResponder(delay=0.05)
    async with listener() as client:
        asked = await responder.start(announce_to=client.address)
        async with two_devices(responder) as devices:
            hellos = [await client.next() for _ in devices]
            assert [hello.findtext(f".//{{{D}}}Hello/{{{D}}}XAddrs") for hello in hellos] == [
                one.state.xaddr("tds") for one in devices
            ]
            client.transport.sendto(probe(), asked)
            matches = [await client.next() for _ in devices]
            assert {match.findtext(f".//{{{A}}}RelatesTo") for match in matches} == {"urn:uuid:1"}
            found = {match.findtext(f".//{{{A}}}EndpointReference/{{{A}}}Address") for match in matches}
            assert found == {f"urn:uuid:{one.state.uuid}" for one in devices}
            scopes = " ".join(match.findtext(f".//{{{D}}}Scopes") or "" for match in matches).split()
            assert "onvif://www.onvif.org/name/Main%20gate" in scopes

            gate, lobby = devices
            resolve = (
                f'<d:Resolve xmlns:d="{D}"><a:EndpointReference><a:Address>urn:uuid:{lobby.state.uuid}</a:Address>'
                "</a:EndpointReference></d:Resolve>"
            )
            client.transport.sendto(message(resolve), asked)
            answer = await client.next()
            assert answer.findtext(f".//{{{D}}}ResolveMatch/{{{D}}}XAddrs") == lobby.state.xaddr("tds")

            await gate.stop()
            bye = await client.next()
            assert (
                bye.findtext(f".//{{{D}}}Bye/{{{A}}}EndpointReference/{{{A}}}Address") == f"urn:uuid:{gate.state.uuid}"
            )
            await lobby.reboot()
            assert (await client.next()).find(f".//{{{D}}}Hello") is not None
            client.transport.sendto(probe(), asked)
            match = await client.next()
            assert match.findtext(f".//{{{D}}}XAddrs") == lobby.state.xaddr("tds")
        responder.close()


async def test_probes_ask_for_types_and_scopes() -> None:
    responder = DiscoveryResponder()
    async with listener() as client:
        asked = await responder.start()
        async with two_devices(responder):
            for data in (
                b"not xml",
                message("<x/>"),
                probe("dn:NetworkVideoDisplay"),
                probe("NetworkVideoTransmitter"),  # without its namespace it is another type
                probe(scopes="onvif://www.onvif.org/name/Cellar"),
                probe(scopes="onvif://www.onvif.org/na"),  # segments match as wholes
                probe(scopes="onvif://www.onvif.org/name onvif://www.onvif.org/nothing"),
            ):
                client.transport.sendto(data, asked)
            both = "onvif://www.onvif.org/name/Main%20gate onvif://www.onvif.org/Profile"
            client.transport.sendto(probe(scopes=both), asked)
            match = await client.next()
            assert "Main%20gate" in (match.findtext(f".//{{{D}}}Scopes") or "")
            await asyncio.sleep(0)
            assert client.heard.empty()
            client.transport.sendto(probe(""), asked)
            assert {(await client.next()).tag for _ in range(2)}
        responder.close()


async def test_multicast_on_loopback() -> None:
    """The group is joined on the interface that was given, and on no other."""
    responder = DiscoveryResponder()
    async with listener() as client:
        # Bound to all addresses, as datagrams to a group are addressed to the group.
        _, port = await responder.start("0.0.0.0", 0, interface="127.0.0.1")
        async with two_devices(responder):
            sock = client.transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            client.transport.sendto(probe(), ("239.255.255.250", port))
            matches = [await client.next() for _ in range(2)]
            assert all(match.find(f".//{{{D}}}ProbeMatch") is not None for match in matches)
        responder.close()
