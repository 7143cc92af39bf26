"""What the driver needs of a library that speaks SNMP."""

from __future__ import annotations

import ipaddress
import socket
from asyncio import get_running_loop
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.driver import SnmpUser
from bridge.errors import Unreachable
from bridge.secrets import Secret

Value = int | float | str | bytes  # object identifiers and addresses are dotted text
TRIES = 2  # a datagram may get lost; one that is lost twice is news
ROWS = 1024  # of one column at most; an agent that has more is making them up


@dataclass(frozen=True, slots=True)
class Target:
    """An agent and how to talk to it. `community` for the versions 1 and 2c, `user` for 3."""

    address: str
    port: int
    version: str
    community: Secret | None
    user: SnmpUser | None
    timeout: float


class Client(Protocol):
    """One agent. Each method raises Unreachable, AuthFailed, ProtocolError; `write` also Rejected."""

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        """The values of objects; those that the agent does not have are absent."""
        ...

    async def column(self, oid: str) -> dict[str, Value]:
        """The values of a table's column by the rest of their OIDs; empty where there is none."""
        ...

    async def write(self, oid: str, value: int) -> None: ...

    async def close(self) -> None: ...


async def resolve(address: str) -> str:
    """The IP address of a host. Raises Unreachable."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        pass
    try:
        found = await get_running_loop().getaddrinfo(address, None, type=socket.SOCK_DGRAM)
    except OSError:
        raise Unreachable("its name is not known") from None
    return str(found[0][4][0])
