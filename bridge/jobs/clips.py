"""Clips of an archive: a request comes in, one file behind a URL and exactly one `archive_generated` come out of it.

Each is a job of the store with one item, so that it survives a restart: what was under way is then begun anew. What is
not recorded wholly is not cut: the reason says from when to when there is video. A file and the push that tells its
URL are one transaction; half a file is never served.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from bridge import backoff
from bridge.clock import Clock, Wake
from bridge.errors import DeviceError, Throttled, Unreachable, Unsupported
from bridge.files import Draft, Shelf, ShelfFull
from bridge.jobs.records import ENDED, Initiator, Item, Job, JobState, NewItem, Records, Refused
from bridge.metrics import Metrics
from bridge.model import Capability, Channel, Device, Span
from bridge.pushes import render
from bridge.pushes.catalogue import Push
from bridge.runner import Runner
from bridge.store.writer import StoreError

KIND = "clip"  # of its jobs
PARALLEL = 4  # clips on their way; one from each server
WAITING = 500  # more are refused
LONGEST = 12 * 3600  # seconds of video
SECONDS = 3600.0  # that a clip may take, tries and pauses included
TRIES = 5
RETRY_FIRST, RETRY_CAP = 2.0, 30.0  # seconds between tries
# Segments of a recording are a few seconds long: so many seconds missing at a seam or an end are no gap.
SEAM = 2.0
TOLD = 5  # stretches of video that a reason names

log = structlog.get_logger("clips")


class NotRecorded(Exception):
    """The archive has not got all of it; the text says what it has."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a clip is: bytes, of so many where the server says how many; `url` once it can be fetched. A restart
    forgets the URL: whoever was told it knows it."""

    done: int = 0
    total: int | None = None
    url: str | None = None


class Clips:
    """`runners` is asked for anew each time: a reload replaces them."""

    def __init__(
        self,
        records: Records,
        shelf: Shelf,
        *,
        runners: Callable[[], Mapping[str, Runner]],
        metrics: Metrics,
        clock: Clock,
        random: random.Random,
    ) -> None:
        self._records = records
        self._shelf = shelf
        self._runners = runners
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()
        self._progress: dict[int, Progress] = {}
        self._expiries: dict[int, float] = {}  # wall time until which the URL of a clip that is there holds
        self._servers: dict[str, asyncio.Lock] = {}
        self._places = asyncio.Semaphore(PARALLEL)

    async def resume(self) -> None:
        """Go on with what was interrupted, once there are runners."""
        for job in await self._records.live((KIND,)):
            log.info("clip begun anew", job=job.id)
            self._begin(job)

    async def stop(self) -> None:
        """Let go; what is not done is begun anew after the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def camera(self, number: int) -> tuple[str, str]:
        """Device and channel of a camera of the VMS. Raises Refused."""
        for runner in self._runners().values():
            for channel in runner.device.channels:
                if channel.vms.get("id") == number:
                    return runner.device.id, channel.key
        raise Refused(f"no camera of the inventory has the id {number} in the VMS")

    async def request(self, device: str, channel: str, start: int, end: int, initiator: Initiator) -> int:
        """Have the archive cut from `start` to `end`, seconds since the epoch; returns the job. With a token in it, the
        initiator hears of the end. Raises Refused, StoreError."""
        runner = self._runners().get(device)
        one = _channel(runner, channel)
        if runner is None or one is None:
            raise Refused(f"the inventory has no camera {device}/{channel}".rstrip("/"))
        identity = runner.state.identity
        if identity is not None and Capability.ARCHIVE not in identity.capabilities:
            raise Refused("it has no archive that the bridge can cut clips from")
        if not start < end <= self._clock.now().wall:
            raise Refused("a clip begins before it ends, and ends in the past")
        if end - start > LONGEST:
            raise Refused(f"a clip is {LONGEST // 3600} hours long at most")
        if len(self._tasks) >= WAITING:
            raise Refused(f"{WAITING} clips wait already: try again when some of them are done")
        name = f"{_name(runner.device, one)} {_time(start).replace(':', '-')}.mp4"
        params = {"start": start, "end": end, "name": name}
        try:
            _push(Job(0, KIND, "running", initiator, params, 0.0, None, None, ""), 0.0, None)
        except ValidationError:
            raise Refused("whoever hears of it has a token_id and a user_id of the VMS") from None
        number = await self._records.create(KIND, initiator, params, [NewItem(device, channel)])
        job = await self._records.job(number)
        assert job is not None
        self._begin(job)
        log.info("clip asked for", job=number, device=device, channel=channel, start=start, end=end)
        return number

    async def cancel(self, job: int) -> None:
        """Give it up; that is an end as any other. Raises Refused."""
        task = self._tasks.get(job)
        if task is None:
            raise Refused(f"job {job} has ended already")
        self._cancelled.add(job)
        task.cancel()

    async def wait(self, job: int, seconds: float) -> None:
        """Until the clip has ended, or the time is over."""
        task, wake = self._tasks.get(job), Wake()
        if task is not None:

            def over(task: asyncio.Task[None]) -> None:
                wake.set()

            task.add_done_callback(over)
            try:
                await self._clock.wait(wake, seconds)
            finally:
                task.remove_done_callback(over)

    def progress(self, job: int) -> Progress:
        """How far a clip of this life of the bridge is."""
        return self._progress.get(job, Progress())

    # -- one clip ----------------------------------------------------------------------------------------------------

    def _begin(self, job: Job) -> None:
        self._tasks[job.id] = asyncio.create_task(self._run(job), name=f"clip {job.id}")
        self._metrics.clips_waiting.set(len(self._tasks))

    async def _run(self, job: Job) -> None:
        try:
            (item,) = await self._records.items(job.id)
            if item.state not in ENDED:
                await self._in_turn(job, item)
                (item,) = await self._records.items(job.id)
            ended: JobState = "cancelled" if job.id in self._cancelled else "stopped"
            await self._records.move(job.id, "done" if item.state == "ok" else ended, item.detail)
        except asyncio.CancelledError:
            raise
        except StoreError as error:
            log.error("the end of a clip cannot be stored; it is begun anew after a restart", reason=str(error))
        except Exception as error:
            # Begun anew after a restart.
            log.error("bug in a clip", job=job.id, exc_info=error)
        finally:
            del self._tasks[job.id]
            self._cancelled.discard(job.id)
            self._metrics.clips_waiting.set(len(self._tasks))
            self._forget()

    async def _in_turn(self, job: Job, item: Item) -> None:
        try:
            async with self._servers.setdefault(item.device, asyncio.Lock()), self._places:
                await self._records.begin(item)
                await self._carry_out(job, item)
        except asyncio.CancelledError:
            if job.id not in self._cancelled:
                raise
            await self._fail(job, item, "somebody cancelled it")

    async def _carry_out(self, job: Job, item: Item) -> None:
        try:
            async with self._shelf.draft() as draft:
                size = await self._fetch(job, item, draft)
                file = await draft.seal(job.params["name"], "video/mp4", job=job.id)
                push = _push(job, self._clock.now().wall, file.url)
                await self._shelf.keep(file, self._records.ending(item, "ok", "", push))
        except (DeviceError, NotRecorded, ShelfFull) as error:
            await self._fail(job, item, str(error))
        except OSError as error:
            await self._fail(job, item, f"the disk does not take it: {error.strerror or error}")
        else:
            self._progress[job.id] = Progress(size, size, file.url)
            self._expiries[job.id] = file.expires_at
            self._metrics.clip_bytes.inc(size)
            self._told(push, "ok")
            log.info("clip is there", job=job.id, device=item.device, channel=item.channel, bytes=size)

    async def _fail(self, job: Job, item: Item, reason: str) -> None:
        push = _push(job, self._clock.now().wall, None)
        await self._records.end(item, "error", reason, push)
        self._progress.pop(job.id, None)
        self._told(push, "error")
        log.warning("no clip", job=job.id, device=item.device, channel=item.channel, reason=reason)

    def _told(self, push: Push | None, outcome: str) -> None:
        self._metrics.clips.labels(outcome).inc()
        if push is not None:
            self._metrics.pushes.labels(push.type).inc()

    async def _fetch(self, job: Job, item: Item, draft: Draft) -> int:
        """Bring the clip to the draft, whatever the network does meanwhile, within bounds. Returns its size. Raises
        DeviceError, NotRecorded, ShelfFull, OSError."""
        until = self._clock.now().mono + SECONDS
        tries = AsyncRetrying(
            stop=lambda state: state.attempt_number >= TRIES or self._clock.now().mono >= until,
            wait=self._pause,
            retry=retry_if_exception_type((Unreachable, Throttled)),
            sleep=self._clock.sleep,
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                return await self._try(job, item, draft, until)
        raise AssertionError("tenacity ends with a result or an error")

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        wait = backoff.delay(state.attempt_number, self._random, first=RETRY_FIRST, cap=RETRY_CAP)
        return max(wait, min(error.seconds, 2 * RETRY_CAP)) if isinstance(error, Throttled) else wait

    async def _try(self, job: Job, item: Item, draft: Draft, until: float) -> int:
        start, end = job.params["start"], job.params["end"]
        runner = self._runners().get(item.device)
        channel = _channel(runner, item.channel)
        if runner is None or channel is None:
            raise Unsupported("it is no longer in the inventory")
        identity = runner.state.identity
        if identity is None:
            raise Unreachable("it has not answered yet")
        if Capability.ARCHIVE not in identity.capabilities:
            raise Unsupported("it has no archive that the bridge can cut clips from")
        async with runner.mailbox.shared() as driver:
            found = await driver.recorded(channel, start, end)
        if gaps(found, start, end):
            raise NotRecorded(there_is(found, start, end))
        room = await self._shelf.room()
        if room <= 0:
            raise self._shelf.full()

        def progress(done: int, total: int | None) -> None:
            self._progress[job.id] = Progress(done, total)

        async with runner.mailbox.shared((OSError,)) as driver:
            return await driver.clip(
                channel,
                start,
                end,
                draft.path,
                progress=progress,
                deadline=max(1.0, until - self._clock.now().mono),
                size_limit=room,
            )

    def _forget(self) -> None:
        """The URLs of clips whose time is over."""
        now = self._clock.now().wall
        for job in [job for job, expiry in self._expiries.items() if expiry <= now]:
            del self._expiries[job]
            self._progress.pop(job, None)


def _channel(runner: Runner | None, key: str) -> Channel | None:
    return next((one for one in runner.device.channels if one.key == key), None) if runner is not None else None


def _name(device: Device, channel: Channel) -> str:
    return str(channel.vms.get("name") or channel.key or device.name or device.id)


def _push(job: Job, now: float, url: str | None) -> Push | None:
    """None where nobody hears it."""
    who = job.initiator
    if who.token_id is None:
        return None
    start, end, name = job.params["start"], job.params["end"], job.params["name"]
    return render.archive_generated(who.token_id, who.user_id, job.id, name, start, end, job.created_at, now, url)


def gaps(recorded: Iterable[Span], start: float, end: float) -> tuple[Span, ...]:
    """What is missing of a period, given what is recorded of it, in order."""
    missing: list[Span] = []
    at = start
    for one in recorded:
        if one.start - at > SEAM and one.start < end:
            missing.append(Span(at, min(one.start, end)))
        at = max(at, one.end)
    if end - at > SEAM:
        missing.append(Span(at, end))
    return tuple(missing)


def there_is(recorded: Sequence[Span], start: float, end: float) -> str:
    """For people: what there is of a period that is not recorded wholly."""
    if not recorded:
        return f"there is no video from {_time(start)} to {_time(end)} UTC"
    parts = [f"from {_time(one.start)} to {_time(one.end)}" for one in recorded[:TOLD]]
    more = f" and {len(recorded) - TOLD} more stretches" if len(recorded) > TOLD else ""
    return f"it is not all recorded: there is video {', '.join(parts)}{more} (UTC)"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
