"""The Akuvox driver: door phones and access terminals. Thin; the words of the panel are beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import ClassVar

from bridge.driver import Callback, Driver, DriverIO, SyslogRegistration
from bridge.errors import ProtocolError, Rejected, Unsupported
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
from drivers.akuvox import settings as table
from drivers.akuvox.actions import LETTERS
from drivers.akuvox.api import Api, Info
from drivers.akuvox.config import AkuvoxConfig
from drivers.akuvox.listening import Listening
from drivers.akuvox.profiles import Profile, profile_of
from drivers.akuvox.registration import Standing
from drivers.transports.standing import standing_callback

# Seconds between two looks at the door log and at what of ours stands in the panel. A poll does it when the last look
# is older than `LOOK`; where polls are rarer than that, events() does it after `LATEST`.
LOOK = 45.0
LATEST = 66.0
LOG_ALONE = 15.0  # where the door log is all that there is
RARELY = 10  # every so many polls, what rarely changes is read
HOLD = 5  # seconds that a door is open where the panel does not tell


class AkuvoxDriver(Driver[AkuvoxConfig]):
    name: ClassVar[str] = "akuvox"
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
    Config = AkuvoxConfig
    settings: ClassVar[Mapping[str, str]] = table.OPERATIONS
    VendorSettings = table.AkuvoxSettings

    __slots__ = (
        "_api",
        "_listening",
        "_looked_at",
        "_looking",
        "_over",
        "_polls",
        "_profile",
        "_registered",
        "_relay_api",
        "_relay_config",
        "_relays",
        "_serial",
        "_standing",
        "_trouble",
        "_uptime",
    )

    def __init__(self, device: Device, config: AkuvoxConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._api = Api(device, config, io)
        self._standing = Standing(self._api, io)
        self._profile = Profile()
        self._serial = ""
        self._relay_api = True
        self._relays = 0  # how many doors it has
        self._relay_config: Mapping[str, str] = {}
        self._uptime: int | None = None
        self._polls = 0
        self._listening: Listening | None = None
        self._registered: tuple[Callback | None, SyslogRegistration | None] = (None, None)
        self._looked_at = 0.0
        self._looking = False
        self._trouble = ""  # what does not work of its ways to report
        self._over = False

    async def close(self) -> None:
        self._over = True
        if self._listening is not None:
            self._listening.wake()

    async def release(self) -> None:
        await self._standing.take_back()

    # -- how it is -----------------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        info = await self._api.info()
        self._serial = info.serial
        self._profile = profile_of(info.model, info.firmware)
        self._api.posts = self._profile.posts
        self._standing.forget()
        self._relays = self._profile.relays
        try:
            self._relays = len(await self._api.relays()) or self._relays
            self._relay_api = True
            self._relay_config = self._of_relays(await self._api.relay_config())
        except Unsupported:
            self._relay_api = False
        self._polls = 1  # what rarely changes was just read
        if self.config.events == "off":
            await self._standing.take_back()
        able = self.capabilities - ({Capability.EVENTS} if self.config.events == "off" else set())
        return Identity("Akuvox", info.model, info.firmware, info.serial, info.hardware, (info.mac,), able)

    async def poll(self) -> Reading:
        info = await self._api.info()
        facts: dict[str, Fact] = await self._clock()
        if info.sip:
            facts["sip_registered"] = info.sip.lower() in ("2", "registered", "online")
        if self._relay_api:
            if self._polls % RARELY == 0:
                self._relay_config = self._of_relays(await self._api.relay_config())
            facts |= self._locks(await self._api.relays())
        self._polls += 1
        if self._listening is not None:
            if self.io.clock.now().mono - self._looked_at >= LOOK:
                await self._look()
            facts |= self._event_facts(self._listening)
        return Reading(Rung.READY, facts=facts, mark=f"{info.serial} {info.firmware}")

    async def _clock(self) -> dict[str, Fact]:
        """What it says of its time; notices a restart."""
        time, uptime = await self._api.clock()
        facts: dict[str, Fact] = {}
        if time is not None:
            facts["clock_offset"] = offset = round(time - self.io.clock.now().wall, 1)
            if self._listening is not None:
                self._listening.inbox.offset = offset
        if uptime is not None:
            facts["uptime"] = uptime
            if self._uptime is not None and uptime < self._uptime:
                self._standing.changed = False  # now the target that was written holds
                if self._listening is not None:
                    self._listening.resync()
            self._uptime = uptime
        return facts

    @staticmethod
    def _of_relays(config: Mapping[str, str]) -> dict[str, str]:
        """What of it is needed: thousands of these are kept."""
        wanted = [f"{table.RELAY}{part}" for letter in LETTERS for part in _keys_of(letter)]
        return {key: config[key] for key in wanted if key in config}

    def _locks(self, states: Mapping[str, object]) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        for letter, told in states.items():
            state = told.get("state") if isinstance(told, dict) else told
            closed_at_rest = self._relay_config.get(f"{table.RELAY}Relay{letter}Type") == "1"
            if str(state) in ("0", "1"):
                facts[_lock(letter)] = "unlocked" if (str(state) == "1") is not closed_at_rest else "locked"
            elif state in _STATES:
                facts[_lock(letter)] = _STATES[str(state)]
        return facts

    def _event_facts(self, listening: Listening) -> dict[str, Fact]:
        standing = self._standing
        waits = standing.syslog == "ours" and standing.changed and not listening.heard_lines
        counted = {
            "events_repeated": listening.repeated + listening.inbox.repeated,
            "events_late": listening.inbox.late,
            "events_ignored": listening.ignored,
        }
        return {
            "action_urls": standing.urls,
            "syslog": "ours after a reboot" if waits else standing.syslog,
            **({"events_problem": self._trouble} if self._trouble else {}),
            **{name: count for name, count in counted.items() if count},
        }

    # -- what it reports -----------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self.config.events == "off":
            raise Unsupported("the inventory says events: off")
        clock = self.io.clock
        self._over = False
        channel = self.device.channels[0].key
        listening = Listening(self._api, self._standing, self.io, channel, self._serial)
        callback: Callback | None = None
        syslog: SyslogRegistration | None = None
        try:
            if self.io.callbacks is not None:
                callback = await standing_callback(self.io, self.device, listening.called)
            if self.io.syslog is not None:
                syslog = await self.io.syslog.register(self.device, listening.line, name=self.config.syslog_name)
            self._registered = callback, syslog
            self._listening = listening
            await self._clock()
            await self._look()
            yield DeviceEvent(EventKind.RESYNC)
            while not self._over:
                now = clock.now().mono
                due = self._looked_at + self._latest(listening)
                event = await listening.inbox.get(max(0.0, min(due, listening.call_ends_at or due) - now))
                if self._over:
                    return
                if event is not None:
                    yield event
                    await listening.keep()
                listening.expire()
                if clock.now().mono >= due and not self._looking:
                    await self._clock()
                    await self._look()
        finally:
            self._listening = None
            for one in (callback, syslog):
                if one is not None:
                    one.close()

    def _latest(self, listening: Listening) -> float:
        live = self._standing.urls == "ours" or (self._standing.syslog == "ours" and listening.heard_lines)
        return LATEST if live else LOG_ALONE

    async def _look(self) -> None:
        """At what of ours stands in the panel, and at its door log. What its firmware lacks is done without."""
        listening = self._listening
        if listening is None or self._looking:
            return
        self._looking, troubles = True, []
        try:
            for look in (self._mend, listening.read_log):
                try:
                    await look()
                except (Unsupported, Rejected, ProtocolError) as error:
                    troubles.append(error.detail)  # the panel itself is well, by what it says elsewhere
            self._trouble = "; ".join(troubles)
            self._looked_at = self.io.clock.now().mono
        finally:
            self._looking = False

    async def _mend(self) -> None:
        if await self._standing.look(*self._registered) and self._listening is not None:
            self.io.log.warning("the panel had lost what the bridge had set for events; it is set again")
            self._listening.resync()

    # -- what it is set to ---------------------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        wanted = table.keys(sections)
        if not wanted:
            return Configuration()
        return table.configuration(await self._api.read(wanted), sections)

    async def apply(self, channel: Channel, step: Step) -> bool:
        config = await self._api.read(table.keys([step.section]))
        writing, reboot = table.change(step, config, encodes=self._profile.encodes)
        await self._api.write(writing)
        if step.section == "relays":
            self._polls = 0  # read how long they hold with the next poll
        return reboot

    # -- what it is told to do -----------------------------------------------------------------------------------

    async def command(self, command: Command) -> Result:
        match command.action:
            case Capability.OPEN_DOOR:
                return await self._open(command.arguments.get("output", 1))
            case Capability.REBOOT:
                await self._same_device()
                await self._api.reboot()
                return Result("it reboots")
            case Capability.SNAPSHOT:
                reply = await self._api.picture()
                return Result("a picture of its camera", reply.body, "image/jpeg")
        raise Unsupported(f"Akuvox panels know no {command.action}")

    async def _open(self, output: Fact) -> Result:
        info = await self._same_device()
        if isinstance(output, bool) or not isinstance(output, int) or not 1 <= output <= self._relays:
            raise Rejected(f"{info.model} has no output {output}: it has 1 to {self._relays}")
        if not self._relay_api:
            await self._api.open_by_url(output)
            return Result(f"door {output} opens")
        seconds = self._hold(LETTERS[output - 1])
        await self._api.trigger(output, seconds)
        return Result(f"door {output} opens for {seconds} s")

    def _hold(self, letter: str) -> int:
        found = [self._relay_config.get(f"{table.RELAY}{part}", "") for part in _keys_of(letter)[:2]]
        return next((int(text) for text in found if text.isdecimal() and 0 < int(text) <= 3600), HOLD)

    async def _same_device(self) -> Info:
        """Before something is done: is it still the panel that was identified? At its address may be another by now,
        and another door would open."""
        if not self._serial:
            await self.probe()
        info = await self._api.info()
        if info.serial != self._serial:
            raise Rejected("another panel answers at this address by now; it is identified anew with the next poll")
        return info


_STATES: Mapping[str, str] = {"open": "unlocked", "active": "unlocked", "closed": "locked", "inactive": "locked"}


def _keys_of(letter: str) -> tuple[str, ...]:
    return f"HoldDelay{letter}", f"Relay{letter}Delay", f"Relay{letter}Type"


def _lock(letter: str) -> str:
    return f"lock_{LETTERS.index(letter) + 1}"
