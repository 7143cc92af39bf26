"""The templates in force: those of the inventory, and those that were imported, which the store keeps.

An import that is refused changes nothing; one that is taken in is there together with the push that tells it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from bridge.clock import Clock
from bridge.files import Shelf, ShelfFull
from bridge.pushes.catalogue import ExportConfig, ImportConfig
from bridge.secrets import Secret
from bridge.settings.exchange import Format, Imported, InvalidImport, read, written
from bridge.settings.templates import Template
from bridge.store.store import OutboxEntry, Store, outbox_entries

Also = Callable[[sqlite3.Connection], Sequence[OutboxEntry]]

TOLD = 5  # errors or templates that a push names; it must fit into 10,000 bytes
TOLD_CHARACTERS = 300  # of each
CONTENT_TYPES: Mapping[Format, str] = {
    "yaml": "application/yaml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

log = structlog.get_logger("templates")


def _nothing(connection: sqlite3.Connection) -> Sequence[OutboxEntry]:
    return ()


class Library:
    """`current` is what others hold on to: a reload or an import replaces what it returns. `learn` is told all secrets
    of imported templates, so that no text shows them."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        learn: Callable[[Iterable[Secret]], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._store = store
        self._clock = clock
        self._learn = learn
        self._environ = environ
        self._own: dict[int, Template] = {}
        self._imported: dict[int, Template] = {}
        self._current: Mapping[int, Template] = {}
        self._changing = asyncio.Lock()

    async def open(self, own: Iterable[Template]) -> None:
        """Take the inventory's templates, and those that were imported in former lives. One that can no longer be read
        (its variable is gone, or its driver) stays out, with an error in the log, until it can. Raises StoreError."""
        query = "SELECT id, document FROM template"
        for number, text in await self._store.read(lambda connection: connection.execute(query).fetchall()):
            try:
                found = await asyncio.to_thread(read, text.encode(), f"template {number}", environ=self._environ)
            except InvalidImport as error:
                problems = [str(one).partition(": ")[2] for one in error.problems]
                log.error("imported template left out", template=number, problems=problems)
                continue
            self._learn(found.secrets)
            self._imported |= {one.id: one for one in found.templates}
        self.take(own)

    def take(self, own: Iterable[Template]) -> None:
        """Templates of a new inventory, in the place of the old one's."""
        self._own = {template.id: template for template in own}
        for number in self._own.keys() & self._imported.keys():
            log.warning("the inventory's template is used, not the imported one", template=number)
        self._current = {**self._imported, **self._own}

    def current(self) -> Mapping[int, Template]:
        """All templates by id."""
        return self._current

    def imported(self) -> Mapping[int, Template]:
        """Those that were imported, by id."""
        return dict(self._imported)

    async def import_file(self, data: bytes, file: str, user: int | None, also: Also = _nothing) -> ImportConfig | None:
        """Take in the templates of an uploaded file, all or none, and tell the user. `file` is its name for people.

        Templates, push, and what `also` does (the end of the job) are one transaction. Returns the push, None where
        there is nobody to hear it; raises InvalidImport after a refused file is told, and StoreError.
        """
        async with self._changing:
            try:
                found = await asyncio.to_thread(read, data, file, environ=self._environ, taken=self._own)
            except InvalidImport as error:
                push = _push(user, "error", refusal(error))
                await self._store.write(lambda connection: [*also(connection), *_entries(push)])
                raise
            push = _push(user, "ok", taken_in(found))
            now = self._clock.now().wall
            rows = [(one.id, written([one], "yaml").decode(), now, user) for one in found.templates]

            def work(connection: sqlite3.Connection) -> Sequence[OutboxEntry]:
                connection.executemany("INSERT OR REPLACE INTO template VALUES (?, ?, ?, ?)", rows)
                return [*also(connection), *_entries(push)]

            self._learn(found.secrets)
            await self._store.write(work)
            self._imported |= {template.id: template for template in found.templates}
            self.take(self._own.values())
            return push

    async def remove(self, number: int) -> bool:
        """Forget an imported template; whether there was one. Raises StoreError."""
        async with self._changing:

            def work(connection: sqlite3.Connection) -> bool:
                return connection.execute("DELETE FROM template WHERE id = ?", (number,)).rowcount > 0

            removed = await self._store.call(work)
            self._imported.pop(number, None)
            self.take(self._own.values())
            return removed


async def export(
    shelf: Shelf,
    store: Store,
    templates: Sequence[Template],
    format_: Format,
    user: int | None,
    *,
    job: int | None = None,
    also: Also = _nothing,
) -> str:
    """Write templates to a file on the shelf, tell the user, and return its URL.

    File, push, and what `also` does (the end of the job) are one transaction. Raises ValueError and ShelfFull, for
    people, and OSError, each after the failure is told; StoreError.
    """
    try:
        data = await asyncio.to_thread(written, templates, format_)
        file = await shelf.put(data, f"templates.{format_}", CONTENT_TYPES[format_], job=job)
    except (ValueError, ShelfFull, OSError):
        failed = [ExportConfig(user_id=user, status="error")] if user is not None else []
        await store.write(lambda connection: [*also(connection), *outbox_entries("", failed)])
        raise
    pushes = [ExportConfig(user_id=user, status="ok", url=file.url)] if user is not None else []
    await shelf.keep(file, lambda connection: [*also(connection), *outbox_entries("", pushes)])
    return file.url


def taken_in(found: Imported) -> str:
    """What a user hears of templates that were imported."""
    count = len(found.templates)
    names = [f"{template.id} {template.name}" for template in found.templates]
    return f"{count} {'template was' if count == 1 else 'templates were'} imported: {_listed(names, ', ')}"


def refusal(error: InvalidImport) -> str:
    """What a user hears of a file that was refused: the first errors, each with its line or cell."""
    count = len(error.problems)
    errors = "is 1 error" if count == 1 else f"are {count:,} errors"
    listed = _listed(map(str, error.problems), "\n")
    return f"nothing was imported, there {errors}: {listed}"


def _listed(texts: Iterable[str], between: str) -> str:
    whole = list(texts)
    short = [one if len(one) <= TOLD_CHARACTERS else f"{one[:TOLD_CHARACTERS]}…" for one in whole[:TOLD]]
    return between.join([*short, *([f"and {len(whole) - TOLD:,} more"] if len(whole) > TOLD else [])])


def _push(user: int | None, status: str, message: str) -> ImportConfig | None:
    return ImportConfig.model_validate({"user_id": user, "status": status, "message": message}) if user else None


def _entries(push: ImportConfig | None) -> Sequence[OutboxEntry]:
    return outbox_entries("", [push] if push else [])
