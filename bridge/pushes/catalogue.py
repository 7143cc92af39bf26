"""Every push that the VMS's admin clients understand, typed. `docs/pushes.md` has them with samples.

Each class is one type of the contract. Making an instance validates it; `envelope()` is the JSON object that
clients receive; `channel` is the channel's name without the configured prefix. Wire names are never renamed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from bridge.model import IntercomStatus
from bridge.pushes import php_json
from bridge.pushes.resource import Camera, CameraPlus, IsoTime, VmsTime, Wire


class Event(StrEnum):
    """Laravel's event class names, as they stand in a Pusher frame's `event`."""

    USER = "App\\Events\\UserPush"
    ADMIN = "App\\Events\\AdminPush"
    TOKEN = "App\\Events\\TokenPush"  # noqa: S105 - a class name of the VMS
    ADMIN_STAT = "App\\Events\\AdminStatPush"


# Seconds after which a sample is worth nothing any more: the next ones have come, and nobody draws yesterday's load.
SAMPLE_FRESH = 60.0

Status = Literal["ok", "error"]
UserId = Annotated[int, Field(strict=True, ge=1)]
# The access token's id: 80 hexadecimal digits in the VMS. Kept to what a channel name may hold.
TokenId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[-a-zA-Z0-9_=@,.;]+$")]


class Push(Wire):
    """One push. Subclasses say which event it is, where it goes, and what stands in the envelope's `data`."""

    event: ClassVar[Event]
    type: ClassVar[str] = ""  # empty: an AdminStatPush, which has none
    carries_socket: ClassVar[bool] = False  # the page shows `"socket": null` for it

    @property
    def channel(self) -> str:
        raise NotImplementedError

    def status_word(self) -> str:
        return str(getattr(self, "status", "ok"))

    def payload(self) -> Any:
        raise NotImplementedError

    def envelope(self) -> dict[str, Any]:
        data = {"type": self.type, "status": self.status_word(), "data": self.payload()}
        return {"data": data, "subject": None, "message": None}

    def body(self) -> str:
        """The envelope as the VMS would print it, without the `socket` key, which is the sink's business."""
        return php_json.encode(self.envelope())


def with_socket(body: str) -> str:
    """The body with the fourth key, `"socket":null`, at its end."""
    return f'{body[:-1]},"socket":null}}'


class _ToUser(Push):
    event: ClassVar[Event] = Event.USER
    user_id: UserId

    @property
    def channel(self) -> str:
        return f"user.{self.user_id}"


class _ToToken(Push):
    event: ClassVar[Event] = Event.TOKEN
    token_id: TokenId

    @property
    def channel(self) -> str:
        return f"token.{self.token_id}"


def _given_iff_ok(status: str, value: object, name: str) -> None:
    if (status == "ok") != (value is not None):
        raise ValueError(f"{name} is given with the status ok, and only then")


class CameraStatusUpdated(Push):
    """1: a camera's status changed."""

    event: ClassVar[Event] = Event.ADMIN
    type: ClassVar[str] = "camera_status_updated"
    camera: Camera

    @property
    def channel(self) -> str:
        return "admin.admin"

    def payload(self) -> Any:
        return {"camera": self.camera.model_dump()}


class IntercomStatusChanged(Push):
    """2: an intercom panel's status changed. The page prints this one as a UserPush on an admin channel."""

    event: ClassVar[Event] = Event.USER
    type: ClassVar[str] = "intercom_status_changed"
    id: UserId
    intercom_status: IntercomStatus
    status_pretty: str

    @property
    def channel(self) -> str:
        return "admin.intercom-index"

    def payload(self) -> Any:
        return {"id": self.id, "status": self.intercom_status, "status_pretty": self.status_pretty}


class CameraConfigApply(_ToUser):
    """3: a configuration template was applied to a camera, or not, and why."""

    type: ClassVar[str] = "camera_config_apply"
    status: Status
    camera: CameraPlus
    config_template: int
    reason: str | None = None

    @model_validator(mode="after")
    def _check(self) -> CameraConfigApply:
        if (self.status == "error") != bool(self.reason):
            raise ValueError("reason is given with the status error, and only then")
        return self

    def payload(self) -> Any:
        return {
            "camera": self.camera.model_dump(),
            "config_template": self.config_template,
            "reason": self.reason,
        }


