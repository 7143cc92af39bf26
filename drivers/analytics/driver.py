"""An analytics process that tells about itself over HTTP: `binary_stats` pushes, through a mapping in the inventory."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, get_args

from yarl import URL

from bridge.driver import Driver, DriverIO
from bridge.errors import AuthFailed, ProtocolError
from bridge.model import Capability, Device, Identity, JobSample, Kind, ProcessSample, Reading, Rung
from bridge.pushes.catalogue import AnalyticsStream
from drivers.analytics.config import AnalyticsConfig
from drivers.transports.http import exchange

JOBS = 1000
TEXT = 128
STATUSES: frozenset[str] = frozenset(get_args(AnalyticsStream.model_fields["status"].annotation))


class AnalyticsDriver(Driver[AnalyticsConfig]):
    name: ClassVar[str] = "analytics"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SERVER})
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    Config = AnalyticsConfig

    __slots__ = ("_url",)

    def __init__(self, device: Device, config: AnalyticsConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        scheme = "http" if config.tls == "off" else "https"
        self._url = URL.build(scheme=scheme, host=device.address, port=config.port).join(URL(config.path))

    async def probe(self) -> Identity:
        return Identity(model="analytics process", serial=(await self._ask()).process)

    async def poll(self) -> Reading:
        taken = await self._ask()
        working = sum(job.status == "WORKING" for job in taken.jobs.values())
        return Reading(Rung.READY, facts={"jobs": len(taken.jobs), "jobs_working": working}, samples=(taken,))

    async def _ask(self) -> ProcessSample:
        async with self.io.gate:
            answer = await exchange(
                self.io.http,
                "GET",
                self._url,
                headers=self._authorization(),
                deadline=self.config.timeout,
                tls=self.config.tls == "verify",
            )
        if answer.status in (401, 403):
            raise AuthFailed("it refuses the credentials")
        if answer.status != 200:
            raise ProtocolError(f"it answers {answer.status}", answer.body)
        try:
            whole = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise ProtocolError("its answer is not JSON", answer.body) from None
        return _process(whole, self.config)

    def _authorization(self) -> dict[str, str]:
        login = self.device.credentials
        if self.config.auth == "none" or login is None:
            return {}
        if self.config.auth == "bearer":
            return {"Authorization": f"Bearer {login.password.reveal()}"}
        pair = f"{login.username}:{login.password.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _process(whole: Any, config: AnalyticsConfig) -> ProcessSample:
    """Raises ProtocolError that names the field of the mapping which does not fit."""
    at = config.fields
    return ProcessSample(
        process=_text(whole, at.binaryUid),
        cores=_count(whole, at.coresUsed),
        cpu=_number(whole, at.cpuUsageAvg),
        memory_used=_count(whole, at.memUsageRssBytes),
        memory_total=_count(whole, at.memUsageTotalBytes),
        bytes_in=_count(whole, at.netBytesInPerSec),
        bytes_out=_count(whole, at.netBytesOutPerSec),
        jobs={uid: _job(one, config) for uid, one in _jobs(_found(whole, at.streams), config)},
    )


def _jobs(listed: Any, config: AnalyticsConfig) -> Iterator[tuple[str, Any]]:
    if not isinstance(listed, list | Mapping) or len(listed) > JOBS:
        raise ProtocolError(f"{config.fields.streams} is no list of at most {JOBS} jobs, and no object of them either")
    if isinstance(listed, Mapping):
        for uid, one in listed.items():
            yield str(uid)[:TEXT], one
    else:
        for one in listed:
            yield _text(one, config.job_fields.uid), one


def _job(one: Any, config: AnalyticsConfig) -> JobSample:
    at = config.job_fields
    said, stream = _text(one, at.status), _text(one, at.streamUid)
    status = config.statuses.get(said, said)
    if status not in STATUSES:
        raise ProtocolError(f"the VMS knows no status {status[:TEXT]!r}: say in analytics.statuses what it means")
    return JobSample(
        frame_rate=_number(one, at.frameProcessRate),
        started=_count(one, at.starttime),
        status=status,
        stream=stream,
        uptime=_count(one, at.uptime),
        camera=config.cameras[stream] if stream in config.cameras else _count(one, at.camera_id),
        can_restart=bool(_found(one, at.is_can_restart, False)),
    )


_MISSING = object()


def _found(whole: Any, path: str, default: Any = _MISSING) -> Any:
    for part in path.split("."):
        if not isinstance(whole, Mapping) or part not in whole:
            if default is not _MISSING:
                return default
            raise ProtocolError(f"its answer has no {path}: say in the analytics block of the inventory where that is")
        whole = whole[part]
    return whole


def _text(whole: Any, path: str) -> str:
    value = _found(whole, path)
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value):
        raise ProtocolError(f"{path} is no text")
    return str(value)[:TEXT]


def _number(whole: Any, path: str) -> float:
    value = _found(whole, path)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or abs(value) > 1e18:
        raise ProtocolError(f"{path} is no number")
    return value


def _count(whole: Any, path: str) -> int:
    value = int(_number(whole, path))
    if value < 0:
        raise ProtocolError(f"{path} is less than nothing")
    return value
