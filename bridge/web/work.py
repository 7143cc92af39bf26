"""Plans, applies, the way back, drift and jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import Field, model_validator

from bridge.config.types import Duration, invalid
from bridge.jobs import clips
from bridge.jobs.clips import Clips
from bridge.jobs.records import Job
from bridge.settings.engine import Configurator, Planned
from bridge.web.initiator import Doing
from bridge.web.plans import (
    DriftView,
    JobDetails,
    JobsView,
    JobView,
    PlanView,
    SavedItem,
    SavedPlan,
    job_details,
    job_view,
    name_of,
    plan_item,
)
from bridge.web.routes import PREFIX, Call, Input, Refused, Reply, Route, Wrong
from bridge.web.targets import Targets

WAIT = 60.0  # seconds that an answer is held back at most
PLAN_SECONDS = 300.0
MOST_JOBS = 1000
AT_ONCE = 4  # plans and comparisons
TemplateId = Annotated[int, Field(ge=1, le=2**53)]
TemplateIds = Annotated[tuple[TemplateId, ...], Field(max_length=100)]
_WHICH = "ids of templates; if none is named, all that match each camera"


class Wanted(Input):
    """Templates for cameras."""

    targets: Targets = Field(description="which cameras")
    templates: TemplateIds = Field((), description=_WHICH)


class ApplyRequest(Doing):
    """A plan that was made before, or templates for cameras."""

    plan: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = Field(None, description="id of a plan")
    targets: Targets | None = Field(None, description="which cameras")
    templates: TemplateIds = Field((), description=_WHICH)
    confirm: Annotated[Duration, Field(ge=10, le=86400)] | None = Field(
        None, description="it is taken back after this time unless somebody confirms it", examples=["120s"]
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> ApplyRequest:
        if (self.plan is None) == (self.targets is None) or (self.plan is not None and self.templates):
            raise invalid("needs a plan, or targets with templates", "say one of the two")
        return self


class RollbackRequest(Doing):
    """What a job did, or the last that was done to cameras."""

    job: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(None, description="id of the job that is taken back")
    targets: Targets | None = Field(None, description="the cameras whose last change is taken back")

    @model_validator(mode="after")
    def _one_of_both(self) -> RollbackRequest:
        if (self.job is None) == (self.targets is None):
            raise invalid("needs a job or targets", "say one of the two")
        return self


class JobsQuery(Input):
    limit: Annotated[int, Field(ge=1, le=MOST_JOBS)] = Field(100, description="that many at most, the newest first")
    before: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(None, description="only those with a lower id")


class JobQuery(Input):
    wait: Annotated[float, Field(ge=0, le=WAIT)] = Field(
        0.0, description="seconds to wait for a change; the answer comes as soon as there is one"
    )
    after: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="the version that is known already: any other is a change"
    )


class Works:
    def __init__(self, configurator: Configurator, clips: Clips) -> None:
        self._configurator = configurator
        self._clips = clips
        self._records = configurator.records
        self._planning = 0

    def routes(self) -> list[Route]:
        socket = ("X-Socket-ID",)
        again = ("X-Socket-ID", "Idempotency-Key")
        busy = {503: f"{AT_ONCE} plans are being made already"}
        cannot = {409: "it cannot be done as things are"}
        return [
            Route("POST", "/plans", "What templates would change; nothing is written", self.make_plan, PlanView,
                  body=Wanted, status=201, seconds=PLAN_SECONDS, errors=busy),
            Route("GET", "/plans/{plan}", "A plan that can be applied", self.plan, SavedPlan),
            Route("POST", "/drift", "Who differs from its templates", self.drift, DriftView, body=Wanted,
                  seconds=PLAN_SECONDS, errors=busy),
            Route("POST", "/applies", "Apply a plan, or templates: a job", self.apply, JobView, scope="write",
                  body=ApplyRequest, status=202, headers=again, errors={**cannot, 404: "no such plan"}),
            Route("POST", "/rollbacks", "Take back what was applied: a job", self.roll_back, JobView, scope="write",
                  body=RollbackRequest, status=202, headers=again, errors={**cannot, 404: "no such job"}),
            Route("GET", "/jobs", "Long work", self.jobs, JobsView, query=JobsQuery),
            Route("GET", "/jobs/{job}", "A job with what came of it on each camera; waits for changes", self.job,
                  JobDetails, query=JobQuery, seconds=WAIT + 10),
            Route("POST", "/jobs/{job}/confirm", "Keep what it has written", self.confirm, JobView, scope="write",
                  body=Doing, headers=socket, errors=cannot),
            Route("POST", "/jobs/{job}/cancel", "Begin no further camera", self.cancel, JobView, scope="write",
                  body=Doing, headers=socket, errors=cannot),
        ]  # fmt: skip

    async def make_plan(self, call: Call) -> Reply:
        planned = await self._planned(call.body)
        # Who sees the plan sees what is refused; what is kept is what can be done.
        able = [one for one in planned if one.plan is not None and one.plan.changes and not one.plan.refusals]
        name = await self._configurator.save(able) if able else None
        items = tuple(plan_item(one, self._configurator.templates()) for one in planned)
        return Reply(PlanView(name, items), {"Location": f"{PREFIX}/plans/{name}"} if name else {})

    async def plan(self, call: Call) -> SavedPlan:
        name, templates = call.path["plan"], self._configurator.templates()
        items = await self._records.saved_plan(name)
        if not items:
            raise Refused(404, f"there is no plan {name}; plans are kept for a week")
        return SavedPlan(
            name,
            tuple(SavedItem(one.device, one.channel, one.template, name_of(templates, one.template)) for one in items),
        )

    async def drift(self, call: Call) -> DriftView:
        planned = await self._planned(call.body)
        return DriftView(tuple(plan_item(one, self._configurator.templates()) for one in planned))

    async def _planned(self, wanted: Wanted) -> list[Planned]:
        selection = wanted.targets.selection(self._configurator.runners())
        self._known(wanted.templates)
        with self._turn():
            return await self._configurator.plan(selection, wanted.templates)

    def _known(self, templates: TemplateIds) -> None:
        """Raises Refused for templates that are not there."""
        there = self._configurator.templates()
        wrong = [
            Wrong("there is no such template", pointer=f"/templates/{number}")
            for number, one in enumerate(templates)
            if one not in there
        ]
        if wrong:
            raise Refused(422, "there is no such template", wrong)

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

    async def apply(self, call: Call) -> Reply:
        asked: ApplyRequest = call.body
        if asked.targets is not None:
            selection = asked.targets.selection(self._configurator.runners())
            self._known(asked.templates)
            job = await self._configurator.apply(selection, asked.templates, call.by, confirm=asked.confirm)
        else:
            assert asked.plan is not None, "the model says so"
            if not await self._records.saved_plan(asked.plan):
                raise Refused(404, f"there is no plan {asked.plan}; plans are kept for a week")
            job = await self._configurator.apply_plan(asked.plan, call.by, confirm=asked.confirm)
        return await self._begun(job)

    async def roll_back(self, call: Call) -> Reply:
        asked: RollbackRequest = call.body
        targets = asked.targets or Targets(all=True)
        if asked.job is not None:
            await self._job(asked.job)
        selection = targets.selection(self._configurator.runners())
        return await self._begun(await self._configurator.rollback(selection, call.by, asked.job))

    async def _begun(self, job: int) -> Reply:
        return Reply(await self._view(await self._job(job)), {"Location": f"{PREFIX}/jobs/{job}"})

    async def jobs(self, call: Call) -> JobsView:
        asked: JobsQuery = call.query
        found = await self._records.jobs(before=asked.before, limit=asked.limit)
        counts = await self._records.counts([one.id for one in found])
        return JobsView(tuple(job_view(one, counts[one.id]) for one in found))

    async def job(self, call: Call) -> JobDetails:
        asked: JobQuery = call.query
        number = call.path["job"]
        told = await self._details(number)
        if asked.wait and told.job.ended_at is None and asked.after in (None, told.version):
            await self._whose(told.job.kind).wait(number, asked.wait)
            told = await self._details(number)
        return told

    async def confirm(self, call: Call) -> JobView:
        await self._job(call.path["job"])
        await self._configurator.confirm(call.path["job"])
        return await self._view(await self._job(call.path["job"]))

    async def cancel(self, call: Call) -> JobView:
        job = await self._job(call.path["job"])
        await self._whose(job.kind).cancel(job.id)
        return await self._view(await self._job(call.path["job"]))

    def _whose(self, kind: str) -> Configurator | Clips:
        """Who does jobs of a kind."""
        return self._clips if kind == clips.KIND else self._configurator

    async def _job(self, number: int) -> Job:
        job = await self._records.job(number)
        if job is None:
            raise Refused(404, f"there is no job {number}; the last thousand are kept")
        return job

    async def _view(self, job: Job) -> JobView:
        return job_view(job, (await self._records.counts([job.id]))[job.id])

    async def _details(self, number: int) -> JobDetails:
        job = await self._job(number)
        return job_details(job, await self._records.items(number), self._configurator.templates())
