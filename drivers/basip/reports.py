"""How a panel's reports reach us: over HTTP, over syslog, or, where it has neither, by reading its log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from bridge.driver import Callback, CallbackRequest, DriverIO, SyslogRegistration
from bridge.model import Device, DeviceEvent
from bridge.syslog.message import LINE_LIMIT, Line, parse
from drivers.basip import target
from drivers.basip.api import Api
from drivers.basip.config import BasIpConfig
from drivers.basip.events import from_line
from drivers.basip.told import COMPARED, Told
from drivers.transports.inbox import Inbox
from drivers.transports.standing import standing_callback

BODY_LIMIT = 2 << 20  # of what it kept for us while we were away
LINES = 5000  # of one POST; what is older than the last so many is in the log
# Things that were in its log and not reported, one after the other, after which its reports count as lost on the way.
DEAD = 3

Way = Literal["http", "syslog", "log"]


class Reports:
    """`way` is how they come. `zone` is the panel's time zone, in seconds east of UTC; `reported` the latest time, by
    its clock, of what was reported; `unreported` counts what only the log told."""

    __slots__ = (
        "_api",
        "_callback",
        "_config",
        "_device",
        "_inbox",
        "_io",
        "_missed",
        "_state",
        "_syslog",
        "_told",
        "_wanted",
        "reported",
        "unreported",
        "way",
        "zone",
    )

    def __init__(self, api: Api, device: Device, io: DriverIO, config: BasIpConfig, inbox: Inbox) -> None:
        self._api = api
        self._device = device
        self._io = io
        self._config = config
        self._inbox = inbox
        self._told = Told()
        self._callback: Callback | None = None
        self._syslog: SyslogRegistration | None = None
        self._wanted: target.Place | None = None
        self._state: target.State | None = None
        self._missed = 0
        self.way: Way = "log"
        self.zone: float | None = None
        self.reported: float | None = None
        self.unreported = 0

    def close(self) -> None:
        """Hear nothing more. The panel goes on reporting, so that a restart of the bridge changes nothing on it."""
        callback, self._callback = self._callback, None
        syslog, self._syslog = self._syslog, None
        for one in (callback, syslog):
            if one is not None:
                one.close()

    async def stand(self) -> bool:
        """See to it that the panel reports to us. True when it did not, although it was to, and does again."""
        if self._wanted is None:
            self._wanted = await self._listen()
        if self._wanted is None or self._state == "none":
            return False
        state = await target.stand(self._api, self._io, self._wanted)
        before, self._state = self._state, state
        if state in ("none", "foreign"):
            self.way = "log"
            if before != state:
                reason = "it has no event server" if state == "none" else "its event server is set to somebody else"
                self._io.log.info("the panel's log is read instead of its reports", reason=reason)
            return False
        if state == "written" or self._missed < DEAD:
            self._missed = 0 if state == "written" else self._missed
            self.way = self._own_way
        return state == "written" and before in ("right", "written")

    @property
    def _own_way(self) -> Way:
        return "http" if self._callback is not None else "syslog"

    async def _listen(self) -> target.Place | None:
        push, io = self._config.push, self._io
        if push in ("auto", "http") and io.callbacks is not None:
            self._callback = await standing_callback(io, self._device, self._receive, body_limit=BODY_LIMIT)
            return target.for_url(self._callback.url)
        if push in ("auto", "syslog") and io.syslog is not None:
            self._syslog = await io.syslog.register(self._device, self._hear, name=self._config.syslog_name)
            return target.Place(True, target.TAG, self._syslog.host, self._syslog.port)
        return None

    # -- what comes ------------------------------------------------------------------------------------------------

    async def _receive(self, request: CallbackRequest) -> None:
        """A POST: lines, of which there are many after it could not reach us for a while."""
        lines = [line for line in request.body.split(b"\n") if line.strip()][-LINES:]
        self._take([parse(line[:LINE_LIMIT]) for line in lines])

    def _hear(self, line: Line) -> None:
        self._take([line])

    def _take(self, lines: Sequence[Line]) -> None:
        """All of them or none, because what is refused comes again as a whole. Raises asyncio.QueueFull."""
        if len(self._inbox) and len(self._inbox) + len(lines) > LINES:
            raise asyncio.QueueFull
        self.way = self._own_way
        self._missed = 0
        same: Counter[str] = Counter()  # equal lines of one POST are several things; of another POST, the same again
        for line in lines:
            same[line.raw] += 1
            event = from_line(line, self._device.channels[0].key, self.zone)
            if event is None:
                continue
            at = event.source_time if event.source_time is not None else self._device_now()
            if self._told.already(event, at, reported=True):
                self._inbox.repeated += 1
                continue
            timed = event.source_time is not None
            self._inbox.put(event, f"{line.raw} {same[line.raw]}" if timed else None)
            self.reported = max(self.reported or 0.0, at)

    def untold(self, event: DeviceEvent) -> bool:
        """Whether something in the log is news, because it was not reported."""
        if self._callback is None and self._syslog is None:
            return True
        at = event.source_time or 0.0
        if self._told.already(event, at, reported=False):
            return False
        if self.way == "log":
            return True
        if event.kind not in COMPARED:
            return False
        self.unreported += 1
        self._missed += 1
        if self._missed == DEAD:
            self._io.log.warning("the panel's reports do not arrive: its log is read instead", way=self.way)
            self.way = "log"
        return True

    def _device_now(self) -> float:
        return self._io.clock.now().wall + self._inbox.offset
