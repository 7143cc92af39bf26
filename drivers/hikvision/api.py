"""Requests to a panel, and what its answers mean: by subStatusCode, in whichever format it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, DeviceError, Locked, ProtocolError, Rejected, Throttled, Unsupported
from bridge.model import Device
from drivers.hikvision.config import HikvisionConfig
from drivers.hikvision.words import Info, Status, info, json_of, locked_for, status
from drivers.transports import xml
from drivers.transports.client import HttpClient
from drivers.transports.http import Reply

STREAM = "/ISAPI/Event/notification/alertStream"
INFO = "/ISAPI/System/deviceInfo"
BUSY = 5.0  # seconds until a panel that is busy is asked again
FULL = 30.0  # seconds until one is that has no place for us
PICTURE_LIMIT = 8 << 20
_XML = {"Content-Type": "application/xml"}
_JSON = {"Content-Type": "application/json"}
# subStatusCodes, in lower case.
_NOT_THERE = frozenset(
    (
        *("notsupport", "methodnotallowed", "invalidoperation", "notsupported", "functionnotsupported"),
        *("invalidid", "resourcenotexist", "nosuchobject", "urlnotexist"),
    )
)
_NO_RIGHT = frozenset({"lowprivilege", "nopermission", "insufficientprivilege", "notauthorized", "nopermit"})
_IS_BUSY = frozenset({"devicebusy", "serviceunavailable", "reboot", "upgrading", "busy"})
_IS_FULL = frozenset({"exceedmaxlinknum", "maxsessionuserlink", "noresource", "exceedlimitconnection"})


class NotThere(Unsupported):
    """This unit has no such thing."""


class NoRight(NotThere):
    """The account may not ask for it."""


class Full(Throttled):
    """All its places for listeners or sessions are taken; that is how some firmware says so, by a 401."""


class Api:
    """One panel."""

    __slots__ = ("_client", "_timeout")

    def __init__(self, device: Device, config: HikvisionConfig, io: DriverIO) -> None:
        self._timeout = config.timeout
        self._client = HttpClient(
            device,
            io,
            port=config.port,
            tls=config.tls,
            auth="auto",
            timeout=config.timeout,
            # A nonce of the event stream is worth nothing once the stream has gone.
            group=lambda path: "stream" if path == STREAM else "",
            refused=_refused,
        )

    # -- what is read --------------------------------------------------------------------------------------------

    async def info(self) -> Info:
        try:
            return info((await self._get(INFO)).body)
        except NoRight as error:
            raise AuthFailed(error.detail) from None
        except NotThere:
            raise ProtocolError("it has no ISAPI: no Hikvision?") from None

    async def xml(self, path: str) -> xml.Element:
        return xml.parse((await self._get(path)).body)

    async def json(self, path: str) -> dict[str, Any]:
        return json_of((await self._get(f"{path}?format=json")).body)

    async def search(self, path: str, condition: Mapping[str, Any]) -> dict[str, Any]:
        """A POST that only asks."""
        reply = await self._send("POST", f"{path}?format=json", json.dumps(condition).encode(), _JSON)
        return json_of(_checked(reply, asks=True).body)

    async def picture(self, path: str) -> Reply:
        return await self._get(path, limit=PICTURE_LIMIT)

    def stream(self, silence: float) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._client.stream(STREAM, silence=silence)

    # -- what is changed -----------------------------------------------------------------------------------------

    async def write(self, method: str, path: str, body: bytes = b"", *, once: bool = False) -> Status:
        """Raises Rejected with the panel's own word."""
        headers = _JSON if body.startswith(b"{") else _XML
        return _done(await self._send(method, path, body, headers, once=once))

    async def _get(self, path: str, **options: Any) -> Reply:
        return _checked(await self._send("GET", path, None, {}, **options), asks=True)

    async def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], **options: Any
    ) -> Reply:
        plain, _, query = path.partition("?")
        return await self._client.request(
            method,
            plain,
            query=dict([query.split("=", 1)]) if query else None,
            body=body,
            headers=headers,
            **options,
        )


def _refused(reply: Reply) -> DeviceError | None:
    """What a 401 says besides."""
    if (seconds := locked_for(reply.body)) is not None:
        return Locked("it has locked the account after wrong logins", seconds)
    if "WWW-Authenticate" not in reply.headers:
        return Full("it turns us away without asking for a login: all its sessions are taken", FULL)
    return None


def failure(code: int, body: bytes, *, asks: bool) -> DeviceError:
    """What an answer of that HTTP status means. `asks`: nothing was to be changed."""
    try:
        said = status(body)
    except ProtocolError:
        said = None
    sub = said.sub.lower() if said else ""
    if (seconds := locked_for(body)) is not None:
        return Locked("it has locked the account after wrong logins", seconds)
    if sub in _IS_FULL:
        return Full(f"it has no place for us: {said}", FULL)
    if sub in _IS_BUSY or code == 503 or (said is not None and said.code == 2):
        return Throttled("it is busy", BUSY)
    if sub in _NO_RIGHT or code == 403:
        if asks and sub in _NOT_THERE:
            return NotThere("it has no such thing")
        if asks:
            return NoRight("the account may not do that: give it the rights of an operator from remote")
        return Rejected(f"it refuses: {said or 'the account may not do that'}")
    if not asks and said is not None:
        return Rejected(f"it refuses: {said}")
    if sub in _NOT_THERE or code in (404, 405):
        return NotThere("it has no such thing")
    if code >= 500:
        return ProtocolError(f"it fails (HTTP {code})", body)
    return ProtocolError(f"it answers HTTP {code}{f': {said}' if said else ''}", body)


def _checked(reply: Reply, *, asks: bool) -> Reply:
    if reply.status != 200:
        raise failure(reply.status, reply.body, asks=asks)
    # 200 with an error inside.
    if b"tatusCode" in reply.body[:512] and (said := status(reply.body)) is not None and not said.done:
        raise failure(reply.status, reply.body, asks=asks)
    return reply


def _done(reply: Reply) -> Status:
    _checked(reply, asks=False)
    said = status(reply.body)
    if said is None:
        raise ProtocolError("its answer does not say whether that was done", reply.body)
    return said
