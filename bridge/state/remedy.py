"""When is the power of a switch port taken and given back, because what hangs there stays away? Pure; one state a port.

The rules are all against doing it: never while somebody on the port answers, never a port that has no power to take,
never twice at once, never more often than the inventory allows, and never because a clock jumped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bridge.clock import Instant
from bridge.model import Port, PowerCycle
from bridge.state.reachability import Reach, Reachability

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """What was done about one port. `done` is kept over restarts: wall times of the last day, oldest first."""

    done: tuple[float, ...] = ()
    running: bool = False


def due(state: Remedy, port: Port, there: Iterable[Reachability], now: Instant, policy: PowerCycle) -> bool:
    """Whether the power is to be cycled now. `there`: all devices on the port."""
    recent = _recent(state, now)
    if state.running or len(recent) >= policy.per_day or port.power in ("", "disabled"):
        return False
    # A time in the future is that of a clock which was wrong then, or is now: it counts as just now.
    if recent and now.wall - recent[-1] < policy.after:
        return False
    return all(
        one.reach is Reach.OFFLINE and one.quiet_from is not None and now.mono - one.quiet_from >= policy.after
        for one in there
    )


def begin(state: Remedy, now: Instant) -> Remedy:
    return Remedy((*_recent(state, now), now.wall), running=True)


def end(state: Remedy) -> Remedy:
    return replace(state, running=False)


def _recent(state: Remedy, now: Instant) -> tuple[float, ...]:
    return tuple(sorted(at for at in state.done if now.wall - at < DAY))
