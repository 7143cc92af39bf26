"""What was told of, by the way it came: a panel reports a thing, and has it in its log as well."""

from __future__ import annotations

from collections import deque

from bridge.model import DeviceEvent, EventKind

# Seconds by which the two may differ in when it was: lines have whole seconds, and are written when the log is.
TOLERANCE = 5.0
REMEMBERED = 500
# Calls are not compared: the log has one entry for a call, and what is reported is more.
COMPARED = frozenset({EventKind.ACCESS, EventKind.LOCK, EventKind.DOOR, EventKind.TAMPER, EventKind.REBOOT})


class Told:
    """Each thing is told once, whichever way is first. Things of the same kind are told apart by when they were, and
    counted: two cards reported and three in the log leave one to tell."""

    __slots__ = ("_logged", "_reported")

    def __init__(self) -> None:
        self._reported: deque[tuple[EventKind, bool | None, float]] = deque(maxlen=REMEMBERED)
        self._logged: deque[tuple[EventKind, bool | None, float]] = deque(maxlen=REMEMBERED)

    def already(self, event: DeviceEvent, at: float, *, reported: bool) -> bool:
        """Whether it came the other way before; if not, it is noted. `at` in seconds by the panel's clock."""
        if event.kind not in COMPARED:
            return False
        others, own = (self._logged, self._reported) if reported else (self._reported, self._logged)
        for one in others:
            if one[:2] == (event.kind, event.active) and abs(one[2] - at) <= TOLERANCE:
                others.remove(one)
                return True
        own.append((event.kind, event.active, at))
        return False
