"""What becomes of a call. The panel says that one was answered, and seldom that it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bridge.model import DeviceEvent, EventKind

# Seconds after which a call that was answered counts as over, if nothing was heard of it.
LONGEST = 90.0


class Calls:
    """At most one call is under way. `over_at` is when, monotonic, it counts as over; None: there is none."""

    __slots__ = ("_answered", "over_at")

    def __init__(self) -> None:
        self.over_at: float | None = None
        self._answered: DeviceEvent | None = None

    def heard(self, event: DeviceEvent, now: float) -> Iterator[DeviceEvent]:
        """The event, and what follows from it. `now` is monotonic."""
        if event.replayed:
            yield event
            return
        state = event.data.get("state") if event.kind is EventKind.CALL else None
        if state in ("answered", "ringing") and self._answered is not None:
            yield self._ended(event.source_time)  # nobody has two calls at once
        if state == "answered":
            self._answered, self.over_at = event, now + LONGEST
        elif state in ("missed", "ended"):
            self._answered = self.over_at = None
        yield event
        if event.kind is EventKind.LOCK and event.data.get("by") == "call" and self._answered is not None:
            yield self._ended(event.source_time)  # whoever was called has opened the door and hangs up

    def timed_out(self, now: float) -> DeviceEvent | None:
        if self.over_at is None or now < self.over_at or self._answered is None:
            return None
        return self._ended(None)

    def _ended(self, at: float | None) -> DeviceEvent:
        answered = self._answered
        assert answered is not None
        self._answered = self.over_at = None
        data = {**answered.data, "state": "ended"}
        return replace(answered, source_time=at, data=data, topic=answered.topic)
