"""The panel's own log of access events (AcsEvent): what was told by nobody is found there, from where we had come to.

How far we are lives in `io.memory`, as the time and the number of the last event that was told, so that a restart of
the bridge repeats nothing and misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.driver import DriverIO
from bridge.errors import ProtocolError
from drivers.hikvision.api import Api
from drivers.hikvision.messages import Message, Messages
from drivers.hikvision.words import inner, local_time, moment, whole

ACS_EVENT = "/ISAPI/AccessControl/AcsEvent"
PAGE = 30  # what panels give at once, at most
AT_ONCE = 300  # events in one go; what is left comes with the next
LONGEST = 10_000  # entries that are looked through for them
BEYOND = 64  # events that are remembered as told beyond a gap
AHEAD = 60.0  # seconds: the end of what is asked for, because clocks differ
_PLACE = "log"  # in io.memory


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in the log. `at` in seconds by the panel's clock; `serial` is -1 for before all of that second."""

    at: float
    serial: int = -1


class Log:
    """`unsure`: events may be in the log that nobody has told."""

    __slots__ = ("_ahead", "_api", "_first", "_io", "_kept", "place", "unsure")

    def __init__(self, api: Api, io: DriverIO) -> None:
        self._api = api
        self._io = io
        self._kept = io.memory.get(_PLACE) or ""
        # Up to where all was told, and what was told beyond that: times by numbers.
        self.place, self._ahead = _read(self._kept)
        self._first = self.place is None
        self.unsure = True

    def told(self, at: float, serial: int) -> None:
        """The panel has told this event by itself. Where it is not the next one of the log, the log is to be read."""
        self._ahead[serial] = at
        if len(self._ahead) > BEYOND:
            del self._ahead[next(iter(self._ahead))]
        while self.place is not None and (following := self._ahead.get(self.place.serial + 1)) is not None:
            if following < self.place.at:
                break
            self._pass(Place(following, self.place.serial + 1))
        self.unsure |= bool(self._ahead)

    def knows(self, message: Message) -> bool:
        """Whether it was told in an earlier life of this bridge."""
        at, serial, place = message.event.source_time, message.serial, self.place
        if self._first or at is None or serial is None or place is None:
            return False
        return Place(at, serial) <= place or self._ahead.get(serial) == at

    async def keep(self) -> None:
        """Remember how far we are. To be called when what was told has been taken."""
        if self.place is not None and (text := _text(self.place, self._ahead)) != self._kept:
            await self._io.memory.put(_PLACE, text)
            self._kept = text

    async def news(self, messages: Messages, now: float, settle: float) -> tuple[list[Message], bool]:
        """What the log has that nobody has told, oldest first, and whether there is more. `now` by the panel's clock;
        what is younger than `settle` seconds may still be on its way, and is left for the next time. At first contact
        nothing: history is not news."""
        found: list[Message] = []
        never = self.place is None or self.place.at > now + 2 * AHEAD  # or its clock was set back
        if self.place is None or never:
            self.place = Place(float(int(now)))
        begin, self.unsure = self.place, False
        search = f"{self._io.random.getrandbits(64):016x}"
        entries = await self._entries(search, begin, now + AHEAD, messages.zone)
        for here, entry in entries:
            if never or self._ahead.get(here.serial) == here.at:
                pass
            elif here.at > now - settle:
                self.unsure = True
                return found, False
            else:
                found += _messages(messages, entry)
            self._pass(here)
        return found, len(entries) >= AT_ONCE

    def _pass(self, place: Place) -> None:
        self.place = place if self.place is None else max(self.place, place)
        self._ahead = {serial: at for serial, at in self._ahead.items() if Place(at, serial) > self.place}

    async def _entries(self, search: str, begin: Place, end: float, zone: int) -> list[tuple[Place, dict[str, Any]]]:
        """Those behind `begin`, page by page."""
        entries: list[tuple[Place, dict[str, Any]]] = []
        position = 0
        while len(entries) < AT_ONCE and position < LONGEST:
            condition = {
                "searchID": search,
                "searchResultPosition": position,
                "maxResults": PAGE,
                "major": 0,
                "minor": 0,
                "startTime": local_time(begin.at, zone),
                "endTime": local_time(end, zone),
            }
            answer = inner(await self._api.search(ACS_EVENT, {"AcsEventCond": condition}), "AcsEvent")
            page = answer.get("InfoList")
            page = page[:PAGE] if isinstance(page, list) else []
            for entry in (one for one in page if isinstance(one, dict)):
                at, serial = moment(entry.get("time"), zone), whole(entry.get("serialNo"))
                if at is not None and serial is not None and Place(at, serial) > begin:
                    entries.append((Place(at, serial), entry))
            position += len(page)
            if answer.get("responseStatusStrg") != "MORE" or not page:
                break
        return entries


def _messages(messages: Messages, entry: dict[str, Any]) -> Iterator[Message]:
    try:
        yield from messages.access(entry, str(entry.get("time")))
    except ProtocolError:  # one entry that cannot be read is no reason to stop at it for ever
        messages.ignored += 1


def _text(place: Place, ahead: Mapping[int, float]) -> str:
    return " ".join(
        f"{at:.0f}:{serial}" for at, serial in [(place.at, place.serial), *((b, a) for a, b in ahead.items())]
    )


def _read(text: str) -> tuple[Place | None, dict[int, float]]:
    pairs = [(whole(at), whole(serial)) for at, _, serial in (word.partition(":") for word in text.split())]
    known = [Place(float(at), serial) for at, serial in pairs if at is not None and serial is not None]
    return (known[0] if known else None), {one.serial: one.at for one in known[1:]}
