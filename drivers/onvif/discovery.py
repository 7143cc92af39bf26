"""WS-Discovery (OASIS 1.1 and the 2005/04 draft that ONVIF prescribes): who is there, without asking for a password.

A Probe goes to 239.255.255.250:3702 on each chosen interface, and directly to hosts that multicast does not reach.
Answers are read by local names, because devices use either version's namespaces, and are believed only for what they
say about themselves: the address used is the one that the answer came from, if the device advertises another.
"""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from urllib.parse import unquote

from yarl import URL

from bridge.driver import Scope
from bridge.errors import ProtocolError
from bridge.model import Found
from drivers.transports import xml
from drivers.transports.xml import Element

GROUP, PORT = "239.255.255.250", 3702
DATAGRAM_LIMIT = 65_536
RECEIVE_BUFFER = 4 << 20  # bytes that are asked for; the kernel gives what it may
FOUND_LIMIT = 10_000
RESOLVE_LIMIT = 2.0  # seconds for the name of a target
# A lost datagram is lost: ask again, and late in the window for devices that were busy.
_ASK_AT = (0.0, 0.25, 0.6)

_PROBE = (
    '<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><e:Header>'
    "<w:MessageID>uuid:{message_id}</w:MessageID>"
    '<w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>'
    '<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action>'
    "</e:Header><e:Body><d:Probe>{types}</d:Probe></e:Body></e:Envelope>"
)
# Some cameras answer only when asked for their type, some only when asked for none.
_TYPES = (
    '<d:Types xmlns:dn="http://www.onvif.org/ver10/network/wsdl">dn:NetworkVideoTransmitter</d:Types>',
    "",
)


class _Listener:
    """Sockets whose datagrams are taken in as soon as they come: the kernel keeps but a hundred or two of them, and a
    large site answers within the same moment."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.answers: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(FOUND_LIMIT)

    def add(self, sock: socket.socket) -> None:
        self.sockets.append(sock)
        asyncio.get_running_loop().add_reader(sock, self._take, sock)

    def close(self) -> None:
        while self.sockets:
            sock = self.sockets.pop()
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()

    def take(self) -> None:
        """All that has come by now."""
        for sock in self.sockets:
            self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        while not self.answers.full():
            try:
                data, sender = sock.recvfrom(DATAGRAM_LIMIT)
            except BlockingIOError:
                return
            except OSError:
                continue  # ICMP "port unreachable" of one unicast target; the others may still answer
            self.answers.put_nowait((data, sender[0]))

    def ask(self, targets: list[tuple[str, int]]) -> None:
        for sock in self.sockets:
            for types in _TYPES:
                probe = _PROBE.format(message_id=uuid.uuid4(), types=types).encode()
                for target in targets:
                    with suppress(OSError):  # one that cannot be reached; the others may be
                        sock.sendto(probe, target)


async def discover(scope: Scope) -> AsyncIterator[Found]:
    """Yield each device once, as its answer arrives, for `scope.seconds`. Raises OSError when no probe can be sent."""
    loop = asyncio.get_running_loop()
    listener = _Listener()
    asking: list[asyncio.TimerHandle] = []
    try:
        for interface in scope.interfaces or ("",):
            listener.add(_socket(interface))
        deadline = loop.time() + scope.seconds
        targets = await _resolved(scope.targets) if scope.targets else [(GROUP, PORT)]
        asking += [loop.call_at(loop.time() + after, listener.ask, targets) for after in _ASK_AT]
        seen: set[object] = set()
        while len(seen) < 2 * FOUND_LIMIT:
            if loop.time() >= deadline:
                listener.close()  # what has come in time is still read
            try:
                async with asyncio.timeout_at(deadline if listener.answers.empty() else None):
                    data, sender = await listener.answers.get()
            except TimeoutError:
                return
            for one in matches(data, sender):
                # Some make up a new endpoint for each answer.
                names = {one.endpoint, (one.address, one.port, one.extra.get("path"))}
                if seen.isdisjoint(names):
                    yield one
                seen |= names
            listener.take()  # reading an answer takes a hundred times as long as taking it in
    finally:
        for handle in asking:
            handle.cancel()
        listener.close()


def _socket(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if interface:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
        sock.bind((interface, 0))
    except BaseException:
        sock.close()
        raise
    return sock


async def _resolved(targets: Sequence[str]) -> list[tuple[str, int]]:
    """IPv4 addresses and ports of HOST or HOST:PORT; what has none, or is not resolved in time, is left out.

    Raises OSError when nothing is left.
    """

    async def resolve(text: str) -> tuple[str, int]:
        host, _, port = text.partition(":")
        number = int(port) if port.isdecimal() and len(port) < 6 else PORT
        if not host or number > 65_535:
            raise ValueError(text)
        with suppress(ValueError):
            return str(IPv4Address(host)), number
        async with asyncio.timeout(RESOLVE_LIMIT):
            found = await asyncio.get_running_loop().getaddrinfo(host, number, family=socket.AF_INET)
        return str(found[0][4][0]), number

    answers = await asyncio.gather(*map(resolve, targets), return_exceptions=True)
    usable = [one for one in answers if isinstance(one, tuple)]
    if not usable:
        raise OSError(f"no IPv4 address for {', '.join(targets)}")
    return usable


def matches(data: bytes, sender: str) -> list[Found]:
    """The devices that a ProbeMatches or Hello names; empty for anything else."""
    try:
        root = xml.parse(data)
    except ProtocolError:
        return []
    named = [one for kind in ("ProbeMatch", "Hello") for one in xml.descendants(root, kind)]
    return [device for one in named[:64] if (device := _device(one, sender)) is not None]


def _device(match: Element, sender: str) -> Found | None:
    types = xml.text(match, "Types")
    scopes = [unquote(one) for one in xml.text(match, "Scopes").split()[:64]]
    onvif = [one.removeprefix("onvif://www.onvif.org/") for one in scopes if one.startswith("onvif://www.onvif.org/")]
    # Printers and Windows machines speak WS-Discovery too.
    if not onvif and "NetworkVideo" not in types and "Device" not in types:
        return None
    named = {key.lower(): _line(value) for key, _, value in (one.partition("/") for one in onvif) if value}
    port, path, https = _where(xml.text(match, "XAddrs").split(), sender)
    extra = {"path": path} if path not in ("", "/onvif/device_service") else {}
    if https:
        extra["tls"] = "insecure"  # whether its certificate can be verified is for people to decide
    return Found(
        driver="onvif",
        address=sender,
        port=port,
        name=named.get("name", ""),
        manufacturer=named.get("manufacturer", named.get("mfr", "")),
        model=named.get("hardware", ""),
        endpoint=xml.text(match, "EndpointReference", "Address")[:128] or f"{sender}:{port}",
        extra=extra,
    )


def _line(text: str) -> str:
    """What it says of itself ends up on terminals: one line, and no control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:512]).split())[:128]


def _where(xaddrs: list[str], sender: str) -> tuple[int, str, bool]:
    """Port and path of the device service, and whether it is HTTPS: of the address that the answer came from, or else
    of the first one, IPv4 before IPv6, because it answered over IPv4."""
    urls = []
    for text in xaddrs[:16]:
        try:
            url = URL(text)
        except ValueError:
            continue
        if url.scheme in ("http", "https") and url.host:
            urls.append(url)
    for url in sorted(urls, key=lambda one: (one.host != sender, ":" in (one.host or ""))):
        return url.port or 80, url.raw_path, url.scheme == "https"
    return 80, "", False
