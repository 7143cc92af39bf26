"""Base notification: the device calls the bridge. The ONVIF driver, a simulated device and the real listener."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.clock import Clock, SystemClock
from bridge.driver import ShortMemory
from bridge.errors import ProtocolError, Unsupported
from bridge.metrics import Metrics
from bridge.model import EventKind
from bridge.testing.clock import FakeClock
from bridge.web import callbacks
from bridge.web.callbacks import CallbackListener
from tests.integration.onvif_canned import envelope, message
from tests.integration.onvif_rig import Listener, Rig, rig, watched
from tests.support import until

MOTION = "tns1:VideoSource/MotionAlarm"


@dataclass
class Calls:
    """The bridge's end: the listener on a port of loopback."""

    listener: CallbackListener
    metrics: Metrics

    @property
    def paths(self) -> list[str]:
        """The addresses that were handed out and are still open."""
        return [one.url for one in self.listener._registered.values()]

    @property
    def outcomes(self) -> Counter[str]:
        found = Counter[str]()
        for metric in self.metrics.callbacks.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    found[sample.labels["outcome"]] = int(sample.value)
        return found

    async def post(self, body: bytes, url: str | None = None, *, source: str = "127.0.0.1") -> int:
        """Send a body from a local address, to the one address that is open if not to `url`; returns the status."""
        connector = aiohttp.TCPConnector(local_addr=(source, 0))
        session = aiohttp.ClientSession(connector=connector)
        async with session, session.post(url or self.paths[0], data=body) as answer:
            assert await answer.read() == b"", "a scanner learns nothing"
            return answer.status


