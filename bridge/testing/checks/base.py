"""What a driver's test class says about the driver, and what all checks are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar

import pytest

from bridge.driver import AnyDriver
from bridge.errors import DeviceError, ProtocolError, Unreachable, Unsupported
from bridge.model import Capability, DeviceEvent, EventKind
from bridge.testing.checks import shape
from bridge.testing.harness import Bench, Unit, until
from bridge.testing.simulator import Fault, Simulator

# Seconds until a listener starts events() again; the runner takes longer.
_AGAIN = 0.05
_NUMBER = "kit-"
_BAD_ANSWER = (ProtocolError, Unreachable)
# What each fault is to the runner. The ones that are missing here have a check of their own.
MEANS: dict[Fault, tuple[type[DeviceError], ...]] = {
    Fault.CLOSED: (Unreachable,),
    Fault.BLACK_HOLE: (Unreachable,),
    Fault.DRIP: (Unreachable,),
    Fault.HALF_ANSWER: _BAD_ANSWER,
    Fault.EMPTY: _BAD_ANSWER,
    Fault.JUNK: _BAD_ANSWER,
    Fault.HTML: _BAD_ANSWER,
    Fault.HUGE: _BAD_ANSWER,
    Fault.ENDLESS: _BAD_ANSWER,
    Fault.ENTITY_BOMB: _BAD_ANSWER,
    Fault.REDIRECT: _BAD_ANSWER,
}


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the simulator can do, and the one event that has to come of it.

    `act` and `details` go to `Simulator.act`. `channel` counts the device's channels from 0; None: it concerns the
    whole device. `timed`: the device says when it was.
    """

    act: str
    kind: EventKind
    active: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    channel: int | None = 0
    timed: bool = True


class Contract:
    """What the kit has to know. The first four have no default."""

    driver: ClassVar[type[AnyDriver]]
    simulator: ClassVar[type[Simulator]]
    # Blocks of the inventory, as YAML gives them: each is laid over the one that `simulator.inventory()` says.
    valid_configs: ClassVar[Sequence[Mapping[str, Any]]]
    invalid_configs: ClassVar[Sequence[Mapping[str, Any]]]

    # Laid over the block in every check; the place for short timeouts.
    config: ClassVar[Mapping[str, Any]] = {}
    # Keywords for the simulator.
    simulator_options: ClassVar[Mapping[str, Any]] = {}
    # With Capability.EVENTS: what can be seen of this family. In this order, they are made to happen.
    happenings: ClassVar[Sequence[Happening]] = ()
    # How many events its devices may send in a few seconds, without one that is lost.
    flood: ClassVar[int] = 5000
    # With Capability.SETTINGS: what to set on the device's first channel, as `config_templates` have it, small and each
    # unlike what the simulated device has in the beginning. Secrets are texts of eight characters or more, that nothing
    # else in the test has in it.
    settings_samples: ClassVar[Sequence[Mapping[str, Any]]] = ()
    # And what the device refuses when it is written, whatever limits it gives.
    settings_refused: ClassVar[Sequence[Mapping[str, Any]]] = ()
    # What the family can do, and this simulated device cannot.
    lacks: ClassVar[frozenset[Capability]] = frozenset()
    # Whether its devices report by SNMP traps: nobody subscribes, so that there is no subscription to lose.
    traps: ClassVar[bool] = False
    # Faults that the protocol cannot have, such as a redirect over UDP.
    impossible: ClassVar[frozenset[Fault]] = frozenset()

    # Budgets. Seconds that a call may take on a device that does not answer:
    patience: ClassVar[float] = 10.0
    # seconds that an answer of `Fault.SLOW` is late, which the driver has to wait for;
    late: ClassVar[float] = 0.1
    # bytes that one reply may take, however long it is, and that one driver may;
    memory_per_reply: ClassVar[int] = 16 << 20
    memory_per_driver: ClassVar[int] = 64 << 10
    # seconds of CPU for a poll; how many drivers that is measured with; seconds that a neighbour's fault may cost.
    cpu_per_poll: ClassVar[float] = 0.005
    drivers: ClassVar[int] = 100
    lateness: ClassVar[float] = 0.5

    def vendor_event(self, text: str) -> tuple[str, Mapping[str, Any]]:
        """What makes the simulator send an event that no driver knows, with that text among its data."""
        return "vendor_event", {"topic": "kit/unheard-of", "data": {"text": text}}

    def lose_subscriptions(self) -> tuple[str, Mapping[str, Any]]:
        """What makes the simulator forget every subscription, and tell nobody."""
        return "drop_subscriptions", {}

    def scope(self, unit: Unit) -> Any:
        """With Capability.DISCOVER: `async with self.scope(unit) as scope`, a `Scope` in which the unit is found."""
        raise AssertionError(
            f"{self.driver.__name__} declares Capability.DISCOVER: override scope() in {type(self).__name__}, so that "
            "the kit knows where its simulated device can be found"
        )

    # -- what the checks are made of ----------------------------------------------------------------------------

    def bench(self, *, keep_alive: bool = True, **config: Any) -> Bench:
        """A place to try the driver at; `config` is laid over the block."""
        own = {**self.config, **config}
        return Bench(
            self.driver,
            self.simulator,
            self.simulator_options,
            own,
            self.patience,
            keep_alive=keep_alive,
            traps=self.traps,
        )

    @property
    def able(self) -> frozenset[Capability]:
        """What the simulated device of this class can do."""
        return self.driver.capabilities - self.lacks

    def needs(self, capability: Capability) -> None:
        if capability not in self.able:
            pytest.skip(f"{self.driver.name} does not declare {capability} for this device, and has nothing of it")

    def can_be(self, fault: Fault) -> None:
        if fault in self.impossible:
            pytest.skip(f"the protocol of {self.driver.name} has no {fault}")

    async def in_time(self, call: Awaitable[Any], name: str, fault: Fault) -> Any:
        """The outcome of a call while a fault is on; AssertionError when it takes longer than patience allows."""
        try:
            async with asyncio.timeout(self.patience) as limit:
                return await outcome(call)
        except TimeoutError:
            assert limit.expired()
            raise AssertionError(
                f"{name} with Fault.{fault.name} does not end within {self.patience:g} s: give the whole of each "
                "request a deadline (patience is what the test class allows)"
            ) from None

    def is_called(self, means: tuple[type[DeviceError], ...], result: Any, what: str) -> None:
        """The outcome of a call is one of these errors."""
        names = " or ".join(one.__name__ for one in means)
        assert isinstance(result, Exception), f"{what} returns {result!r}, and has to raise {names}"
        if not isinstance(result, means):
            raise AssertionError(f"{what} raises {result!r}, and has to raise {names}") from result
        assert isinstance(result, DeviceError)
        assert result.detail, f"{what} raises {type(result).__name__} without a word about what happened"

    def listen(self, driver: AnyDriver) -> Listener:
        return Listener(driver, self.patience)

    async def tell(self, unit: Unit, *texts: str) -> None:
        """Let the unit send events that no driver knows, without a pause between them."""
        await unit.act_all([self.vendor_event(f"{_NUMBER}{text}") for text in texts])


