"""The real ONVIF driver in front of a device, made by hand: what the tests of its quirks stand on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.clock import Clock, Instant, SystemClock
from bridge.driver import Callbacks, DriverIO, Memory, ShortMemory
from bridge.errors import DeviceError
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import Channel, Credentials, Device, DeviceEvent, EventKind, Kind, Policy
from bridge.pushes.labels import Labels
from bridge.runner import Runner, Surroundings
from bridge.secrets import Secret
from bridge.state import device as states
from bridge.store.store import Store
from bridge.supervisor import http_session
from bridge.testing.clock import FakeClock
from drivers.onvif.config import OnvifConfig
from drivers.onvif.driver import OnvifDriver
from drivers.onvif.simulator import OnvifSimulator
from tests.support import until

PASSWORD = "s3cret-pass"
LIMIT = 10.0  # seconds that any condition gets
MAKES = (0, 1, 4, 5)  # seeds, one for each of the four makes of simulated devices


MOMENT = 0.01  # seconds


class HastyClock(SystemClock):
    """Real time, but nobody sleeps by it for longer than a moment; keeps how long they wanted to."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.ahead = 0.0  # seconds that a test has let pass

    def now(self) -> Instant:
        wall, mono = super().now()
        return Instant(wall, mono + self.ahead)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(min(seconds, MOMENT))


def make(
    port: int,
    http: Any,
    *,
    password: str | None = PASSWORD,
    username: str = "admin",
    address: str = "127.0.0.1",
    channels: tuple[Channel, ...] = (Channel(),),
    policy: Policy | None = None,
    memory: Memory | None = None,
    clock: Clock | None = None,
    callbacks: Callbacks | None = None,
    **config: Any,
) -> OnvifDriver:
    """A driver for what listens on that port. Keywords that are none of these are the `onvif:` block's."""
    settings = OnvifConfig.model_validate({"port": port, "timeout": 5.0, **config})
    credentials = None if password is None else Credentials(username, Secret(password))
    device = Device(
        "cam",
        Kind.CAMERA if len(channels) == 1 else Kind.SERVER,
        "onvif",
        address,
        credentials=credentials,
        channels=channels,
        policy=policy or Policy(),
        config=settings,
    )
    io = DriverIO(
        device_id="cam",
        http=http,
        clock=clock or SystemClock(),
        random=random.Random(1),
        memory=memory or ShortMemory(),
        callbacks=callbacks,
    )
    return OnvifDriver(device, settings, io)


class Listener:
    """Listens as the runner does, only that what ended is begun anew at once. `async with` it."""

    def __init__(self, driver: OnvifDriver, *, again: bool = True) -> None:
        self.driver = driver
        self.events: list[DeviceEvent] = []
        self.errors: list[DeviceError] = []
        self._again = again

    async def __aenter__(self) -> Listener:
        self.task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self.driver.events()) as events:  # type: ignore[type-var]
                    async for event in events:
                        self.events.append(event)
            except DeviceError as error:
                self.errors.append(error)
            if not self._again:
                return
            await asyncio.sleep(0.05)

    async def until(self, condition: Callable[[], Any], limit: float = LIMIT) -> Any:
        """Wait for a condition about the events; what has arrived instead is in the failure."""
        deadline = asyncio.get_running_loop().time() + limit
        while not (found := condition()):
            if self.task.done() and (error := self.task.exception()):
                raise error
            assert asyncio.get_running_loop().time() < deadline, f"{self.events[-5:]}, errors: {self.errors[-3:]}"
            await asyncio.sleep(0.005)
        return found

    async def heard(self, count: int) -> list[DeviceEvent]:
        """The news, once there are that many."""
        await self.until(lambda: len(self.news) >= count)
        return self.news

    async def subscribed(self, times: int = 1) -> None:
        """Until that many subscriptions were made, and the last one has told how things are."""
        await self.until(lambda: self.resyncs >= times)
        last = max(i for i, one in enumerate(self.events) if one.kind is EventKind.RESYNC)
        await self.until(lambda: len(self.events) > last + 1)

    @property
    def resyncs(self) -> int:
        return sum(one.kind is EventKind.RESYNC for one in self.events)

    @property
    def news(self) -> list[DeviceEvent]:
        """What happened, without what a device only repeats."""
        return [one for one in self.events if not one.initial and one.kind is not EventKind.RESYNC]

    @property
    def motion(self) -> list[bool | None]:
        return [one.active for one in self.news if one.kind is EventKind.MOTION]


