"""What devices reported, for people, scripts and webhooks: the store's table `event`, bounded.

Pushes tell the VMS about changes of status. Motion, doors, calls, keys, inputs and vendor events have no push of their
own; they end up here, and those kinds that a webhook sink asks for go into the outbox in the same transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.clock import Clock
from bridge.model import Device, DeviceEvent, EventKind
from bridge.store.store import OutboxEntry, Store

# A door that was opened is worth an fsync, a motion is not: it survives the death of the process all the same.
DURABLE = frozenset({EventKind.DOOR, EventKind.LOCK, EventKind.CALL, EventKind.ACCESS, EventKind.TAMPER})
EVENT = "device_event"  # the type of an outbox row that is no push
_COLUMNS = "number, at, device, channel, kind, active, reason, source, source_time, topic, data, replayed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One condition that began or ended, or one momentary event. `at` and `source_time` are seconds since the
    epoch, the latter by the device's clock; `reason` is event or timeout. `replayed` marks what the device tells of
    a past that it kept: it is news to nobody but the record."""

    number: int
    at: float
    device: str
    channel: str | None
    kind: str
    active: bool | None
    reason: str = "event"
    source: str = ""
    source_time: float | None = None
    topic: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


class Journal:
    """`forwarded` are the kinds that some sink asks for; a reload may put in others."""

    def __init__(self, store: Store, clock: Clock, forwarded: frozenset[EventKind] = frozenset()) -> None:
        self._store = store
        self._clock = clock
        self.forwarded = forwarded
        self.written = 0

    async def add(self, device: Device, event: DeviceEvent, active: bool | None, reason: str = "event") -> None:
        """Keep it, and put it into the outbox where a sink asks for its kind. Raises StoreError."""
        at = self._clock.now().wall
        data = json.dumps(dict(event.data), ensure_ascii=False, separators=(",", ":"))
        values = (
            at, device.id, event.channel, str(event.kind), active, reason, event.source, event.source_time,
            event.topic, data, event.replayed,
        )  # fmt: skip
        forward = event.kind in self.forwarded

        def work(connection: sqlite3.Connection) -> list[OutboxEntry]:
            cursor = connection.execute(f"INSERT INTO event VALUES (NULL{',?' * len(values)})", values)  # noqa: S608
            entry = Entry(int(cursor.lastrowid or 0), *_read(values))
            return [OutboxEntry(device.id, EVENT, str(event.kind), "", _body(device, entry), False)] if forward else []

        await self._store.write(work, durable=event.kind in DURABLE)
        self.written += 1

    async def after(
        self, number: int, limit: int = 500, *, device: str | None = None, kind: str | None = None
    ) -> list[Entry]:
        """Entries with a higher number, oldest first."""
        return await self._store.read(
            lambda connection: [
                Entry(values[0], *_read(values[1:]))
                for values in connection.execute(
                    f"SELECT {_COLUMNS} FROM event WHERE number > ?1 AND (?2 IS NULL OR device = ?2) "  # noqa: S608
                    "AND (?3 IS NULL OR kind = ?3) ORDER BY number LIMIT ?4",
                    (number, device, kind, limit),
                )
            ]
        )

    async def prune(self, *, max_rows: int, max_age: float) -> None:
        """Delete what is older than `max_age` seconds, and the oldest beyond `max_rows`."""
        oldest = self._clock.now().wall - max_age

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?", (max_rows,))
            # In the order of their numbers: without an index on the time, and a step of the clock harms nothing.
            connection.execute(
                "DELETE FROM event WHERE number < coalesce((SELECT min(number) FROM event WHERE at >= ?1), "
                "(SELECT max(number) FROM event WHERE at < ?1) + 1)",
                (oldest,),
            )

        await self._store.call(work, durable=False)


def _read(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row without its number, as the fields of `Entry`."""
    *front, data, replayed = values
    front[4] = None if front[4] is None else bool(front[4])
    return (*front, json.loads(data), bool(replayed))


def _body(device: Device, entry: Entry) -> str:
    """What a webhook is sent."""
    channel = next((one for one in device.channels if one.key == entry.channel), None)
    told = {
        "number": entry.number,
        "at": entry.at,
        "device": {"id": device.id, "name": device.name, "kind": device.kind, "site": device.site},
        "channel": entry.channel,
        "vms_id": channel.vms.get("id") if channel else None,
        "kind": entry.kind,
        "active": entry.active,
        "reason": entry.reason,
        "source": entry.source,
        "source_time": entry.source_time,
        "topic": entry.topic,
        "data": dict(entry.data),
        "replayed": entry.replayed,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
