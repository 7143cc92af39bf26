"""State and outbox in one SQLite file (WAL, synchronous=FULL).

A change of state and the pushes that tell it are committed together or not at all, so a restart at any moment
finds a consistent pair: nothing is announced twice, nothing that was decided is forgotten. Each sink has a cursor
into the outbox; a row leaves the outbox only behind the slowest cursor, or as a counted drop when the configured
bound is reached.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from bridge.clock import Clock
from bridge.pushes.catalogue import SAMPLE_FRESH, Event, Push
from bridge.store.writer import StoreError, Writer

TAIL = 4096  # rows kept in memory, so that a sink that keeps up never reads the file
DEAD_LETTERS = 10_000
JUMP = 60.0  # seconds by which a wall clock that was set forward has jumped; `prune` is called more often than that
T = TypeVar("T")


class StateRow(NamedTuple):
    """What is known of one part of a device: '' for the device itself, 'channel:<key>' for one of its channels."""

    device: str
    part: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One push on its way. `channel` is without prefix; `body` is the envelope without the socket key. A device event
    on its way to a webhook has no channel."""

    seq: int
    at: float
    device: str
    type: str
    event: str
    channel: str
    body: str
    socket: bool

    def stale(self, now: float) -> bool:
        """Whether it is a sample that nobody wants any more at that wall time."""
        return self.event == Event.ADMIN_STAT and now - self.at > SAMPLE_FRESH


class OutboxEntry(NamedTuple):
    """What is to be put into the outbox; `OutboxRow` is what it becomes there."""

    device: str
    type: str
    event: str
    channel: str
    body: str
    socket: bool


@dataclass(frozen=True, slots=True)
class SinkRow:
    """How far a sink has come: everything up to `cursor` is done, up to `attempted` was begun."""

    name: str
    cursor: int
    attempted: int
    dropped: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    sink: str
    seq: int
    at: float
    reason: str
    type: str
    channel: str
    body: str


class StoreInUse(Exception):
    """Another bridge runs on the same data directory."""


_COLUMNS = "seq, at, device, type, event, channel, body, socket"


def _row(values: tuple[Any, ...]) -> OutboxRow:
    seq, at, device, kind, event, channel, body, socket = values
    return OutboxRow(seq, at, device, kind, event, channel, body, bool(socket))