class ExportConfig(_ToUser):
    """4: an export of configuration templates has ended; `url` serves the file."""

    type: ClassVar[str] = "export_config"
    status: Status
    url: str | None = None

    @model_validator(mode="after")
    def _check(self) -> ExportConfig:
        _given_iff_ok(self.status, self.url, "url")
        return self

    def payload(self) -> Any:
        return {"url": self.url} if self.status == "ok" else []


class ImportConfig(_ToUser):
    """5: a template file was taken in or refused; `message` is a text for people."""

    type: ClassVar[str] = "import_config"
    status: Status
    message: str

    def payload(self) -> Any:
        return []

    def envelope(self) -> dict[str, Any]:
        return {**super().envelope(), "message": self.message}


class Report(Wire):
    name: str
    type: str
    url: str
    created_at: IsoTime


class GenerateReport(_ToUser):
    """6: a report is ready."""

    type: ClassVar[str] = "generate_report"
    status: Status
    report: Report | None = None

    @model_validator(mode="after")
    def _check(self) -> GenerateReport:
        _given_iff_ok(self.status, self.report, "report")
        return self

    def payload(self) -> Any:
        return {"report": self.report.model_dump()} if self.report else []


class UploadDhcpSubnets(_ToUser):
    """7: a DHCP subnet file is being taken in: any number of `message`, then one `ok` or `error`."""

    type: ClassVar[str] = "upload_dhcp_subnets"
    status: Literal["ok", "error", "message"]
    text: str | None = None

    @model_validator(mode="after")
    def _check(self) -> UploadDhcpSubnets:
        if (self.status == "ok") != (self.text is None):
            raise ValueError("text is given with the statuses error and message, and only then")
        return self

    def payload(self) -> Any:
        return [] if self.text is None else {"message": self.text}


class Download(Wire):
    id: int
    name: str
    type: str = "mp4"
    url: str | None
    from_: VmsTime = Field(alias="from")
    to: VmsTime
    created_at: IsoTime
    updated_at: IsoTime
    is_file_exists: bool
    user_id: int


class ArchiveGenerated(_ToToken):
    """8: an archive clip was cut, or could not be."""

    type: ClassVar[str] = "archive_generated"
    status: Status
    download: Download

    @model_validator(mode="after")
    def _check(self) -> ArchiveGenerated:
        _given_iff_ok(self.status, self.download.url, "download.url")
        if self.download.is_file_exists != (self.status == "ok"):
            raise ValueError("download.is_file_exists is true with the status ok, and only then")
        return self

    def payload(self) -> Any:
        return {"download": self.download.model_dump(by_alias=True)}


class ExportIntercomKeys(_ToToken):
    """9: a panel's keys, or the consolidated file of keys, apartments and users, were exported."""

    type: ClassVar[str] = "export_intercom_keys"
    carries_socket: ClassVar[bool] = True
    status: Status
    path: str = ""

    @model_validator(mode="after")
    def _check(self) -> ExportIntercomKeys:
        if (self.status == "ok") != bool(self.path):
            raise ValueError("path is given with the status ok, and only then")
        return self

    def payload(self) -> Any:
        return {"path": self.path}


class ImportIntercomFlatsUsersKeys(_ToToken):
    """10: a consolidated file was written to the panel, every row read back."""

    type: ClassVar[str] = "import_intercom_flats_users_keys"
    carries_socket: ClassVar[bool] = True

    def payload(self) -> Any:
        return []


class ImportIntercomFlatsUsersKeysFailed(_ToToken):
    """11: it was refused, or some rows failed; `path` serves a copy with the bad cells marked."""

    type: ClassVar[str] = "import_intercom_flats_users_keys_failed"
    carries_socket: ClassVar[bool] = True
    path: str

    def status_word(self) -> str:
        return "error"

    def payload(self) -> Any:
        return {"path": self.path}


