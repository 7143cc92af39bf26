"""The status that the VMS is told: edges only, worse news confirmed, flapping damped.

What is observed (`camera.derive`, `intercom.derive`) is not yet what is announced:

- better news is announced at once; worse news from a poll must be seen twice in a row, because one lost RTSP
  answer is no outage. Worse news that is a statement (an event, or a device that reachability has already
  called offline) needs no second look.
- flapping is damped by the share of changes among the last 21 results: at 30 % one announcement of the worse
  state is made and then held, until the share falls below 15 % or nothing has changed for five minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from bridge.clock import Instant
from bridge.model import CameraStatus, IntercomStatus

RESULTS = 21
FLAP_ON = 0.30
FLAP_OFF = 0.15
SETTLED_AFTER = 300.0
_WINDOW = (1 << (RESULTS - 1)) - 1

S = TypeVar("S", bound=StrEnum)

# How bad a status is; only a step to a higher number is worse news.
_BADNESS: dict[StrEnum, int] = {
    CameraStatus.ACTIVE: 0,
    CameraStatus.INITIAL: 0,
    CameraStatus.PARTIAL: 1,
    CameraStatus.INACTIVE: 2,
    CameraStatus.EMPTY: 2,
    IntercomStatus.ACTIVE: 0,
    IntercomStatus.INITIAL: 0,
    IntercomStatus.INACTIVE: 2,
    IntercomStatus.EMPTY: 2,
}


@dataclass(frozen=True, slots=True)
class Status(Generic[S]):
    """`announced` and `since` are kept over restarts, the rest is not."""

    announced: S
    since: float = 0.0  # wall time of the last announcement
    observed: S | None = None  # the last confirmed observation
    doubt: S | None = None  # worse news, seen once
    changes: int = 0  # one bit a result, newest lowest: did it differ from the one before?
    changed_at: float = 0.0  # monotonic
    flapping: bool = False


def step(state: Status[S], seen: S, now: Instant, *, sure: bool, damp: bool = True) -> tuple[Status[S], bool]:
    """One observation. The second value is True when `announced` changed: exactly then a push goes out.

    `sure` says that worse news needs no second look.
    """
    before = state.announced if state.observed is None else state.observed
    if not sure and _BADNESS[seen] > _BADNESS[before] and state.doubt is None:
        return replace(state, doubt=seen), False
    differs = seen != before
    changes = (state.changes << 1 | differs) & _WINDOW
    changed_at = now.mono if differs else state.changed_at
    share = changes.bit_count() / (RESULTS - 1)
    if state.flapping:
        flapping = share >= FLAP_OFF and now.mono - changed_at < SETTLED_AFTER
    else:
        flapping = damp and share >= FLAP_ON
    settled = replace(state, observed=seen, doubt=None, changes=changes, changed_at=changed_at, flapping=flapping)
    if flapping and state.flapping:
        return settled, False
    target = max(before, seen, key=_BADNESS.__getitem__) if flapping else seen
    if target == state.announced:
        return settled, False
    return replace(settled, announced=target, since=now.wall), True
