"""Clips of archives: asked for, and how far they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from bridge.config.types import invalid
from bridge.jobs import clips
from bridge.jobs.clips import Clips
from bridge.jobs.records import Records
from bridge.web.devices import Devices
from bridge.web.initiator import Doing
from bridge.web.plans import JobView, job_view
from bridge.web.routes import PREFIX, Call, Refused, Reply, Route
from bridge.web.targets import Word

Time = Annotated[int, Field(ge=0, le=2**33)]


class ClipRequest(Doing):
    """A camera of the VMS, or one of a device, and a period."""

    camera: Annotated[int, Field(ge=1, le=2**53)] | None = Field(None, description="the camera's id in the VMS")
    device: Word | None = Field(None, description="id of a device, where no camera is named")
    channel: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="key of the channel; needed where the device has several"
    )
    start: Time = Field(alias="from", description="where it begins, seconds since the epoch", examples=[1700000000])
    end: Time = Field(alias="to", description="where it ends, in the past", examples=[1700000600])

    @model_validator(mode="after")
    def _one_of_both(self) -> ClipRequest:
        if (self.camera is None) == (self.device is None) or (self.camera is not None and self.channel is not None):
            raise invalid("needs a camera, or a device", "say one of the two")
        return self


@dataclass(frozen=True, slots=True)
class ClipView:
    """A clip: `done` bytes are there, of `total` where the server says how many. `url` is where it can be fetched for
    a while, without a token; after a restart of the bridge only whoever was told it knows it."""

    job: JobView
    done: int
    total: int | None
    url: str | None


class ClipWork:
    def __init__(self, clips: Clips, records: Records, devices: Devices) -> None:
        self._clips = clips
        self._records = records
        self._devices = devices

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/clips", "Have a clip of the archive cut: a job", self.ask, ClipView, scope="write",
                  body=ClipRequest, status=202, headers=("X-Socket-ID", "Idempotency-Key"),
                  errors={404: "no such camera or device", 409: "there can be no such clip"}),
            Route("GET", "/clips/{job}", "A clip, and how far it is", self.clip, ClipView),
        ]  # fmt: skip

    async def ask(self, call: Call) -> Reply:
        asked: ClipRequest = call.body
        if asked.camera is not None:
            device, channel = self._clips.camera(asked.camera)
        else:
            runner = self._devices.runner(asked.device or "")
            device, channel = runner.device.id, self._devices.channel(runner, asked.channel)
        job = await self._clips.request(device, channel, asked.start, asked.end, call.by)
        return Reply(await self._view(job), {"Location": f"{PREFIX}/clips/{job}"})

    async def clip(self, call: Call) -> ClipView:
        return await self._view(call.path["job"])

    async def _view(self, number: int) -> ClipView:
        job = await self._records.job(number)
        if job is None or job.kind != clips.KIND:
            raise Refused(404, f"there is no clip {number}")
        counts = (await self._records.counts([number]))[number]
        told = self._clips.progress(number)
        return ClipView(job_view(job, counts), told.done, told.total, told.url)
