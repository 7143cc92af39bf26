"""Our channel of the intercom's event log: opened, pulled, closed. Nobody else's.

A channel is a queue that the intercom keeps for us in its memory; one that nobody pulls dies by itself. What happened
while we had none is taken from the intercom's history, from where we had left off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from bridge.driver import DriverIO
from bridge.errors import DeviceError, ProtocolError
from drivers.two_n.api import Api
from drivers.two_n.events import Entry, entry
from drivers.two_n.replies import InvalidValue

LIFETIME = 90  # seconds that a channel lives without being pulled
WAIT = 20  # seconds that a pull may wait for something to happen
BATCH = 128  # events in one answer, at most
_MOST = 10 * BATCH  # from a device that keeps to no limit
_LONGEST_GAP = 7 * 86_400
_SAME_BOOT = 10.0  # seconds by which the time of the last start may seem to differ
_CHANNEL, _CURSOR = "channel", "cursor"  # in io.memory


class Subscription:
    """`catching_up`: what comes now is history. `broken`: events so far that could not be read."""

    __slots__ = ("_api", "_channel", "_cursor", "_io", "broken", "catching_up")

    def __init__(self, api: Api, io: DriverIO) -> None:
        self._api = api
        self._io = io
        self._channel: str | None = None
        self._cursor: tuple[int, float, float] | None = None  # id and boot of the last event, and when that was (ours)
        self.broken = 0
        self.catching_up = False

    async def open(self) -> None:
        await self.close()
        self._cursor = self._cursor or _parsed(self._io.memory.get(_CURSOR))
        query: dict[str, str | int] = {"duration": LIFETIME, "include": "new"}
        now = self._io.clock.now().wall
        self.catching_up = self._cursor is not None
        if self._cursor is not None:
            gap = int(min(max(now - self._cursor[2], 0.0), _LONGEST_GAP))
            # What overlaps is known by its number, where there was one.
            query["include"] = f"-{gap + (LIFETIME if self._cursor[0] else 1)}"
        result = await self._api.ask("/api/log/subscribe", query)
        told = result.get("id") if isinstance(result, dict) else None
        if not isinstance(told, int) or isinstance(told, bool):
            raise ProtocolError("it subscribes us without saying where")
        self._channel = str(told)
        await self._io.memory.put(_CHANNEL, self._channel)
        if self._cursor is None:
            # From here on there is something to go on from, should nothing happen until the next restart.
            self._cursor = (0, 0.0, now)
            await self.note()

    async def close(self) -> None:
        """Let go of it, also of one from before a crash. Raises DeviceError when the intercom does not say that it
        did."""
        channel, self._channel = self._channel or self._io.memory.get(_CHANNEL), None
        await self.note()
        if channel is not None:
            with suppress(InvalidValue):  # it is gone, which is what we wanted
                await self._api.ask("/api/log/unsubscribe", {"id": channel})
            await self._io.memory.put(_CHANNEL, None)

    async def pull(self) -> list[Entry] | None:
        """What has happened, after a while perhaps nothing; None when the channel is gone."""
        channel = self._channel
        if channel is None:
            return None
        wait = 0 if self.catching_up else WAIT
        try:
            result = await self._api.ask("/api/log/pull", {"id": channel, "timeout": wait}, wait=wait or 0.1)
        except InvalidValue:
            if self._channel == channel:
                self._channel = None
                await self._io.memory.put(_CHANNEL, None)
            return None
        listed = result.get("events") if isinstance(result, dict) else None
        if not isinstance(listed, list):
            raise ProtocolError("its answer has no list of events")
        if len(listed) < BATCH:
            self.catching_up = self.catching_up and bool(listed)
        return list(self._fresh(listed[:_MOST]))

    def told(self, line: Entry) -> None:
        """This one has been passed on: it is not to be told again."""
        self._cursor = (line.id, line.boot, self._io.clock.now().wall)

    async def note(self) -> None:
        """Where we are, for after a restart of the bridge."""
        if self._cursor is not None:
            await self._io.memory.put(_CURSOR, " ".join(f"{one:.0f}" for one in self._cursor))

    def _fresh(self, listed: list[Any]) -> Iterator[Entry]:
        for item in listed:
            try:
                line = entry(item)
            except DeviceError:
                self.broken += 1  # one that cannot be read must not cost the others
                continue
            if not self._known(line):
                yield line

    def _known(self, line: Entry) -> bool:
        """After a restart of the intercom, ids begin anew."""
        if self._cursor is None or not self.catching_up:
            return False
        last, boot, _ = self._cursor
        return line.id <= last and abs(line.boot - boot) < _SAME_BOOT


def _parsed(told: str | None) -> tuple[int, float, float] | None:
    try:
        number, boot, at = (float(part) for part in (told or "").split())
    except ValueError:
        return None
    return int(number), boot, at
