"""Who had the bridge do what: every request that needs a writing token, kept in the store's table `audit`.

It is written down before it is done and marked with its outcome afterwards: what has no status was under way when the
bridge ended.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass

from pydantic import BaseModel

from bridge.clock import Clock
from bridge.jobs.records import Initiator
from bridge.store.store import Store

MOST = 100_000  # entries kept
LONGEST = 2000  # characters of what was asked, and of what was answered

_COLUMNS = "number, at, token, user_id, token_id, socket_id, method, path, asked, status, detail"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request. `asked` is its body as JSON; `status` is None while it is under way, `detail` says why it was
    refused."""

    number: int
    at: float
    token: str
    user_id: int | None
    token_id: str | None
    socket_id: str | None
    method: str
    path: str
    asked: str
    status: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was asked before with the same key, and answered; without a status it is under way, or was when the bridge
    ended. `same` is whether the same was asked."""

    number: int
    same: bool
    status: int | None
    answer: str


class Audit:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(
        self, by: Initiator, token: str, method: str, path: str, body: object, key: str | None
    ) -> int | Earlier:
        """The number of the new entry, or what was asked before with this key. Raises StoreError: what cannot be
        written down is not done."""
        asked = body.model_dump_json(exclude_none=True) if isinstance(body, BaseModel) else ""
        words = "\0".join((method, path, asked))
        request = hashlib.sha256(words.encode(errors="surrogatepass")).hexdigest()
        values = (
            self._clock.now().wall, token, by.user_id, by.token_id, by.socket_id, method, path[:LONGEST],
            asked[:LONGEST], key, request,
        )  # fmt: skip

        def work(connection: sqlite3.Connection) -> int | Earlier:
            if key is not None:
                row = connection.execute(
                    "SELECT number, request = ?, status, coalesce(answer, '') FROM audit WHERE key = ?", (request, key)
                ).fetchone()
                if row is not None:
                    number, same, status, answer = row
                    return Earlier(number, bool(same), status, answer)
            cursor = connection.execute(
                "INSERT INTO audit (at, token, user_id, token_id, socket_id, method, path, asked, key, request) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = int(cursor.lastrowid or 0)
            connection.execute("DELETE FROM audit WHERE number <= ?", (number - MOST,))
            return number

        return await self._store.call(work)

    async def end(self, number: int, status: int, detail: str, answer: str) -> None:
        """`answer` is what whoever asks again with the same key is told. Raises StoreError."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE audit SET status = ?, detail = ?, answer = iif(key IS NULL, NULL, ?) WHERE number = ?",
                (status, detail[:LONGEST], answer, number),
            )

        await self._store.call(work)

    async def after(self, number: int, limit: int) -> list[AuditEntry]:
        """Entries with a higher number, oldest first."""
        return await self._store.read(
            lambda connection: [
                AuditEntry(*values)
                for values in connection.execute(
                    f"SELECT {_COLUMNS} FROM audit WHERE number > ? ORDER BY number LIMIT ?",  # noqa: S608
                    (number, limit),
                )
            ]
        )
