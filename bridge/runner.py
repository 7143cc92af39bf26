"""One device's life: probe it, poll it, listen to it, and make state and pushes of what it says.

A runner is two tasks, one that polls and one that listens, around one `DeviceState`. Whatever the device does wrong
ends here: errors become health and waiting times by their kind (`bridge.errors`), and nothing that one device does
reaches another. A change is stored before it is believed, so that a restart goes on from what was told.
"""

from __future__ import annotations

import asyncio
import math
import random
import traceback
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from bridge import backoff
from bridge.clock import Clock, Wake
from bridge.conditions import Conditions
from bridge.driver import AnyDriver
from bridge.errors import AuthFailed, DeviceError, Fault, Locked, Throttled, Unreachable, Unsupported
from bridge.journal import Journal
from bridge.mailbox import Mailbox
from bridge.metrics import Metrics
from bridge.model import Capability, Device, DeviceEvent, EventKind, Identity, Kind, Reading, Rung
from bridge.pushes import render
from bridge.pushes.labels import Labels
from bridge.state import device
from bridge.state.device import BEHIND, Change, DeviceState, StatusChange, Step
from bridge.state.reachability import Reach, Way
from bridge.state.restart import restarted
from bridge.store import kept
from bridge.store.store import Store
from bridge.store.writer import StoreError

if TYPE_CHECKING:
    from bridge.wiring import Wiring

RETRY_FIRST = 2.0  # seconds until a device that failed is asked again
EVENTS_RETRY_CAP = 300.0
POLL_GAP = 1.0  # seconds between the starts of two polls, at least
# Polls that are due within so many seconds begin together: to wake up for each costs more than a small poll itself.
TOGETHER = 0.1
POLL_LIMIT = 120.0  # seconds that a poll may take in all, whatever the driver thinks
CLOSE_LIMIT = 3.0
REBOOT_TOLD = 300.0  # seconds in which a restart that the device has reported is not inferred once more

NEVER = -math.inf  # monotonic
_NO_BUGS: frozenset[str] = frozenset()
log = structlog.get_logger("device")


@dataclass(slots=True)
class Surroundings:
    """What all runners share. A reload may put other labels in."""

    store: Store
    journal: Journal
    labels: Labels
    metrics: Metrics
    clock: Clock
    random: random.Random
    # Told when a device has said who it is, with who it was before; whoever applies templates by themselves listens.
    identified: Callable[[Runner, Identity | None], Awaitable[None]] | None = None
    wiring: Wiring | None = None


