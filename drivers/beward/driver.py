"""The Beward driver: one panel. Thin; what the panel's words mean is beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import ClassVar

import aiohttp

from bridge.driver import Driver, DriverIO, SyslogRegistration
from bridge.errors import DeviceError, ProtocolError, Rejected, Unreachable, Unsupported
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
from bridge.syslog.message import Line
from drivers.beward import calls
from drivers.beward import settings as table
from drivers.beward.alarms import Alarm, Lines
from drivers.beward.api import Api
from drivers.beward.calls import Call
from drivers.beward.config import BewardConfig
from drivers.beward.lines import Leg, Meaning, understood
from drivers.beward.models import Door, Family, Info, family_of, info, truth
from drivers.beward.syslog import Target
from drivers.beward.times import Clock, clock
from drivers.transports.inbox import Inbox

STREAM = "alarmchangestate_cgi"
ALARMS = "MotionDetection;SensorAlarm"
# The stream of alarms has no heartbeat, and goes silent without closing: after so many seconds it is opened anew.
SILENCE = 180.0
CHECK = 60.0  # seconds between two looks whether our syslog target is still there
RARELY = 10  # every so many polls, what hardly ever changes is read: the clock, open doors, how keys are collected
FRESH = 60.0  # an event older than that is history
CLOCK_HOLDS = 5.0  # seconds for which the panel's clock is believed, once it was read
BETWEEN = 0.2  # seconds between on and off of an output that does not fall back by itself
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is known of the panel since it was last identified. `keys` is the module of its built-in reader."""

    family: Family
    info: Info
    keys: str
    external: bool
    syslog: bool


