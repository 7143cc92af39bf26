"""What a panel reports while somebody listens: three ways in, one queue out, each thing once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from bridge.driver import CallbackRequest, DriverIO
from bridge.model import DeviceEvent, EventKind
from bridge.syslog.message import Line
from drivers.akuvox import actions, calls, doorlog, lines, zones
from drivers.akuvox.api import Api
from drivers.akuvox.registration import Standing
from drivers.akuvox.told import CallSignal, Once, Told, Way
from drivers.transports.inbox import Inbox

TOGETHER = 10.0  # seconds within which all live ways tell of one thing
FRESH = 90.0  # seconds: what the door log alone told is that old at most
PAGES = 10  # of the door log at one look
PAGE = 10
LIVE = 20  # things that are remembered over a restart
_CURSOR, _LIVE = "doorlog", "live"  # in io.memory: the cursor, and what was told since it was set


class Listening:
    """One panel, from the beginning of `events()` to its end."""

    __slots__ = (
        "_api", "_call", "_channel", "_cursor", "_io", "_kept", "_looked_at", "_once", "_serial", "_standing",
        "heard_lines", "ignored", "inbox", "repeated",
    )  # fmt: skip

    def __init__(self, api: Api, standing: Standing, io: DriverIO, channel: str, serial: str) -> None:
        self._api = api
        self._standing = standing
        self._io = io
        self._channel = channel
        self._serial = serial
        self._once = Once()
        self._call: calls.Call | None = None
        self._cursor: doorlog.Cursor | None = None
        self._looked_at = 0.0
        self._kept = io.memory.get(_LIVE)
        for kind, detail in _pairs(self._kept):
            self._once.told_live(kind, detail, io.clock.now().mono)
        self.inbox = Inbox(io, fresh=FRESH)
        self.heard_lines = False
        self.ignored = 0  # noise
        self.repeated = 0  # told by another way before

    # -- in ------------------------------------------------------------------------------------------------------

    def line(self, line: Line) -> None:
        """For the syslog listener."""
        self.heard_lines = True
        told = lines.meaning(line, self._time_of(line))
        if told is None:
            self.ignored += 1
        else:
            self._take(told, Way.LINE, TOGETHER, hint=line.hint)

    async def called(self, call: CallbackRequest) -> None:
        """For the callback listener."""
        name, mac, told = actions.parse(call.query)
        if mac and self._serial and mac != self._serial:
            # A configuration that was copied to another panel behind the same router calls here, too.
            self.ignored += 1
            return
        self._take(actions.meaning(name, told), Way.URL, TOGETHER)

    async def read_log(self) -> None:
        """What of the door log is new. At the first look of all, nothing is: it is history."""
        first_look, before = self._cursor is None, self._cursor or doorlog.Cursor.parse(self._io.memory.get(_CURSOR))
        entries = await self._entries(before)
        cursor = doorlog.advanced(before or doorlog.Cursor(), entries)
        window = self._io.clock.now().mono - self._looked_at + TOGETHER
        if before is not None:
            for one in doorlog.newer(entries, before):
                at = zones.moment(one.moment, self._standing.zone) if one.moment else None
                told = doorlog.told(one, at)
                if at is None and first_look:
                    told = replace(told, event=replace(told.event, replayed=True))
                self._take(told, Way.LOG, window)
        self._looked_at = self._io.clock.now().mono
        if cursor != before:
            await self._io.memory.put(_CURSOR, str(cursor))
        self._cursor = cursor
        await self.keep()

    async def keep(self) -> None:
        """What was told and the door log still has to tell, so that after a restart it is not told again."""
        live = self._once.live(self._looked_at - TOGETHER)[-LIVE:]
        kept = json.dumps(live) if live else None
        if kept != self._kept:
            self._kept = kept
            await self._io.memory.put(_LIVE, kept)

    async def _entries(self, since: doorlog.Cursor | None) -> list[doorlog.Entry]:
        """The newest ones, back to what is known."""
        found: dict[tuple[int | None, str, str], doorlog.Entry] = {}
        for page in range(1, PAGES + 1):
            items = [doorlog.entry(item) for item in await self._api.door_log(page)]
            # While pages are read, an entry may move on to the next one.
            found |= {(one.number, one.stamp, one.code): one for one in items}
            if since is None or len(items) < PAGE or len(doorlog.newer(items, since)) < len(items):
                break
        return list(found.values())

    # -- out -----------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """A call of which nothing was heard for long is over."""
        self._call, ended = calls.expired(self._call, self._io.clock.now().mono)
        self._put(ended)

    @property
    def call_ends_at(self) -> float | None:
        """When, monotonic, the present call is over if nothing more is heard."""
        return None if self._call is None else self._call.heard + calls.SILENCE

    def resync(self) -> None:
        """What was known from events is hearsay."""
        self._call = None
        self._put([DeviceEvent(EventKind.RESYNC)])

    def wake(self) -> None:
        """Let who waits for the queue look around. A full queue is not waited for."""
        with suppress(asyncio.QueueFull):
            self.inbox.put(DeviceEvent(EventKind.RESYNC, initial=True))

    def _take(self, told: Told | CallSignal, way: Way, window: float, *, hint: bool = False) -> None:
        now = self._io.clock.now().mono
        if isinstance(told, CallSignal):
            self._call, events = calls.step(self._call, told, now)
            self._put(events)
        elif not hint and not self._once.is_news(told, way, now, window):
            self.repeated += 1
        else:
            self._put([replace(told.event, hint=hint)])

    def _put(self, events: Iterable[DeviceEvent]) -> None:
        for event in events:
            channel = None if event.kind is EventKind.RESYNC else self._channel
            self.inbox.put(replace(event, channel=channel))

    def _time_of(self, line: Line) -> float | None:
        if line.time is not None or line.local is None:
            return line.time
        year, month, day, clock = line.local
        now = self._io.clock.now().wall + self.inbox.offset
        local = (
            datetime.fromisoformat(f"{year}-{month:02}-{day:02} {clock}")
            if year is not None
            else zones.nearest_year(month, day, clock, now)
        )
        return None if local is None else zones.moment(local, self._standing.zone)


def _pairs(text: str | None) -> list[tuple[str, str]]:
    try:
        return [(str(kind), str(detail)) for kind, detail in json.loads(text or "[]")]
    except (ValueError, TypeError):
        return []