class Runner:
    """Watches one device from `start` to `stop`."""

    __slots__ = (
        "_around",
        "_back",
        "_bugs",
        "_conditions",
        "_driver",
        "_identified",
        "_lock",
        "_mailbox",
        "_mark",
        "_opened",
        "_poll_now",
        "_ready",
        "_rebooted_at",
        "_tasks",
        "device",
        "listening",
        "state",
    )

    def __init__(self, device: Device, driver: AnyDriver, around: Surroundings, state: DeviceState) -> None:
        self.device = device
        self.state = state
        self.listening = False
        self._driver = driver
        self._mailbox: Mailbox | None = None  # made when somebody commands it: few devices ever are
        self._around = around
        self._lock = asyncio.Lock()  # one change of state at a time
        self._poll_now = Wake()
        self._back = Wake()
        self._identified = False
        self._ready = False  # online, identified, authorised: it can be listened to
        self._mark = ""  # of the unit that was identified
        self._rebooted_at = NEVER
        self._conditions: Conditions | None = None  # made when it reports something
        self._opened = False
        self._bugs = _NO_BUGS
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    @property
    def mailbox(self) -> Mailbox:
        """Where whoever wants something of the device waits for its turn."""
        if self._mailbox is None:
            self._mailbox = Mailbox(self._driver, lambda: self._opened, self._bug)
        return self._mailbox

    @property
    def conditions(self) -> Conditions:
        """What it has reported."""
        if self._conditions is None:
            around = self._around
            self._conditions = Conditions(self.device, around.journal, around.metrics, around.clock, self._kept)
        return self._conditions

    def start(self, spread: float = 0.0) -> None:
        """Begin, the first poll within `spread` seconds: a thousand devices are not asked in one instant."""
        self._tasks = (asyncio.create_task(self._guard(self._poll_forever, spread)),)

    async def stop(self, *, for_good: bool = False) -> None:
        """End, and let the driver let go of what it holds on the device, within a few seconds. `for_good`: the device
        has left the inventory."""
        while tasks := self._tasks:
            self._tasks = ()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if for_good and self._opened:
            await self._let_go(self._driver.release)
        await self._let_go(self._driver.close)

    async def _let_go(self, call: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                await call()
        except TimeoutError:
            log.info("device did not let go in time", device=self.device.id)
        except DeviceError as error:
            log.warning("something of ours is left on the device", device=self.device.id, reason=error.detail)
        except Exception as error:
            self._bug(error)

    def poll_soon(self) -> None:
        """Ask the device how it is now rather than when it is due: something happened to it."""
        self._poll_now.set()

    async def unplugged(self) -> None:
        """Its switch saw the link of its port go."""
        await self._advance(lambda state: device.unplugged(state, self.device, self._around.clock.now()))
        self._poll_now.set()  # unless the map is wrong, in which case it answers

    async def _guard(self, life: Callable[..., Awaitable[None]], *arguments: float) -> None:
        """A bug of ours ends neither the device's life nor anybody else's."""
        attempt = 0
        while True:
            try:
                return await life(*arguments)
            except Exception as error:
                self._bug(error)
                attempt += 1
                cap = EVENTS_RETRY_CAP
                await self._around.clock.sleep(backoff.delay(attempt, self._around.random, first=RETRY_FIRST, cap=cap))

    # -- polling -------------------------------------------------------------------------------------------------

    async def _poll_forever(self, spread: float) -> None:
        clock, metrics, driver = self._around.clock, self._around.metrics, self.device.driver
        if not self.device.address:
            await self._advance(lambda state: device.not_set_up(state, self.device, clock.now()))
            return
        await clock.sleep(self._around.random.uniform(0.0, spread))
        # Everybody was asked soon after the start; the second round is spread over the whole period.
        share = self._around.random.uniform(0.1, 1.0)
        while True:
            began = clock.now().mono
            self._poll_now.clear()
            wait, outcome = await self._poll()
            if outcome == "ok":
                wait, share = wait * share, 1.0
            metrics.polls.labels(driver, outcome).inc()
            metrics.poll_seconds.labels(driver).observe(clock.now().mono - began)
            if self._conditions is not None:
                await self._conditions.expire()
            now = clock.now().mono
            due = math.ceil((now + wait) / TOGETHER) * TOGETHER
            if await clock.wait(self._poll_now, due - now):
                # Events ask for polls; a device that sends them without end is still polled at a bounded rate.
                await clock.sleep(max(0.0, began + POLL_GAP - clock.now().mono))
            else:
                metrics.poll_late_seconds.labels(driver).observe(max(0.0, clock.now().mono - due))

    async def _poll(self) -> tuple[float, str]:
        """One poll; returns the seconds to wait until the next, and the outcome for the metrics."""
        policy, rng = self.device.policy, self._around.random
        try:
            async with asyncio.timeout(POLL_LIMIT) as limit:
                if not self._opened:
                    await self._driver.open()
                    self._opened = True
                if not self._identified:
                    await self._identify()
                before, reading = self.state, await self._driver.poll()
                if self._is_another(before, reading):
                    await self._identify()
        except DeviceError as error:
            return await self._failed(error), error.kind
        except Exception as error:
            if limit.expired():
                late = Unreachable(f"no end of its answers within {POLL_LIMIT:g} s", Rung.REACHABLE)
                return await self._failed(late), late.kind
            self._bug(error)
            fault = Fault(f"the driver failed: {type(error).__name__}")
            return await self._failed(fault), fault.kind
        if restarted(before.facts, reading.facts):
            await self._restart_inferred(reading)
        await self._advance(lambda state: device.answered(state, self.device, reading, self._around.clock.now()))
        if reading.ports and self._around.wiring is not None:
            await self._around.wiring.read(self.device, reading.ports)
        # A worse status that a poll saw for the first time is looked at again soon.
        doubt = any(one.status.doubt for one in self.state.cameras.values())
        return (min(RETRY_FIRST, policy.poll) if doubt else backoff.jittered(policy.poll, rng)), "ok"

    def _is_another(self, before: DeviceState, reading: Reading) -> bool:
        """Whether the poll found another unit, another firmware, or the same after a restart: it may have learned to do
        other things."""
        known, self._mark = self._mark, reading.mark
        return (known != reading.mark and bool(known)) or restarted(before.facts, reading.facts)

    async def _identify(self) -> None:
        identity = await self._driver.probe()
        before = self.state.identity
        if before is not None and before.serial and identity.serial and before.serial != identity.serial:
            log.warning("another device answers", device=self.device.id, was=before.serial, now=identity.serial)
        if before != identity:
            log.info(
                "device identified",
                device=self.device.id,
                manufacturer=identity.manufacturer,
                model=identity.model,
                firmware=identity.firmware,
            )
        self._identified, self._mark = True, ""
        await self._advance(lambda state: (replace(state, identity=identity), []))
        if self._around.identified is not None:
            await self._around.identified(self, before)

    async def _restart_inferred(self, reading: Reading) -> None:
        """Its uptime went back: into the record, unless it has told so itself."""
        now = self._around.clock.now().mono
        if now - self._rebooted_at > REBOOT_TOLD:
            self._rebooted_at = now
            log.info("device was restarted", device=self.device.id, uptime=reading.facts["uptime"])
            data = {"uptime": str(reading.facts["uptime"])}
            await self.conditions.note(DeviceEvent(EventKind.REBOOT, topic="uptime", data=data))

    async def _failed(self, error: DeviceError) -> float:
        """Make state of an error; returns the seconds until the device is asked again."""
        clock, rng, policy = self._around.clock, self._around.random, self.device.policy
        if isinstance(error, AuthFailed | Locked | Throttled):
            await self._advance(lambda state: device.refused(state, self.device, error, clock.now()))
            if isinstance(error, AuthFailed):
                return backoff.jittered(policy.auth_retry, rng)
            return error.seconds * rng.uniform(1.0, 1.1)
        wiring = self._around.wiring
        way = Way.OPEN if wiring is None else wiring.way(self.device, self.state.reach)
        await self._advance(lambda state: device.failed(state, self.device, error, clock.now(), way))
        reach = self.state.reach
        if wiring is not None and reach.reach is Reach.OFFLINE:
            wiring.consider(self.device)
        # A device that is polled often is also wanted back soon.
        wait = backoff.delay(reach.failures, rng, first=RETRY_FIRST, cap=min(policy.retry_cap, 2 * policy.poll))
        if reach.reach is not Reach.OFFLINE and reach.quiet_from is not None:
            # Ask once more just when it would be offline, rather than long after.
            left = reach.quiet_from + policy.offline_after - clock.now().mono
            wait = min(wait, max(left, RETRY_FIRST / 2))
        return wait

    # -- listening -----------------------------------------------------------------------------------------------

    async def _listen_forever(self) -> None:
        """The device's event stream: opened when the device answers, opened again when it breaks."""
        clock, rng = self._around.clock, self._around.random
        failures = 0
        while True:
            while not (self._ready and self._reports_events):
                self._back.clear()
                await self._back.wait()
            opened = clock.now().mono
            wait = 0.0
            try:
                await self._listen()
                error: DeviceError = Unreachable("the event stream ended")
            except Unsupported as reason:
                log.warning("device reports no events", device=self.device.id, reason=reason.detail)
                self._back.clear()
                await self._back.wait()  # it may be another device, or firmware, by then
                continue
            except AuthFailed as reason:
                error, wait = reason, backoff.jittered(self.device.policy.auth_retry, rng)
            except DeviceError as reason:
                error = reason
            except Exception as reason:
                self._bug(reason)
                error = Fault(f"the driver failed: {type(reason).__name__}")
            log.info("event stream lost", device=self.device.id, reason=error.detail)
            failures = 1 if clock.now().mono - opened > EVENTS_RETRY_CAP else failures + 1
            await self._events_are_hearsay()
            self._back.clear()
            self._poll_now.set()
            await clock.wait(self._back, wait or backoff.delay(failures, rng, first=RETRY_FIRST, cap=EVENTS_RETRY_CAP))

    @property
    def _reports_events(self) -> bool:
        """Whether this very unit does, as far as its probe could tell."""
        able = Capability.EVENTS in self._driver.capabilities
        return able and self.state.identity is not None and Capability.EVENTS in self.state.identity.capabilities

    async def _listen(self) -> None:
        gauge = self._around.metrics.event_streams.labels(self.device.driver)
        gauge.inc()
        self.listening = True
        try:
            async with aclosing(self._driver.events()) as events:  # type: ignore[type-var]
                async for event in events:
                    await self._event(event)
        finally:
            self.listening = False
            gauge.dec()

    async def _event(self, event: DeviceEvent) -> None:
        around, now = self._around, self._around.clock.now()
        around.metrics.events.labels(self.device.driver, event.kind).inc()
        if event.hint:
            # Not even a sign of life; the poll decides.
            self._identified = self._identified and event.kind is not EventKind.REBOOT
            self._poll_now.set()
        elif self.state.reach.reach is not Reach.ONLINE:
            await self._advance(lambda state: device.heard(state, self.device, now))
            self._poll_now.set()
        if event.replayed or event.hint:
            pass  # it goes into the record; what it says was so once, or may not be so
        elif event.kind is EventKind.RESYNC:
            await self._events_are_hearsay()
        elif event.kind is EventKind.SIGNAL_LOSS and event.active is not None and event.channel is not None:
            channel, lost = event.channel, event.active
            known = self.state.cameras.get(channel)
            await self._advance(lambda state: device.signal(state, self.device, channel, lost, now))
            if known is not None and known.signal_lost != lost:
                self._poll_now.set()
        elif event.kind is EventKind.REBOOT and not event.initial:
            self._identified, self._rebooted_at = False, now.mono
            self._poll_now.set()
        elif event.kind in (EventKind.CONFIG_CHANGED, EventKind.STREAM):
            # However many come, polls are POLL_GAP apart.
            self._poll_now.set()
        await self.conditions.note(event)

    async def _events_are_hearsay(self) -> None:
        now = self._around.clock.now()
        await self._advance(lambda state: (device.events_lost(state, now), []))
        if self._conditions is not None:
            self._conditions.events_lost()

    # -- state -----------------------------------------------------------------------------------------------------

    async def _advance(self, change: Callable[[DeviceState], Step]) -> None:
        """Make the next state of the present one: store it with its pushes, then believe it."""
        around = self._around
        async with self._lock:
            before = self.state
            after, changes = change(before)
            rows = kept.rows(self.device, before, after)
            pushes = [push for one in changes if (push := self._push(one)) is not None]
            if rows or pushes:
                began = around.clock.now().mono
                await self._kept(lambda: around.store.commit(self.device.id, rows, pushes))
                around.metrics.commit_seconds.observe(around.clock.now().mono - began)
            self.state = after
        for push in pushes:
            around.metrics.pushes.labels(push.type).inc()
        await self._tell(before, after, changes)

    async def _kept(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write until the store takes it. Nothing that happened is given up: this device waits, the others are not
        held."""
        around, attempt = self._around, 0
        while True:
            try:
                return await write()
            except StoreError as error:
                attempt += 1
                around.metrics.store_errors.inc()
                log.error("the store takes no change", device=self.device.id, reason=str(error))
                await around.clock.sleep(backoff.delay(attempt, around.random, first=1.0, cap=30.0))

    def _push(self, change: Change) -> Any:
        if not isinstance(change, StatusChange):
            return render.sample(change)
        channel = next(one for one in self.device.channels if one.key == change.channel)
        if self.device.kind is Kind.INTERCOM:
            return render.intercom_status(self.device, channel, change.status, self._around.labels)  # type: ignore[arg-type]
        return render.camera_status(self.device, channel, change.status)  # type: ignore[arg-type]

    async def _tell(self, before: DeviceState, after: DeviceState, changes: list[Change]) -> None:
        """Log edges, once each, and wake who waits for them."""
        reach, was = after.reach.reach, before.reach.reach
        if reach is Reach.ONLINE and was is not Reach.ONLINE:
            if was is Reach.OFFLINE:
                # It may be another device by now, or have other streams.
                self._identified = False
                self._poll_now.set()
                log.info("device is back", device=self.device.id)
        elif reach is Reach.OFFLINE and was is not Reach.OFFLINE:
            log.warning("device is offline", device=self.device.id, reason=after.health.detail)
        # What refuses the password is not listened to either: that would be one more refused login.
        was_ready, self._ready = self._ready, reach is Reach.ONLINE and self._identified and after.authorised
        if self._ready and not was_ready:
            self._back.set()
            if self._reports_events and len(self._tasks) == 1:
                # Only now: most of thousands of devices may have nothing to report.
                self._tasks += (asyncio.create_task(self._guard(self._listen_forever)),)
        # What is behind a dead switch is said once, by the switch.
        news = after.health != BEHIND[Way.SWITCH_DOWN] and reach is not Reach.OFFLINE
        if after.health.kind != before.health.kind and after.health.kind and news:
            log.warning(
                "device has a problem", device=self.device.id, kind=after.health.kind, reason=after.health.detail
            )
        elif before.health.kind and not after.health.kind:
            log.info("device is well again", device=self.device.id)
        for change in changes:
            if isinstance(change, StatusChange):
                log.info("status changed", device=self.device.id, channel=change.channel, status=change.status)
        wiring, switch = self._around.wiring, self.device.kind is Kind.SWITCH
        if wiring is not None and switch and was is not reach and Reach.OFFLINE in (was, reach):
            await wiring.switched(self.device, reach)

    def _bug(self, error: BaseException) -> None:
        """A driver raised what it must not: its stack trace once for each place, a counter each time."""
        self._around.metrics.faults.labels(self.device.driver).inc()
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
        signature = f"{type(error).__name__} at {place}"
        if signature not in self._bugs:
            self._bugs |= {signature}
            log.error("bug in a driver", device=self.device.id, driver=self.device.driver, exc_info=error)
