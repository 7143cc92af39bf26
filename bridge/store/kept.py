"""Device states as rows of the store: what survives a restart, and what the CLI shows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from bridge.model import CameraStatus, Capability, Device, Identity, IntercomStatus
from bridge.state import device as device_state
from bridge.state import reachability
from bridge.state.camera import Camera
from bridge.state.device import DeviceState, Health
from bridge.state.reachability import Reach
from bridge.state.status import Status
from bridge.store.store import StateRow


def restore(device: Device, known: Mapping[str, Mapping[str, Any]]) -> DeviceState:
    """The state to go on from after a restart; `known` are the device's rows by part. Rows that an older bridge
    wrote, or that were damaged, count as nothing known."""
    state = device_state.new(device)
    try:
        if (row := known.get("")) is not None:
            reach = reachability.resume(Reach(row["reach"]), float(row["since"]))
            identity = _identity(row["identity"]) if row.get("identity") else None
            health = Health(str(row["health"]), str(row["detail"]))
            state = replace(state, reach=reach, identity=identity, health=health)
        cameras = dict(state.cameras)
        for key in cameras:
            if (row := known.get(f"channel:{key}")) is not None:
                cameras[key] = Camera(Status(CameraStatus(row["status"]), float(row["since"])))
        intercoms = dict(state.intercoms)
        for key in intercoms:
            if (row := known.get(f"channel:{key}")) is not None:
                intercoms[key] = Status(IntercomStatus(row["status"]), float(row["since"]))
    except (KeyError, ValueError, TypeError):
        return device_state.new(device)
    return replace(state, cameras=cameras, intercoms=intercoms)


def rows(device: Device, before: DeviceState, after: DeviceState) -> list[StateRow]:
    """The rows that differ between two states of a device."""
    changed = []
    if _told(before) != _told(after):
        changed.append(StateRow(device.id, "", _device_row(after)))
    for key, camera in after.cameras.items():
        old = before.cameras[key]
        if (old.status.announced, old.streams) != (camera.status.announced, camera.streams):
            streams = [[s.name, s.up, s.uri, s.detail] for s in camera.streams or ()]
            row = {"status": camera.status.announced, "since": camera.status.since, "streams": streams}
            changed.append(StateRow(device.id, f"channel:{key}", row))
    for key, panel in after.intercoms.items():
        if before.intercoms[key].announced != panel.announced:
            row = {"status": panel.announced, "since": panel.since, "streams": []}
            changed.append(StateRow(device.id, f"channel:{key}", row))
    return changed


def _told(state: DeviceState) -> tuple[Any, ...]:
    # Facts and the exact words of an error change with every poll, and are no reason to write.
    return state.reach.reach, state.health.kind, state.identity


def _device_row(state: DeviceState) -> dict[str, Any]:
    identity = None
    if state.identity is not None:
        identity = {**asdict(state.identity), "capabilities": sorted(state.identity.capabilities)}
    return {
        "reach": state.reach.reach,
        "since": state.reach.since,
        "health": state.health.kind,
        "detail": state.health.detail,
        "identity": identity,
        "facts": dict(state.facts),
    }


def _identity(row: Mapping[str, Any]) -> Identity:
    fields = dict(row)
    capabilities = frozenset(Capability(one) for one in fields.pop("capabilities"))
    return Identity(**{**fields, "macs": tuple(fields["macs"])}, capabilities=capabilities)
