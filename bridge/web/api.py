"""The API, `/api/v1`: its parts put together. `docs/api.md` explains it, `openapi.json` there is its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from aiohttp import web

from bridge.clock import Clock
from bridge.delivery.sink import Pump
from bridge.files import Shelf
from bridge.jobs.clips import Clips
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.runner import Runner
from bridge.settings.engine import Configurator
from bridge.settings.library import Library
from bridge.store.store import Store
from bridge.web.audit import Audit
from bridge.web.clips import ClipWork
from bridge.web.commands import Commands
from bridge.web.devices import Devices
from bridge.web.records import Records
from bridge.web.routes import Route
from bridge.web.serving import Serving
from bridge.web.templates import Templates
from bridge.web.tokens import Tokens
from bridge.web.work import Works


class Part(Protocol):
    def routes(self) -> list[Route]: ...


class Api:
    """Mounts `routes()`. `runners` and `pumps` are asked for anew on each request: a reload replaces them."""

    middleware = staticmethod(Serving.middleware)

    def __init__(
        self,
        *,
        tokens: Tokens,
        store: Store,
        journal: Journal,
        metrics: Metrics,
        clock: Clock,
        runners: Callable[[], Mapping[str, Runner]],
        pumps: Callable[[], Mapping[str, Pump]],
        configurator: Configurator,
        clips: Clips,
        library: Library,
        shelf: Shelf,
    ) -> None:
        audit = Audit(store, clock)
        devices = Devices(runners)
        commands = Commands(devices, shelf)
        parts: list[Part] = [
            devices,
            commands,
            Templates(library, shelf, store, devices, commands),
            Works(configurator, clips),
            ClipWork(clips, configurator.records, devices),
            Records(store, journal, audit, pumps),
        ]
        self._serving = Serving([route for part in parts for route in part.routes()], tokens, audit, clock, metrics)

    def routes(self) -> list[web.RouteDef]:
        return self._serving.routes()
