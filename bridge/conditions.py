"""What a device has reported and what of it still holds: conditions at their edges, momentary events each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bridge.clock import Clock
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import Device, DeviceEvent, EventKind
from bridge.state import alarm
from bridge.state.alarm import Alarm

ALARMS = 256  # conditions remembered of one device; one with more sources than that is making them up
ALARMS_PER_CHANNEL = 4  # or so many for each of its channels, where that is more

Kept = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


class Conditions:
    """Of one device. What is to be recorded goes into the journal by way of `kept`, which waits for the store."""

    __slots__ = ("_alarms", "_clock", "_device", "_journal", "_kept", "_metrics")

    def __init__(self, device: Device, journal: Journal, metrics: Metrics, clock: Clock, kept: Kept) -> None:
        self._device = device
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._kept = kept
        self._alarms: dict[tuple[str | None, EventKind, str, str], Alarm] = {}

    def __len__(self) -> int:
        """Conditions that are known, whether they hold or not."""
        return len(self._alarms)

    async def note(self, event: DeviceEvent) -> None:
        if event.active is None or event.replayed:
            if not event.initial and event.kind is not EventKind.RESYNC:
                await self._record(event, event.active, "event")
            return
        key = (event.channel, event.kind, event.topic, event.source)
        known = self._alarms.get(key)
        if known is None and len(self._alarms) >= max(ALARMS, ALARMS_PER_CHANNEL * len(self._device.channels)):
            self._metrics.events_dropped.labels("alarms").inc()
            return
        after, change = alarm.step(known, event, self._clock.now(), self._device.policy)
        if after is not None:
            self._alarms[key] = after
        if change is not None:
            await self._record(event, change.active, change.reason)

    async def expire(self) -> None:
        """End what has gone on for too long to be believed."""
        now = self._clock.now()
        for key, one in tuple(self._alarms.items()):
            after, change = alarm.expire(one, now)
            if change is not None:
                self._alarms[key] = after
                channel, kind, topic, source = key
                event = DeviceEvent(kind, channel=channel, source=source, topic=topic)
                await self._record(event, change.active, change.reason)

    def events_lost(self) -> None:
        """Nobody hears the device any more, or only from now on: what was told before is hearsay."""
        self._alarms = {key: alarm.events_lost(one) for key, one in self._alarms.items()}

    async def _record(self, event: DeviceEvent, active: bool | None, reason: str) -> None:
        await self._kept(lambda: self._journal.add(self._device, event, active, reason))
