"""The 2N driver: one IP intercom. Thin; the words of its API are beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from bridge.driver import Driver, DriverIO
from bridge.errors import DeviceError, Rejected, Unsupported
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
from bridge.settings.limits import Limit, Limits
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import flatten, section_of, unflatten
from drivers.transports.xml import Element
from drivers.two_n import replies, zones
from drivers.two_n import settings as table
from drivers.two_n.api import CONFIG_LIMIT, PICTURE_LIMIT, Api
from drivers.two_n.config import TwoNConfig
from drivers.two_n.events import Entry, Reader
from drivers.two_n.replies import Info, NoPrivilege, Switch, number
from drivers.two_n.subscription import Subscription

FRESH = 60.0  # seconds; what happened longer ago is history
LOOK_EVERY = 10  # polls from one look at who answers there to the next
SETTLES = 25.0  # seconds within which an uploaded configuration holds (the manual: about 15)
_LOOK_AGAIN = 1.0
_ABSENT = (Unsupported, NoPrivilege)
# What a unit can do is told by which functions answer.
_NEEDS: Mapping[Capability, str] = {
    Capability.EVENTS: "/api/log/caps",
    Capability.OPEN_DOOR: "/api/switch/caps",
    Capability.SNAPSHOT: "/api/camera/caps",
    Capability.REBOOT: "/api/system/status",
    Capability.SETTINGS: "/api/system/status",
}
_PHONE, _SWITCHES, _STATUS = "/api/phone/status", "/api/switch/status", "/api/system/status"


class TwoNDriver(Driver[TwoNConfig]):
    name: ClassVar[str] = "two_n"
    stability: ClassVar[str] = "beta"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(_NEEDS)
    Config = TwoNConfig
    settings: ClassVar[Mapping[str, str]] = table.OPERATIONS
    VendorSettings = table.TwoNSettings

    __slots__ = (
        "_absent",
        "_api",
        "_door",
        "_heard_at",
        "_info",
        "_late",
        "_offset",
        "_polls",
        "_reader",
        "_subscription",
        "_switches",
        "_uptime",
    )

    def __init__(self, device: Device, config: TwoNConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._api = Api(device, io, config)
        self._subscription = Subscription(self._api, io)
        self._reader = Reader(device.channels[0].key)
        self._info: Info | None = None
        self._absent: dict[str, str] = {}  # functions that this unit does not do for us, and why
        self._switches: dict[int, Switch] = {}
        self._polls = 0
        self._uptime: float | None = None
        self._offset: float | None = None  # its clock minus ours, seconds
        self._door: str | None = None
        self._heard_at = 0.0  # monotonic: when its log was last read to the end
        self._late = 0

    async def close(self) -> None:
        with suppress(DeviceError):  # a channel that nobody pulls dies by itself
            await self._subscription.close()

    # -- how it is -----------------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        info = self._info = replies.info(await self._api.ask("/api/system/info"))
        self._absent = {}
        names = replies.event_names(await self._optional("/api/log/caps"))
        self._reader.resolves = {"UserAuthenticated", "UserRejected"} <= names
        if (found := await self._optional("/api/switch/caps")) is not None:
            self._switches = {one.number: one for one in replies.switches(found).values() if one.enabled}
        await self._optional("/api/camera/caps")
        await self._optional(_STATUS)
        await self._optional(_PHONE)
        able = {one for one, path in _NEEDS.items() if path not in self._absent}
        if self.config.events == "off":
            able.discard(Capability.EVENTS)
            await self.close()  # of a channel that there may be from the time when events were wanted
        if not self._switches:
            able.discard(Capability.OPEN_DOOR)
        self._polls = 0
        return Identity(
            "2N",
            info.model,
            info.firmware,
            info.serial,
            info.hardware,
            (info.mac,) if info.mac else (),
            frozenset(able),
        )

    async def poll(self) -> Reading:
        facts: dict[str, Fact] = {}
        status = await self._optional(_STATUS)
        before = self._uptime
        if isinstance(status, dict):
            facts |= self._read_status(status)
        restarted = before is not None and self._uptime is not None and self._uptime < before
        if self._info is None or status is None or restarted or self._polls % LOOK_EVERY == LOOK_EVERY - 1:
            self._info = replies.info(await self._api.ask("/api/system/info"))
        self._polls += 1
        if (found := await self._optional(_SWITCHES)) is not None:
            locks = replies.locks(found)
            facts |= {f"lock_{one}": locks[one] for one in sorted(self._switches) if one in locks}
        if (found := await self._optional(_PHONE)) is not None:
            facts["sip_registered"] = replies.registered(found, self.config.account)
        if self.config.door_sensor is not None and (found := await self._optional("/api/io/status")) is not None:
            active = replies.port(found, self.config.door_sensor)
            self._door = None if active is None else "open" if active != self.config.door_sensor_inverted else "closed"
        return Reading(Rung.READY, facts={**facts, **self._other_facts()}, mark=self._info.mark)

    def _read_status(self, status: Mapping[str, Any]) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        now, uptime = number(status.get("systemTime")), number(status.get("upTime"))
        if now is not None:
            self._offset = now - self.io.clock.now().wall
            facts["clock_offset"] = round(self._offset, 1)
        if uptime is not None:
            self._uptime = facts["uptime"] = uptime
        return facts

    def _other_facts(self) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        if self._door is not None:
            facts["door"] = self._door
        if self._late:
            facts["events_late"] = self._late
        if self._subscription.broken:
            facts["events_broken"] = self._subscription.broken
        if self._absent:
            facts["not_available"] = "; ".join(f"{path}: {why}" for path, why in sorted(self._absent.items()))
        return facts

    async def _optional(self, path: str) -> Any:
        """The answer of a function that not every unit has, or lets us use; None where it was said to be absent. It is
        asked again after the next probe, not before."""
        if path in self._absent:
            return None
        try:
            return await self._api.ask(path)
        except _ABSENT as error:
            self._absent[path] = error.detail
            return None

    # -- what it reports -----------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self.config.events == "off":
            raise Unsupported("the inventory says events: off")
        await self._subscription.open()
        self._heard_at = self.io.clock.now().mono
        yield DeviceEvent(EventKind.RESYNC)
        while (lines := await self._subscription.pull()) is not None:
            history = self._subscription.catching_up
            for line in lines:
                for event in self._reader.read(line, self.io.clock.now().mono):
                    yield self._placed(event, line, history=history)
                self._subscription.told(line)
            for event in self._reader.overdue(self.io.clock.now().mono):
                yield event
            self._heard_at = self.io.clock.now().mono
            if lines:
                await self._subscription.note()

    def _placed(self, event: DeviceEvent, line: Entry, *, history: bool) -> DeviceEvent:
        """An event of a queue that is ours alone is as old as our last look into it, whatever the device's clock says.
        What comes from its history, or waited long, is as old as that clock says."""
        now = self.io.clock.now()
        old = False
        if history or now.mono - self._heard_at > FRESH:
            old = line.at is None or self._offset is None or now.wall + self._offset - line.at > FRESH
        if old:
            self._late += 1
            return replace(event, replayed=True)
        if event.kind is EventKind.DOOR and event.topic == "DoorStateChanged" and self.config.door_sensor is None:
            self._door = event.data.get("state")
        return event

    # -- what it is told -----------------------------------------------------------------------------------------

    async def command(self, command: Command) -> Result:
        match command.action:
            case Capability.OPEN_DOOR:
                return await self._open_door(command.arguments.get("output", 1))
            case Capability.REBOOT:
                await self._api.tell("/api/system/restart", {})
                return Result("it restarts")
            case Capability.SNAPSHOT:
                return await self._snapshot()
        raise Unsupported(f"2N intercoms know no {command.action}")

    async def _open_door(self, output: Fact) -> Result:
        chosen = self._switches.get(output) if isinstance(output, int) and not isinstance(output, bool) else None
        if chosen is None:
            raise Rejected(f"it has no switch {output!r} that is enabled; there are {sorted(self._switches)}")
        await self._is_the_same()
        if replies.is_blocked(await self._api.ask(_SWITCHES, {"switch": chosen.number}), chosen.number):
            raise Rejected(f"its switch {chosen.number} is locked")
        # `trigger` would close a bistable one that is open.
        action = "on" if chosen.bistable else "trigger"
        await self._api.tell("/api/switch/ctrl", {"switch": chosen.number, "action": action})
        return Result(f"switch {chosen.number} is {'on, and stays so' if chosen.bistable else 'activated'}")

    async def _is_the_same(self) -> None:
        """No other panel's door is to be opened because an address has changed hands."""
        found = replies.info(await self._api.ask("/api/system/info"))
        if self._info is not None and found.serial != self._info.serial:
            raise Rejected("another intercom answers there now; look at its address in the inventory")

    async def _snapshot(self) -> Result:
        sizes = replies.resolutions(await self._api.ask("/api/camera/caps"))
        if not sizes:
            raise Unsupported("it has no camera")
        width, height = sizes[0]
        query: dict[str, str | int] = {"width": width, "height": height, "source": "internal"}
        reply = await self._api.file("/api/camera/snapshot", query, limit=PICTURE_LIMIT, kind="image/")
        return Result(f"{width}x{height}", reply.body, "image/jpeg")

    # -- what it is set to ---------------------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        values: dict[str, Any] = {}
        limits: dict[str, Limit] = {}

        def take(read: table.Read) -> None:
            values.update({path: value for path, value in read[0].items() if section_of(path) in sections})
            limits.update({path: limit for path, limit in read[1].items() if section_of(path) in sections})

        wanted = frozenset(sections)
        if "ntp" in wanted and (found := await self._optional("/api/system/time")) is not None:
            take(table.ntp(found))
        if "clock" in wanted and (found := await self._optional("/api/system/timezone")) is not None:
            take(await asyncio.to_thread(table.clock, found))
        if wanted & {"sip", "vendor"} and (found := await self._optional("/api/phone/config")) is not None:
            take(table.account(found, self.config.account))
        if "relays" in wanted and (found := await self._optional("/api/switch/caps")) is not None:
            take(table.relays(replies.switches(found)))
        if wanted & {"call", "vendor"} and "/api/config" not in self._absent:
            try:
                take(table.of_document(await self._document()))
            except _ABSENT as error:
                self._absent["/api/config"] = error.detail
        return Configuration(unflatten(values), Limits(limits))

    async def apply(self, channel: Channel, step: Step) -> bool:
        after = flatten(step.after)
        wanted = {path: after[path] for path in step.paths}
        match step.section:
            case "ntp":
                await self._set_time(wanted)
            case "clock":
                await self._set_zone(wanted["clock.time_zone"])
            case "sip" | "call" | "vendor":
                in_file = {path: value for path, value in wanted.items() if path in table.NUMBERS or path == table.NAME}
                of_account = {path: value for path, value in wanted.items() if path not in in_file}
                if of_account:
                    data = table.change_account(self.config.account, of_account)
                    await self._api.upload("/api/phone/config", "blob-json", data, "application/json")
                if in_file:
                    await self._upload(in_file)
            case _:
                raise Rejected(f"{step.section} can only be read")
        return False

    async def _set_time(self, wanted: Mapping[str, Any]) -> None:
        # With `automatic=1` it takes nothing besides.
        if servers := wanted.get("ntp.servers"):
            await self._api.put("/api/system/time", {"server": servers[0]})
        if "ntp.enabled" in wanted:
            await self._api.put("/api/system/time", {"automatic": int(wanted["ntp.enabled"])})

    async def _set_zone(self, zone: str) -> None:
        if (offset := zones.to_offset(zone)) is not None:
            query: dict[str, str | int] = {"automatic": 0, "zone": "custom", "custom": offset}
        else:
            told = await self._api.ask("/api/system/timezone/caps")
            listed = told.get("timezones") if isinstance(told, dict) else None
            offered = [one for one in listed[:1000] if isinstance(one, str)] if isinstance(listed, list) else []
            name = await asyncio.to_thread(zones.to_name, zone, offered)
            if name is None:
                raise Rejected("none of the time zones that it knows has that rule")
            query = {"automatic": 0, "zone": name}
        await self._api.put("/api/system/timezone", query)

    async def _document(self) -> Element:
        reply = await self._api.file("/api/config", limit=CONFIG_LIMIT, kind="application/xml")
        return await asyncio.to_thread(table.document, reply.body)

    async def _upload(self, wanted: Mapping[str, Any]) -> None:
        """Write a part of the configuration, and wait until it holds, which takes a while; not for ever."""
        data = table.change(await self._document(), wanted)
        await self._api.upload("/api/config", "blob-cfg", data, "application/xml")
        until = self.io.clock.now().mono + SETTLES
        while self.io.clock.now().mono < until:
            now, _ = table.of_document(await self._document())
            if all(now.get(path) == value for path, value in wanted.items()):
                return
            await self.io.clock.sleep(_LOOK_AGAIN)
