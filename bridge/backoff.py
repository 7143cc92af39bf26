"""How long to wait before the next try. Every retry in the bridge has its jitter from here."""

from __future__ import annotations

import random


def delay(attempt: int, rng: random.Random, *, first: float, cap: float) -> float:
    """Seconds before try number `attempt` (1, 2, ...): doubling from `first` up to `cap`, less up to a half.

    The jitter keeps a thousand cameras behind one rebooted switch from calling in step.
    """
    full = min(cap, first * 2.0 ** min(attempt - 1, 32))
    return full * rng.uniform(0.5, 1.0)


def jittered(period: float, rng: random.Random) -> float:
    """A period give or take 10 %, so that equal periods drift apart."""
    return period * rng.uniform(0.9, 1.1)
