"""One channel of a device, lent to whoever applies a template to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from bridge.clock import Clock
from bridge.driver import AnyDriver
from bridge.errors import Unsupported
from bridge.model import Channel
from bridge.runner import Runner
from bridge.settings import secrets
from bridge.settings.vocabulary import Flat
from bridge.state.device import DeviceState


class LentCamera:
    """`bridge.settings.apply.Camera` on whichever runner the device has at the moment. `memory` gives what is
    remembered of a device, `remember` keeps another value of it."""

    def __init__(
        self,
        runner: Runner,
        channel: Channel,
        runners: Callable[[], Mapping[str, Runner]],
        memory: Callable[[str], Mapping[str, str]],
        remember: Callable[[str, str, str], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self.device = runner.device
        self.channel = channel
        self.clock = clock
        self._runner = runner
        self._runners = runners
        self._memory = memory
        self._remember = remember

    @property
    def state(self) -> DeviceState:
        return self._now().state

    def _now(self) -> Runner:
        return self._runners().get(self.device.id, self._runner)

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[AnyDriver]:
        if self.device.id not in self._runners():
            raise Unsupported("it is no longer in the inventory")
        async with self._now().mailbox.exclusive() as driver:
            yield driver

    def known_secrets(self, wanted: Flat) -> Collection[str]:
        return secrets.known(wanted, self._memory(self.device.id))

    async def remember_secrets(self, written: Flat) -> None:
        for key, value in secrets.remembered(written).items():
            await self._remember(self.device.id, key, value)
