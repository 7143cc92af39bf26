"""What BAS-IP panels report: over HTTP, over syslog, in their log; replayed, lost, doubled, of somebody else."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from bridge.driver import ShortMemory
from bridge.errors import Unsupported
from bridge.model import EventKind
from bridge.testing.harness import HurriedClock
from bridge.testing.simulator import Fault
from drivers.basip import driver as basip
from drivers.basip.simulated import happenings
from tests.integration.basip_rig import heard, listeners, listening, made, running
from tests.support import until

CARD = "0000001A2B3C4D"


@pytest.mark.parametrize("push", ["udp", "tcp"])
async def test_lines_of_syslog(push: str) -> None:
    async with listeners() as where, running(push=push) as panel, heard(panel, where, push="syslog") as one:
        await panel.act("card")
        (event,) = await one.count(EventKind.ACCESS, 1)
        assert event.data["credential"] == CARD
        assert not event.replayed
        assert (await one.facts())["events_via"] == "syslog"


async def test_a_backlog_is_marked_and_told_once() -> None:
    """The panel could not reach us for a while, and sends all of it at once when it can."""
    async with listeners() as where, running() as panel, heard(panel, where) as one:
        panel.reporting.held_back = True
        for minutes in (90, 60, 30):
            panel.happen(happenings.card(owner=f"Flat {minutes}"), panel.now() - 60 * minutes)
        await panel.act("exit_button")
        panel.reporting.release()
        (now,) = await one.count(EventKind.LOCK, 1)
        cards = await one.count(EventKind.ACCESS, 3)
        assert [event.replayed for event in cards] == [True] * 3
        assert not now.replayed
        assert panel.reporting.posts == 1
        assert (await one.facts())["events_late"] == 3


async def test_a_batch_that_comes_again_is_told_once() -> None:
    """Our answer was lost, and the panel sends it once more."""
    lines = "\n".join(
        f"<134> 2025-11-25 12:00:0{second}+00:00 192.0.2.77 - EVENT:103:Door opened by exit button"
        for second in (1, 1, 2)
    )
    async with listeners() as where, running() as panel, heard(panel, where) as one:
        url = panel.set["/syslog/settings"]["server"]["server"]
        async with aiohttp.ClientSession() as http:
            for _ in range(2):
                async with http.post(url, data=lines) as response:
                    assert response.status == 200
        await panel.act("tamper")
        await one.count(EventKind.TAMPER, 1)
        assert len(one.of(EventKind.LOCK)) == 3
        assert (await one.facts())["events_repeated"] == 3


async def test_a_line_that_was_lost_is_found_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basip, "SETTLING", 0.2)
    clock = HurriedClock(60.0)
    async with listeners() as where, running() as panel, heard(panel, where, push="syslog", clock=clock) as one:
        await panel.act("card")
        await one.count(EventKind.ACCESS, 1)
        panel.reporting.lost = 1
        await panel.act("exit_button")
        await one.count(EventKind.LOCK, 1)
        assert (await one.facts())["events_unreported"] == 1
        assert len(one.of(EventKind.ACCESS)) == 1


async def test_a_line_that_came_twice_is_told_once() -> None:
    async with listeners() as where, running() as panel, heard(panel, where, push="syslog") as one:
        panel.reporting.doubled = True
        await panel.act("card")
        await panel.act("tamper")
        await one.count(EventKind.TAMPER, 1)
        assert len(one.of(EventKind.ACCESS)) == 1


async def test_reports_that_never_arrive_make_way_for_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basip, "SETTLING", 0.2)
    clock = HurriedClock(100.0)
    async with listeners() as where, running() as panel, heard(panel, where, clock=clock) as one:
        panel.reporting.held_back = True
        for _ in range(3):
            await panel.act("exit_button")
        await one.count(EventKind.LOCK, 3)
        assert (await one.facts())["events_via"] == "log"
        await panel.act("call", state="missed")
        await one.count(EventKind.CALL, 1)
        panel.reporting.release()  # and when they do, they are told once
        await until(lambda: one.driver._reports is not None and one.driver._reports.way == "http", 10)
        assert len(one.of(EventKind.LOCK)) == 3


async def test_somebody_elses_log_server_is_left_alone() -> None:
    foreign = {"enabled": True, "tag": "", "server": {"server": "192.0.2.9", "port": 45460, "severity": 6}}
    async with listeners() as where, running() as panel:
        panel.set["/syslog/settings"] = dict(foreign)
        async with heard(panel, where) as one:
            await panel.act("card")
            await one.count(EventKind.ACCESS, 1)
            assert (await one.facts())["events_via"] == "log"
            await one.driver.release()
        assert panel.set["/syslog/settings"] == foreign
        assert panel.writes() == 0


async def test_what_was_set_before_us_comes_back() -> None:
    before = {"enabled": False, "tag": "house-7", "server": {"server": "192.0.2.9", "port": 45460, "severity": 4}}
    async with listeners() as where, running() as panel:
        panel.set["/syslog/settings"] = dict(before)
        async with heard(panel, where) as one:
            assert panel.set["/syslog/settings"]["tag"] == "device-bridge"
            await one.driver.release()
        assert panel.set["/syslog/settings"] == before


async def test_a_restart_writes_nothing_and_repeats_nothing() -> None:
    memory = ShortMemory()
    async with listeners() as where, running() as panel:
        async with heard(panel, where, memory=memory) as one:
            await panel.act("card")
            await one.count(EventKind.ACCESS, 1)
            await until(lambda: memory.get("reported"), 5)
        writes = panel.writes()
        panel.reporting.held_back = True  # nobody listens
        await asyncio.sleep(1.1)  # a second apart from the one before
        await panel.act("exit_button")
        async with heard(panel, where, memory=memory) as one:
            panel.reporting.release()
            await one.count(EventKind.LOCK, 1)
            await panel.act("tamper")
            await one.count(EventKind.TAMPER, 1)
            assert [event.kind for event in one.news] == [EventKind.LOCK, EventKind.TAMPER]
        assert panel.writes() == writes


async def test_by_the_log_a_restart_repeats_nothing_either() -> None:
    memory = ShortMemory()
    async with running(model="AA-07BD") as panel:
        panel.happen(happenings.card())  # before we knew it
        async with heard(panel, memory=memory) as one:
            position = memory.get("log")
            await panel.act("exit_button")
            await one.count(EventKind.LOCK, 1)
            await until(lambda: memory.get("log") != position, 5)
        await panel.act("tamper")
        async with heard(panel, memory=memory) as two:
            await two.count(EventKind.TAMPER, 1)
            assert [event.kind for event in (*one.news, *two.news)] == [EventKind.LOCK, EventKind.TAMPER]


@pytest.mark.parametrize("model", ["AA-07BD", "AA-14FB", "AV-03BD"])
async def test_many_entries_come_in_pages_in_their_order(model: str) -> None:
    """Newest first, or by firmware that knows no order but its own."""
    async with running(model=model) as panel:
        for number in range(130):
            panel.happen(happenings.card(owner=f"before {number}"), panel.now() - 1000 + number)
        async with heard(panel, push="log") as one:
            for number in range(230):
                panel.happen(happenings.card(owner=f"{number}"))
            cards = await one.count(EventKind.ACCESS, 230)
            assert [event.data["user"] for event in cards] == [str(number) for number in range(230)]


async def test_a_clock_that_is_hours_off_makes_no_history() -> None:
    async with listeners() as where, running() as panel:
        await panel.inject(Fault.CLOCK_SKEW, -6 * 3600.0)
        async with heard(panel, where) as one:
            await panel.act("card")
            (event,) = await one.count(EventKind.ACCESS, 1)
            assert not event.replayed
            assert event.source_time is not None
            assert abs(event.source_time - panel.now()) < 5  # its own time, as it is
            assert abs(float((await one.facts())["clock_offset"] or 0) + 6 * 3600) < 5


async def test_a_call_that_was_answered_is_over_after_90_seconds() -> None:
    async with listeners() as where, running() as panel, heard(panel, where, clock=HurriedClock(200.0)) as one:
        await panel.act("call")
        calls = await one.count(EventKind.CALL, 2)
        assert [event.data["state"] for event in calls] == ["answered", "ended"]
        assert calls[1].data["peer"] == "1007@192.0.2.20"


async def test_opening_the_door_in_a_call_ends_it() -> None:
    async with listeners() as where, running() as panel, heard(panel, where, clock=HurriedClock(1.0)) as one:
        await panel.act("call")
        await panel.act("call_host")
        await one.count(EventKind.CALL, 2)
        assert [event.data.get("state", event.data.get("by")) for event in one.news] == ["answered", "call", "ended"]


async def test_a_reboot_is_told() -> None:
    async with listeners() as where, running() as panel, heard(panel, where) as one:
        await panel.reboot(0.1)
        (event,) = await one.count(EventKind.REBOOT, 1)
        place = one.events.index(event)
        assert one.events[place - 1].kind is EventKind.RESYNC
        assert not event.replayed


async def test_no_code_leaves_the_driver() -> None:
    async with listeners() as where, running() as panel, heard(panel, where) as one:
        await panel.act("code", number="90210")
        await panel.act("general_code", number="90211")
        await panel.act("code", number="90212", granted=False)
        events = await one.count(EventKind.ACCESS, 3)
        assert "9021" not in str(events)
        assert [event.data["granted"] for event in events] == ["true", "true", "false"]


async def test_switched_off_it_takes_our_address_away_and_only_ours() -> None:
    memory = ShortMemory()
    async with listeners() as where, running() as panel:
        async with heard(panel, where, memory=memory):
            assert panel.registrations() == 1
        async with made(panel, where, memory=memory, events="off") as driver:
            identity = await driver.probe()
            assert panel.registrations() == 0
            assert "events" not in identity.capabilities
            with pytest.raises(Unsupported):
                async with listening(driver):
                    pass


async def test_several_panels_behind_one_address_are_told_apart_by_their_names() -> None:
    async with (
        listeners() as where,
        running(seed=1) as one_panel,
        running(seed=2) as other_panel,
    ):
        other_panel.reporting._host = "192.0.2.78"
        async with (
            heard(one_panel, where, push="syslog", syslog_name="192.0.2.77") as one,
            heard(other_panel, where, push="syslog", syslog_name="192.0.2.78") as other,
        ):
            await one_panel.act("card")
            await other_panel.act("exit_button")
            await one.count(EventKind.ACCESS, 1)
            await other.count(EventKind.LOCK, 1)
            assert not one.of(EventKind.LOCK)
            assert not other.of(EventKind.ACCESS)


async def test_what_cannot_be_read_spoils_nothing() -> None:
    async with listeners() as where, running() as panel, heard(panel, where) as one:
        url = panel.set["/syslog/settings"]["server"]["server"]
        body = b"\xff\xfe\0\n\n<999>x\nEVENT:\nEVENT::::\n" + b"x" * 100_000
        async with aiohttp.ClientSession() as http, http.post(url, data=body) as response:
            assert response.status == 200
        await panel.act("card")
        await one.count(EventKind.ACCESS, 1)
        assert {event.kind for event in one.news} <= {EventKind.ACCESS, EventKind.VENDOR}