class _AccessChanged(_ToUser):
    """What a user can reach changed: ids that went and ids that came."""

    detached: tuple[int, ...]
    attached: tuple[int, ...]

    def payload(self) -> Any:
        return {"detached": self.detached, "attached": self.attached}


class PermissionsUpdated(_AccessChanged):
    """12: a user's permissions changed."""

    type: ClassVar[str] = "permissions_updated"


class AdminCameraGroupsUpdated(_AccessChanged):
    """13: the root camera groups that a user can reach changed."""

    type: ClassVar[str] = "admin_camera_groups_updated"


class AdminIntercomGroupsUpdated(_AccessChanged):
    """14: the root intercom groups that a user can reach changed."""

    type: ClassVar[str] = "admin_intercom_groups_updated"


class DhcpSubnetGroupsUpdated(_AccessChanged):
    """15: the DHCP groups that a user can reach changed."""

    type: ClassVar[str] = "dhcp_subnet_groups_updated"


class _ServerStats(Push):
    event: ClassVar[Event] = Event.ADMIN_STAT
    subject: ClassVar[str]

    @property
    def channel(self) -> str:
        return "admin.analytic-servers-index"

    def envelope(self) -> dict[str, Any]:
        return {"data": self.payload(), "subject": self.subject, "message": None}


class AnalyticsStream(Wire):
    frameProcessRate: float
    starttime: int
    status: Literal[
        "WORKING",
        "CREATED",
        "UPDATED",
        "PENDING",
        "PREPARED",
        "WAITING IMAGES",
        "DOWN",
        "TO REPLACE",
        "PAUSE",
        "UNPAUSE",
        "IN_PAUSE",
    ]
    streamUid: str
    uptime: int
    camera_id: int
    is_can_restart: bool


class BinaryStats(_ServerStats):
    """16: an analytics process was sampled. Bytes, percent, frames a second; `streams` by job uid."""

    subject: ClassVar[str] = "binary_stats"
    binaryUid: str
    coresUsed: int
    cpuUsageAvg: float
    memUsageRssBytes: int
    memUsageTotalBytes: int
    netBytesInPerSec: int
    netBytesOutPerSec: int
    streams: dict[str, AnalyticsStream]
    streamsCount: int

    @model_validator(mode="after")
    def _check(self) -> BinaryStats:
        if self.streamsCount != len(self.streams):
            raise ValueError("streamsCount is the number of streams")
        return self

    def payload(self) -> Any:
        return self.model_dump()


class Cpu(Wire):
    cpu_count: Annotated[int, Field(ge=1)]
    cpu_loadavg_percent_15min: float | None  # some agents tell the last minute alone
    cpu_loadavg_percent_1min: float
    cpu_loadavg_percent_5min: float | None


class Memory(Wire):
    available_memory: int
    total_memory: int
    used_memory: int
    used_percent_memory: float


class ServerStats(_ServerStats):
    """17: a server was sampled. Loads in percent of all cores, memory in bytes."""

    subject: ClassVar[str] = "server_stats"
    cpu: Cpu
    ipaddress: str
    memory: Memory

    def payload(self) -> Any:
        return self.model_dump()


class DictionaryUpdate(Push):
    """18: labels of a locale changed."""

    event: ClassVar[Event] = Event.ADMIN
    type: ClassVar[str] = "dictionary_update"
    diff: dict[str, str]

    @property
    def channel(self) -> str:
        return "admin.dictionary-update"

    def payload(self) -> Any:
        return {"diff": self.diff}


CATALOGUE: tuple[type[Push], ...] = (
    CameraStatusUpdated,
    IntercomStatusChanged,
    CameraConfigApply,
    ExportConfig,
    ImportConfig,
    GenerateReport,
    UploadDhcpSubnets,
    ArchiveGenerated,
    ExportIntercomKeys,
    ImportIntercomFlatsUsersKeys,
    ImportIntercomFlatsUsersKeysFailed,
    PermissionsUpdated,
    AdminCameraGroupsUpdated,
    AdminIntercomGroupsUpdated,
    DhcpSubnetGroupsUpdated,
    BinaryStats,
    ServerStats,
    DictionaryUpdate,
)
