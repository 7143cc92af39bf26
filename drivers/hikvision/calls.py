"""Calls, from whoever tells of them: the panel's messages, its bell, and the state of its call that is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.model import DeviceEvent, EventKind

TOGETHER = 10.0  # seconds in which the same, told by two sources, is one thing

# What follows from a change of `callStatus`. That somebody has answered is only its word: an indoor station that begins
# to record a message is `onCall`, too.
_CHANGES: Mapping[tuple[str, str], str] = {
    ("idle", "ring"): "ringing",
    ("idle", "onCall"): "answered",
    ("ring", "onCall"): "answered",
    ("onCall", "ring"): "ringing",
    ("ring", "idle"): "missed",
    ("onCall", "idle"): "ended",
}


class Calls:
    """`state` is what the panel answered last; None while nobody has asked."""

    __slots__ = ("_channel", "_told", "state")

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._told: dict[str, tuple[str, float]] = {}  # by what happened: who told of it, when, monotonic
        self.state: str | None = None

    def is_news(self, state: str, source: str, now: float) -> bool:
        """Whether that is told for the first time. Who rings twice rings twice, unless two sources tell of one ring."""
        known = self._told.get(state)
        if known is not None and known[0] != source and now - known[1] < TOGETHER:
            return False
        self._told[state] = (source, now)
        return True

    def asked(self, state: str, now: float) -> DeviceEvent | None:
        """The panel says how its call is now."""
        before, self.state = self.state, state
        # The first answer is how it is, not news; but a bell that rings is heard.
        change = _CHANGES.get((before or "idle", state)) if before is not None or state == "ring" else None
        if change is None or not self.is_news(change, "status", now):
            return None
        return DeviceEvent(EventKind.CALL, self._channel, topic="call", data={"state": change})