class BewardDriver(Driver[BewardConfig]):
    name: ClassVar[str] = "beward"
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
    Config = BewardConfig
    settings: ClassVar[Mapping[str, str]] = table.OPERATIONS
    VendorSettings = table.BewardSettings

    __slots__ = (
        "_api",
        "_call",
        "_channel",
        "_clock",
        "_clock_read_at",
        "_facts",
        "_ignored",
        "_inbox",
        "_listening",
        "_over",
        "_polls",
        "_response",
        "_restarted",
        "_target",
        "_unit",
        "_unreadable",
        "_uptime",
    )

    def __init__(self, device: Device, config: BewardConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._api = Api(device, config, io)
        self._target = Target(self._api, io.memory)
        self._inbox = Inbox(io, fresh=FRESH, bound=1000)
        self._channel = device.channels[0].key
        self._unit: Unit | None = None
        self._clock: Clock | None = None
        self._clock_read_at = 0.0  # monotonic
        self._facts: dict[str, Fact] = {}  # those that are read rarely
        self._polls = 0
        self._uptime: int | None = None
        self._restarted = False  # since events() has begun
        self._call: Call | None = None
        self._listening = ""  # what events come by
        self._response: aiohttp.ClientResponse | None = None
        self._over = False
        self._ignored = 0
        self._unreadable = 0

    async def close(self) -> None:
        self._over = True
        if self._response is not None:
            self._response.close()
        elif self._listening:
            with suppress(asyncio.QueueFull):
                self._inbox.put(DeviceEvent(EventKind.RESYNC))  # wakes events(), which sees that it is over

    async def release(self) -> None:
        await self._target.give_back()

    # -- how it is -----------------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        told = await self._ask_info()
        intercom = await self._api.ask("intercom_cgi")
        keys = await self._keys_module()
        self._unit = Unit(
            family_of(told.model, has_intercom=intercom is not None),
            told,
            keys,
            await self._api.text("extrfid_cgi") is not None,
            await self._target.read() is not None,
        )
        await self._read_rarely(intercom)
        self._polls = self.io.random.randrange(1, RARELY)  # so that a house of panels is not asked all at once
        capabilities = set(self.capabilities)
        if self.config.events == "off":
            capabilities.discard(Capability.EVENTS)
            await self._target.give_back()
        return Identity(
            "Beward", told.model, told.firmware, told.serial, told.hardware, capabilities=frozenset(capabilities)
        )

    async def poll(self) -> Reading:
        told = await self._ask_info()
        registered = await self._api.ask("sip_cgi", {"action": "regstatus"})
        if self._polls % RARELY == 0:
            await self._read_rarely(await self._api.ask("intercom_cgi"))
        self._polls += 1
        facts: dict[str, Fact] = {**self._facts, "events_by": self._listening or "polls alone"}
        if told.uptime is not None:
            facts["uptime"] = told.uptime
        if self._clock is not None:
            facts["clock_offset"] = round(self._clock.offset, 1)
        if registered is not None and (sip := truth(registered.get("AccountReg1"))) is not None:
            facts["sip_registered"] = sip
            self._sip_is(sip)
        inbox = self._inbox
        counts = {
            "events_repeated": inbox.repeated,
            "events_late": inbox.late,
            "events_ignored": self._ignored,
            "events_unreadable": self._unreadable,
        }
        facts |= {name: count for name, count in counts.items() if count}
        return Reading(Rung.READY, facts=facts, mark=told.mark)

    async def _ask_info(self) -> Info:
        values = await self._api.ask("systeminfo_cgi")
        if values is None:
            raise ProtocolError("it has no systeminfo_cgi: is it a Beward panel?")
        told = info(values)
        before, self._uptime = self._uptime, told.uptime
        if told.uptime is not None and before is not None and told.uptime < before:
            self._restarted = True
            if self._response is not None:
                self._response.close()  # it looks alive, and nothing will ever come
        return told

    async def _keys_module(self) -> str:
        """Newer firmware has mifare_cgi, older rfid_cgi; DS panels may have neither."""
        for module in ("mifare_cgi", "rfid_cgi"):
            if await self._api.text(module) is not None:
                return module
        return ""

    async def _read_rarely(self, intercom: Mapping[str, str] | None) -> None:
        await self._read_clock()
        facts: dict[str, Fact] = {}
        if intercom is not None:
            for fact, key in (("lock_1", "MainDoorOpenMode"), ("lock_2", "AltDoorOpenMode")):
                if (held := truth(intercom.get(key))) is not None:
                    facts[fact] = "held" if held else "locked"
        unit = self._unit
        if unit is not None and unit.keys:
            # Residents enrol cards by themselves then, and what the panel has drifts from what it was given.
            collects = truth((intercom or {}).get("AutoCollectKeys"))
            if collects is None:
                collects = truth((await self._api.ask(unit.keys) or {}).get("AutoCollectKeys"))
            facts["auto_collect_keys"] = collects
            facts["key_readers"] = unit.keys.removesuffix("_cgi") + (", extrfid" if unit.external else "")
        self._facts = facts

    async def _read_clock(self) -> None:
        self._clock_read_at = self.io.clock.now().mono
        text = await self._api.text("date_cgi")
        self._clock = None if text is None else clock(text.decode("utf-8", "replace"), self.io.clock.now().wall)
        self._inbox.offset = self._clock.offset if self._clock is not None else 0.0

    def _sip_is(self, registered: bool) -> None:
        before, self._facts["sip_registered"] = self._facts.get("sip_registered"), registered
        if before is not None and before != registered and self._listening:
            with suppress(asyncio.QueueFull):
                self._inbox.put(DeviceEvent(EventKind.SYSTEM, active=not registered, topic="sip_registration_lost"))

    # -- what it reports -----------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self.config.events == "off":
            raise Unsupported("the inventory says events: off")
        self._over = False
        told = await self._ask_info()
        if self._unit is None or self._unit.info.mark != told.mark:
            await self.probe()
        assert self._unit is not None
        self._restarted = False
        reason = "the inventory has no bridge.syslog"
        if self.io.syslog is not None:
            registration = await self.io.syslog.register(self.device, self._heard, name=self.config.syslog_name)
            try:
                taken = await self._target.claim(registration.host, registration.port)
                if taken is None:
                    async with aclosing(self._lines(registration)) as lines:
                        async for event in lines:
                            yield event
                    return
                reason = f"its syslog goes {taken if taken.startswith('nowhere') else f'to {taken}'}"
            finally:
                registration.close()
                self._listening = ""
        if not self._over:
            async with aclosing(self._stream(reason)) as alarms:
                async for event in alarms:
                    yield event

    async def _lines(self, registration: SyslogRegistration) -> AsyncGenerator[DeviceEvent]:
        self._listening = "syslog"
        yield DeviceEvent(EventKind.RESYNC)
        check_at = self._next_check()
        while not self._over:
            now = self.io.clock.now().mono
            if now >= check_at:
                if not await self._target.stands(registration.host, registration.port):
                    self.io.log.warning("the panel's syslog target is no longer ours")
                    return
                await self._ask_info()
                if self._restarted:
                    self._restarted = False
                    yield DeviceEvent(EventKind.RESYNC)  # what happened meanwhile was told to nobody
                check_at = self._next_check()
            heard = await self._inbox.get(max(0.0, check_at - now))
            if heard is not None and heard.kind is not EventKind.RESYNC:
                yield await self._judged(heard)

    def _next_check(self) -> float:
        return self.io.clock.now().mono + CHECK * self.io.random.uniform(0.8, 1.0)

    def _heard(self, line: Line) -> None:
        """A line of syslog. Raises asyncio.QueueFull."""
        said = understood(line)
        if said is None:
            self._ignored += 1
            return
        now = self.io.clock.now()
        at = line.time
        if at is None and self._clock is not None:
            at = self._clock.moment(line.local, now.wall)
        if isinstance(said.what, Leg):
            family = self._unit.family if self._unit is not None else None
            one_leg = bool(said.event) or (family is not None and family.one_call)
            self._call, state, about = calls.step(self._call, said.what, said.call, now.mono, one_leg=one_leg)
            if not state:
                return
            meaning = Meaning(EventKind.CALL, "call", data={"state": state, **about.data})
        else:
            meaning = said.what
        self._inbox.put(replace(self._event(meaning, at), hint=line.hint))

    def _event(self, meaning: Meaning, at: float | None) -> DeviceEvent:
        return DeviceEvent(
            meaning.kind,
            self._channel,
            source=meaning.source,
            active=meaning.active,
            source_time=at,
            topic=meaning.topic,
            data=meaning.data,
        )

    async def _judged(self, event: DeviceEvent) -> DeviceEvent:
        """An event that looks old is looked at again with the panel's clock as it is now: the clock may have jumped, as
        it does when NTP first answers a panel without a battery. The panel itself keeps no history."""
        now = self.io.clock.now()
        if not event.replayed or event.source_time is None or now.mono - self._clock_read_at < CLOCK_HOLDS:
            return event
        zone = self._clock.zone if self._clock is not None else 0.0
        await self._read_clock()
        if self._clock is None:
            return replace(event, replayed=False, source_time=None)
        at = event.source_time + zone - self._clock.zone
        return replace(event, source_time=at, replayed=now.wall - (at - self._clock.offset) > FRESH)

    async def _stream(self, reason: str) -> AsyncGenerator[DeviceEvent, None]:
        """Motion and the alarm input, from a panel that cannot send us its log."""
        lines, heard_at = Lines(), self.io.clock.now().mono
        try:
            async with self._api.client.stream(
                f"/cgi-bin/{STREAM}", query={"channel": 0, "parameter": ALARMS}, silence=SILENCE
            ) as response:
                await _is_stream(response)
                self._response, self._listening = response, f"its stream of alarms alone: {reason}"
                yield DeviceEvent(EventKind.RESYNC)
                async for data in response.content.iter_any():
                    heard_at = self.io.clock.now().mono
                    for alarm in lines.feed(data):
                        yield self._alarm(alarm)
                    self._unreadable, lines.bad = self._unreadable + lines.bad, 0
        except DeviceError as error:
            if self._over or self._restarted:
                return
            if not isinstance(error, Unreachable) or self.io.clock.now().mono - heard_at < SILENCE:
                raise
            # Quiet or dead, nobody can tell. When somebody answers, all of it is begun anew: syslog may be free by now.
            await self._ask_info()
        finally:
            self._response, self._listening = None, ""

    def _alarm(self, alarm: Alarm) -> DeviceEvent:
        now = self.io.clock.now().wall
        at = self._clock.moment(alarm.local, now) if self._clock is not None else None
        return self._event(alarm.what, at)

    # -- what it is told -----------------------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        return await table.read(self._api, await self._known(), sections)

    async def apply(self, channel: Channel, step: Step) -> bool:
        unit = await self._known()
        await table.apply(self._api, unit, step)
        # Until then it is in memory only, and a reboot undoes it.
        await self._api.save()
        return False

    async def _known(self) -> table.Panel:
        if self._unit is None:
            await self.probe()
        assert self._unit is not None
        return table.Panel(self._unit.family, self._unit.info.model, self._unit.keys)

    async def command(self, command: Command) -> Result:
        match command.action:
            case Capability.OPEN_DOOR:
                return await self._open(command.arguments.get("output", 1))
            case Capability.REBOOT:
                return await self._reboot()
            case Capability.SNAPSHOT:
                return await self._snapshot()
            case _:
                raise Unsupported(f"a Beward panel cannot {command.action}")

    async def _open(self, output: Fact) -> Result:
        doors = (await self._known()).family.doors
        number = int(output) if isinstance(output, str) and output.isdecimal() and len(output) < 4 else output
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(doors):
            raise Rejected(f"it has no output {output!r}: outputs are 1 to {len(doors)}")
        await self._is_the_same()
        door = doors[number - 1]
        try:
            await self._api.tell(door.module, door.query, once=True)
        finally:
            if door.after is not None:
                await self._fall_back(door)
        return Result(f"output {number} opened")

    async def _fall_back(self, door: Door) -> None:
        assert door.after is not None
        await self.io.clock.sleep(BETWEEN)
        await self._api.tell(door.module, door.after)

    async def _is_the_same(self) -> None:
        """That no other door opens: addresses move, serial numbers do not."""
        told = await self._ask_info()
        assert self._unit is not None
        known = self._unit.info.serial
        if told.serial != known:
            raise Rejected(f"another panel answers at this address: {told.serial or '?'}, and not {known or '?'}")

    async def _reboot(self) -> Result:
        await self._known()
        await self._is_the_same()
        try:
            await self._api.tell("restart_cgi", {}, once=True)
        except Unsupported:
            await self._api.form("webs/btnHitEx", {"flag": 21}, once=True)
        return Result("it starts anew")

    async def _snapshot(self) -> Result:
        picture = (await self._api.picture()).body
        if not picture.startswith((_JPEG, _PNG)):
            raise ProtocolError("what it sends for a picture is none", picture)
        return Result(data=picture, content_type="image/png" if picture.startswith(_PNG) else "image/jpeg")


async def _is_stream(response: aiohttp.ClientResponse) -> None:
    """Raises DeviceErrors for an answer that is no stream of alarms."""
    if response.status == 200 and "html" not in response.content_type:
        return
    try:
        page = await response.content.read(2048)
    except aiohttp.ClientError:
        page = b""
    if response.status == 404 or b"is not defined" in page:
        raise Unsupported(f"the panel has neither syslog for us nor {STREAM}")
    raise ProtocolError(f"it answers {STREAM} with HTTP {response.status} and no stream", page)
