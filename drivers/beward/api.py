"""The panel's CGI: questions answered in `key=value` lines, changes answered with `OK`, and its web forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from bridge.driver import DriverIO
from bridge.errors import ProtocolError, Rejected, Unreachable, Unsupported
from bridge.model import Device, Rung
from drivers.beward.config import BewardConfig
from drivers.beward.models import Query
from drivers.transports import keyvalue
from drivers.transports.client import HttpClient
from drivers.transports.http import Redirected, Reply

PICTURE_LIMIT = 4 << 20
# With HTTP 200, and a page around it.
_NOT_DEFINED = b"is not defined"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_GET = {"action": "get"}
_TAGS = re.compile(r"<[^>]{0,200}>|\s+")
_VALUES = re.compile(r"=[^\s&]{1,200}|\d{3,}")


class Api:
    """Requests to one panel."""

    __slots__ = ("client",)

    def __init__(self, device: Device, config: BewardConfig, io: DriverIO) -> None:
        self.client = HttpClient(device, io, port=config.port, tls=config.tls, auth=config.auth, timeout=config.timeout)

    async def ask(self, module: str, query: Query = _GET) -> dict[str, str] | None:
        """What a module answers; None when this unit has no such module. Raises DeviceErrors."""
        body = await self.text(module, query)
        if body is None:
            return None
        found = keyvalue.parse(body)
        if not found:
            raise ProtocolError(f"its answer to {module} has no key=value lines", body)
        return found

    async def text(self, module: str, query: Query = _GET) -> bytes | None:
        """The answer as it is, and not an empty one; None when this unit has no such module. Raises DeviceErrors."""
        reply = await self.client.request("GET", f"/cgi-bin/{module}", query=query)
        if _missing(reply):
            return None
        return _healthy(reply, module).body

    async def tell(self, module: str, query: Query, *, once: bool = False) -> None:
        """Have a module do something. Raises Rejected with the panel's word, Unsupported for a module that it has not,
        other DeviceErrors. `once`: it is not sent again, whatever happens to the answer."""
        reply = await self.client.request("GET", f"/cgi-bin/{module}", query=query, once=once)
        if _missing(reply):
            raise Unsupported(f"the panel has no {module}")
        _accepted(_healthy(reply, module))

    async def form(self, path: str, fields: Mapping[str, str | int], *, once: bool = False) -> None:
        """Send a form of its web pages, as a body: there are passwords in some. Otherwise as `tell`."""
        body = urlencode({key: str(value) for key, value in fields.items()}).encode()
        try:
            reply = await self.client.request("POST", f"/{path}", body=body, headers=_FORM, once=once)
        except Redirected as back:
            # Back to the page that the form stands on: that is how its web server says that it is done.
            if not back.target.startswith("/") or back.target.startswith("//"):
                raise
            return
        if _missing(reply):
            raise Unsupported(f"the panel has no {path}")
        _accepted(_healthy(reply, path))

    async def save(self) -> None:
        """Have what was changed written to its flash memory: until then a reboot undoes it. Raises DeviceErrors."""
        await self.tell("config_cgi", {"action": "forcesave"})

    async def picture(self) -> Reply:
        """Raises Rejected when it sends none, other DeviceErrors."""
        reply = await self.client.request("GET", "/cgi-bin/images_cgi", query={"channel": 0}, limit=PICTURE_LIMIT)
        if _missing(reply):
            raise Unsupported("the panel has no images_cgi")
        return _healthy(reply, "images_cgi")


def _missing(reply: Reply) -> bool:
    return reply.status == 404 or _NOT_DEFINED in reply.body[:2048]


def _healthy(reply: Reply, what: str) -> Reply:
    if reply.status in (500, 502, 503):
        raise Unreachable(f"it is too busy for {what} (HTTP {reply.status})", Rung.ANSWERING)
    if reply.status in (400, 403):
        raise Rejected(f"it refuses {what} (HTTP {reply.status}): {said(reply.body)}")
    if reply.status != 200:
        raise ProtocolError(f"it answers {what} with HTTP {reply.status}", reply.body)
    if not reply.body.strip():
        raise ProtocolError(f"its answer to {what} is empty")
    return reply


def _accepted(reply: Reply) -> None:
    body = reply.body.strip()
    if body[:2].upper() == b"OK":
        return
    if body.startswith(b"<") or b"\0" in body:
        raise ProtocolError("it answers a change with something that is not OK", body)
    raise Rejected(f"the panel refuses it: {said(body)}")


def said(body: bytes) -> str:
    """The panel's words for people, without markup, and without values: it may repeat a password."""
    text = _VALUES.sub("…", body[:400].decode("utf-8", errors="replace"))
    return " ".join(_TAGS.sub(" ", text).split())[:120] or "no reason given"
