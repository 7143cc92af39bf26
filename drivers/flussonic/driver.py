"""The Flussonic driver: a media server and the cameras behind it. Thin; the words of the server are beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bridge.driver import Driver, DriverIO, Progress
from bridge.errors import ProtocolError, Rejected, Unsupported
from bridge.model import (
    Capability,
    Channel,
    Device,
    DeviceEvent,
    EventKind,
    Fact,
    Identity,
    Kind,
    Reading,
    Rung,
    Span,
    Stream,
)
from bridge.settings.limits import Limit, Limits
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import unflatten
from drivers.flussonic import settings as table
from drivers.flussonic.api import V3, Api, NotThere, Server, segment
from drivers.flussonic.archive import Archive
from drivers.flussonic.config import FlussonicConfig
from drivers.flussonic.events import MEANINGS, Event, Inbox
from drivers.flussonic.sink import EventSink
from drivers.flussonic.streams import Listed, judged, wanted
from drivers.flussonic.writing import Asked, Remembered, change

# Streams that events point at and that are then asked for by name; of more than these, all are asked for.
FEW = 50
# After its start a server connects to its cameras one by one. So long, in seconds, what is not up yet is not down.
SETTLING = 30.0
# A source that was lost counts as dead after 12 s without frames, so this is when a second look is due.
SECOND_LOOK = 13.0
# How often, in seconds, the server is asked whether our sink is still there.
SINK_CHECK = 60.0


class FlussonicDriver(Driver[FlussonicConfig]):
    name: ClassVar[str] = "flussonic"
    stability: ClassVar[str] = "beta"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SERVER})
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.STREAMS, Capability.EVENTS, Capability.SETTINGS, Capability.ARCHIVE}
    )
    second_hand: ClassVar[bool] = True
    Config = FlussonicConfig
    settings: ClassVar[Mapping[str, str]] = table.OPERATIONS
    VendorSettings = table.FlussonicSettings

    __slots__ = (
        "_api",
        "_channels",
        "_facts",
        "_full_at",
        "_hints",
        "_inbox",
        "_listed",
        "_remembered",
        "_second_looks",
        "_server",
        "_settled_at",
        "_sink",
        "_streams",
        "archive",
    )

    def __init__(self, device: Device, config: FlussonicConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._api = Api(device.address, device.credentials, config, io)
        self.archive = Archive(self._api, io)
        self._sink = EventSink(self._api, device, io)
        self._inbox: Inbox | None = None
        self._streams = {channel.key: wanted(channel, config) for channel in device.channels}
        self._channels = {one.name: key for key, names in self._streams.items() for one in names}
        self._listed: dict[str, Listed] = {}  # the last word about each
        self._hints: set[str] = set()  # streams that an event has said something about since
        self._second_looks: dict[str, float] = {}  # when, monotonic, a stream whose source was lost is looked at again
        self._full_at: float | None = None  # when, monotonic, everything is to be read; None: now
        self._settled_at = 0.0
        self._server: Server | None = None
        self._facts: dict[str, Fact] = {}
        self._remembered = Remembered()

    async def close(self) -> None:
        await self._sink.close()

    # -- how it is -----------------------------------------------------------------------------------------------

    async def probe(self) -> Identity:
        self._api.legacy = None  # it may have been upgraded while it was away
        server = await self._ask_server()
        capabilities = {Capability.STREAMS, Capability.ARCHIVE}
        if not self._api.legacy:
            capabilities.add(Capability.SETTINGS)
        if self._why_no_events() is None:
            capabilities.add(Capability.EVENTS)
        else:
            await self._sink.close()  # which there may be from the time when events were wanted
        return Identity(
            "Flussonic", "Media Server", server.version, server.hostname, capabilities=frozenset(capabilities)
        )

    async def poll(self) -> Reading:
        """All streams in a few requests; between two of these, only what events have pointed at."""
        now = self.io.clock.now().mono
        hints, self._hints = self._hints, set()
        if self._full_at is not None and now < self._full_at and 0 < len(hints) <= FEW:
            due, self._full_at = self._full_at, None  # should this fail, the next poll reads everything
            found = await self._api.streams(hints)
            self._full_at = due
            self._listed = {name: said for name, said in self._listed.items() if name not in hints} | found
            keys = {key for key, names in self._streams.items() if any(one.name in hints for one in names)}
        else:
            self._full_at = None
            server = await self._ask_server()
            self._listed = await self._api.streams(self._channels)
            self._full_at = now + self.device.policy.poll * 0.8
            self._facts = {**server.facts, "api": "legacy" if self._api.legacy else "v3"}
            keys = set(self._streams)
        return Reading(Rung.READY, {key: self._judged(key) for key in keys}, {**self._facts, **self._event_facts()})

    def _judged(self, key: str) -> tuple[Stream, ...]:
        settling = self.io.clock.now().mono < self._settled_at
        return judged(self._streams[key], self._listed, settling=settling)

    async def _ask_server(self) -> Server:
        """What the server says of itself; notices that it was started anew meanwhile."""
        before, server = self._server, await self._api.server()
        self._server = server
        if server.starting:
            self._has_started(0.0)
        elif before is None:
            if server.uptime is not None:
                self._has_started(server.uptime)
        elif server.instance != before.instance or (server.uptime or 0.0) < (before.uptime or 0.0):
            self._has_started(server.uptime or 0.0)
        return server

    def _has_started(self, seconds_ago: float) -> None:
        self._settled_at = self.io.clock.now().mono + SETTLING - seconds_ago
        self._full_at = None

    def _event_facts(self) -> dict[str, Fact]:
        inbox = self._inbox
        if inbox is None:
            return {}
        return {
            "events_waiting": len(inbox),
            "events_repeated": inbox.repeated,
            "events_ignored": inbox.ignored,
        }

    # -- what it reports -----------------------------------------------------------------------------------------

    def _why_no_events(self) -> str | None:
        if self.config.events == "off":
            return "the inventory says events: off"
        if self.io.callbacks is None:
            return "events need bridge.callbacks in the inventory"
        if self._api.legacy:
            return "event sinks of servers up to version 21 cannot be made over the API"
        return None

    async def events(self) -> AsyncIterator[DeviceEvent]:
        if self._api.legacy is None:
            await self._ask_server()
        if (reason := self._why_no_events()) is not None:
            raise Unsupported(reason)
        assert self.io.callbacks is not None
        inbox = self._inbox = await self._sink.open(self.io.callbacks)
        try:
            yield DeviceEvent(EventKind.RESYNC)
            self._full_at = None  # what happened before the sink stood was told to nobody
            yield _look("resync")
            check_at = self._next_check()
            while True:
                while (event := inbox.pop()) is not None:
                    for one in self._told(event, inbox):
                        yield one
                if inbox.over:
                    return
                now = self.io.clock.now().mono
                if now >= check_at:
                    if not await self._sink.stands():
                        self.io.log.warning("the server has lost our event sink, or somebody changed it")
                        return
                    check_at = self._next_check()
                if due := [name for name, at in self._second_looks.items() if at <= now]:
                    for name in due:
                        del self._second_looks[name]
                    self._hints.update(due)
                    yield _look("second look")
                until = min([check_at, *self._second_looks.values()])
                await self.io.clock.wait(inbox.wake, max(0.0, until - now))
                inbox.wake.clear()
        finally:
            self._inbox = None
            self._sink.hang_up()

    def _next_check(self) -> float:
        return self.io.clock.now().mono + SINK_CHECK * self.io.random.uniform(0.8, 1.0)

    def _told(self, event: Event, inbox: Inbox) -> list[DeviceEvent]:
        meaning = MEANINGS.get(event.name)
        channel = self._channels.get(event.media)
        if event.media and channel is None:
            inbox.ignored += 1  # of a stream that is not in the inventory
            return []
        if meaning is None:
            return [_device_event(EventKind.VENDOR, channel, event)]
        if meaning.kind is EventKind.REBOOT:
            # Whatever was known from before is hearsay.
            self._has_started(0.0)
            self._second_looks.clear()
            return [DeviceEvent(EventKind.RESYNC), _device_event(EventKind.REBOOT, channel, event)]
        if meaning.kind is EventKind.STREAM and channel is not None:
            self._hints.add(event.media)
            if meaning.up:
                self._second_looks.pop(event.media, None)
            else:
                self._second_looks[event.media] = self.io.clock.now().mono + SECOND_LOOK
        return [_device_event(meaning.kind, channel, event, meaning.active)]

    # -- what its streams are set to -----------------------------------------------------------------------------

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        if "vendor" not in sections:
            return Configuration()
        values: dict[str, object] = {}
        limits: dict[str, Limit] = {}
        for which, name in self._by_rank(channel):
            if (stream := await self._stream(name)) is not None:
                self._remembered.note(name, stream)
                prefix = f"vendor.{self.name}.{which}_"
                values |= {prefix + leaf: value for leaf, value in table.values(stream).items()}
                limits |= {prefix + leaf: limit for leaf, limit in table.limits(stream).items()}
        return Configuration(unflatten(values), Limits(limits))

    async def apply(self, channel: Channel, step: Step) -> bool:
        after = (step.after.vendor or {}).get(self.name, {})
        changed = {path.rpartition(".")[2] for path in step.paths}
        for which, name in self._by_rank(channel):
            prefix = f"{which}_"
            mine = {leaf.removeprefix(prefix) for leaf in changed if leaf.startswith(prefix)}
            if not mine:
                continue
            stream = await self._stream(name)
            if stream is None:
                raise Rejected(f"the server has no stream {name}")
            self._remembered.note(name, stream)
            wanted = {leaf.removeprefix(prefix): value for leaf, value in after.items() if leaf.startswith(prefix)}
            body = {"name": name, **change(Asked(stream, wanted, mine, self._remembered.of(name), which))}
            self._full_at = None  # streams may be others behind it
            await self._api.ask("PUT", f"{V3}/streams/{segment(name)}", body=body)
        return False

    def _by_rank(self, channel: Channel) -> list[tuple[str, str]]:
        """Which stream it is and its name."""
        return [(which, one.name) for which, one in zip(table.STREAMS, self._streams[channel.key], strict=False)]

    async def _stream(self, name: str) -> table.Stream | None:
        """Its whole configuration, as it holds; None for one that the server has not got."""
        if self._api.legacy is None:
            await self._ask_server()
        if self._api.legacy:
            raise Unsupported("servers up to version 21 cannot be set up over the API")
        try:
            answer = await self._api.ask("GET", f"{V3}/streams/{segment(name)}")
        except NotThere:
            return None
        if not isinstance(answer, dict):
            raise ProtocolError("its answer is no stream")
        return answer

    # -- what it has recorded --------------------------------------------------------------------------------------

    async def recorded(self, channel: Channel, start: int, end: int) -> Sequence[Span]:
        return await self.archive.ranges(self._high(channel), start, end)

    async def clip(
        self,
        channel: Channel,
        start: int,
        end: int,
        file: Path,
        *,
        progress: Progress,
        deadline: float,
        size_limit: int,
    ) -> int:
        size = await self.archive.clip(
            self._high(channel), start, end - start, file, progress=progress, deadline=deadline, size_limit=size_limit
        )
        if not await asyncio.to_thread(_is_mp4, file):
            await asyncio.to_thread(file.unlink)
            raise ProtocolError("what it sends for a clip is no mp4 file")
        return size

    def _high(self, channel: Channel) -> str:
        """Its stream that is recorded: operators keep the archive of the better picture."""
        return self._streams[channel.key][0].name


def _is_mp4(file: Path) -> bool:
    """Whether it begins with a file type box (ISO/IEC 14496-12)."""
    with file.open("rb") as data:
        return data.read(8)[4:] == b"ftyp"


def _look(why: str) -> DeviceEvent:
    """Nothing new, and time to poll."""
    return DeviceEvent(EventKind.STREAM, initial=True, topic=why)


def _device_event(kind: EventKind, channel: str | None, event: Event, active: bool | None = None) -> DeviceEvent:
    # One condition has one topic: "motion_started" and "stream_motion_stopped" are both about "motion".
    topic = event.name if active is None else "motion"
    return DeviceEvent(
        kind, channel, source=event.media, active=active, source_time=event.at, topic=topic, data=event.data
    )
