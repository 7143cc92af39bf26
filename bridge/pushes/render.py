"""From a change of state to the push that tells it. Pure: the same change gives the same bytes."""

from __future__ import annotations

from bridge.model import CameraStatus, Channel, Device, IntercomStatus
from bridge.pushes import resource
from bridge.pushes.catalogue import CameraConfigApply, CameraStatusUpdated, IntercomStatusChanged, Push
from bridge.pushes.labels import Labels


def camera_status(device: Device, channel: Channel, status: CameraStatus) -> Push | None:
    """None for a camera that the inventory ties to no camera of the VMS."""
    if "id" not in channel.vms:
        return None
    fields = resource.CameraFields.model_validate(channel.vms)
    return CameraStatusUpdated(camera=resource.camera(fields, status, device.name or device.id))


def intercom_status(device: Device, channel: Channel, status: IntercomStatus, labels: Labels) -> Push | None:
    """None for a panel that the inventory ties to no panel of the VMS."""
    if "id" not in channel.vms:
        return None
    return IntercomStatusChanged(
        id=channel.vms["id"], intercom_status=status, status_pretty=labels[f"intercom.status.{status}"]
    )


def config_apply(
    device: Device, channel: Channel, status: CameraStatus | None, template: int, user: int, reason: str | None
) -> Push | None:
    """`reason` is None on success. None for what the VMS has no camera for: an intercom panel, a camera without id."""
    if "id" not in channel.vms or status is None:
        return None
    fields = resource.CameraFields.model_validate(channel.vms)
    camera = resource.camera_plus(fields, status, device.name or device.id)
    word = "ok" if reason is None else "error"
    return CameraConfigApply(user_id=user, status=word, camera=camera, config_template=template, reason=reason or None)
