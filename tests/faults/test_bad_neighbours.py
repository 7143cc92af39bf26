"""Devices that send junk, bombs, endless answers or nothing at all: a clear problem on each, and no other one late."""

from __future__ import annotations

import asyncio
import json
import resource
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from bridge.config.load import load
from bridge.runner import Runner
from bridge.service import Service
from bridge.state.reachability import Reach
from bridge.testing.simulator import Fault
from bridge.testing.site import SimulatedSite
from tests.benchmarks.bridge_process import quantile
from tests.support import until

HEALTHY = 10
SECONDS = 6.0
POLL = 0.5

# What the device does → the kind of problem, and words of its text.
FAULTS: dict[Fault, tuple[str, str]] = {
    Fault.CLOSED: ("unreachable", "Connection refused"),
    Fault.BLACK_HOLE: ("unreachable", "no complete answer within 2 s"),
    Fault.DRIP: ("unreachable", "no complete answer within 2 s"),
    Fault.HALF_ANSWER: ("protocol", "in the middle of its answer"),
    Fault.EMPTY: ("protocol", "without a body"),
    Fault.JUNK: ("protocol", "does not speak HTTP"),
    Fault.HTML: ("protocol", "web page"),
    Fault.HUGE: ("protocol", "larger than 1024 KB"),
    Fault.ENDLESS: ("protocol", "larger than 1024 KB"),
    Fault.ENTITY_BOMB: ("protocol", "document type"),
    Fault.REDIRECT: ("protocol", "redirects to http://192.0.2.66/"),
    Fault.WRONG_PASSWORD: ("auth_failed", "refuses the credentials"),
}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def service(folder: Path, site: SimulatedSite) -> Service:
    config = folder / "config.json"
    watch = {"poll": POLL, "offline_failures": 2, "offline_after": 1, "retry_cap": 1}
    inventory = {
        "bridge": {"data": "data", "http": {"listen": "127.0.0.1:0"}},
        "defaults": {"watch": watch, "onvif": {"timeout": 2}},
        **site.inventory(),
    }
    config.write_text(json.dumps(inventory))
    return Service(load(config))


@pytest.mark.timeout(90)
async def test_every_fault_at_once(tmp_path: Path) -> None:
    site = SimulatedSite(HEALTHY + len(FAULTS))
    async with site:
        bridge = service(tmp_path, site)
        await bridge.start()
        try:
            runners = bridge.supervisor.runners
            await until(lambda: all(r.state.reach.reach is Reach.ONLINE for r in runners.values()), 20)
            members = list(site)
            healthy = [runners[one.id] for one in members[:HEALTHY]]
            before = peak_mb()
            faulty: dict[Fault, Runner] = {}
            for fault, member in zip(FAULTS, members[HEALTHY:], strict=True):
                await member.simulator.inject(fault, "http://192.0.2.66/" if fault is Fault.REDIRECT else True)
                faulty[fault] = runners[member.id]
                if fault is Fault.WRONG_PASSWORD:
                    # The pull that is under way was let in; something to report ends it, and the next one is refused.
                    await member.simulator.act("motion", active=True)

            polled = {one.id: -one.simulator.seen["GetSystemDateAndTime"] for one in members[:HEALTHY]}
            metrics = generate_latest(bridge.metrics.registry).decode()
            began = asyncio.get_running_loop().time()
            await until(lambda: asyncio.get_running_loop().time() - began >= SECONDS, SECONDS + 5)

            expected = SECONDS / (POLL * 1.1)
            for one in members[:HEALTHY]:
                count = polled[one.id] + one.simulator.seen["GetSystemDateAndTime"]
                assert count >= 0.7 * expected, f"{one.id} was polled {count} times where {expected:.0f} were due"
            after = generate_latest(bridge.metrics.registry).decode()
            late = quantile(metrics, after, "bridge_poll_late_seconds", 0.98)
            assert late <= 0.5, f"polls begin up to {late:g} s late"
            assert all(one.state.reach.reach is Reach.ONLINE and not one.state.health.kind for one in healthy)

            for fault, runner in faulty.items():
                kind, words = FAULTS[fault]
                await until(lambda runner=runner, kind=kind: runner.state.health.kind == kind, 20, f"{fault}: {kind}")
                assert words in runner.state.health.detail, f"{fault}: {runner.state.health.detail}"
            assert peak_mb() - before < 80, "answers of 100 MB and more were not kept"

            # And nobody is lost for good.
            for member in members[HEALTHY:]:
                await member.simulator.clear()
            recovering = [r for fault, r in faulty.items() if fault is not Fault.WRONG_PASSWORD]
            await until(lambda: all(not one.state.health.kind for one in recovering), 30)
        finally:
            await bridge.stop()
