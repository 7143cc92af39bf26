"""What hurts people who have Hikvision panels, each a test: streams, webhooks, logs, locks, firmware."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from pyhik.hikvision import HikCamera

from bridge.driver import ShortMemory
from bridge.errors import AuthFailed, Locked, Rejected, Throttled, Unsupported
from bridge.model import Capability, Command, EventKind, Result
from bridge.testing.harness import HurriedClock
from bridge.testing.simulator import Fault
from drivers.hikvision.simulator import HikvisionSimulator
from tests.integration.hikvision_rig import panel, rig
from tests.support import until

VMS = {1: "192.0.2.70"}  # another VMS has the first slot


def slot_of(one: HikvisionSimulator, number: int) -> dict[str, str]:
    return dict(one.hosts.slots[number])


# -- the event stream --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["kv6113", "kv6124", "kd8003", "k1t343"])
async def test_every_model_is_read_heard_and_opened(profile: str) -> None:
    async with panel(profile=profile) as gate, rig() as bridge, bridge.listening(gate) as ears:
        await gate.act("card", card="0012345678", user="77")
        (card,) = await ears.heard(EventKind.ACCESS)
        assert card.data["credential"] == "00000000BC614E"
        reading = await ears.driver.poll()
        assert {"uptime", "clock_offset", "sip_registered", "door", "lock_1", "events_from"} <= set(reading.facts)
        assert gate.serial in reading.mark
        for door in range(1, gate.profile.doors + 1):
            await ears.driver.command(Command(Capability.OPEN_DOOR, arguments={"output": door}))
        assert gate.openings() == gate.profile.doors
        await ears.heard(EventKind.LOCK, gate.profile.doors)


async def test_what_the_panel_had_kept_is_marked_and_told_once() -> None:
    """And not once more after a restart of the bridge."""
    memory = ShortMemory()
    async with panel(replay=True) as gate, rig() as bridge:
        await gate.act("card", card="1")
        await gate.act("card", card="2")
        async with bridge.listening(gate, memory=memory) as ears:
            old = await ears.heard(EventKind.ACCESS, 2)
            assert all(event.replayed for event in old)
            await gate.act("card", card="3")
            news = (await ears.heard(EventKind.ACCESS, 3))[2]
            assert not news.replayed
            await until(lambda: "log" in memory.values)
        async with bridge.listening(gate, memory=memory) as ears:
            await gate.act("motion")
            await ears.heard(EventKind.MOTION)
            assert ears.of(EventKind.ACCESS) == []
            facts = (await ears.driver.poll()).facts
            assert facts["events_repeated"] == 3


async def test_a_part_that_cannot_be_read_costs_nothing_else() -> None:
    async with panel(profile="kv6124") as gate, rig() as bridge, bridge.listening(gate) as ears:
        for body in (
            b"",
            b"junk",
            b"<EventNotificationAlert><eventType/>",
            b'{"eventType": 5, "x": [',
            b"\xff\xd8\xff",
        ):
            await gate.act("raw", body=body)
        gate._alert("VMD", True, count="")
        await ears.heard(EventKind.MOTION)
        assert len(ears.of(EventKind.RESYNC)) == 1
        assert (await ears.driver.poll()).facts["events_malformed"] == 5


async def test_missing_heartbeats_are_noticed_by_their_pace() -> None:
    async with panel(heartbeat=0.03) as gate, rig() as bridge, bridge.listening(gate, silence=86_400) as ears:
        await asyncio.sleep(0.3)  # some heartbeats
        await gate.act("drop_subscriptions")
        await ears.heard(EventKind.RESYNC, 2)
        await gate.act("motion")
        await ears.heard(EventKind.MOTION)


async def test_a_silent_stream_without_heartbeats_is_found_out_by_the_log() -> None:
    async with panel(profile="kv6124") as gate, rig() as bridge, bridge.listening(gate, silence=86_400) as ears:
        await asyncio.sleep(0.2)
        await gate.act("drop_subscriptions")
        entry = {"major": 5, "minor": 1, "doorNo": 1, "serialNo": gate._serial_no + 1, "cardNo": "5"}
        gate.log.append({**entry, "time": gate._when(gate.now() + 2)})  # by its clock, after the stream was opened
        ears.driver._listening.offset = 20.0  # so that it is old enough not to be on its way any more
        (missed,) = await ears.heard(EventKind.ACCESS)
        assert missed.data["by"] == "card"
        await ears.heard(EventKind.RESYNC, 2)


async def test_who_comes_back_too_soon_is_told_to_wait_and_does() -> None:
    async with panel(rest=0.4) as gate, rig() as bridge, bridge.listening(gate, clock=HurriedClock(60)) as ears:
        gate.end_streams()
        await ears.heard(EventKind.RESYNC, 2)
        assert any(isinstance(error, Throttled) for error in ears.errors)
        assert not any(isinstance(error, AuthFailed) for error in ears.errors)
        assert (await ears.driver.poll()).facts["events_from"] == "stream"


async def test_nonces_that_went_with_the_stream_are_no_wrong_password() -> None:
    async with panel() as gate, rig() as bridge, bridge.listening(gate) as ears:
        for _ in range(3):
            await ears.driver.poll()
            gate.end_streams()
            await until(lambda: not gate.open_subscriptions())
            await ears.driver.poll()
        assert gate.seen["auth_failed"] == 0


async def test_a_panel_without_a_free_session_has_no_wrong_password() -> None:
    async with panel() as gate, rig() as bridge:
        driver = bridge.driver(gate)
        await driver.probe()
        gate.full = True
        with pytest.raises(Throttled):
            await driver.poll()
        gate.full = False
        await driver.poll()


# -- the webhook -------------------------------------------------------------------------------------------------------


async def test_where_the_stream_is_refused_the_webhook_takes_over() -> None:
    async with panel(streams=1, others=VMS, rings=False) as gate, rig() as bridge, bridge.listening(gate):
        theirs = slot_of(gate, 1)
        async with bridge.listening(gate) as second:
            assert (await second.driver.poll()).facts["events_from"] == "webhook"
            await gate.act("card", card="7")
            await second.heard(EventKind.ACCESS)
            await gate.act("motion")
            await second.heard(EventKind.MOTION)
            assert slot_of(gate, 1) == theirs
            assert gate.registrations() == 2
            await second.driver.release()
        assert slot_of(gate, 1) == theirs
        assert gate.registrations() == 1


@pytest.mark.parametrize("pictures", [False, True])
async def test_posts_come_as_xml_json_and_with_pictures(pictures: bool) -> None:
    async with (
        panel(pictures=pictures, others=VMS) as gate,
        rig() as bridge,
        bridge.listening(gate, events="webhook") as ears,
    ):
        await gate.act("motion")  # XML
        await gate.act("face", user="5")  # JSON
        await ears.heard(EventKind.MOTION)
        (face,) = await ears.heard(EventKind.ACCESS)
        assert (face.data["by"], face.data["user"]) == ("face", "5")
        await until(lambda: gate.hosts.answers == {200: 2})


async def test_our_address_is_repaired_and_nothing_is_written_where_it_is_right() -> None:
    memory = ShortMemory()
    async with panel(others=VMS) as gate, rig() as bridge:
        async with bridge.listening(gate, memory=memory, events="webhook") as ears:
            assert gate.hosts.writes == 1
            mine = slot_of(gate, 3)
            gate.hosts.slots[3]["portNo"] = "1"
            await ears.heard(EventKind.RESYNC, 2)
            assert slot_of(gate, 3) == mine
        async with bridge.listening(gate, memory=memory, events="webhook"):
            assert gate.hosts.writes == 2  # the repair; the restart wrote nothing
            assert slot_of(gate, 3) == mine


async def test_events_off_takes_our_address_out_and_no_other() -> None:
    memory = ShortMemory()
    async with panel(others=VMS) as gate, rig() as bridge:
        async with bridge.listening(gate, memory=memory, events="webhook"):
            assert gate.registrations() == 2
        off = bridge.driver(gate, memory=memory, events="off")
        assert Capability.EVENTS not in (await off.probe()).capabilities
        assert gate.registrations() == 1
        with pytest.raises(Unsupported):
            await anext(aiter(off.events()))


async def test_where_all_addresses_are_taken_the_log_is_read() -> None:
    others = {number: f"192.0.2.{70 + number}" for number in (1, 2, 3)}
    async with panel(streams=0, others=others) as gate, rig() as bridge:
        before = [slot_of(gate, number) for number in others]
        async with bridge.listening(gate) as ears:
            assert (await ears.driver.poll()).facts["events_from"] == "log"
            await gate.act("card", card="9")
            await ears.heard(EventKind.ACCESS)
        assert [slot_of(gate, number) for number in others] == before
        assert gate.hosts.writes == 0


async def test_a_webhook_that_the_panel_cannot_call_is_said_so() -> None:
    """Plain HTTP and an IP address, or none at all."""
    async with panel() as gate, rig(scheme="https") as bridge:
        driver = bridge.driver(gate, events="webhook")
        with pytest.raises(Unsupported, match="plain HTTP"):
            await anext(aiter(driver.events()))
    async with panel() as gate, rig(callbacks=False) as bridge:
        driver = bridge.driver(gate, events="webhook")
        with pytest.raises(Unsupported, match=r"bridge\.callbacks"):
            await anext(aiter(driver.events()))


async def test_a_call_that_cannot_be_read_is_refused_and_counted() -> None:
    async with panel() as gate, rig() as bridge, bridge.listening(gate, events="webhook") as ears:
        slot = gate.hosts.taken()[0]
        url = f"http://{slot['ipAddress']}:{slot['portNo']}{slot['url']}"
        async with bridge.http.post(url, data=b"junk", headers={"Content-Type": "application/xml"}) as answer:
            assert answer.status == 400
        assert (await ears.driver.poll()).facts["events_malformed"] == 1


# -- the log -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 95, 700])
async def test_what_happened_while_nobody_listened_is_told_once(count: int) -> None:
    memory = ShortMemory()
    async with panel(profile="kv6124") as gate, rig() as bridge:
        async with bridge.listening(gate, memory=memory):
            await until(lambda: "log" in memory.values)
        for number in range(count):
            await gate.act("card", card=str(1000 + number))
        for entry in gate.log:
            entry["time"] = gate._when(gate.now() + 1)
        for _ in range(2):
            async with bridge.listening(gate, memory=memory, events="log") as ears:
                if not _:
                    told = await ears.heard(EventKind.ACCESS, count)
                    assert [int(event.data["credential"], 16) for event in told] == list(range(1000, 1000 + count))
                await gate.act("exit_button")
                await ears.heard(EventKind.INPUT)
                assert len(ears.of(EventKind.ACCESS)) == (0 if _ else count)


async def test_a_clock_that_is_set_back_does_not_stop_the_log() -> None:
    memory = ShortMemory()
    memory.values["log"] = "9999999999:5"
    async with (
        panel(profile="kv6124") as gate,
        rig() as bridge,
        bridge.listening(gate, memory=memory, events="log") as ears,
    ):
        await until(lambda: not memory.values["log"].startswith("9999999999"))
        await gate.act("card", card="9")
        await ears.heard(EventKind.ACCESS)


async def test_old_events_are_history_by_the_clock_of_the_panel() -> None:
    """Its clock is six hours ahead, and an event of now is news all the same."""
    async with panel() as gate, rig() as bridge:
        await gate.inject(Fault.CLOCK_SKEW, 6 * 3600.0)
        async with bridge.listening(gate) as ears:
            assert abs(float((await ears.driver.poll()).facts["clock_offset"] or 0) - 6 * 3600) < 3
            await gate.act("card", card="1")
            assert not (await ears.heard(EventKind.ACCESS))[0].replayed


# -- calls -------------------------------------------------------------------------------------------------------------


async def test_new_firmware_tells_of_no_ring_and_is_asked() -> None:
    async with panel(profile="kv6124") as gate, rig() as bridge, bridge.listening(gate) as ears:
        for act, count in (("ring", 1), ("answer", 2), ("hang_up", 3)):
            await gate.act(act)
            await ears.heard(EventKind.CALL, count)
        states = [event.data["state"] for event in ears.of(EventKind.CALL)]
        assert states == ["ringing", "answered", "ended"]


async def test_old_firmware_tells_by_itself_and_a_ring_told_twice_is_one() -> None:
    async with panel(profile="kv6113") as gate, rig() as bridge, bridge.listening(gate, calls="poll") as ears:
        await gate.act("ring", apartment="12")
        await gate.act("bell")
        (ring,) = await ears.heard(EventKind.CALL)
        await ears.driver._listening._ask_call()
        await gate.act("motion")
        await ears.heard(EventKind.MOTION)
        assert ears.of(EventKind.CALL) == [ring]
        assert ring.data["state"] == "ringing"


async def test_nobody_is_asked_where_calls_are_off() -> None:
    async with panel(profile="kv6124") as gate, rig() as bridge, bridge.listening(gate, calls="off") as ears:
        await gate.act("ring")
        await gate.act("motion")
        await ears.heard(EventKind.MOTION)
        await asyncio.sleep(0.2)
        assert ears.of(EventKind.CALL) == []


# -- logins, identity, doors -------------------------------------------------------------------------------------------


async def test_two_refused_logins_stop_the_trying() -> None:
    async with panel(lock_after=5) as gate, rig() as bridge:
        gate.login.password = "another"  # somebody changed it
        driver = bridge.driver(gate, clock=None)
        for _ in range(20):
            with pytest.raises(AuthFailed):
                await driver.probe()
        assert gate.login.failures <= 2


async def test_a_lock_is_waited_for_as_long_as_the_panel_says() -> None:
    async with panel(lock_after=5) as gate, rig() as bridge:
        driver = bridge.driver(gate)
        await driver.probe()
        gate.login.locked_until = gate.now() + 1200
        with pytest.raises(Locked) as locked:
            await driver.poll()
        assert 1190 < locked.value.seconds <= 1200
        gate.login.locked_until = 0.0
        await driver.poll()


async def test_no_door_of_another_panel_is_opened() -> None:
    async with panel(seed=1) as gate, rig() as bridge:
        driver = bridge.driver(gate)
        await driver.probe()
        root = gate.documents.roots["System/deviceInfo"]
        for one in root:
            if one.tag.endswith("serialNumber"):
                one.text = "DS-KV6113-ANOTHER"
        with pytest.raises(Rejected, match="another panel"):
            await driver.command(Command(Capability.OPEN_DOOR))
        assert gate.openings() == 0


async def test_new_firmware_is_seen_by_the_poll_and_identified_anew() -> None:
    async with panel(profile="kv6113") as gate, rig() as bridge:
        driver = bridge.driver(gate, calls="auto")
        await driver.probe()
        before = (await driver.poll()).mark
        assert driver._listening.messages.traits.rings
        for one in gate.documents.roots["System/deviceInfo"]:
            if one.tag.endswith("firmwareVersion"):
                one.text = "V3.9.0"
        marks = {(await driver.poll()).mark for _ in range(10)}
        assert marks - {before}
        await driver.probe()
        assert not driver._listening.messages.traits.rings


async def test_a_panel_without_status_is_read_all_the_same() -> None:
    async with panel(status=False) as gate, rig() as bridge:
        driver = bridge.driver(gate)
        await driver.probe()
        facts = (await driver.poll()).facts
        assert "uptime" not in facts
        assert abs(float(facts["clock_offset"] or 0)) < 3
        asked = gate.seen["GET"]
        await driver.poll()
        assert gate.seen["GET"] - asked <= 3  # time, doors, SIP: what it has not is not asked for again


async def test_doors_and_locks_are_facts() -> None:
    async with panel(profile="kd8003") as gate, rig() as bridge:
        driver = bridge.driver(gate)
        await driver.probe()
        gate.unlocked, gate.kept_open, gate.open_contacts = {1}, {2}, {1}
        await gate.act("sip", on=False)
        facts = (await driver.poll()).facts
        assert (facts["lock_1"], facts["lock_2"], facts["door"]) == ("unlocked", "held", "open")
        assert facts["sip_registered"] is False


async def test_a_command_that_the_panel_refuses_is_said_so() -> None:
    async with panel() as gate, rig() as bridge:
        driver = bridge.driver(gate)
        await driver.probe()
        driver._doors = 2  # it says so, and has one
        with pytest.raises(Rejected, match="badParameters"):
            await driver.command(Command(Capability.OPEN_DOOR, arguments={"output": 2}))
        picture = await driver.command(Command(Capability.SNAPSHOT))
        assert isinstance(picture, Result)
        assert picture.content_type == "image/jpeg"


# -- somebody else's client --------------------------------------------------------------------------------------------


async def test_a_client_of_others_reads_the_simulated_panel() -> None:
    """pyhik, which has nothing to do with us: it logs in, finds the events that there are, and hears them."""
    async with panel(profile="kv6113", heartbeat=0.2) as gate:
        client: Any = await asyncio.to_thread(
            HikCamera, f"http://127.0.0.1:{gate.port}", gate.port, gate.username, gate.password
        )
        assert client.get_name == "Gate 0"
        assert set(client.current_event_states) == {"Motion", "Tamper Detection"}
        picture = await asyncio.to_thread(client.get_snapshot)
        assert picture.startswith(b"\xff\xd8\xff")
        heard = threading.Event()
        client.add_update_callback(lambda message: heard.set(), f"{client.get_id}.Motion.1")
        client.start_stream()
        try:
            await until(lambda: client.stream_connected, 5)
            heard.clear()
            await gate.act("motion")
            await until(lambda: client.fetch_attributes("Motion", 1)[0] is True, 5)
            assert heard.is_set()
            await gate.act("card", card="5")  # JSON between the XML does not disturb it
            await gate.act("motion", active=False)
            await until(lambda: client.fetch_attributes("Motion", 1)[0] is False, 5)
        finally:
            await asyncio.to_thread(client.disconnect)


async def test_json_of_the_simulated_panel_is_what_the_documents_show() -> None:
    async with panel(profile="k1t343") as gate:
        await gate.act("card", card="0012345678")
        body = json.loads(gate._access_body(gate.log[-1], True))
        assert body["eventType"] == "AccessControllerEvent"
        assert body["AccessControllerEvent"]["serialNo"] == body["AccessControllerEvent"]["frontSerialNo"] + 1
