"""Offline needs failures and silence, any sign of life ends it, and a restart starts counting anew."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import Instant
from bridge.model import Policy
from bridge.state import reachability
from bridge.state.reachability import Reach, Reachability, Way

POLICY = Policy(offline_failures=3, offline_after=30.0)


def at(seconds: float) -> Instant:
    return Instant(1_700_000_000.0 + seconds, 100.0 + seconds)


def walk(evidence: list[tuple[float, bool]], state: Reachability | None = None) -> list[tuple[Reach, bool]]:
    state, seen = state or Reachability(), []
    for seconds, alive in evidence:
        state, changed = reachability.step(state, alive, at(seconds), POLICY)
        seen.append((state.reach, changed))
    return seen


def test_many_quick_failures_are_not_enough() -> None:
    seen = walk([(0, True), (1, False), (2, False), (3, False), (4, False)])
    assert seen[-1] == (Reach.SUSPECT, False)


def test_long_silence_with_too_few_failures_is_not_enough() -> None:
    assert walk([(0, True), (100, False), (200, False)])[-1] == (Reach.SUSPECT, False)


def test_both_make_it_offline_once() -> None:
    seen = walk([(0, True), (10, False), (20, False), (39, False), (40, False), (60, False)])
    assert seen[2:] == [(Reach.SUSPECT, False), (Reach.SUSPECT, False), (Reach.OFFLINE, True), (Reach.OFFLINE, False)]


def test_silence_begins_with_the_first_failure() -> None:
    # A minute passed since the last poll, and three quick failures: that may be a reboot.
    assert walk([(0, True), (60, False), (61, False), (62, False)])[-1] == (Reach.SUSPECT, False)


def test_a_sign_of_life_ends_the_suspicion() -> None:
    seen = walk([(0, True), (10, False), (20, False), (25, True), (40, False), (50, False)])
    assert [reach for reach, _ in seen] == [
        Reach.ONLINE, Reach.SUSPECT, Reach.SUSPECT, Reach.ONLINE, Reach.SUSPECT, Reach.SUSPECT,
    ]  # fmt: skip
    assert [changed for _, changed in seen] == [True, False, False, False, False, False]


def test_nothing_is_offline_before_its_first_full_window() -> None:
    seen = walk([(0, False), (1, False), (2, False), (29, False), (30, False)])
    assert [reach for reach, _ in seen] == [Reach.UNKNOWN] * 4 + [Reach.OFFLINE]


def test_a_restart_gives_a_device_its_full_window_again() -> None:
    state = reachability.resume(Reach.ONLINE, 5.0)
    assert walk([(0, False), (1, False), (2, False)], state)[-1] == (Reach.SUSPECT, False)
    assert reachability.resume(Reach.SUSPECT, 5.0).reach is Reach.ONLINE
    assert reachability.resume(Reach.OFFLINE, 5.0).reach is Reach.OFFLINE


def test_wall_time_may_jump() -> None:
    state, _ = reachability.step(Reachability(), True, Instant(0.0, 100.0), POLICY)
    for mono in (101.0, 102.0, 103.0):
        # NTP answered for the first time: years have passed on the wall, three seconds in truth.
        state, changed = reachability.step(state, False, Instant(1.7e9, mono), POLICY)
        assert not changed


@given(st.lists(st.tuples(st.floats(0.01, 60), st.booleans()), max_size=60))
def test_changes_are_edges_and_offline_has_its_reasons(history: list[tuple[float, bool]]) -> None:
    state, now, failures = Reachability(), 0.0, 0
    first_failure = None
    for gap, alive in history:
        now += gap
        before = state.reach
        state, changed = reachability.step(state, alive, at(now), POLICY)
        if alive:
            failures, first_failure = 0, None
            assert state.reach is Reach.ONLINE
        else:
            failures += 1
            first_failure = now if first_failure is None else first_failure
            assert state.reach is not Reach.ONLINE
        told = {Reach.ONLINE, Reach.OFFLINE}
        assert changed == (
            state.reach in told and state.reach is not (Reach.ONLINE if before is Reach.SUSPECT else before)
        )
        if state.reach is Reach.OFFLINE and changed:
            assert failures >= POLICY.offline_failures
            assert first_failure is not None
            assert now - first_failure >= POLICY.offline_after - 1e-6


# -- behind a switch -------------------------------------------------------------------------------------------------

ONLINE = Reachability(Reach.ONLINE, heard_at=100.0)


def test_a_port_that_is_down_makes_it_offline_at_once() -> None:
    state, changed = reachability.step(ONLINE, False, at(1), POLICY, Way.PORT_DOWN)
    assert (state.reach, changed) == (Reach.OFFLINE, True)
    assert reachability.step(state, False, at(2), POLICY, Way.PORT_DOWN)[1] is False


def test_a_switch_that_is_down_makes_it_unknown_and_not_offline() -> None:
    state = ONLINE
    for seconds in range(1, 200, 10):
        state, changed = reachability.step(state, False, at(seconds), POLICY, Way.SWITCH_DOWN)
        assert (state.reach, state.hidden, changed) == (Reach.UNKNOWN, True, False)
    state, changed = reachability.step(state, False, at(300), POLICY, Way.OPEN)
    assert (state.reach, changed) == (Reach.OFFLINE, True)


def test_while_the_switch_is_in_doubt_nobody_goes_offline() -> None:
    state = ONLINE
    for seconds in range(1, 200, 10):
        state, changed = reachability.step(state, False, at(seconds), POLICY, Way.DOUBT)
        assert (state.reach, changed) == (Reach.SUSPECT, False)


def test_what_was_offline_before_its_switch_stays_so() -> None:
    gone = Reachability(Reach.OFFLINE, since=5.0, failures=3, quiet_from=1.0)
    assert reachability.step(gone, False, at(1), POLICY, Way.SWITCH_DOWN)[0].reach is Reach.OFFLINE


def test_who_answers_is_there_whatever_the_switch_says() -> None:
    for way in Way:
        assert reachability.step(Reachability(), True, at(1), POLICY, way)[0].reach is Reach.ONLINE


def test_what_a_switch_says_counts_only_when_it_is_fresh() -> None:
    switch = Reachability(Reach.ONLINE, heard_at=100.0)
    assert reachability.way(switch, False, quiet_from=99.0) is Way.PORT_DOWN
    assert reachability.way(switch, True, quiet_from=99.0) is Way.OPEN
    assert reachability.way(switch, None, quiet_from=99.0) is Way.OPEN
    assert reachability.way(switch, False, quiet_from=101.0) is Way.DOUBT
    assert reachability.way(Reachability(), True, quiet_from=1.0) is Way.DOUBT
    assert reachability.way(replace(switch, reach=Reach.OFFLINE), True, quiet_from=99.0) is Way.SWITCH_DOWN
    # A switch behind a switch.
    assert reachability.way(replace(switch, reach=Reach.UNKNOWN, hidden=True), True, 99.0) is Way.SWITCH_DOWN
