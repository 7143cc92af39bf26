"""How much memory a watched device takes, for several benchmarks."""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import aiohttp

from bridge.clock import SystemClock
from bridge.driver import AnyDriver, DriverIO, ShortMemory
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import Device
from bridge.pushes.labels import Labels
from bridge.runner import Runner, Surroundings
from bridge.state import device as device_state
from bridge.store.store import Store


async def kept_kb(
    driver: type[AnyDriver], make: Callable[[int], Device], count: int, http: aiohttp.ClientSession
) -> float:
    """KB that one device takes between two polls: driver, configuration, state, runner, tasks."""
    clock, rng = SystemClock(), random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(Path(folder), clock)
        around = Surroundings(store, Journal(store, clock), Labels(), Metrics(), clock, rng)
        runners: list[Runner] = []

        async def watch(more: int) -> None:
            begin = len(runners)
            for number in range(begin, begin + more):
                one = make(number)
                io = DriverIO(device_id=one.id, http=http, clock=clock, random=rng, memory=ShortMemory())
                runner = Runner(one, driver(one, one.config, io), around, device_state.new(one))
                runners.append(runner)
                runner.start()
            while any(not runner.state.facts for runner in runners):
                await asyncio.sleep(0.05)

        await watch(20)  # what is made once is made now
        await asyncio.sleep(0)
        gc.collect()
        tracemalloc.start()
        await watch(count)
        await asyncio.sleep(0.3)  # the last ones' states are on disk, and let go of
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        await asyncio.gather(*(runner.stop() for runner in runners))
        await store.close()
    return kept / count / 1024
