"""Plans and jobs as the API answers them. The dataclasses are the schemas of the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from bridge.jobs.records import Initiator, Item, Job
from bridge.secrets import MASK
from bridge.settings.engine import Planned
from bridge.settings.limits import legal
from bridge.settings.plan import Configuration, shown
from bridge.settings.templates import Template
from bridge.settings.vocabulary import flatten

PlanState = Literal["changes", "same", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One setting that changes, as people read it. `wanted` differs from `after` where only something near it is
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
    """What one template means for one camera. `changes`: it would be written to. `refused`: something cannot be as
    wanted, and nothing at all is written. `failed`: nothing can be written now, and `reason` says why."""

    device: str
    channel: str
    template: int
    template_name: str
    state: PlanState
    changes: tuple[ChangeView, ...]
    refusals: tuple[RefusalView, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class PlanView:
    """`id` is for applying exactly this, within a week; a camera that has changed meanwhile is then left alone. It is
    null where nothing has to change."""

    id: str | None
    items: tuple[PlanItem, ...]


@dataclass(frozen=True, slots=True)
class DriftView:
    """How cameras differ from their templates: `before` is what they are, `after` what they should be."""

    items: tuple[PlanItem, ...]


@dataclass(frozen=True, slots=True)
class SavedItem:
    device: str
    channel: str
    template: int
    template_name: str


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan that can be applied: which cameras get which templates."""

    id: str
    items: tuple[SavedItem, ...]


@dataclass(frozen=True, slots=True)
class JobView:
    """Long work. States: running, confirming (all is written, and taken back at `confirm_by` unless somebody confirms
    it), done, stopped (at the first unexpected result), cancelled, reverted (nobody confirmed it). `done` of its
    `total` cameras are as wanted, `failed` are not, `skipped` were not begun."""

    id: int
    kind: str
    state: str
    initiator: Initiator
    created_at: float
    ended_at: float | None
    confirm_by: float | None
    total: int
    done: int
    failed: int
    skipped: int
    reason: str


@dataclass(frozen=True, slots=True)
class ItemView:
    """What came of one template (0: the job is about none) on one camera. States: waiting, running, applied (as wanted,
    not confirmed yet), ok, error, skipped. `owed`: the camera went away before it could be put back to how it was; that
    is done later."""

    device: str
    channel: str
    template: int
    template_name: str
    state: str
    reason: str
    owed: bool
    changes: tuple[ChangeView, ...]


@dataclass(frozen=True, slots=True)
class JobDetails:
    """`version` is another one after every change of the job."""

    job: JobView
    version: str
    items: tuple[ItemView, ...]


@dataclass(frozen=True, slots=True)
class JobsView:
    jobs: tuple[JobView, ...]


@dataclass(frozen=True, slots=True)
class SettingView:
    """One setting of a device: its value as JSON, for people, and what would be legal in words. Secrets cannot be
    read."""

    path: str
    value: Any
    shown: str
    legal: str | None


@dataclass(frozen=True, slots=True)
class SettingsView:
    device: str
    channel: str
    settings: tuple[SettingView, ...]


def name_of(templates: Mapping[int, Template], number: int) -> str:
    """Of a template that may be gone by now; of none, nothing."""
    if number == 0:
        return ""
    return templates[number].name if number in templates else str(number)


def plan_item(planned: Planned, templates: Mapping[int, Template]) -> PlanItem:
    plan = planned.plan
    state: PlanState = "failed" if plan is None else "refused" if plan.refusals else "changes"
    return PlanItem(
        planned.device,
        planned.channel,
        planned.template,
        name_of(templates, planned.template),
        "same" if plan is not None and plan.empty else state,
        tuple(
            ChangeView(one.path, shown(one.before), shown(one.after), shown(one.wanted))
            for one in (plan.changes if plan else ())
        ),
        tuple(RefusalView(one.path, shown(one.wanted), one.reason) for one in (plan.refusals if plan else ())),
        planned.reason,
    )


def job_view(job: Job, counts: Mapping[str, int]) -> JobView:
    return JobView(
        job.id,
        job.kind,
        job.state,
        job.initiator,
        job.created_at,
        job.ended_at,
        job.deadline if job.state == "confirming" else None,
        sum(counts.values()),
        counts.get("ok", 0) + counts.get("applied", 0),
        counts.get("error", 0),
        counts.get("skipped", 0),
        job.detail,
    )


def job_details(job: Job, items: Sequence[Item], templates: Mapping[int, Template]) -> JobDetails:
    counts: dict[str, int] = {}
    for one in items:
        counts[one.state] = counts.get(one.state, 0) + 1
    told = [job.state, job.deadline, [(one.state, one.owed) for one in items]]
    version = blake2b(json.dumps(told).encode(), digest_size=8).hexdigest()
    return JobDetails(job_view(job, counts), version, tuple(_item(one, templates) for one in items))


def _item(item: Item, templates: Mapping[int, Template]) -> ItemView:
    changes = tuple(
        ChangeView(path, _told(before), after := MASK if secret else _told(value), after)
        for path, before, value, secret in item.changes
    )
    return ItemView(
        item.device,
        item.channel,
        item.template,
        name_of(templates, item.template),
        item.state,
        item.detail,
        item.owed,
        changes,
    )


def _told(value: Any) -> str:
    """A value as the store has it: JSON knows no tuples."""
    return shown(tuple(value) if isinstance(value, list) else value)


def settings_view(device: str, channel: str, found: Configuration) -> SettingsView:
    current = flatten(found.settings)
    limits = {path: found.limits.of(path, current) for path in current}
    return SettingsView(
        device,
        channel,
        tuple(
            SettingView(path, value, shown(value), legal(limit) if (limit := limits[path]) is not None else None)
            for path, value in current.items()
        ),
    )
