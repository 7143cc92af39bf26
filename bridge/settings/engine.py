"""Templates on many cameras: plans, applies in waves, confirmation, the way back, and what happens by itself.

Every apply is a job of the store, every camera with every template one item of it; an item ends in exactly one
`camera_config_apply`, also when the bridge is killed in between. Cameras are worked on in parallel, one template after
the other on the same device; first one camera (the canary), then a tenth, then the rest, and no more after the first
unexpected result.
"""

from __future__ import annotations

import asyncio
import secrets as random_names
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bridge.clock import Clock, Wake
from bridge.errors import DeviceError
from bridge.jobs.records import ENDED, Initiator, Item, ItemState, Job, NewItem, Records, Refused
from bridge.metrics import Metrics
from bridge.model import Channel, Identity
from bridge.pushes import render
from bridge.pushes.catalogue import Push
from bridge.runner import Runner
from bridge.settings import apply
from bridge.settings.apply import Outcome
from bridge.settings.backups import backup_of, changes_of, packed
from bridge.settings.cameras import LentCamera
from bridge.settings.plan import Plan
from bridge.settings.selection import Selection, in_waves
from bridge.settings.templates import Occasion, Template, Unfilled
from bridge.store.store import Store

PARALLEL = 64  # cameras that are worked on at the same time
PATIENCE = 600.0  # seconds that an automatic apply waits for a camera to be ready
KINDS = ("apply", "automatic", "rollback")  # of jobs
SEEN = "seen"  # the key in a device's memory under which stands who it was

log = structlog.get_logger("templates")


@dataclass(frozen=True, slots=True)
class Planned:
    """What a template would do to one camera; `reason` is why it would do nothing at all."""

    device: str
    channel: str
    template: int
    plan: Plan | None
    reason: str | None
    digest: str

    @property
    def differs(self) -> bool:
        return self.plan is not None and not self.plan.empty


@dataclass(slots=True)
class _Work:
    """A job that is being done."""

    resumed: bool = False  # after a restart: devices have still to be reached
    task: asyncio.Task[None] | None = None
    cancelled: bool = False
    stop: list[str] = field(default_factory=list)  # the unexpected results after which no more is begun
    confirmed: Wake = field(default_factory=Wake)
    watchers: list[Wake] = field(default_factory=list)  # each of one who waits for news

    def changed(self) -> None:
        for wake in self.watchers:
            wake.set()


