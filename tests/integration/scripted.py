"""Plans, jobs and commands by script: for what the API and the command line make of them, whatever the work does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.errors import Rejected
from bridge.model import Capability, Command, Result
from bridge.secrets import Secret
from bridge.settings.exchange import read
from bridge.settings.templates import Match, Template
from bridge.settings.vocabulary import Ntp, Role, Settings, User
from bridge.web.api import Api
from bridge.web.ports import (
    ChangeView,
    Conflict,
    DriftView,
    FileView,
    Hands,
    Initiator,
    ItemView,
    JobDetails,
    JobView,
    Listed,
    PlanItem,
    PlanState,
    PlanView,
    RefusalView,
    SettingsView,
    SettingView,
    Target,
)
from tests.integration.api_rig import Bridge, bridge

CHANGE = ChangeView("ntp.servers", "nothing", "192.0.2.1", "192.0.2.1")


NTP = Template(12, "Time", Settings(ntp=Ntp(servers=("192.0.2.1",))), Match(model="DV-*"))
ACCOUNT = Template(
    13,
    "Account",
    Settings(users={"op": User(role=Role.OPERATOR, password=Secret("c4n4ry-p4ss"))}),
    references={"users.op.password": "env:TEMPLATE_OP"},
)


class Scripted:
    """`states` says for each device what a plan finds there; what is asked is noted in `asked`."""

    def __init__(self, templates: Mapping[int, Listed]) -> None:
        self.templates = dict(templates)
        self.states: dict[str, PlanState] = {}
        self.plans: dict[str, PlanView] = {}
        self.known: dict[str, JobDetails] = {}
        self.asked: list[tuple[str, object, Initiator | None]] = []
        self.moved = asyncio.Condition()
        self.keys: dict[str, tuple[str, Command, Result]] = {}

    # -- Work ----------------------------------------------------------------------------------------------------

    def _items(self, targets: Sequence[Target], templates: Sequence[int]) -> tuple[PlanItem, ...]:
        items = []
        for one in targets:
            for number in templates or self.templates:
                if number not in self.templates:
                    raise Conflict(f"there is no template {number}", 422)
                state = self.states.get(one.device, "changes")
                items.append(
                    PlanItem(
                        one.device, one.channel, number, self.templates[number].template.name, state,
                        (CHANGE,) if state == "changes" else (),
                        (RefusalView("ntp.servers", "x", "the device has no ntp"),) if state == "refused" else (),
                        "it does not answer" if state == "failed" else None,
                    )
                )  # fmt: skip
        return tuple(items)

    async def plan(self, targets: Sequence[Target], templates: Sequence[int], by: Initiator) -> PlanView:
        self.asked.append(("plan", tuple(targets), by))
        name = f"plan-{len(self.plans)}"
        self.plans[name] = PlanView(name, 1.0, 2.0, self._items(targets, templates))
        return self.plans[name]

    async def saved(self, plan: str) -> PlanView:
        if plan not in self.plans:
            raise Conflict("there is no such plan, or it has ended", 404)
        return self.plans[plan]

    async def drift(self, targets: Sequence[Target], templates: Sequence[int]) -> DriftView:
        return DriftView(self._items(targets, templates))

    async def apply(self, plan: str, by: Initiator, confirm: float | None) -> JobView:
        items = (await self.saved(plan)).items
        self.asked.append(("apply", (plan, confirm), by))
        return self._job("apply", by, [item for item in items if item.state == "changes"], confirm)

    async def rollback(self, job: str, devices: Sequence[str], by: Initiator) -> JobView:
        await self.job(job)
        self.asked.append(("rollback", (job, tuple(devices)), by))
        return self._job("rollback", by, [], None)

    def _job(self, kind: str, by: Initiator, items: Sequence[PlanItem], confirm: float | None) -> JobView:
        rows = tuple(
            ItemView(one.device, one.channel, one.template, one.template_name, "waiting", None, one.changes)
            for one in items
        )
        name = f"job-{len(self.known)}"
        job = JobDetails(
            name, kind, "confirming" if confirm else "running", 1, by, 1000.0, None, len(rows), 0, 0, confirm_by=2000.0 if confirm else None,
            items=rows,
        )  # fmt: skip
        self.known[name] = job
        return job

    async def move(self, job: str, device: str, state: str, reason: str | None = None) -> None:
        """One of the job's devices is through; the job ends with the last."""
        told = self.known[job]
        items = tuple(replace(one, state=state, reason=reason) if one.device == device else one for one in told.items)
        failed = sum(one.state == "failed" for one in items)
        done = sum(one.state == "ok" for one in items)
        over = done + failed == len(items)
        self.known[job] = replace(
            told, items=items, version=told.version + 1, done=done, failed=failed, working_on=(device,),
            state=told.state if not over else "done" if not failed else "failed", ended_at=1001.0 if over else None,
        )  # fmt: skip
        async with self.moved:
            self.moved.notify_all()

    async def jobs(self, limit: int, before: float | None) -> Sequence[JobView]:
        return list(self.known.values())[::-1][:limit]

    async def job(self, job: str) -> JobDetails:
        if job not in self.known:
            raise Conflict("there is no such job", 404)
        return self.known[job]

    async def changed(self, job: str, version: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), self.moved:
                await self.moved.wait_for(lambda: self.known[job].version != version)
        except TimeoutError:
            return

    async def confirm(self, job: str, by: Initiator) -> None:
        told = await self.job(job)
        if told.confirm_by is None:
            raise Conflict("it waits for no confirmation")
        self.known[job] = replace(told, confirm_by=None, version=told.version + 1)

    async def cancel(self, job: str, by: Initiator) -> None:
        told = await self.job(job)
        if told.ended_at is not None:
            raise Conflict("it has ended")
        self.known[job] = replace(told, state="cancelled", ended_at=1002.0, version=told.version + 1)

    async def settings(self, target: Target, sections: Sequence[str]) -> SettingsView:
        rows = (SettingView("ntp.servers", ["192.0.2.1"], "192.0.2.1", "up to 8 entries"),)
        return SettingsView(target.device, target.channel, rows if not sections or "ntp" in sections else ())

    # -- Commander -----------------------------------------------------------------------------------------------

    async def run(self, device: str, command: Command, by: Initiator, key: str) -> Result:
        if key in self.keys:
            asked = self.keys[key]
            if asked[:2] != (device, command):
                raise Conflict("this Idempotency-Key was used for another command", 422)
            return asked[2]
        self.asked.append(("command", (device, command), by))
        if command.arguments.get("output") == "99":
            raise Rejected("it has no output 99")
        result = Result("done", b"\xff\xd8picture", "image/jpeg") if command.action == "snapshot" else Result("done")
        self.keys[key] = (device, command, result)
        return result

    # -- Book ----------------------------------------------------------------------------------------------------

    def all(self) -> Mapping[int, Listed]:
        return self.templates

    async def take(self, data: bytes, file: str, by: Initiator) -> tuple[int, ...]:
        taken = read(data, file, environ={}).templates
        self.templates |= {one.id: Listed(one, "import") for one in taken}
        return tuple(one.id for one in taken)

    async def remove(self, template: int) -> None:
        if self.templates[template].source == "inventory":
            raise Conflict("it is one of the inventory's: remove it there")
        del self.templates[template]

    async def export(self, templates: Sequence[int], file_format: Literal["yaml", "xlsx"], by: Initiator) -> FileView:
        return FileView("http://bridge.example/files/secret/templates.yaml", "templates.yaml", 3, 5000.0)

    async def export_device(
        self, target: Target, template: int, name: str, file_format: Literal["yaml", "xlsx"], by: Initiator
    ) -> FileView:
        return await self.export([], file_format, by)


