"""Does the password ever come out? It is looked for in everything that the driver returns, raises, logs and keeps."""

from __future__ import annotations

import asyncio
import base64
import traceback
from collections.abc import Iterator
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import quote

from bridge.driver import AnyDriver, ShortMemory
from bridge.model import Capability
from bridge.settings.vocabulary import SECTIONS
from bridge.testing.checks.base import Contract, outcome, text_of
from bridge.testing.harness import CANARY, Bench, Unit, on_a_loop
from bridge.testing.measuring import everything_said
from bridge.testing.simulator import Fault

# As much of it as no quoting, escaping or splitting at a colon changes.
_CORE = CANARY[:7]
_FAULTS = (Fault.WRONG_PASSWORD, Fault.HTML, Fault.JUNK, Fault.HALF_ANSWER, Fault.REDIRECT, Fault.CLOSED)


class SecretChecks(Contract):
    @on_a_loop
    async def test_no_secret_is_ever_told(self) -> None:
        async with self.bench() as bench:
            faults = [fault for fault in _FAULTS if fault not in self.impossible]
            units = [await bench.unit(seed) for seed in range(1, 1 + len(faults))]
            bench.may_leave_subscriptions(1)  # with HALF_ANSWER
            with everything_said() as said:
                # Each on a unit of its own: so they wait at the same time for what does not come.
                told = await asyncio.gather(*map(partial(self._told, bench), units, faults))
            needles = _forms(units[0].simulator.username)
            for where, result in (one for results in told for one in results.items()):
                for text in texts(result):
                    clean(text, needles, f"the result of {where}")
            for line in said:
                clean(line, needles, "the log")

    async def _told(self, bench: Bench, unit: Unit, fault: Fault) -> dict[str, Any]:
        """All that a driver says of a unit that is well, and then has a fault, by when it said so."""
        memory = ShortMemory()
        driver = await bench.ready(unit, memory=memory)
        results = await self._everything(driver, unit, "on a healthy device")
        await unit.inject(fault)
        stranger = await bench.opened(unit)
        results[f"probe() at first contact with Fault.{fault.name}"] = await outcome(stranger.probe())
        results |= await self._everything(driver, unit, f"with Fault.{fault.name}")
        await unit.clear()
        results["memory"] = dict(memory.values)
        results["repr(driver)"] = repr(driver)
        results["repr(driver.device)"] = repr(driver.device)
        return results

    async def _everything(self, driver: AnyDriver, unit: Unit, when: str) -> dict[str, Any]:
        results = {f"{name}() {when}": await outcome(getattr(driver, name)()) for name in ("probe", "poll")}
        if Capability.SETTINGS in self.driver.capabilities:
            channel = driver.device.channels[0]
            results[f"read_settings() {when}"] = await outcome(driver.read_settings(channel, SECTIONS))
        if Capability.EVENTS in self.able:
            events: list[Any] = []

            async def listen() -> None:
                async with asyncio.timeout(self.patience), aclosing(driver.events()) as stream:  # type: ignore[type-var]
                    async for event in stream:
                        events.append(event)
                        if len(events) == 1:
                            await self.tell(unit, "news")
                        elif text_of(event):
                            return

            results[f"events() {when}"] = await outcome(listen())
            results[f"what events() yields {when}"] = events
        return results


def forms(secret: str, core: str) -> list[str]:
    """A secret as it is, as it stands in URLs, and in base64. `core` is as much of it as nothing changes."""
    return [core, quote(core, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")[:16]]


def _forms(username: str) -> list[str]:
    """The password, also as it stands in HTTP Basic."""
    pair = base64.b64encode(f"{username}:{CANARY}".encode()).decode()
    return [*forms(CANARY, _CORE), pair[-16:]]


def texts(result: Any) -> Iterator[str]:
    if isinstance(result, BaseException):
        yield "".join(traceback.format_exception(result))
        error: BaseException | None = result
        while error is not None:
            yield f"{error!s} {error!r} {vars(error)!r}"
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    else:
        yield f"{result!s} {result!r}"


def clean(text: str, needles: list[str], where: str) -> None:
    for needle in needles:
        at = text.find(needle)
        if at >= 0:
            around = text[max(0, at - 60) : at + len(needle) + 20]
            raise AssertionError(f"the password is in {where}: ...{around!r}... (looked for: {needle!r})")
