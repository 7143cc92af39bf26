"""The one thread that writes to the database, many callers to a transaction.

Callers hand in jobs; whatever has gathered while the last transaction was being synced to disk goes into the next
one together. No timer: at low load a job is alone and waits for one fsync, at high load hundreds share it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

BATCH = 500

T = TypeVar("T")


class StoreError(Exception):
    """The database could not take it: disk full, I/O error, ... Nothing of that job was stored."""


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    durable: bool
    then: Callable[[Any], None] | None
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs jobs on a connection of its own. `submit` is called on the event loop only."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], bound: int = 5000) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(bound)
        self._jobs: list[_Job] = []
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return len(self._jobs)

    async def submit(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        durable: bool = True,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Run `work` inside a transaction; return its result once that is committed.

        Durable work survives a power cut when this returns. Work that is not durable survives the death of the
        process, and saves the fsync. `then` is called on the event loop with the result, in the order of the
        commits, also when the caller no longer waits. Raises StoreError, and whatever `work` itself raises.
        """
        async with self._room:
            job = _Job(work, durable, then, self._loop.create_future())
            with self._wake:
                if self._closing:
                    raise StoreError("the store is closed")
                self._jobs.append(job)
                self._wake.notify()
            # A caller that is cancelled stops waiting; the job itself is not undone.
            result: T = await asyncio.shield(job.future)
            return result

    async def close(self) -> None:
        """Finish what was handed in, then stop. Safe twice."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        connection = self._connect()
        try:
            while True:
                with self._wake:
                    while not self._jobs and not self._closing:
                        self._wake.wait()
                    batch, self._jobs = self._jobs[:BATCH], self._jobs[BATCH:]
                if not batch:
                    return
                self._write(connection, batch)
                self._loop.call_soon_threadsafe(_resolve, batch)
                del batch  # hundreds of jobs, which would stay until there is something to write again
        except RuntimeError as error:
            # The loop is gone: the process is ending without having waited for the store.
            structlog.get_logger("store").warning("store writer stopped", reason=str(error))
        finally:
            connection.close()

    def _write(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        try:
            _transaction(connection, batch)
        except Exception:
            if len(batch) == 1:
                return
            # One of them spoilt it for all: each gets a transaction of its own, and its own error.
            for job in batch:
                job.error = None
                self._write(connection, [job])


def _transaction(connection: sqlite3.Connection, batch: list[_Job]) -> None:
    level = "FULL" if any(job.durable for job in batch) else "NORMAL"
    try:
        connection.execute(f"PRAGMA synchronous={level}")
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            job.result = job.work(connection)
        connection.execute("COMMIT")
    except Exception as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for job in batch:
            job.error = StoreError(str(error)) if isinstance(error, sqlite3.Error) else error
        raise


def _resolve(batch: list[_Job]) -> None:
    for job in batch:
        if job.error is None and job.then is not None:
            job.then(job.result)
        if job.future.cancelled():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
            job.future.exception()  # its caller may be gone; that is no unhandled error
