"""What the API needs of the parts that do the work: plans, jobs, commands, files. Its answers are said in these words.

The parts themselves know nothing of HTTP; `bridge.service` hands in what speaks for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bridge.model import Capability, Command, Result
from bridge.settings.templates import Template

PlanState = Literal["changes", "same", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Initiator:
    """On whose behalf something is done: a user of the VMS, and where given their access token and their websocket
    connection. `name` is that of the token by which it came here."""

    name: str
    user_id: int | None = None
    token_id: str | None = None
    socket_id: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A channel of a device; the channel is "" where the device has only one."""

    device: str
    channel: str = ""


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One setting that has to change, as people read it. `wanted` differs from `after` where only something near it is
    legal."""

    path: str
    before: str
    after: str
    wanted: str


@dataclass(frozen=True, slots=True)
class RefusalView:
    """One setting that cannot be as wanted, and why."""

    path: str
    wanted: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanItem:
    """What one template means for one camera. With a refusal in it nothing is written there at all; `reason` says why
    the device could not be asked."""

    device: str
    channel: str
    template: int
    template_name: str
    state: PlanState
    changes: tuple[ChangeView, ...] = ()
    refusals: tuple[RefusalView, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PlanView:
    """A saved plan. It refuses to run where a device or a template moved since."""

    id: str
    created_at: float
    expires_at: float
    items: tuple[PlanItem, ...]


@dataclass(frozen=True, slots=True)
class DriftView:
    """How devices differ from their templates: `before` is what they are, `after` what they should be."""

    items: tuple[PlanItem, ...]


@dataclass(frozen=True, slots=True)
class ItemView:
    """What came of one template on one camera. `reason` is for people."""

    device: str
    channel: str
    template: int | None
    template_name: str
    state: str
    reason: str | None
    changes: tuple[ChangeView, ...] = ()


@dataclass(frozen=True, slots=True)
class JobView:
    """Long work. `version` grows with every change of it; `confirm_by` is set while all is written and waits: it is
    when it will be taken back unless somebody confirms it."""

    id: str
    kind: str
    state: str
    version: int
    initiator: Initiator
    created_at: float
    ended_at: float | None
    total: int
    done: int
    failed: int
    working_on: tuple[str, ...] = ()
    confirm_by: float | None = None
    reason: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobDetails(JobView):
    items: tuple[ItemView, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingView:
    """One setting of a device: `value` as JSON, `shown` for people, and in words what would be legal."""

    path: str
    value: Any
    shown: str
    legal: str | None


@dataclass(frozen=True, slots=True)
class SettingsView:
    device: str
    channel: str
    settings: tuple[SettingView, ...]


class Conflict(Exception):
    """It cannot be done as things are; the text says why. `status` as in HTTP: 404 nothing of that name, 409 not now,
    422 not at all, 503 not at the moment."""

    def __init__(self, detail: str, status: int = 409) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class Work(Protocol):
    """Plans and jobs. Methods raise Conflict."""

    async def plan(self, targets: Sequence[Target], templates: Sequence[int], by: Initiator) -> PlanView: ...

    async def saved(self, plan: str) -> PlanView: ...

    async def drift(self, targets: Sequence[Target], templates: Sequence[int]) -> DriftView: ...

    async def apply(self, plan: str, by: Initiator, confirm: float | None) -> JobView: ...

    async def rollback(self, job: str, devices: Sequence[str], by: Initiator) -> JobView: ...

    async def jobs(self, limit: int, before: float | None) -> Sequence[JobView]: ...

    async def job(self, job: str) -> JobDetails: ...

    async def changed(self, job: str, version: int, seconds: float) -> None:
        """Returns when the job has another version than this, or after so many seconds."""
        ...

    async def confirm(self, job: str, by: Initiator) -> None: ...

    async def cancel(self, job: str, by: Initiator) -> None: ...

    async def settings(self, target: Target, sections: Sequence[str]) -> SettingsView:
        """Raises DeviceError, too."""
        ...


@dataclass(frozen=True, slots=True)
class FileView:
    """A file that can be fetched at `url`, without a token, until it goes away."""

    url: str
    name: str
    size: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Listed:
    """A template, and where it comes from."""

    template: Template
    source: Literal["inventory", "import"]


class Book(Protocol):
    """Templates: those of the inventory, and those that were imported."""

    def all(self) -> Mapping[int, Listed]: ...

    async def take(self, data: bytes, file: str, by: Initiator) -> tuple[int, ...]:
        """Import a file, whole or not at all. Raises `InvalidImport`."""
        ...

    async def remove(self, template: int) -> None:
        """Raises Conflict where it is not an imported one."""
        ...

    async def export(self, templates: Sequence[int], file_format: Literal["yaml", "xlsx"], by: Initiator) -> FileView:
        """Raises Conflict."""
        ...

    async def export_device(
        self, target: Target, template: int, name: str, file_format: Literal["yaml", "xlsx"], by: Initiator
    ) -> FileView:
        """What a device is set to, as a template. Raises Conflict, DeviceError."""
        ...


class Commander(Protocol):
    async def run(self, device: str, command: Command, by: Initiator, key: str) -> Result:
        """Once for each key. Raises Conflict, DeviceError."""
        ...


@dataclass(frozen=True, slots=True)
class Hands:
    """All that does the work. `keep` puts a file (name, data, content type) where it can be fetched for a while, and
    returns its URL."""

    work: Work
    commander: Commander
    book: Book
    keep: Callable[[str, bytes, str], Awaitable[str]]


CommandName = Literal["reboot", "open_door", "snapshot", "power_cycle"]
COMMAND_CAPABILITIES: Mapping[str, Capability] = {
    "reboot": Capability.REBOOT,
    "open_door": Capability.OPEN_DOOR,
    "snapshot": Capability.SNAPSHOT,
    "power_cycle": Capability.POWER_CYCLE,
}
