"""The HTTP server of a device: requests to operations, replies to bytes, with the firmware's quirks and the faults."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from bridge.testing.simulator import Fault
from drivers.onvif.simulated import faults as spoil
from drivers.onvif.simulated.auth import Denied, Guard
from drivers.onvif.simulated.event_service import EventService
from drivers.onvif.simulated.events import Hub
from drivers.onvif.simulated.operations import OPERATIONS, PRE_AUTH, Operation
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.soap import (
    NAMESPACES,
    SOAP11,
    BareReply,
    Call,
    SoapFault,
    addressing_header,
    not_supported,
    parse,
    render,
    render_fault,
)
from drivers.onvif.simulated.state import STRAY, DeviceState
from drivers.onvif.simulated.user_service import LEVELS

MAX_REQUEST = 256 * 1024
_XML = "application/soap+xml; charset=utf-8"
_HTML = b"<html><head><title>401</title></head><body><h1>Unauthorized</h1></body></html>"
_SUBSCRIBING = ("CreatePullPointSubscription", "Subscribe")
_SNAPSHOT = "/onvif/snapshot/"
# The smallest thing that image programs take for a JPEG: start, an application marker, end.
_JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}
_ATTRIBUTE = re.compile(rb'( \w+)="([\w.]+)"(?=[ />])')


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes
    status: int = 200
    content_type: str = _XML
    challenges: tuple[str, ...] = ()  # values of WWW-Authenticate


class HttpDevice:
    """Serves one device. `rebooting` is called once the reply to SystemReboot has left, `failing` with the link."""

    def __init__(
        self,
        state: DeviceState,
        guard: Guard,
        events: EventService,
        hub: Hub,
        seen: Counter[str],
        faults: Mapping[Fault, Any],
        rebooting: Callable[[], None],
        failing: Callable[[Fault], None],
    ) -> None:
        self._state = state
        self._guard = guard
        self._events = events
        self._hub = hub
        self._seen = seen
        self._faults = faults
        self._rebooting = rebooting
        self._failing = failing
        self._writes = 0  # done, since the device was made
        self._held: set[asyncio.Future[None]] = set()  # requests in the black hole
        self._services: dict[str, frozenset[str]] = {}  # path -> prefixes of the services there
        for prefix, path in state.make.paths.items():
            there = {"tr2": state.traits.media2, "tan": state.traits.analytics}
            if there.get(prefix, True):
                # DeviceIO's relays are asked for in the namespace of the device service (deviceio.wsdl).
                also = {"tev": {"wsnt"}, "tmd": {"tds"}}.get(prefix, set())
                self._services[path] = self._services.get(path, frozenset()) | {prefix, *also}

    def release(self) -> None:
        """The black hole is gone: what fell into it gets its connection closed."""
        for future in self._held:
            if not future.done():
                future.set_result(None)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        call, refusal = None, None
        if request.method == "POST":
            try:
                call = parse(body)
            except SoapFault as fault:
                refusal = fault
        name = self._count(request, call)
        if Fault.BLACK_HOLE in self._faults or spoil.replacing(self._faults):
            response, _ = await self._send(request, Reply(b""))
            return response
        reply = self._fault(refusal) if refusal else await self._reply(request, call)
        done = reply.status == 200 and call is not None and self._is_write(call)
        reboots = reply.status == 200 and name in ("SystemReboot", "SetSystemFactoryDefault")
        if done:
            self._writes += 1
            if self._writes == self._state.traits.mishap_after:
                reboots |= Quirk.REBOOTS_AFTER_WRITE in self._state.quirks
                lost = self._lose_link()
                if lost is Fault.CLOSED:
                    if request.transport is not None:
                        request.transport.abort()
                    return spoil.Sent()
        made = self._hub.newest if name in _SUBSCRIBING and reply.status == 200 else None
        delivered = False
        try:
            response, delivered = await self._send(request, reply)
        finally:
            # Nobody can let go of a subscription whose address never arrived: the slot is free again.
            if made is not None and not delivered:
                self._hub.drop(made)
        if reboots:
            await response.prepare(request)
            await response.write_eof()
            self._rebooting()
        return response

    def _is_write(self, call: Call) -> bool:
        operation = OPERATIONS.get((call.prefix, call.operation))
        return operation is not None and operation.writes

    def _lose_link(self) -> Fault | None:
        """The link goes with the answer that nobody will get."""
        for quirk, fault in (
            (Quirk.LINK_LOST_AFTER_WRITE, Fault.CLOSED),
            (Quirk.SILENT_AFTER_WRITE, Fault.BLACK_HOLE),
        ):
            if quirk in self._state.quirks:
                self._failing(fault)
                return fault
        return None

    def _count(self, request: web.BaseRequest, call: Call | None) -> str:
        """Note what was asked; names that no service has are counted as one, lest a client fill the memory."""
        if call is None:
            name = "snapshot" if request.path.startswith(_SNAPSHOT) else "other"
        else:
            key = (call.prefix, call.operation)
            name = call.operation if key in OPERATIONS or key in self._events.operations else "other"
        self._seen[name] += 1
        return name

    # --- requests

    async def _reply(self, request: web.BaseRequest, call: Call | None) -> Reply:
        try:
            if call is None:
                return self._get(request)
            return await self._call(request, call)
        except SoapFault as fault:
            return self._fault(fault)
        except Denied as denied:
            return self._refusal(denied)
        except BareReply as bare:
            return Reply(b"", bare.status, "text/plain")

    def _get(self, request: web.BaseRequest) -> Reply:
        if request.method != "GET":
            raise BareReply(405)
        path = request.path
        if path.startswith(_SNAPSHOT) and path.removeprefix(_SNAPSHOT) in self._state.profiles:
            self._guard.admit("GET", request.raw_path, request.headers.get("Authorization"))
            return Reply(_JPEG, content_type="image/jpeg")
        raise BareReply(404)

    async def _call(self, request: web.BaseRequest, call: Call) -> Reply:
        state, quirks, target = self._state, self._state.quirks, request.raw_path
        services = self._services.get(request.path, frozenset())
        if target.startswith(state.make.subscription):
            services |= {"tev", "wsnt"}
        if not services:
            raise BareReply(404)
        if call.addressed and call.prefix not in ("tev", "wsnt"):
            if Quirk.WSA_404 in quirks:
                raise BareReply(404)
            if Quirk.WSA_500 in quirks:
                raise BareReply(500)
        name = call.operation
        if name not in PRE_AUTH or (name == "GetSystemDateAndTime" and Quirk.DATE_NEEDS_AUTH in quirks):
            level = self._guard.admit(request.method, target, request.headers.get("Authorization"), call)
            operation = OPERATIONS.get((call.prefix, name))
            if operation is not None and LEVELS.index(level) < LEVELS.index(operation.level):
                raise SoapFault("Sender", ("ter:NotAuthorized",), "Sender not Authorized")
            if Quirk.EMPTY_BODY in quirks:
                return Reply(self._finish(render("", state.make)))
        if call.prefix not in services or (name == "GetServices" and Quirk.NO_GET_SERVICES in quirks):
            raise not_supported(name)
        event = self._events.operations.get((call.prefix, name))
        if event:
            handler, action = event
            body = await handler(call, target)
            undeclared = ("wsa", "wsnt") if Quirk.UNDECLARED_PREFIXES in quirks else ()
            header = addressing_header(call, action)
            return Reply(self._finish(render(body, state.make, header=header, undeclared=undeclared)))
        return Reply(self._plain(call))

    def _plain(self, call: Call) -> bytes:
        operation = OPERATIONS.get((call.prefix, call.operation))
        if operation is None:
            raise not_supported(call.operation)
        key = f"{call.prefix}:{call.operation}"
        reply = self._state.kept(key) if operation.fixed else None
        if reply is None:
            body = self._written(operation, call) if operation.writes else operation.body(self._state, call)
            reply = self._finish(render(body, self._state.make))
            if operation.fixed:
                self._state.keep(key, reply)
        return reply

    def _written(self, operation: Operation, call: Call) -> str:
        quirks = self._state.quirks
        if Quirk.IGNORES_WRITES in quirks and call.operation in self._state.traits.ignored_writes:
            return f"<{call.prefix}:{call.operation}Response/>"
        body = operation.body(self._state, call)
        return "" if Quirk.EMPTY_WRITE_REPLY in quirks else body

    # --- replies

    def _fault(self, fault: SoapFault) -> Reply:
        quirks = self._state.quirks
        undeclared = ("ter",) if Quirk.UNDECLARED_FAULT_PREFIX in quirks else ()
        empty = Quirk.EMPTY_SUBCODE in quirks
        body = render_fault(fault, self._state.make, undeclared=undeclared, empty_subcode=empty)
        return Reply(self._finish(body), fault.status)

    def _refusal(self, denied: Denied) -> Reply:
        reply = replace(self._fault(denied.fault), challenges=tuple(denied.challenges))
        if denied.status == 401 and Quirk.HTML_401 in self._state.quirks:
            return replace(reply, body=_HTML, content_type="text/html")
        if denied.status == 401 and Quirk.EMPTY_401 in self._state.quirks:
            return replace(reply, body=b"")
        return reply

    def _finish(self, body: bytes) -> bytes:
        """What this firmware gets wrong in any XML it writes."""
        quirks = self._state.quirks
        if not quirks:
            return body
        if Quirk.INVALID_UTF8 in quirks:
            body = body.replace(STRAY.encode(), b"\xe9")
        if Quirk.SOAP11 in quirks:
            body = body.replace(NAMESPACES["s"].encode(), SOAP11.encode())
        if Quirk.UNQUOTED_ATTRIBUTE in quirks:
            at = body.index(b"Body>")
            body = body[:at] + _ATTRIBUTE.sub(rb"\1=\2", body[at:], count=1)
        if Quirk.CRLF_BEFORE_DECLARATION in quirks:
            body = b"\r\n" + body
        if Quirk.TRUNCATED_TAIL in quirks:
            body = body[:-10]
        return body

    async def _send(self, request: web.BaseRequest, reply: Reply) -> tuple[web.StreamResponse, bool]:
        """The answer, and whether it is the one that was meant.

        Faults are looked at now, when it leaves: a long poll may have begun before one.
        """
        faults = self._faults
        if Fault.SLOW in faults:
            value = faults[Fault.SLOW]
            await asyncio.sleep(5.0 if value is True else float(value))
        if Fault.BLACK_HOLE in faults:
            return await self._hold(), False
        fault = spoil.replacing(faults)
        if fault:
            return await spoil.replace(request, fault, faults), False
        headers = self._headers(reply)
        if Fault.DRIP in faults:
            return await spoil.drip(request, _serialize(reply, headers), faults), True
        if Fault.HALF_ANSWER in faults:
            return spoil.half(request, _serialize(reply, headers)), False
        response = web.Response(body=reply.body, status=reply.status, headers=headers)
        if Quirk.CLOSES_EVERY_CONNECTION in self._state.quirks:
            await response.prepare(request)
            await response.write_eof()
            response.force_close()  # only now, so that no header says it
        return response, True

    async def _hold(self) -> web.StreamResponse:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.add(future)
        try:
            await future
        finally:
            self._held.discard(future)
        return spoil.Sent()

    def _headers(self, reply: Reply) -> CIMultiDict[str]:
        headers = CIMultiDict(
            {
                "Server": self._state.make.server,
                # The device's clock, not the computer's: some clients fall back on it.
                "Date": formatdate(max(self._state.now(), 0), usegmt=True),
                "Content-Type": "text/xml; charset=utf-8"
                if Quirk.SOAP11 in self._state.quirks and reply.content_type == _XML
                else reply.content_type,
            }
        )
        for challenge in reply.challenges:
            headers.add("WWW-Authenticate", challenge)
        return headers


def _serialize(reply: Reply, headers: CIMultiDict[str]) -> bytes:
    """The answer as it goes over the wire, for the faults that meddle with it there."""
    lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Error')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(reply.body)}", "", ""]
    return "\r\n".join(lines).encode() + reply.body
