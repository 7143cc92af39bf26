"""Every retry has jitter, grows, and is capped."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from bridge import backoff


@given(st.integers(1, 10_000), st.integers(), st.floats(0.01, 10), st.floats(10, 1000))
def test_delays_stay_within_their_bounds(attempt: int, seed: int, first: float, cap: float) -> None:
    delay = backoff.delay(attempt, random.Random(seed), first=first, cap=cap)
    full = min(cap, first * 2.0 ** min(attempt - 1, 32))
    assert full / 2 <= delay <= full


def test_no_two_devices_call_in_step() -> None:
    rng = random.Random(1)
    delays = {round(backoff.delay(5, rng, first=1, cap=60), 3) for _ in range(100)}
    periods = {round(backoff.jittered(30, rng), 3) for _ in range(100)}
    assert len(delays) > 90
    assert len(periods) > 90
    assert all(27 <= period <= 33 for period in periods)
