"""The faults that every simulator has, on HTTP: answers that are late, cut, endless, or no answers at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from bridge.testing.simulator import Fault

# Faults that put something else in the place of the answer: the operation is not carried out. First come, first sent.
REPLACING = (
    Fault.REDIRECT,
    Fault.JUNK,
    Fault.HTML,
    Fault.EMPTY,
    Fault.ENTITY_BOMB,
    Fault.HUGE,
    Fault.ENDLESS,
)
HUGE = 100 * 1024 * 1024
_CHUNK = b" " * 65_536
_XML = "application/soap+xml; charset=utf-8"
_HEAD = b'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
_LOGIN = (
    b"<!DOCTYPE html><html><head><title>Login</title></head><body><form method=post action=/login>"
    b"<input name=user><input name=password type=password><br><input type=submit></form></body></html>"
)
# No status line, no XML, no text: what a serial console or another protocol's port sends.
_JUNK = bytes(range(256)) + b"\x15\x03\x01\x00\x02\x02\x28" + b"\xff\xd8\xff\xe0" * 16


def replacing(faults: Mapping[Fault, Any]) -> Fault | None:
    return next((fault for fault in REPLACING if fault in faults), None)


class Sent(web.StreamResponse):
    """Stands for an answer whose bytes went straight to the transport; the connection closes behind it."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def write_raw(request: web.BaseRequest, data: bytes) -> Sent:
    if request.transport is not None:
        request.transport.write(data)
    return Sent()


async def drip(request: web.BaseRequest, data: bytes, faults: Mapping[Fault, Any]) -> Sent:
    """One byte a second; the rest at once when the fault is taken away."""
    for at in range(len(data)):
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client is gone")
        if Fault.DRIP not in faults:
            request.transport.write(data[at:])
            break
        request.transport.write(data[at : at + 1])
        await asyncio.sleep(1)
    return Sent()


def half(request: web.BaseRequest, data: bytes) -> Sent:
    """Everything up to the middle of the body, whose Content-Length promises all of it."""
    body_at = data.index(b"\r\n\r\n") + 4
    return write_raw(request, data[: body_at + (len(data) - body_at) // 2])


async def replace(request: web.BaseRequest, fault: Fault, faults: Mapping[Fault, Any]) -> web.StreamResponse:
    """Send what a replacing fault puts in the answer's place."""
    match fault:
        case Fault.REDIRECT:
            value = faults.get(fault)
            # 192.0.2.1 is set aside for documentation (RFC 5737): nothing answers there.
            return web.Response(
                status=302, headers={"Location": value if isinstance(value, str) else "http://192.0.2.1/"}
            )
        case Fault.JUNK:
            return write_raw(request, _JUNK)
        case Fault.HTML:
            return web.Response(body=_LOGIN, content_type="text/html", charset="utf-8")
        case Fault.EMPTY:
            return web.Response(headers={"Content-Type": _XML})
        case Fault.ENTITY_BOMB:
            return web.Response(body=entity_bomb(), headers={"Content-Type": _XML})
        case _:
            return await _flood(request, fault, faults)


async def _flood(request: web.BaseRequest, fault: Fault, faults: Mapping[Fault, Any]) -> web.StreamResponse:
    """White space inside a Body, without holding more than a chunk of it. A client that goes away ends it."""
    response = web.StreamResponse(headers={"Content-Type": _XML})
    left = HUGE
    if fault is Fault.HUGE:
        response.content_length = HUGE
    else:
        response.enable_chunked_encoding()
    await response.prepare(request)
    chunk = _HEAD
    while left and fault in faults:
        await response.write(chunk[:left])
        if fault is Fault.HUGE:
            left -= min(left, len(chunk))
        chunk = _CHUNK
        await asyncio.sleep(0)  # a fast reader must not keep the other devices waiting
    if left:
        response.force_close()
    return response


def entity_bomb() -> bytes:
    """Nine levels of entities, ten of the one below in each: a gigabyte when expanded (CWE-776)."""
    entities = ['<!ENTITY e0 "boom">']
    entities += [f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10)]
    return (
        f'<?xml version="1.0"?><!DOCTYPE s:Envelope [{"".join(entities)}]>'
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl">'
        "<s:Body><tds:GetDeviceInformationResponse><tds:Manufacturer>&e9;</tds:Manufacturer>"
        "</tds:GetDeviceInformationResponse></s:Body></s:Envelope>"
    ).encode()
