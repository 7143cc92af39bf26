"""Can the driver be stopped at any time, and does it let go of everything?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

from bridge.driver import AnyDriver
from bridge.errors import DeviceError
from bridge.model import Capability, EventKind, Reading
from bridge.testing.checks.base import Contract, outcome
from bridge.testing.checks.cancelling import MOST_WAITS, cancelled_at
from bridge.testing.harness import SETTLE, SlowMemory, Unit, on_a_loop, running, until
from bridge.testing.simulator import Fault


class LifecycleChecks(Contract):
    @on_a_loop
    async def test_close_is_safe_without_open(self) -> None:
        async with self.bench() as bench:
            await bench.close(bench.driver(await bench.unit()))

    @on_a_loop
    async def test_close_is_safe_twice(self) -> None:
        async with self.bench() as bench:
            driver = await bench.ready(await bench.unit())
            await driver.poll()
            await bench.close(driver)
            await bench.close(driver)

    @on_a_loop
    async def test_close_during_a_poll(self) -> None:
        async with self.bench(keep_alive=False) as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            await unit.inject(Fault.BLACK_HOLE)
            before = unit.seen.total()
            async with running(outcome(driver.poll())) as poll:
                await until(lambda: unit.seen.total() > before, "poll() asks the device nothing", self.patience)
                await bench.close(driver)
                # It may end at once or at its own limit, with any result that a poll may have.
                await until(poll.done, "a poll during which close() was called does not end", self.patience)
                ended = poll.result()
            assert isinstance(ended, Reading | DeviceError), f"close() during poll() makes it end with {ended!r}"
            await bench.no_tasks("after close() during poll()")
            await bench.no_sockets("after close() during poll()")

    @on_a_loop
    async def test_close_while_it_listens(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench(keep_alive=False) as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            stream = aiter(driver.events())
            assert (await anext(stream)).kind is EventKind.RESYNC

            async def listen() -> None:
                async for _ in stream:
                    pass

            async with running(outcome(listen())) as listening:
                await bench.close(driver)
                await until(
                    listening.done,
                    "events() goes on after close(): it has to end then, or to raise a DeviceError",
                    self.patience,
                )
                ended = listening.result()
            assert ended is None or isinstance(ended, DeviceError), f"close() makes events() end with {ended!r}"
            assert await unit.subscriptions() == 0, "after close(), events() subscribed once more"
            await bench.no_tasks("after close() during events()")
            await bench.no_sockets("after close() during events()")

    # -- cancelled at every place where it waits ----------------------------------------------------------------

    @pytest.mark.parametrize("method", ["probe", "poll", "events"])
    @on_a_loop
    async def test_it_can_be_cancelled_wherever_it_waits(self, method: str) -> None:
        if method == "events":
            self.needs(Capability.EVENTS)
        async with self.bench(keep_alive=False) as bench:
            for waits in range(1, MOST_WAITS):
                # Each time another device: what was sent before the cancellation may arrive late.
                unit, memory = await bench.unit(), SlowMemory()
                driver = await bench.opened(unit, memory=memory)
                if method != "probe":
                    await driver.probe()
                calls: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
                    "probe": driver.probe,
                    "poll": driver.poll,
                    "events": partial(self._listen_to_one, driver, unit, memory.asked),
                }
                cancelled = await cancelled_at(waits, calls[method], f"{method}()", self.patience)
                await bench.close(driver)
                bench.forget(driver)
                when = f"after {method}() was cancelled at its await number {waits}, and close()"
                await bench.no_tasks(when)
                await bench.no_sockets(when)
                left = await unit.subscriptions()
                # The device may have made a subscription whose address was still on its way: nobody can let go of it.
                assert left == 0 or (left == 1 and not memory.asked.is_set()), (
                    f"{when}, {left} subscriptions are left on the device"
                )
                await bench.retire(unit)
                if not cancelled:
                    return
            raise AssertionError(f"{method}() waits more than {MOST_WAITS} times")

    async def _listen_to_one(self, driver: AnyDriver, unit: Unit, knows_subscription: asyncio.Event) -> None:
        """Subscribe, and take one event that happens after that."""
        async with aclosing(driver.events()) as events:  # type: ignore[type-var]
            async for event in events:
                if event.kind is EventKind.RESYNC:
                    knows_subscription.set()
                    unit.act_soon(*self.vendor_event("once"))
                elif event.kind is EventKind.VENDOR:
                    return

    # -- what is on the device ----------------------------------------------------------------------------------

    @on_a_loop
    async def test_it_lets_go_of_nobody_else_s_subscription(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            ours, other = await bench.ready(unit), await bench.ready(unit)
            async with self.listen(other) as neighbour, self.listen(ours) as listener:
                both = await unit.subscriptions()
                await listener.stop()
                await bench.close(ours)
                # The end of a websocket reaches the device a moment after it has left the driver.
                if both:
                    what = f"of {both} subscriptions of two clients, none has gone when one closes"
                    await until(lambda: unit.simulator.open_subscriptions() < both, what, SETTLE)
                alone = await unit.subscriptions()
                assert alone == both // 2, f"of {both} subscriptions of two clients, {alone} are left when one closes"
                await self.tell(unit, "after")
                await neighbour.until(lambda: neighbour.told() == ["after"], "another client hears nothing any more")
                assert neighbour.count(EventKind.RESYNC) == 1, "another client lost its subscription"

    @on_a_loop
    async def test_a_crash_leaves_no_subscription_for_long(self) -> None:
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit, memory = await bench.unit(), SlowMemory()
            crashed = await bench.ready(unit, memory=memory)
            async with self.listen(crashed):
                one = await unit.subscriptions()
            bench.forget(crashed)
            del crashed  # and with it the sockets that it has to itself
            async with self.listen(await bench.ready(unit, memory=memory)):
                count = unit.simulator.open_subscriptions
                await until(
                    lambda: count() == one,
                    lambda: (
                        f"after a crash and a new start there are {count()} subscriptions on the device instead of "
                        f"{one}: keep what names it in io.memory, and let go of the old one before a new one is made"
                    ),
                    SETTLE,
                )
