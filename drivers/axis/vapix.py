"""Asking an Axis device: VAPIX, in its three shapes. What its answers mean stands in `answers.py`.

JSON (`{"apiVersion", "method", "params"}` to a CGI of its own each), parameters (`param.cgi`, key=value), and the call
service (`{"axcall:Method": {...}}`, faults as HTTP 400). developer.axis.com/vapix.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unreachable, Unsupported
from bridge.model import Device, Rung
from drivers.axis.config import AxisConfig
from drivers.transports import keyvalue
from drivers.transports.client import HttpClient
from drivers.transports.http import Reply

PICTURE_LIMIT = 8 << 20
_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_UNSAFE = re.compile(r"[^\w .,:;()'/-]+")
# Of the error codes of the JSON interfaces: "the request is wrong". The others are troubles of the device's own.
_OURS = range(2000, 5000)
_NO_METHOD = (2102, 2004)


class NotThere(ProtocolError):
    """Its firmware has no such interface."""

    def __init__(self) -> None:
        super().__init__("it has none of the addresses that Axis devices have (HTTP 404)")


class NotAllowed(AuthFailed):
    """The login is right, and its account may not do that."""


class Vapix:
    __slots__ = ("_http",)

    def __init__(self, device: Device, config: AxisConfig, io: DriverIO) -> None:
        self._http = HttpClient(device, io, port=config.port, tls=config.tls, timeout=config.timeout)

    async def ask(
        self,
        path: str,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        version: str = "1.0",
        once: bool = False,
    ) -> dict[str, Any]:
        """The `data` of one JSON call. Raises NotThere, DeviceErrors."""
        asked: dict[str, Any] = {"apiVersion": version, "method": method}
        if params is not None:
            asked["params"] = params
        reply = await self._http.request(
            "POST", f"/axis-cgi/{path}", body=json.dumps(asked).encode(), headers=_JSON, once=once
        )
        answer = _object(_ok(reply))
        error = answer.get("error")
        if isinstance(error, dict):
            raise _refusal(error)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise ProtocolError("its answer has no data", reply.body)
        return data

    async def call(self, method: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call of the call service. Raises NotThere, Rejected with the device's own words, other DeviceErrors."""
        body = json.dumps({f"axcall:{method}": arguments or {}}).encode()
        reply = await self._http.request("POST", "/vapix/call", body=body, headers=_JSON)
        if reply.status == 400:
            fault = _object(reply.body)
            # FaultMsg quotes what was sent, and with it perhaps a password.
            raise Rejected(f"it refuses {method}: {_clean(fault.get('FaultReason')) or 'no reason given'}")
        return _object(_ok(reply))

    async def parameters(self, *groups: str) -> dict[str, str]:
        """The values in some groups of parameters, by name without `root.`; a group that it has not is missing."""
        query = {"action": "list", "group": ",".join(groups)}
        body = _ok(await self._http.request("GET", "/axis-cgi/param.cgi", query=query))
        found = keyvalue.parse(body)
        if not found and b"# Error" not in body:
            raise ProtocolError("its answer is no list of parameters", body)
        return {name.removeprefix("root."): value for name, value in found.items() if not name.startswith("#")}

    async def update(self, values: Mapping[str, str]) -> None:
        """Set parameters. In the body, because a community is a password, and addresses are logged."""
        body = urlencode({"action": "update", **values}).encode()
        reply = await self._http.request("POST", "/axis-cgi/param.cgi", body=body, headers=_FORM)
        text = _ok(reply).strip()
        if text.startswith(b"# Error"):
            # Its own words quote the value.
            raise Rejected(f"it does not take a value for {', '.join(values)}")
        if text != b"OK":
            raise ProtocolError("it does not say whether it took the parameters", reply.body)

    async def pulse(self, port: int, milliseconds: int) -> None:
        """Make an output active for so long. `port` counts from 0, and on the wire from 1."""
        query = {"action": f"{port + 1}:/{milliseconds}\\"}
        reply = await self._http.request("GET", "/axis-cgi/io/port.cgi", query=query, once=True)
        if reply.status == 400:
            raise Rejected("it refuses to switch that output")
        if (body := _ok(reply)).strip():
            # The body is empty for this action.
            raise ProtocolError("it does not say whether it switched the output", body)

    async def states(self, ports: tuple[int, ...]) -> dict[int, bool]:
        """Which of these ports are active. For firmware without portmanagement.cgi."""
        query = {"checkactive": ",".join(str(port + 1) for port in ports)}
        found = keyvalue.parse(_ok(await self._http.request("GET", "/axis-cgi/io/port.cgi", query=query)))
        return {port: found.get(f"port{port + 1}") == "active" for port in ports}

    async def picture(self) -> tuple[bytes, str]:
        reply = await self._http.request("GET", "/axis-cgi/jpg/image.cgi", limit=PICTURE_LIMIT)
        body = _ok(reply)
        if not body.startswith(b"\xff\xd8\xff"):
            raise ProtocolError("what it sends for a picture is none", body)
        return body, "image/jpeg"

    async def restart(self) -> None:
        """For firmware without firmwaremanagement.cgi."""
        _ok(await self._http.request("GET", "/axis-cgi/restart.cgi", once=True))

    @asynccontextmanager
    async def events(self, silence: float) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Its event stream, not yet configured. Raises NotThere, DeviceErrors."""
        token = _ok(await self._http.request("GET", "/axis-cgi/wssession.cgi")).strip()
        # Valid for 15 s. Should it be over, the device asks for Digest, and gets it.
        if not re.fullmatch(rb'"?[A-Za-z0-9_-]{1,128}"?', token):
            raise ProtocolError("its answer is no token for the event stream", token)
        query = {"sources": "events", "wssession": token.strip(b'"').decode()}
        async with self._http.websocket("/vapix/ws-data-stream", query=query, silence=silence) as socket:
            yield socket


async def text_of(socket: aiohttp.ClientWebSocketResponse) -> str:
    """The next message. Raises Unreachable when the stream is over."""
    message = await socket.receive()
    if message.type is aiohttp.WSMsgType.TEXT:
        return str(message.data)
    if message.type is aiohttp.WSMsgType.BINARY:
        raise ProtocolError("its event stream is not text", message.data)
    raise Unreachable("its event stream has ended", Rung.ANSWERING)


def _ok(reply: Reply) -> bytes:
    match reply.status:
        case 200 | 204:
            return reply.body
        case 403:
            raise NotAllowed("the account may not do that: it has to be an administrator of the device")
        case 404 | 405 | 410:
            raise NotThere
        case 503:
            raise Unreachable("it is busy or still starting (HTTP 503)", Rung.ANSWERING)
        case _:
            raise ProtocolError(f"it answers {reply.status}", reply.body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("its answer is not JSON", body) from None
    if not isinstance(answer, dict):
        raise ProtocolError("its answer is no JSON object", body)
    return answer


def _refusal(error: Mapping[str, Any]) -> DeviceError:
    code, text = error.get("code"), _clean(error.get("message")) or "no reason given"
    if code in _NO_METHOD:
        return Unsupported(f"its firmware cannot do that: {text}")
    if isinstance(code, int) and code in _OURS:
        return Rejected(f"it refuses that: {text} (code {code})")
    return ProtocolError(f"it has an error of its own: {text}")


def _clean(text: object) -> str:
    return _UNSAFE.sub(" ", text[:120]).strip() if isinstance(text, str) else ""
