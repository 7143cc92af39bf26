"""The event loop of the service: names are looked up in threads of their own.

asyncio looks them up in the few threads that it has for everything, and a name server that does not answer holds each
for half a minute: nothing else that needs a thread would go on, and the process could not end before the last of them.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

LOOKUPS = 64  # at a time; more of them wait

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, on such a loop. Does not wait for lookups that are under way."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._lookups = asyncio.Semaphore(LOOKUPS)

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Any:
        await self._lookups.acquire()
        answer = self.create_future()

        def tell(found: Any, error: Exception | None) -> None:
            self._lookups.release()
            if answer.done():
                return  # nobody waits for it any more
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found, failure = None, None
            try:
                found = socket.getaddrinfo(host, port, **hints)
            except Exception as error:
                failure = error
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                self.call_soon_threadsafe(tell, found, failure)

        threading.Thread(target=look_up, name="name lookup", daemon=True).start()
        return await answer
