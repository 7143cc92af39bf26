"""What a GET of five objects costs: our client, gufo-snmp alone, stock pysnmp, and net-snmp's C library.

All ask Debian's snmpd for the same objects, in turn, with the same number of requests in flight.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from gufo.snmp.aio import SnmpSession
from pysnmp.hlapi.v3arch import asyncio as stock

from bridge.clock import SystemClock
from bridge.secrets import Secret
from drivers.snmp.clients.gufo import GufoClient
from drivers.snmp.clients.seam import Client, Target
from tests.integration.net_snmp import snmpd

NAME = "snmp_get"
OIDS = tuple(f"1.3.6.1.2.1.1.{number}.0" for number in (1, 2, 3, 5, 6))
IN_FLIGHT = 50
TURNS, STOCK_TURNS = 30, 2
ROUNDS = 9
Play = Callable[[int], Awaitable[None]]


def ours(port: int) -> Play:
    def no_writer(target: Target) -> Client:
        raise AssertionError("nothing is written here")

    target = Target("127.0.0.1", port, "2c", Secret("public"), None, 5.0)
    clients = [GufoClient(target, SystemClock(), no_writer) for _ in range(IN_FLIGHT)]

    async def turn(client: GufoClient, turns: int) -> None:
        for _ in range(turns):
            assert len(await client.get(OIDS)) == len(OIDS)

    async def play(turns: int) -> None:
        await asyncio.gather(*(turn(client, turns) for client in clients))

    return play


def gufo(port: int) -> Play:
    sessions = [SnmpSession("127.0.0.1", port, community="public", timeout=5.0) for _ in range(IN_FLIGHT)]

    async def turn(session: SnmpSession, turns: int) -> None:
        for _ in range(turns):
            assert len(await session.get_many(OIDS)) == len(OIDS)

    async def play(turns: int) -> None:
        await asyncio.gather(*(turn(session, turns) for session in sessions))

    return play


async def pysnmp(port: int) -> Play:
    """As its documentation shows, with one engine for all."""
    engine, login, context = stock.SnmpEngine(), stock.CommunityData("public"), stock.ContextData()
    target = await stock.UdpTransportTarget.create(("127.0.0.1", port), timeout=5, retries=0)

    async def turn(turns: int) -> None:
        for _ in range(turns):
            binds = [stock.ObjectType(stock.ObjectIdentity(oid)) for oid in OIDS]
            problem, _, _, found = await stock.get_cmd(engine, login, target, context, *binds)
            assert problem is None
            assert len(found) == len(OIDS)

    async def play(turns: int) -> None:
        await asyncio.gather(*(turn(turns) for _ in range(IN_FLIGHT)))

    return play


def net_snmp(folder: Path, port: int) -> Callable[[], float] | None:
    """CPU of a request through the C library, in seconds; None where it cannot be compiled."""
    compiler = shutil.which("cc")
    binary = folder / "get"
    source = Path(__file__).with_suffix(".c").with_name("net_snmp_get.c")
    if compiler is None:
        return None
    made = subprocess.run([compiler, "-O2", "-o", binary, source, "-lnetsnmp"], capture_output=True, check=False)
    if made.returncode != 0:
        return None

    def run() -> float:
        count = str(IN_FLIGHT * TURNS * 10)  # so many that its start does not matter
        done = subprocess.run(
            [binary, f"127.0.0.1:{port}", count, str(IN_FLIGHT)], capture_output=True, text=True, check=True, timeout=30
        )
        return float(done.stdout) / 1e6

    return run


async def _run(folder: Path, port: int) -> dict[str, float]:
    players = {"ours": ours(port), "gufo": gufo(port)}
    slow = await pysnmp(port)
    costs: dict[str, list[float]] = {"ours": [], "gufo": [], "pysnmp": []}
    for number in range(ROUNDS + 1):
        for name, play in players.items():
            costs[name].append(await _cost(play, TURNS))
        if number % 4 == 0:
            costs["pysnmp"].append(await _cost(slow, STOCK_TURNS))
    # The first round warms everything up.
    cost = {name: statistics.median(values[1:]) for name, values in costs.items()}
    figures = {
        "cpu_us": cost["ours"] * 1e6,
        "ratio_to_gufo": cost["ours"] / cost["gufo"],
        "ratio_to_pysnmp": cost["ours"] / cost["pysnmp"],
    }
    library = net_snmp(folder, port)
    if library is not None:
        figures["ratio_to_net_snmp"] = cost["ours"] / statistics.median(library() for _ in range(3))
    return figures


async def _cost(play: Play, turns: int) -> float:
    began = time.process_time()
    await play(turns)
    return (time.process_time() - began) / (IN_FLIGHT * turns)


def run() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, snmpd(Path(folder)) as port:
        return asyncio.run(_run(Path(folder), port))
