"""What a camera's streams and reachability say about it, in the VMS's words (contract, "Camera `status`")."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.clock import Instant
from bridge.model import CameraStatus, Policy, Stream
from bridge.state import status
from bridge.state.reachability import Reach
from bridge.state.status import Status

# How long a "signal lost" is believed after the subscription that reported it is gone and nothing repeated it.
STALE_LOSS = 60.0


@dataclass(frozen=True, slots=True)
class Camera:
    """One channel. `streams` is None until the device has told them once."""

    status: Status[CameraStatus] = Status(CameraStatus.INITIAL)
    streams: tuple[Stream, ...] | None = None
    signal_lost: bool = False
    loss_stale_from: float | None = None  # monotonic; the loss is hearsay since then


def derive(reach: Reach, streams: tuple[Stream, ...] | None, signal_lost: bool) -> CameraStatus | None:
    """The status that follows, or None where nothing follows yet and the last one stands."""
    if reach is Reach.OFFLINE:
        return CameraStatus.INACTIVE
    if reach is not Reach.ONLINE or streams is None:
        return None
    if not streams:
        return CameraStatus.EMPTY
    if signal_lost:
        return CameraStatus.INACTIVE
    up = [stream.up for stream in streams]
    if None in up:
        # Nothing has told about at least one of them; only an answer moves a camera out of `initial`.
        return CameraStatus.INITIAL if not any(up) and False not in up else None
    if all(up):
        return CameraStatus.ACTIVE
    return CameraStatus.PARTIAL if any(up) else CameraStatus.INACTIVE


def observe(
    state: Camera, reach: Reach, streams: tuple[Stream, ...] | None, now: Instant, policy: Policy
) -> tuple[Camera, bool]:
    """A poll result, or a change of reachability (`streams` None: nothing new about them)."""
    if streams is not None:
        state = replace(state, streams=streams)
        if state.loss_stale_from is not None and now.mono - state.loss_stale_from >= STALE_LOSS:
            state = replace(state, signal_lost=False, loss_stale_from=None)
    return _settle(state, reach, now, policy, sure=reach is Reach.OFFLINE)


def signal(state: Camera, reach: Reach, lost: bool, now: Instant, policy: Policy) -> tuple[Camera, bool]:
    """The device says that the video of this channel is gone, or is back."""
    state = replace(state, signal_lost=lost, loss_stale_from=None)
    return _settle(state, reach, now, policy, sure=True)


def events_lost(state: Camera, now: Instant) -> Camera:
    """The subscription broke: what events said is no longer current, and not undone either."""
    if not state.signal_lost or state.loss_stale_from is not None:
        return state
    return replace(state, loss_stale_from=now.mono)


def _settle(state: Camera, reach: Reach, now: Instant, policy: Policy, *, sure: bool) -> tuple[Camera, bool]:
    seen = derive(reach, state.streams, state.signal_lost)
    if seen is None or (seen is CameraStatus.INITIAL and state.status.announced is not CameraStatus.EMPTY):
        return state, False
    settled, changed = status.step(state.status, seen, now, sure=sure, damp=policy.flap_damping)
    return replace(state, status=settled), changed
