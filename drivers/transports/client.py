"""A device's HTTP API: requests that take turns, and the login that the device asks for.

What drivers of panels share. The first request goes without credentials; what the device then asks for (Basic, Digest)
is what it gets from there on, remembered for each group of paths, because a 2N asks for Basic on one service and for
Digest on the next. Credentials that were refused twice are not tried again for a long while: panels lock accounts.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import cache
from typing import Literal

import aiohttp
from yarl import URL

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Unreachable
from bridge.model import Credentials, Device, Rung
from drivers.transports.digest import Digest, challenges
from drivers.transports.http import CONNECT_LIMIT, REPLY_LIMIT, Dropped, Reply, exchange, named, refuse_redirect

REFUSALS = 2  # so often a login is tried that the device refuses
FRAME_LIMIT = 1 << 20  # bytes of one websocket message

Tls = Literal["off", "verify", "insecure"]
Auth = Literal["auto", "basic", "digest", "own"]
Query = Mapping[str, str | int]


@cache
def insecure_tls() -> ssl.SSLContext:
    """For devices with self-signed certificates and the cryptography of their day: the point is to reach them at all
    (Akuvox: 1024-bit DH)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


class HttpClient:
    """Requests to one device. Hundreds of these live side by side.

    `group` names the group of a path that shares a login; `auth` keeps to one scheme where the inventory says so, and
    "own" is for drivers that log in by themselves: a 401 is a reply to them. `gap` is the least pause between two
    requests, seconds. `refused` reads more from a 401 than that, where the family tells: for how long the account is
    locked, or that all its connections are taken.
    """

    __slots__ = (
        "_auth",
        "_credentials",
        "_digests",
        "_group",
        "_io",
        "_origin",
        "_patience",
        "_refusals",
        "_refused",
        "_shut_until",
        "_timeout",
        "_tls",
    )

    def __init__(
        self,
        device: Device,
        io: DriverIO,
        *,
        port: int | None,
        tls: Tls = "off",
        auth: Auth = "auto",
        timeout: float = 10.0,
        gap: float = 0.0,
        group: Callable[[str], str] = lambda path: "",
        refused: Callable[[Reply], DeviceError | None] | None = None,
    ) -> None:
        scheme = "http" if tls == "off" else "https"
        host = f"[{device.address}]" if ":" in device.address else device.address
        self._origin = f"{scheme}://{host}" + (f":{port}" if port else "")
        self._credentials = device.credentials
        self._io = io
        self._tls: ssl.SSLContext | bool = insecure_tls() if tls == "insecure" else True
        self._auth = auth
        self._timeout = timeout
        self._group = group
        self._refused = refused
        self._digests: dict[str, Digest | None] = {}  # by group: its Digest state, or None for Basic
        self._refusals = 0
        self._shut_until = 0.0
        self._patience = device.policy.auth_retry
        io.gate.gap = gap

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
        limit: int = REPLY_LIMIT,
        once: bool = False,
    ) -> Reply:
        """One request, and its reply whatever its status but 401. `wait` in seconds is for a long poll, which goes
        around the gate and may take that much longer; `limit` in bytes. `once` is for what must not happen twice: it is
        never sent again once it may have been understood. Raises DeviceErrors."""
        self._may_log_in()
        url, group = self._url(path, query), self._group(path)
        turn: AbstractAsyncContextManager[None] = nullcontext() if wait else self._io.gate

        async def send() -> Reply:
            async with turn:
                return await exchange(
                    self._io.http,
                    method,
                    url,
                    body=body,
                    headers={**(headers or {}), **self._authorization(method, url, group)},
                    deadline=self._timeout + wait,
                    limit=limit,
                    tls=self._tls,
                    once=once,
                )

        reply = await send()
        if self._auth == "own":
            return reply
        # What is answered by 401 was not done, so that it may be sent again.
        if reply.status == 401 and self._another_way(group, reply):
            reply = await send()
        if reply.status == 401:
            raise self._turned_away(group, reply)
        self._let_in(group)
        return reply

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] | None = None, silence: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A reply without an end, such as an event stream, with any status but 401: `silence` is how many seconds it
        may say nothing. Raises DeviceErrors; also while it is read inside the block."""
        self._may_log_in()
        url, group = self._url(path, query), self._group(path)
        with self._named(silence):
            for _ in range(2):
                async with self._io.http.get(
                    url,
                    headers={**(headers or {}), **self._authorization("GET", url, group)},
                    timeout=aiohttp.ClientTimeout(sock_connect=self._connect_limit, sock_read=silence),
                    allow_redirects=False,
                    ssl=self._tls,
                ) as response:
                    refuse_redirect(response)
                    if response.status != 401 or self._auth == "own":
                        self._let_in(group)
                        yield response
                        return
                    refusal = Reply(response.status, response.headers, b"")
                if not self._another_way(group, refusal):
                    break
            raise self._turned_away(group, refusal)

    @asynccontextmanager
    async def websocket(
        self, path: str, *, query: Query | None = None, silence: float
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A websocket, pinged so often that it breaks when the device says nothing for `silence` seconds, not even
        pong. Raises DeviceErrors; also while it is read inside the block."""
        self._may_log_in()
        url, group = self._url(path, query), self._group(path)
        with self._named(silence):
            for _ in range(2):
                try:
                    async with self._io.http.ws_connect(
                        url,
                        headers=self._authorization("GET", url, group),
                        heartbeat=silence / 2,
                        timeout=aiohttp.ClientWSTimeout(ws_receive=None, ws_close=1.0),
                        max_msg_size=FRAME_LIMIT,
                        ssl=self._tls,
                    ) as socket:
                        self._let_in(group)
                        yield socket
                        return
                except aiohttp.WSServerHandshakeError as error:
                    if error.status != 401 or error.headers is None:
                        raise ProtocolError(f"it opens no websocket (HTTP {error.status})") from None
                    refusal = Reply(401, error.headers, b"")  # type: ignore[arg-type] # typed wider than it is
                if not self._another_way(group, refusal):
                    break
            raise self._turned_away(group, refusal)

    def _url(self, path: str, query: Query | None) -> URL:
        # Joined as text: `//elsewhere/x` is a path at this device, and to URL.join another host.
        url = URL(f"{self._origin}{path}", encoded=True)
        return url.update_query({key: str(value) for key, value in query.items()}) if query else url

    @property
    def _connect_limit(self) -> float:
        return min(CONNECT_LIMIT, self._timeout)

    @contextmanager
    def _named(self, silence: float) -> Iterator[None]:
        try:
            with named(aiohttp.ClientTimeout(total=silence, sock_connect=self._connect_limit)):
                yield
        except Dropped as error:
            raise Unreachable("its event stream broke off", Rung.ANSWERING) from error

    # -- the login -------------------------------------------------------------------------------------------------

    def _may_log_in(self) -> None:
        left = self._shut_until - self._io.clock.now().mono
        if self._refusals >= REFUSALS and left > 0:
            raise AuthFailed(
                f"it has refused the credentials {self._refusals} times; so that it does not lock the account, they "
                f"are not sent for another {left:.0f} s"
            )

    def _authorization(self, method: str, url: URL, group: str) -> Mapping[str, str]:
        login = self._credentials
        if login is None or self._auth == "own":
            return {}
        if group not in self._digests:
            return {"Authorization": basic(login)} if self._auth == "basic" else {}
        digest = self._digests[group]
        if digest is None:
            return {"Authorization": basic(login)}
        return {"Authorization": digest.authorize(method, url.raw_path_qs)}

    def _another_way(self, group: str, reply: Reply) -> bool:
        """After a 401: is there something to send differently, once?"""
        if self._credentials is None:
            raise AuthFailed("it asks for a password: give its credentials in the inventory")
        if self._auth == "basic":
            return False  # they were sent unasked
        if self._refused is not None and (error := self._refused(reply)) is not None:
            raise error
        offered = challenges(reply.headers.getall("WWW-Authenticate", []))
        tried, before = group in self._digests, self._digests.get(group)
        digest = Digest(self._credentials)
        if digest.accept(offered):
            self._digests[group] = digest
            # A nonce that worked and is refused may only be old; after a reboot few devices say stale=true.
            return not tried or before is None or digest.stale or before.worked
        if self._auth == "auto" and any(one.scheme == "basic" for one in offered) and (not tried or before is not None):
            self._digests[group] = None
            return True
        return False

    def _let_in(self, group: str) -> None:
        if group not in self._digests and self._auth != "basic":
            return  # without a login: what anybody may ask (Axis: systemready.cgi) proves nothing about ours
        self._refusals = 0
        if (digest := self._digests.get(group)) is not None:
            digest.worked = True

    def _turned_away(self, group: str, reply: Reply) -> DeviceError:
        # The next request begins anew, and sends the refused credentials once, not twice.
        self._digests.pop(group, None)
        if self._refused is not None and (error := self._refused(reply)) is not None:
            return error
        if self._auth != "basic" and not challenges(reply.headers.getall("WWW-Authenticate", [])):
            return AuthFailed("it refuses to answer and does not say which login it wants (HTTP 401)")
        self._refusals += 1
        self._shut_until = self._io.clock.now().mono + self._patience * 0.9  # over when the runner asks again
        return AuthFailed("it refuses the credentials (HTTP 401)")


def basic(login: Credentials) -> str:
    """The value of the Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{login.username}:{login.password.reveal()}".encode()).decode()
