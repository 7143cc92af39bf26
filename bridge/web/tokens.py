"""Bearer tokens: 256 random bits, shown once, kept as SHA-256 digests in the store's table `token`.

A token names the channels that its bearer may subscribe to, without the sink's prefix: `user.13`, `admin.*`, `*`;
the star stands last, for whatever follows. A digest needs no salt: there is nothing to guess in 256 random bits.

In the API a token may `read`, or `write` too. One that was issued without either may read where it may hear
`admin.admin`: whoever sees all devices sees what the administrators' channel tells. A token may stand for a user of the
VMS: what its bearer starts is then that user's doing.

`issue`, `revoke` and `listed` take a connection, so that the command line, a process of its own, uses them on the
same file; `Tokens` is what the running bridge asks, and it sees such changes within a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from bridge.clock import Clock
from bridge.store.store import Store

STALE = 1.0  # seconds after which the map in memory is read again: a revoked token works no longer than that
STALE_FOR_UNKNOWN = 0.1  # the same, when a token is asked for that is not in the map: it may be a new one
TOKEN_LIMIT = 256  # characters; ours have 43

NEEDED_CHANNEL = "admin.admin"  # whoever may hear it may read the API

Scope = Literal["read", "write"]
_PATTERN = re.compile(r"[-a-zA-Z0-9_=@,.;]{1,164}\*?|\*")


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; the token itself is not. `created_at` and `expires_at`: wall time."""

    name: str
    channels: tuple[str, ...]
    created_at: float
    digest: str = field(repr=False)
    api: Scope | None = None
    user_id: int | None = None  # of the VMS
    expires_at: float | None = None

    def covers(self, channel: str) -> bool:
        """Whether it lets its bearer hear a channel, named without prefix."""
        return any(
            channel.startswith(pattern[:-1]) if pattern.endswith("*") else channel == pattern
            for pattern in self.channels
        )

    def may(self, scope: Scope) -> bool:
        """What it lets its bearer do in the API."""
        return self.api == "write" or (scope == "read" and (self.api == "read" or self.covers(NEEDED_CHANNEL)))


def issue(
    connection: sqlite3.Connection,
    name: str,
    channels: Sequence[str],
    now: float,
    *,
    api: Scope | None = None,
    user_id: int | None = None,
    seconds: float | None = None,
) -> str:
    """Make a token and return it: the only time that it is seen. It ends by itself after `seconds`, if given.
    Raises ValueError with words for people."""
    if not name.strip():
        raise ValueError("a token needs a name, by which it is listed and revoked")
    if not channels and api is None:
        raise ValueError("a token needs at least one channel (user.13, admin.*, or * for all), or --api read or write")
    if user_id is not None and user_id < 1:
        raise ValueError(f"{user_id} is no user of the VMS: their numbers begin with 1")
    for pattern in channels:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(f"{pattern!r} is no channel: letters, digits, - _ = @ , . ; and at the end * for any more")
    connection.execute("DELETE FROM token WHERE expires_at <= ?", (now,))
    if connection.execute("SELECT 1 FROM token WHERE name = ?", (name,)).fetchone():
        raise ValueError(f"there is a token {name!r} already: revoke it, or choose another name")
    token = secrets.token_urlsafe(32)
    expires_at = None if seconds is None else now + seconds
    connection.execute(
        "INSERT INTO token (digest, name, channels, created_at, api, user_id, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (_digest(token), name, json.dumps(list(channels)), now, api, user_id, expires_at),
    )
    return token


def revoke(connection: sqlite3.Connection, name: str) -> bool:
    """Whether there was such a token."""
    return connection.execute("DELETE FROM token WHERE name = ?", (name,)).rowcount > 0


def listed(connection: sqlite3.Connection) -> list[Token]:
    """All tokens by name."""
    rows = connection.execute(
        "SELECT name, channels, created_at, digest, api, user_id, expires_at FROM token ORDER BY name"
    )
    return [Token(name, tuple(json.loads(channels)), *rest) for name, channels, *rest in rows]


class Tokens:
    """The tokens of a running bridge, in memory."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: Mapping[str, Token] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()  # after a restart all clients ask at once: one reads, the others wait for it

    async def issue(
        self, name: str, channels: Sequence[str], *, api: Scope | None = None, user_id: int | None = None
    ) -> str:
        """As the function; raises StoreError too."""
        now = self._clock.now().wall
        token = await self._store.call(partial(issue, name=name, channels=channels, now=now, api=api, user_id=user_id))
        await self._read()
        return token

    async def revoke(self, name: str) -> bool:
        revoked = await self._store.call(partial(revoke, name=name))
        await self._read()
        return revoked

    async def listed(self) -> list[Token]:
        await self._read()
        return list(self._known.values())

    async def verify(self, token: str) -> Token | None:
        """What a bearer may do; None for a token that was never issued, is revoked or has ended. Raises StoreError.

        Looked up by digest, so that no time that this takes tells anything of a token that exists.
        """
        if not 0 < len(token) <= TOKEN_LIMIT:
            return None
        digest = _digest(token)
        async with self._reading:
            age = self._clock.now().mono - self._read_at
            if age >= (STALE if digest in self._known else STALE_FOR_UNKNOWN):
                await self._read()
        found = self._known.get(digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            return None
        ended = found.expires_at is not None and self._clock.now().wall >= found.expires_at
        return None if ended else found

    async def _read(self) -> None:
        self._known = {token.digest: token for token in await self._store.call(listed, durable=False)}
        self._read_at = self._clock.now().mono


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
