"""Does the driver say how the device is, whatever it does? Each fault by its right name, soon, in little memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from bridge.driver import AnyDriver
from bridge.errors import AuthFailed, DeviceError
from bridge.model import Capability
from bridge.testing.checks import shape
from bridge.testing.checks.base import MEANS, Contract, first_event
from bridge.testing.harness import on_a_loop
from bridge.testing.measuring import peak_memory
from bridge.testing.simulator import Fault

# The device may do what it was asked, and its answer is lost.
_LOST = (Fault.BLACK_HOLE, Fault.DRIP, Fault.HALF_ANSWER)
_LONG = (Fault.HUGE, Fault.ENDLESS, Fault.ENTITY_BOMB)
# Once the device has taken the credentials, one more try is a nonce that may have been too old.
_TRIES_LATER = 2
_POLLS = 5


class HealthChecks(Contract):
    @on_a_loop
    async def test_a_healthy_device_is_read(self) -> None:
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.opened(unit)
            await self._works(driver)
            assert unit.seen["auth_failed"] == 0, "the right password was refused: what was sent?"

    @on_a_loop
    async def test_a_slow_device_is_waited_for(self) -> None:
        self.can_be(Fault.SLOW)
        async with self.bench() as bench:
            unit = await bench.unit()
            await unit.inject(Fault.SLOW, self.late)
            await self._works(await bench.opened(unit), f"when each answer takes {self.late:g} s")

    @on_a_loop
    async def test_a_clock_six_hours_off_does_not_matter(self) -> None:
        self.can_be(Fault.CLOCK_SKEW)
        async with self.bench() as bench:
            unit = await bench.unit()
            known = await bench.ready(unit)
            await known.poll()
            await unit.inject(Fault.CLOCK_SKEW, 6 * 3600.0)
            await self._works(await bench.opened(unit), "at first contact with a clock six hours ahead")
            await self._works(known, "after the clock went six hours ahead")

    @pytest.mark.parametrize("fault", list(MEANS), ids=str)
    @on_a_loop
    async def test_a_fault_is_called_by_its_name(self, fault: Fault) -> None:
        self.can_be(fault)
        async with self.bench() as bench:
            unit = await bench.unit()
            stranger = await bench.opened(unit)
            new, known, listening = [await bench.ready(unit) for _ in range(3)]
            await known.poll()
            if Capability.EVENTS in self.able:
                async with self.listen(listening):
                    pass  # what it holds on the device from now on, it must not forget while the fault lasts
            bench.may_leave_subscriptions(1 if fault in _LOST else 0)
            await unit.inject(fault)
            calls: dict[str, Awaitable[Any]] = {
                "probe() at first contact": stranger.probe(),
                "poll() after probe()": new.poll(),
                "poll() after poll()": known.poll(),
            }
            if Capability.EVENTS in self.able:
                calls["events()"] = first_event(listening)
            ended = await asyncio.gather(*(self.in_time(call, name, fault) for name, call in calls.items()))
            for name, result in zip(calls, ended, strict=True):
                self.is_called(MEANS[fault], result, f"{name} with Fault.{fault.name}")
            await unit.clear()
            for driver in (stranger, new, known, listening):
                await self._works(driver, f"after Fault.{fault.name} is over, with the same instance")

    @pytest.mark.parametrize("fault", _LONG, ids=str)
    @on_a_loop
    async def test_no_answer_fills_the_memory(self, fault: Fault) -> None:
        self.can_be(fault)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            await driver.poll()
            await unit.inject(fault)
            gc.collect()
            with peak_memory() as peak:
                await self.in_time(driver.poll(), "poll()", fault)
                await self.in_time(driver.probe(), "probe()", fault)
            assert peak.value <= self.memory_per_reply, (
                f"Fault.{fault.name} takes {peak.value >> 20} MB of memory, {self.memory_per_reply >> 20} MB are "
                "allowed: read at most as much as a reply may have (drivers.transports.http.exchange does)"
            )

    @on_a_loop
    async def test_a_redirect_is_not_followed(self) -> None:
        self.can_be(Fault.REDIRECT)
        async with self.bench() as bench:
            unit, foreign = await bench.unit(seed=1), await bench.unit(seed=2)
            known, stranger = await bench.ready(unit), await bench.opened(unit)
            target = f"http://{foreign.simulator.address}:{foreign.simulator.port}/"
            await unit.inject(Fault.REDIRECT, target)
            for name, call in (("probe()", stranger.probe), ("poll()", known.poll)):
                result = await self.in_time(call(), name, Fault.REDIRECT)
                asked = foreign.seen.total()
                assert asked == 0, (
                    f"{name} follows a redirect to another host, {asked} requests went there, perhaps with "
                    "credentials: allow_redirects=False"
                )
                self.is_called(MEANS[Fault.REDIRECT], result, f"{name} with Fault.REDIRECT")

    @on_a_loop
    async def test_a_wrong_password_is_tried_once(self) -> None:
        self.can_be(Fault.WRONG_PASSWORD)
        async with self.bench() as bench:
            unit = await bench.unit()
            stranger = await bench.opened(unit)
            new, known, listening = [await bench.ready(unit) for _ in range(3)]
            await known.poll()
            await unit.inject(Fault.WRONG_PASSWORD)
            calls: list[tuple[str, Callable[[], Awaitable[Any]], int]] = [
                ("probe() at first contact", stranger.probe, 1),
                ("probe() again", stranger.probe, 1),
                ("poll() after probe()", new.poll, _TRIES_LATER),
            ]
            if Capability.EVENTS in self.able:
                calls.append(("events()", partial(first_event, listening), _TRIES_LATER))
            for name, call, most in calls:
                before = unit.seen["auth_failed"]
                result = await self.in_time(call(), name, Fault.WRONG_PASSWORD)
                tries = unit.seen["auth_failed"] - before
                self.is_called((AuthFailed,), result, f"{name} with a wrong password")
                assert 1 <= tries <= most, (
                    f"{name} sends a wrong password {tries} times: once is enough, devices lock accounts"
                )
            # Polls that need no password may go on; once it is refused, the runner must be told, and stops.
            before = unit.seen["auth_failed"]
            for _ in range(_POLLS):
                result = await self.in_time(known.poll(), "poll() after poll()", Fault.WRONG_PASSWORD)
                if isinstance(result, Exception):
                    self.is_called((AuthFailed,), result, "poll() after poll() with a wrong password")
                    break
            tries = unit.seen["auth_failed"] - before
            assert tries <= 2 * _TRIES_LATER, (
                f"poll() sends a wrong password {tries} times in {_POLLS} polls: raise AuthFailed once it is refused"
            )
            await unit.clear()
            for driver in (stranger, new, known, listening):
                await self._works(driver, "after the password is right again, with the same instance")

    # -- what they are made of ----------------------------------------------------------------------------------

    async def _works(self, driver: AnyDriver, when: str = "on a healthy device") -> None:
        try:
            shape.identity(await driver.probe(), self.able)
            shape.reading(await driver.poll(), driver.device, self.able)
            if Capability.EVENTS in self.able:
                async with self.listen(driver):
                    pass
                await driver.close()  # the device has few places for those who listen
        except DeviceError as error:
            raise AssertionError(f"{when}, it raises {error!r}") from error
