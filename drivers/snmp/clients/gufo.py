"""gufo-snmp: a session in Rust, twenty times as fast as pysnmp. It reads; what is written goes through pysnmp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import gufo.snmp as gufo
from gufo.snmp._fast import SnmpV3ClientSocket
from gufo.snmp.aio import SnmpSession

from bridge.clock import Clock
from bridge.driver import SnmpUser
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Unreachable
from bridge.model import Rung
from drivers.snmp.clients.seam import ROWS, TRIES, Client, Target, Value, resolve

VERSIONS = {"1": gufo.SnmpVersion.v1, "2c": gufo.SnmpVersion.v2c, "3": gufo.SnmpVersion.v3}
AUTH: dict[str, type[gufo.BaseAuthKey]] = {
    "md5": gufo.Md5Key,
    "sha1": gufo.Sha1Key,
    "sha224": gufo.Sha224Key,
    "sha256": gufo.Sha256Key,
    "sha384": gufo.Sha384Key,
    "sha512": gufo.Sha512Key,
}
PRIVACY: dict[str, type[gufo.BasePrivKey]] = {
    "des": gufo.DesKey,
    "aes128": gufo.Aes128Key,
    "aes192": gufo.Aes192Key,
    "aes256": gufo.Aes256Key,
}
WINDOW = 120.0  # seconds after which the agent's clock is asked for again; it takes messages 150 s off (RFC 3414)

T = TypeVar("T")


class _Session(SnmpSession):
    """A session that waits in one go: gufo's own makes a timer, a future and two system calls more of each request, a
    quarter of its CPU, and begins its wait anew for each datagram that is not the answer."""

    async def discover(self) -> None:
        """Ask who the agent is, and make the user's keys for it. What `refresh` does first; it then asks once more,
        with the password, and does not look whether that was right."""
        user = self._deferred_user
        if user is not None and isinstance(self._sock, SnmpV3ClientSocket):
            await self._send(self._sock.send_refresh)
            await self._recv(self._sock.recv_refresh)
            self._sock.set_keys(
                user.name, user.get_auth_alg(), user.get_auth_key(), user.get_priv_alg(), user.get_priv_key()
            )
            self._deferred_user = None
            self._to_refresh = user.require_auth()

    async def _recv(self, receiver: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        loop.add_reader(self._fd, _readable, receiver, answer)
        timer = loop.call_later(self._timeout, _too_late, answer)
        try:
            return await answer
        finally:
            timer.cancel()
            loop.remove_reader(self._fd)
            del answer  # or its error, this frame and the session's socket would hold on to each other


def _readable(receiver: Callable[[], T], answer: asyncio.Future[T]) -> None:
    if not answer.done():
        try:
            answer.set_result(receiver())
        except BlockingIOError:
            pass  # a datagram that is not the answer
        except Exception as error:
            answer.set_exception(error.with_traceback(None))  # which leads to this frame, and to `answer`
        except BaseException as error:
            # A Rust panic, which gufo-snmp 0.13 answers some broken datagrams with, is no Exception.
            if type(error).__name__ != "PanicException":
                raise
            answer.set_exception(gufo.SnmpError("a panic"))


def _too_late(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


class GufoClient:
    __slots__ = ("_asked_at", "_clock", "_make_writer", "_session", "_target", "_writer")

    def __init__(self, target: Target, clock: Clock, writer: Callable[[Target], Client]) -> None:
        self._target = target
        self._clock = clock
        self._make_writer = writer
        self._writer: Client | None = None
        self._session: _Session | None = None
        self._asked_at = 0.0

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        found = await self._ask(lambda session: session.get_many(oids))
        if not found and self._target.version == "1" and len(oids) > 1:
            # One object that is missing spoils the whole of a v1 answer.
            for oid in oids:
                found |= await self._ask(lambda session, oid=oid: session.get_many([oid]))  # type: ignore[misc]
        return {oid: value for oid, value in found.items() if value is not None}

    async def column(self, oid: str) -> dict[str, Value]:
        async def walk(session: SnmpSession) -> dict[str, Value]:
            found: dict[str, Value] = {}
            async for name, value in session.fetch(oid):
                rest = name[len(oid) + 1 :]
                if rest in found or len(found) >= ROWS:
                    break  # it goes round in circles, or has no end
                if value is not None:
                    found[rest] = value
            return found

        try:
            # Each datagram has a limit of its own; this one is for an agent that always has one row more.
            async with asyncio.timeout(8 * self._target.timeout):
                return await self._ask(walk)
        except TimeoutError:
            raise Unreachable("no end of a table", Rung.ANSWERING) from None

    async def write(self, oid: str, value: int) -> None:
        if self._writer is None:
            self._writer = self._make_writer(self._target)
        await self._writer.write(oid, value)

    async def close(self) -> None:
        self._session = None
        if self._writer is not None:
            await self._writer.close()

    async def _ask(self, question: Callable[[SnmpSession], Awaitable[T]]) -> T:
        """Ask, once more if the datagram got lost. A session that failed is not used again: what comes late on its
        socket would be taken for the answer to the next question."""
        error: DeviceError = Unreachable("no answer")
        for _ in range(TRIES):
            try:
                answer = await question(await self._ready())
                self._asked_at = self._clock.now().mono
                return answer
            except gufo.SnmpAuthError:
                self._session = None
                error = AuthFailed("it refuses the SNMPv3 user or the password")
                break  # tried once: agents lock users, too
            except TimeoutError:
                if self._target.version == "3" and self._session is not None:
                    # RFC 3414: an agent that cannot decrypt a message may say so, and most say nothing.
                    late = "it is there, and answers nothing (is the privacy password right?)"
                    error = Unreachable(late, Rung.ANSWERING)
                else:
                    error = Unreachable("no answer")
            except gufo.SnmpError:
                error = ProtocolError("its answer is not SNMP")
            except OSError as reason:
                error = Unreachable(f"no way to it: {reason.strerror or type(reason).__name__}")
            except BaseException as reason:
                self._session = None
                raise reason.with_traceback(None)  # noqa: B904 - a task that was cancelled must not keep the socket
            self._session = None
        # Raised here, outside of every `except`: it must not hold on to the frames that hold the socket.
        raise error

    async def _ready(self) -> _Session:
        if self._session is None:
            self._session = await self._open()
            self._asked_at = self._clock.now().mono
        elif self._target.version == "3" and self._clock.now().mono - self._asked_at > WINDOW:
            await self._session.refresh()
        return self._session

    async def _open(self) -> _Session:
        target = self._target
        session = _Session(
            await resolve(target.address),
            target.port,
            community="" if target.community is None else target.community.reveal(),
            user=None if target.user is None else _user(target.user),
            version=VERSIONS[target.version],
            timeout=target.timeout,
        )
        await session.discover()
        return session


def _user(user: SnmpUser) -> gufo.User:
    auth, privacy = AUTH.get(user.auth), PRIVACY.get(user.privacy)
    return gufo.User(
        user.name,
        auth_key=None if auth is None else auth(user.auth_password.reveal().encode()),
        priv_key=None if privacy is None else privacy(user.privacy_password.reveal().encode()),
    )