@dataclass
class Rig:
    simulator: OnvifSimulator
    http: Any
    options: dict[str, Any]
    drivers: list[OnvifDriver] = field(default_factory=list)

    @property
    def driver(self) -> OnvifDriver:
        return self.drivers[0]

    @property
    def refused(self) -> int:
        """How often the device refused credentials."""
        return self.simulator.seen["auth_failed"]

    @property
    def subscriptions(self) -> int:
        return self.simulator.open_subscriptions()

    async def another(self, **options: Any) -> OnvifDriver:
        """One more driver for the same device; keywords as for `make`."""
        driver = make(self.simulator.port, self.http, **{**self.options, **options})
        await driver.open()
        self.drivers.append(driver)
        return driver

    async def moves(self, *active: bool) -> None:
        for one in active:
            await self.simulator.act("motion", active=one)

    async def whole_life(self) -> Listener:
        """Probe, poll, listen, hear motion begin and end once each; then let go, and nothing is left."""
        identity = await self.driver.probe()
        assert identity.serial == self.simulator.state.serial
        reading = await self.driver.poll()
        profiles = [profile.token for profile in self.simulator.state.profiles.values()]
        assert [stream.name for stream in reading.streams[""]] == profiles[:2]
        assert all(stream.up and "//127.0.0.1:" in stream.uri for stream in reading.streams[""])
        async with Listener(self.driver) as listener:
            await listener.subscribed()
            await self.moves(True, False)
            await listener.until(lambda: len(listener.motion) >= 2)
            assert listener.motion == [True, False]
            assert {one.channel for one in listener.news} == {""}
            assert listener.resyncs == 1, "one subscription is enough"
        await self.driver.close()
        assert self.subscriptions == 0
        return listener


@asynccontextmanager
async def rig(config: dict[str, Any] | None = None, **traits: Any) -> AsyncIterator[Rig]:
    """A simulated device with these traits, and a driver for it made with `config` (see `make`)."""
    options: dict[str, Any] = {"password": traits.get("password", PASSWORD), **(config or {})}
    if "clock" in traits:
        options.setdefault("clock", traits["clock"])
    simulator = OnvifSimulator(**traits)
    await simulator.start()
    try:
        async with http_session() as http:
            one = Rig(simulator, http, options)
            await one.another()
            try:
                yield one
            finally:
                await asyncio.gather(*(driver.close() for driver in one.drivers))
    finally:
        await simulator.stop()


@dataclass
class Watch:
    """A driver under a runner, by a clock that the test moves."""

    runner: Runner
    journal: Journal
    clock: FakeClock
    store: Store

    async def until(self, condition: Callable[[], Any], *, within: float, step: float = 1.0) -> float:
        """Move time on until a condition holds; returns the seconds it took. Fails after `within` of them."""
        passed = 0.0
        while True:
            with suppress(AssertionError):
                await until(condition, limit=0.05)
                return passed
            assert passed < within, f"not within {within:g} s"
            await self.pass_(step)
            passed += step

    async def listening(self) -> None:
        """Until the first subscription has told how things are."""
        await until(lambda: len(self.runner.conditions), limit=LIMIT)

    async def pass_(self, seconds: float) -> None:
        """Let time pass, once whoever is busy with the device waits again."""
        await self.idle()
        await self.clock.advance(seconds)

    async def idle(self) -> None:
        await until(lambda: self.clock.sleeping and self.store.waiting == 0, limit=LIMIT)


@asynccontextmanager
async def watched(driver: OnvifDriver, folder: Path, clock: FakeClock) -> AsyncIterator[Watch]:
    store = await Store.open(folder, clock)
    journal = Journal(store, clock)
    around = Surroundings(store, journal, Labels("en"), Metrics(), clock, random.Random(1))
    runner = Runner(driver.device, driver, around, states.new(driver.device))
    runner.start()
    try:
        yield Watch(runner, journal, clock, store)
    finally:
        await runner.stop()
        await store.close()
