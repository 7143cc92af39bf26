"""What happened: events of devices, pushes, and how far sinks have come with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bridge.delivery.sink import Pump
from bridge.journal import Journal
from bridge.store.store import Store
from bridge.web.audit import Audit, AuditEntry
from bridge.web.routes import Call, Input, Route
from bridge.web.views import EventsView, PushesView, SinksView, sink_views

MOST = 1000  # in one answer
# The numbers of the store are SQLite's.
Number = Annotated[int, Field(ge=0, lt=2**63)]


class After(Input):
    after: Number = Field(0, description="only those with a higher number; they come oldest first")
    limit: Annotated[int, Field(ge=1, le=MOST)] = Field(MOST, description="that many at most")


class AfterEvents(After):
    device: Annotated[str, Field(max_length=200)] | None = Field(None, description="only those of this device")
    kind: Annotated[str, Field(max_length=64)] | None = Field(None, description="only those of this kind")


@dataclass(frozen=True, slots=True)
class AuditView:
    entries: tuple[AuditEntry, ...]


class Records:
    def __init__(self, store: Store, journal: Journal, audit: Audit, pumps: Callable[[], Mapping[str, Pump]]) -> None:
        self._store = store
        self._journal = journal
        self._audit = audit
        self._pumps = pumps

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/events", "What devices reported", self.events, EventsView, query=AfterEvents),
            Route("GET", "/pushes", "Pushes as they were decided", self.pushes, PushesView, query=After),
            Route("GET", "/sinks", "How far each sink has come, and what its server refused", self.sinks, SinksView),
            Route("GET", "/audit", "Who had the bridge do what", self.audit, AuditView, query=After),
        ]

    async def audit(self, call: Call) -> AuditView:
        asked: After = call.query
        return AuditView(tuple(await self._audit.after(asked.after, asked.limit)))

    async def events(self, call: Call) -> EventsView:
        asked: AfterEvents = call.query
        return EventsView(
            tuple(await self._journal.after(asked.after, asked.limit, device=asked.device, kind=asked.kind))
        )

    async def pushes(self, call: Call) -> PushesView:
        asked: After = call.query
        return PushesView(tuple(await self._store.outbox_after(asked.after, asked.limit)), self._store.last_seq)

    async def sinks(self, call: Call) -> SinksView:
        return SinksView(sink_views(self._pumps(), self._store.last_seq), tuple(await self._store.dead_letters()))
