"""Subscriptions and events of the simulated device, over raw requests."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import aiohttp
import pytest

from bridge.model import Kind
from bridge.testing.clock import FakeClock
from drivers.onvif.simulated.events import QUEUE
from drivers.onvif.simulated.state import CELL_MOTION, MOTION_ALARM
from drivers.onvif.simulated.times import format_datetime
from tests.integration.onvif_raw import (
    EVENTS,
    GET_PROFILES,
    LIMIT,
    SYNCHRONIZE,
    UNSUBSCRIBE,
    WSNT,
    Answer,
    Raw,
    create,
    device,
    names,
    pull,
    renew,
    until,
)


async def messages(raw: Raw, address: str) -> list[tuple[str, str | None, dict[str, str]]]:
    answer = await raw.ask(pull("PT1S"), address)
    return [(one.topic, one.operation, one.data) for one in answer.notifications]


def seconds(answer: Answer) -> float:
    """TerminationTime less CurrentTime."""
    first, last = (datetime.fromisoformat(answer.one(name)) for name in ("CurrentTime", "TerminationTime"))
    return (last - first).total_seconds()


async def test_the_burst_names_every_property() -> None:
    async with device(channels=2, inputs=2, relays=2, motion_topics=(MOTION_ALARM, CELL_MOTION)) as raw:
        burst = (await raw.ask(pull(), await raw.subscribe())).notifications
        assert {one.operation for one in burst} == {"Initialized"}
        topics = [one.topic for one in burst]
        assert {topic: topics.count(topic) for topic in topics} == {
            "tns1:VideoSource/MotionAlarm": 2,
            "tns1:RuleEngine/CellMotionDetector/Motion": 2,
            "tns1:VideoSource/SignalLoss": 2,
            "tns1:VideoSource/GlobalSceneChange/ImagingService": 2,
            "tns1:Device/Trigger/DigitalInput": 2,
            "tns1:Device/Trigger/Relay": 2,
            "tns1:Device/HardwareFailure/StorageFailure": 1,
            "tns1:Monitoring/ProcessorUsage": 1,
            "tns1:Monitoring/OperatingTime/LastReboot": 1,
        }
        sources = raw.simulator.state.sources
        assert [one.source for one in burst if one.topic == MOTION_ALARM] == [{"Source": s.token} for s in sources]
        cell = [one.source for one in burst if one.topic == CELL_MOTION]
        assert [one["VideoSourceConfigurationToken"] for one in cell] == [source.config_token for source in sources]


async def test_what_happens_is_told_as_a_change() -> None:
    async with device(channels=2) as raw:
        address = await raw.quiet()
        second = raw.simulator.state.sources[1].token
        token = next(iter(raw.simulator.state.profiles))
        for action, details, topic, operation, data in (
            ("motion", {"channel": 1}, "tns1:VideoSource/MotionAlarm", "Changed", {"State": "true"}),
            ("motion", {"channel": second, "active": False},
             "tns1:VideoSource/MotionAlarm", "Changed", {"State": "false"}),
            ("tamper", {}, "tns1:VideoSource/GlobalSceneChange/ImagingService", "Changed", {"State": "true"}),
            ("signal_loss", {"channel": 1}, "tns1:VideoSource/SignalLoss", "Changed", {"State": "true"}),
            ("input", {}, "tns1:Device/Trigger/DigitalInput", "Changed", {"LogicalState": "true"}),
            ("relay", {}, "tns1:Device/Trigger/Relay", "Changed", {"LogicalState": "active"}),
            ("storage_failure", {}, "tns1:Device/HardwareFailure/StorageFailure", "Changed", {"Failed": "true"}),
            ("processor_usage", {"value": 99.5}, "tns1:Monitoring/ProcessorUsage", "Changed", {"Value": "99.5"}),
            ("profile_changed", {"token": token}, "tns1:Media/ProfileChanged", None, {}),
            ("vendor_event", {"topic": "tns1:RuleEngine/MyRuleDetector/Visitor", "active": True},
             "tns1:RuleEngine/MyRuleDetector/Visitor", "Changed", {"State": "true"}),
            ("vendor_event", {"topic": "tnsx:A<B", "data": {"n": "<&\">"}}, "tnsx:A<B", None, {"n": "<&\">"}),
            ("vendor_event", {"topic": "x", "data": {"n": "s:Body tt:x 1:2"}}, "x", None, {"n": "s:Body tt:x 1:2"}),
        ):  # fmt: skip
            await raw.simulator.act(action, **details)
            assert await messages(raw, address) == [(topic, operation, data)], action


async def test_no_change_is_no_message() -> None:
    async with device() as raw:
        address = await raw.quiet()
        await raw.simulator.act("motion", active=False)
        await raw.simulator.act("motion", active=True)
        await raw.simulator.act("motion", active=True)
        assert len(await messages(raw, address)) == 1


@pytest.mark.parametrize(
    ("action", "details", "says"),
    [
        ("motoin", {}, "did you mean 'motion'"),
        ("dance", {}, "it is one of motion"),
        ("motion", {"channel": 3}, "0 to 0"),
        ("motion", {"loud": True}, "it takes active, channel"),
        ("input", {"token": "x"}, "DigitInput_1"),
        ("stream_loss", {"how": "slowly"}, "404, 454, 503, close"),
        ("remove_profile", {"token": "x"}, "no stream 'x'"),
        ("vendor_event", {"topic": "x", "data": [1]}, "names with values"),
    ],
)
async def test_what_cannot_happen(action: str, details: dict[str, object], says: str) -> None:
    async with device() as raw:
        with pytest.raises(ValueError, match=says):
            await raw.simulator.act(action, **details)


async def test_pull_waits_for_a_message_or_the_timeout() -> None:
    async with device() as raw:
        address = await raw.quiet()
        began = time.monotonic()
        empty = await raw.ask(pull("PT0.3S"), address)
        assert empty.notifications == []
        assert 0.25 < time.monotonic() - began < 2

        waiting = asyncio.create_task(raw.ask(pull("PT9S"), address))
        await until(lambda: raw.simulator.seen["PullMessages"] == 3)
        second = await raw.ask(pull("PT1S"), address)
        assert second.subcodes == ["UnableToGetMessagesFault"]
        await raw.simulator.act("motion")
        assert len((await waiting).notifications) == 1
        assert time.monotonic() - began < 5


async def test_a_pull_whose_client_went_away_loses_nothing() -> None:
    async with device() as raw:
        address = await raw.quiet()
        with pytest.raises(asyncio.TimeoutError):
            await raw.ask(pull("PT30S"), address, timeout=0.2)
        # The device takes a moment to notice that nobody waits any more.
        while (await raw.ask(pull("PT0S"), address)).reply == "Fault":
            pass
        await raw.simulator.act("motion")
        assert [data for _, _, data in await messages(raw, address)] == [{"State": "true"}]


async def test_the_longest_wait_is_cut() -> None:
    async with device(max_pull_timeout=0.2) as raw:
        address = await raw.quiet()
        assert (await raw.ask(pull("PT1H"), address, timeout=5)).notifications == []


async def test_message_limit_leaves_the_rest() -> None:
    async with device() as raw:
        address = await raw.subscribe()
        counts = [len((await raw.ask(pull(limit=3), address)).notifications) for _ in range(3)]
        assert counts == [3, 3, 2]
        assert (await raw.ask(pull(limit=0), address)).subcodes == ["InvalidArgVal"]
        assert (await raw.ask(pull("soon"), address)).subcodes == ["InvalidArgs"]


async def test_slots_are_limited_and_come_back() -> None:
    clock = FakeClock()
    async with device(max_pull_points=2, clock=clock, auth="none") as raw:
        first = await raw.subscribe(time="PT1H")
        await raw.subscribe(time="PT60S")
        full = await raw.ask(create())
        assert (full.status, full.subcodes) == (500, ["SubscribeCreationFailedFault"])
        assert raw.simulator.open_subscriptions() == 2
        await raw.ask(UNSUBSCRIBE, first)
        assert raw.simulator.open_subscriptions() == 1
        await raw.subscribe(time="PT1H")
        await clock.advance(61)  # the one of 60 s is over
        assert raw.simulator.open_subscriptions() == 1
        await raw.subscribe()


async def test_lifetimes() -> None:
    clock = FakeClock()
    async with device(clock=clock, auth="none") as raw:
        now = raw.simulator.state.now()
        absolute = format_datetime(now + 120)
        for asked, life in (("PT90S", 90), (absolute, 120), (absolute.replace("Z", "+00:00"), 120), (None, 60)):
            answer = await raw.ask(create(asked))
            assert seconds(answer) == life
            await raw.ask(UNSUBSCRIBE, answer.one("Address"))
        for bad, subcode in (
            (format_datetime(now - 5), "UnacceptableInitialTerminationTimeFault"),
            ("soon", "InvalidArgVal"),
        ):
            assert (await raw.ask(create(bad))).subcodes == [subcode]

        address = (await raw.ask(create("PT10S"))).one("Address")
        # Pulling keeps it alive for the timeout of the pull, renewing for what is asked.
        answer = await raw.ask(pull("PT50S"), address)
        assert seconds(answer) == 50
        await clock.advance(49)
        assert seconds(await raw.ask(renew("PT30S"), address)) == 30
        await clock.advance(31)
        gone = await raw.ask(renew("PT30S"), address)
        assert (gone.status, gone.subcodes) == (500, ["ResourceUnknownFault"])
        assert "Timestamp" in names(gone.root)


async def test_filters_and_policy() -> None:
    async with device() as raw:
        address = await raw.subscribe(topic="tns1:VideoSource//.|tns1:Device/Trigger/Relay")
        topics = [topic for topic, _, _ in await messages(raw, address)]
        assert topics == [
            "tns1:VideoSource/SignalLoss",
            "tns1:VideoSource/GlobalSceneChange/ImagingService",
            "tns1:Device/Trigger/Relay",
            "tns1:VideoSource/MotionAlarm",
        ]
        await raw.simulator.act("input")
        await raw.simulator.act("relay")
        assert [topic for topic, _, _ in await messages(raw, address)] == ["tns1:Device/Trigger/Relay"]

        policy = "<SubscriptionPolicy><ChangedOnly/></SubscriptionPolicy>"
        quiet = await raw.subscribe(more=policy)
        await raw.simulator.act("motion")
        assert len(await messages(raw, quiet)) == 1

        content = create().replace("<Initial", f'<Filter><MessageContent xmlns="{WSNT}"/></Filter><Initial')
        assert (await raw.ask(content)).subcodes == ["InvalidFilterFault"]
        dialect = create(topic="tns1:Device//.").replace("ConcreteSet", "Full")
        assert (await raw.ask(dialect)).subcodes == ["TopicExpressionDialectUnknownFault"]


async def test_synchronization_point_repeats_the_state() -> None:
    async with device() as raw:
        address = await raw.quiet()
        await raw.simulator.act("motion")
        await messages(raw, address)
        assert (await raw.ask(SYNCHRONIZE, address)).reply == "SetSynchronizationPointResponse"
        again = await messages(raw, address)
        assert len(again) == 8
        assert ("tns1:VideoSource/MotionAlarm", "Initialized", {"State": "true"}) in again


async def test_a_reboot_erases_subscriptions_and_says_so() -> None:
    async with device() as raw:
        port = raw.simulator.port
        address = await raw.quiet()
        await raw.simulator.act("motion")
        await raw.simulator.act("input")
        waiting = asyncio.create_task(raw.ask(pull("PT30S"), await raw.quiet()))
        await until(lambda: raw.simulator.seen["PullMessages"] == 3)
        await raw.simulator.reboot()
        with pytest.raises(aiohttp.ClientError):
            await waiting
        assert (raw.simulator.port, raw.simulator.open_subscriptions()) == (port, 0)
        assert (await raw.ask(pull(), address)).subcodes == ["ResourceUnknownFault"]
        new = await raw.subscribe()
        assert new != address
        state = {topic: data for topic, _, data in await messages(raw, new)}
        assert state["tns1:VideoSource/MotionAlarm"] == {"State": "false"}
        assert state["tns1:Device/Trigger/DigitalInput"] == {"LogicalState": "true"}


async def test_system_reboot_over_the_wire() -> None:
    body = '<SystemReboot xmlns="http://www.onvif.org/ver10/device/wsdl"/>'
    async with device(reboot_seconds=0.05) as raw:
        booted = raw.simulator.state.booted_at
        await raw.quiet()
        assert (await raw.ask(body)).reply == "SystemRebootResponse"
        await until(lambda: raw.simulator.state.booted_at > booted)
        assert raw.simulator.open_subscriptions() == 0
        address = await raw.quiet()
        assert address


async def test_dropped_subscriptions() -> None:
    async with device() as raw:
        address = await raw.quiet()
        waiting = asyncio.create_task(raw.ask(pull("PT30S"), address))
        await until(lambda: raw.simulator.seen["PullMessages"] == 2)
        await raw.simulator.act("drop_subscriptions")
        assert (await asyncio.wait_for(waiting, LIMIT)).subcodes == ["ResourceUnknownFault"]
        assert raw.simulator.open_subscriptions() == 0


async def test_the_queue_has_an_end() -> None:
    async with device() as raw:
        address = await raw.quiet()
        for number in range(QUEUE + 5):
            await raw.simulator.act("processor_usage", value=float(number))
        first = (await raw.ask(pull(limit=1), address)).notifications[0]
        assert first.data == {"Value": "5"}


async def test_profiles_come_and_go() -> None:
    async with device() as raw:
        address = await raw.quiet()
        await raw.simulator.act("add_profile", name="mobile")
        assert len((await raw.ask(GET_PROFILES)).all("Name")) == 3 * 3  # of the profile, the source, the encoder
        await raw.simulator.act("remove_profile", token="low")
        tokens = [p.get("token") for p in (await raw.ask(GET_PROFILES)).root.iter("{*}Profiles")]
        assert tokens == list(raw.simulator.state.profiles)
        assert [topic for topic, _, _ in await messages(raw, address)] == ["tns1:Media/ProfileChanged"] * 2


async def test_subscribe_without_producers() -> None:
    body = (
        f'<Subscribe xmlns="{WSNT}"><ConsumerReference><Address xmlns="http://www.w3.org/2005/08/addressing">'
        "{}</Address></ConsumerReference></Subscribe>"
    )
    async with device(max_notification_producers=0) as raw:
        assert (await raw.ask(body.format("http://127.0.0.1:1/"))).subcodes == ["ActionNotSupported"]
    async with device(max_notification_producers=1) as raw:
        assert (await raw.ask(body.format("ftp://x"))).subcodes == ["InvalidArgVal"]
        assert (await raw.ask(body.format("http://127.0.0.1:1/"))).reply == "SubscribeResponse"
        assert (await raw.ask(body.format("http://127.0.0.1:1/"))).subcodes == ["SubscribeCreationFailedFault"]
        await until(lambda: raw.simulator.seen["notify_failed"] > 0)  # nobody listens there, and nothing is retried
        assert raw.simulator.open_subscriptions() == 1


async def test_event_properties_describe_the_topics() -> None:
    async with device(kind=Kind.INTERCOM) as raw:
        answer = await raw.ask(f'<GetEventProperties xmlns="{EVENTS}"/>')
        motion = answer.root.find(".//{*}VideoSource/MotionAlarm")
        assert motion is not None
        assert motion.get("{http://docs.oasis-open.org/wsn/t-1}topic") == "true"
        assert motion.find("{*}MessageDescription").get("IsProperty") == "true"
        assert answer.root.find(".//{*}Media/ProfileChanged") is not None


async def test_same_seed_same_device() -> None:
    said = []
    for _ in range(2):
        async with device(seed=42) as raw:
            said.append((await raw.ask('<GetDeviceInformation xmlns="http://www.onvif.org/ver10/device/wsdl"/>')).raw)
    assert said[0] == said[1]