class Configurator:
    """`runners` and `templates` are asked for anew each time: a reload replaces them."""

    def __init__(
        self,
        store: Store,
        *,
        runners: Callable[[], Mapping[str, Runner]],
        templates: Callable[[], Mapping[int, Template]],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.records = Records(store, clock)
        self.runners = runners
        self.templates = templates
        self.clock = clock
        self._store = store
        self._metrics = metrics
        self._memory: dict[str, dict[str, str]] = {}
        self._working: dict[int, _Work] = {}
        self._others: set[asyncio.Task[None]] = set()
        self._devices: dict[str, asyncio.Lock] = {}
        self._places = asyncio.Semaphore(PARALLEL)

    async def open(self) -> None:
        """Before the first device is asked anything."""
        _, self._memory = await self._store.knowledge()

    async def resume(self) -> None:
        """Go on with what was interrupted, once there are runners."""
        for job in await self.records.live(KINDS):
            log.info("job goes on", job=job.id, kind=job.kind)
            self._begin(job, resumed=True)

    async def stop(self) -> None:
        """Let go; what is not done is gone on with after the next start."""
        tasks = [one.task for one in self._working.values() if one.task is not None] + list(self._others)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def plan(self, selection: Selection, templates: Sequence[int] = ()) -> list[Planned]:
        """What these templates (all that fit, when none are named) would do. Nothing is written."""
        pairs = self._pairs(selection, templates)
        return list(await asyncio.gather(*(self._planned(*pair) for pair in pairs)))

    async def drift(self, selection: Selection) -> list[Planned]:
        """Which cameras differ from the templates that are for them. Nothing is written."""
        return [one for one in await self.plan(selection) if one.differs]

    async def save(self, planned: Sequence[Planned]) -> str:
        """Keep plans, to be applied as they are or not at all; returns the name under which they are kept."""
        name = random_names.token_hex(6)
        items = [NewItem(one.device, one.channel, one.template, digest=one.digest) for one in planned if one.differs]
        if not items:
            raise Refused("there is nothing to be changed, so there is no plan to keep")
        await self.records.save_plan(name, items)
        return name

    # -- doing -----------------------------------------------------------------------------------------------------

    async def apply(
        self, selection: Selection, templates: Sequence[int], initiator: Initiator, *, confirm: float | None = None
    ) -> int:
        """Begin to apply templates; returns the job. With `confirm`, everything goes back to how it was unless the job
        is confirmed within so many seconds. Raises Refused."""
        pairs = self._pairs(selection, templates)
        if not pairs:
            raise Refused("none of these templates is for any of these cameras")
        return await self._apply([NewItem(r.device.id, c.key, t.id) for r, c, t in pairs], initiator, confirm)

    async def apply_plan(self, name: str, initiator: Initiator, *, confirm: float | None = None) -> int:
        """The same for a plan that was kept. A camera that has changed since then is left alone, and told so."""
        items = await self.records.saved_plan(name)
        if not items:
            raise Refused(f"there is no plan {name}; plans are kept for a week")
        return await self._apply(items, initiator, confirm)

    async def rollback(self, selection: Selection, initiator: Initiator, job: int | None = None) -> int:
        """Put cameras back to how they were before the last apply, or before the given job; returns the new job."""
        if job is not None:
            found = [one for one in await self.records.items(job) if one.backup and one.state == "ok"]
        else:
            found = []
            for runner, channel in self._selected(selection):
                last = await self.records.last_applied(runner.device.id, channel.key)
                found += [last] if last is not None else []
        if not found:
            raise Refused("nothing was changed there that could be undone")
        params = {"of": [[one.job, one.number] for one in found]}
        items = in_waves([NewItem(one.device, one.channel, one.template) for one in found])
        return await self._create("rollback", initiator, params, items)

    async def confirm(self, job: int) -> None:
        """Everything that the job did may stay. Raises Refused."""
        work = self._working.get(job)
        if work is None:
            raise Refused(f"job {job} waits for no confirmation")
        work.confirmed.set()

    async def cancel(self, job: int) -> None:
        """Begin no more cameras; what is being worked on is brought to its end. Raises Refused."""
        work = self._working.get(job)
        if work is None:
            raise Refused(f"job {job} has ended already")
        work.cancelled = True

    async def wait(self, job: int, seconds: float) -> None:
        """Until something of the job has changed, or it has ended, or the time is over."""
        work = self._working.get(job)
        if work is not None:
            wake = Wake()
            work.watchers.append(wake)
            try:
                await self.clock.wait(wake, seconds)
            finally:
                work.watchers.remove(wake)

    # -- what happens by itself ------------------------------------------------------------------------------------

    async def identified(self, runner: Runner, before: Identity | None) -> None:
        """A device has said who it is: restore what is owed to it, and apply what is for new or replaced ones."""
        device, identity = runner.device, runner.state.identity
        assert identity is not None
        for item in await self.records.owed(device.id):
            self._aside(self._pay(item))
        mark, seen = apply.identity_mark(identity), self.memory(device.id).get(SEEN)
        if not mark or mark == seen:
            return
        if seen is None and before is not None:
            # An older bridge knew it, and kept no note of that.
            await self.remember(device.id, SEEN, mark)
            return
        occasion: Occasion = "first_seen" if seen is None else "replaced"
        pairs = [
            (channel, template)
            for channel in device.channels
            for template in self.templates().values()
            if occasion in template.automatic and template.match.fits(device, channel, identity)
        ]
        by_user: dict[int | None, list[NewItem]] = {}
        for channel, template in pairs:
            by_user.setdefault(template.notify, []).append(NewItem(device.id, channel.key, template.id))
        if not by_user:
            await self.remember(device.id, SEEN, mark)
        for user, items in by_user.items():
            # The note and the job in one transaction: it happens once, whatever happens in between.
            await self._create("automatic", Initiator(user), {"occasion": occasion}, items, [(device.id, SEEN, mark)])
        log.info("device seen", device=device.id, occasion=occasion, templates=len(pairs))

    # -- pairs of cameras and templates ----------------------------------------------------------------------------

    def memory(self, device: str) -> Mapping[str, str]:
        return self._memory.get(device, {})

    async def remember(self, device: str, key: str, value: str) -> None:
        await self._store.remember(device, key, value)
        self._memory.setdefault(device, {})[key] = value

    def _selected(self, selection: Selection) -> Iterable[tuple[Runner, Channel]]:
        unknown = [one for one in selection.devices if one not in self.runners()]
        if unknown:
            raise Refused(f"the inventory has no device {', '.join(unknown)}")
        for runner in list(self.runners().values()):
            for channel in runner.device.channels:
                if selection.fits(runner.device, channel, runner.state.identity):
                    yield runner, channel

    def _pairs(self, selection: Selection, templates: Sequence[int]) -> list[tuple[Runner, Channel, Template]]:
        known = self.templates()
        unknown = [str(one) for one in templates if one not in known]
        if unknown:
            raise Refused(
                f"there is no template {', '.join(unknown)}; there are: {', '.join(map(str, known)) or 'none'}"
            )
        asked = [known[one] for one in dict.fromkeys(templates)] or list(known.values())
        return [
            (runner, channel, template)
            for runner, channel in self._selected(selection)
            for template in asked
            # Who names both means it: what does not go together is told, camera by camera.
            if (templates and selection.devices)
            or (runner.state.identity and template.match.fits(runner.device, channel, runner.state.identity))
        ]

    async def _planned(self, runner: Runner, channel: Channel, template: Template) -> Planned:
        camera = self._camera(runner, channel)
        plan, reason = None, apply.obstacle(camera, template)
        if reason is None:
            async with self._places:
                try:
                    plan = await apply.look(camera, template)
                except (Unfilled, DeviceError) as error:
                    reason = str(error)
        digest = plan.digest(*self._about(camera, template)) if plan is not None else ""
        return Planned(runner.device.id, channel.key, template.id, plan, reason, digest)

    def _camera(self, runner: Runner, channel: Channel) -> LentCamera:
        return LentCamera(runner, channel, self.runners, self.memory, self.remember, self.clock)

    def _about(self, camera: LentCamera, template: Template) -> tuple[str, ...]:
        identity = camera.state.identity or Identity()
        return camera.device.id, camera.channel.key, identity.serial, identity.firmware, str(template.id)

    # -- jobs ------------------------------------------------------------------------------------------------------

    async def _apply(self, items: Sequence[NewItem], initiator: Initiator, confirm: float | None) -> int:
        known = self.templates()
        prints = {str(one.template): known[one.template].fingerprint for one in items if one.template in known}
        # A camera that is away is no canary: those that can be set up come first.
        items = sorted(items, key=lambda item: self._hindered(item))
        return await self._create("apply", initiator, {"confirm": confirm, "templates": prints}, in_waves(items))

    def _hindered(self, item: NewItem) -> bool:
        runner, template = self.runners().get(item.device), self.templates().get(item.template)
        channel = next((one for one in runner.device.channels if one.key == item.channel), None) if runner else None
        if runner is None or channel is None or template is None:
            return True
        return apply.obstacle(self._camera(runner, channel), template) is not None

    async def _create(
        self,
        kind: str,
        initiator: Initiator,
        params: Mapping[str, object],
        items: Sequence[NewItem],
        memory: Sequence[tuple[str, str, str]] = (),
    ) -> int:
        number = await self.records.create(kind, initiator, params, items, memory)
        for device, key, value in memory:
            self._memory.setdefault(device, {})[key] = value
        job = await self.records.job(number)
        assert job is not None
        self._begin(job)
        log.info("job begun", job=number, kind=kind, items=len(items), user=initiator.user_id)
        return number

    def _begin(self, job: Job, *, resumed: bool = False) -> None:
        work = self._working[job.id] = _Work(resumed)
        work.task = asyncio.create_task(self._run(job, work), name=f"job {job.id}")

    def _aside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _run(self, job: Job, work: _Work) -> None:
        try:
            if job.state == "running":
                await self._waves(job, work)
                items = await self.records.items(job.id)
                bad = next((one for one in items if one.state in ("error", "skipped")), None)
                confirm = job.params.get("confirm")
                if confirm and any(one.state == "applied" for one in items):
                    deadline = self.clock.now().wall + float(confirm)
                    await self.records.move(job.id, "confirming", bad.detail if bad else "", deadline)
                    work.changed()
                    await self._confirmation(job, work, deadline)
                    return
                ended = "cancelled" if work.cancelled else "stopped" if work.stop else "done"
                await self.records.move(job.id, ended, bad.detail if bad else "")  # type: ignore[arg-type]
            else:
                await self._confirmation(job, work, job.deadline or 0.0)
            log.info("job ended", job=job.id)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # What is left of it is gone on with after a restart.
            log.error("bug in a job", job=job.id, exc_info=error)
        finally:
            self._working.pop(job.id, None)
            work.changed()

    async def _waves(self, job: Job, work: _Work) -> None:
        items = await self.records.items(job.id)
        stop = work.stop
        # After a restart: what went wrong before it counts as well.
        stop += [
            f"{one.device} failed ({one.detail})" for one in items if one.state == "error" and one.backup is not None
        ][:1]

        async def one_device(items: Sequence[Item]) -> None:
            for item in items:
                if item.state in (*ENDED, "applied"):
                    continue
                if (job.kind == "automatic" or work.resumed) and item.backup is None and not stop:
                    await self._until_ready(item)
                async with self._places:
                    if item.state == "waiting" and (stop or work.cancelled):
                        why = stop[0] if stop else "somebody cancelled it"
                        await self._end(job, item, "skipped", f"not begun: {why}")
                    elif (reason := await self._item(job, item)) is not None:
                        stop.append(f"{item.device} failed ({reason})")
                work.changed()

        for wave in sorted({item.wave for item in items}):
            by_device: dict[str, list[Item]] = {}
            for item in items:
                if item.wave == wave:
                    by_device.setdefault(item.device, []).append(item)
            await asyncio.gather(*(one_device(one) for one in by_device.values()))

    async def _item(self, job: Job, item: Item) -> str | None:
        """Do one item to its end; returns what went wrong with it."""
        begun = self.clock.now().mono
        found = self._found(item)
        if found is None:
            return await self._end(job, item, "error", "it is no longer in the inventory")
        async with self._devices.setdefault(item.device, asyncio.Lock()):
            await self.records.begin(item)
            camera = self._camera(*found)
            if job.kind == "rollback":
                outcome = await self._roll_back(job, item, camera)
            else:
                outcome = await self._carry_out(job, item, camera)
        self._metrics.applies.labels(outcome.result).inc()
        self._metrics.apply_seconds.observe(self.clock.now().mono - begun)
        if outcome.ok and job.params.get("confirm") and outcome.changes:
            await self.records.applied(item)
            return None
        if outcome.hindered:
            # Told, and no reason to leave the others alone: nothing was tried that could go wrong there as well.
            await self._end(job, item, "error", outcome.reason or "")
            return None
        fine = outcome.ok or (job.kind == "rollback" and outcome.result == "as_before")
        owed = outcome.result == "not_known" and bool(outcome.changes)
        return await self._end(job, item, "ok" if fine else "error", outcome.reason or "", owed=owed)

    async def _carry_out(self, job: Job, item: Item, camera: LentCamera) -> Outcome:
        template = self.templates().get(item.template)
        begun = (changes_of(item), backup_of(item)) if item.backup is not None else None
        agreed = job.params.get("templates", {}).get(str(item.template))
        if template is None or (agreed is not None and agreed != template.fingerprint):
            reason = "the template was changed or removed while the job was under way"
            return await apply.restore(camera, *begun, reason) if begun else Outcome("as_before", reason)

        async def back_up(plan: Plan) -> None:
            await self.records.back_up(item, *packed(plan))

        about = self._about(camera, template)
        return await apply.carry_out(camera, template, back_up=back_up, agreed=item.digest, begun=begun, about=about)

    async def _until_ready(self, item: Item) -> None:
        """A camera that was just seen for the first time, or after a restart of the bridge, needs a moment."""
        until = self.clock.now().mono + PATIENCE
        while self.clock.now().mono < until:
            found, template = self._found(item), self.templates().get(item.template)
            if found is None or template is None or apply.obstacle(self._camera(*found), template) is None:
                return
            await self.clock.sleep(apply.RETRY)

    def _found(self, item: Item) -> tuple[Runner, Channel] | None:
        """Who has the item's camera now; None when the inventory no longer has it."""
        runner = self.runners().get(item.device)
        channel = next((one for one in runner.device.channels if one.key == item.channel), None) if runner else None
        return (runner, channel) if runner is not None and channel is not None else None

    async def _roll_back(self, job: Job, item: Item, camera: LentCamera) -> Outcome:
        number, place = job.params["of"][item.number]
        of = next((one for one in await self.records.items(number) if one.number == place), None)
        if of is None or of.backup is None:
            return Outcome("not_known", "what was there before is no longer known")
        outcome = await apply.restore(camera, changes_of(of), backup_of(of))
        if outcome.result == "as_before":
            await self.records.undone(of)
        return outcome

    async def _confirmation(self, job: Job, work: _Work, deadline: float) -> None:
        """Wait for somebody to confirm; then either way every item gets its end."""
        await self.clock.wait(work.confirmed, max(0.0, deadline - self.clock.now().wall))
        confirmed = work.confirmed.is_set()
        items = [one for one in await self.records.items(job.id) if one.state == "applied"]

        async def revert(item: Item) -> None:
            found = self._found(item)
            if found is None:
                await self._end(job, item, "error", "nobody confirmed it, and it is no longer in the inventory")
                return
            async with self._places, self._devices.setdefault(item.device, asyncio.Lock()):
                reason = "nobody confirmed it in time, so that it was put back to how it was"
                outcome = await apply.restore(self._camera(*found), changes_of(item), backup_of(item), reason)
            owed = outcome.result == "not_known"
            await self._end(job, item, "error", outcome.reason or reason, owed=owed)

        if confirmed:
            for item in items:
                await self._end(job, item, "ok", "")
        else:
            await asyncio.gather(*(revert(item) for item in items))
        every = await self.records.items(job.id)
        bad = next((one for one in every if one.state in ("error", "skipped")), None)
        state = "reverted" if not confirmed else "stopped" if bad else "done"
        await self.records.move(job.id, state, bad.detail if bad else "")  # type: ignore[arg-type]
        log.info("job ended", job=job.id, confirmed=confirmed)

    async def _pay(self, item: Item) -> None:
        """Put a camera back that went away before that could be done. No push: its apply has had one."""
        found = self._found(item)
        if found is None:
            return
        async with self._devices.setdefault(item.device, asyncio.Lock()):
            outcome = await apply.restore(self._camera(*found), changes_of(item), backup_of(item))
            if outcome.result == "as_before":
                await self.records.restored(item)
        log.info("camera restored", device=item.device, job=item.job, result=outcome.result, reason=outcome.reason)

    async def _end(self, job: Job, item: Item, state: ItemState, detail: str, *, owed: bool = False) -> str | None:
        push = self._push(job, item, detail if state != "ok" else None) if job.kind != "rollback" else None
        await self.records.end(item, state, detail, push, owed=owed)
        if push is not None:
            self._metrics.pushes.labels(push.type).inc()
        told = log.info if state == "ok" else log.warning
        told("template applied" if state == "ok" else "template not applied", device=item.device, channel=item.channel,
             template=item.template, job=job.id, reason=detail)  # fmt: skip
        return None if state == "ok" else detail

    def _push(self, job: Job, item: Item, reason: str | None) -> Push | None:
        found, user = self._found(item), job.initiator.user_id
        if found is None or user is None:
            return None
        runner, channel = found
        known = runner.state.cameras.get(channel.key)
        status = known.status.announced if known else None
        return render.config_apply(runner.device, channel, status, item.template, user, reason)
