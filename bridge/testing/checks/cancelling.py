"""Cancel a call where it waits for the n-th time, as the runner may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

# More waits than any call has.
MOST_WAITS = 400


async def cancelled_at(waits: int, call: Callable[[], Coroutine[Any, Any, Any]], name: str, patience: float) -> bool:
    """Cancel a call at its n-th wait; False when it ended before. AssertionError when it does not end as cancelled
    within `patience` seconds."""
    attempt = _CancelledAt(call(), waits)

    async def run() -> Any:
        return await attempt

    task = asyncio.create_task(run())
    done, _ = await asyncio.wait([task], timeout=patience)
    assert done, f"{name}, cancelled at its await number {waits}, goes on: CancelledError was swallowed"
    if not attempt.reached:
        task.result()
        return False
    assert task.cancelled(), (
        f"{name}, cancelled at its await number {waits}, ends with "
        f"{task.exception() or task.result()!r}: let CancelledError pass"
    )
    return True


class _CancelledAt:
    """Awaits a coroutine, and cancels the task around it where it waits for the n-th time."""

    def __init__(self, work: Coroutine[Any, Any, Any], waits: int) -> None:
        self.reached = False
        self._work = work
        self._left = waits

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._work.__await__()
        go_on: Callable[[], Any] = partial(next, inner)
        while True:
            try:
                waits_for = go_on()
            except StopIteration as end:
                return end.value
            self._left -= 1
            if self._left == 0:
                self.reached = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield waits_for
            except BaseException as error:
                go_on = partial(inner.throw, error)
            else:
                go_on = partial(next, inner)
