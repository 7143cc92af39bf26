"""The machine that the bridge itself runs on: its load and memory, from the kernel. Linux."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from bridge.driver import Driver
from bridge.errors import ProtocolError
from bridge.model import Capability, Identity, Kind, Reading, Rung, ServerSample

MEMORY = Path("/proc/meminfo")
UPTIME = Path("/proc/uptime")


class HostConfig(BaseModel):
    """There is nothing to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HostDriver(Driver[HostConfig]):
    name: ClassVar[str] = "host"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SERVER})
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    Config = HostConfig

    __slots__ = ()

    @classmethod
    def problem(cls) -> str | None:
        return None if MEMORY.exists() else f"there is no {MEMORY}: watch this machine with the driver snmp instead"

    async def probe(self) -> Identity:
        return Identity(manufacturer=platform.system(), model=platform.machine(), firmware=platform.release())

    async def poll(self) -> Reading:
        return Reading(Rung.READY, facts={"uptime": uptime()}, samples=(sample(self.device.address),))


def uptime() -> int:
    """Seconds since the machine started."""
    return int(float(UPTIME.read_text("ascii").split()[0]))


def sample(address: str) -> ServerSample:
    """Raises ProtocolError for a kernel that tells less than Linux 3.14."""
    lines = (line.split() for line in MEMORY.read_text("ascii").splitlines())
    told = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1 and words[1].isdecimal()}
    try:
        caches = told["Buffers"] + told["Cached"] + told.get("SReclaimable", 0)
        total, free, available = told["MemTotal"], told["MemFree"], told["MemAvailable"]
    except KeyError as missing:
        raise ProtocolError(f"{MEMORY} does not tell {missing.args[0]}") from None
    cores = os.cpu_count() or 1
    load = [100 * one / cores for one in os.getloadavg()]
    return ServerSample(
        address=address,
        cpu_count=cores,
        load_1=load[0],
        load_5=load[1],
        load_15=load[2],
        memory_total=total,
        memory_available=available,
        memory_used=max(0, total - free - caches),
    )
