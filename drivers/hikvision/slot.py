"""Our slot among the addresses that a panel posts its events to (httpHosts). Never anybody else's.

A panel has one to three, and another VMS may live in the first. Ours is known by the secret path in it; a free one is
taken where there is none. What a slot says besides stays: it is read, changed and sent back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from copy import deepcopy

from yarl import URL

from bridge.driver import Callback, CallbackRequest, DriverIO
from bridge.errors import Rejected, Unsupported
from bridge.model import Device
from drivers.hikvision.api import Api, NotThere
from drivers.hikvision.words import document, drop, put, written
from drivers.transports import xml
from drivers.transports.standing import standing_callback

HOSTS = "/ISAPI/Event/notification/httpHosts"
BODY_LIMIT = 2 << 20  # an event with its picture
SLOTS = 16  # that are looked at, whatever a panel lists
_ID, _PATH = "slot", "slot-path"  # in io.memory
_NOWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - what an empty slot says


class Slot:
    __slots__ = ("_api", "_callback", "_device", "_io")

    def __init__(self, api: Api, device: Device, io: DriverIO) -> None:
        self._api = api
        self._device = device
        self._io = io
        self._callback: Callback | None = None

    async def open(self, handler: Callable[[CallbackRequest], Awaitable[None]]) -> None:
        """Have the panel post to us from now on. Raises Unsupported where it cannot."""
        self.hang_up()
        self._callback = await standing_callback(self._io, self._device, handler, body_limit=BODY_LIMIT)
        await self.stand()

    def hang_up(self) -> None:
        """Hear no more. The slot stays, so that a restart of the bridge writes nothing."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback.close()

    async def stand(self) -> bool:
        """See to it that our slot is there and right; whether it was. Writes nothing then."""
        assert self._callback is not None, "open() comes first"
        url = URL(self._callback.url)
        if url.scheme != "http":
            raise Unsupported("its webhook knows plain HTTP only: give bridge.callbacks an http:// address")
        found = await self._slots()
        mine = next((one for one in found if xml.text(one, "url") == url.path), None)
        if mine is not None and _is_right(mine, url):
            await self._note(mine, url.path)
            return True
        if mine is None:
            mine = self._free(found)
        if mine is None:
            raise Unsupported(f"all {len(found)} of its webhook addresses are in use by others")
        wanted = deepcopy(mine)
        _direct(wanted, url)
        await self._note(wanted, url.path)  # before it is made: a crash leaves none that nobody knows
        await self._api.write("PUT", f"{HOSTS}/{xml.text(wanted, 'id')}", written(wanted))
        return False

    def _free(self, found: list[xml.Element]) -> xml.Element | None:
        """An empty slot: the last one, because the first is where others put themselves unasked."""
        if not found:
            return xml.parse(document("HttpHostNotification", id="1"))
        return next((one for one in reversed(found) if _is_free(one)), None)

    async def release(self) -> None:
        """Take our address out of the panel, if it is there. Raises DeviceError."""
        number, path = self._io.memory.get(_ID), self._io.memory.get(_PATH)
        if number is None or path is None:
            return
        for one in await self._slots():
            if xml.text(one, "id") == number and xml.text(one, "url") == path:
                await self._empty(one)
        await self._io.memory.put(_ID, None)
        await self._io.memory.put(_PATH, None)

    @property
    def taken(self) -> bool:
        """Whether a slot of ours may be on the panel."""
        return self._io.memory.get(_ID) is not None

    async def _empty(self, one: xml.Element) -> None:
        # Never a DELETE: on some firmware one without a number, or with one that it does not know, clears them all.
        emptied = deepcopy(one)
        put(emptied, ("url",), "/")
        for name in ("ipAddress", "hostName"):
            if xml.child(emptied, name) is not None:
                put(emptied, (name,), "0.0.0.0" if name == "ipAddress" else "")  # noqa: S104
        await self._api.write("PUT", f"{HOSTS}/{xml.text(emptied, 'id')}", written(emptied))

    async def _slots(self) -> list[xml.Element]:
        try:
            root = await self._api.xml(HOSTS)
        except NotThere:
            raise Unsupported("it has no webhook") from None
        return list(xml.descendants(root, "HttpHostNotification"))[:SLOTS]

    async def _note(self, slot: xml.Element, path: str) -> None:
        number = xml.text(slot, "id")
        if not number.isdecimal():
            raise Rejected("its webhook addresses have no numbers")
        for key, value in ((_ID, number), (_PATH, path)):
            if self._io.memory.get(key) != value:
                await self._io.memory.put(key, value)


def _is_free(slot: xml.Element) -> bool:
    host = xml.text(slot, "ipAddress") in _NOWHERE and not xml.text(slot, "hostName")
    return host and xml.text(slot, "ipv6Address") in _NOWHERE


def _address(url: URL) -> tuple[str, str, str]:
    """addressingFormatType, the element that the address stands in, and the address."""
    host = url.host or ""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return "hostname", "hostName", host
    return "ipaddress", "ipAddress" if version == 4 else "ipv6Address", host


def _wanted(url: URL) -> dict[str, str]:
    kind, field, host = _address(url)
    return {
        "url": url.path,
        "protocolType": "HTTP",
        "addressingFormatType": kind,
        field: host,
        "portNo": str(url.port or 80),
        "httpAuthenticationMethod": "none",
    }


def _is_right(slot: xml.Element, url: URL) -> bool:
    same = all(xml.text(slot, name) == value for name, value in _wanted(url).items())
    mode = xml.text(slot, "SubscribeEvent", "eventMode")
    return same and mode in ("", "all")


def _direct(slot: xml.Element, url: URL) -> None:
    for name, value in _wanted(url).items():
        put(slot, (name,), value)
    if xml.child(slot, "parameterFormatType") is None:
        put(slot, ("parameterFormatType",), "XML")
    drop(slot, "userName", "password")
    subscription = xml.child(slot, "SubscribeEvent")
    if subscription is not None:
        put(subscription, ("eventMode",), "all")
        drop(subscription, "EventList")
