"""The bridge as a whole: everything made, put together, reloaded and taken down again."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web

from bridge import backoff
from bridge.clock import Clock, SystemClock
from bridge.config import models
from bridge.config.load import InvalidInventory, Inventory, load
from bridge.delivery.build import build
from bridge.delivery.pusher_server import PusherServer
from bridge.delivery.sink import Pump, Sink
from bridge.files import Shelf
from bridge.jobs.clips import Clips
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.pushes.labels import Labels
from bridge.runner import Surroundings
from bridge.secrets import Redactor
from bridge.settings.engine import Configurator
from bridge.settings.library import Library
from bridge.store.store import Store
from bridge.store.writer import StoreError
from bridge.supervisor import Applied, Supervisor, http_session
from bridge.syslog.listener import SyslogListener
from bridge.traps.listener import TrapListener
from bridge.web.api import Api
from bridge.web.callbacks import CallbackListener
from bridge.web.front import Front
from bridge.web.silence import KEEP_ALIVE
from bridge.web.tokens import Tokens

DRAIN_LIMIT = 1.0  # seconds for the last pushes to go out at shutdown; the rest waits in the outbox
PRUNE_EVERY = 30.0
LAG_EVERY = 0.5

log = structlog.get_logger("bridge")


class NeedsRestart(Exception):
    """The new inventory changes what cannot change while the bridge runs."""


@dataclass(slots=True)
class _Delivery:
    """The sinks, their pumps, and the listener that some of them are mounted on."""

    front: Front
    sinks: list[Sink]
    pumps: dict[str, Pump]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.gather(*(sink.close() for sink in self.sinks), return_exceptions=True)
        await self.front.close()


class Service:
    """Made for one inventory file; `start`, then `reload` as often as it changes, then `stop`."""

    def __init__(self, inventory: Inventory, *, clock: Clock | None = None, redactor: Redactor | None = None) -> None:
        self.inventory = inventory
        self.metrics = Metrics()
        self.clock = clock or SystemClock()
        self._random = random.Random()
        self._redactor = redactor or Redactor()
        self._stack = AsyncExitStack()
        self._delivery: _Delivery | None = None
        self._not_ready: dict[str, str] = {"start": "the bridge is starting"}
        self._reloading = asyncio.Lock()

    @property
    def url(self) -> str:
        """Base URL of the main listener, once started."""
        assert self._delivery is not None, "not started"
        return self._delivery.front.url

    async def start(self) -> None:
        """Raises StoreInUse, StoreError, OSError (an address that cannot be listened on)."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> None:
        bridge = self.inventory.bridge
        self._redactor.learn(self.inventory.secrets)
        self.store = await Store.open(bridge.data, self.clock)
        self._stack.push_async_callback(self.store.close)
        self.metrics.store_waiting.set_function(lambda: self.store.waiting)
        self.tokens = Tokens(self.store, self.clock)
        self.journal = Journal(self.store, self.clock)
        self.shelf = Shelf(bridge.data, self.store, self.clock, lambda: self.inventory.bridge.files, lambda: self.url)
        await self.shelf.open()
        self.library = Library(self.store, self.clock, self._redactor.learn)
        await self.library.open(self.inventory.templates)
        self._stack.push_async_callback(self._close_delivery)
        http = http_session()
        self._stack.push_async_callback(http.close)
        callbacks = await self._listen_for_devices()
        self._around = Surroundings(
            self.store, self.journal, Labels(bridge.locale, bridge.labels), self.metrics, self.clock, self._random
        )
        traps, syslog = await self._listen_for_traps(), await self._listen_for_lines()
        self.supervisor = Supervisor(self._around, http, callbacks, traps, syslog)
        self.configurator = Configurator(
            self.store,
            runners=lambda: self.supervisor.runners,
            templates=self.library.current,
            metrics=self.metrics,
            clock=self.clock,
        )
        self._around.identified = self.configurator.identified
        self.clips = Clips(
            self.configurator.records,
            self.shelf,
            runners=lambda: self.supervisor.runners,
            metrics=self.metrics,
            clock=self.clock,
            random=self._random,
        )
        self._delivery = await self._open_delivery(self.inventory)
        self._stack.push_async_callback(self._drain)
        self._stack.push_async_callback(self.supervisor.stop)
        await self.configurator.open()
        self._stack.push_async_callback(self.configurator.stop)
        self._stack.push_async_callback(self.clips.stop)
        await self.supervisor.apply(self.inventory.devices)
        await self.configurator.resume()
        await self.clips.resume()
        for job in (self._prune_forever(), self._watch_lag(), self._freeze_memory()):
            task = asyncio.create_task(job)
            self._stack.push_async_callback(_cancelled, task)
        self._not_ready = {}
        log.info("bridge runs", name=bridge.name, url=self.url, devices=len(self.inventory.devices))

    async def stop(self) -> None:
        """Devices let go, last pushes out, clients sent away so that they come back, store closed. Under 5 s."""
        self._not_ready = {"stop": "the bridge is stopping"}
        await self._stack.aclose()
        log.info("bridge stopped")

    async def reload(self, path: Path | None = None) -> Applied:
        """Take the inventory file as it is now: wholly, or not at all.

        Raises InvalidInventory, NeedsRestart, OSError; in each case the bridge goes on as it was.
        """
        async with self._reloading:
            try:
                new = await asyncio.to_thread(load, path or self.inventory.path)
                applied = await self._take(new)
            except (InvalidInventory, NeedsRestart, OSError):
                self.metrics.reloads.labels("refused").inc()
                raise
            self.metrics.reloads.labels("ok").inc()
            # What the old inventory made may go now, the new one stays.
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            log.info(
                "inventory reloaded",
                added=applied.added,
                removed=applied.removed,
                restarted=applied.restarted,
                untouched=applied.kept,
            )
            return applied

    async def _take(self, new: Inventory) -> Applied:
        old = self.inventory
        for name in ("data", "callbacks", "traps", "syslog"):
            if getattr(new.bridge, name) != getattr(old.bridge, name):
                raise NeedsRestart(f"bridge.{name} has changed, which takes a restart of the bridge")
        self._redactor.learn(new.secrets)
        if new.bridge.http != old.bridge.http or new.delivery != old.delivery:
            await self._replace_delivery(new)
        self._around.labels = Labels(new.bridge.locale, new.bridge.labels)
        self.inventory = new
        self.library.take(new.templates)
        return await self.supervisor.apply(new.devices)

    # -- delivery and the main listener ------------------------------------------------------------------------

    async def _open_delivery(self, inventory: Inventory) -> _Delivery:
        sinks = [
            build(
                one,
                inventory.delivery.channel_prefix,
                source=inventory.bridge.name,
                clock=self.clock,
                metrics=self.metrics,
                redactor=self._redactor,
            )
            for one in inventory.delivery.sinks
        ]
        servers = [sink for sink in sinks if isinstance(sink, PusherServer)]
        front = Front(inventory.bridge.http)
        delivery = _Delivery(front, sinks, {})
        api = Api(
            tokens=self.tokens,
            store=self.store,
            journal=self.journal,
            metrics=self.metrics,
            clock=self.clock,
            runners=lambda: self.supervisor.runners,
            pumps=lambda: delivery.pumps,
            configurator=self.configurator,
            clips=self.clips,
            library=self.library,
            shelf=self.shelf,
        )
        try:
            await self.store.leave_all_but([sink.name for sink in sinks])
            self.journal.forwarded = frozenset(
                kind for one in inventory.delivery.sinks if isinstance(one, models.WebhookSink) for kind in one.events
            )
            for sink in sinks:
                await self.store.join(sink.name)
                await sink.open()
            await front.open(
                servers=servers,
                tokens=self.tokens,
                api=api,
                shelf=self.shelf,
                metrics=self.metrics,
                before_metrics=self.supervisor.count,
                ready=self._reasons,
                clock=self.clock,
            )
            for sink in sinks:
                pump = Pump(sink, self.store, self.metrics, self.clock, self._random)
                delivery.pumps[sink.name] = pump
                delivery.tasks.append(asyncio.create_task(pump.run(), name=f"sink:{sink.name}"))
        except BaseException:
            await delivery.close()
            raise
        return delivery

    async def _replace_delivery(self, new: Inventory) -> None:
        """Clients are sent away for a moment and come back at once; devices notice nothing."""
        await self._close_delivery()
        try:
            self._delivery = await self._open_delivery(new)
        except OSError as error:
            self._delivery = await self._open_delivery(self.inventory)
            raise OSError(f"the new listener or sinks cannot be opened, the old ones go on: {error}") from error

    async def _close_delivery(self) -> None:
        if self._delivery is not None:
            delivery, self._delivery = self._delivery, None
            await delivery.close()

    async def _drain(self) -> None:
        if self._delivery is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_LIMIT):
                    await asyncio.gather(*(pump.drained() for pump in self._delivery.pumps.values()))

    async def _listen_for_devices(self) -> CallbackListener | None:
        settings = self.inventory.bridge.callbacks
        if settings is None:
            return None
        listener = CallbackListener("", self.metrics, self.clock)
        application = listener.application()
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5, keepalive_timeout=KEEP_ALIVE)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        self._stack.push_async_callback(_cancelled, asyncio.create_task(listener.silence.watch(runner)))
        await web.TCPSite(runner, settings.listen.host, settings.listen.port).start()
        host, port = runner.addresses[0][:2]
        listener.base_url = (settings.url or f"http://{host}:{port}").rstrip("/")
        return listener

    async def _listen_for_traps(self) -> TrapListener | None:
        settings = self.inventory.bridge.traps
        if settings is None:
            return None
        listener = TrapListener(self.metrics, self.clock)
        await listener.open(settings.listen.host, settings.listen.port)
        self._stack.push_async_callback(listener.close)
        log.info("listening for traps", port=listener.port)
        return listener

    async def _listen_for_lines(self) -> SyslogListener | None:
        settings = self.inventory.bridge.syslog
        if settings is None:
            return None
        listener = SyslogListener(self.metrics, self.clock)
        host, port = settings.listen.host, settings.listen.port
        await listener.open(host, port, settings.ports, settings.host or host)
        self._stack.push_async_callback(listener.close)
        log.info("listening for syslog", port=listener.port_of(""))
        return listener

    # -- housekeeping ------------------------------------------------------------------------------------------

    def _reasons(self) -> Mapping[str, str]:
        """Why the bridge is not ready; empty when it is."""
        return self._not_ready

    async def _prune_forever(self) -> None:
        while True:
            await self.clock.sleep(backoff.jittered(PRUNE_EVERY, self._random))
            bounds, record = self.inventory.delivery.outbox, self.inventory.delivery.events
            try:
                lost = await self.store.prune(max_rows=bounds.max_rows, max_age=bounds.max_age, history=bounds.history)
                stale = await self.store.drop_stale()
                await self.configurator.records.prune()
                await self.journal.prune(max_rows=record.max_rows, max_age=record.max_age)
                await self.shelf.prune()
                self._not_ready.pop("store", None)
            except StoreError as error:
                self._not_ready["store"] = str(error)
                log.error("the store cannot be written", reason=str(error))
                continue
            for sink, count in stale.items():
                self.metrics.stale.labels(sink).inc(count)
            for sink, count in lost.items():
                self.metrics.outbox_dropped.labels(sink).inc(count)
                log.error("pushes dropped at the outbox's bound", sink=sink, count=count)

    async def _freeze_memory(self) -> None:
        """Take what the start made out of the garbage collector's sight: it lives as long as the process, and a full
        collection that walks over WSDLs and thousands of devices stops everything for 100 ms."""
        for seconds in (0.0, 10.0, 20.0, 40.0):
            await self.clock.sleep(seconds)
            gc.freeze()

    async def _watch_lag(self) -> None:
        while True:
            due = self.clock.now().mono + LAG_EVERY
            await self.clock.sleep(LAG_EVERY)
            self.metrics.loop_lag_seconds.observe(max(0.0, self.clock.now().mono - due))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
