"""Edges only; worse news confirmed; flapping told once and then held."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import Instant
from bridge.model import CameraStatus
from bridge.state import status
from bridge.state.status import Status

A, P, I = CameraStatus.ACTIVE, CameraStatus.PARTIAL, CameraStatus.INACTIVE  # noqa: E741


def walk(
    seen: list[CameraStatus], *, sure: bool = False, damp: bool = True, every: float = 30.0
) -> tuple[Status[CameraStatus], list[CameraStatus]]:
    state: Status[CameraStatus] = Status(CameraStatus.INITIAL)
    announced = []
    for number, one in enumerate(seen):
        state, changed = status.step(state, one, Instant(1e9 + number * every, number * every), sure=sure, damp=damp)
        if changed:
            announced.append(state.announced)
    return state, announced


def test_better_news_at_once_worse_news_seen_twice() -> None:
    assert walk([A, I, A, A])[1] == [A]
    assert walk([A, I, I, A])[1] == [A, I, A]
    assert walk([A, P, I, I])[1] == [A, I], "two looks agree that it is worse; the second one counts"


def test_statements_need_no_second_look() -> None:
    assert walk([A, I, A], sure=True)[1] == [A, I, A]


def test_repeats_are_no_news() -> None:
    assert walk([A] * 50)[1] == [A]


def test_flapping_is_told_once_as_the_worse_state_and_held() -> None:
    state, announced = walk([A, I] * 40, sure=True)
    assert state.flapping
    assert state.announced is I
    assert len(announced) <= 8, announced
    assert announced[-1] is I


def test_flapping_ends_when_the_share_of_changes_falls() -> None:
    state, announced = walk([A, I] * 10 + [A] * 25, sure=True, every=1.0)
    assert not state.flapping
    assert announced[-1] is A


def test_flapping_ends_when_nothing_changed_for_five_minutes() -> None:
    # A dead camera is polled seldom: its window would take twenty minutes to clear.
    state, announced = walk([A, I] * 10 + [A, I, I, I, I, I, I, I, I], sure=True, every=60.0)
    assert not state.flapping
    assert announced[-1] is I


def test_damping_can_be_switched_off() -> None:
    assert walk([A, I] * 20, sure=True, damp=False)[1] == [A, I] * 20


@given(st.lists(st.sampled_from([A, P, I]), max_size=120), st.booleans())
def test_every_announcement_differs_from_the_last(seen: list[CameraStatus], sure: bool) -> None:
    _, announced = walk(seen, sure=sure)
    told = [CameraStatus.INITIAL, *announced]
    assert all(one is not other for one, other in itertools.pairwise(told))


@given(st.lists(st.sampled_from([A, P, I]), max_size=80), st.sampled_from([A, P, I]))
def test_in_the_end_the_truth_is_announced(seen: list[CameraStatus], truth: CameraStatus) -> None:
    state, _ = walk([*seen, *[truth] * 30])
    assert state.announced is truth
