"""Requests to the HTTP API of a 2N intercom (the vendor's manual, sections 2 and 5)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Throttled
from bridge.model import Device
from drivers.transports.client import HttpClient
from drivers.transports.digest import challenges
from drivers.transports.http import Reply
from drivers.two_n.config import TwoNConfig
from drivers.two_n.replies import envelope, error_code, failure

CONFIG_LIMIT = 8 << 20  # bytes of a configuration, with its directory
PICTURE_LIMIT = 8 << 20
_BUSY = 30.0  # seconds, where it does not say for how long
_SERVICES: Mapping[str, str] = {
    "firmware": "system",
    "config": "system",
    "dir": "system",
    "call": "phone",
}
_NO_PRIVILEGE, _OTHER_LOGIN = 10, 8
Query = Mapping[str, str | int]


def service(path: str) -> str:
    """The service of the API that a path belongs to: each has a login of its own (the manual, section 3)."""
    word = path.removeprefix("/api/").partition("/")[0]
    return _SERVICES.get(word, word)


class Api:
    __slots__ = ("_client", "_looks", "_unasked")

    def __init__(self, device: Device, io: DriverIO, config: TwoNConfig) -> None:
        self._client = HttpClient(
            device,
            io,
            port=config.port,
            tls=config.tls,
            auth=config.auth,
            timeout=config.timeout,
            group=service,
            refused=self._refused,
        )
        self._unasked = config.auth == "basic"  # the login is sent without being asked for
        self._looks = 0  # times that the present request was turned away

    async def ask(self, path: str, query: Query | None = None, *, wait: float = 0.0) -> Any:
        """The result of a function. `wait` in seconds is how long it may take to answer. Raises DeviceErrors."""
        return envelope((await self._send("GET", path, query, wait=wait)).body)

    async def tell(self, path: str, fields: Query) -> Any:
        """Have something done once. The request is never sent again when its answer is lost."""
        body = urlencode(fields).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return envelope((await self._send("POST", path, body=body, headers=headers, once=True)).body)

    async def put(self, path: str, query: Query) -> None:
        envelope((await self._send("PUT", path, query)).body)

    async def upload(self, path: str, name: str, data: bytes, content_type: str) -> None:
        """A file, as the one part of a form."""
        boundary = secrets.token_hex(16)
        head = f'Content-Disposition: form-data; name="{name}"; filename="{name}"\r\nContent-Type: {content_type}\r\n'
        body = b"".join((f"--{boundary}\r\n{head}\r\n".encode(), data, f"\r\n--{boundary}--\r\n".encode()))
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        envelope((await self._send("PUT", path, body=body, headers=headers)).body)

    async def file(self, path: str, query: Query | None = None, *, limit: int, kind: str) -> Reply:
        """What is no JSON when all is well: a picture, a configuration. `kind` is how its content type begins."""
        reply = await self._send("GET", path, query, limit=limit)
        content_type = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if content_type.startswith(kind):
            return reply
        envelope(reply.body)
        raise ProtocolError(f"it answers with something else than {kind}", reply.body)

    async def _send(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
        limit: int = 1 << 20,
        once: bool = False,
    ) -> Reply:
        self._looks = 0
        reply = await self._client.request(
            method, path, query=query, body=body, headers=headers, wait=wait, limit=limit, once=once
        )
        if reply.status == 403:
            raise AuthFailed("it refuses access (HTTP 403)")
        if reply.status in (429, 503):
            raise Throttled(f"it is busy (HTTP {reply.status})", _retry_after(reply))
        if reply.status != 200 and error_code(reply.body) is None:
            raise ProtocolError(f"it answers {reply.status}: no 2N, or another port?", reply.body)
        return reply

    def _refused(self, reply: Reply) -> DeviceError | None:
        """More than a 401 says. A missing privilege comes with one, and with a challenge, like a wrong password."""
        self._looks += 1
        code = error_code(reply.body)
        challenged = bool(challenges(reply.headers.getall("WWW-Authenticate", [])))
        sent = self._looks > 1 or self._unasked or not challenged
        if code == _NO_PRIVILEGE and sent:
            return failure({"code": code})
        return failure({"code": code}) if code == _OTHER_LOGIN and not challenged else None


def _retry_after(reply: Reply) -> float:
    told = reply.headers.get("Retry-After", "")
    return min(float(told), 3600.0) if told.isdecimal() and len(told) < 6 else _BUSY
