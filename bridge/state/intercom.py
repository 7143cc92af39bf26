"""An intercom panel's status, in the VMS's words (contract, "Intercom status")."""

from __future__ import annotations

from bridge.clock import Instant
from bridge.model import IntercomStatus, Policy
from bridge.state import status
from bridge.state.reachability import Reach
from bridge.state.status import Status

Intercom = Status[IntercomStatus]
NEW: Intercom = Status(IntercomStatus.INITIAL)


def derive(reach: Reach, authorised: bool, set_up: bool) -> IntercomStatus | None:
    """The status that follows, or None where the last one stands."""
    if not set_up:
        return IntercomStatus.EMPTY
    if reach is Reach.OFFLINE:
        return IntercomStatus.INACTIVE
    if reach is Reach.ONLINE:
        return IntercomStatus.ACTIVE if authorised else IntercomStatus.INACTIVE
    return None


def observe(
    state: Intercom, reach: Reach, authorised: bool, now: Instant, policy: Policy, *, set_up: bool = True
) -> tuple[Intercom, bool]:
    seen = derive(reach, authorised, set_up)
    if seen is None:
        return state, False
    return status.step(state, seen, now, sure=True, damp=policy.flap_damping)
