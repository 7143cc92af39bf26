"""From a change of state to the push that tells it. Pure: the same change gives the same bytes."""

from __future__ import annotations

from datetime import UTC, datetime

from bridge.model import CameraStatus, Channel, Device, IntercomStatus, ProcessSample, Sample, ServerSample
from bridge.pushes import resource
from bridge.pushes.catalogue import (
    AnalyticsStream,
    ArchiveGenerated,
    BinaryStats,
    CameraConfigApply,
    CameraStatusUpdated,
    Cpu,
    Download,
    IntercomStatusChanged,
    Memory,
    Push,
    ServerStats,
)
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


def sample(taken: Sample) -> Push:
    """Raises ValueError for figures that no server can have (a driver's bug)."""
    return _process(taken) if isinstance(taken, ProcessSample) else _server(taken)


def _server(taken: ServerSample) -> ServerStats:
    taken_up = taken.memory_total - taken.memory_available
    return ServerStats(
        cpu=Cpu(
            cpu_count=taken.cpu_count,
            cpu_loadavg_percent_15min=taken.load_15,
            cpu_loadavg_percent_1min=taken.load_1,
            cpu_loadavg_percent_5min=taken.load_5,
        ),
        ipaddress=taken.address,
        memory=Memory(
            available_memory=taken.memory_available,
            total_memory=taken.memory_total,
            used_memory=taken.memory_used,
            used_percent_memory=round(100 * taken_up / taken.memory_total, 1),
        ),
    )


def _process(taken: ProcessSample) -> BinaryStats:
    return BinaryStats(
        binaryUid=taken.process,
        coresUsed=taken.cores,
        cpuUsageAvg=taken.cpu,
        memUsageRssBytes=taken.memory_used,
        memUsageTotalBytes=taken.memory_total,
        netBytesInPerSec=taken.bytes_in,
        netBytesOutPerSec=taken.bytes_out,
        streams={
            uid: AnalyticsStream(
                frameProcessRate=job.frame_rate,
                starttime=job.started,
                status=job.status,
                streamUid=job.stream,
                uptime=job.uptime,
                camera_id=job.camera,
                is_can_restart=job.can_restart,
            )
            for uid, job in taken.jobs.items()
        },
        streamsCount=len(taken.jobs),
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


def archive_generated(
    token: str,
    user: int | None,
    number: int,
    name: str,
    start: float,
    end: float,
    created_at: float,
    updated_at: float,
    url: str | None,
) -> Push:
    """`url` is None when the clip could not be cut. Times are seconds since the epoch. Raises ValidationError for a
    token or a user that is none of the VMS's."""
    download = Download.model_validate(
        {
            "id": number,
            "name": name,
            "url": url,
            "from": _vms_time(start),
            "to": _vms_time(end),
            "created_at": _iso_time(created_at),
            "updated_at": _iso_time(updated_at),
            "is_file_exists": url is not None,
            "user_id": user,
        }
    )
    return ArchiveGenerated(token_id=token, status="error" if url is None else "ok", download=download)


def _vms_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _iso_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
