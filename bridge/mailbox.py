"""A device's mailbox: whoever wants something of it waits for its turn here. Polls and events go on beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bridge.driver import AnyDriver
from bridge.errors import DeviceError, Fault, Throttled, Unreachable
from bridge.model import Command, Result

COMMAND_LIMIT = 60.0  # seconds that a command may take, whatever the driver thinks
WAITING = 16  # for one device; whoever asks for more is refused
COME_BACK = 2.0  # seconds


class Mailbox:
    """`opened` says whether the driver is; `bug` hears of what a driver must not raise."""

    __slots__ = ("_bug", "_driver", "_opened", "_turn", "_waiting")

    def __init__(self, driver: AnyDriver, opened: Callable[[], bool], bug: Callable[[BaseException], None]) -> None:
        self._driver = driver
        self._opened = opened
        self._bug = bug
        self._turn = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[AnyDriver]:
        """The driver, for a command or a template: one at a time, in the order of asking.

        Raises Unreachable before it was first asked how it is, Throttled where too many wait already, and Fault in
        the place of what a driver must not raise; DeviceErrors come through.
        """
        if self._waiting >= WAITING:
            raise Throttled("too many commands wait for it already", seconds=COME_BACK)
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            async with self.shared() as driver:
                yield driver
        finally:
            self._turn.release()

    @asynccontextmanager
    async def shared(self, passed_on: tuple[type[Exception], ...] = ()) -> AsyncIterator[AnyDriver]:
        """The driver, for what takes long and disturbs nobody, as a download: others use it meanwhile.

        Raises Unreachable and Fault as `exclusive` does; DeviceErrors come through, and what is `passed_on`.
        """
        if not self._opened():
            raise Unreachable("the bridge has only just started and has not asked it yet")
        try:
            yield self._driver
        except DeviceError:
            raise
        except Exception as error:
            if isinstance(error, passed_on):
                raise
            self._bug(error)
            raise Fault(f"the driver failed: {type(error).__name__}") from error

    async def command(self, command: Command) -> Result:
        """Have the device do something, once: whatever goes wrong, it is not tried again. Raises DeviceError."""
        async with self.exclusive() as driver:
            try:
                async with asyncio.timeout(COMMAND_LIMIT):
                    return await driver.command(command)
            except TimeoutError:
                raise Unreachable(
                    f"no end of its answer within {COMMAND_LIMIT:g} s: whether it was done is not known"
                ) from None
