"""Quirks of what events say: each once and in order, in words that mean something.

The numbers are those of the table in `drivers/onvif/README.md`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.model import EventKind, Policy
from bridge.testing.clock import FakeClock
from tests.integration.onvif_canned import canned, in_turn, message, pulled
from tests.integration.onvif_rig import MAKES, Listener, rig, watched
from tests.support import until

# --- 10: the topic and the message


@pytest.mark.parametrize("seed", MAKES)
async def test_q10_topic_and_items_arrive(seed: int) -> None:
    async with rig(seed=seed) as one:
        async with Listener(one.driver) as listener:
            await listener.subscribed()
            source = one.simulator.state.sources[0].token
            await one.simulator.act("vendor_event", topic="tns1:Acme/tnsacme:Odd", data={"x": "1"}, source={"y": "<&>"})
            await one.moves(True)
            odd, motion = await listener.heard(2)
        assert (odd.kind, odd.topic, odd.data, odd.source) == (EventKind.VENDOR, "Acme/Odd", {"x": "1"}, "<&>")
        assert (motion.kind, motion.topic, motion.source) == (EventKind.MOTION, "VideoSource/MotionAlarm", source)


# --- 21: synchronization points


@pytest.mark.parametrize("quirk", ["no_synchronization_point", "empty_synchronization_reply"])
async def test_q21_the_first_pull_gives_the_state(quirk: str) -> None:
    async with rig(quirks={quirk}) as one:
        await one.moves(True)
        async with Listener(one.driver) as listener:
            await listener.subscribed()
            await listener.until(lambda: [e for e in listener.events if e.kind is EventKind.MOTION])
            (motion,) = [event for event in listener.events if event.kind is EventKind.MOTION]
            assert (motion.initial, motion.active) == (True, True)
        assert one.simulator.seen["SetSynchronizationPoint"] == 0


# --- 22: events twice, without an end, in other words


@pytest.mark.parametrize("quirk", ["initialized_twice", "numeric_states", "active_states"])
async def test_q22_each_edge_once(quirk: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with rig(quirks={quirk}, clock=clock) as one, watched(one.driver, tmp_path, clock) as watch:
        await watch.listening()
        await one.moves(True, False)
        await one.simulator.act("input", active=True)
        await until(lambda: watch.journal.written >= 3)
        await one.simulator.act("drop_subscriptions")  # and the whole burst once more
        await watch.until(lambda: one.simulator.seen["CreatePullPointSubscription"] == 2, within=60)
        await one.moves(True)
        await watch.until(lambda: watch.journal.written >= 4, within=60)
        told = [(entry.kind, entry.active) for entry in await watch.journal.after(0)]
        assert told == [("motion", True), ("motion", False), ("input", True), ("motion", True)]


async def test_q22_motion_that_never_ends_ends_itself(tmp_path: Path) -> None:
    clock = FakeClock()
    config = {"policy": Policy(poll=20.0, alarm_max=60.0)}
    quirks = {"motion_never_clears"}
    async with rig(config, quirks=quirks, clock=clock) as one, watched(one.driver, tmp_path, clock) as watch:
        await watch.listening()
        await one.moves(True, True, True)
        took = await watch.until(lambda: watch.journal.written == 2, within=150, step=5.0)
        told = [(entry.active, entry.reason) for entry in await watch.journal.after(0)]
        assert told == [(True, "event"), (False, "timeout")]
        assert took >= 55


@pytest.mark.parametrize(
    ("value", "active"),
    [("1", True), ("TRUE", True), ("on", True), ("active", True), ("0", False), ("Inactive", False), ("000", None)],
)
async def test_q22_words_for_a_state(value: str, active: bool | None) -> None:
    pull = pulled(message("tns1:RuleEngine/CellMotionDetector/Motion", value, name="IsMotion"))
    async with canned({"PullMessages": in_turn(pull)}) as (_, driver), Listener(driver) as listener:
        (event,) = await listener.heard(1)
        assert (event.kind, event.active, event.channel) == (EventKind.MOTION, active, "")


async def test_q22_deleted_is_over() -> None:
    topic = "tns1:VideoSource/MotionAlarm"
    pull = pulled(message(topic), message(topic, operation="Deleted"), message(topic, operation="Initialized"))
    async with canned({"PullMessages": in_turn(pull)}) as (_, driver), Listener(driver) as listener:
        assert [one.active for one in await listener.heard(2)] == [True, False]
        assert listener.events[-1].initial


# --- 23: odd topics


@pytest.mark.parametrize("quirk", ["dlink_topic", "video_analytics_topic"])
async def test_q23_odd_motion_topics(quirk: str) -> None:
    async with rig(quirks={quirk}) as one:
        await one.whole_life()


@pytest.mark.parametrize(
    ("topic", "data", "kind", "active"),
    [
        ("tns1:RuleEngine/MyRuleDetector/PeopleDetect", {"State": "true"}, EventKind.ANALYTICS, True),
        ("tns1:RuleEngine/MyRuleDetector/VehicleDetect", {"State": "1"}, EventKind.ANALYTICS, True),
        ("tns1:RuleEngine/PeopleDetector/People", {"IsPeople": "true"}, EventKind.ANALYTICS, True),
        ("tns1:RuleEngine/TPSmartEventDetector/TPMotion", {"IsTPMotion": "true"}, EventKind.MOTION, True),
        ("tns1:RuleEngine/CellMotionDetector/Motion//.", {"IsMotion": "true"}, EventKind.MOTION, True),
        ("RuleEngine/LineDetector/Crossed", {"ObjectId": "7"}, EventKind.ANALYTICS, None),
        ("tns1:VideoSource/GlobalSceneChange/AnalyticsService", {"State": "true"}, EventKind.TAMPER, True),
        ("tns1:Device/HardwareFailure", {"Failed": "true"}, EventKind.HARDWARE, True),
        ("tns1:Device/tnsacme:Siren", {"State": "true"}, EventKind.VENDOR, True),
        ("tnsacme:Whatever", {}, EventKind.VENDOR, None),
    ],
)
async def test_q23_odd_topics(topic: str, data: dict[str, str], kind: EventKind, active: bool | None) -> None:
    async with rig() as one, Listener(one.driver) as listener:
        await listener.subscribed()
        await one.simulator.act("vendor_event", topic=topic, data=data)
        (event,) = await listener.heard(1)
        assert (event.kind, event.active, event.data) == (kind, active, data)
        assert ":" not in event.topic
        assert event.topic.split("/")[-1] in topic, "what nobody knows is told as it came"


async def test_q23_a_hardware_failure_without_its_leaf() -> None:
    async with rig(quirks={"bare_hardware_failure"}) as one, Listener(one.driver) as listener:
        await listener.subscribed()
        await one.simulator.act("storage_failure")
        (event,) = await listener.heard(1)
        assert (event.kind, event.active, event.source) == (EventKind.HARDWARE, True, "SD_DISK")


async def test_q23_load_of_the_processor_is_noise() -> None:
    async with rig() as one, Listener(one.driver) as listener:
        await listener.subscribed()
        for value in range(5):
            await one.simulator.act("processor_usage", value=value)
        await one.moves(True)
        assert [event.kind for event in await listener.heard(1)] == [EventKind.MOTION]
