"""Is the device there? unknown → online → suspect → offline.

Offline needs both enough failures in a row and enough silence (`Policy.offline_failures`, `Policy.offline_after`):
failures alone would call a camera dead because three quick retries fell into one reboot, silence alone because one
poll was late. Silence is counted from the first failure: before it, nobody asked. Anything that a device sends is a
sign of life and ends the suspicion. `suspect` is internal: the VMS never hears of it.

What is behind a switch is judged with it (`Way`): a dead port says at once what silence would say half a minute later,
and behind a dead switch nobody knows how a device is, so it is unknown rather than offline.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from bridge.clock import Instant
from bridge.model import Policy


class Reach(StrEnum):
    UNKNOWN = "unknown"
    ONLINE = "online"
    SUSPECT = "suspect"
    OFFLINE = "offline"


class Way(StrEnum):
    """What the switch says about the way to a device that does not answer."""

    OPEN = "open"  # nothing against it
    DOUBT = "doubt"  # the switch has not been heard since the device fell silent: it may be the switch
    SWITCH_DOWN = "switch_down"
    PORT_DOWN = "port_down"


@dataclass(frozen=True, slots=True)
class Reachability:
    reach: Reach = Reach.UNKNOWN
    since: float = 0.0  # wall time of the last change between online and offline
    failures: int = 0  # in a row
    quiet_from: float | None = None  # monotonic: the first of these failures
    hidden: bool = False  # unknown, because the switch before it is down
    heard_at: float | None = field(default=None, compare=False)  # monotonic: its last sign of life


def resume(reach: Reach, since: float) -> Reachability:
    """The state after a restart: what was known, with its counters at zero."""
    known = Reach.ONLINE if reach is Reach.SUSPECT else reach
    return Reachability(known, since)


def way(switch: Reachability, link: bool | None, quiet_from: float | None) -> Way:
    """What a switch, and the link of one of its ports, say about the device there. `quiet_from`: monotonic, when the
    device fell silent; None: it answers."""
    if switch.reach is Reach.OFFLINE or switch.hidden:
        return Way.SWITCH_DOWN
    if switch.heard_at is None or (quiet_from is not None and switch.heard_at < quiet_from):
        return Way.DOUBT
    return Way.PORT_DOWN if link is False else Way.OPEN


def step(
    state: Reachability, alive: bool, now: Instant, policy: Policy, way: Way = Way.OPEN
) -> tuple[Reachability, bool]:
    """One piece of evidence. The second value is True when the device came online or went offline by it. A device that
    answers is there, whatever its switch says of the way."""
    if alive:
        changed = state.reach in (Reach.UNKNOWN, Reach.OFFLINE)
        since = now.wall if changed else state.since
        return Reachability(Reach.ONLINE, since, heard_at=now.mono), changed
    failures = state.failures + 1
    quiet_from = now.mono if state.quiet_from is None else state.quiet_from
    state = replace(state, failures=failures, quiet_from=quiet_from)
    if state.reach is Reach.OFFLINE:
        return state, False
    if way is Way.SWITCH_DOWN:
        return replace(state, reach=Reach.UNKNOWN, hidden=True), False
    enough = failures >= policy.offline_failures and now.mono - quiet_from >= policy.offline_after
    if way is Way.PORT_DOWN or (enough and way is Way.OPEN):
        return replace(state, reach=Reach.OFFLINE, since=now.wall, hidden=False), True
    reach = Reach.UNKNOWN if state.reach is Reach.UNKNOWN else Reach.SUSPECT
    return replace(state, reach=reach, hidden=False), False
