"""The contract's words from streams and reachability, row by row."""

from __future__ import annotations

import pytest

from bridge.clock import Instant
from bridge.model import CameraStatus, IntercomStatus, Policy, Stream
from bridge.state import camera, intercom
from bridge.state.camera import Camera
from bridge.state.reachability import Reach

UP, DOWN, UNKNOWN = (Stream("s", up) for up in (True, False, None))
POLICY = Policy()
S = CameraStatus


def at(seconds: float) -> Instant:
    return Instant(1e9 + seconds, seconds)


@pytest.mark.parametrize(
    ("reach", "streams", "lost", "expected"),
    [
        (Reach.ONLINE, (UP, UP), False, S.ACTIVE),
        (Reach.ONLINE, (UP,), False, S.ACTIVE),
        (Reach.ONLINE, (UP, DOWN), False, S.PARTIAL),
        (Reach.ONLINE, (DOWN, UP), False, S.PARTIAL),
        (Reach.ONLINE, (DOWN, DOWN), False, S.INACTIVE),
        (Reach.ONLINE, (DOWN,), False, S.INACTIVE),
        (Reach.ONLINE, (), False, S.EMPTY),
        (Reach.ONLINE, (UNKNOWN, UNKNOWN), False, S.INITIAL),
        (Reach.ONLINE, (UP, UNKNOWN), False, None),
        (Reach.ONLINE, (DOWN, UNKNOWN), False, None),
        (Reach.ONLINE, None, False, None),
        (Reach.ONLINE, (UP, UP), True, S.INACTIVE),
        (Reach.OFFLINE, (UP, UP), False, S.INACTIVE),
        (Reach.OFFLINE, None, False, S.INACTIVE),
        (Reach.SUSPECT, (DOWN, DOWN), False, None),
        (Reach.UNKNOWN, None, False, None),
    ],
)
def test_derive(reach: Reach, streams: tuple[Stream, ...] | None, lost: bool, expected: S | None) -> None:
    assert camera.derive(reach, streams, lost) is expected


def test_first_reading_announces_and_initial_is_not_announced_again() -> None:
    state, changed = camera.observe(Camera(), Reach.ONLINE, (UNKNOWN,), at(0), POLICY)
    assert not changed
    assert state.status.announced is S.INITIAL
    state, changed = camera.observe(state, Reach.ONLINE, (UP,), at(30), POLICY)
    assert changed
    assert state.status.announced is S.ACTIVE
    state, changed = camera.observe(state, Reach.ONLINE, (UNKNOWN,), at(60), POLICY)
    assert not changed, "not knowing is no reason to take back what is known"
    assert state.status.announced is S.ACTIVE


def test_a_signal_loss_is_a_statement_and_its_end_too() -> None:
    state, _ = camera.observe(Camera(), Reach.ONLINE, (UP, UP), at(0), POLICY)
    state, changed = camera.signal(state, Reach.ONLINE, True, at(1), POLICY)
    assert changed
    assert state.status.announced is S.INACTIVE
    state, changed = camera.signal(state, Reach.ONLINE, False, at(2), POLICY)
    assert changed
    assert state.status.announced is S.ACTIVE


def test_a_signal_loss_outlives_its_subscription_for_a_while_only() -> None:
    state, _ = camera.observe(Camera(), Reach.ONLINE, (UP,), at(0), POLICY)
    state, _ = camera.signal(state, Reach.ONLINE, True, at(1), POLICY)
    state = camera.events_lost(state, at(10))
    state, changed = camera.observe(state, Reach.ONLINE, (UP,), at(40), POLICY)
    assert not changed
    assert state.status.announced is S.INACTIVE
    state, changed = camera.observe(state, Reach.ONLINE, (UP,), at(10 + camera.STALE_LOSS), POLICY)
    assert changed
    assert state.status.announced is S.ACTIVE


@pytest.mark.parametrize(
    ("reach", "authorised", "set_up", "expected"),
    [
        (Reach.ONLINE, True, True, IntercomStatus.ACTIVE),
        (Reach.ONLINE, False, True, IntercomStatus.INACTIVE),
        (Reach.OFFLINE, True, True, IntercomStatus.INACTIVE),
        (Reach.SUSPECT, True, True, None),
        (Reach.UNKNOWN, True, True, None),
        (Reach.UNKNOWN, True, False, IntercomStatus.EMPTY),
    ],
)
def test_intercom(reach: Reach, authorised: bool, set_up: bool, expected: IntercomStatus | None) -> None:
    assert intercom.derive(reach, authorised, set_up) is expected
