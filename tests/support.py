"""Small things that many tests need."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], limit: float = 5.0, what: str = "") -> Any:
    """Wait until `condition()` is true, and return what it gave. Fails after `limit` seconds of real time."""
    deadline = asyncio.get_running_loop().time() + limit
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {limit:g} s: {what or inspect.getsource(condition).strip()}")
        await asyncio.sleep(0.005)