class Site:
    """A bridge whose API has scripted hands."""

    def __init__(self, one: Bridge, script: Scripted) -> None:
        self.one, self.script = one, script
        self.ask = one.ask

    @property
    def doers(self) -> list[Initiator | None]:
        return [by for _, _, by in self.script.asked]


@asynccontextmanager
async def scripted_site(tmp_path: Path) -> AsyncIterator[Site]:
    async with bridge(tmp_path) as one:
        await one.up()
        for runner in one.service.supervisor.runners.values():
            # What the simulated devices cannot do is as good as done by the script.
            object.__setattr__(runner.state.identity, "capabilities", frozenset(Capability))
        script = Scripted({12: Listed(NTP, "inventory"), 13: Listed(ACCOUNT, "import")})

        async def keep(name: str, data: bytes, content_type: str) -> str:
            return f"http://bridge.example/files/{name}"

        service = one.service
        api = Api(
            tokens=service.tokens,
            store=service.store,
            journal=service.journal,
            metrics=service.metrics,
            clock=service.clock,
            runners=lambda: service.supervisor.runners,
            pumps=dict,
            hands=Hands(script, script, script, keep),
        )
        app = web.Application(middlewares=[api.middleware])
        app.add_routes(api.routes())
        server = TestServer(app)
        await server.start_server()
        one.url = str(server.make_url("")).rstrip("/")
        try:
            yield Site(one, script)
        finally:
            await server.close()
