"""A server that only tells about cameras, against one that they are behind: what its loss says about them."""

from __future__ import annotations

import pytest

from bridge.clock import Instant
from bridge.errors import DeviceError, ProtocolError, Unreachable
from bridge.model import CameraStatus, Channel, Device, Kind, Policy, Reading, Rung, Stream
from bridge.state import device as device_state
from bridge.state.device import DeviceState, StatusChange
from bridge.state.reachability import Reach
from bridge.store import kept

COUNT = 1000
POLICY = Policy(offline_failures=3, offline_after=30.0)
KEYS = [f"cam-{number}" for number in range(COUNT)]


def at(seconds: float) -> Instant:
    return Instant(1e9 + seconds, seconds)


def server(*, second_hand: bool) -> Device:
    channels = tuple(Channel(key, vms={"id": number}) for number, key in enumerate(KEYS, 1))
    return Device("flu", Kind.SERVER, "any", "192.0.2.1", channels=channels, policy=POLICY, second_hand=second_hand)


def reading(*down: str) -> Reading:
    return Reading(Rung.READY, {key: (Stream(key, key not in down),) for key in KEYS})


def known(device: Device) -> DeviceState:
    """All cameras told as active."""
    state, changes = device_state.answered(device_state.new(device), device, reading(), at(0))
    assert len(changes) == COUNT
    return state


def lost(
    state: DeviceState, device: Device, error: DeviceError, begin: float = 10.0
) -> tuple[DeviceState, list[StatusChange]]:
    told: list[StatusChange] = []
    for number in range(6):
        state, changes = device_state.failed(state, device, error, at(begin + 10 * number))
        told += changes
    assert state.reach.reach is Reach.OFFLINE
    return state, told


@pytest.mark.parametrize("error", [Unreachable("no connection"), ProtocolError("it answers 500")])
def test_cameras_of_a_media_server_keep_their_status_when_it_is_gone(error: DeviceError) -> None:
    device = server(second_hand=True)
    state, told = lost(known(device), device, error)
    assert told == []
    assert {one.status.announced for one in state.cameras.values()} == {CameraStatus.ACTIVE}
    state, told = device_state.answered(state, device, reading(), at(120))
    assert told == [], "it is back, and nothing has changed"


def test_cameras_behind_an_nvr_are_gone_with_it() -> None:
    device = server(second_hand=False)
    _, told = lost(known(device), device, Unreachable("no connection"))
    assert len(told) == COUNT
    assert {one.status for one in told} == {CameraStatus.INACTIVE}


def test_what_changed_while_the_media_server_was_gone_is_told_then() -> None:
    device = server(second_hand=True)
    state, _ = lost(known(device), device, Unreachable("no connection"))
    state, first = device_state.answered(state, device, reading("cam-7"), at(120))
    state, second = device_state.answered(state, device, reading("cam-7"), at(122))
    assert (first, second) == ([], [StatusChange("cam-7", CameraStatus.INACTIVE)])


def test_a_restart_of_the_bridge_while_the_media_server_is_gone_tells_nothing() -> None:
    device = server(second_hand=True)
    before = known(device)
    gone, _ = lost(before, device, Unreachable("no connection"))
    rows = {row.part: row.data for row in kept.rows(device, device_state.new(device), gone)}
    state, told = lost(kept.restore(device, rows), device, Unreachable("no connection"), begin=200)
    assert told == []
    assert state.cameras["cam-3"].status.announced is CameraStatus.ACTIVE
