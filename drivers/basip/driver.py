"""The BAS-IP driver: a panel that is asked over its REST API, and reports by syslog, by HTTP or in its log."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from bridge.driver import Driver, DriverIO
from bridge.errors import AuthFailed, ProtocolError, Rejected, Unsupported
from bridge.model import (
    Capability,
    Channel,
    Command,
    Device,
    DeviceEvent,
    EventKind,
    Fact,
    Identity,
    Kind,
    Reading,
    Result,
    Rung,
)
from bridge.settings.plan import Configuration, Step
from drivers.basip import settings as table
from drivers.basip import target, zones
from drivers.basip.api import PICTURE_LIMIT, Api, Forbidden, Info, NotThere, number, text
from drivers.basip.calls import Calls
from drivers.basip.config import BasIpConfig
from drivers.basip.events import from_entry
from drivers.basip.logbook import Logbook
from drivers.basip.models import model_of
from drivers.basip.reports import Reports
from drivers.transports.inbox import Inbox

# How often, in seconds, it is looked whether the panel still reports to us; what it did not report is read then, too.
CHECK = 60.0
# How often its log is read where it reports in no other way.
READ = 5.0
# What is in the log is left alone for so long, seconds, because the report of it may be on its way.
SETTLING = 5.0
# Every so many polls it is asked who it is and what time it has.
SELDOM = 10
# Events that the panel had kept while we were away come all at once.
BOUND = 10_000
FRESH = 60.0
# A line has whole seconds, and the log has milliseconds.
SAME_SECOND = 1.0
_LOG, _REPORTED = "log", "reported"  # in io.memory
_SIP, _DOOR = "/sip/status", "/access/door/status"


class BasIpDriver(Driver[BasIpConfig]):
    name: ClassVar[str] = "basip"
    stability: ClassVar[str] = "beta"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.EVENTS, Capability.SETTINGS, Capability.REBOOT, Capability.OPEN_DOOR, Capability.SNAPSHOT}
    )
    Config = BasIpConfig
    settings: ClassVar[Mapping[str, str]] = table.OPERATIONS
    VendorSettings = table.BasIpSettings

    __slots__ = ("_api", "_facts", "_inbox", "_info", "_lacks", "_locks", "_offset", "_polls", "_reports", "_zone")

    def __init__(self, device: Device, config: BasIpConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._api = Api(device, config, io)
        self._info: Info | None = None  # who it was when it was last asked
        self._locks = 0
        self._lacks: set[str] = set()  # what it was asked for and has not
        self._offset = 0.0  # the panel's clock minus ours, seconds
        self._zone: float | None = None  # its time zone, seconds east of UTC
        self._facts: dict[str, Fact] = {}
        self._polls = 0
        self._inbox: Inbox | None = None
        self._reports: Reports | None = None

    async def close(self) -> None:
        self._hang_up()
        await self._api.log_out()

    async def release(self) -> None:
        await target.release(self._api, self.io)

    def _hang_up(self) -> None:
        """Hear nothing more; whoever waits in events() stops waiting."""
        reports, self._reports = self._reports, None
        inbox, self._inbox = self._inbox, None
        if reports is not None:
            reports.close()
        if inbox is not None:
            with suppress(asyncio.QueueFull):
                inbox.put(_OVER)

    # -- who it is, and how --------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        info = self._info = await self._api.info()
        self._lacks.clear()
        mac = text((await self._maybe("/network/mac")).get("mac_address"), 17).lower().replace("-", ":")
        model = model_of(info.model)
        locks = (await self._maybe("/access/general/lock/type")).get("locks")
        self._locks = min(len(locks), 8) if isinstance(locks, list) and locks else model.locks
        self._polls = 0
        capabilities = set(self.capabilities)
        if not model.camera:
            capabilities.discard(Capability.SNAPSHOT)
        if self.config.events == "off":
            capabilities.discard(Capability.EVENTS)
            await target.release(self._api, self.io)
        return Identity(
            "BAS-IP",
            info.model,
            info.firmware,
            info.serial,
            info.hardware,
            (mac,) if _MAC.fullmatch(mac) else (),
            frozenset(capabilities),
        )

    async def _maybe(self, path: str) -> dict[str, Any]:
        """What it answers; nothing where this model or firmware has nothing there, which is then not asked again."""
        if path in self._lacks:
            return {}
        try:
            return await self._api.get(path)
        except Forbidden:
            raise AuthFailed("this account may not read its state: give an administrator's in the inventory") from None
        except (NotThere, Rejected):
            self._lacks.add(path)
            return {}

    async def poll(self) -> Reading:
        """Two requests, and every tenth time two more."""
        if self._polls % SELDOM == 0:
            self._info = await self._api.info()
            await self._look_at_clock()
        self._polls += 1
        status = text((await self._maybe(_SIP)).get("sip_status"), 32).upper()
        if status:
            self._facts |= {"sip_registered": status == "OK", "sip_status": status.lower()}
        door = await self._maybe(_DOOR)  # its input may be used for a button as well
        if door.get("status") in ("open", "closed") and door.get("mode") in (None, "", "door_sensor"):
            self._facts["door"] = str(door["status"])
        else:
            self._facts.pop("door", None)
        if {_SIP, _DOOR} <= self._lacks:
            await self._look_at_clock()  # something has to show that it takes our login
        info = self._info
        mark = f"{info.serial} {info.firmware}" if info is not None else ""
        return Reading(Rung.READY, facts={**self._facts, **self._event_facts()}, mark=mark)

    async def _look_at_clock(self) -> None:
        answer = await self._maybe("/device/time")
        told = next((at for key in _CLOCKS if (at := number(answer.get(key))) is not None and at > 0), None)
        if told is not None:
            self._offset = (told / 1000 if told > 1e11 else told) - self.io.clock.now().wall
            self._facts["clock_offset"] = round(self._offset, 1)
            if self._inbox is not None:
                self._inbox.offset = self._offset
        minutes = zones.offset(text(answer.get("device_timezone")) or text(answer.get("timezone")))
        self._zone = None if minutes is None else minutes * 60.0

    def _event_facts(self) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        if self._inbox is not None and self._reports is not None:
            facts["events_via"] = self._reports.way
            facts |= {"events_repeated": self._inbox.repeated} if self._inbox.repeated else {}
            facts |= {"events_late": self._inbox.late} if self._inbox.late else {}
            facts |= {"events_unreported": self._reports.unreported} if self._reports.unreported else {}
        return facts

    # -- what it reports -----------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self.config.events == "off":
            raise Unsupported("the inventory says events: off")
        self._hang_up()
        await self._look_at_clock()
        inbox = self._inbox = Inbox(self.io, fresh=FRESH, bound=BOUND)
        inbox.offset = self._offset
        reports = self._reports = Reports(self._api, self.device, self.io, self.config, inbox)
        book = Logbook(self._api, self.io.memory.get(_LOG))
        if (at := number_of(self.io.memory.get(_REPORTED))) is not None:
            book.skip_to(at + SAME_SECOND)
        calls = Calls()
        restarts = self._api.restarts
        try:
            reports.zone = self._zone
            # The log first: what happens from here on is in it, be it reported or not.
            await book.start()
            await self.io.memory.put(_LOG, book.position)
            await reports.stand()
            yield DeviceEvent(EventKind.RESYNC)
            check_at, read_at = self._from_now(CHECK), self._now()
            while True:
                until = min(check_at, read_at, calls.over_at if calls.over_at is not None else check_at)
                event = await inbox.get(max(0.0, until - self._now()))
                if self._inbox is not inbox:
                    return  # close()
                if event is not None:
                    for one in self._followed(event, calls):
                        yield one
                    if not len(inbox) and reports.reported is not None:
                        await self.io.memory.put(_REPORTED, f"{reports.reported:.3f}")
                now = self._now()
                if (over := calls.timed_out(now)) is not None:
                    yield over
                if now >= check_at:
                    check_at = self._from_now(CHECK)
                    await self._look_at_clock()
                    reports.zone = self._zone
                    if await reports.stand():
                        yield DeviceEvent(EventKind.RESYNC)  # it has not reported for a while
                # While reports come in, the log can wait.
                if now >= read_at and (not len(inbox) or now >= read_at + CHECK):
                    silent = reports.way == "log"
                    read_at = self._from_now(READ if silent else CHECK)
                    entries, missing = await book.news(self._device_now() - (0.0 if silent else SETTLING))
                    if missing or restarts != self._api.restarts:
                        restarts = self._api.restarts
                        yield DeviceEvent(EventKind.RESYNC)
                    for entry in entries:
                        event = from_entry(entry, self._channel)
                        if event is None or not reports.untold(event):
                            continue
                        inbox.put(event)
                        while (queued := await inbox.get(0)) is not None:
                            for one in self._followed(queued, calls):
                                yield one
                    if entries or missing:
                        await self.io.memory.put(_LOG, book.position)
        finally:
            self._hang_up()

    def _followed(self, event: DeviceEvent, calls: Calls) -> list[DeviceEvent]:
        found = list(calls.heard(event, self._now()))
        if event.kind is EventKind.REBOOT and not event.replayed:
            found.insert(0, DeviceEvent(EventKind.RESYNC))  # whatever was known from before is hearsay
        return found

    def _device_now(self) -> float:
        return self.io.clock.now().wall + self._offset + 1.0

    def _now(self) -> float:
        return self.io.clock.now().mono

    def _from_now(self, seconds: float) -> float:
        return self._now() + seconds * self.io.random.uniform(0.8, 1.0)

    @property
    def _channel(self) -> str:
        return self.device.channels[0].key

    # -- what it is set to ---------------------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        return await table.read(self._api, self.io, sections)

    async def apply(self, channel: Channel, step: Step) -> bool:
        await table.apply(self._api, self.io, step)
        return False

    # -- what it is told to do -----------------------------------------------------------------------------------

    async def command(self, command: Command) -> Result:
        match command.action:
            case Capability.OPEN_DOOR:
                return await self._open(command.arguments.get("output", 1))
            case Capability.REBOOT:
                await self._api.run("/system/reboot/run")
                return Result("it reboots")
            case Capability.SNAPSHOT:
                return await self._picture()
            case _:
                raise Unsupported(f"BAS-IP panels know no {command.action}")

    async def _open(self, output: Fact) -> Result:
        # 0 would be both locks at once, which nobody is asked for.
        if isinstance(output, bool) or not isinstance(output, int) or not 1 <= output <= max(self._locks, 1):
            raise Rejected(f"it has no lock {output}: there are 1 to {max(self._locks, 1)}")
        known, now = self._info, await self._api.info()
        if known is not None and known.serial != now.serial:
            raise Rejected("another panel answers at its address: no door was opened")
        await self._api.run(f"/access/general/lock/open/remote/accepted/{output}")
        return Result(f"lock {output} was opened")

    async def _picture(self) -> Result:
        reply = await self._api.reply("GET", "/photo/file", limit=PICTURE_LIMIT)
        for data in (reply.body, _from_base64(reply.body)):
            kind = next((kind for start, kind in _PICTURES if data.startswith(start)), None)
            if kind is not None:
                return Result(f"{len(data) >> 10} KB", data, kind)
        raise ProtocolError("what it sends is no picture", reply.body)


_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_OVER = DeviceEvent(EventKind.RESYNC)
# The names that firmware has for its clock, Unix time.
_CLOCKS = ("device_time_unix", "time_unix", "timestamp", "device_time", "time")
_PICTURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG", "image/png"))


def _from_base64(body: bytes) -> bytes:
    """Some firmware sends its pictures as text, with quotes or as a data: URL."""
    told = body.strip().strip(b'"')
    try:
        return base64.b64decode(told.rpartition(b",")[2].replace(b"\\/", b"/"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def number_of(told: str | None) -> float | None:
    try:
        return None if told is None else float(told)
    except ValueError:
        return None
