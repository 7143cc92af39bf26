"""The SNMP driver: health of cameras and panels, servers, switches, and what their traps report."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from sys import intern
from types import MappingProxyType
from typing import ClassVar

from bridge.driver import Driver, DriverIO, Registration, SnmpUser, Trap, TrapAccess
from bridge.errors import DeviceError, Unreachable, Unsupported
from bridge.model import (
    Capability,
    Command,
    Device,
    DeviceEvent,
    EventKind,
    Fact,
    Identity,
    Kind,
    Port,
    Reading,
    Result,
    Rung,
    Sample,
    Stream,
)
from bridge.secrets import Secret
from drivers.snmp import profiles, server, switch
from drivers.snmp.clients.gufo import GufoClient
from drivers.snmp.clients.seam import Client, Target, Value, resolve
from drivers.snmp.config import SnmpConfig
from drivers.snmp.values import mac, number, text

DESCRIPTION = "1.3.6.1.2.1.1.1.0"
OBJECT_ID = "1.3.6.1.2.1.1.2.0"
UPTIME = "1.3.6.1.2.1.1.3.0"
HARDWARE_ADDRESS = "1.3.6.1.2.1.2.2.1.6"  # ifPhysAddress
# Tables change slowly and take several datagrams each.
TABLES_EVERY = 300.0
ROWS_TOLD = 16  # of one table
TRAPS_WAITING = 6_000  # what the listener lets through of one device at once
VARIABLES = 24  # of one trap, that are passed on
NO_SECRET = Secret("")
NO_FACTS: Mapping[str, Fact] = MappingProxyType({})


class SnmpDriver(Driver[SnmpConfig]):
    name: ClassVar[str] = "snmp"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.CAMERA, Kind.INTERCOM, Kind.SERVER, Kind.SWITCH})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.STREAMS, Capability.EVENTS, Capability.POWER_CYCLE}
    )
    Config = SnmpConfig

    __slots__ = ("_client", "_heard", "_power", "_profile", "_tables", "_tables_until")

    def __init__(self, device: Device, config: SnmpConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._client = _client(device, config, io)
        self._power = switch.PowerSwitch(self._client, config, io) if device.kind is Kind.SWITCH else None
        self._profile = "" if config.profile == "auto" else config.profile
        self._tables: Mapping[str, Fact] = NO_FACTS
        self._tables_until: float | None = None  # monotonic
        self._heard: asyncio.Queue[Trap | None] | None = None

    async def close(self) -> None:
        if self._heard is not None:
            while not self._heard.empty():
                self._heard.get_nowait()
            self._heard.put_nowait(None)
        try:
            if self._power is not None:
                await self._power.give_back()
        except DeviceError as error:
            self.io.log.error("the power that was taken from a port is not back", reason=error.detail)
        finally:
            await self._client.close()

    # -- who it is -----------------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        async with self.io.gate:
            first = await self._client.get([DESCRIPTION, OBJECT_ID, UPTIME])
            if self.config.profile == "auto":
                self._profile = await self._recognise(first)
            profile = profiles.load()[self._profile]
            asked = [profile.model, profile.firmware, profile.serial, profile.hardware, profile.mac]
            if isinstance(profile.manufacturer, profiles.Source):
                asked.append(profile.manufacturer)
            oids = list(dict.fromkeys(one.oid for one in asked if one is not None))
            found = first | await self._client.get([oid for oid in oids if oid not in first])
            macs = [mac(value) for value in (await self._client.column(HARDWARE_ADDRESS)).values()]
            self._tables_until = None
            return Identity(
                manufacturer=intern(
                    profile.manufacturer
                    if isinstance(profile.manufacturer, str)
                    else _told(profile.manufacturer, found)
                ),
                # Hundreds of devices are of one model: they share its name.
                model=intern(_told(profile.model, found) or profile.title),
                firmware=intern(_told(profile.firmware, found)),
                serial=_told(profile.serial, found),
                hardware=intern(_told(profile.hardware, found)),
                macs=_macs([mac(found.get(profile.mac.oid)) if profile.mac else None, *macs]),
                capabilities=await self._able(),
            )

    async def _recognise(self, first: dict[str, Value]) -> str:
        name = profiles.by_object(text(first.get(OBJECT_ID)))
        if name is None or name not in profiles.signs().values():
            # Some Hikvision cameras have no system group, and some makes give all their devices net-snmp's own.
            signs = profiles.signs()
            name = next((signs[oid] for oid in await self._client.get(list(signs))), name)
        return name or profiles.generic(self.device.kind)

    async def _able(self) -> frozenset[Capability]:
        able = set()
        if self.device.kind is Kind.CAMERA:
            able.add(Capability.STREAMS)
        if self.config.traps and self.io.traps is not None:
            able.add(Capability.EVENTS)
        if self._power is not None and await self._client.column(switch.POWER_STATUS):
            able.add(Capability.POWER_CYCLE)
        return frozenset(able)

    # -- how it is -----------------------------------------------------------------------------------------------

    async def poll(self) -> Reading:
        async with self.io.gate:
            if not self._profile:
                self._profile = await self._recognise(await self._client.get([OBJECT_ID]))
            profile = profiles.load()[self._profile]
            found = await self._client.get([UPTIME, *(one.oid for one in profile.facts)])
            facts: dict[str, Fact] = {}
            if (ticks := number(found.get(UPTIME))) is not None:
                facts["uptime"] = int(ticks) // 100
            facts |= {one.name: fact for one in profile.facts if (fact := _fact(one, found.get(one.oid))) is not None}
            facts |= await self._slow_facts(profile)
            if self._power is not None:
                await self._power.give_back()  # the end of a command that was cut short; else nothing is written here
            return Reading(Rung.READY, await self._streams(profile), facts, await self._ports(), await self._samples())

    async def _slow_facts(self, profile: profiles.Profile) -> Mapping[str, Fact]:
        now = self.io.clock.now().mono
        if profile.tables and (self._tables_until is None or now >= self._tables_until):
            told: dict[str, Fact] = {}
            for one in profile.tables:
                rows = list((await self._client.column(one.oid)).items())[:ROWS_TOLD]
                told |= {f"{one.name}.{row}": fact for row, raw in rows if (fact := _fact(one, raw)) is not None}
            self._tables = told
            self._tables_until = now + TABLES_EVERY * self.io.random.uniform(0.8, 1.0)
        return self._tables

    async def _streams(self, profile: profiles.Profile) -> dict[str, tuple[Stream, ...]]:
        """Of a camera: its video channels where the MIB has them, else one that is up while the agent answers."""
        if self.device.kind is not Kind.CAMERA:
            return {}
        signal = profile.signal
        pictures = {} if signal is None else await self._client.column(signal.oid)
        streams: dict[str, tuple[Stream, ...]] = {}
        for position, channel in enumerate(self.device.channels, 1):
            row = channel.source or str(position)
            state = number(pictures.get(row))
            up = signal is None or state is None or state in signal.up
            streams[channel.key] = (Stream(row, up, detail="" if up else "no video signal"),)
        return streams

    async def _ports(self) -> dict[int, Port]:
        return await switch.ports(self._client, self.config) if self._power is not None else {}

    async def _samples(self) -> tuple[Sample, ...]:
        if self.device.kind is not Kind.SERVER:
            return ()
        taken = await server.sample(self._client, await resolve(self.device.address))
        return () if taken is None else (taken,)

    # -- what it reports -----------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self.io.traps is None:
            raise Unsupported("bridge.traps is not in the inventory")
        if not self.config.traps:
            raise Unsupported("the inventory says traps: false")
        heard = self._heard = asyncio.Queue(TRAPS_WAITING)
        registration: Registration = await self.io.traps.register(self.device, self._access(), heard.put_nowait)
        try:
            async with self.io.gate:
                await self._client.get([UPTIME])
            yield DeviceEvent(EventKind.RESYNC)
            while (trap := await heard.get()) is not None:
                event = self._event(trap)
                if event.kind is EventKind.REBOOT:
                    yield DeviceEvent(EventKind.RESYNC)
                yield event
            raise Unreachable("the driver was closed", Rung.READY)
        finally:
            registration.close()
            self._heard = None

    def _access(self) -> TrapAccess:
        config = self.config
        community = config.trap_community or (_password(self.device) if config.version != "3" else None)
        return TrapAccess(community, _user(self.device, config))

    def _event(self, trap: Trap) -> DeviceEvent:
        known = profiles.meaning(self._profile or profiles.generic(self.device.kind), trap.name)
        data = {oid: text(value) for oid, value in trap.variables[:VARIABLES]}
        if known is None:
            return DeviceEvent(EventKind.VENDOR, topic=trap.name, data=data, hint=True)
        named = [data[oid] for oid in data if any(oid == one or oid.startswith(f"{one}.") for one in known.source)]
        video = known.kind in (EventKind.MOTION, EventKind.TAMPER, EventKind.SIGNAL_LOSS)
        return DeviceEvent(
            known.kind,
            channel=self.device.channels[0].key if video and len(self.device.channels) == 1 else None,
            source=", ".join(named),
            active=known.active,
            topic=known.topic,
            data={**data, **known.data},
            hint=True,
        )

    # -- what it can be told -------------------------------------------------------------------------------------

    async def command(self, command: Command) -> Result:
        if command.action is not Capability.POWER_CYCLE or self._power is None:
            raise Unsupported(f"it cannot be asked to {command.action.replace('_', ' ')}")
        port = command.arguments.get("port")
        if not isinstance(port, int) or isinstance(port, bool):
            raise Unsupported("say which port")
        await self.power_cycle(port)
        return Result(f"the power of port {port} was taken for {self.config.off_seconds:g} s, and is back")

    async def power_cycle(self, port: int) -> None:
        """Take the power from a port of this switch and give it back. Raises as `command`."""
        if self._power is None:
            raise Unsupported("it is no switch")
        await self._power.cycle(port)


def _password(device: Device) -> Secret | None:
    return None if device.credentials is None else device.credentials.password


def _user(device: Device, config: SnmpConfig) -> SnmpUser | None:
    if config.version != "3" or device.credentials is None:
        return None
    password = device.credentials.password
    return SnmpUser(
        device.credentials.username,
        config.auth,
        NO_SECRET if config.auth == "none" else password,
        config.privacy,
        NO_SECRET if config.privacy == "none" else config.privacy_password or password,
    )


def _client(device: Device, config: SnmpConfig, io: DriverIO) -> Client:
    community = _password(device) if config.version != "3" else None
    target = Target(device.address, config.port, config.version, community, _user(device, config), config.timeout)
    return _pysnmp(target) if config.client == "pysnmp" else GufoClient(target, io.clock, _pysnmp)


def _pysnmp(target: Target) -> Client:
    from drivers.snmp.clients.pysnmp import PysnmpClient  # 25 MB, which most bridges never need

    return PysnmpClient(target)


def _told(source: profiles.Source | None, found: dict[str, Value]) -> str:
    whole = "" if source is None else text(found.get(source.oid))
    if source is None or source.pattern is None:
        return whole[:128]
    match = re.search(source.pattern, whole)
    return match[1].strip()[:128] if match else ""


def _macs(found: Iterable[str | None]) -> tuple[str, ...]:
    # A switch has one for each port; the first two tell it from any other.
    return tuple(dict.fromkeys(one for one in found if one is not None))[:2]


def _fact(one: profiles.Value, raw: Value | None) -> Fact:
    """A number, a word, or the text itself where it is no number."""
    told = number(raw)
    if one.words:
        return one.words.get(int(told), str(told)) if told is not None else None
    return told if told is not None else text(raw) or None
