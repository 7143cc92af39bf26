"""Jobs and their items in the store. An item's end and the push that tells it are one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bridge.clock import Clock
from bridge.pushes.catalogue import Push
from bridge.store.store import OutboxEntry, Store, outbox_entries

JobState = Literal["running", "confirming", "done", "stopped", "cancelled", "reverted"]
ItemState = Literal["waiting", "running", "applied", "ok", "error", "skipped"]
LIVE: tuple[JobState, ...] = ("running", "confirming")
ENDED: tuple[ItemState, ...] = ("ok", "error", "skipped")
KEPT = 1000  # jobs that have ended


class Refused(Exception):
    """What was asked for cannot be done as things are; the text is for people."""


@dataclass(frozen=True, slots=True)
class Initiator:
    """Who asked for something, as the VMS knows them. `user_id` hears what comes of it; None: nobody does."""

    user_id: int | None = None
    token_id: str | None = None
    socket_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """One camera, and the template that is applied to it (0: the job is about none), in the wave in which its turn
    comes. `digest`: of the plan that was agreed to."""

    device: str
    channel: str
    template: int = 0
    wave: int = 0
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """`changes` are (path, before, after, is it a secret); `backup` is what was read before the first write."""

    job: int
    number: int
    device: str
    channel: str
    template: int
    wave: int
    digest: str | None
    state: ItemState
    detail: str
    changes: tuple[tuple[str, Any, Any, bool], ...]
    backup: Mapping[str, Any] | None
    owed: bool
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Job:
    """Times in seconds since the epoch; `deadline` is when it reverts unless somebody confirms it."""

    id: int
    kind: str
    state: JobState
    initiator: Initiator
    params: Mapping[str, Any]
    created_at: float
    ended_at: float | None
    deadline: float | None
    detail: str


_JOB = "id, kind, state, initiator, params, created_at, ended_at, deadline, detail"
_ITEM = (
    "job, number, device, channel, template, wave, digest, state, detail, changes, backup, owed, started_at, ended_at"
)


class Records:
    """Reads and writes; what happens in between is other people's work."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(
        self, kind: str, initiator: Initiator, params: Mapping[str, Any], items: Sequence[NewItem],
        memory: Sequence[tuple[str, str, str]] = (),
    ) -> int:  # fmt: skip
        """A job and its items, all waiting; returns its id. `memory` are (device, key, value) to be remembered in the
        same transaction."""
        now = self._clock.now().wall

        def work(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "INSERT INTO job (kind, state, initiator, params, created_at) VALUES (?, 'running', ?, ?, ?)",
                (kind, json.dumps(asdict(initiator)), json.dumps(params), now),
            )
            job = int(cursor.lastrowid or 0)
            connection.executemany(
                "INSERT INTO job_item (job, number, device, channel, template, wave, digest, state) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting')",
                [
                    (job, number, one.device, one.channel, one.template, one.wave, one.digest)
                    for number, one in enumerate(items)
                ],
            )
            connection.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", memory)
            return job

        return await self._store.call(work)

    async def job(self, job: int) -> Job | None:
        found = await self._jobs("WHERE id = ?", (job,))
        return found[0] if found else None

    async def jobs(self, *, before: int | None = None, limit: int = 100) -> list[Job]:
        """The newest first; with `before`, those with a lower id."""
        return await self._jobs("WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2", (before, limit))

    async def live(self, kinds: Collection[str] = ()) -> list[Job]:
        """Jobs of these kinds (any, where none is named) that have not ended, oldest first."""
        found = await self._jobs("WHERE state IN ('running', 'confirming') ORDER BY id", ())
        return [one for one in found if not kinds or one.kind in kinds]

    async def items(self, job: int) -> list[Item]:
        return await self._items("WHERE job = ? ORDER BY number", (job,))

    async def owed(self, device: str) -> list[Item]:
        """What is still to be restored on a device, the newest first."""
        return await self._items("WHERE device = ? AND owed ORDER BY job DESC, number DESC", (device,))

    async def last_applied(self, device: str, channel: str) -> Item | None:
        """The newest item that changed this channel and was not undone."""
        found = await self._items(
            "WHERE device = ? AND channel = ? AND state = 'ok' AND backup IS NOT NULL ORDER BY job DESC LIMIT 1",
            (device, channel),
        )
        return found[0] if found else None

    async def counts(self, jobs: Sequence[int]) -> dict[int, dict[str, int]]:
        """How many items of each job are in which state."""
        marks = ",".join("?" * len(jobs))

        def work(connection: sqlite3.Connection) -> dict[int, dict[str, int]]:
            found: dict[int, dict[str, int]] = {job: {} for job in jobs}
            for job, state, count in connection.execute(
                f"SELECT job, state, count(*) FROM job_item WHERE job IN ({marks}) GROUP BY job, state",  # noqa: S608
                tuple(jobs),
            ):
                found[job][state] = count
            return found

        return await self._store.read(work)

    async def begin(self, item: Item) -> None:
        now = self._clock.now().wall
        await self._set(item, "state = 'running', started_at = coalesce(started_at, ?)", (now,), durable=False)

    async def back_up(
        self, item: Item, changes: Sequence[tuple[str, Any, Any, bool]], backup: Mapping[str, Any]
    ) -> None:
        """On disk before the first write to the camera; a backup that is there already stays the one."""
        await self._set(
            item,
            "changes = coalesce(changes, ?), backup = coalesce(backup, ?)",
            (json.dumps(changes), json.dumps(backup)),
        )

    async def applied(self, item: Item) -> None:
        """As wanted, and waiting for somebody to confirm it."""
        await self._set(item, "state = 'applied'", ())

    async def end(self, item: Item, state: ItemState, detail: str, push: Push | None, *, owed: bool = False) -> None:
        """The item's one end, with its one push. An item that has ended already stays as it is, without a push."""
        await self._store.write(self.ending(item, state, detail, push, owed=owed))

    def ending(
        self, item: Item, state: ItemState, detail: str, push: Push | None, *, owed: bool = False
    ) -> Callable[[sqlite3.Connection], list[OutboxEntry]]:
        """What `end` does, for a transaction that does more: the file that the push tells of is recorded with it."""
        now = self._clock.now().wall

        def work(connection: sqlite3.Connection) -> list[OutboxEntry]:
            changed = connection.execute(
                "UPDATE job_item SET state = ?, detail = ?, owed = ?, ended_at = ? "
                "WHERE job = ? AND number = ? AND state NOT IN ('ok', 'error', 'skipped')",
                (state, detail, owed, now, item.job, item.number),
            ).rowcount
            return outbox_entries(item.device, [push]) if changed and push is not None else []

        return work

    async def restored(self, item: Item) -> None:
        await self._set(item, "owed = 0", ())

    async def undone(self, item: Item) -> None:
        """Somebody rolled it back: its backup is no longer what was before the present state."""
        await self._set(item, "backup = NULL", ())

    async def move(self, job: int, state: JobState, detail: str = "", deadline: float | None = None) -> None:
        now = self._clock.now().wall
        ended = None if state in LIVE else now

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE job SET state = ?, detail = ?, ended_at = ?, deadline = ? WHERE id = ?",
                (state, detail, ended, deadline, job),
            )

        await self._store.call(work)

    async def prune(self) -> None:
        """Forget the oldest of the jobs that have ended, beyond `KEPT`; not those that owe a camera something."""

        def work(connection: sqlite3.Connection) -> None:
            old = [
                row[0]
                for row in connection.execute(
                    "SELECT id FROM job WHERE state NOT IN ('running', 'confirming') AND NOT EXISTS "
                    "(SELECT 1 FROM job_item WHERE job = job.id AND owed) ORDER BY id DESC LIMIT -1 OFFSET ?",
                    (KEPT,),
                )
            ]
            connection.executemany("DELETE FROM job_item WHERE job = ?", [(one,) for one in old])
            connection.executemany("DELETE FROM job WHERE id = ?", [(one,) for one in old])
            connection.execute("DELETE FROM saved_plan WHERE created_at < ?", (self._clock.now().wall - 7 * 86400,))

        await self._store.call(work, durable=False)

    # -- plans -----------------------------------------------------------------------------------------------------

    async def save_plan(self, name: str, items: Sequence[NewItem]) -> None:
        now = self._clock.now().wall
        rows = [
            (name, number, one.device, one.channel, one.template, one.digest, now) for number, one in enumerate(items)
        ]
        await self._store.call(lambda c: c.executemany("INSERT INTO saved_plan VALUES (?,?,?,?,?,?,?)", rows) and None)

    async def saved_plan(self, name: str) -> list[NewItem]:
        """Empty when there is none of that name."""
        return await self._store.read(
            lambda connection: [
                NewItem(device, channel, template, digest=digest)
                for device, channel, template, digest in connection.execute(
                    "SELECT device, channel, template, digest FROM saved_plan WHERE id = ? ORDER BY number", (name,)
                )
            ]
        )

    # -- rows ------------------------------------------------------------------------------------------------------

    async def _set(self, item: Item, what: str, values: tuple[Any, ...], *, durable: bool = True) -> None:
        await self._store.call(
            lambda c: (
                c.execute(
                    f"UPDATE job_item SET {what} WHERE job = ? AND number = ?",  # noqa: S608
                    (*values, item.job, item.number),
                )
                and None
            ),
            durable=durable,
        )

    async def _jobs(self, where: str, values: tuple[Any, ...]) -> list[Job]:
        return await self._store.read(
            lambda connection: [
                _job(row)
                for row in connection.execute(f"SELECT {_JOB} FROM job {where}", values)  # noqa: S608
            ]
        )

    async def _items(self, where: str, values: tuple[Any, ...]) -> list[Item]:
        return await self._store.read(
            lambda connection: [
                _item(row)
                for row in connection.execute(f"SELECT {_ITEM} FROM job_item {where}", values)  # noqa: S608
            ]
        )


def _job(row: tuple[Any, ...]) -> Job:
    told = dict(zip(_JOB.split(", "), row, strict=True))
    initiator, params = Initiator(**json.loads(told["initiator"])), json.loads(told["params"])
    return Job(**{**told, "initiator": initiator, "params": params})


def _item(row: tuple[Any, ...]) -> Item:
    told = dict(zip(_ITEM.split(", "), row, strict=True))
    changes = tuple(
        (path, before, after, secret) for path, before, after, secret in json.loads(told["changes"] or "[]")
    )
    backup = json.loads(told["backup"]) if told["backup"] else None
    return Item(**{**told, "changes": changes, "backup": backup, "owed": bool(told["owed"])})
