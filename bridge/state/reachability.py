"""Is the device there? unknown → online → suspect → offline.

Offline needs both enough failures in a row and enough silence (`Policy.offline_failures`, `Policy.offline_after`):
failures alone would call a camera dead because three quick retries fell into one reboot, silence alone because one
poll was late. Silence is counted from the first failure: before it, nobody asked. Anything that a device sends is a
sign of life and ends the suspicion. `suspect` is internal: the VMS never hears of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.clock import Instant
from bridge.model import Policy


class Reach(StrEnum):
    UNKNOWN = "unknown"
    ONLINE = "online"
    SUSPECT = "suspect"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Reachability:
    reach: Reach = Reach.UNKNOWN
    since: float = 0.0  # wall time of the last change between online and offline
    failures: int = 0  # in a row
    quiet_from: float | None = None  # monotonic: the first of these failures


def resume(reach: Reach, since: float) -> Reachability:
    """The state after a restart: what was known, with its counters at zero."""
    known = Reach.ONLINE if reach is Reach.SUSPECT else reach
    return Reachability(known, since)


def step(state: Reachability, alive: bool, now: Instant, policy: Policy) -> tuple[Reachability, bool]:
    """One piece of evidence. The second value is True when the device came online or went offline by it."""
    if alive:
        changed = state.reach in (Reach.UNKNOWN, Reach.OFFLINE)
        since = now.wall if changed else state.since
        return Reachability(Reach.ONLINE, since), changed
    failures = state.failures + 1
    quiet_from = now.mono if state.quiet_from is None else state.quiet_from
    if state.reach is Reach.OFFLINE:
        return replace(state, failures=failures, quiet_from=quiet_from), False
    if failures >= policy.offline_failures and now.mono - quiet_from >= policy.offline_after:
        return Reachability(Reach.OFFLINE, now.wall, failures, quiet_from), True
    reach = Reach.UNKNOWN if state.reach is Reach.UNKNOWN else Reach.SUSPECT
    return Reachability(reach, state.since, failures, quiet_from), False
