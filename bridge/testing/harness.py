"""What the contract kit stands on: a stage for simulators, and a bench on which drivers are tried.

Simulators live on an event loop in a thread of their own. On the test's loop there is then nothing but the driver, and
every task, socket and millisecond that is found there is the driver's.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from aiohttp import web

from bridge.clock import Clock, Instant, SystemClock, Wake
from bridge.driver import AnyDriver, DriverIO, Memory, ShortMemory
from bridge.metrics import Metrics
from bridge.model import Channel, Credentials, Device, Kind, Policy
from bridge.secrets import Secret
from bridge.supervisor import http_session
from bridge.syslog.listener import SyslogListener
from bridge.testing.measuring import open_sockets
from bridge.testing.simulator import Fault, Simulator
from bridge.traps.listener import TrapListener
from bridge.web.callbacks import CallbackListener

# A password that no text contains by accident, with what breaks naive escaping in URLs, XML, JSON and headers.
CANARY = "kan@rie:7/%20&<\"'>#4711"
CHECK_LIMIT = 90.0  # seconds that one check may take, whatever hangs
SETTLE = 2.0  # seconds in which what was let go of has to be gone

P = ParamSpec("P")
T = TypeVar("T")


def on_a_loop(check: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of an asynchronous check: on an event loop of its own, within a limit, leaving no thread.

    The test is a plain function, so pytest-asyncio may be set to auto or strict, or be missing.
    """

    async def limited(check: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(CHECK_LIMIT) as limit:
                await check
        except TimeoutError:
            if limit.expired():
                raise AssertionError(
                    f"the check did not end within {CHECK_LIMIT:g} s: something waits for ever"
                ) from None
            raise

    @functools.wraps(check)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        before = set(threading.enumerate())
        # With a factory, the Runner leaves the thread's own event loop alone.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(limited(check(*args, **kwargs)))
        left = [one.name for one in threading.enumerate() if one not in before]
        assert not left, f"threads go on after close(): {', '.join(left)}. Stop them there, or use asyncio.to_thread."

    return test


async def until(condition: Callable[[], Any], what: str | Callable[[], str], limit: float) -> None:
    """Wait until a condition holds; AssertionError with `what` after `limit` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(what if isinstance(what, str) else what())
        await asyncio.sleep(0.005)


class HurriedClock(SystemClock):
    """Wall time is real, and those who sleep by it sleep a fraction: pauses cost a test little and stay pauses."""

    def __init__(self, speed: float = 20.0) -> None:
        self._speed = speed
        self._began = super().now().mono

    def now(self) -> Instant:
        wall, mono = super().now()
        return Instant(wall, self._began + (mono - self._began) * self._speed)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self._speed)

    async def wait(self, wake: Wake, seconds: float) -> bool:
        return await super().wait(wake, seconds / self._speed)


class SlowMemory(ShortMemory):
    """A memory that takes a moment to write, as the one on disk does: a place to be cancelled at."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()  # there was something to remember, be it written or not

    async def put(self, key: str, value: str | None) -> None:
        if value is not None:
            self.asked.set()
        await asyncio.sleep(0)
        await super().put(key, value)


class Stage:
    """A thread with an event loop, on which simulators live. From `start` to `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulators", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there, wait for it here."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def post(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run it there, and do not wait."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    async def close(self) -> None:
        await self.run(_cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, SETTLE)
        self._loop.close()


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


class Unit:
    """One simulated device on the stage, spoken to from the test's loop."""

    def __init__(self, simulator: Simulator, stage: Stage) -> None:
        self.simulator = simulator
        self.stage = stage
        self.sockets = 0

    async def start(self) -> None:
        await self.stage.run(self.simulator.start())

    async def stop(self) -> None:
        await self.stage.run(self.simulator.stop())

    async def inject(self, fault: Fault, value: Any = True) -> None:
        await self.stage.run(self.simulator.inject(fault, value))

    async def clear(self) -> None:
        await self.stage.run(self.simulator.clear())

    async def reboot(self, seconds: float = 0.0) -> None:
        await self.stage.run(self.simulator.reboot(seconds))

    async def act(self, action: str, **details: Any) -> None:
        await self.stage.run(self.simulator.act(action, **details))

    def act_soon(self, action: str, details: Mapping[str, Any]) -> None:
        """Let something happen in a moment."""
        self.stage.post(self.simulator.act(action, **details))

    async def act_all(self, actions: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Let many things happen without a pause between them."""

        async def all_of_them() -> None:
            for action, details in actions:
                await self.simulator.act(action, **details)

        await self.stage.run(all_of_them())

    async def subscriptions(self) -> int:
        async def count() -> int:
            return self.simulator.open_subscriptions()

        return await self.stage.run(count())

    @property
    def seen(self) -> Counter[str]:
        return Counter(self.simulator.seen)


def device_of(entry: Mapping[str, Any], driver: type[AnyDriver], own: Mapping[str, Any]) -> Device:
    """The `Device` that an inventory entry stands for; `own` is laid over the driver's own block."""
    login = entry.get("credentials")
    listed = [
        # What the inventory does for channels without a key.
        Channel(str(one.get("key") or one.get("source") or number), one.get("source"), tuple(one.get("streams", ())))
        for number, one in enumerate(entry.get("channels", ()), 1)
    ]
    kinds = sorted(driver.kinds)
    kind = Kind(entry.get("kind", kinds[0] if len(kinds) == 1 else Kind.CAMERA))
    if not listed and kind not in (Kind.SERVER, Kind.SWITCH):
        listed = [Channel(streams=tuple(entry.get("streams", ())))]
    return Device(
        id="device-1",
        kind=kind,
        driver=driver.name,
        address=entry["address"],
        name="Device 1",
        credentials=login and Credentials(login["username"], Secret(login["password"])),
        channels=tuple(listed),
        config=driver.Config.model_validate({**entry.get(driver.name, {}), **own}),
        policy=Policy(auth_retry=0.0),  # the checks ask again when the runner would, and do not wait so long
        second_hand=driver.second_hand,
    )


class Bench:
    """Drivers and the simulated devices that they are tried on.

    When it is left, every driver is closed, and then nothing of them may be there any more: no task, no socket, no
    subscription on a device, no complaint of the event loop. What is left is an AssertionError.
    """

    def __init__(
        self,
        driver: type[AnyDriver],
        simulator: type[Simulator],
        options: Mapping[str, Any],
        config: Mapping[str, Any],
        patience: float,
        *,
        keep_alive: bool = True,
        traps: bool = False,
    ) -> None:
        self._driver = driver
        self._simulator = simulator
        self._options = options
        self._config = config
        self._patience = patience
        self._keep_alive = keep_alive
        self._traps = TrapListener(Metrics(), SystemClock()) if traps else None
        self._syslog = SyslogListener(Metrics(), SystemClock())
        self._stage = Stage()
        self._units: list[Unit] = []
        self._drivers: list[AnyDriver] = []
        self._complaints: list[str] = []
        self._orphans = 0

    async def __aenter__(self) -> Bench:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._complain)
        gc.freeze()  # what was there before is not looked at when garbage is collected in the end, which takes long
        if self._traps is not None:
            await self._traps.open("127.0.0.1", 0)
        await self._syslog.open("127.0.0.1", 0, {}, "127.0.0.1")
        self._sockets = open_sockets()
        await self._listen_for_devices()
        self._tasks_before = asyncio.all_tasks()
        self.session = http_session()
        if not self._keep_alive:
            # No connection waits for the next request: every socket that is still open was forgotten.
            self.session.headers["Connection"] = "close"
        self._stage.start()
        return self

    async def _listen_for_devices(self) -> None:
        """Where drivers whose devices call the bridge have themselves called."""
        self._callbacks = CallbackListener("", Metrics(), SystemClock())
        self._web = web.AppRunner(self._callbacks.application(), access_log=None, shutdown_timeout=0.1)
        await self._web.setup()
        await web.TCPSite(self._web, "127.0.0.1", 0).start()
        host, port = self._web.addresses[0][:2]
        self._callbacks.base_url = f"http://{host}:{port}"

    async def unit(self, seed: int = 1) -> Unit:
        """A simulated device that is up."""
        simulator = self._simulator(f"Unit {seed}", password=CANARY, seed=seed, **self._options)
        if self._traps is not None:
            simulator.notify = ("127.0.0.1", self._traps.port)
        unit = Unit(simulator, self._stage)
        before = open_sockets()
        await unit.start()
        # One that speaks UDP has a socket that looks like a client's.
        unit.sockets = open_sockets() - before
        self._sockets += unit.sockets
        self._units.append(unit)
        return unit

    async def retire(self, unit: Unit) -> None:
        """Take a unit away, with everything that is on it or still on its way to it."""
        self._units.remove(unit)
        await unit.stop()
        self._sockets -= unit.sockets

    def device(self, unit: Unit) -> Device:
        return device_of(unit.simulator.inventory(), self._driver, self._config)

    def driver(self, unit: Unit, *, memory: Memory | None = None, clock: Clock | None = None) -> AnyDriver:
        """A driver for a unit, made and not yet opened. It is closed when the bench is left."""
        device = self.device(unit)
        io = DriverIO(
            device_id=device.id,
            http=self.session,
            clock=clock or SystemClock(),
            random=random.Random(1),
            memory=memory or SlowMemory(),
            callbacks=self._callbacks,
            traps=self._traps,
            syslog=self._syslog,
        )
        made = self._driver(device, device.config, io)
        self._drivers.append(made)
        return made

    async def opened(self, unit: Unit, *, memory: Memory | None = None, clock: Clock | None = None) -> AnyDriver:
        made = self.driver(unit, memory=memory, clock=clock)
        await made.open()
        return made

    async def ready(self, unit: Unit, *, memory: Memory | None = None, clock: Clock | None = None) -> AnyDriver:
        """A driver that knows its device, as the runner has it when it begins to poll and to listen."""
        made = await self.opened(unit, memory=memory, clock=clock)
        await made.probe()
        return made

    def may_leave_subscriptions(self, count: int) -> None:
        """So many may be left on a device: it made them, and its answer that says where they are was lost."""
        self._orphans = count

    def forget(self, driver: AnyDriver) -> None:
        """Do not close this one: its process died."""
        self._drivers.remove(driver)

    async def close(self, driver: AnyDriver) -> None:
        """Close it, within the limit that the runner has for it."""
        try:
            async with asyncio.timeout(self._patience):
                await driver.close()
        except TimeoutError:
            raise AssertionError(
                f"close() takes more than {self._patience:g} s. Give what it says to the device a limit of its own."
            ) from None

    async def no_tasks(self, when: str) -> None:
        """Nothing of the driver runs any more."""
        mine = asyncio.current_task()

        def left() -> list[asyncio.Task[Any]]:
            return [one for one in asyncio.all_tasks() - self._tasks_before if one is not mine]

        def what() -> str:
            names = ", ".join(repr(one.get_coro()) for one in left())
            return f"{when}, tasks go on: {names}. A driver creates no task; what it awaits ends with its caller."

        await until(lambda: not left(), what, SETTLE)

    async def no_sockets(self, when: str) -> None:
        """No connection is open any more. Before the session is closed, only with `keep_alive=False`."""

        def what() -> str:
            # Simulators are in this process: each connection has two ends here.
            count = open_sockets() - self._sockets
            return f"{when}, sockets stay open ({count}). Use `async with` for responses, and close what you open."

        await until(lambda: open_sockets() <= self._sockets, what, SETTLE)

    def expect_these_sockets(self) -> None:
        """From now on `no_sockets` takes those that are open for granted."""
        self._sockets = open_sockets()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for unit in self._units:
                await unit.clear()
            for driver in self._drivers:
                await self.close(driver)
            if error is None:
                await self._nothing_left()
        except Exception:
            if error is None:  # what went wrong before is what counts
                raise
        finally:
            await self._clean_up()

    async def _nothing_left(self) -> None:
        await self.no_tasks("after close()")
        for unit in self._units:
            count = await unit.subscriptions()
            assert count <= self._orphans, (
                f"{count} subscriptions are left on the device after close(). A device has few slots: let go of what "
                "the driver holds in close(), also when events() was cancelled."
            )
        gc.collect()
        assert not self._complaints, f"the event loop complains: {'; '.join(self._complaints)}"
        await self.session.close()
        await self.no_sockets("after close()")

    async def _clean_up(self) -> None:
        for unit in self._units:
            with suppress(Exception):
                await unit.stop()
        await self.session.close()
        await self._stage.close()
        await self._web.cleanup()
        if self._traps is not None:
            await self._traps.close()
        await self._syslog.close()
        gc.unfreeze()

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._complaints.append(f"{context['message']}{f' ({error!r})' if error else ''}")


@asynccontextmanager
async def running(work: Awaitable[T]) -> AsyncIterator[asyncio.Task[T]]:
    """A task beside the test, cancelled at the end of the block."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
