"""One ONVIF device on the wire: where its services are, how it wants to be authenticated, what its clock says.

Thousands of these live side by side, so an instance is a handful of slots; WSDLs, connections and messages are
shared by all.
"""

from __future__ import annotations

import os
import ssl
import uuid
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cache

from yarl import URL

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, ProtocolError, Unsupported
from bridge.model import Credentials
from drivers.onvif import soap, wsdl
from drivers.onvif.config import OnvifConfig
from drivers.onvif.soap import SoapFault
from drivers.onvif.wsdl import Message
from drivers.transports import xml
from drivers.transports.digest import Digest, challenges
from drivers.transports.http import Reply, exchange
from drivers.transports.xml import Element

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"

# Where a service is usually found when the device does not say.
_USUAL_PATHS = {MEDIA: "/onvif/media_service", EVENTS: "/onvif/event_service"}
# A clock that moved by more than this between two measurements explains a refused login.
_CLOCK_MOVED = 2.0


class Mode(Enum):
    """How requests are authenticated. UNKNOWN: not at all, until the device asks for it."""

    UNKNOWN = "none asked"
    DIGEST = "http digest"
    WSSE = "ws-usernametoken"


class NoSoap(ProtocolError):
    """An answer that tells by its HTTP status what it has to tell."""

    def __init__(self, reply: Reply, what: str) -> None:
        super().__init__(f"it answers {reply.status} {what}", reply.body)
        self.status = reply.status


@cache
def _insecure_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Old cameras: the point of `insecure` is to reach them at all.
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


