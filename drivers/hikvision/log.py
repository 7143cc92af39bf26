"""The panel's own log of access events (AcsEvent): what was told by nobody is found there, from where we had come to.

How far we are lives in `io.memory`, as the time and the number of the last event that was told, so that a restart of
the bridge repeats nothing and misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bridge.driver import DriverIO
from bridge.errors import ProtocolError
from drivers.hikvision.api import Api
from drivers.hikvision.messages import Message, Messages
from drivers.hikvision.words import inner, local_time, moment, whole

ACS_EVENT = "/ISAPI/AccessControl/AcsEvent"
PAGE = 30  # what panels give at once, at most
PAGES = 10  # in one go; what is left comes with the next
AHEAD = 60.0  # seconds: the end of what is asked for, because clocks differ
_PLACE = "log"  # in io.memory


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in the log. `at` in seconds by the panel's clock; `serial` is -1 for before all of that second."""

    at: float
    serial: int = -1


class Log:
    __slots__ = ("_api", "_first", "_io", "_kept", "_told", "place", "unsure")

    def __init__(self, api: Api, io: DriverIO) -> None:
        self._api = api
        self._io = io
        self._kept = self.place = _read(io.memory.get(_PLACE))
        self._first = self.place is None
        self._told: Place | None = None  # the newest that was told by whatever way
        self.unsure = True  # events may be in the log that nobody told

    def told(self, at: float, serial: int) -> None:
        """The panel has told this event by itself. Where it is not the next one of the log, the log is to be read."""
        here = Place(at, serial)
        self._told = here if self._told is None else max(self._told, here)
        if not self.unsure and self.place is not None and serial == self.place.serial + 1 and at >= self.place.at:
            self.place = here
        else:
            self.unsure = True

    def knows(self, message: Message) -> bool:
        """Whether it was told in an earlier life of this bridge."""
        at, place = message.event.source_time, self.place
        if self._first or at is None or message.serial is None or place is None:
            return False
        return Place(at, message.serial) <= place

    async def keep(self) -> None:
        """Remember how far we are. To be called when what was told has been taken."""
        if self.place != self._kept and self.place is not None:
            await self._io.memory.put(_PLACE, f"{self.place.at:.0f} {self.place.serial}")
            self._kept = self.place

    async def news(self, messages: Messages, now: float) -> tuple[list[Message], bool]:
        """What the log has from where we are on, oldest first, and whether there is more. `now` by the panel's clock.
        At first contact nothing: history is not news."""
        found: list[Message] = []
        never = self.place is None or self.place.at > now + 2 * AHEAD  # or its clock was set back
        if self.place is None or never:
            self.place = Place(float(int(now)))
        begin = self.place
        search = f"{self._io.random.getrandbits(64):016x}"
        for entry in await self._entries(search, begin.at, now + AHEAD, messages.zone):
            at, serial = moment(entry.get("time"), messages.zone), whole(entry.get("serialNo"))
            if at is None or serial is None:
                continue
            here = Place(at, serial)
            if here > begin:
                self.place = max(self.place, here)
                found += () if never else _messages(messages, entry)
        more = len(found) >= PAGE * PAGES
        if not more:
            self.unsure = False
            if self._told is not None:
                self.place, self._told = max(self.place, self._told), None
        return found, more

    async def _entries(self, search: str, begin: float, end: float, zone: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        for _ in range(PAGES):
            condition = {
                "searchID": search,
                "searchResultPosition": len(entries),
                "maxResults": PAGE,
                "major": 0,
                "minor": 0,
                "startTime": local_time(begin, zone),
                "endTime": local_time(end, zone),
            }
            answer = inner(await self._api.search(ACS_EVENT, {"AcsEventCond": condition}), "AcsEvent")
            page = answer.get("InfoList")
            page = [one for one in page if isinstance(one, dict)][:PAGE] if isinstance(page, list) else []
            entries += page
            if answer.get("responseStatusStrg") != "MORE" or not page:
                break
        return entries


def _messages(messages: Messages, entry: dict[str, Any]) -> Iterator[Message]:
    try:
        yield from messages.access(entry, str(entry.get("time")))
    except ProtocolError:  # one entry that cannot be read is no reason to stop at it for ever
        messages.ignored += 1


def _read(text: str | None) -> Place | None:
    at, _, serial = (text or "").partition(" ")
    place = whole(at), whole(serial)
    return None if place[0] is None or place[1] is None else Place(float(place[0]), place[1])
