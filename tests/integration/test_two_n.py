"""The 2N driver on a simulated intercom: logins, licences, the log, doors, settings, and what goes wrong with them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from bridge.errors import AuthFailed, ProtocolError, Rejected, Throttled, Unreachable, Unsupported
from bridge.model import Capability, Command, EventKind
from bridge.settings.plan import plan
from bridge.settings.vocabulary import Settings, flatten
from bridge.testing.harness import HurriedClock
from bridge.testing.simulator import Fault
from tests.integration.two_n_rig import driver_of, panel, rig
from tests.support import until

ALL = frozenset((Capability.EVENTS, Capability.SETTINGS, Capability.REBOOT, Capability.OPEN_DOOR, Capability.SNAPSHOT))


async def planned(one, wanted: dict):
    settings = Settings.model_validate(wanted)
    now = await one.driver.read_settings(one.driver.device.channels[0], list(wanted))
    return plan(now, settings)


async def apply(one, wanted: dict) -> None:
    for step in (await planned(one, wanted)).steps():
        assert await one.driver.apply(one.driver.device.channels[0], step) is False


# -- logins and rights: dialects by service (pain 15), hidden permissions (16), lock-out (10) --------------------------


@pytest.mark.parametrize("scheme", ["none", "basic", "digest"])
async def test_every_service_may_want_another_login(scheme):
    services = ("system", "switch", "phone", "io", "camera", "log")
    async with rig(schemes={**dict.fromkeys(services, scheme), "phone": "basic"}) as one:
        assert (await one.driver.probe()).capabilities == ALL
        facts = (await one.driver.poll()).facts
        assert facts["sip_registered"] is True
        assert (facts["lock_1"], facts["lock_2"]) == ("locked", "locked")
        assert "lock_3" not in facts  # not enabled
        assert facts["uptime"] >= 3600
        assert abs(facts["clock_offset"]) <= 2
        assert "not_available" not in facts
        assert one.panel.seen["auth_failed"] == 0


async def test_an_old_nonce_costs_one_more_request_and_no_refusal():
    async with rig() as one:
        await one.driver.probe()
        await one.driver.poll()
        one.panel.logins.forget()
        await one.driver.poll()
        assert one.panel.seen["auth_failed"] == 0


@pytest.mark.parametrize(
    ("traits", "able", "told"),
    [
        ({"licensed": False}, {Capability.EVENTS, Capability.SNAPSHOT}, "error 4"),
        ({"disabled": ("switch", "log")}, ALL - {Capability.OPEN_DOOR, Capability.EVENTS}, "error 4"),
        ({"https_only": ("camera",)}, ALL - {Capability.SNAPSHOT}, "error 7"),
        ({"unprivileged": ("switch",)}, ALL - {Capability.OPEN_DOOR}, "error 10"),
        ({"unprivileged": ("phone", "log")}, ALL - {Capability.EVENTS}, "error 10"),
    ],
)
async def test_what_is_missing_is_named_and_the_rest_works(traits, able, told):
    async with rig(**traits) as one:
        assert (await one.driver.probe()).capabilities == able
        reading = await one.driver.poll()
        assert told in reading.facts["not_available"]
        assert reading.mark == f"{one.panel.serial} 2.50.0.76.2"
        before = one.panel.seen["GET"]
        await one.driver.poll()
        assert one.panel.seen["GET"] - before <= 3, "what is missing is asked for over and over"
        assert one.panel.seen["auth_failed"] == 0


async def test_two_refused_logins_stop_the_trying_and_the_block_is_told():
    clock = HurriedClock(1.0)
    async with panel(blocks=True) as one:
        async with driver_of(one) as known, driver_of(one, clock=clock) as new:
            await known.driver.probe()
            await one.inject(Fault.WRONG_PASSWORD)
            object.__setattr__(new.driver.device.policy, "auth_retry", 600.0)
            # The client took its patience from the policy that the kit has; ours is the runner's.
            new.driver._api._client._patience = 600.0
            for _ in range(5):
                with pytest.raises(AuthFailed):
                    await new.driver.probe()
            assert one.seen["auth_failed"] == 2, "two tries are below the three after which 2N blocks"
        await one.clear()
        async with driver_of(one) as hears:
            (event,) = await hears.heard(1, ("event", {"name": "LoginBlocked", "params": {"address": "192.0.2.1"}}))
            assert (event.kind, event.data) == (EventKind.SYSTEM, {"address": "192.0.2.1"})


@pytest.mark.parametrize(
    ("code", "error"),
    [
        *((code, Unsupported) for code in (1, 2, 3, 4, 7)),
        *((code, AuthFailed) for code in (8, 9, 10)),
        *((code, Rejected) for code in (11, 12, 13, 14, 15, 17, 18, 19)),
        (99, ProtocolError),
    ],
)
async def test_each_error_in_an_answer_of_200_has_its_name(code, error):
    async with rig() as one:
        one.panel.errors["/api/system/info"] = code
        with pytest.raises(error) as told:
            await one.driver.probe()
        assert str(code) in told.value.detail
        del one.panel.errors["/api/system/info"]
        await one.driver.probe()


# -- identity (20), firmware (12) ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("firmware", "lacking"), [("2.10", {"clock", "ntp", "sip"}), ("2.34", {"clock", "ntp", "sip"}), ("2.50", set())]
)
async def test_firmware_decides_what_can_be_set(firmware, lacking):
    async with rig(firmware=firmware) as one:
        identity = await one.driver.probe()
        assert (identity.manufacturer, identity.model, identity.serial) == ("2N", "2N IP Verso", one.panel.serial)
        assert identity.macs == (one.panel.mac.lower().replace("-", ":"),)
        sections = ("ntp", "clock", "sip", "call", "relays", "vendor")
        found = await one.driver.read_settings(one.driver.device.channels[0], sections)
        assert {path.partition(".")[0] for path in found.limits.fields} == set(sections) - lacking
        assert one.panel.writes() == 0


async def test_another_firmware_is_seen_by_a_poll():
    async with rig() as one:
        await one.driver.probe()
        before = (await one.driver.poll()).mark
        one.panel.firmware = type(one.panel.firmware)("2.51.0.1", 10_000, one.panel.firmware.events)
        marks = {(await one.driver.poll()).mark for _ in range(12)}
        assert marks == {before, f"{one.panel.serial} 2.51.0.1"}


async def test_no_door_of_another_panel_opens():
    async with rig() as one:
        await one.driver.probe()
        one.panel.serial = "54-0000-0001"
        with pytest.raises(Rejected, match="another intercom"):
            await one.open_door()
        assert one.panel.openings() == 0


# -- doors -----------------------------------------------------------------------------------------------------------


async def test_a_bistable_door_that_is_open_stays_open():
    async with rig(bistable=(2,)) as one:
        await one.driver.probe()
        await one.open_door(2)
        await one.open_door(2)
        assert one.panel.switches[2]["active"]
        assert (await one.driver.poll()).facts["lock_2"] == "unlocked"


async def test_a_locked_switch_is_refused_and_shown_as_locked():
    async with rig() as one:
        await one.driver.probe()
        one.panel.switches[1].update(locked=True, held=True)
        one.panel.switches[2].update(held=True)
        facts = (await one.driver.poll()).facts
        assert (facts["lock_1"], facts["lock_2"]) == ("locked", "held")
        with pytest.raises(Rejected, match="switch 1 is locked"):
            await one.open_door(1)
        assert one.panel.openings() == 0


async def test_a_lost_answer_opens_the_door_once():
    async with rig() as one:
        await one.driver.probe()
        await one.panel.inject(Fault.LOST_REPLY)
        with pytest.raises(Unreachable):
            await one.open_door()
        assert one.panel.openings() == 1


async def test_a_picture_in_the_largest_size():
    async with rig() as one:
        await one.driver.probe()
        result = await one.driver.command(Command(Capability.SNAPSHOT))
        assert (result.detail, result.content_type) == ("1280x960", "image/jpeg")
        one.panel.errors["/api/camera/snapshot"] = 15
        with pytest.raises(Rejected):  # JSON, and HTTP 200, where a picture belongs
            await one.driver.command(Command(Capability.SNAPSHOT))


async def test_the_door_contact_is_polled_where_it_is_listed():
    async with rig(config={"door_sensor": "input1"}) as one:
        await one.driver.probe()
        assert (await one.driver.poll()).facts["door"] == "closed"
        one.panel.ports["input1"]["state"] = 1
        assert (await one.driver.poll()).facts["door"] == "open"
    async with rig(config={"door_sensor": "input1", "door_sensor_inverted": True}) as one:
        await one.driver.probe()
        assert (await one.driver.poll()).facts["door"] == "open"


# -- the log: dead streams (1), broken parts (4), replays (13), restarts ----------------------------------------------


async def test_a_restart_of_the_bridge_repeats_nothing_and_loses_nothing():
    async with panel() as one, driver_of(one) as first:
        await first.driver.probe()
        await first.heard(3, ("ring", {}), ("switch", {}), ("switch", {"on": False}))
        await first.driver.close()
        assert one.open_subscriptions() == 0
        await one.act("answer")
        async with driver_of(one, memory=first.memory) as second:
            found = await second.heard(2, ("hang_up", {}))
    # That the call was answered happened while nobody listened; a new life does not know it, and says "missed" of none.
    assert [event.topic for event in found] == ["CallStateChanged", "CallStateChanged"]
    assert [event.data["state"] for event in found] == ["answered", "ended"]


async def test_a_crash_repeats_no_more_than_it_must():
    async with panel() as one, driver_of(one) as first:
        await first.heard(2, ("ring", {}), ("door", {}))
        left = dict(first.memory.values)
        async with driver_of(one, memory=first.memory) as second:
            second.memory.values.update(left)  # nobody closed anything
            found = await second.heard(1, ("vendor_event", {"topic": "new", "data": {}}))
        assert [event.topic for event in found] == ["new"]


async def test_old_events_of_the_history_are_marked():
    async with panel() as one, driver_of(one) as first:
        await first.driver.poll()
        await first.heard(1, ("vendor_event", {"topic": "a", "data": {}}))
        await first.driver.close()
        one.log.add("DoorStateChanged", {"state": "opened"}, utc=one.now() - 70, up=one.uptime - 70)
        async with driver_of(one, memory=first.memory) as second:
            await second.driver.poll()
            found = await second.heard(2, ("door", {"open": False}))
            assert [(event.data["state"], event.replayed) for event in found] == [("open", True), ("closed", False)]
            facts = (await second.driver.poll()).facts
            assert (facts["events_late"], facts["door"]) == (1, "closed")


async def test_what_comes_now_is_news_whatever_the_clock_of_the_device_says():
    async with rig() as one:
        await one.driver.poll()
        await one.panel.inject(Fault.CLOCK_SKEW, -6 * 3600.0)
        (event,) = await one.heard(1, ("door", {}))
        assert not event.replayed


async def test_after_a_restart_of_the_intercom_ids_begin_anew_and_nothing_is_lost():
    async with rig() as one:
        await one.driver.probe()
        for _ in range(5):
            await one.panel.act("switch")
        await one.heard(1, ("ring", {}))
        await one.panel.reboot()
        found = await one.heard(2, ("vendor_event", {"topic": "after", "data": {}}))
        assert [each.kind for each in found] == [EventKind.REBOOT, EventKind.VENDOR]
        reading = await one.driver.poll()
        assert reading.facts["uptime"] < 3600


async def test_a_channel_that_nobody_pulled_in_time_is_opened_again():
    async with rig() as one:
        await one.driver.probe()
        async with aclosing(one.driver.events()) as events:
            assert (await anext(events)).kind is EventKind.RESYNC
            (channel,) = one.panel.log.channels.values()
            assert channel.duration == 90
            channel.used -= 91
            assert [event async for event in events] == []  # error 12: the stream ends, and the runner begins anew
        await one.heard(1, ("door", {}))
        assert len(one.panel.log.channels) == 1


async def test_more_than_a_batch_comes_in_order():
    async with rig() as one:
        acts = [("vendor_event", {"topic": "n", "data": {"number": str(number)}}) for number in range(300)]
        found = await one.heard(300, *acts)
        assert [event.data["number"] for event in found] == [str(number) for number in range(300)]


async def test_an_event_that_cannot_be_read_costs_no_other():
    async with rig() as one:
        broken = [
            {"event": 7},
            "text",
            {"id": 1, "event": "DoorStateChanged", "params": None},
            {"id": "x", "event": "y"},
        ]
        acts = [("raw", {"event": each}) for each in broken if isinstance(each, dict)]
        acts = [("raw", {"event": {"event": "Odd", "id": "x"}}), ("raw", {"event": {"event": "", "id": 3}}), *acts[1:2]]
        (first, second) = await one.heard(2, *acts, ("door", {}))
        assert (first.topic, first.source_time) == ("DoorStateChanged", None)
        assert second.active is True
        assert (await one.driver.poll()).facts["events_broken"] == 2


async def test_a_stream_that_is_silent_and_dead_is_noticed():
    async with rig(config={"timeout": 0.3}) as one:
        await one.driver.probe()
        async with aclosing(one.driver.events()) as events:
            await anext(events)
            one.driver._subscription.catching_up = True  # so that a pull does not wait 20 s for something to happen
            await one.panel.inject(Fault.BLACK_HOLE)
            with pytest.raises(Unreachable):
                await anext(events)


async def test_events_off_lets_go_of_our_channel_and_of_no_other():
    async with panel() as one:
        foreign = one.log.subscribe("new", frozenset(), 3600, asyncio.get_running_loop().time(), one.now())
        async with driver_of(one) as first:
            await first.heard(1, ("door", {}))
            left = dict(first.memory.values)
        first.memory.values.update(left)
        async with driver_of(one, memory=first.memory, config={"events": "off"}) as second:
            assert Capability.EVENTS not in (await second.driver.probe()).capabilities
            with pytest.raises(Unsupported):
                await anext(aiter(second.driver.events()))
        assert list(one.log.channels) == [foreign]


async def test_a_code_never_appears_anywhere():
    async with rig() as one:
        await one.driver.probe()
        acts = [
            *(("event", {"name": "KeyPressed", "params": {"key": digit}}) for digit in "4711*"),
            ("code", {"code": "4711"}),
            ("event", {"name": "DtmfEntered", "params": {"code": "4711", "type": "uni", "valid": True}}),
            ("event", {"name": "DtmfSent", "params": {"digits": "4711"}}),
            ("event", {"name": "KeyPressed", "params": {"key": "%1"}}),
        ]
        found = await one.heard(4, *acts)
        assert [event.topic for event in found] == ["UserAuthenticated", "DtmfEntered", "DtmfSent", "Key"]
        assert "4711" not in repr(found)
        assert found[0].data["by"] == "code"


@pytest.mark.parametrize(
    ("act", "granted", "reason"),
    [
        ({"granted": True}, "true", None),
        ({"granted": False, "valid": True}, "false", "invalidTime"),
        ({"granted": False}, "false", None),
    ],
)
async def test_a_card_is_one_access_with_the_last_word_about_it(act, granted, reason):
    async with rig() as one:
        await one.driver.probe()
        first, last = await one.heard(2, ("card", act), ("vendor_event", {"topic": "end", "data": {}}))
        assert first.kind is EventKind.ACCESS
        assert (first.data["by"], first.data["granted"]) == ("card", granted)
        assert first.data["credential"] == "000000FF1A2B3C".rjust(14, "0")
        assert first.data.get("reason") == reason
        assert last.topic == "end"


async def test_a_card_of_whose_user_nobody_tells_us_is_told_after_a_while():
    async with rig(clock=HurriedClock(100.0)) as one:
        await one.driver.probe()
        one.panel.log.silent = {"UserAuthenticated"}  # no privilege for it: left out without a word
        later = asyncio.create_task(_again(one.panel))
        found = await one.heard(2, ("card", {}))
        later.cancel()
        assert {event.topic for event in found} == {"CardEntered", "tick"}


async def _again(one) -> None:
    while True:
        await asyncio.sleep(0.5)
        await one.act("vendor_event", topic="tick", data={})


# -- settings --------------------------------------------------------------------------------------------------------


async def test_an_uploaded_configuration_is_waited_for():
    async with rig(clock=HurriedClock(20.0)) as one:
        await one.driver.probe()
        one.panel.config_delay = 0.2
        await apply(one, {"call": {"talk": 240}})
        assert one.panel.settings.value("Phone/Calls/MaxCallDuration") == "240"


async def test_a_device_that_says_yes_and_does_nothing_is_not_waited_for_for_ever():
    async with rig(clock=HurriedClock(500.0)) as one:
        await one.driver.probe()
        one.panel.config_delay = 60.0
        await apply(one, {"call": {"talk": 240}})
        assert not (await planned(one, {"call": {"talk": 240}})).empty


async def test_only_what_changes_is_uploaded():
    async with rig() as one:
        await one.driver.probe()
        before = one.panel.settings.export()
        await apply(one, {"vendor": {"two_n": {"device_name": "<Gate> & yard"}}})
        after = one.panel.settings.export()
        assert one.panel.settings.value("WebServer/DeviceName") == "<Gate> & yard"
        assert after.replace(b"&lt;Gate&gt; &amp; yard", b"sim") == before


async def test_the_password_of_sip_goes_into_the_body_and_is_never_read():
    async with rig() as one:
        await one.driver.probe()
        await apply(one, {"sip": {"password": "sip-Pass-4711", "username": "301"}})
        assert one.panel.settings.passwords == {1: "sip-Pass-4711"}
        found = await one.driver.read_settings(one.driver.device.channels[0], ["sip"])
        assert "sip.password" not in flatten(found.settings)
        assert flatten(found.settings)["sip.username"] == "301"


async def test_relays_can_be_read_and_not_be_set():
    async with rig(bistable=(2,)) as one:
        found = await one.driver.read_settings(one.driver.device.channels[0], ["relays"])
        assert flatten(found.settings) == {
            "relays.1.mode": "monostable",
            "relays.1.duration": 5,
            "relays.2.mode": "bistable",
        }
        (refusal,) = (await planned(one, {"relays": {"1": {"duration": 9}}})).refusals
        assert "cannot be changed" in refusal.reason


async def test_the_ntp_server_is_set_only_where_it_can_be_read_back():
    async with rig() as one:
        await apply(one, {"ntp": {"servers": ["192.0.2.9"], "enabled": True}})
        assert (one.panel.settings.time_server, one.panel.settings.automatic_time) == ("192.0.2.9", True)
        one.panel.firmware = type(one.panel.firmware)("2.44", 10_000, one.panel.firmware.events)
        (refusal,) = (await planned(one, {"ntp": {"servers": ["192.0.2.10"]}})).refusals
        assert refusal.path == "ntp.servers"


# -- what is no 2N, and a busy one -----------------------------------------------------------------------------------


async def test_a_busy_device_is_left_alone(monkeypatch):
    async with rig() as one:
        from aiohttp import web

        async def busy(request):
            return web.Response(status=503, headers={"Retry-After": "7"})

        monkeypatch.setattr(one.panel, "answer", busy)
        with pytest.raises(Throttled) as told:
            await one.driver.poll()
        assert told.value.seconds == 7


async def test_a_restart_is_asked_for_once():
    async with rig() as one:
        await one.driver.probe()
        await one.driver.command(Command(Capability.REBOOT))
        await until(lambda: one.panel.reboots == 1)
        with pytest.raises(Unsupported):
            await one.driver.command(Command(Capability.POWER_CYCLE))
