"""Plans, applies, drift and jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from bridge.config.types import Duration, invalid
from bridge.runner import Runner
from bridge.web.initiator import Doing
from bridge.web.ports import (
    DriftView,
    JobDetails,
    JobView,
    PlanView,
    Work,
)
from bridge.web.routes import Call, Input, Refused, Reply, Route
from bridge.web.targets import Targets, Word

WAIT = 60.0  # seconds that an answer is held back at most
PLAN_SECONDS = 120.0
MOST_JOBS = 1000
AT_ONCE = 4  # plans and comparisons
TemplateId = Annotated[int, Field(ge=1, le=2**53)]


class Wanted(Doing):
    """Templates for cameras."""

    targets: Targets = Field(description="which cameras")
    templates: Annotated[tuple[TemplateId, ...], Field(max_length=100)] = Field(
        (), description="ids of templates; if none is named, all that match each camera"
    )


class ApplyRequest(Doing):
    """A plan that was made before, or targets and templates to plan and apply at once."""

    plan: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = Field(None, description="id of a plan")
    targets: Targets | None = Field(None, description="which cameras")
    templates: Annotated[tuple[TemplateId, ...], Field(max_length=100)] = Field(
        (), description="ids of templates; if none is named, all that match each camera"
    )
    confirm: Annotated[Duration, Field(ge=10, le=86400)] | None = Field(
        None, description="it is taken back after this time unless somebody confirms it", examples=["120s"]
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> ApplyRequest:
        if (self.plan is None) == (self.targets is None) or (self.plan is not None and self.templates):
            raise invalid("needs a plan, or targets with templates", "say one of the two")
        return self


class RollbackRequest(Doing):
    """Which of a job's devices."""

    devices: Annotated[tuple[Word, ...], Field(max_length=10_000)] = Field(
        (), description="only these of its devices; all if none is named"
    )


class JobsQuery(Input):
    limit: Annotated[int, Field(ge=1, le=MOST_JOBS)] = Field(100, description="that many at most, the newest first")
    before: Annotated[float, Field(ge=0, le=1e12)] | None = Field(None, description="only those created before")


class JobQuery(Input):
    wait: Annotated[float, Field(ge=0, le=WAIT)] = Field(
        0.0, description="seconds to wait for a change; the answer comes as soon as there is one"
    )
    after: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(
        None, description="the version that is known already: what is newer is a change"
    )


@dataclass(frozen=True, slots=True)
class JobsView:
    jobs: tuple[JobView, ...]


class Works:
    def __init__(self, work: Work, runners: Callable[[], Mapping[str, Runner]]) -> None:
        self._work = work
        self._runners = runners
        self._planning = 0

    def routes(self) -> list[Route]:
        socket = ("X-Socket-ID",)
        moved = {409: "a device or a template moved since, or the job cannot do this any more"}
        return [
            Route("POST", "/plans", "What templates would change; nothing is written", self.make_plan, PlanView,
                  body=Wanted, status=201, seconds=PLAN_SECONDS, errors={409: "it cannot be planned now"}),
            Route("GET", "/plans/{plan}", "A saved plan", self.plan, PlanView),
            Route("POST", "/drift", "Who differs from its templates", self.drift, DriftView, body=Wanted,
                  seconds=PLAN_SECONDS, errors={409: "it cannot be compared now"}),
            Route("POST", "/applies", "Apply a plan, or templates: a job", self.apply, JobView, body=ApplyRequest,
                  status=202, seconds=PLAN_SECONDS, errors={**moved, 404: "no such plan"},
                  scope="write", headers=socket),
            Route("GET", "/jobs", "Long work", self.jobs, JobsView, query=JobsQuery),
            Route("GET", "/jobs/{job}", "A job with what came of it on each camera; waits for changes", self.job,
                  JobDetails, query=JobQuery, seconds=WAIT + 10),
            Route("POST", "/jobs/{job}/confirm", "Keep what it has written", self.confirm, JobView, body=Doing,
                  errors=moved, scope="write", headers=socket),
            Route("POST", "/jobs/{job}/cancel", "Begin no further device", self.cancel, JobView, body=Doing,
                  errors=moved, scope="write", headers=socket),
            Route("POST", "/jobs/{job}/rollback", "Take back what it has written: a job", self.rollback, JobView,
                  body=RollbackRequest, status=202, errors=moved, scope="write", headers=socket),
        ]  # fmt: skip

    async def make_plan(self, call: Call) -> Reply:
        wanted: Wanted = call.body
        with self._turn():
            made = await self._work.plan(wanted.targets.resolve(self._runners()), wanted.templates, call.by)
        return Reply(made, {"Location": f"/api/v1/plans/{made.id}"})

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Each of these asks every device concerned: a few at a time is enough. Raises Refused."""
        if self._planning >= AT_ONCE:
            raise Refused(503, f"{AT_ONCE} plans are being made already", headers={"Retry-After": "5"})
        self._planning += 1
        try:
            yield
        finally:
            self._planning -= 1

    async def plan(self, call: Call) -> PlanView:
        return await self._work.saved(call.path["plan"])

    async def drift(self, call: Call) -> DriftView:
        wanted: Wanted = call.body
        with self._turn():
            return await self._work.drift(wanted.targets.resolve(self._runners()), wanted.templates)

    async def apply(self, call: Call) -> Reply:
        asked: ApplyRequest = call.body
        plan = asked.plan
        if plan is None:
            assert asked.targets is not None, "the model says so"
            with self._turn():
                plan = (await self._work.plan(asked.targets.resolve(self._runners()), asked.templates, call.by)).id
        return _at(await self._work.apply(plan, call.by, asked.confirm))

    async def rollback(self, call: Call) -> Reply:
        asked: RollbackRequest = call.body
        return _at(await self._work.rollback(call.path["job"], asked.devices, call.by))

    async def jobs(self, call: Call) -> JobsView:
        asked: JobsQuery = call.query
        return JobsView(tuple(await self._work.jobs(asked.limit, asked.before)))

    async def job(self, call: Call) -> JobDetails:
        asked: JobQuery = call.query
        name = call.path["job"]
        told = await self._work.job(name)
        if asked.wait and told.ended_at is None and (asked.after is None or told.version <= asked.after):
            await self._work.changed(name, told.version, asked.wait)
            told = await self._work.job(name)
        return told

    async def confirm(self, call: Call) -> JobView:
        await self._work.confirm(call.path["job"], call.by)
        return await self._work.job(call.path["job"])

    async def cancel(self, call: Call) -> JobView:
        await self._work.cancel(call.path["job"], call.by)
        return await self._work.job(call.path["job"])


def _at(job: JobView) -> Reply:
    return Reply(job, {"Location": f"/api/v1/jobs/{job.id}"})
