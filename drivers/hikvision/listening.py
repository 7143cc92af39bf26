"""How a panel is heard: its event stream, its webhook, its log, and the state of its call that is asked for.

One loop does it all, because a driver has one task for events: it reads what came, and asks what is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp

from bridge.driver import CallbackRequest, DriverIO
from bridge.errors import ProtocolError, Throttled, Unreachable, Unsupported
from bridge.model import Device, DeviceEvent, EventKind, Fact, Rung
from drivers.hikvision.api import BUSY, Api, Full, NotThere, failure
from drivers.hikvision.calls import Calls
from drivers.hikvision.config import HikvisionConfig
from drivers.hikvision.log import Log
from drivers.hikvision.messages import Message, Messages
from drivers.hikvision.slot import Slot
from drivers.hikvision.words import inner
from drivers.transports.inbox import Inbox
from drivers.transports.multipart import Reader, boundary_of, parts_of

CALL_STATUS = "/ISAPI/VideoIntercom/callStatus"
CALL_EVERY = 1.5  # seconds; a ring lasts half a minute
LOG_EVERY = 60.0  # seconds, beside a stream or a webhook that should have told all of it
LOG_ALONE = 5.0  # seconds, where it is all there is
CHECK_EVERY = 60.0  # seconds, for our slot
TICK = 2.0  # seconds that a read of the stream waits at most
BEATS = 3  # heartbeats until their pace is known, and that may be missing then
LEAST_SILENCE = 10.0  # seconds that a stream with heartbeats may be silent at any rate
REFUSALS = 2  # so often the stream is refused in a row until another way is taken; a place of our own may linger
STREAM_AGAIN = 600.0  # seconds until the stream is tried again after that
REST = 2.0  # seconds between two streams: who comes back sooner is answered by an error
LATE = 10.0  # seconds after which an event that is in the log should have been told by itself
QUEUE = 2000

Hear = Callable[[float], Awaitable[DeviceEvent | None]]


class Listening:
    """`offset` is the panel's clock minus ours in seconds, None while nobody has asked."""

    __slots__ = (
        "_api",
        "_asks_calls",
        "_beat_at",
        "_beats",
        "_calls",
        "_config",
        "_has_log",
        "_heard_at",
        "_io",
        "_left_at",
        "_log",
        "_longest",
        "_malformed",
        "_opened_at",
        "_over",
        "_refusals",
        "_stream_at",
        "_way",
        "inbox",
        "messages",
        "offset",
        "slot",
    )

    def __init__(self, api: Api, device: Device, config: HikvisionConfig, io: DriverIO) -> None:
        self._api = api
        self._config = config
        self._io = io
        self.slot = Slot(api, device, io)
        self.inbox = Inbox(io, bound=QUEUE)
        self.messages = Messages(device.channels[0].key)
        self.offset: float | None = None
        self._calls = Calls(device.channels[0].key)
        self._log = Log(api, io)
        self._asks_calls = self._has_log = True  # until the panel says that it has no such thing
        self._way = ""
        self._over = False
        self._malformed = 0
        self._refusals = 0  # of the stream, in a row
        self._stream_at = 0.0  # when it is tried again, monotonic
        self._left_at: float | None = None  # when the last stream ended, monotonic
        self._heard_at = self._opened_at = 0.0
        self._beats = 0
        self._beat_at = 0.0
        self._longest = 0.0  # between two heartbeats

    def another_unit(self) -> None:
        """It was identified anew: it may have learned to do other things."""
        self._asks_calls = self._has_log = True
        self._refusals, self._stream_at = 0, 0.0

    def end(self) -> None:
        """What was open is not to be trusted, or not wanted, any more."""
        self._over = True
        self.slot.hang_up()

    def facts(self) -> dict[str, Fact]:
        counts = {
            "events_repeated": self.inbox.repeated,
            "events_late": self.inbox.late,
            "events_malformed": self._malformed,
            "events_ignored": self.messages.ignored,
        }
        return {"events_from": self._way, **{name: count for name, count in counts.items() if count}}

    # -- the loop ------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[DeviceEvent]:
        async with AsyncExitStack() as stack:
            self._over = False
            hear = await self._open(stack)
            stack.callback(self._left)
            self._log.unsure = True
            yield DeviceEvent(EventKind.RESYNC)
            now = self._now()
            calls_at, log_at, check_at = now, now, now + CHECK_EVERY
            while not self._over:
                while len(self.inbox):
                    event = await self.inbox.get(0)
                    if event is not None:
                        yield event
                await self._log.keep()
                due = [check_at, log_at if self._has_log else check_at, calls_at if self._rings_are_asked else check_at]
                if (event := await hear(max(0.0, min(due) - self._now()))) is not None:
                    yield event
                now = self._now()
                if self._rings_are_asked and now >= calls_at:
                    await self._ask_call()
                    calls_at = self._now() + CALL_EVERY
                if self._log.unsure:
                    log_at = min(log_at, now + LATE + 1.0)
                if self._has_log and now >= log_at:
                    more = await self._read_log()
                    log_at = self._now() + (0.0 if more else self._log_every)
                if now >= check_at:
                    check_at = now + CHECK_EVERY * self._io.random.uniform(0.8, 1.0)
                    if self._way == "webhook" and not await self.slot.stand():
                        self._io.log.warning("our webhook address was changed on the panel, and is repaired")
                        return  # what happened meanwhile was told to nobody
                if self._way == "stream":
                    self._watch()
                elif self._config.events == "auto" and now >= self._stream_at:
                    return

    async def _open(self, stack: AsyncExitStack) -> Hear:
        wanted = self._config.events
        if wanted == "stream" or (wanted == "auto" and self._now() >= self._stream_at):
            try:
                return await self._open_stream(stack)
            except Full:
                self._refusals += 1
                if self._refusals < REFUSALS or wanted == "stream":
                    raise
            except NotThere:
                if wanted == "stream":
                    raise Unsupported("it has no event stream") from None
            self._stream_at = self._now() + STREAM_AGAIN
        if wanted == "webhook" or (wanted == "auto" and self._io.callbacks is not None):
            try:
                await self.slot.open(self._posted)
                stack.callback(self.slot.hang_up)
                self._way = "webhook"
                return self._wait
            except Unsupported as error:
                if wanted == "webhook":
                    raise
                self._io.log.warning("no webhook", reason=error.detail)
        if not self._has_log:
            raise Unsupported("it refuses an event stream, and has neither a webhook nor a log that can be read")
        self._way = "log"
        self._io.log.info("it is heard by its log alone, which is read every few seconds")
        return self._wait

    @property
    def _log_every(self) -> float:
        return LOG_ALONE if self._way == "log" else LOG_EVERY * self._io.random.uniform(0.8, 1.0)

    def _left(self) -> None:
        self._left_at = self._now()
        self._way = ""

    def _now(self) -> float:
        return self._io.clock.now().mono

    # -- the stream ----------------------------------------------------------------------------------------------

    async def _open_stream(self, stack: AsyncExitStack) -> Hear:
        if self._left_at is not None and (early := self._left_at + REST - self._now()) > 0:
            await self._io.clock.sleep(early)
        try:
            async with asyncio.timeout(self._config.timeout):
                response = await stack.enter_async_context(self._api.stream(self._config.silence))
                if response.status != 200:
                    body = await response.content.read(8192)
                    if response.status >= 500:
                        raise Throttled("it opens no event stream yet", BUSY)
                    raise failure(response.status, body, asks=True)
        except TimeoutError:
            raise Unreachable("it does not open its event stream in time", Rung.REACHABLE) from None
        content_type = response.headers.get("Content-Type", "")
        boundary = boundary_of(content_type)
        if boundary is None or "multipart" not in content_type.lower():
            raise ProtocolError("what it opens is no event stream")
        if self.slot.taken:
            await self.slot.release()  # from when the stream was refused
        self._refusals = self._beats = 0
        self._longest = 0.0
        self._opened_at = self._heard_at = self._now()
        self._way = "stream"
        reader = Reader(boundary)

        async def hear(seconds: float) -> None:
            try:
                await self._hear(response, reader, seconds)
            except asyncio.QueueFull:
                raise ProtocolError("it sends more events at once than can be meant") from None

        return hear

    async def _hear(self, response: aiohttp.ClientResponse, reader: Reader, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(seconds, TICK)) as limit:
                data = await response.content.readany()
        except TimeoutError:
            if limit.expired():
                return
            raise
        if not data:
            self._over = True
        self._heard_at = self._now()
        for part in reader.feed(data):
            if part.content_type.startswith("image/"):
                continue  # the picture that goes with an event
            try:
                found = self.messages.read(part.body)
            except ProtocolError as error:
                # One part that cannot be read is no reason to lose the others.
                self._malformed += 1
                self._io.log.info("a part of the event stream that cannot be read", reason=error.detail)
                continue
            if found is None:
                self._beat()
            else:
                self._take(found)

    def _beat(self) -> None:
        now = self._heard_at
        if self._beats:
            self._longest = max(self._longest, now - self._beat_at)
        self._beats += 1
        self._beat_at = now

    def _watch(self) -> None:
        """A stream that looks alive may be dead. Old firmware sends heartbeats, new firmware few or none: what is
        expected is what was seen."""
        steady = self._beats > BEATS
        limit = max(LEAST_SILENCE, BEATS * self._longest) if steady else self._config.silence
        if self._now() - self._heard_at > min(limit, self._config.silence):
            self._over = True
            self._io.log.info("the event stream has fallen silent", heartbeats=steady)

    # -- the webhook, and waiting --------------------------------------------------------------------------------

    async def _posted(self, request: CallbackRequest) -> None:
        kind = request.content_type.lower()
        if kind.startswith("multipart/"):
            bodies = [
                part.body
                for part in parts_of(request.body, request.content_type)
                # Some firmware names no type, and some an image's for the event.
                if part.body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] in (b"<", b"{")
            ]
        else:
            bodies = [request.body]
        for body in bodies:
            try:
                found = self.messages.read(body)
            except ProtocolError:
                self._malformed += 1
                raise
            self._take(found or [])

    async def _wait(self, seconds: float) -> DeviceEvent | None:
        return await self.inbox.get(min(seconds, TICK))

    # -- what was heard ------------------------------------------------------------------------------------------

    def _take(self, found: list[Message]) -> None:
        for message in found:
            event = message.event
            if not message.live:
                if self._log.knows(message):
                    self.inbox.repeated += 1
                    continue
                event = replace(event, replayed=True)
            if event.kind is EventKind.CALL and message.live:
                teller = "bell" if "code" in event.data else "talk"
                if not self._calls.is_news(event.data["state"], teller, self._now()):
                    self.inbox.repeated += 1
                    continue
            self.inbox.put(event, message.key)
            if message.key is not None and message.serial is not None and "code" in event.data:
                assert event.source_time is not None
                self._log.told(event.source_time, message.serial)

    @property
    def _rings_are_asked(self) -> bool:
        if not self._asks_calls or self._config.calls == "off":
            return False
        told = self.messages.traits.rings and self._way != "log"
        return self._config.calls == "poll" or (self.messages.traits.calls and not told)

    async def _ask_call(self) -> None:
        try:
            answer = await self._api.json(CALL_STATUS)
        except NotThere:
            self._asks_calls = False
            return
        except Throttled:
            return
        state = inner(answer, "CallStatus").get("status")
        if state in ("idle", "ring", "onCall") and (event := self._calls.asked(state, self._now())) is not None:
            self.inbox.put(event)

    async def _read_log(self) -> bool:
        """Whether there is more."""
        if len(self.inbox) > QUEUE // 2:
            return True
        panel_now = self._io.clock.now().wall + (self.offset or 0.0)
        try:
            settle = 0.0 if self._way == "log" else LATE
            found, more = await self._log.news(self.messages, panel_now, settle)
        except NotThere:
            self._has_log = False
            return False
        except Throttled:
            return False
        stood_at = panel_now - (self._now() - self._opened_at)
        missed = False
        for message in found:
            count = len(self.inbox)
            self.inbox.put(message.event, message.key)
            missed |= len(self.inbox) > count and (message.event.source_time or 0.0) > stood_at + 1.0
        if missed and self._way == "stream":
            self._io.log.warning("the event stream has missed what is in the log, and is opened anew")
            self._over = True
        return more
