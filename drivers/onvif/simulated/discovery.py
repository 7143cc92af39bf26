"""WS-Discovery, the devices' side: Hello, Bye, Probe and Resolve over UDP (WS-Discovery 2005/04; ONVIF Core, "Device
discovery"). One responder speaks for any number of simulated devices on this computer.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import uuid
from collections.abc import Iterable
from typing import cast
from urllib.parse import unquote
from xml.sax.saxutils import escape

from lxml import etree

from drivers.onvif.simulated.state import DeviceState

GROUP = "239.255.255.250"
PORT = 3702
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
TO_ALL = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
_D = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_S = "http://www.w3.org/2003/05/soap-envelope"
_DN = "http://www.onvif.org/ver10/network/wsdl"
_TDS = "http://www.onvif.org/ver10/device/wsdl"
_TYPES = (f"{{{_DN}}}NetworkVideoTransmitter", f"{{{_TDS}}}Device")
_STRCMP0 = f"{_D}/strcmp0"
_MAX_DATAGRAM = 65_507
_MAX_LATE = 10_000  # answers that wait; a flood of probes gets no more

Address = tuple[str, int]


class DiscoveryResponder(asyncio.DatagramProtocol):
    """Answers on one address and port, and on the multicast group where it was joined.

    `delay` is the longest random wait before an answer to a Probe, in seconds (the protocol's APP_MAX_DELAY is 0.5).
    """

    def __init__(self, *, seed: int = 0, delay: float = 0.0) -> None:
        self.delay = delay
        self._rng = random.Random(f"onvif discovery {seed}")
        self._devices: dict[uuid.UUID, DeviceState] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._announce_to: Address | None = None
        self._instance = self._rng.randrange(1, 2**31)
        self._number = 0
        self._late: set[asyncio.TimerHandle] = set()

    async def start(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        interface: str | None = None,
        announce_to: Address | None = None,
    ) -> Address:
        """Listen; returns the address and port in use.

        With `interface`, the address of a local one, it joins the multicast group there and announces to it.
        `announce_to` is where Hello and Bye go instead. Without either there is nobody to tell.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if interface is not None:
                # Other programs on this computer discover too, and a datagram to the group is for all of them.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                group = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(interface))
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            sock.bind((address, port))
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        self._announce_to = announce_to or ((GROUP, sock.getsockname()[1]) if interface else None)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=sock)
        local: Address = sock.getsockname()[:2]
        return local

    def close(self) -> None:
        """Bye for every device, then silence."""
        for state in list(self._devices.values()):
            self.bye(state)
        for timer in self._late:
            timer.cancel()
        self._late.clear()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    # --- what devices say by themselves

    def hello(self, state: DeviceState) -> None:
        """The device is there from now on, and answers probes."""
        self._devices[state.uuid] = state
        self._announce("Hello", _device(state))

    def bye(self, state: DeviceState) -> None:
        """The device goes, and answers no more."""
        if self._devices.pop(state.uuid, None) is not None:
            self._announce("Bye", _endpoint(state))

    def _announce(self, action: str, inner: str) -> None:
        if self._announce_to is not None:
            self._send(self._envelope(action, f"<d:{action}>{inner}</d:{action}>", TO_ALL), self._announce_to)

    # --- what they are asked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        parsed = _read(data)
        if parsed is None:
            return
        message_id, question = parsed
        name = etree.QName(question).localname
        if name == "Probe":
            matches = [state for state in self._devices.values() if _matches(question, state)]
        elif name == "Resolve":
            wanted = (question.findtext(f"{{{_A}}}EndpointReference/{{{_A}}}Address") or "").strip()
            matches = [state for state in self._devices.values() if wanted == f"urn:uuid:{state.uuid}"]
        else:
            return
        for state in matches:
            body = f"<d:{name}Matches><d:{name}Match>{_device(state)}</d:{name}Match></d:{name}Matches>"
            answer = self._envelope(f"{name}Matches", body, ANONYMOUS, relates_to=message_id)
            if self.delay:
                self._send_late(answer, addr)
            else:
                self._send(answer, addr)

    def _send_late(self, data: bytes, addr: Address) -> None:
        def send() -> None:
            self._late.discard(timer)
            self._send(data, addr)

        if len(self._late) < _MAX_LATE:
            timer = asyncio.get_running_loop().call_later(self._rng.uniform(0, self.delay), send)
            self._late.add(timer)

    def _send(self, data: bytes, addr: Address) -> None:
        if self._transport is not None and len(data) <= _MAX_DATAGRAM:
            self._transport.sendto(data, addr)

    def _envelope(self, action: str, body: str, to: str, relates_to: str = "") -> bytes:
        self._number += 1
        relates = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
        message_id = uuid.UUID(int=self._rng.getrandbits(128), version=4)
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_S}" xmlns:a="{_A}" xmlns:d="{_D}" '
            f'xmlns:dn="{_DN}" xmlns:tds="{_TDS}"><s:Header><a:MessageID>urn:uuid:{message_id}</a:MessageID>{relates}'
            f"<a:To>{to}</a:To><a:Action>{_D}/{action}</a:Action>"
            f'<d:AppSequence InstanceId="{self._instance}" MessageNumber="{self._number}"/></s:Header>'
            f"<s:Body>{body}</s:Body></s:Envelope>"
        ).encode()


def _endpoint(state: DeviceState) -> str:
    return f"<a:EndpointReference><a:Address>urn:uuid:{state.uuid}</a:Address></a:EndpointReference>"


def _device(state: DeviceState) -> str:
    return (
        f"{_endpoint(state)}<d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types>"
        f"<d:Scopes>{' '.join(map(escape, state.scopes))}</d:Scopes><d:XAddrs>{state.xaddr('tds')}</d:XAddrs>"
        "<d:MetadataVersion>1</d:MetadataVersion>"
    )


def _read(data: bytes) -> tuple[str, etree._Element] | None:
    """The MessageID and the first element of the Body; None for what is no SOAP."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    body = root.find(f"{{{_S}}}Body")
    if body is None or not len(body) or not isinstance(body[0].tag, str):
        return None
    return (root.findtext(f"{{{_S}}}Header/{{{_A}}}MessageID") or "").strip(), body[0]


def _matches(probe: etree._Element, state: DeviceState) -> bool:
    """Whether a device has all the types and all the scopes that a Probe asks for."""
    types = (probe.findtext(f"{{{_D}}}Types") or "").split()
    if any(_qname(probe, name) not in _TYPES for name in types):
        return False
    scopes = probe.find(f"{{{_D}}}Scopes")
    if scopes is None:
        return True
    exact = scopes.get("MatchBy") == _STRCMP0
    return all(_has_scope(state.scopes, wanted, exact=exact) for wanted in (scopes.text or "").split())


def _qname(element: etree._Element, name: str) -> str:
    types = element.find(f"{{{_D}}}Types")
    prefix, _, local = name.rpartition(":")
    namespace = None if types is None else types.nsmap.get(prefix or None)
    return f"{{{namespace}}}{local}"


def _has_scope(scopes: Iterable[str], wanted: str, *, exact: bool) -> bool:
    """RFC 3986 matching: equal, or the beginning of one by whole path segments."""
    if exact:
        return wanted in scopes
    segments = _segments(wanted)
    return any(_segments(scope)[: len(segments)] == segments for scope in scopes)


def _segments(uri: str) -> list[str]:
    return [unquote(part) for part in uri.rstrip("/").split("/")]
