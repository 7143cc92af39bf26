"""Conditions: edges once, repeats prolong, and none lasts for ever."""

from __future__ import annotations

from bridge.clock import Instant
from bridge.model import DeviceEvent, EventKind, Policy
from bridge.state import alarm

POLICY = Policy(alarm_max=60.0)


def at(seconds: float) -> Instant:
    return Instant(1e9 + seconds, seconds)


def event(active: bool | None, kind: EventKind = EventKind.MOTION) -> DeviceEvent:
    return DeviceEvent(kind, channel="", active=active)


def test_edges_once() -> None:
    state, change = alarm.step(None, event(True), at(0), POLICY)
    assert change is not None
    assert change.active
    assert alarm.step(state, event(True), at(1), POLICY)[1] is None
    state, change = alarm.step(state, event(False), at(2), POLICY)
    assert change is not None
    assert not change.active
    assert alarm.step(state, event(False), at(3), POLICY)[1] is None


def test_a_first_off_is_how_things_are() -> None:
    state, change = alarm.step(None, event(False), at(0), POLICY)
    assert change is None
    assert state is not None
    assert not state.active


def test_motion_that_never_ends_ends_itself_and_repeats_prolong_it() -> None:
    state, _ = alarm.step(None, event(True), at(0), POLICY)
    assert state is not None
    state, _ = alarm.step(state, event(True), at(50), POLICY)
    assert state is not None
    assert alarm.expire(state, at(100))[1] is None
    state, change = alarm.expire(state, at(110))
    assert change is not None
    assert (change.active, change.reason) == (False, "timeout")
    assert alarm.expire(state, at(200))[1] is None


def test_an_input_may_last_for_days() -> None:
    state, _ = alarm.step(None, event(True, EventKind.INPUT), at(0), POLICY)
    assert state is not None
    assert alarm.expire(state, at(1e6))[1] is None


def test_a_lost_subscription_makes_it_stale_not_off() -> None:
    state, _ = alarm.step(None, event(True, EventKind.INPUT), at(0), POLICY)
    assert state is not None
    stale = alarm.events_lost(state)
    assert stale.active
    assert stale.stale
    fresh, change = alarm.step(stale, event(True, EventKind.INPUT), at(5), POLICY)
    assert change is None
    assert fresh is not None
    assert not fresh.stale
