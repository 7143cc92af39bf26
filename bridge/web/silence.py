"""Connections that are opened and never ask for anything.

aiohttp waits for a first request without a limit, so a scanner, a broken proxy or somebody with a grudge could hold
every file that this process may open, and with them the sockets to the devices.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.clock import Clock

FIRST_REQUEST = 20.0  # seconds from the connection to the end of its first request's headers
KEEP_ALIVE = 75.0  # seconds between two requests of one connection; aiohttp's own limit is an hour
LOOK = 5.0


class Silence:
    """`watch` closes the silent connections of an application that was made with `middlewares=[silence.heard]`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spoke: set[object] = set()

    @web.middleware
    async def heard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._spoke.add(request.protocol)
        return await handler(request)

    async def watch(self, runner: web.AppRunner) -> None:
        """Until cancelled. `runner` is set up."""
        assert runner.server is not None, "not set up"
        silent: dict[object, float] = {}
        while True:
            await self._clock.sleep(LOOK)
            now = self._clock.now().mono
            connections = runner.server.connections
            self._spoke.intersection_update(connections)
            silent = {one: silent.get(one, now) for one in connections if one not in self._spoke}
            for one in connections:
                if one in silent and now - silent[one] >= FIRST_REQUEST - LOOK and one.transport is not None:
                    one.transport.abort()
