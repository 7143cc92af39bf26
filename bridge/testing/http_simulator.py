"""What simulated devices that speak HTTP have in common: a port that can be shut, a power switch, and every fault.

Derive from `HttpSimulator` and write `answer`. Everything that a `Fault` does to an answer on its way is done here.
"""

from __future__ import annotations

import asyncio
import socket
import time
from abc import abstractmethod
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from bridge.testing.simulator import Fault, Simulator

# Faults in which something else comes in the place of an answer: what was asked is not done.
_INSTEAD = (Fault.REDIRECT, Fault.JUNK, Fault.HTML, Fault.EMPTY, Fault.ENTITY_BOMB, Fault.HUGE, Fault.ENDLESS)
_HUGE = 100 << 20
_CHUNK = b" " * 65_536
_JUNK = bytes(range(256)) * 2
_LOGIN = b"<!DOCTYPE html><html><body><form method=post><input name=user><input type=password></form></body></html>"
# Nine levels of entities, ten of the one below in each: a gigabyte when expanded (CWE-776).
_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "boom">'
    + "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10))
    + "]><x>&e9;</x>"
).encode()


class HttpSimulator(Simulator):
    """One device on a port of loopback, the same one over reboots and while `Fault.CLOSED` is on.

    A subclass writes `answer` and `inventory`, and `forget` where the device has something to forget. `now()` is the
    device's clock, `accepts()` its judgement of a password; both know the faults.
    """

    content_type = "application/json"  # of the answers that faults put in the place of others

    def __init__(self, name: str = "sim", **options: Any) -> None:
        super().__init__(name, **options)
        self._claim: socket.socket | None = None  # bound and never listening: the port stays ours while it is shut
        self._listener: asyncio.Server | None = None
        self._server: web.Server | None = None
        self._held: set[asyncio.Future[None]] = set()  # requests in the black hole
        self._goes_down = False  # when the answer that is being made has left
        self._rebooting: asyncio.Task[None] | None = None

    @abstractmethod
    async def answer(self, request: web.BaseRequest) -> web.Response:
        """What a healthy device answers."""

    def forget(self) -> None:
        """What a device forgets when its power goes: sessions, subscriptions, counters."""

    def reboot_soon(self) -> None:
        """For `answer`, when it was asked for a reboot: the device reboots once that answer has left."""
        self._goes_down = True

    def now(self) -> float:
        """Seconds since the epoch by the device's clock."""
        skew = self.faults.get(Fault.CLOCK_SKEW, 0.0)
        return time.time() + (6 * 3600.0 if skew is True else float(skew))

    def accepts(self, given: bool) -> bool:
        """Whether credentials are taken that are the right ones or not; those that are refused are counted."""
        taken = given and Fault.WRONG_PASSWORD not in self.faults
        self.seen["auth_failed"] += not taken
        return taken

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        if self._server is not None:
            return
        self._claim = self._bound()
        self.port = self._claim.getsockname()[1]
        self._server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        await self._open()

    async def stop(self) -> None:
        if self._server is None or self._claim is None:
            return
        if self._rebooting is not None:
            self._rebooting.cancel()
            await asyncio.gather(self._rebooting, return_exceptions=True)
        await self._shut()
        self._claim.close()
        self._server = None

    async def reboot(self, seconds: float = 0.0) -> None:
        self.reboots += 1
        await self._shut()
        self.forget()
        await asyncio.sleep(seconds)
        await self._open()

    async def inject(self, fault: Fault | str, value: Any = True) -> None:
        await super().inject(fault, value)
        if Fault.CLOSED in self.faults:
            await self._shut()

    async def clear(self, fault: Fault | str | None = None) -> None:
        await super().clear(fault)
        for future in self._held:
            if not future.done():
                future.set_result(None)
        await self._open()

    async def _open(self) -> None:
        if self._listener is None and self._server is not None and Fault.CLOSED not in self.faults:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(self._server, sock=self._bound())

    def _bound(self) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET)
        try:
            # Lets the claim and the one that listens share the port.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((self.address, self.port))
        except OSError:
            made.close()
            raise
        return made

    async def _shut(self) -> None:
        """Refuse connections, and cut those that are there, as the power going does."""
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        self._listener = None
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        async with asyncio.timeout(5):
            while self._server.connections:  # noqa: ASYNC110 - a few passes of the loop; aiohttp has no event for it
                await asyncio.sleep(0)

    # -- answers, and what becomes of them ------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen[request.method] += 1
        done: web.Response | None = None
        opened = self.openings()
        if Fault.BLACK_HOLE not in self.faults and not any(fault in self.faults for fault in _INSTEAD):
            done = await self.answer(request)
        # Faults are looked at when the answer leaves: a long poll may have begun before one.
        faults = self.faults
        if Fault.SLOW in faults:
            await asyncio.sleep(5.0 if faults[Fault.SLOW] is True else float(faults[Fault.SLOW]))
        if Fault.BLACK_HOLE in faults:
            return await self._hold()
        instead = next((fault for fault in _INSTEAD if fault in faults), None)
        if instead is not None:
            return await self._instead(request, instead)
        if done is None:
            return _Sent()  # the fault is over: the client may ask again
        if Fault.LOST_REPLY in faults and self.openings() != opened:
            if request.transport is not None:
                request.transport.abort()
            return _Sent()
        if Fault.DRIP in faults:
            return await self._drip(request, _bytes_of(done))
        if Fault.HALF_ANSWER in faults:
            data = _bytes_of(done)
            body_at = data.index(b"\r\n\r\n") + 4
            # Without a body, half of the headers.
            return _write(request, data[: (body_at + len(data)) // 2 if len(data) > body_at else body_at // 2])
        if self._goes_down:
            self._goes_down = False
            await done.prepare(request)
            await done.write_eof()
            self._rebooting = asyncio.create_task(self.reboot(), name=f"reboot {self.name}")
        return done

    async def _hold(self) -> web.StreamResponse:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.add(future)
        try:
            await future
        finally:
            self._held.discard(future)
        return _Sent()

    async def _drip(self, request: web.BaseRequest, data: bytes) -> web.StreamResponse:
        for at in range(len(data)):
            if Fault.DRIP not in self.faults:
                return _write(request, data[at:])
            _write(request, data[at : at + 1])
            await asyncio.sleep(1)
        return _Sent()

    async def _instead(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        match fault:
            case Fault.REDIRECT:
                value = self.faults[fault]
                # 192.0.2.1 is set aside for documentation (RFC 5737): nothing answers there.
                return web.Response(
                    status=302, headers={"Location": str(value) if value is not True else "http://192.0.2.1/"}
                )
            case Fault.JUNK:
                return _write(request, _JUNK)
            case Fault.HTML:
                return web.Response(body=_LOGIN, content_type="text/html")
            case Fault.EMPTY:
                return web.Response(content_type=self.content_type)
            case Fault.ENTITY_BOMB:
                return web.Response(body=_BOMB, content_type="application/xml")
            case _:
                return await self._flood(request, fault)

    async def _flood(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        left = _HUGE
        if fault is Fault.HUGE:
            response.content_length = left
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        while left and fault in self.faults:
            await response.write(_CHUNK[:left])
            if fault is Fault.HUGE:
                left -= min(left, len(_CHUNK))
            await asyncio.sleep(0)  # a fast reader must not keep the other devices waiting
        if left:
            response.force_close()
        return response


class _Sent(web.StreamResponse):
    """Stands for an answer whose bytes went straight to the transport; the connection closes behind it."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def _write(request: web.BaseRequest, data: bytes) -> _Sent:
    if request.transport is not None:
        request.transport.write(data)
    return _Sent()


def _bytes_of(response: web.Response) -> bytes:
    body = response.body if isinstance(response.body, bytes) else b""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Content-Length"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
