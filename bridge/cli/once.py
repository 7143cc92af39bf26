"""One look at one device, outside the service: for `check --online` and `probe`."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from bridge import registry
from bridge.clock import SystemClock
from bridge.driver import DriverIO, ShortMemory
from bridge.errors import DeviceError, Fault, Unreachable
from bridge.model import Device, Identity, Reading

LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    identity: Identity
    reading: Reading


async def look(device: Device, session: aiohttp.ClientSession) -> Seen:
    """Probe and poll it once. Raises DeviceError."""
    io = DriverIO(device_id=device.id, http=session, clock=SystemClock(), random=random.Random(), memory=ShortMemory())
    try:
        driver = registry.load(device.driver)(device, device.config, io)
    except registry.BrokenDriver as error:
        raise Fault(str(error)) from error
    try:
        async with asyncio.timeout(LIMIT):
            await driver.open()
            return Seen(await driver.probe(), await driver.poll())
    except TimeoutError:
        raise Unreachable(f"no end of its answers within {LIMIT:g} s") from None
    finally:
        with suppress(DeviceError):
            await driver.close()
