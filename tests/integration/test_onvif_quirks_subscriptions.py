"""Quirks of subscriptions: one is held, kept alive and let go of, whatever the device makes of it; no leak, no storm.

The numbers are those of the table in `drivers/onvif/README.md`. Where a clock is faked, the device and the driver
have the same one: terms run out when the test says so.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.driver import ShortMemory
from bridge.errors import ProtocolError, Unsupported
from bridge.model import Policy
from bridge.testing.clock import FakeClock
from tests.integration.onvif_canned import Answer, Request, canned, created, envelope, fault, in_turn, message, pulled
from tests.integration.onvif_rig import MAKES, MOMENT, HastyClock, Listener, Rig, rig, watched
from tests.support import until

HOURS = 6 * 3600.0
GONE = fault("s:Receiver", "wsrf-rw:ResourceUnknownFault", reason="no such subscription")


async def rounds(one: Rig, listener: Listener, clock: FakeClock, count: int, seconds: float = 25.0) -> None:
    """Let time pass and something happen, so that a pull returns and the driver looks at the clock; `count` times."""
    await listener.subscribed()
    expected: list[bool] = []
    for number in range(count):
        expected.append(number % 2 == 0)
        await clock.advance(seconds)
        await one.moves(expected[-1])
        await listener.until(lambda: listener.motion == expected)


def left(one: Rig, clock: FakeClock) -> float:
    """Seconds that the one subscription has left on the device."""
    (held,) = one.simulator._hub.alive()
    return held.expires - clock.now().mono


# --- 12: Axis


@pytest.mark.parametrize("seed", MAKES)
async def test_q12_axis_reference_parameters(seed: int) -> None:
    async with rig(quirks={"axis_reference_parameters"}, seed=seed) as one:
        await one.whole_life()  # with Unsubscribe at its end
        assert one.simulator.seen["PullMessages"]


async def test_q12_axis_reference_parameters_in_renew_and_after_a_crash() -> None:
    clock, memory = FakeClock(), ShortMemory()
    async with rig({"memory": memory}, quirks={"axis_reference_parameters"}, clock=clock) as one:
        async with Listener(one.driver) as listener:
            await rounds(one, listener, clock, 20)
            assert one.simulator.seen["Renew"] >= 2
            assert listener.resyncs == 1
        again = await one.another()  # the first one died
        async with Listener(again) as listener:
            await listener.subscribed()
            assert one.subscriptions == 1


async def test_q12_what_is_echoed() -> None:
    reference = (
        "<wsa:Address>http://h/onvif/services</wsa:Address><wsa:ReferenceParameters>"
        '<dom0:SubscriptionId xmlns:dom0="http://www.axis.com/2009/event" a="&lt;">17</dom0:SubscriptionId>'
        "<ter:Other/></wsa:ReferenceParameters>"
    )
    create = created().replace("<wsa:Address>http://h/sub/1</wsa:Address>", reference)
    async with canned({"CreatePullPointSubscription": create}) as (device, driver):
        async with Listener(driver):
            await until(lambda: device.asked("PullMessages"))
        await driver.close()
        for operation in ("PullMessages", "Unsubscribe"):
            (asked,) = device.asked(operation)
            assert asked.path == "/onvif/services"
            assert asked.text("SubscriptionId") == "17"
            assert asked.body.count(b'IsReferenceParameter="true"') == 2


# --- 13: Renew


@pytest.mark.parametrize("quirk", ["no_renew", "renew_faults"])
async def test_q13_what_cannot_be_renewed_is_pulled(quirk: str) -> None:
    clock = FakeClock()
    async with rig(quirks={quirk}, clock=clock) as one, Listener(one.driver) as listener:
        await rounds(one, listener, clock, 24)  # twice its term
        assert listener.resyncs == 1
        assert one.simulator.seen["Renew"] == 1, "not asked again in vain"
        assert listener.motion == [True, False] * 12


@pytest.mark.parametrize(
    "refusal", [web.HTTPBadRequest(), GONE, fault("s:Receiver", "ter:ActionNotSupported"), envelope("")]
)
async def test_q13_pulls_stay_long(refusal: Any) -> None:
    """A device that is pulled with what is left of its term is soon pulled every second."""
    pulls = [pulled(seconds=seconds) for seconds in (100, 60, 30, 30, 30, 30)]
    clock = HastyClock()
    async with canned({"Renew": refusal, "PullMessages": in_turn(*pulls)}, clock=clock) as (device, driver):
        async with Listener(driver) as listener:
            await until(lambda: len(device.asked("PullMessages")) == 7)
            assert listener.resyncs == 1
        assert [one.text("Timeout") for one in device.asked("PullMessages")[1:]] == ["PT30S"] * 6


async def test_q13_renew_needs_a_message_id() -> None:
    clock = FakeClock()
    async with rig(quirks={"renew_needs_message_id"}, clock=clock) as one, Listener(one.driver) as listener:
        await rounds(one, listener, clock, 24)
        assert one.simulator.seen["Renew"] >= 2
        assert listener.resyncs == 1


# --- 14: termination times


@pytest.mark.parametrize("offset", [0.0, HOURS, -HOURS])
@pytest.mark.parametrize(
    ("quirk", "term"),
    [
        ("relative_time_rejected", 300),
        ("relative_time_misread", 300),
        ("termination_time_required", 300),
        ("offset_time_rejected", 300),
        ("termination_time_ignored", 60),
    ],
)
async def test_q14_termination_time(quirk: str, term: int, offset: float) -> None:
    clock = FakeClock()
    async with rig(auth="wsse", quirks={quirk}, clock=clock) as one:
        await one.simulator.act("set_clock", offset=offset)
        await one.driver.probe()
        async with Listener(one.driver) as listener:
            await listener.subscribed()
            assert left(one, clock) == pytest.approx(term, abs=2)
            await rounds(one, listener, clock, 24)
            assert listener.resyncs == 1
            assert one.simulator.seen["CreatePullPointSubscription"] <= 2
        assert one.subscriptions == 1
        await one.driver.close()
        assert one.subscriptions == 0


async def test_q14_both_kinds_of_offset_times_are_refused() -> None:
    async with rig(quirks={"relative_time_rejected", "offset_time_rejected"}) as one:
        await one.whole_life()


async def test_q14_the_first_term_is_misread_and_renew_fails() -> None:
    async with rig(quirks={"relative_time_misread", "renew_faults"}) as one:
        await one.whole_life()


@pytest.mark.parametrize("refusal", [fault("s:Sender", "ter:InvalidArgVal", status=400), fault("s:Receiver")])
async def test_q14_any_fault_may_mean_the_time(refusal: web.Response) -> None:
    def create(request: Any) -> Any:
        return created() if request.text("InitialTerminationTime").endswith("Z") else refusal

    async with canned({"CreatePullPointSubscription": create}) as (device, driver):
        async with Listener(driver):
            await until(lambda: device.asked("PullMessages"))
        assert [one.text("InitialTerminationTime")[:2] for one in device.asked("CreatePullPointSubscription")] == [
            "PT",
            "20",
        ]


async def test_q14_a_short_term_is_not_renewed_at_each_event() -> None:
    clock = FakeClock()
    async with rig(quirks={"termination_time_ignored"}, clock=clock) as one, Listener(one.driver) as listener:
        await rounds(one, listener, clock, 60, seconds=1.0)
        assert one.simulator.seen["Renew"] <= 4, "60 events in a minute"


# --- 15: few places for subscribers


async def test_q15_few_slots_and_many_crashes() -> None:
    memory = ShortMemory()
    async with rig({"memory": memory}, quirks={"few_slots"}) as one:
        for _ in range(4):
            driver = await one.another()
            async with Listener(driver) as listener:
                await listener.subscribed()
                assert one.subscriptions == 1
        await driver.close()
        assert one.subscriptions == 0
        assert memory.values == {}


async def test_q15_all_places_are_taken() -> None:
    async with rig(auth="wsse", quirks={"few_slots"}) as one:
        await one.driver.probe()
        holders = [await one.another(memory=ShortMemory()) for _ in range(2)]
        async with Listener(holders[0]) as first, Listener(holders[1]) as second:
            await first.subscribed()
            await second.subscribed()
            before = one.simulator.seen["CreatePullPointSubscription"]
            async with Listener(one.driver, again=False) as listener:
                await listener.until(lambda: listener.errors)
            assert isinstance(listener.errors[0], ProtocolError)
            assert "no subscription free: other programs hold them" in listener.errors[0].detail
            assert one.simulator.seen["CreatePullPointSubscription"] == before + 1, "asked once, not once for each form"
            await holders[0].close()
            async with Listener(one.driver) as listener:
                await listener.subscribed()


# --- 16: no storm


async def test_q16_pull_points_that_vanish(tmp_path: Path) -> None:
    clock = FakeClock()
    at: list[float] = []

    def create(_: object) -> str:
        at.append(clock.now().mono)
        return created()

    answers: Any = {"CreatePullPointSubscription": create, "PullMessages": GONE, "Renew": GONE}
    async with canned(answers, clock=clock, policy=Policy(poll=600.0)) as (device, driver):
        async with watched(driver, tmp_path, clock) as watch:
            for _ in range(720):
                await watch.pass_(5)
        gaps = [b - a for a, b in itertools.pairwise(at)]
        assert len(at) < 30, "in an hour"
        assert 150 <= max(gaps) <= 305, "five minutes, less some chance"
        assert gaps[0] < 10, "a first loss is soon mended"
        assert len(device.asked("GetProfiles")) < 30


async def test_q16_one_that_lives_for_one_pull_is_not_made_again_at_once() -> None:
    both: list[Answer] = [pulled(message("tns1:VideoSource/MotionAlarm")), GONE]
    pulls = in_turn(*both * 10)
    async with canned({"PullMessages": pulls}) as (device, driver):
        async with Listener(driver, again=False) as listener:
            await listener.until(lambda: listener.errors)
        assert "vanish as soon as they are made" in listener.errors[0].detail
        assert len(device.asked("CreatePullPointSubscription")) == 1


# --- 18, 19: subscriptions that others, or a reboot, take away


async def test_q18_unsubscribe_kills_all() -> None:
    async with rig(quirks={"unsubscribe_kills_all"}) as one:
        other = await one.another(memory=ShortMemory())
        async with Listener(one.driver) as listener:
            async with Listener(other) as second:
                await listener.subscribed()
                await second.subscribed()
            await other.close()
            await listener.subscribed(2)
            await one.moves(True, False)
            await listener.until(lambda: len(listener.motion) == 2)
            assert listener.resyncs == 2
            assert one.subscriptions == 1


async def test_q18_after_a_crash_the_old_one_goes_first() -> None:
    memory = ShortMemory()
    async with rig({"memory": memory}, quirks={"unsubscribe_kills_all"}) as one:
        async with Listener(one.driver) as listener:
            await listener.subscribed()
        again = await one.another()
        async with Listener(again) as listener:
            await listener.subscribed()
            await one.moves(True)
            await listener.heard(1)
            assert (listener.resyncs, one.subscriptions) == (1, 1)


@pytest.mark.parametrize("quirks", [[], ["stale_subscription_400"], ["axis_reference_parameters"]])
@pytest.mark.parametrize("auth", ["wsse", "digest"])
async def test_q19_a_reboot_erases_pull_points(auth: str, quirks: list[str]) -> None:
    async with rig(auth=auth, quirks=quirks) as one:
        async with Listener(one.driver) as listener:
            await listener.subscribed()
            await one.moves(True)
            await listener.heard(1)
            await one.simulator.reboot()
            await listener.subscribed(2)
            await one.moves(False, True)
            await listener.until(lambda: len(listener.motion) == 2)
            assert listener.motion == [True, True], "motion ended with the reboot, and nobody said so"
        await one.driver.close()
        assert (one.subscriptions, one.refused) == (0, 0)


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("body", [b"", b"<html>no</html>"])
async def test_q19_old_addresses_without_a_fault(status: int, body: bytes) -> None:
    clock = HastyClock()

    def gone(_: Request) -> web.Response:
        clock.ahead += 60
        return web.Response(status=status, body=body)

    motion = "tns1:VideoSource/MotionAlarm"
    pulls = in_turn(pulled(message(motion)), gone, pulled(message(motion, "false")))
    async with canned({"PullMessages": pulls}, clock=clock) as (_, driver):
        async with Listener(driver, again=False) as listener:
            assert [one.active for one in await listener.heard(2)] == [True, False]
        assert listener.resyncs == 2


# --- more: pulls


async def test_more_one_message_a_pull() -> None:
    async with rig(quirks={"one_message_per_pull"}) as one, Listener(one.driver) as listener:
        await listener.subscribed()
        await one.moves(*[True, False] * 5)
        await listener.until(lambda: len(listener.motion) == 10)
        assert listener.motion == [True, False] * 5


async def test_more_empty_pulls_at_once_are_no_tight_loop() -> None:
    clock = HastyClock()
    async with rig({"clock": clock}, quirks={"early_empty_pull"}) as one, Listener(one.driver) as listener:
        await listener.subscribed()
        await until(lambda: len(clock.slept) >= 3)
        assert set(clock.slept) == {1.0}, "a pause after each that brought nothing"
        await one.moves(True)
        await listener.heard(1)
        assert one.simulator.seen["PullMessages"] <= len(clock.slept) + 3


async def test_q22_one_message_without_end_is_no_tight_loop() -> None:
    clock = HastyClock()
    stuck = pulled(message("tns1:VideoSource/MotionAlarm"))
    async with canned({"PullMessages": lambda _: stuck}, clock=clock) as (device, driver), Listener(driver):
        await until(lambda: len(device.asked("PullMessages")) >= 85)
        slept, first, began = len(clock.slept), len(device.asked("PullMessages")), time.monotonic()
        await until(lambda: len(device.asked("PullMessages")) >= 120)
        pulls = len(device.asked("PullMessages")) - first
        # This clock cuts sleeps short; what it cut is added again.
        took = time.monotonic() - began + sum(max(0.0, one - MOMENT) for one in clock.slept[slept:])
        assert took >= (pulls - 1) / 20, "twenty pulls a second, after the first eighty"


async def test_more_pull_points_that_are_not_advertised() -> None:
    async with rig(quirks={"pull_point_not_advertised"}) as one:
        await one.whole_life()


async def test_more_a_longest_pull_is_obeyed() -> None:
    async with rig(quirks={"pull_timeout_faults"}, max_pull_timeout=2.0) as one:
        await one.whole_life()
        assert one.simulator.seen["PullMessages"] <= 6, "refused once, not at each pull"


@pytest.mark.parametrize("longest", ["PT0S", "PT0.5S", "-PT5S", "soon", "PT30S", "P99999Y"])
async def test_more_a_longest_pull_that_makes_no_sense(longest: str) -> None:
    detail = (
        f"<tev:PullMessagesFaultResponse><tev:MaxTimeout>{longest}</tev:MaxTimeout></tev:PullMessagesFaultResponse>"
    )
    refusal = fault("s:Sender", "ter:InvalidArgVal", detail=detail)
    async with canned({"PullMessages": refusal}) as (device, driver):
        async with Listener(driver, again=False) as listener:
            await listener.until(lambda: listener.errors)
        assert "vanish" in listener.errors[0].detail
        assert len(device.asked("PullMessages")) <= 2


async def test_more_a_pull_without_times_or_messages() -> None:
    motion = "tns1:VideoSource/MotionAlarm"
    pulls = in_turn(envelope(""), pulled(seconds=None), pulled(message(motion), seconds=None))
    async with canned({"PullMessages": pulls}, clock=HastyClock()) as (_, driver), Listener(driver) as listener:
        await listener.heard(1)
        assert listener.resyncs == 1


async def test_more_a_device_without_events_says_so() -> None:
    none = fault("s:Receiver", "ter:ActionNotSupported", reason="no events here")
    async with canned({"CreatePullPointSubscription": none}) as (device, driver):
        with pytest.raises(Unsupported, match="no events here"):
            await anext(driver.events())
        assert len(device.asked("CreatePullPointSubscription")) == 1


async def test_more_events_before_the_first_poll_know_their_channel() -> None:
    async with rig() as one, Listener(one.driver) as listener:
        await listener.subscribed()
        await one.moves(True)
        assert (await listener.heard(1))[0].channel == ""


async def test_more_a_closed_driver_stops_listening() -> None:
    async with rig() as one, Listener(one.driver, again=False) as listener:
        await listener.subscribed()
        await one.driver.close()
        await asyncio.wait_for(listener.task, 5)
        assert listener.errors == []
        assert one.subscriptions == 0
