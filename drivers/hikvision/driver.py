"""The Hikvision driver: intercom panels and door terminals over ISAPI. Thin; the words of the panels are beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import ClassVar

from bridge.driver import Driver, DriverIO
from bridge.errors import ProtocolError, Rejected, Unsupported
from bridge.model import (
    Capability,
    Channel,
    Command,
    Device,
    DeviceEvent,
    Fact,
    Identity,
    Kind,
    Reading,
    Result,
    Rung,
)
from bridge.settings.plan import Configuration, Step
from drivers.hikvision import settings as table
from drivers.hikvision.api import Api, NoRight, NotThere
from drivers.hikvision.config import HikvisionConfig
from drivers.hikvision.listening import Listening
from drivers.hikvision.models import traits_of
from drivers.hikvision.words import Info, document, inner, moment, span, whole, zone_of
from drivers.transports import xml

STATUS = "/ISAPI/System/status"
TIME = "/ISAPI/System/time"
DOORS = "/ISAPI/AccessControl/AcsWorkStatus"
DOOR = "/ISAPI/AccessControl/RemoteControl/door"
SIP = "/ISAPI/System/Network/SIP/1"
REBOOT = "/ISAPI/System/reboot"
PICTURE = "/ISAPI/Streaming/channels/101/picture"
IDENTITY_EVERY = 10  # polls
DOORS_AT_MOST = 8
_JPEG = b"\xff\xd8\xff"
# doorStatus: 2 and 3 are kept so by a command or a schedule. doorLockStatus: 0 locked, 1 unlocked, else a fault.
_HELD = {2: "held", 3: "locked"}
_LOCKS = {0: "locked", 1: "unlocked"}
# magneticStatus, the door's contact.
_CONTACTS = {0: "closed", 1: "open"}


class HikvisionDriver(Driver[HikvisionConfig]):
    name: ClassVar[str] = "hikvision"
    stability: ClassVar[str] = "beta"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.EVENTS, Capability.SETTINGS, Capability.REBOOT, Capability.OPEN_DOOR, Capability.SNAPSHOT}
    )
    Config = HikvisionConfig
    settings: ClassVar[Mapping[str, str]] = table.OPERATIONS
    VendorSettings = table.HikvisionSettings

    __slots__ = ("_api", "_doors", "_info", "_lacks", "_listening", "_polls", "_settings", "_uptime")

    def __init__(self, device: Device, config: HikvisionConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._api = Api(device, config, io)
        self._listening = Listening(self._api, device, config, io)
        self._settings = table.SettingsOf(self._api, io)
        self._info: Info | None = None
        self._doors = 1
        self._lacks: set[str] = set()  # what this unit was found not to have
        self._polls = 0
        self._uptime: float | None = None

    async def close(self) -> None:
        self._listening.end()

    async def release(self) -> None:
        await self._listening.slot.release()

    # -- who and how it is ---------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        found = await self._api.info()
        self._info, self._polls, self._lacks = found, 1, set()
        self._listening.another_unit()
        self._listening.messages.traits = traits_of(found.model, found.firmware)
        await self._read_clock()
        self._doors = await self._count_doors()
        capabilities = set(self.capabilities)
        if self.config.events == "off":
            capabilities.discard(Capability.EVENTS)
            await self._listening.slot.release()  # which there may be from the time when events were wanted
        return Identity(
            "Hikvision", found.model, found.firmware, found.serial, found.hardware, found.macs, frozenset(capabilities)
        )

    async def poll(self) -> Reading:
        if self._info is None or self._polls % IDENTITY_EVERY == 0 or self._lacks >= {STATUS, TIME}:
            self._info = await self._api.info()
        self._polls += 1
        facts: dict[str, Fact] = {}
        await self._ask_status(facts)
        await self._ask_doors(facts)
        if (sip := await self._maybe(SIP)) is not None:
            registered = next((one.text for one in xml.descendants(sip, "registerStatus")), None)
            facts["sip_registered"] = registered is not None and registered.strip().lower() in ("true", "registered")
        return Reading(
            Rung.READY, facts=facts | self._listening.facts(), mark=f"{self._info.serial} {self._info.firmware}"
        )

    async def _ask_status(self, facts: dict[str, Fact]) -> None:
        """How long it runs and what time it has, in one request where it has that."""
        found = await self._maybe(STATUS)
        up = None if found is None else span(xml.text(found, "deviceUpTime"))
        at = None if found is None else moment(xml.text(found, "currentDeviceTime"), self._listening.messages.zone)
        if found is None:
            # Whatever is asked first tells whether it takes our credentials.
            await self._read_clock()
        elif at is not None:
            self._set_offset(at)
        if up is not None:
            if self._uptime is not None and up < self._uptime:
                self._listening.end()  # it was started anew: no stream of before is worth anything
            self._uptime = facts["uptime"] = up
        if self._listening.offset is not None:
            facts["clock_offset"] = round(self._listening.offset, 1)

    async def _read_clock(self) -> None:
        found = await self._maybe(TIME)
        if found is None:
            return
        zone = zone_of(xml.text(found, "timeZone"))
        if zone is not None:
            self._listening.messages.zone = zone
        at = moment(xml.text(found, "localTime"), self._listening.messages.zone)
        if at is not None:
            self._set_offset(at)

    def _set_offset(self, at: float) -> None:
        self._listening.offset = self._listening.inbox.offset = at - self.io.clock.now().wall

    async def _ask_doors(self, facts: dict[str, Fact]) -> None:
        if DOORS in self._lacks:
            return
        try:
            found = inner(await self._api.json(DOORS), "AcsWorkStatus")
        except NotThere as error:
            self._is_not_there(DOORS, error)
            return
        held, locks = _numbers(found.get("doorStatus")), _numbers(found.get("doorLockStatus"))
        for number, lock in enumerate(locks[: self._doors], 1):
            state = _HELD.get(held[number - 1]) if number <= len(held) else None
            if said := state or _LOCKS.get(lock):
                facts[f"lock_{number}"] = said
        # A panel without a contact says that its door is closed; what it is, nobody knows.
        contacts = _numbers(found.get("magneticStatus"))
        if contacts and contacts[0] in _CONTACTS:
            facts["door"] = _CONTACTS[contacts[0]]

    async def _maybe(self, path: str) -> xml.Element | None:
        """What not every unit has; one that has it not is not asked again until it is another one."""
        if path in self._lacks:
            return None
        try:
            return await self._api.xml(path)
        except NotThere as error:
            self._is_not_there(path, error)
            return None

    def _is_not_there(self, path: str, error: NotThere) -> None:
        self._lacks.add(path)
        if isinstance(error, NoRight):
            self.io.log.warning("the account may not read that: give it the right to", path=path)

    async def _count_doors(self) -> int:
        found = await self._maybe(f"{DOOR}/capabilities")
        number = None if found is None else next(xml.descendants(found, "doorNo"), None)
        most = None if number is None else whole(number.get("max"))
        return min(most, DOORS_AT_MOST) if most is not None and most > 0 else 1

    # -- what it reports -----------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self.config.events == "off":
            raise Unsupported("the inventory says events: off")
        if self._listening.offset is None:
            await self._read_clock()
        async for event in self._listening.events():
            yield event

    # -- how it is set up ----------------------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        return await self._settings.read(sections, self._doors)

    async def apply(self, channel: Channel, step: Step) -> bool:
        reboot = await self._settings.apply(step)
        if step.section == "clock":
            await self._read_clock()
        return reboot

    # -- what it is told to do -----------------------------------------------------------------------------------

    async def command(self, command: Command) -> Result:
        match command.action:
            case Capability.OPEN_DOOR:
                return await self._open_door(command.arguments.get("output", 1))
            case Capability.REBOOT:
                await self._is_the_same()
                await self._api.write("PUT", REBOOT, once=True)
                return Result("it reboots")
            case Capability.SNAPSHOT:
                return await self._snapshot()
        raise Unsupported(f"Hikvision panels know no {command.action}")

    async def _open_door(self, output: Fact) -> Result:
        number = None if isinstance(output, float) else whole(output)
        # 65535 would be all of them.
        if number is None or not 1 <= number <= self._doors:
            raise Rejected(f"it has no door {output}: it has {self._doors}")
        await self._is_the_same()
        await self._api.write("PUT", f"{DOOR}/{number}", document("RemoteControlDoor", cmd="open"), once=True)
        return Result(f"door {number} is opened")

    async def _is_the_same(self) -> None:
        """Another panel may have got the address meanwhile, and no door of another house is to be opened."""
        found = await self._api.info()
        if self._info is not None and found.serial != self._info.serial:
            raise Rejected("another panel answers at its address now: its serial number is a different one")

    async def _snapshot(self) -> Result:
        reply = await self._api.picture(PICTURE)
        if not reply.body.startswith(_JPEG):
            raise ProtocolError("what it sends for a picture is none", reply.body)
        return Result("", reply.body, "image/jpeg")


def _numbers(value: object) -> list[int]:
    found = value if isinstance(value, list) else []
    return [number if (number := whole(one)) is not None else -1 for one in found[:DOORS_AT_MOST]]
