"""SNMPv3 notifications, opened by pysnmp: authentication, encryption, time windows and the answers to informs.

Imported when the first device with an SNMPv3 user asks for its traps: pysnmp takes 25 MB.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from types import CodeType
from typing import Any

from pyasn1.type import univ
from pysnmp.carrier.asyncio.dgram.udp import DOMAIN_NAME, UdpTransportAddress
from pysnmp.carrier.base import AbstractTransport, AbstractTransportAddress, AbstractTransportDispatcher
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413 import ntfrcv
from pysnmp.proto import rfc1155, rfc1902
from pysnmp.proto.rfc3412 import MsgAndPduDispatcher
from pysnmp.smi.builder import MibBuilder
from pysnmp.smi.error import MibNotFoundError
from pysnmp.smi.instrum import MibInstrumController

from bridge.driver import SnmpUser, Trap, TrapValue
from bridge.traps.message import BadMessage, notification

AUTH = {
    "none": config.USM_AUTH_NONE,
    "md5": config.USM_AUTH_HMAC96_MD5,
    "sha1": config.USM_AUTH_HMAC96_SHA,
    "sha224": config.USM_AUTH_HMAC128_SHA224,
    "sha256": config.USM_AUTH_HMAC192_SHA256,
    "sha384": config.USM_AUTH_HMAC256_SHA384,
    "sha512": config.USM_AUTH_HMAC384_SHA512,
}
PRIVACY = {
    "none": config.USM_PRIV_NONE,
    "des": config.USM_PRIV_CBC56_DES,
    "aes128": config.USM_PRIV_CFB128_AES,
    "aes192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "aes256": config.USM_PRIV_CFB256_AES_BLUMENTHAL,
}


class Wire(AbstractTransport):  # type: ignore[misc]
    """A transport without a socket: datagrams are handed in, answers are taken out."""

    PROTO_TRANSPORT_DISPATCHER = AbstractTransportDispatcher
    ADDRESS_TYPE = UdpTransportAddress

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_message(self, message: bytes, address: AbstractTransportAddress) -> None:
        self.sent.append(bytes(message))

    def exchange(self, data: bytes, source: tuple[str, int]) -> list[bytes]:
        """Hand a datagram to the engine; returns what it answers."""
        self.sent = []
        self._callback_function(self, UdpTransportAddress(source), data)
        return self.sent


class _Mibs(MibBuilder):  # type: ignore[misc]
    """pysnmp's own MIBs. What it is derived from compiles all of them for every engine, which takes 80 ms."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded: set[str] = set()

    def load_module(self, name: str, **context: Any) -> _Mibs:
        if name not in self._loaded:
            self._loaded.add(name)
            exec(_compiled(name), {"mibBuilder": self, "userCtx": context})  # noqa: S102 - a MIB of pysnmp is a program
        return self


@cache
def _compiled(name: str) -> CodeType:
    for source in MibBuilder().get_mib_sources():
        with suppress(OSError):
            code: CodeType = source.read(name)[0]
            return code
    raise MibNotFoundError(name)


def engine_on(wire: Wire, engine_id: bytes | None = None) -> Any:
    """An SNMP engine at the other end of a wire, of that name where it is one that others ask."""
    engine = SnmpEngine(msgAndPduDsp=MsgAndPduDispatcher(MibInstrumController(_Mibs())))
    if engine_id is not None:
        # Not through the constructor, which would keep a file with the number of boots in a public directory.
        (own,) = engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineID")
        own.syntax = own.syntax.clone(engine_id)
        engine.snmpEngineID = own.syntax
    dispatcher = AbstractTransportDispatcher()
    dispatcher.register_transport(DOMAIN_NAME, wire)
    engine.register_transport_dispatcher(dispatcher)
    return engine


def add_user(engine: Any, user: SnmpUser, engine_id: bytes | None = None) -> None:
    """Let a user in, whose keys are those for `engine_id`, or for the engine itself."""
    config.add_v3_user(
        engine,
        user.name,
        AUTH[user.auth],
        user.auth_password.reveal() or None,
        PRIVACY[user.privacy],
        user.privacy_password.reveal() or None,
        securityEngineId=None if engine_id is None else rfc1902.OctetString(engine_id),
    )


class UserEngine:
    """What one SNMPv3 user may tell us: traps under the names of the senders' engines, informs under ours."""

    def __init__(self, user: SnmpUser, engine_id: bytes) -> None:
        self._user = user
        self._wire = Wire()
        self._engine = engine_on(self._wire, engine_id)
        self._known: set[bytes] = {engine_id}
        self._got: list[list[tuple[str, TrapValue]]] = []
        add_user(self._engine, user)
        ntfrcv.NotificationReceiver(self._engine, self._take)

    def knows(self, engine_id: bytes) -> bool:
        return engine_id in self._known

    def learn(self, engine_id: bytes) -> None:
        """Expect traps from an engine. Takes a few milliseconds: keys are made for it."""
        add_user(self._engine, self._user, engine_id)
        self._known.add(engine_id)

    def open(self, data: bytes, source: tuple[str, int]) -> tuple[Trap | None, list[bytes]]:
        """The notification in a message, and what is to be sent back. None for what is not let in, and for the
        questions that come before an inform. Raises BadMessage."""
        self._got = []
        try:
            answers = self._wire.exchange(data, source)
        except Exception as error:  # pyasn1 and pysnmp raise what they like on hostile bytes
            raise BadMessage(type(error).__name__) from None
        return (notification(self._got[0], 3) if self._got else None), answers

    def _take(self, engine: Any, reference: Any, context_id: Any, context: Any, binds: Any, own: Any) -> None:
        self._got.append([(".".join(map(str, oid)), plain(value)) for oid, value in binds])


def plain(value: Any) -> TrapValue:
    """A value of pysnmp as one of ours; None for null and for "there is none"."""
    # The types of v1 and of v2 have only their ASN.1 ancestors in common. Null is a kind of text there.
    if isinstance(value, univ.Null):
        return None
    if isinstance(value, rfc1155.IpAddress | rfc1902.IpAddress):
        return ".".join(map(str, bytes(value)))
    if isinstance(value, univ.OctetString):  # Opaque as well
        return bytes(value)
    if isinstance(value, univ.ObjectIdentifier):
        return ".".join(map(str, value))
    return int(value)
