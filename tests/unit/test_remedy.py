"""The power of a port is cycled when that may help, and never more often than allowed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import Instant
from bridge.model import Port, PowerCycle
from bridge.state import remedy
from bridge.state.reachability import Reach, Reachability
from bridge.state.remedy import DAY, Remedy

POLICY = PowerCycle(after=600.0, per_day=2)
PORT = Port(link=True, power="delivering")
NOW = Instant(1_700_000_000.0, 5000.0)
GONE = Reachability(Reach.OFFLINE, since=1.0, failures=9, quiet_from=NOW.mono - 601)


def test_a_camera_that_stays_away_long_enough() -> None:
    assert remedy.due(Remedy(), PORT, [GONE], NOW, POLICY)
    assert not remedy.due(Remedy(), PORT, [replace(GONE, quiet_from=NOW.mono - 599)], NOW, POLICY)


def test_a_neighbour_that_answers_keeps_its_power() -> None:
    for reach in (Reach.ONLINE, Reach.SUSPECT, Reach.UNKNOWN):
        assert not remedy.due(Remedy(), PORT, [GONE, Reachability(reach)], NOW, POLICY)
    assert remedy.due(Remedy(), PORT, [GONE, GONE], NOW, POLICY)


def test_a_port_without_power_or_switched_off_is_left_alone() -> None:
    assert not remedy.due(Remedy(), Port(link=False), [GONE], NOW, POLICY)
    assert not remedy.due(Remedy(), Port(link=False, power="disabled"), [GONE], NOW, POLICY)
    assert remedy.due(Remedy(), Port(link=False, power="searching"), [GONE], NOW, POLICY)


def test_never_two_at_once() -> None:
    begun = remedy.begin(Remedy(), NOW)
    later = Instant(NOW.wall + 6000, NOW.mono + 6000)
    assert not remedy.due(begun, PORT, [GONE], later, POLICY)
    assert remedy.due(remedy.end(begun), PORT, [GONE], later, POLICY)


def test_a_step_of_the_clock_makes_nothing_due() -> None:
    begun = remedy.end(remedy.begin(Remedy(), NOW))
    for wall in (NOW.wall - 10 * DAY, NOW.wall):
        assert not remedy.due(begun, PORT, [GONE], Instant(wall, NOW.mono + 9000), POLICY)


@given(st.lists(st.floats(1.0, 40_000.0), max_size=60), st.integers(1, 4), st.floats(60, 20_000))
def test_never_more_often_than_allowed(steps: list[float], per_day: int, after: float) -> None:
    policy = PowerCycle(after, per_day)
    state, now, done = Remedy(), NOW, []
    for step in steps:
        now = Instant(now.wall + step, now.mono + step)
        there = [replace(GONE, quiet_from=now.mono - after)]
        if remedy.due(state, PORT, there, now, policy):
            state = remedy.begin(state, now)
            done.append(now.wall)
            state = remedy.end(state)
            assert len(state.done) <= per_day
    assert all(later - earlier >= after for earlier, later in pairwise(done))
    assert all(sum(at - DAY < other <= at for other in done) <= per_day for at in done)
