"""A simulated analytics process: one JSON object over HTTP, in the VMS's own words or in others."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from aiohttp import web

from bridge.model import Kind
from bridge.testing.http_simulator import HttpSimulator


class AnalyticsSimulator(HttpSimulator):
    """`style`: "vms" speaks the words of the push; "other" puts the same into another shape, which `inventory` maps."""

    driver: ClassVar[str] = "analytics"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SERVER})

    def __init__(
        self, name: str = "sim", *, kind: Kind = Kind.SERVER, style: str = "vms", auth: str = "basic", **options: Any
    ) -> None:
        super().__init__(name, **options)
        self.style = style
        self.auth = auth
        self.jobs = {f"job-{number}": "WORKING" for number in range(1, 4)}

    def inventory(self) -> dict[str, Any]:
        block: dict[str, Any] = {"port": self.port, "auth": self.auth}
        if self.style == "other":
            block |= {
                "path": "/api/v1/status",
                "fields": {
                    "binaryUid": "process.id",
                    "coresUsed": "process.threads",
                    "cpuUsageAvg": "process.cpu",
                    "memUsageRssBytes": "process.memory.rss",
                    "memUsageTotalBytes": "process.memory.total",
                    "netBytesInPerSec": "net.rx",
                    "netBytesOutPerSec": "net.tx",
                    "streams": "tasks",
                },
                "job_fields": {
                    "uid": "id",
                    "frameProcessRate": "fps",
                    "starttime": "since",
                    "status": "state",
                    "streamUid": "source",
                },
                "statuses": {"run": "WORKING"},
                "cameras": {f"stream-{number}": 100 + number for number in range(1, 4)},
            }
        return {
            "driver": self.driver,
            "kind": Kind.SERVER,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            self.driver: block,
        }

    async def answer(self, request: web.BaseRequest) -> web.Response:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        expected = f"Bearer {self.password}" if self.auth == "bearer" else f"Basic {pair}"
        if self.auth != "none" and not self.accepts(request.headers.get("Authorization") == expected):
            return web.Response(status=401)
        if request.method != "GET" or request.path != ("/stats" if self.style == "vms" else "/api/v1/status"):
            return web.Response(status=404)
        return web.json_response(self._vms() if self.style == "vms" else self._other())

    def _vms(self) -> dict[str, Any]:
        streams = {
            uid: {
                "frameProcessRate": 16.129032,
                "starttime": 1672376602,
                "status": status,
                "streamUid": uid.replace("job", "stream"),
                "uptime": 1054636,
                "camera_id": 109992 + number,
                "is_can_restart": False,
            }
            for number, (uid, status) in enumerate(self.jobs.items(), 1)
        }
        return {
            "binaryUid": f"1d8602f4-82bc-11ed-baa7-{self.seed:012x}",
            "coresUsed": 47,
            "cpuUsageAvg": 28,
            "memUsageRssBytes": 3832954880,
            "memUsageTotalBytes": 14565945344,
            "netBytesInPerSec": 70639264,
            "netBytesOutPerSec": 3217367,
            "streams": streams,
            "streamsCount": len(streams),
        }

    def _other(self) -> dict[str, Any]:
        told = self._vms()
        return {
            "process": {
                "id": told["binaryUid"],
                "threads": told["coresUsed"],
                "cpu": told["cpuUsageAvg"],
                "memory": {"rss": told["memUsageRssBytes"], "total": told["memUsageTotalBytes"]},
            },
            "net": {"rx": told["netBytesInPerSec"], "tx": told["netBytesOutPerSec"]},
            "tasks": [
                {
                    "id": uid,
                    "fps": job["frameProcessRate"],
                    "since": job["starttime"],
                    "state": "run" if job["status"] == "WORKING" else job["status"],
                    "source": job["streamUid"],
                    "uptime": job["uptime"],
                }
                for uid, job in told["streams"].items()
            ],
        }

    async def act(self, action: str, **details: Any) -> None:
        if action != "job":
            return await super().act(action, **details)
        self.jobs[str(details["uid"])] = str(details["status"])
        return None
