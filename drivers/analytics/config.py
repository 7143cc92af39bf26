"""The analytics driver's part of the inventory: the `analytics:` block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Path = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^.]+(\.[^.]+)*$")]


def _at(name: str, what: str) -> Path:
    path: Path = Field(name, description=f"where {what} is")
    return path


class ProcessFields(BaseModel):
    """Where the answer has what: names of fields, with dots for what is inside of others (`process.cpu`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    binaryUid: Path = _at("binaryUid", "the id of the process")
    coresUsed: Path = _at("coresUsed", "the number of cores that it uses")
    cpuUsageAvg: Path = _at("cpuUsageAvg", "its CPU usage, percent")
    memUsageRssBytes: Path = _at("memUsageRssBytes", "the memory that it holds, bytes")
    memUsageTotalBytes: Path = _at("memUsageTotalBytes", "the memory that there is for it, bytes")
    netBytesInPerSec: Path = _at("netBytesInPerSec", "what it receives, bytes a second")
    netBytesOutPerSec: Path = _at("netBytesOutPerSec", "what it sends, bytes a second")
    streams: Path = _at("streams", "the list of its jobs, or the object that has them by their ids")


class JobFields(BaseModel):
    """The same for each job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: Path = _at("uid", "the id of the job, where jobs are a list")
    frameProcessRate: Path = _at("frameProcessRate", "the number of frames that it works on in a second")
    starttime: Path = _at("starttime", "when it started, seconds since the epoch")
    status: Path = _at("status", "its status")
    streamUid: Path = _at("streamUid", "the id of the stream that it works on")
    uptime: Path = _at("uptime", "how long it has been running, seconds")
    camera_id: Path = _at("camera_id", "the camera's id in the VMS")
    is_can_restart: Path = _at("is_can_restart", "whether it may be restarted; false if it is not there")


class AnalyticsConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(80, ge=1, le=65535, description="TCP port of its HTTP endpoint")
    path: str = Field("/stats", pattern=r"^/", description="path of the endpoint", examples=["/api/v1/stats"])
    tls: Literal["off", "verify", "insecure"] = Field(
        "off", description="HTTPS: verify the certificate, or insecure to accept any"
    )
    auth: Literal["none", "basic", "bearer"] = Field(
        "none", description="none; basic: user name and password; bearer: the password is a token"
    )
    fields: ProcessFields = Field(ProcessFields(), description="where the answer has what")
    job_fields: JobFields = Field(JobFields(), description="where each of its jobs has what")
    statuses: Mapping[str, str] = Field(
        default_factory=dict,
        description="its words for the status of a job, by the VMS's",
        examples=[{"run": "WORKING"}],
    )
    cameras: Mapping[str, int] = Field(
        default_factory=dict, description="the cameras' ids in the VMS by stream, where it does not know them"
    )
    timeout: float = Field(5.0, gt=0, le=60, description="seconds that one request may take in all")