@asynccontextmanager
async def pushed(
    config: dict[str, Any] | None = None, *, clock: Clock | None = None, **traits: Any
) -> AsyncIterator[tuple[Rig, Calls]]:
    """A device that has to push, and where it pushes to."""
    metrics = Metrics()
    listener = CallbackListener("http://127.0.0.1", metrics, clock or SystemClock())
    runner = web.AppRunner(listener.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listener.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    if clock is not None:
        traits["clock"] = clock
    try:
        async with rig({"events": "push", "callbacks": listener, **(config or {})}, **traits) as one:
            yield one, Calls(listener, metrics)
    finally:
        await runner.cleanup()


def notify(*messages: str) -> bytes:
    return envelope(f"<wsnt:Notify>{''.join(messages)}</wsnt:Notify>")


# --- events arrive


@pytest.mark.parametrize("auth", ["wsse", "digest"])
async def test_events_arrive_once_and_in_order(auth: str) -> None:
    async with pushed(auth=auth) as (one, calls):
        await one.driver.probe()
        async with Listener(one.driver) as listener:
            await listener.subscribed()
            await one.moves(*[True, False] * 20)
            await listener.until(lambda: len(listener.motion) == 40)
            assert listener.motion == [True, False] * 20
            assert listener.resyncs == 1
            assert one.simulator.seen["CreatePullPointSubscription"] == 0
            assert one.subscriptions == 1
        await one.driver.close()
        assert one.subscriptions == 0, "unsubscribed"
        assert (one.refused, one.simulator.seen["notify_failed"]) == (0, 0)
        assert set(calls.outcomes) == {"ok"}


async def test_auto_pushes_where_there_are_no_pull_points() -> None:
    async with pushed({"events": "auto"}, max_pull_points=0) as (one, calls):
        await one.whole_life()
        assert one.simulator.seen["Subscribe"]
    assert calls.paths == [], "the address is taken back"


async def test_auto_pulls_where_there_are() -> None:
    async with pushed({"events": "auto"}) as (one, _):
        await one.whole_life()
        assert one.simulator.seen["Subscribe"] == 0


async def test_neither_is_there() -> None:
    async with pushed({"events": "auto"}, max_pull_points=0, max_notification_producers=0) as (one, calls):
        with pytest.raises(Unsupported, match="Subscribe"):
            await anext(one.driver.events())
        assert calls.paths == []


async def test_nowhere_to_push_to() -> None:
    async with rig({"events": "push"}) as one:
        with pytest.raises(Unsupported, match=r"needs bridge\.callbacks in the inventory"):
            await anext(one.driver.events())
    async with rig({"events": "auto"}, max_pull_points=0) as one:
        with pytest.raises(Unsupported, match="CreatePullPointSubscription"):
            await anext(one.driver.events())


async def test_under_the_runner(tmp_path: Path) -> None:
    clock = FakeClock()
    async with pushed(clock=clock) as (one, _), watched(one.driver, tmp_path, clock) as watch:
        await watch.listening()
        await one.moves(True)
        await until(lambda: watch.journal.written)
        await one.simulator.reboot()
        # Nobody is told that the subscription is gone; the next Renew finds out.
        await watch.until(lambda: one.subscriptions == 1, within=250, step=10.0)
        await one.moves(True, False)
        await watch.until(lambda: watch.journal.written >= 2, within=60)


# --- renewals


async def rounds(one: Rig, listener: Listener, clock: FakeClock, count: int, seconds: float) -> None:
    await listener.subscribed()
    expected: list[bool] = []
    for number in range(count):
        expected.append(number % 2 == 0)
        await clock.advance(seconds)
        await one.moves(expected[-1])
        await listener.until(lambda: listener.motion == expected)


async def test_it_is_renewed_while_nothing_happens() -> None:
    clock = FakeClock()
    async with pushed(clock=clock) as (one, _), Listener(one.driver) as listener:
        await listener.subscribed()
        for _ in range(60):
            await until(lambda: clock.sleeping)
            await clock.advance(15)
        await until(lambda: one.simulator.seen["Renew"] >= 4)
        assert (listener.resyncs, one.subscriptions) == (1, 1)
        assert one.simulator.seen["Subscribe"] <= 2, "a refusal, and the one"


async def test_it_is_renewed_while_events_come_without_a_pause() -> None:
    clock = FakeClock()
    async with pushed(clock=clock) as (one, _), Listener(one.driver) as listener:
        await rounds(one, listener, clock, 240, 0.8)
        assert one.simulator.seen["Renew"] == 1, "in the third minute of five"


async def test_it_is_not_renewed_at_each_event() -> None:
    clock = FakeClock()
    async with pushed(clock=clock) as (one, _), Listener(one.driver) as listener:
        await rounds(one, listener, clock, 60, 10.0)
        assert 2 <= one.simulator.seen["Renew"] <= 8, "in ten minutes, and not at each event"
        assert listener.resyncs == 1


@pytest.mark.parametrize(
    ("quirk", "most"),
    [
        ("termination_time_ignored", 1),  # 60 s each, renewed in time
        ("relative_time_misread", 1),
        ("relative_time_rejected", 1),
        ("axis_reference_parameters", 1),
        ("renew_needs_message_id", 1),
        ("renew_faults", 6),  # made anew before it is over
        ("no_renew", 6),
        ("stale_subscription_400", 1),
    ],
)
async def test_quirks_of_terms(quirk: str, most: int) -> None:
    clock = FakeClock()
    async with pushed(quirks={quirk}, clock=clock) as (one, _):
        async with Listener(one.driver) as listener:
            await rounds(one, listener, clock, 40, 15.0)  # no event is lost in ten minutes
            assert 1 <= listener.resyncs <= most
            assert one.subscriptions == 1
        await one.driver.close()
        assert one.subscriptions == 0


async def test_one_that_vanishes_at_once_is_no_storm() -> None:
    clock = FakeClock()
    async with pushed(quirks={"no_renew", "termination_time_ignored"}, clock=clock) as (one, _):
        await one.driver.probe()
        async with aclosing(one.driver.events()) as events:  # type: ignore[type-var]
            await anext(events)
            await one.simulator.act("drop_subscriptions")
            # No simulated device grants so little that it would have to be renewed at once.
            one.driver._subscriptions._held.until = clock.now().mono
            with pytest.raises(ProtocolError, match="vanish as soon as they are made"):
                async for _ in events:
                    pass


# --- after a crash


async def test_an_old_subscription_is_let_go_of_after_a_crash() -> None:
    memory = ShortMemory()
    async with pushed({"memory": memory}, max_notification_producers=1) as (one, calls):
        async with Listener(one.driver) as listener:
            await listener.subscribed()
        assert (one.subscriptions, calls.paths) == (1, []), "the driver is gone, its subscription is not"
        again = await one.another()
        async with Listener(again) as listener:
            await listener.subscribed()
            await one.moves(True)
            await listener.heard(1)
            assert listener.motion == [True]
            assert one.subscriptions == 1
        await again.close()
        assert one.subscriptions == 0
        assert memory.values == {}


# --- what is refused


async def test_what_others_send_is_refused_and_disturbs_nobody() -> None:
    async with pushed() as (one, calls), Listener(one.driver) as listener:
        await listener.subscribed()
        good = notify(message(MOTION))
        (path,) = calls.paths
        assert await calls.post(good, source="127.0.0.2") == 404, "not the device's address"
        assert await calls.post(good, path + "x") == 404
        assert await calls.post(good, calls.listener.base_url) == 404
        assert await calls.post(b" " * (callbacks.BODY_LIMIT + 1)) == 413
        for junk in (b"", b"\x00\x01", b"<html/>", b"{}", envelope(""), envelope("<wsnt:Renew/>"), good[:200]):
            assert await calls.post(junk) == 400, junk
        assert calls.outcomes == {
            "ok": calls.outcomes["ok"],
            "foreign_source": 1,
            "unknown_path": 2,
            "too_large": 1,
            "unreadable": 7,
        }
        assert listener.news == []
        await one.moves(True)
        assert (await listener.heard(1))[0].kind is EventKind.MOTION
        assert await calls.post(good) == 200, "and what is good is taken"
        assert [event.active for event in await listener.heard(2)] == [True, True]
        assert listener.resyncs == 1


async def test_a_body_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "BODY_SECONDS", 0.1)
    async with pushed() as (one, calls), Listener(one.driver) as listener:
        await listener.subscribed()
        host, _, port = calls.listener.base_url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        path = calls.paths[0].rpartition("/")[2]
        writer.write(f"POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n<a>".encode())
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"408"
        writer.close()


