"""The VMS's resources, as they travel in pushes. The order of the fields is the order on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.model import CameraStatus

# "YYYY-MM-DD HH:MM:SS" in UTC.
VmsTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")]
# "2019-09-24T14:34:37.000000Z"
IsoTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]


class Wire(BaseModel):
    """Anything that is printed into a push: immutable, and complete (nulls are sent, never left out)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CameraFields(Wire):
    """What the VMS itself knows of a camera: the `vms:` block of the inventory. All but the status."""

    id: Annotated[int, Field(strict=True, ge=1, description="the camera's id in the VMS")]
    group_id: int | None = Field(None, description="id of its group in the VMS's tree")
    type: str = Field(
        "without_server",
        description="the VMS's camera type: media_server_v2, without_server or flussonic",
        min_length=1,
    )
    start_at: VmsTime | None = Field(None, description="earliest archive, YYYY-MM-DD HH:MM:SS in UTC")
    created_at: VmsTime | None = Field(None, description="when it was added, YYYY-MM-DD HH:MM:SS in UTC")
    billing_id: int | str | None = Field(None, description="id in the billing system")
    pretty_name: str | None = Field(None, description="the name shown; its name if not given")
    pretty_text: str | None = Field(None, description="the address shown")
    short_address: str | None = Field(None, description="the short form of its address")
    full_address: str | None = Field(None, description="the full form of its address")
    lat: float | None = Field(None, ge=-90, le=90, description="latitude, degrees")
    lng: float | None = Field(None, ge=-180, le=180, description="longitude, degrees")
    azimuth: float | None = Field(None, ge=0, le=360, description="where it looks, degrees from north")
    is_archive_recording: bool = Field(False, description="an archive is being recorded")
    archive_recording_type: Literal["fulltime", "timetable"] = Field("fulltime", description="when")
    can_change_archive_timetable: bool = Field(False, description="users may change the timetable")
    is_bridge: bool = Field(False, description="the VMS reaches it through a bridge")
    is_favorite: bool = Field(False, description="marked as a favourite")
    user_status: Literal["active", "blocked"] = Field("active", description="the owner's contract")
    name: str | None = Field(None, description="the camera's name; the device's if not given")


class IntercomFields(Wire):
    """What the VMS itself knows of an intercom panel: the `vms:` block of the inventory."""

    id: Annotated[int, Field(strict=True, ge=1, description="the panel's id in the VMS")]
    name: str | None = Field(None, description="the panel's name; the device's if not given")


class Camera(Wire):
    """The camera resource C of the contract."""

    id: int
    group_id: int | None
    status: CameraStatus
    type: str
    start_at: VmsTime | None
    created_at: VmsTime | None
    billing_id: int | str | None
    lat: float | None
    lng: float | None
    azimuth: float | None
    is_archive_recording: bool
    archive_recording_type: Literal["fulltime", "timetable"]
    can_change_archive_timetable: bool
    is_bridge: bool
    is_favorite: bool
    user_status: Literal["active", "blocked"]
    name: str


class CameraPlus(Wire):
    """The camera resource C+ of the contract: C with the texts that people read, after `billing_id`."""

    id: int
    group_id: int | None
    status: CameraStatus
    type: str
    start_at: VmsTime | None
    created_at: VmsTime | None
    billing_id: int | str | None
    pretty_name: str | None
    pretty_text: str | None
    short_address: str | None
    full_address: str | None
    lat: float | None
    lng: float | None
    azimuth: float | None
    is_archive_recording: bool
    archive_recording_type: Literal["fulltime", "timetable"]
    can_change_archive_timetable: bool
    is_bridge: bool
    is_favorite: bool
    user_status: Literal["active", "blocked"]
    name: str


def camera(fields: CameraFields, status: CameraStatus, name: str) -> Camera:
    """C for a camera of the inventory; `name` stands in where its fields give none."""
    known = fields.model_dump(exclude={"pretty_name", "pretty_text", "short_address", "full_address", "name"})
    return Camera(**known, status=status, name=fields.name or name)


def camera_plus(fields: CameraFields, status: CameraStatus, name: str) -> CameraPlus:
    """C+ for a camera of the inventory; `name` stands in where its fields give none."""
    name = fields.name or name
    known = fields.model_dump(exclude={"name", "pretty_name"})
    return CameraPlus(**known, status=status, name=name, pretty_name=fields.pretty_name or name)
