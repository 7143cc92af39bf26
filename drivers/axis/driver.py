"""The Axis driver: door stations over VAPIX. Thin; the words of the device are beside it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

import aiohttp

from bridge.clock import Wake
from bridge.driver import Driver, DriverIO, Registration, Trap, TrapAccess
from bridge.errors import ProtocolError, Rejected, Unreachable, Unsupported
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
from drivers.axis import answers
from drivers.axis import settings as table
from drivers.axis.apis import Api, listed
from drivers.axis.config import AxisConfig
from drivers.axis.events import EVERYTHING, SETTLING, Notification, Reader, notification, refused
from drivers.axis.vapix import NotAllowed, NotThere, Vapix, text_of
from drivers.snmp import profiles
from drivers.snmp.values import text

# What changes rarely is asked at every so many polls: the clock, and who it is where it tells no boot id.
RARELY = 10
# A lock that opens within so many seconds of our asking was opened by us.
OURS = 5.0
UNREADABLE = 20  # messages in a row that nobody can read, after which the stream is begun anew
VARIABLES = 24  # of one trap, that are passed on
WAIT = 60.0
HEARD = 500  # events that wait
_CONFIGURE = json.dumps(
    {
        "apiVersion": "1.0",
        "context": "device-bridge",
        "method": "events:configure",
        "params": {"eventFilterList": [{"topicFilter": EVERYTHING}]},
    }
)


class AxisDriver(Driver[AxisConfig]):
    name: ClassVar[str] = "axis"
    stability: ClassVar[str] = "beta"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.EVENTS,
            Capability.SETTINGS,
            Capability.REBOOT,
            Capability.OPEN_DOOR,
            Capability.SNAPSHOT,
        }
    )
    Config = AxisConfig
    settings: ClassVar[Mapping[str, str]] = table.OPERATIONS
    VendorSettings = table.AxisSettings

    __slots__ = (
        "_apis",
        "_boot",
        "_closed",
        "_heard",
        "_listening",
        "_maker",
        "_offset",
        "_opened_at",
        "_pause",
        "_polls",
        "_reader",
        "_roles",
        "_sip",
        "_slow",
        "_socket",
        "_unreadable",
        "_vapix",
        "_wake",
    )

    def __init__(self, device: Device, config: AxisConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._vapix = Vapix(device, config, io)
        self._apis: frozenset[Api] | None = None
        self._maker: answers.Maker | None = None
        self._boot = ""
        self._polls = 0
        self._roles = answers.Roles()
        self._sip: bool | None = True  # whether its accounts are registered; None: not to be asked
        self._slow: dict[str, Fact] = {}
        self._opened_at: dict[int, float] = {}  # by port, monotonic
        self._heard: deque[DeviceEvent] = deque()  # from beside the stream: traps, and what polls find out
        self._listening = False
        self._offset = 0.0  # of its clock, seconds ahead of ours
        self._wake = Wake()
        self._pause: asyncio.Timeout | None = None  # events() waits in it
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: Reader | None = None
        self._unreadable = 0
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        self._stir()
        if self._socket is not None:
            with suppress(aiohttp.ClientError, OSError):
                await self._socket.close()

    # -- who it is -----------------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        self._closed = False
        apis = self._apis = await self._discover()
        found = self._maker = await self._identify(apis)
        await self._ports(apis)
        self._boot, self._polls, self._sip = "", 0, True
        able = {Capability.SETTINGS, Capability.REBOOT, Capability.SNAPSHOT}
        if self._roles.doors:
            able.add(Capability.OPEN_DOOR)
        if self._why_no_events(apis) is None:
            able.add(Capability.EVENTS)
        return Identity("Axis", found.model, found.firmware, found.serial, found.hardware, found.macs, frozenset(able))

    async def _discover(self) -> frozenset[Api]:
        try:
            return listed(await self._vapix.ask("apidiscovery.cgi", "getApiList"))
        except NotThere:
            return frozenset()  # AXIS OS before 8.50

    async def _has(self) -> frozenset[Api]:
        if self._apis is None:
            self._apis = await self._discover()
        return self._apis

    async def _identify(self, apis: frozenset[Api]) -> answers.Maker:
        if Api.IDENTITY not in apis:
            return answers.maker(await self._vapix.parameters("Brand", "Properties.Firmware", "Properties.System"))
        told = (await self._vapix.ask("basicdeviceinfo.cgi", "getAllProperties")).get("propertyList")
        return answers.maker(told if isinstance(told, dict) else {})

    # -- how it is -----------------------------------------------------------------------------------------------

    async def poll(self) -> Reading:
        apis = await self._has()
        facts: dict[str, Fact] = {}
        boot = await self._ready(apis, facts)
        rarely = self._polls % RARELY == 0
        # Another boot id is another boot, or another device; with the same one it can be neither.
        if self._maker is None or boot != self._boot or (rarely and not boot):
            self._maker = await self._identify(apis)
            rarely = True
        found = await self._ports(apis)
        facts |= self._port_facts(found)
        if rarely:
            self._slow = {}
            if Api.TIME in apis:
                self._slow["clock_offset"] = await self._clock()
        await self._registered(facts)
        self._boot = boot
        self._polls += 1
        return Reading(Rung.READY, {}, {**self._slow, **facts, **self._event_facts()}, mark=self._maker.mark)

    async def _ready(self, apis: frozenset[Api], facts: dict[str, Fact]) -> str:
        """The boot id, "" where it tells none."""
        if Api.READY not in apis:
            return ""
        told = await self._vapix.ask("systemready.cgi", "systemready", {"timeout": 1}, version="1.1")
        if told.get("needsetup") == "yes":
            raise Rejected("it has no administrator yet: set one up in its web page first")
        if told.get("systemready") != "yes":
            raise Unreachable("it is still starting", Rung.ANSWERING)
        if (uptime := answers.number(told.get("uptime"))) is not None:
            facts["uptime"] = uptime
        return answers.text(told.get("bootid"))

    async def _ports(self, apis: frozenset[Api]) -> tuple[answers.Port, ...]:
        if Api.PORTS in apis:
            found = answers.ports(await self._vapix.ask("io/portmanagement.cgi", "getPorts"))
        else:
            found = answers.ports_of(await self._vapix.parameters("IOPort"))
            if found:
                states = await self._vapix.states(tuple(port.number for port in found))
                found = tuple(replace(port, active=states[port.number]) for port in found)
        self._roles = answers.roles(found, self.config)
        if self._reader is not None:
            self._reader.roles = self._roles
        return found

    def _port_facts(self, found: tuple[answers.Port, ...]) -> dict[str, Fact]:
        active = {port.number: port.active for port in found}
        facts: dict[str, Fact] = {}
        if self._roles.sensor is not None and (is_open := active.get(self._roles.sensor)) is not None:
            facts["door"] = "open" if is_open else "closed"
        for output, number in enumerate(self._roles.doors, 1):
            if (unlocked := active.get(number)) is not None:
                facts[f"lock_{output}"] = "unlocked" if unlocked else "locked"
        return facts

    async def _clock(self) -> float:
        told = answers.clock(await self._vapix.ask("time.cgi", "getDateTimeInfo"))
        self._offset = round(told - self.io.clock.now().wall, 1)
        return self._offset

    async def _registered(self, facts: dict[str, Fact]) -> None:
        """What the call service says of the SIP accounts. Not every account may ask it, not every device has it."""
        before = self._sip
        if before is None and self._polls % RARELY:
            return
        try:
            now = answers.registered(await self._vapix.call("GetSIPAccountStatuses"))
        except (NotThere, NotAllowed, Rejected):
            self._sip = None
            return
        self._sip = now
        if now is None:
            return
        facts["sip_registered"] = now
        if now != before and before is not None:
            self._hear(DeviceEvent(EventKind.SYSTEM, self._channel, active=not now, topic="sip", data=_sip_words(now)))

    def _event_facts(self) -> dict[str, Fact]:
        return {"events_unreadable": self._unreadable} if self._unreadable else {}

    # -- what it reports -----------------------------------------------------------------------------------------

    @property
    def _channel(self) -> str:
        return self.device.channels[0].key

    def _why_no_events(self, apis: frozenset[Api]) -> str | None:
        if self.config.events == "off":
            return "the inventory says events: off"
        if Api.EVENTS in apis or (self.config.traps and self.io.traps is not None):
            return None
        return "its firmware has no event stream over WebSocket; it can send SNMP traps (traps: true, bridge.traps)"

    async def events(self) -> AsyncIterator[DeviceEvent]:
        apis = await self._has()
        if (reason := self._why_no_events(apis)) is not None:
            raise Unsupported(reason)
        registration: Registration | None = None
        self._listening = True
        try:
            if self.config.traps and self.io.traps is not None:
                access = TrapAccess(self.config.trap_community)
                registration = await self.io.traps.register(self.device, access, self._trapped)
            if Api.EVENTS not in apis:
                await self._ports(apis)  # the login is tried before anybody relies on this
                yield DeviceEvent(EventKind.RESYNC)
                while not self._closed:
                    while self._heard:
                        yield self._heard.popleft()
                    await self.io.clock.wait(self._wake, WAIT)
                    self._wake.clear()
                raise Unreachable("the driver was closed", Rung.READY)
            if Api.TIME in apis:
                await self._clock()
            async with self._vapix.events(self.config.ping) as socket:
                self._socket = socket
                now = self.io.clock.now()
                settled_at = now.mono + SETTLING
                reader = self._reader = Reader(self._channel, self._roles, now.wall + self._offset)
                early = await self._configure(socket)
                yield DeviceEvent(EventKind.RESYNC)
                while True:
                    said = early.popleft() if early else await self._said(socket)
                    settling = self.io.clock.now().mono < settled_at
                    if said is not None and (event := reader.event(said, settling=settling)) is not None:
                        yield self._ours(event)
                    while self._heard:
                        yield self._heard.popleft()
        finally:
            self._listening, self._socket, self._reader = False, None, None
            self._heard.clear()
            if registration is not None:
                registration.close()

    async def _configure(self, socket: aiohttp.ClientWebSocketResponse) -> deque[Notification]:
        """Ask for everything. What it tells before it has agreed is kept."""
        early: deque[Notification] = deque()
        async with asyncio.timeout(self.config.timeout):
            await socket.send_str(_CONFIGURE)
            while True:
                said = await text_of(socket)
                reason = refused(said)
                if reason == "":
                    return early
                if reason is not None:
                    raise ProtocolError(f"it refuses to tell events: {reason}")
                if len(early) < UNREADABLE and (told := notification(said)) is not None:
                    early.append(told)

    async def _said(self, socket: aiohttp.ClientWebSocketResponse) -> Notification | None:
        """The next event of the stream; None when something else came in meanwhile."""
        try:
            async with asyncio.timeout(None) as self._pause:
                said = await text_of(socket)
        except TimeoutError:
            if self._closed:
                raise Unreachable("the driver was closed", Rung.READY) from None
            return None
        finally:
            self._pause = None
        try:
            return notification(said)
        except ProtocolError:
            # One message that nobody can read costs that message, and not the stream.
            self._unreadable += 1
            if self._unreadable % UNREADABLE == 0:
                raise
            return None

    def _ours(self, event: DeviceEvent) -> DeviceEvent:
        """A lock that opens because we asked for it."""
        if event.kind is not EventKind.LOCK or not event.active or event.initial or not event.source.isdecimal():
            return event
        asked_at = self._opened_at.pop(int(event.source), None)
        if asked_at is None or self.io.clock.now().mono - asked_at > OURS:
            return event
        return replace(event, data={**event.data, "by": "api"})

    def _trapped(self, trap: Trap) -> None:
        known = profiles.meaning("axis", trap.name)
        data = {oid: text(value) for oid, value in trap.variables[:VARIABLES]}
        kind, active, topic = EventKind.VENDOR, None, trap.name
        if known is not None:
            kind, active, topic = known.kind, known.active, known.topic
            data.update(known.data)
        self._hear(DeviceEvent(kind, self._channel, active=active, topic=topic, data=data, hint=True))

    def _hear(self, event: DeviceEvent) -> None:
        """From beside the event stream. Raises asyncio.QueueFull."""
        if not self._listening:
            return
        if len(self._heard) >= HEARD:
            raise asyncio.QueueFull
        self._heard.append(event)
        self._stir()

    def _stir(self) -> None:
        self._wake.set()
        if self._pause is not None:
            with suppress(RuntimeError):  # it is being left at this very moment
                self._pause.reschedule(0)

    # -- what it is set to ---------------------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        apis = await self._has()
        await self._ports(apis)
        return await table.read(self._vapix, apis, self._roles, sections)

    async def apply(self, channel: Channel, step: Step) -> bool:
        apis = await self._has()
        await self._ports(apis)
        return await table.write(self._vapix, apis, self._roles, step)

    # -- what it can be told -------------------------------------------------------------------------------------

    async def command(self, command: Command) -> Result:
        match command.action:
            case Capability.OPEN_DOOR:
                return await self._open_door(command.arguments.get("output", 1))
            case Capability.REBOOT:
                if Api.FIRMWARE in await self._has():
                    await self._vapix.ask("firmwaremanagement.cgi", "reboot", once=True)
                else:
                    await self._vapix.restart()
                return Result("it reboots")
            case Capability.SNAPSHOT:
                data, content_type = await self._vapix.picture()
                return Result("a picture", data, content_type)
        raise Unsupported(f"it cannot be asked to {command.action.replace('_', ' ')}")

    async def _open_door(self, output: Fact) -> Result:
        apis = await self._has()
        known = self._maker
        now = self._maker = await self._identify(apis)
        if known is not None and now.serial != known.serial:
            raise Rejected(f"another device answers at its address, with the serial number {now.serial}")
        await self._ports(apis)
        doors = self._roles.doors
        if not isinstance(output, int) or isinstance(output, bool) or not 1 <= output <= len(doors):
            raise Rejected(f"it has no output {output!s:.20}: it has {len(doors)} that open a door")
        number = doors[output - 1]
        seconds = await self._open_seconds(number)
        self._opened_at[number] = self.io.clock.now().mono
        await self._vapix.pulse(number, round(seconds * 1000))
        return Result(f"output {output} opens for {seconds:g} s")

    async def _open_seconds(self, port: int) -> float:
        """The output's own time, where it has one."""
        group = f"IOPort.I{port}.Output"
        found = await self._vapix.parameters(group)
        own = answers.number(found.get(f"{group}.DelayTime"))
        return float(own) if found.get(f"{group}.Mode") == "monostable" and own else self.config.open_seconds


def _sip_words(registered: bool) -> dict[str, str]:
    return {"state": "registered" if registered else "lost"}