async def test_a_flood_is_told_to_come_later() -> None:
    clock = FakeClock()
    async with pushed(clock=clock) as (one, calls), Listener(one.driver) as listener:
        await listener.subscribed()
        good = notify(message("tns1:Acme/Odd", "x"))
        statuses = Counter(await asyncio.gather(*(calls.post(good) for _ in range(callbacks.BURST + 50))))
        assert set(statuses) == {200, 429}
        assert callbacks.BURST - 10 <= statuses[200] <= callbacks.BURST
        await listener.heard(statuses[200])
        await clock.advance(10)
        await one.moves(True)
        await listener.until(lambda: listener.motion == [True])
        assert len(listener.news) == statuses[200] + 1, "what was taken arrived, what was not did not"


async def test_a_queue_that_is_full_loses_nothing_that_was_taken() -> None:
    async with pushed() as (one, calls):
        await one.driver.probe()
        async with aclosing(one.driver.events()) as events:  # type: ignore[type-var]
            await anext(events)
            many = notify(*(message("tns1:Acme/Odd", str(n)) for n in range(400)))
            statuses = [await calls.post(many) for _ in range(3)]
            assert statuses == [200, 200, 503]
            told = []
            async for event in events:
                if event.kind is EventKind.VENDOR:
                    told.append(int(event.data["State"]))
                if len(told) == 800:
                    break
            assert told == [*range(400), *range(400)]
            assert await calls.post(notify(message(MOTION))) == 200
