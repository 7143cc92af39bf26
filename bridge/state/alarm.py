"""Conditions that devices report by events: motion, tamper, an input. Edges once, and none that never ends.

Many cameras say "motion" and never "no motion" (or repeat it every second). A repeated value is no news but
prolongs the condition; one that outlives `Policy.alarm_max` clears itself, with the reason "timeout". When the
subscription that reported it is lost, it is stale rather than over: nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.clock import Instant
from bridge.model import DeviceEvent, EventKind, Policy

# Conditions that a camera forgets to end. An input or a fan failure may well last for days.
SELF_CLEARING = frozenset({EventKind.MOTION, EventKind.TAMPER, EventKind.ANALYTICS})


@dataclass(frozen=True, slots=True)
class Alarm:
    active: bool
    since: float  # wall time
    until: float | None = None  # monotonic; it clears itself then
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    active: bool
    at: float  # wall time
    reason: str  # "event" or "timeout"


def step(state: Alarm | None, event: DeviceEvent, now: Instant, policy: Policy) -> tuple[Alarm | None, Change | None]:
    if event.active is None:
        return state, None
    until = now.mono + policy.alarm_max if event.active and event.kind in SELF_CLEARING else None
    if state is not None and state.active == event.active:
        return replace(state, until=until, stale=False), None
    alarm = Alarm(event.active, now.wall, until)
    if state is None and not event.active:
        # A first "off" is how things are, not something that happened.
        return alarm, None
    return alarm, Change(event.active, now.wall, "event")


def expire(state: Alarm, now: Instant) -> tuple[Alarm, Change | None]:
    """Called when time has passed; clears what should have ended by itself."""
    if not state.active or state.until is None or now.mono < state.until:
        return state, None
    return Alarm(False, now.wall), Change(False, now.wall, "timeout")


def events_lost(state: Alarm) -> Alarm:
    return replace(state, stale=True) if state.active else state
