"""What a sink is, and the pump that feeds it from the outbox: in order, one batch in flight, never giving up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import structlog

from bridge import backoff
from bridge.clock import Clock
from bridge.metrics import Metrics
from bridge.pushes.catalogue import with_socket
from bridge.store.store import OutboxRow, SinkRow, Store
from bridge.store.writer import StoreError

RETRY_FIRST = 0.5
RETRY_CAP = 60.0

T = TypeVar("T")
log = structlog.get_logger("delivery")


class TryAgain(Exception):
    """Nothing of the batch is known to be delivered.

    `unknown` says that the server may have taken it all the same: the answer got lost. `after` is the server's own
    word on when to come back, in seconds.
    """

    def __init__(self, detail: str, *, after: float | None = None, unknown: bool = False) -> None:
        super().__init__(detail)
        self.after = after
        self.unknown = unknown


class TrySmaller(Exception):
    """Nothing of the batch was delivered and nothing is wrong with the sink: its `batch` is smaller now.

    How a sink finds the one push for which a server refuses a whole batch, without sending any of the others twice:
    each answer is noted in the store before the next request is made.
    """


Refused = Sequence[tuple[OutboxRow, str]]


class Sink(Protocol):
    """One place where pushes go."""

    name: str
    batch: int  # how many rows one `send` takes at most; looked at before each
    confirms: bool  # whether the other side confirms, so that an outcome can be unknown

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Let go of everything. Safe twice."""
        ...

    def wants(self, row: OutboxRow) -> bool:
        """Whether the row is one for this sink at all: device events are for webhooks alone."""
        ...

    async def send(self, rows: Sequence[OutboxRow]) -> Refused:
        """Deliver rows, in order. Returns those that the other side will never take, with reasons for people.
        Raises TryAgain when the batch must be sent again, TrySmaller when it must be sent in smaller parts."""
        ...

    async def check(self) -> str:
        """Reach the other side and log in, sending no push; a sentence on success. Raises TryAgain."""
        ...


def wire_body(row: OutboxRow, socket_key: str) -> str:
    """The envelope as a sink sends it; `socket_key` is page, always or never (contract, "Envelope")."""
    if socket_key == "always" or (socket_key == "page" and row.socket):
        return with_socket(row.body)
    return row.body


class Pump:
    """Moves rows from the outbox to one sink."""

    def __init__(self, sink: Sink, store: Store, metrics: Metrics, clock: Clock, rng: random.Random) -> None:
        self.sink = sink
        self._store = store
        self._clock = clock
        self._random = rng
        self._fresh = store.subscribe()
        name = sink.name
        self._delivered = metrics.delivered.labels(name)
        self._failures = metrics.delivery_failures.labels(name)
        self._unknown = metrics.unknown_outcomes.labels(name)
        self._dead = metrics.dead_letters.labels(name)
        self._stale = metrics.stale.labels(name)
        metrics.outbox_lag.labels(name).set_function(lambda: max(0, store.last_seq - self.cursor))
        self.cursor = store.last_seq
        self.failing = ""  # why, while deliveries fail
        self._idle = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            failures = 0
            place = await self._join()
            # Begun before the restart and never confirmed: those go out once more, and are counted.
            unknown_until = place.attempted
            while True:
                rows = await self._rows()
                now = self._clock.now().wall
                asked_for = [row for row in rows if self.sink.wants(row)]
                wanted = [row for row in asked_for if not row.stale(now)]
                if self.sink.confirms and wanted:
                    await self._kept(partial(self._store.attempt, self.sink.name, rows[-1].seq))
                if unknown_until > self.cursor:
                    self._unknown.inc(sum(row.seq <= unknown_until for row in rows))
                    unknown_until = 0 if rows[-1].seq >= unknown_until else unknown_until
                try:
                    refused = await self.sink.send(wanted) if wanted else ()
                except TrySmaller:
                    continue
                except Exception as error:
                    failures += 1
                    failure = error if isinstance(error, TryAgain) else self._bug(error)
                    self._failed(failure)
                    if failure.unknown:
                        unknown_until = rows[-1].seq
                    wait = backoff.delay(failures, self._random, first=RETRY_FIRST, cap=RETRY_CAP)
                    await self._clock.sleep(max(wait, failure.after or 0.0))
                    # The outbox may have reached its bound meanwhile and have moved our cursor.
                    await self._join()
                    continue
                if failures:
                    log.info("sink works again", sink=self.sink.name, failures=failures)
                failures, self.failing = 0, ""
                self._stale.inc(len(asked_for) - len(wanted))
                await self._done(rows[-1].seq, len(wanted), refused)
        finally:
            self._store.unsubscribe(self._fresh)

    async def drained(self) -> None:
        """Wait until nothing is left to deliver; used at shutdown, with a limit."""
        while self.cursor < self._store.last_seq:
            self._idle.clear()
            await self._idle.wait()

    async def _rows(self) -> list[OutboxRow]:
        while True:
            self._fresh.clear()
            rows = await self._store.outbox_after(self.cursor, self.sink.batch)
            if rows:
                return rows
            self._idle.set()
            await self._fresh.wait()

    async def _join(self) -> SinkRow:
        row = await self._kept(partial(self._store.join, self.sink.name))
        self.cursor = row.cursor
        return row

    async def _kept(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write to the store until it takes it: a cursor that is not kept would send everything twice."""
        failures = 0
        while True:
            try:
                return await write()
            except StoreError as error:
                failures += 1
                log.error("the store refuses a cursor", sink=self.sink.name, reason=str(error))
                await self._clock.sleep(backoff.delay(failures, self._random, first=RETRY_FIRST, cap=RETRY_CAP))

    async def _done(self, last: int, sent: int, refused: Refused) -> None:
        for row, reason in refused:
            self._dead.inc()
            log.error("push refused for good", sink=self.sink.name, seq=row.seq, type=row.type, reason=reason)
        self._delivered.inc(sent - len(refused))
        self.cursor = last
        await self._kept(partial(self._store.acknowledge, self.sink.name, self.cursor, refused))

    def _bug(self, error: Exception) -> TryAgain:
        """A sink that raises what it should not: its pushes stay, and the others go on."""
        failure = TryAgain(f"a bug in the sink: {error!r}", unknown=self.sink.confirms)
        if self.failing != str(failure):
            log.error("bug in a sink", sink=self.sink.name, exc_info=error)
        return failure

    def _failed(self, error: TryAgain) -> None:
        self._failures.inc()
        if not self.failing:
            log.warning("sink fails; pushes wait in the outbox", sink=self.sink.name, reason=str(error))
        self.failing = str(error)