class Listener:
    """Listens as the runner does: when events() ends or raises, it is started again. `async with` it."""

    def __init__(self, driver: AnyDriver, patience: float) -> None:
        self.events: list[DeviceEvent] = []
        self.errors: list[DeviceError] = []
        self._driver = driver
        self._patience = patience

    async def __aenter__(self) -> Listener:
        self.task = asyncio.create_task(self._listen())
        await self.resync(1)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Cancel events() where it waits."""
        self.task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self.task

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._driver.events()) as events:  # type: ignore[type-var]
                    async for event in events:
                        shape.event(event, self._driver.device)
                        self.events.append(event)
            except Unsupported as error:
                raise AssertionError(
                    f"Capability.EVENTS is declared, and events() raises Unsupported on the simulated device: {error}"
                ) from error
            except DeviceError as error:
                self.errors.append(error)
            await asyncio.sleep(_AGAIN)

    async def until(self, condition: Any, what: str) -> None:
        """Wait until a condition about the events holds."""

        def holds_or_over() -> bool:
            return bool(condition()) or self.task.done()

        def all_of_it() -> str:
            errors = f"; events() raised: {', '.join(map(repr, self.errors[-3:]))}" if self.errors else ""
            return f"{what}. Of {len(self.events)} events the last are {self.events[-3:]}{errors}"

        await until(holds_or_over, all_of_it, self._patience)
        if self.task.done() and not condition():
            error = self.task.exception()
            if isinstance(error, AssertionError):
                raise error
            raise AssertionError(
                f"events() raised {error!r}. Only DeviceErrors may leave a driver; the rest counts as its bug."
            ) from error

    async def resync(self, count: int) -> None:
        await self.until(
            lambda: self.count(EventKind.RESYNC) >= count,
            f"events() did not yield EventKind.RESYNC for subscription {count} within {self._patience:g} s: it is the "
            "first thing that a new subscription yields",
        )

    def count(self, kind: EventKind) -> int:
        return sum(event.kind is kind for event in self.events)

    def news(self) -> list[DeviceEvent]:
        """What happened, without what the device only repeats and without RESYNC."""
        return [event for event in self.events if not event.initial and event.kind is not EventKind.RESYNC]

    def told(self) -> list[str]:
        """The texts of `Contract.tell` that arrived, in order."""
        return [text for event in self.events if (text := text_of(event)) is not None]


def text_of(event: DeviceEvent) -> str | None:
    """The text of an event that `Contract.tell` caused."""
    return next((value.removeprefix(_NUMBER) for value in event.data.values() if value.startswith(_NUMBER)), None)


async def first_event(driver: AnyDriver) -> DeviceEvent:
    """Open a stream of events, take one, close it."""
    async with aclosing(driver.events()) as events:  # type: ignore[type-var]
        async for event in events:
            return event
    raise AssertionError("events() ended without yielding anything: wait for something to report, or raise")


async def outcome(call: Awaitable[Any]) -> Any:
    """What a call returns, or the exception that it raises."""
    try:
        return await call
    except Exception as error:
        return error