class Store:
    """Made with `open`. All methods are for the event loop; none of them blocks it."""

    def __init__(self, path: Path, clock: Clock, lock: IO[str], last_seq: int) -> None:
        self.path = path
        self._clock = clock
        self._lock = lock
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._read_connection: sqlite3.Connection | None = None
        self._writer = Writer(lambda: connect(path))
        self._tail: deque[OutboxRow] = deque(maxlen=TAIL)
        self._fresh: list[asyncio.Event] = []
        self.last_seq = last_seq
        # What tells that the wall clock was set, and which pushes have their time from it.
        self._opened_at = last_seq
        self._epoch = clock.now().wall - clock.now().mono
        self._closed = False

    @classmethod
    async def open(cls, directory: Path, clock: Clock) -> Store:
        """Open or create the store of a data directory. Raises StoreInUse, StoreError."""
        try:
            lock, last_seq = await asyncio.to_thread(_prepare, directory)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{directory}: {error}") from error
        return cls(directory / "bridge.db", clock, lock, last_seq)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        if self._read_connection is not None:
            await self.read(lambda connection: connection.close())
        await asyncio.to_thread(self._reader.shutdown)
        self._lock.close()

    # -- what the runners write ------------------------------------------------------------------------------

    async def commit(self, device: str, states: Sequence[StateRow], pushes: Sequence[Push] = ()) -> None:
        """Store what is now known of a device together with the pushes that tell it; returns once on disk."""
        now = self._clock.now().wall
        state_rows = [(row.device, row.part, json.dumps(row.data, separators=(",", ":")), now) for row in states]
        entries = outbox_entries(device, pushes)

        def work(connection: sqlite3.Connection) -> Sequence[OutboxEntry]:
            connection.executemany(
                "INSERT INTO state VALUES (?, ?, ?, ?) ON CONFLICT (device, part) "
                "DO UPDATE SET data = excluded.data, updated_at = excluded.updated_at",
                state_rows,
            )
            return entries

        await self.write(work)

    async def write(self, work: Callable[[sqlite3.Connection], Sequence[OutboxEntry]], *, durable: bool = True) -> None:
        """Run `work(connection)` in a transaction, and put what it returns into the outbox in the same one: for tables
        that have a module of their own."""
        now = self._clock.now().wall

        def whole(connection: sqlite3.Connection) -> list[OutboxRow]:
            rows = []
            for entry in work(connection):
                cursor = connection.execute(
                    "INSERT INTO outbox (at, device, type, event, channel, body, socket) VALUES (?,?,?,?,?,?,?)",
                    (now, *entry),
                )
                rows.append(OutboxRow(int(cursor.lastrowid or 0), now, *entry))
            return rows

        def then(rows: list[OutboxRow]) -> None:
            if rows:
                self._tail.extend(rows)
                self.last_seq = rows[-1].seq
                for event in self._fresh:
                    event.set()

        await self._writer.submit(whole, durable=durable, then=then)

    async def knowledge(self) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, dict[str, str]]]:
        """The states of all devices by part, and what their drivers keep, as of all commits handed in so far."""
        return await self.call(lambda connection: (read_states(connection), _read_memories(connection)), durable=False)

    # -- what the sinks read and write -----------------------------------------------------------------------

    def subscribe(self) -> asyncio.Event:
        """An event that is set whenever the outbox has grown."""
        event = asyncio.Event()
        self._fresh.append(event)
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        self._fresh.remove(event)

    async def outbox_after(self, seq: int, limit: int) -> list[OutboxRow]:
        """The next rows behind `seq`, oldest first."""
        if seq >= self.last_seq:
            return []
        tail = self._tail
        if tail and tail[0].seq <= seq + 1:
            # Numbers are without gaps inside the tail, so the place of a row follows from its number.
            start = seq + 1 - tail[0].seq
            return list(islice(tail, start, start + limit))
        return await self.read(
            lambda connection: [
                _row(values)
                for values in connection.execute(
                    f"SELECT {_COLUMNS} FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
                    (seq, limit),
                )
            ]
        )

    async def join(self, sink: str) -> SinkRow:
        """The sink's place; a sink that was never here begins behind what is already in the outbox."""

        def work(connection: sqlite3.Connection) -> SinkRow:
            connection.execute(
                "INSERT OR IGNORE INTO sink (name, cursor, attempted) "
                "SELECT ?1, coalesce(max(seq), 0), coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'",
                (sink,),
            )
            return SinkRow(
                *connection.execute(
                    "SELECT name, cursor, attempted, dropped FROM sink WHERE name = ?", (sink,)
                ).fetchone()
            )

        return await self.call(work)

    async def leave_all_but(self, sinks: Sequence[str]) -> None:
        """Forget sinks that are no longer configured, so that they hold nothing back."""
        marks = ",".join("?" * len(sinks))
        await self.call(lambda c: c.execute(f"DELETE FROM sink WHERE name NOT IN ({marks})", sinks) and None)  # noqa: S608

    async def attempt(self, sink: str, seq: int) -> None:
        """Note that delivery up to `seq` is being begun: if no confirmation follows, its outcome is unknown."""
        await self.call(
            lambda c: c.execute("UPDATE sink SET attempted = ? WHERE name = ?", (seq, sink)) and None, durable=False
        )

    async def acknowledge(self, sink: str, seq: int, refused: Sequence[tuple[OutboxRow, str]] = ()) -> None:
        """Move the cursor; refused rows go to the dead letters with their reasons, in the same transaction.

        Without an fsync: this survives `kill -9`. A power cut may take the last few cursor moves back, and those
        rows are then sent once more, as after any unknown outcome.
        """
        now = self._clock.now().wall
        dead = [(sink, r.seq, now, why, r.type, r.event, r.channel, r.body) for r, why in refused]

        def work(connection: sqlite3.Connection) -> None:
            if dead:
                connection.executemany(
                    "INSERT INTO dead_letter (sink, seq, at, reason, type, event, channel, body) "
                    "VALUES (?,?,?,?,?,?,?,?)",
                    dead,
                )
                connection.execute(
                    "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (DEAD_LETTERS,)
                )
            connection.execute(
                "UPDATE sink SET cursor = ?1, attempted = max(attempted, ?1) WHERE name = ?2", (seq, sink)
            )

        await self.call(work, durable=bool(dead))

    async def prune(self, *, max_rows: int, max_age: float, history: float) -> dict[str, int]:
        """Delete what every sink has and what is older than `history` seconds; enforce the bounds.

        Rows over `max_rows` or older than `max_age` seconds go even where a sink has not had them. Returns how
        many rows each sink lost that way; the same numbers are added to its `dropped` column.

        A computer without a battery-backed clock learns the year some time after its start. What was decided before
        that is not as old as it then looks: its times are moved along.
        """
        now, mono = self._clock.now()
        jump, self._epoch = now - mono - self._epoch, now - mono
        first = self._opened_at
        if jump >= JUMP:
            self._tail.clear()

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            if jump >= JUMP:
                connection.execute(
                    "UPDATE outbox SET at = at + ?1 WHERE seq > ?2 AND at < ?3", (jump, first, now - jump / 2)
                )
            low, top = connection.execute("SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM outbox").fetchone()
            # Counted only when it may be so: numbers have gaps where stale samples were.
            over = (
                top - low >= max_rows
                and connection.execute(
                    "SELECT seq FROM outbox ORDER BY seq DESC LIMIT 1 OFFSET ?", (max_rows,)
                ).fetchone()
            )
            too_old = connection.execute(
                "SELECT coalesce(max(seq), 0) FROM outbox WHERE at < ?", (now - max_age,)
            ).fetchone()[0]
            cut = max(over[0] if over else 0, too_old)
            lost: dict[str, int] = {}
            for name, cursor in connection.execute("SELECT name, cursor FROM sink WHERE cursor < ?", (cut,)).fetchall():
                count = connection.execute(
                    "SELECT count(*) FROM outbox WHERE seq > ? AND seq <= ?", (cursor, cut)
                ).fetchone()[0]
                lost[name] = count
                connection.execute(
                    "UPDATE sink SET cursor = ?1, attempted = max(attempted, ?1), dropped = dropped + ?2 "
                    "WHERE name = ?3",
                    (cut, count, name),
                )
            slowest = connection.execute("SELECT coalesce(min(cursor), 0) FROM sink").fetchone()[0]
            connection.execute(
                "DELETE FROM outbox WHERE seq <= ?1 OR (seq <= ?2 AND at < ?3)", (cut, slowest, now - history)
            )
            return {name: count for name, count in lost.items() if count}

        return await self.call(work)

    async def drop_stale(self) -> dict[str, int]:
        """Delete samples that are too old to be worth sending, so that those of a sink that is away push nothing else
        out of the outbox. Returns how many each sink has not had. The rows in memory are few, and stay: whoever reads
        them leaves stale ones out."""
        before, now = self._tail[0].seq if self._tail else self.last_seq + 1, self._clock.now().wall
        which = (str(Event.ADMIN_STAT), now - SAMPLE_FRESH, before)

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            lost = {
                name: connection.execute(
                    "SELECT count(*) FROM outbox WHERE event = ? AND at < ? AND seq < ? AND seq > ?", (*which, cursor)
                ).fetchone()[0]
                for name, cursor in connection.execute("SELECT name, cursor FROM sink").fetchall()
            }
            connection.execute("DELETE FROM outbox WHERE event = ? AND at < ? AND seq < ?", which)
            return {name: count for name, count in lost.items() if count}

        return await self.call(work, durable=False)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters first."""
        return await self.read(
            lambda connection: [
                DeadLetter(*values)
                for values in connection.execute(
                    "SELECT sink, seq, at, reason, type, channel, body FROM dead_letter ORDER BY id DESC LIMIT ?",
                    (limit,),
                )
            ]
        )

    @property
    def waiting(self) -> int:
        """Jobs that wait for the writer."""
        return self._writer.waiting

    # -- small things kept for others ------------------------------------------------------------------------

    async def remember(self, device: str, key: str, value: str | None) -> None:
        def work(connection: sqlite3.Connection) -> None:
            if value is None:
                connection.execute("DELETE FROM memory WHERE device = ? AND key = ?", (device, key))
            else:
                connection.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", (device, key, value))

        await self.call(work)

    async def call(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        """Run `work(connection)` in a write transaction: also for tables that have a module of their own."""
        return await self._writer.submit(work, durable=durable)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work(connection)`, which only reads, beside the writer."""

        def call() -> T:
            if self._read_connection is None:
                self._read_connection = connect(self.path)
            return work(self._read_connection)

        return await asyncio.get_running_loop().run_in_executor(self._reader, call)


