"""pysnmp: slow and complete. It writes for everybody, and reads where the inventory says `client: pysnmp`.

Its codecs and its engine, on a socket of ours: its own transport leaves a task and a socket behind when a request is
cancelled, and takes broken datagrams for errors of the event loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyasn1.codec.ber import decoder, encoder
from pysnmp.carrier.asyncio.dgram.udp import DOMAIN_NAME
from pysnmp.entity import config
from pysnmp.entity.rfc3413 import cmdgen
from pysnmp.proto import api, errind, rfc1902
from pysnmp.proto.api import v2c

from bridge.driver import SnmpUser
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unreachable
from bridge.traps import usm
from drivers.snmp.clients.seam import ROWS, TRIES, Target, Value, resolve

_REPETITIONS = 20
_NO_SUCH_NAME = 2
_DATAGRAM = 65_535
_EXCHANGES = 6  # who are you, what is your time, the question, and once more if it rebooted meanwhile
_AGENT, _LOGIN = "agent", "login"
_SOMEWHERE = ("127.0.0.1", 161)  # where an engine believes that its agent is; it has no socket
_REFUSED = (
    errind.UnknownUserName,
    errind.WrongDigest,
    errind.AuthenticationFailure,
    errind.AuthenticationError,
    errind.DecryptionError,
    errind.UnsupportedSecurityLevel,
    errind.UnsupportedAuthProtocol,
    errind.UnsupportedPrivProtocol,
)
Rows = list[tuple[str, Any]]
T = TypeVar("T")


class PysnmpClient:
    __slots__ = ("_engine", "_target")

    def __init__(self, target: Target) -> None:
        self._target = target
        self._engine: _Engine | None = None  # 2 MB; for version 3 alone

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        status, rows = await self._ask(v2c.GetRequestPDU, [(oid, v2c.Null("")) for oid in oids])
        if status == _NO_SUCH_NAME and len(oids) > 1:
            # One object that is missing spoils the whole of a v1 answer.
            found: dict[str, Value] = {}
            for oid in oids:
                found |= await self.get([oid])
            return found
        return {oid: value for oid, raw in rows if not status and (value := usm.plain(raw)) is not None}

    async def column(self, oid: str) -> dict[str, Value]:
        found: dict[str, Value] = {}
        at, pdu = oid, v2c.GetNextRequestPDU if self._target.version == "1" else v2c.GetBulkRequestPDU
        while len(found) < ROWS:
            status, rows = await self._ask(pdu, [(at, v2c.Null(""))])
            for name, raw in rows:
                rest, value = name[len(oid) + 1 :], usm.plain(raw)
                if status or not name.startswith(f"{oid}.") or value is None or rest in found:
                    return found
                found[rest] = value
            if not rows:
                break
            at = rows[-1][0]
        return found

    async def write(self, oid: str, value: int) -> None:
        status, _ = await self._ask(v2c.SetRequestPDU, [(oid, rfc1902.Integer32(value))])
        if status:
            raise Rejected(f"it refuses to be written to (SNMP error {int(status)}): has this user the right to?")

    async def close(self) -> None:
        self._engine = None

    async def _ask(self, kind: Callable[[], Any], rows: Rows) -> tuple[int, Rows]:
        """One question: the error status, and what came with it. It is sent again if the datagram got lost."""
        host = await resolve(self._target.address)
        error: DeviceError = Unreachable("no answer")
        for _ in range(TRIES):
            if self._target.user is not None and self._engine is None:
                self._engine = await asyncio.to_thread(_Engine, self._target.user)
            try:
                # All of an exchange; without it an agent that sends without end would be listened to for ever.
                async with asyncio.timeout(self._target.timeout):
                    pdu = await (self._sealed if self._target.user is not None else self._plain)(kind, rows, host)
                return int(v2c.apiPDU.get_error_status(pdu)), [
                    (".".join(map(str, name)), value) for name, value in v2c.apiPDU.get_varbinds(pdu)
                ]
            except TimeoutError:
                error = Unreachable("no answer")
            except OSError as reason:
                error = Unreachable(f"no way to it: {reason.strerror or type(reason).__name__}")
            except AuthFailed:
                self._engine = None
                raise  # tried once: agents lock users, too
            except DeviceError as reason:
                error = reason
            except Exception as reason:  # pyasn1 and pysnmp raise what they like on hostile bytes
                error = ProtocolError(f"its answer is not SNMP ({type(reason).__name__})")
        self._engine = None  # it would wait for ever, in its memory, for what did not come
        raise error

    async def _plain(self, kind: Callable[[], Any], rows: Rows, host: str) -> Any:
        """Versions 1 and 2c."""
        version = api.SNMP_VERSION_1 if self._target.version == "1" else api.SNMP_VERSION_2C
        words = api.PROTOCOL_MODULES[version]
        pdu = _pdu(kind, rows) if version else _pdu(getattr(words, kind().__class__.__name__), rows, words)
        message = words.Message()
        words.apiMessage.set_defaults(message)
        words.apiMessage.set_community(message, self._community())
        words.apiMessage.set_pdu(message, pdu)
        wanted = words.apiPDU.get_request_id(pdu)

        def accept(data: bytes) -> Any | None:
            answer, _ = decoder.decode(data, asn1Spec=words.Message())
            found = words.apiMessage.get_pdu(answer)
            # A response has the same tag in both versions.
            right = found.tagSet == v2c.ResponsePDU.tagSet
            return found if right and words.apiPDU.get_request_id(found) == wanted else None

        with _socket(host, self._target.port) as agent:
            return await _exchange(agent, encoder.encode(message), accept)

    async def _sealed(self, kind: Callable[[], Any], rows: Rows, host: str) -> Any:
        """Version 3. The engine says what to send until it has its answer."""
        engine = self._engine
        assert engine is not None
        sent = engine.ask(_pdu(kind, rows))
        with _socket(host, self._target.port) as agent:
            for _ in range(_EXCHANGES):
                sent = await _exchange(agent, sent[-1], engine.take)
                if engine.answer is not None:
                    return engine.answer
        raise ProtocolError("its engine never agrees with ours")

    def _community(self) -> bytes:
        return b"" if self._target.community is None else self._target.community.reveal().encode()


class _Engine:
    """One agent's user, on a wire without a socket."""

    def __init__(self, user: SnmpUser) -> None:
        self.answer: Any = None
        self._problem: Any = None
        self._wire = usm.Wire()
        self._engine = usm.engine_on(self._wire)
        usm.add_user(self._engine, user)
        level = "noAuthNoPriv" if user.auth == "none" else "authNoPriv" if user.privacy == "none" else "authPriv"
        config.add_target_parameters(self._engine, _LOGIN, user.name, level)
        config.add_target_address(self._engine, _AGENT, DOMAIN_NAME, _SOMEWHERE, _LOGIN, timeout=0, retryCount=0)
        self._generator = cmdgen.CommandGenerator()

    def ask(self, pdu: Any) -> list[bytes]:
        """What is to be sent."""
        self.answer = self._problem = None
        self._wire.sent = []
        self._generator.send_pdu(self._engine, _AGENT, None, "", pdu, self._done, None)
        return self._wire.sent

    def take(self, data: bytes) -> list[bytes] | None:
        """What is to be sent after that came; None when it was not what we wait for. Raises DeviceError."""
        sent = self._wire.exchange(data, _SOMEWHERE)
        if isinstance(self._problem, _REFUSED):
            raise AuthFailed("it refuses the SNMPv3 user or the password")
        if self._problem is not None:
            raise ProtocolError(f"its answer is not SNMP ({type(self._problem).__name__})")
        return sent if sent or self.answer is not None else None

    def _done(self, engine: Any, handle: Any, problem: Any, pdu: Any, context: Any) -> None:
        self._problem, self.answer = problem, pdu


def _pdu(kind: Callable[[], Any], rows: Rows, words: Any = v2c) -> Any:
    pdu = kind()
    if isinstance(pdu, v2c.GetBulkRequestPDU):
        v2c.apiBulkPDU.set_defaults(pdu)
        v2c.apiBulkPDU.set_non_repeaters(pdu, 0)
        v2c.apiBulkPDU.set_max_repetitions(pdu, _REPETITIONS)
        v2c.apiBulkPDU.set_varbinds(pdu, rows)
    else:
        words.apiPDU.set_defaults(pdu)
        words.apiPDU.set_varbinds(pdu, rows)
    return pdu


def _socket(host: str, port: int) -> socket.socket:
    """Connected, so that a closed port is heard of, and nobody else's datagrams are."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.connect((host, port))
    except OSError:
        made.close()
        raise
    return made


async def _exchange(agent: socket.socket, data: bytes, accept: Callable[[bytes], T | None]) -> T:
    """Send, and listen until there is something that `accept` takes."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(agent, data)
    while True:
        if (found := accept(await loop.sock_recv(agent, _DATAGRAM))) is not None:
            return found
