"""Can thousands of them share a process? What one takes in memory and CPU, and what its trouble costs the others."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Sequence

from bridge.driver import AnyDriver
from bridge.errors import DeviceError
from bridge.testing.checks.base import Contract, outcome
from bridge.testing.harness import on_a_loop, running
from bridge.testing.simulator import Fault

_ROUNDS = 5
_AT_ONCE = 10
_BAD_NEIGHBOURS = (Fault.BLACK_HOLE, Fault.ENDLESS)
_TICK = 0.01


class BudgetChecks(Contract):
    @on_a_loop
    async def test_many_of_them_fit(self) -> None:
        async with self.bench() as bench:
            unit = await bench.unit()
            # What all of them share is there before the first one is measured.
            first = await bench.ready(unit)
            await first.poll()
            gc.collect()
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                drivers = [bench.driver(unit) for _ in range(self.drivers)]
                await self._each(drivers, first_contact=True)
                gc.collect()
                each = (tracemalloc.get_traced_memory()[0] - before) // self.drivers
            finally:
                tracemalloc.stop()
            assert each <= self.memory_per_driver, (
                f"a driver takes {each / 1024:.1f} KB of memory, {self.memory_per_driver >> 10} KB are allowed: share "
                "what all devices have in common, keep little of each reply"
            )
            # The simulator is in another thread, whose time does not count.
            cpu = time.thread_time()
            for _ in range(_ROUNDS):
                await self._each(drivers)
            per_poll = (time.thread_time() - cpu) / (_ROUNDS * self.drivers)
            assert per_poll <= self.cpu_per_poll, (
                f"a poll takes {per_poll * 1000:.2f} ms of CPU, {self.cpu_per_poll * 1000:.2f} ms are allowed"
            )

    async def _each(self, drivers: Sequence[AnyDriver], *, first_contact: bool = False) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(driver: AnyDriver) -> None:
            async with gate:
                try:
                    if first_contact:
                        await driver.open()
                        await driver.probe()
                    await driver.poll()
                except DeviceError as error:
                    raise AssertionError(
                        f"with {len(drivers)} drivers, {_AT_ONCE} at a time, one raises {error!r}"
                    ) from error

        await asyncio.gather(*(one(driver) for driver in drivers))

    @on_a_loop
    async def test_a_bad_neighbour_delays_nobody(self) -> None:
        async with self.bench() as bench:
            good = await bench.ready(await bench.unit(seed=1))
            bad = []
            for seed, fault in enumerate(_BAD_NEIGHBOURS, 2):
                if fault not in self.impossible:
                    unit = await bench.unit(seed=seed)
                    bad.append(await bench.ready(unit))
                    await unit.inject(fault)

            async def ask_for_ever(driver: AnyDriver) -> None:
                while True:
                    await outcome(driver.poll())
                    await asyncio.sleep(0)

            async with running(asyncio.gather(*map(ask_for_ever, bad))):
                # Two looks: a busy computer is late once, a driver that blocks is late each time.
                late = min(await self._latest(good), await self._latest(good))
            assert late <= self.lateness, (
                f"while a neighbour hangs or sends without end, others are {late:.2f} s late, {self.lateness:g} s are "
                "allowed: never block the event loop (asyncio.to_thread for libraries that do)"
            )

    async def _latest(self, driver: AnyDriver) -> float:
        """How late the loop, or the poll of a healthy device, was at worst."""
        worst = 0.0
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 1.2 * self.lateness
        while loop.time() < deadline:
            began = loop.time()
            await asyncio.sleep(_TICK)
            await outcome(driver.poll())
            worst = max(worst, loop.time() - began - _TICK)
        return worst
