"""The ONVIF driver: cameras, NVRs and door panels. Thin; the words of the protocol are in the files beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from sys import intern
from typing import ClassVar

from bridge.driver import Driver, DriverIO, Scope
from bridge.errors import AuthFailed, ProtocolError, Unsupported
from bridge.model import (
    Capability,
    Channel,
    Command,
    Device,
    DeviceEvent,
    EventKind,
    Fact,
    Found,
    Identity,
    Kind,
    Reading,
    Result,
    Rung,
    Stream,
)
from bridge.settings.plan import Configuration, Step
from drivers.onvif import discovery, media, topics, wsdl
from drivers.onvif.client import DEVICE, EVENTS, MEDIA, MEDIA2, Mode, OnvifClient
from drivers.onvif.config import EventMode, OnvifConfig, StreamCheck
from drivers.onvif.configuration import sections as table
from drivers.onvif.configuration.unit import Unit
from drivers.onvif.notification import Notification
from drivers.onvif.subscription import Subscriptions
from drivers.transports import rtsp, xml

# How old, in seconds, the list of profiles (and with it the proof that our password still works) may become.
REFRESH = 300.0
# How long, in seconds, what a device offers is remembered while it is being set up.
SETTING_UP = 20.0
# The VMS knows two streams of a camera: high and low.
STREAMS = 2
_OF_VIDEO = frozenset({EventKind.MOTION, EventKind.TAMPER, EventKind.SIGNAL_LOSS, EventKind.ANALYTICS})


class OnvifDriver(Driver[OnvifConfig]):
    name: ClassVar[str] = "onvif"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.CAMERA, Kind.INTERCOM, Kind.SERVER})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.STREAMS, Capability.EVENTS, Capability.DISCOVER, Capability.SETTINGS, Capability.REBOOT}
    )
    Config = OnvifConfig
    settings = table.OPERATIONS

    __slots__ = (
        "_channels",
        "_client",
        "_doubted",
        "_fresh_until",
        "_listed",
        "_no_rtsp_until",
        "_subscriptions",
        "_units",
    )

    def __init__(self, device: Device, config: OnvifConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._client = OnvifClient(device.address, device.credentials, config, io)
        self._subscriptions = Subscriptions(self._client, device, io)
        self._listed: dict[str, tuple[Stream, ...]] = {}  # the streams of each channel, by the profile list
        self._channels: dict[str, str] = {}  # which channel an event's source token belongs to
        self._fresh_until: float | None = None  # monotonic; None: the profiles have to be asked for
        self._units: dict[str, tuple[float, Unit]] | None = None  # channels that are being set up, each until a time
        self._doubted = False  # whether the streams' addresses are still right
        self._no_rtsp_until = 0.0  # monotonic; RTSP refused the credentials, and too many tries lock the account

    @classmethod
    def problem(cls) -> str | None:
        return wsdl.problem()

    async def open(self) -> None:
        await asyncio.to_thread(wsdl.warm_up)

    async def close(self) -> None:
        await self._subscriptions.close()

    # -- who it is -----------------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        self._units = None
        self._fresh_until, self._doubted = None, True  # it may be another device than before
        await self._client.measure_clock()
        await self._find_services()
        info = await self._client.call(DEVICE, wsdl.message("devicemgmt", "GetDeviceInformation"))
        capabilities = {Capability.STREAMS, Capability.DISCOVER, Capability.SETTINGS, Capability.REBOOT}
        if self.config.events is not EventMode.OFF:
            # What a device claims about its events is often wrong; the only way to know is to try.
            capabilities.add(Capability.EVENTS)
        return Identity(
            # Hundreds of cameras are of one model: they share its name.
            manufacturer=intern(xml.text(info, "Manufacturer")[:128]),
            model=intern(xml.text(info, "Model")[:128]),
            firmware=intern(xml.text(info, "FirmwareVersion")[:128]),
            serial=xml.text(info, "SerialNumber")[:128],
            hardware=intern(xml.text(info, "HardwareId")[:128]),
            macs=await self._macs(known=self._client.mode is not Mode.UNKNOWN),
            capabilities=frozenset(capabilities),
        )

    async def _find_services(self) -> None:
        """GetServices, and GetCapabilities where that is missing or says too little."""
        found: dict[str, str] = {}
        try:
            reply = await self._client.call(DEVICE, wsdl.message("devicemgmt", "GetServices", IncludeCapability=False))
            for service in xml.children(reply, "Service"):
                found.setdefault(xml.text(service, "Namespace"), xml.text(service, "XAddr"))
        except (Unsupported, ProtocolError):
            pass
        if EVENTS not in found or (MEDIA not in found and MEDIA2 not in found):
            try:
                reply = await self._client.call(DEVICE, wsdl.message("devicemgmt", "GetCapabilities", Category="All"))
                told = xml.child(reply, "Capabilities")
                for namespace, name in ((MEDIA, "Media"), (EVENTS, "Events")):
                    if xaddr := xml.text(told, name, "XAddr"):
                        found.setdefault(namespace, xaddr)
            except (Unsupported, ProtocolError):
                if not found:
                    self._client.assume_usual_paths()
        self._client.learn(found)

    async def _macs(self, *, known: bool) -> tuple[str, ...]:
        """`known`: that the credentials are right."""
        try:
            reply = await self._client.call(DEVICE, wsdl.message("devicemgmt", "GetNetworkInterfaces"))
        except (Unsupported, ProtocolError):
            return ()
        except AuthFailed:
            if not known:
                raise
            return ()  # a user who may look at pictures and not at the network
        told = (xml.text(one, "Info", "HwAddress") for one in xml.children(reply, "NetworkInterfaces"))
        digits = ("".join(letter for letter in mac.lower() if letter in "0123456789abcdef") for mac in told)
        return tuple(":".join(mac[i : i + 2] for i in range(0, 12, 2)) for mac in digits if len(mac) == 12)[:8]

    # -- how it is -----------------------------------------------------------------------------------------------

    async def poll(self) -> Reading:
        await self._client.measure_clock()
        now = self.io.clock.now().mono
        if self._units is not None and all(until <= now for until, _ in self._units.values()):
            self._units = None
        if self._fresh_until is None or now >= self._fresh_until or self._client.authorised_at is None:
            await self._read_profiles()
            self._fresh_until = now + REFRESH * self.io.random.uniform(0.8, 1.0)
        facts: dict[str, Fact] = {"auth": self._client.mode.value}
        if self._client.offset is not None:
            facts["clock_offset"] = round(self._client.offset, 1)
        return Reading(Rung.READY, await self._streams(), facts)

    async def _read_profiles(self) -> None:
        if MEDIA not in self._client.paths and MEDIA2 not in self._client.paths:
            await self._find_services()
        found = await media.profiles(self._client)
        sources = media.by_source(found)
        by_token = {one.token: one for one in found}
        # An address is asked for once, and again when it may be another: nothing answers there, or settings changed.
        known = {} if self._doubted else {one.name: one.uri for all_ in self._listed.values() for one in all_}
        self._doubted = False
        self._listed, self._channels = {}, {}
        for channel in self.device.channels:
            source = _source_of(channel, list(sources))
            tokens = channel.streams or [one.token for one in sources.get(source or "", [])[:STREAMS]]
            streams = []
            for token in tokens:
                profile = by_token.get(token)
                if profile is None:
                    streams.append(Stream(token, False, detail="the device has no such profile"))
                    continue
                uri = known.get(token) or await media.stream_uri(self._client, profile, self.device.address)
                streams.append(Stream(token, True, uri))
            self._listed[channel.key] = tuple(streams)
            self._channels |= {name: channel.key for one in found if one.source == source for name in one.names}

    async def _streams(self) -> dict[str, tuple[Stream, ...]]:
        """The streams of each channel as listed, asked for over RTSP where the inventory says so."""
        if self.config.stream_check is StreamCheck.NONE:
            return self._listed
        uris = list(dict.fromkeys(one.uri for streams in self._listed.values() for one in streams if one.uri))
        now = self.io.clock.now().mono
        if now < self._no_rtsp_until:
            answers = dict.fromkeys(uris, rtsp.REFUSED)
        else:
            method = self.config.stream_check.value.upper()
            told = await rtsp.check(uris, method, self.device.credentials, deadline=self.config.timeout / 2)
            answers = dict(zip(uris, told, strict=True))
            self._doubted = any(one.up is False for one in told)
            if rtsp.REFUSED in told:
                # Only RTSP, or has the password changed? The next poll asks ONVIF.
                self._no_rtsp_until = now + REFRESH
                self._client.authorised_at = None
        return {
            key: tuple(_proven(one, answers) if one.up else one for one in streams)
            for key, streams in self._listed.items()
        }

    # -- what it reports -----------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if EVENTS not in self._client.paths:
            await self._find_services()
            self._client.assume_usual_paths()
        if not self._channels:
            # Events may come before the first poll; which channel they belong to is told by the profiles.
            await self._read_profiles()
        async for one in self._notifications():
            if one is None:
                yield DeviceEvent(EventKind.RESYNC)
            elif one.topic not in topics.NOISE:
                yield self._event(one)

    async def _notifications(self) -> AsyncIterator[Notification | None]:
        mode, callbacks = self.config.events, self.io.callbacks
        if mode is EventMode.OFF:
            raise Unsupported("the inventory says events: off")
        if mode is EventMode.PUSH and callbacks is None:
            raise Unsupported("events: push needs bridge.callbacks in the inventory")
        if mode is not EventMode.PUSH:
            try:
                async for one in self._subscriptions.pull():
                    yield one
                return
            except Unsupported:
                if mode is EventMode.PULL or callbacks is None:
                    raise
        assert callbacks is not None
        async for one in self._subscriptions.push(callbacks):
            yield one

    def _event(self, one: Notification) -> DeviceEvent:
        found = topics.meaning(one.topic)
        if found.kind is EventKind.CONFIG_CHANGED:
            self._fresh_until, self._doubted = None, True
        active = topics.condition(found, one.data)
        if one.operation == "Deleted" and active is not None:
            active = False
        return DeviceEvent(
            found.kind,
            channel=self._channel_of(found.kind, one.source.values()),
            source=", ".join(one.source.values()),
            active=active,
            initial=one.operation == "Initialized",
            source_time=one.time,
            topic=one.topic,
            data=one.data,
        )

    def _channel_of(self, kind: EventKind, tokens: Iterable[str]) -> str | None:
        """The channel by the video source (or its configuration) that the event names."""
        for token in tokens:
            if token in self._channels:
                return self._channels[token]
        # A camera has one lens, whatever it calls it in events; an NVR's unknown source is nobody's.
        if len(self.device.channels) == 1 and kind in _OF_VIDEO:
            return self.device.channels[0].key
        return None

    # -- what it is set to ---------------------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        return await table.read(await self._unit(channel), sections)

    async def apply(self, channel: Channel, step: Step) -> bool:
        self._fresh_until = None  # streams may be others behind it
        return await table.write(await self._unit(channel), step)

    async def command(self, command: Command) -> Result:
        if command.action is not Capability.REBOOT:
            raise Unsupported(f"ONVIF has no {command.action}")
        reply = await self._client.call(DEVICE, wsdl.message("devicemgmt", "SystemReboot"))
        return Result(xml.text(reply, "Message")[:200])

    async def _unit(self, channel: Channel) -> Unit:
        """The channel with its encoders, high first: in the order that they had when they were first looked at, because
        a template may make the first one the smaller."""
        known, now = (self._units or {}).get(channel.key), self.io.clock.now().mono
        if known is not None and now < known[0]:
            return known[1]
        if MEDIA not in self._client.paths and MEDIA2 not in self._client.paths:
            await self._find_services()
        try:
            found = await media.profiles(self._client)
        except Unsupported:
            found = []
        of_source = media.by_source(found)
        own = list(of_source.get(_source_of(channel, list(of_source)) or "", []))
        by_token = {one.token: one for one in found}
        if channel.streams:
            own = [by_token[token] for token in channel.streams if token in by_token]
        key = f"encoders:{channel.key}"
        remembered = (self.io.memory.get(key) or "").split("\n")
        places = {token: place for place, token in enumerate(remembered)}
        if all(one.encoder in places for one in own):
            own.sort(key=lambda one: places[one.encoder])
        else:
            await self.io.memory.put(key, "\n".join(one.encoder for one in own))
        unit = Unit(self._client, self.device, channel, self.io, tuple(own))
        self._units = {**(self._units or {}), channel.key: (now + SETTING_UP, unit)}
        return unit

    # -- what else is there --------------------------------------------------------------------------------------

    @classmethod
    def discover(cls, scope: Scope) -> AsyncIterator[Found]:
        return discovery.discover(scope)


def _proven(stream: Stream, answers: Mapping[str, rtsp.Answer]) -> Stream:
    """A listed stream with what RTSP said about it."""
    if stream.uri not in answers:
        return replace(stream, up=None, detail="the device gives no RTSP address for it")
    return replace(stream, up=answers[stream.uri].up, detail=answers[stream.uri].detail)


def _source_of(channel: Channel, sources: Sequence[str]) -> str | None:
    """The video source token of a channel: by its token, by its number from 1, or the first one."""
    if channel.source is None:
        return sources[0] if sources else None
    if channel.source in sources:
        return channel.source
    number = int(channel.source) if channel.source.isdecimal() and len(channel.source) < 5 else 0
    return sources[number - 1] if 1 <= number <= len(sources) else None
