"""How loaded a server is: UCD-SNMP-MIB where there is one (net-snmp), else HOST-RESOURCES-MIB (Windows, recorders).

Loads are in percent of all cores, so 100 is "all of them busy": laLoadInt is the load average times 100, and the number
of cores is the number of rows of hrProcessorLoad. net-snmp fills that table only a minute after its start.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.model import ServerSample
from drivers.snmp.clients.seam import Client, Value
from drivers.snmp.values import integer, number

_UCD = "1.3.6.1.4.1.2021"
_HOST = "1.3.6.1.2.1.25"
LOADS = tuple(f"{_UCD}.10.1.5.{number}" for number in (1, 2, 3))  # laLoadInt, of 1, 5, 15 minutes
CORES = f"{_UCD}.11.67.0"  # ssCpuNumCpus
TOTAL = f"{_UCD}.4.5.0"  # memTotalReal; all in KB
FREE = f"{_UCD}.4.6.0"  # memAvailReal, which is MemFree
BUFFERS = f"{_UCD}.4.14.0"
CACHED = f"{_UCD}.4.15.0"
AVAILABLE = f"{_UCD}.4.27.0"  # memSysAvail, since net-snmp 5.9
ASKED = (*LOADS, CORES, TOTAL, FREE, BUFFERS, CACHED, AVAILABLE)
PROCESSORS = f"{_HOST}.3.3.1.2"  # hrProcessorLoad, in percent of the last minute
MEMORY_SIZE = f"{_HOST}.2.2.0"  # hrMemorySize, KB
_STORAGE = f"{_HOST}.2.3.1"
_RAM = f"{_HOST}.2.1.2"  # hrStorageRam


async def sample(client: Client, address: str) -> ServerSample | None:
    """None from an agent that does not tell how loaded its host is."""
    found = await client.get(ASKED)
    if LOADS[0] in found and TOTAL in found:
        cores = integer(found.get(CORES)) or len(await client.column(PROCESSORS))
        return _ucd(found, address, cores)
    return await _host(client, address)


def _ucd(found: Mapping[str, Value], address: str, cores: int) -> ServerSample | None:
    loads = [number(found.get(oid)) for oid in LOADS]
    total, free = integer(found.get(TOTAL)), integer(found.get(FREE))
    if loads[0] is None or not total or free is None or cores < 1:
        return None
    caches = (integer(found.get(BUFFERS)) or 0) + (integer(found.get(CACHED)) or 0)
    available = integer(found.get(AVAILABLE))
    if available is None:
        available = free + caches
    percent = [None if load is None else max(0.0, load / cores) for load in loads]
    assert percent[0] is not None
    return ServerSample(
        address=address,
        cpu_count=cores,
        load_1=percent[0],
        load_5=percent[1],
        load_15=percent[2],
        memory_total=total * 1024,
        memory_available=min(max(available, 0), total) * 1024,
        memory_used=max(0, total - free - caches) * 1024,
    )


async def _host(client: Client, address: str) -> ServerSample | None:
    loads = [load for value in (await client.column(PROCESSORS)).values() if (load := number(value)) is not None]
    kinds = await client.column(f"{_STORAGE}.2")
    row = next((row for row, kind in kinds.items() if kind == _RAM), None)
    if not loads or row is None:
        return None
    cells = [f"{_STORAGE}.{column}.{row}" for column in (4, 5, 6)]  # allocation units, size, used
    found = await client.get(cells)
    unit, size, used = (integer(found.get(cell)) for cell in cells)
    if not unit or not size or used is None:
        return None
    used = min(max(used, 0), size)
    return ServerSample(
        address=address,
        cpu_count=len(loads),
        load_1=sum(loads) / len(loads),
        load_5=None,
        load_15=None,
        memory_total=size * unit,
        memory_available=(size - used) * unit,
        memory_used=used * unit,
    )
