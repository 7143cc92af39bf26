"""The set of runners: one for each device of the inventory, started, replaced and stopped as it changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import structlog

from bridge import registry
from bridge.driver import AnyDriver, Callbacks, Driver, DriverIO, SyslogIntake, Traps
from bridge.model import Device, Kind
from bridge.runner import Runner, Surroundings
from bridge.state.reachability import Reach
from bridge.store import kept
from bridge.store.store import Store
from bridge.wiring import Wiring

# First polls a second when many devices start at once.
STARTS_A_SECOND = 100.0

log = structlog.get_logger("bridge")


@dataclass(frozen=True, slots=True)
class Applied:
    """What a new inventory changed."""

    added: int
    removed: int
    restarted: int
    kept: int


class _Memory:
    """`bridge.driver.Memory` on the store."""

    __slots__ = ("_device", "_store", "_values")

    def __init__(self, store: Store, device: str, values: dict[str, str]) -> None:
        self._store = store
        self._device = device
        self._values = values

    def get(self, key: str) -> str | None:
        return self._values.get(key)

    async def put(self, key: str, value: str | None) -> None:
        if self._values.get(key) == value:
            return
        await self._store.remember(self._device, key, value)
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value


class Supervisor:
    def __init__(
        self,
        around: Surroundings,
        http: aiohttp.ClientSession,
        callbacks: Callbacks | None,
        traps: Traps | None = None,
        syslog: SyslogIntake | None = None,
    ) -> None:
        self._around = around
        self._http = http
        self._callbacks = callbacks
        self._traps = traps
        self._syslog = syslog
        self.runners: dict[str, Runner] = {}
        self._wiring = around.wiring = Wiring(lambda: self.runners, around.store, around.journal, around.clock)

    async def apply(self, devices: Sequence[Device]) -> Applied:
        """Make the runners those of this inventory. Devices whose effective configuration is the same go on
        undisturbed; the others are stopped, and started anew from what the store knows of them."""
        wanted = {device.id: device for device in devices}
        gone = [name for name in self.runners if name not in wanted]
        changed = [
            device.id
            for device in devices
            if (runner := self.runners.get(device.id)) and runner.device.fingerprint != device.fingerprint
        ]
        new = [device.id for device in devices if device.id not in self.runners]
        unchanged = len(self.runners) - len(gone) - len(changed)
        await self._stop([self.runners.pop(name) for name in gone], for_good=True)
        await self._stop([self.runners.pop(name) for name in changed])
        # Read behind the last commit of the runners that have just been stopped.
        states, memories = await self._around.store.knowledge()
        self._wiring.rewire(devices, states)
        spread = len(new) / STARTS_A_SECOND
        for name in [*changed, *new]:
            device = wanted[name]
            try:
                self.runners[name] = self._make(device, states.get(name, {}), memories.get(name, {}))
            except Exception as error:
                log.error("a driver cannot be made", device=name, driver=device.driver, exc_info=error)
                continue
            self.runners[name].start(min(spread, device.policy.poll) if name not in changed else 0.0)
        return Applied(len(new), len(gone), len(changed), unchanged)

    async def stop(self) -> None:
        await self._wiring.close()
        runners, self.runners = list(self.runners.values()), {}
        await self._stop(runners)

    def count(self) -> None:
        """Bring the gauges of devices and servers up to date."""
        gauge = self._around.metrics.devices
        counts = Counter((one.device.driver, one.state.reach.reach) for one in self.runners.values())
        for driver in {driver for driver, _ in counts}:
            for reach in Reach:
                gauge.labels(driver, reach).set(counts[driver, reach])
        told = self._around.metrics.server_facts
        told.clear()  # what a server that is gone said, and servers that were removed
        for runner in self.runners.values():
            if runner.device.kind is Kind.SERVER and runner.state.reach.reach is not Reach.OFFLINE:
                for fact, value in runner.state.facts.items():
                    if isinstance(value, int | float):
                        told.labels(runner.device.id, fact).set(value)

    def _make(self, device: Device, known: dict[str, dict[str, object]], memory: dict[str, str]) -> Runner:
        io = DriverIO(
            device_id=device.id,
            http=self._http,
            clock=self._around.clock,
            random=self._around.random,
            memory=_Memory(self._around.store, device.id, memory),
            callbacks=self._callbacks,
            traps=self._traps,
            syslog=self._syslog,
        )
        # A panel that is not set up yet has no address, and no driver to talk to it.
        family: type[AnyDriver] = registry.load(device.driver) if device.address else Driver
        driver = family(device, device.config, io)
        return Runner(device, driver, self._around, kept.restore(device, known))

    async def _stop(self, runners: Sequence[Runner], *, for_good: bool = False) -> None:
        await asyncio.gather(*(runner.stop(for_good=for_good) for runner in runners))


def http_session() -> aiohttp.ClientSession:
    """The one session through which every driver speaks HTTP.

    No cookies, no compression, no proxies from the environment. Connections are kept for a few seconds only:
    cameras close idle ones without a word, and the next request would run into that.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=8.0, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"User-Agent": "device-bridge", "Accept-Encoding": "identity"},
        max_line_size=8190,
        max_field_size=16380,
    )
