"""A device as a whole: what one piece of evidence does to its reachability, its health and each of its channels.

Every function takes the state and returns the next one with the changes that the VMS must be told. Nothing here
waits, stores or sends; the runner does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from bridge.clock import Instant
from bridge.errors import DeviceError
from bridge.model import CameraStatus, Device, Fact, Identity, IntercomStatus, Kind, Reading, Sample, Stream
from bridge.state import camera, intercom, reachability
from bridge.state.camera import Camera
from bridge.state.intercom import Intercom
from bridge.state.reachability import Reach, Reachability, Way


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong with a device: the kind of the error and its text for people. Both "" when nothing is."""

    kind: str = ""
    detail: str = ""


WELL = Health()
NOTHING: Mapping[str, Any] = MappingProxyType({})
# A device behind a switch that says why it cannot answer; that says more than the silence does.
BEHIND = {
    Way.SWITCH_DOWN: Health("switch_down", "the switch that it is connected to does not answer"),
    Way.PORT_DOWN: Health("port_down", "switch port down"),
}


@dataclass(frozen=True, slots=True)
class DeviceState:
    reach: Reachability = Reachability()
    health: Health = WELL
    authorised: bool = True
    identity: Identity | None = None
    # A camera has no intercoms and a panel no cameras: what thousands do not have is one object.
    facts: Mapping[str, Fact] = field(default_factory=lambda: NOTHING)
    cameras: Mapping[str, Camera] = field(default_factory=lambda: NOTHING)
    intercoms: Mapping[str, Intercom] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A channel's status changed to `status`: one push."""

    channel: str
    status: CameraStatus | IntercomStatus


Change = StatusChange | Sample  # each is one push, where the VMS knows of it
Step = tuple[DeviceState, list[Change]]


def new(device: Device) -> DeviceState:
    """The state of a device that nothing is known of."""
    keys = [channel.key for channel in device.channels]
    if device.kind is Kind.INTERCOM:
        return DeviceState(intercoms=dict.fromkeys(keys, intercom.NEW))
    return DeviceState(cameras=dict.fromkeys(keys, Camera()))


def answered(state: DeviceState, device: Device, reading: Reading, now: Instant) -> Step:
    """A poll succeeded."""
    reach, _ = reachability.step(state.reach, True, now, device.policy)
    state = replace(state, reach=reach, health=WELL, authorised=True, facts=reading.facts)
    state, changes = _settle(state, device, reading.streams, now)
    return state, [*changes, *reading.samples]


def not_set_up(state: DeviceState, device: Device, now: Instant) -> Step:
    """A panel without an address: entered in the VMS, not yet on the wall."""
    changes: list[Change] = []
    intercoms = dict(state.intercoms)
    for key, panel in intercoms.items():
        intercoms[key], changed = intercom.observe(panel, Reach.UNKNOWN, False, now, device.policy, set_up=False)
        if changed:
            changes.append(StatusChange(key, intercoms[key].announced))
    return replace(state, intercoms=intercoms), changes


def heard(state: DeviceState, device: Device, now: Instant) -> Step:
    """The device sent something by itself: it is alive, and nothing more is known."""
    reach, _ = reachability.step(state.reach, True, now, device.policy)
    return _settle(replace(state, reach=reach), device, {}, now)


def refused(state: DeviceState, device: Device, error: DeviceError, now: Instant) -> Step:
    """It answers and does not let us in: that is health, not reachability."""
    reach, _ = reachability.step(state.reach, True, now, device.policy)
    state = replace(state, reach=reach, health=Health(error.kind, error.detail), authorised=False)
    return _settle(state, device, {}, now)


def failed(state: DeviceState, device: Device, error: DeviceError, now: Instant, way: Way = Way.OPEN) -> Step:
    """It did not answer, or not in its protocol."""
    health = BEHIND.get(way) or Health(error.kind, error.detail)
    if way is Way.DOUBT and state.health in BEHIND.values():
        health = state.health  # the switch's last word stands until it says another
    return _silent(state, device, health, now, way)


def unplugged(state: DeviceState, device: Device, now: Instant) -> Step:
    """The switch saw the link of its port go: nobody needs to wait for its silence."""
    return _silent(state, device, BEHIND[Way.PORT_DOWN], now, Way.PORT_DOWN)


def _silent(state: DeviceState, device: Device, health: Health, now: Instant, way: Way) -> Step:
    reach, changed = reachability.step(state.reach, False, now, device.policy, way)
    cameras = state.cameras
    if changed:
        # What its streams were is no longer known; when it comes back they are asked for anew.
        cameras = {key: replace(one, streams=None) for key, one in cameras.items()}
    state = replace(state, reach=reach, health=health, cameras=cameras)
    return _settle(state, device, {}, now)


def signal(state: DeviceState, device: Device, channel: str, lost: bool, now: Instant) -> Step:
    """The device says that the video of a channel is gone, or is back."""
    if channel not in state.cameras:
        return state, []
    one, changed = camera.signal(state.cameras[channel], state.reach.reach, lost, now, device.policy)
    changes: list[Change] = [StatusChange(channel, one.status.announced)] if changed else []
    return replace(state, cameras={**state.cameras, channel: one}), changes


def events_lost(state: DeviceState, now: Instant) -> DeviceState:
    """The subscription broke, or began anew: conditions that events told are hearsay now."""
    if not any(one.signal_lost for one in state.cameras.values()):
        return state
    return replace(state, cameras={key: camera.events_lost(one, now) for key, one in state.cameras.items()})


def _settle(state: DeviceState, device: Device, streams: Mapping[str, tuple[Stream, ...]], now: Instant) -> Step:
    reach: Reach = state.reach.reach
    # A media server that is gone says nothing about its cameras: one outage, told once, is not a thousand.
    of_cameras = Reach.UNKNOWN if reach is Reach.OFFLINE and device.second_hand else reach
    changes: list[Change] = []
    cameras = dict(state.cameras)
    for key, one in cameras.items():
        cameras[key], changed = camera.observe(one, of_cameras, streams.get(key), now, device.policy)
        if changed:
            changes.append(StatusChange(key, cameras[key].status.announced))
    intercoms = dict(state.intercoms)
    for key, panel in intercoms.items():
        intercoms[key], changed = intercom.observe(panel, reach, state.authorised, now, device.policy)
        if changed:
            changes.append(StatusChange(key, intercoms[key].announced))
    return replace(state, cameras=cameras or NOTHING, intercoms=intercoms or NOTHING), changes