class OnvifClient:
    """Sends requests to one device. `call` is all that the rest of the driver needs."""

    __slots__ = (
        "_clock_needs_auth",
        "_config",
        "_credentials",
        "_digests",
        "_io",
        "_origin",
        "_tls",
        "authorised_at",
        "mode",
        "offset",
        "paths",
    )

    def __init__(self, address: str, credentials: Credentials | None, config: OnvifConfig, io: DriverIO) -> None:
        scheme = "http" if config.tls == "off" else "https"
        port = config.port or (80 if scheme == "http" else 443)
        self._io = io
        self._config = config
        self._credentials = credentials
        self._origin = URL.build(scheme=scheme, host=address, port=port)
        self._tls: ssl.SSLContext | bool = _insecure_tls() if config.tls == "insecure" else True
        # One nonce counter a lane: a long poll and a poll overtake each other, and strict servers want counts in order.
        self._digests: dict[str, Digest] = {}
        self._clock_needs_auth = False
        self.mode = Mode.WSSE if config.auth == "wsse" else Mode.UNKNOWN
        self.offset: float | None = None  # device clock minus ours, seconds; None until measured
        self.paths: dict[str, str] = {DEVICE: config.path}
        self.authorised_at: float | None = None  # monotonic: when it last took our credentials

    # -- addresses ---------------------------------------------------------------------------------------------

    def local(self, xaddr: str) -> str | None:
        """Path and query of an address that the device gave; its host and port are not believed.

        Cameras advertise an old DHCP address, 192.168.1.88, or what they are behind NAT. What counts is the
        address that the inventory gives; requests never go anywhere else.
        """
        try:
            url = URL(xaddr.strip()[:2048])
        except ValueError:
            return None
        return url.raw_path_qs if url.raw_path.startswith("/") else None

    def _url(self, where: str) -> URL:
        # Joined as text: `//elsewhere/x` is a path at this device, and to URL.join another host.
        return URL(f"{self._origin}{where}", encoded=True)

    def path(self, service: str) -> str:
        """Where a service is. Raises Unsupported when the device has not got it."""
        if service in self.paths:
            return self.paths[service]
        raise Unsupported(f"it offers no service {service.rpartition('.org/')[2]}")

    def learn(self, found: dict[str, str]) -> None:
        """Take the addresses of services; the device service stays where the inventory says it is."""
        for namespace, xaddr in found.items():
            # A service that is listed with nothing that can be used for an address is there all the same.
            where = self.local(xaddr) or _USUAL_PATHS.get(namespace)
            if where and namespace != DEVICE:
                self.paths[namespace] = where

    def _usual_path(self, service: str, where: str) -> str | None:
        """Where to look next for a service that is not where the device says; None when that was the last place."""
        places = [place for place in (_USUAL_PATHS.get(service), self.paths[DEVICE]) if place]
        left = places[places.index(where) + 1 :] if where in places else places
        return left[0] if left else None

    def assume_usual_paths(self) -> None:
        for namespace, where in _USUAL_PATHS.items():
            self.paths.setdefault(namespace, where)

    # -- requests ----------------------------------------------------------------------------------------------

    async def call(
        self,
        service: str,
        message: Message,
        *,
        path: str | None = None,
        addressed: bool = False,
        references: tuple[bytes, ...] = (),
        lane: str = "",
        timeout: float | None = None,
    ) -> Element:
        """One request; returns the reply's element (or the Body, when that is empty).

        `path` overrides where the service is (subscriptions have their own); `addressed` adds WS-Addressing
        headers; requests of the lane "" take turns, those of another lane are long polls and go around the gate.
        The first request goes without credentials, and what the device then asks for is what it gets from there
        on. Raises `DeviceError`s; credentials that were refused are not tried again.
        """
        where = path if path is not None else self.path(service)
        head = b""
        if addressed:
            head = soap.addressing(message.action, str(self._url(where)), str(uuid.uuid4()), references)
        reply = await self._send(where, message, head, self.mode, lane, timeout)
        refusal = self._refusal(reply)
        if refusal is not None and await self._another_way(reply, lane):
            reply = await self._send(where, message, head, self.mode, lane, timeout)
            refusal = self._refusal(reply)
        if refusal is not None:
            self.authorised_at = None
            # The next call begins anew, and sends the refused credentials once, not twice.
            self._digests.pop(lane, None)
            raise _refused(refusal)
        try:
            element = self._read(reply)
        except NoSoap as error:
            usual = self._usual_path(service, where) if error.status == 404 and path is None else None
            if usual is None:
                raise
            self.paths[service] = usual
            return await self.call(service, message, addressed=addressed, lane=lane, timeout=timeout)
        self.authorised_at = self._io.clock.now().mono
        return element

    async def _send(
        self, where: str, message: Message, head: bytes, mode: Mode | None, lane: str, timeout: float | None
    ) -> Reply:
        url = self._url(where)
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{message.action}"'}
        security = b""
        if mode is Mode.WSSE and self._credentials is not None:
            created = self._io.clock.now().wall + (self.offset or 0.0)
            security = soap.username_token(self._credentials, created, os.urandom(16))
        elif mode is Mode.DIGEST:
            digest = self._digests.get(lane)
            if digest is not None and digest.ready:
                headers["Authorization"] = digest.authorize("POST", url.raw_path_qs)
        body = soap.envelope(message.body, security, head)
        deadline = timeout or self._config.timeout
        session = self._io.http
        if lane:
            return await exchange(session, "POST", url, body=body, headers=headers, deadline=deadline, tls=self._tls)
        async with self._io.gate:
            return await exchange(session, "POST", url, body=body, headers=headers, deadline=deadline, tls=self._tls)

    def _read(self, reply: Reply) -> Element:
        if not reply.body:
            raise NoSoap(reply, "without a body")
        try:
            element = soap.reply(reply.body, reply.status)
        except SoapFault as fault:
            if fault.is_unsupported:
                raise Unsupported(fault.detail) from fault
            raise
        except ProtocolError as error:
            if reply.status >= 400:
                raise NoSoap(reply, f"and {error.detail}") from error
            raise
        if reply.status >= 400:
            raise NoSoap(reply, "with what is no fault")
        return element

    def _refusal(self, reply: Reply) -> str | None:
        """Why the credentials (or their absence) were refused; None when they were not."""
        refused = f"HTTP {reply.status}" if reply.status in (401, 403) else None
        if reply.status < 400 and b"Fault" not in reply.body:
            return None
        try:
            soap.reply(reply.body, reply.status)
        except SoapFault as fault:
            return (fault.reason or refused or "NotAuthorized") if fault.is_auth else None
        except ProtocolError:
            pass
        return refused

    async def _another_way(self, reply: Reply, lane: str, *, for_clock: bool = False) -> bool:
        """After a refusal: is there something to send differently, once? Decided by status and challenge alone.

        `for_clock`: it was GetSystemDateAndTime that was refused, so only the refusal itself can tell the time.
        """
        if self._credentials is None:
            raise AuthFailed("it asks for a password: give its credentials in the inventory")
        offered = challenges(reply.headers.getall("WWW-Authenticate", []))
        digest = Digest(self._credentials)
        if self._config.auth != "wsse" and digest.accept(offered):
            before = self._digests.get(lane)
            tried = self.mode is Mode.DIGEST and before is not None and before.ready
            self._digests[lane] = digest
            self.mode = Mode.DIGEST
            # A nonce that worked and is refused may only be old; after a reboot few devices say stale=true.
            return not tried or digest.stale or self.authorised_at is not None
        if self._config.auth == "digest":
            return False
        before_offset, had_token = self.offset, self.mode is Mode.WSSE
        self.mode = Mode.WSSE
        if for_clock:
            self._take_date(reply)
        elif had_token or self.offset is None:
            await self.measure_clock()
        # A token was refused: after a reboot the device's clock may have jumped, and with it what is "now".
        return not had_token or abs((self.offset or 0.0) - (before_offset or 0.0)) > _CLOCK_MOVED

    # -- the clock ---------------------------------------------------------------------------------------------

    async def measure_clock(self) -> None:
        """GetSystemDateAndTime, without credentials because those need the clock; sets `offset`.

        Vivotek and Panasonic want credentials even for this. Some give local time only, some a date that no
        calendar has, or nothing: then the HTTP Date header has to do, or nothing changes.
        """
        message = wsdl.message("devicemgmt", "GetSystemDateAndTime")
        where = self.path(DEVICE)
        reply = await self._send(where, message, b"", self.mode if self._clock_needs_auth else None, "", None)
        refusal = self._refusal(reply)
        if refusal is not None and not self._clock_needs_auth:
            self._clock_needs_auth = True
            if self.mode is not Mode.UNKNOWN:
                reply = await self._send(where, message, b"", self.mode, "", None)
                refusal = self._refusal(reply)
        if refusal is not None and await self._another_way(reply, "", for_clock=True):
            reply = await self._send(where, message, b"", self.mode, "", None)
            refusal = self._refusal(reply)
        if refusal is not None:
            self._digests.pop("", None)
            raise _refused(refusal)
        try:
            told = device_time(self._read(reply))
        except Unsupported:
            told = None
        if told is None:
            self._take_date(reply)
        else:
            self.offset = told - self._io.clock.now().wall

    def _take_date(self, reply: Reply) -> None:
        """Take the device's time from the HTTP header, where there is one."""
        try:
            told = parsedate_to_datetime(reply.headers.get("Date", ""))
            seconds = (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return
        self.offset = seconds - self._io.clock.now().wall


def _refused(refusal: str) -> AuthFailed:
    return AuthFailed(
        f"it refuses the credentials ({refusal}): many devices have a list of ONVIF users apart from those of their "
        "web page, in which this one has to be"
    )


_PARTS = ("Year", "Month", "Day", "Hour", "Minute", "Second")


def device_time(element: Element) -> float | None:
    """Seconds since the epoch from a tt:SystemDateTime, or None where it holds no usable time."""
    for told in xml.pick(element, "UTCDateTime"):
        return _fields(told)
    for told in xml.pick(element, "LocalDateTime"):
        local = _fields(told)
        zone = next((one.text or "" for one in xml.descendants(element, "TZ")), "")
        return None if local is None else local + posix_offset(zone.strip())
    return None


def _fields(element: Element) -> float | None:
    told = {xml.local(one): (one.text or "").strip() for one in xml.pick(element, *_PARTS)}
    if not all((part := told.get(name, "")).isdecimal() and len(part) <= 4 for name in _PARTS):
        return None
    year, month, day, hour, minute, second = (int(told[name]) for name in _PARTS)
    try:
        # A leap second is no reason to lose the time.
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None


def posix_offset(zone: str) -> float:
    """Seconds to add to local time for UTC, from a POSIX 1003.1 TZ such as `MSK-3` or `<+05>-5:30`; 0 if unreadable.

    Daylight saving is left out: this is a fallback for devices that give no UTC, and an hour off is told as such.
    """
    name_end = (
        zone.find(">") + 1
        if zone.startswith("<")
        else next((i for i, letter in enumerate(zone) if not letter.isalpha()), len(zone))
    )
    rest = zone[name_end:]
    sign = -1 if rest.startswith("-") else 1
    digits = rest.lstrip("+-").split(",")[0]
    parts: list[str] = []
    for part in digits.split(":")[:3]:
        number = ""
        for letter in part:
            if not letter.isdecimal():
                break
            number += letter
        parts.append(number)
        if number != part:
            break
    if not parts or not parts[0] or len(parts[0]) > 2:
        return 0.0
    hours, minutes, seconds = ([*(int(p or 0) for p in parts), 0, 0])[:3]
    return float(sign * (hours * 3600 + minutes * 60 + seconds))