def outbox_entries(device: str, pushes: Sequence[Push]) -> list[OutboxEntry]:
    """Pushes as they go into the outbox."""
    return [
        OutboxEntry(device, push.type or push.event, str(push.event), push.channel, push.body(), push.carries_socket)
        for push in pushes
    ]


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings: explicit transactions, WAL, patient with other processes."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def database(directory: Path) -> sqlite3.Connection:
    """A connection to the store of a data directory, made if it is not there: for other processes that write a
    little (`tokens`). Raises StoreError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = connect(directory / "bridge.db")
        _migrate(connection)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{directory}: {error}") from error
    return connection


def read_only(path: Path) -> sqlite3.Connection:
    """For other processes that only look (`devices`, `watch`). Raises StoreError when there is no store yet."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=5)
        connection.execute("SELECT 1 FROM state LIMIT 1")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    return connection


def read_states(connection: sqlite3.Connection) -> dict[str, dict[str, dict[str, Any]]]:
    """Everything known, by device and part."""
    known: dict[str, dict[str, dict[str, Any]]] = {}
    for device, part, data in connection.execute("SELECT device, part, data FROM state"):
        known.setdefault(device, {})[part] = json.loads(data)
    return known


def _read_memories(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    kept: dict[str, dict[str, str]] = {}
    for device, key, value in connection.execute("SELECT device, key, value FROM memory"):
        kept.setdefault(device, {})[key] = value
    return kept


def _prepare(directory: Path) -> tuple[IO[str], int]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = open(directory / "lock", "a+")  # noqa: SIM115 - held until close()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read(32).strip() or "unknown"
        lock.close()
        raise StoreInUse(
            f"another bridge (process {holder}) runs on {directory}: stop it, or give this one its own bridge.data"
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    connection = connect(directory / "bridge.db")
    try:
        _migrate(connection)
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    finally:
        connection.close()
    return lock, last[0] if last else 0


def _migrate(connection: sqlite3.Connection) -> None:
    scripts = sorted(
        (entry for entry in files("bridge.store").joinpath("migrations").iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    done = connection.execute("PRAGMA user_version").fetchone()[0]
    if done > len(scripts):
        raise sqlite3.DatabaseError(
            f"the database is of a newer bridge (schema {done}, this one knows {len(scripts)}): update the bridge"
        )
    for number, script in enumerate(scripts[done:], start=done + 1):
        connection.executescript(f"BEGIN;\n{script.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")
