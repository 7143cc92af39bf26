"""What makes Akuvox panels hard, and what the bridge makes of it: each is a test of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unreachable, Unsupported
from bridge.model import Capability, Command, EventKind
from bridge.secrets import Secret
from bridge.settings.plan import plan
from bridge.settings.vocabulary import SECTIONS, Settings, flatten
from bridge.syslog.message import Line
from bridge.testing.measuring import everything_said
from bridge.testing.simulator import Fault
from drivers.akuvox.driver import LATEST, AkuvoxDriver
from drivers.akuvox.simulated.models import URLS
from tests.integration.akuvox_rig import PASSWORD, fake_clock, rig
from tests.support import until

OPEN = Command(Capability.OPEN_DOOR)
TARGET = "Config.Settings.LOGLEVEL.Remote"


async def write(driver: AkuvoxDriver, wanted: dict[str, Any]) -> bool:
    """As a template does it; whether it takes a reboot."""
    settings = Settings.model_validate(wanted)
    todo = plan(await driver.read_settings(driver.device.channels[0], SECTIONS), settings)
    assert not todo.refusals
    return any([await driver.apply(driver.device.channels[0], step) for step in todo.steps()])


# -- who lets us in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "error", "words"),
    [
        ("allowlist", AuthFailed, ("403", "switch it on", "Digest", "bridge's address")),
        ("web", ProtocolError, ("tls: insecure", "switch it on", "Digest")),
    ],
)
async def test_a_panel_that_lets_nobody_in_says_what_to_switch_on(
    auth: str, error: type[DeviceError], words: tuple[str, ...]
) -> None:
    async with rig(auth=auth) as there:
        driver = await there.driver()
        for call in (driver.probe, driver.poll):
            with pytest.raises(error) as told:
                await call()
            assert all(word in told.value.detail for word in words)
        assert there.simulator.seen["auth_failed"] == 0


@pytest.mark.parametrize("auth", ["none", "basic", "digest"])
async def test_it_takes_the_login_that_the_panel_wants(auth: str) -> None:
    async with rig(auth=auth) as there:
        driver = await there.driver()
        assert (await driver.probe()).serial == "0C1105000000"
        assert (await driver.poll()).facts["sip_registered"] is True
        assert there.simulator.seen["auth_failed"] == 0


async def test_a_page_in_place_of_the_api_is_called_so() -> None:
    async with rig() as there:
        driver = await there.driver()
        await driver.probe()
        await there.simulator.inject(Fault.HTML)
        with pytest.raises(ProtocolError, match="web page in place of its HTTP API"):
            await driver.poll()


# -- its frail web server ------------------------------------------------------------------------------------------


async def test_requests_keep_their_distance_however_many_ask() -> None:
    async with rig(frail=True, auth="none") as there:
        driver = await there.driver(gap=0.25)
        await driver.probe()
        calls = (driver.poll(), driver.command(OPEN), driver.read_settings(driver.device.channels[0], ["audio"]))
        await asyncio.gather(*calls)
        assert not there.simulator.hung
        assert there.simulator.openings() == 1


async def test_without_the_distance_its_web_server_hangs() -> None:
    """The simulated panel does what the distance is for."""
    async with rig(frail=True, auth="none") as there:
        driver = await there.driver(gap=0, timeout=0.5)
        with pytest.raises(Unreachable):
            await driver.probe()
        assert there.simulator.hung


# -- doors ---------------------------------------------------------------------------------------------------------


async def test_a_door_is_open_for_as_long_as_the_panel_says() -> None:
    for model in ("R20A", "R29C"):
        async with rig(model=model) as there:
            driver = await there.driver()
            await driver.probe()
            await write(driver, {"relays": {"1": {"duration": 9}}})
            await driver.poll()
            await driver.command(OPEN)
            assert there.simulator.opened_for == [{"mode": 0, "num": 1, "level": 0, "delay": 9}]
            assert (await driver.poll()).facts["lock_1"] == "unlocked"


async def test_a_relay_that_is_closed_at_rest_is_locked_at_rest() -> None:
    async with rig() as there:
        driver = await there.driver()
        await driver.probe()
        await write(driver, {"relays": {"2": {"idle": "closed"}}})
        facts = (await driver.poll()).facts
        assert (facts["lock_1"], facts["lock_2"]) == ("locked", "locked")
        await driver.command(Command(Capability.OPEN_DOOR, arguments={"output": 2}))
        facts = (await driver.poll()).facts
        assert (facts["lock_1"], facts["lock_2"]) == ("locked", "unlocked")


async def test_no_door_of_another_panel_opens() -> None:
    async with rig() as there:
        driver = await there.driver()
        await driver.probe()
        mark = (await driver.poll()).mark
        there.simulator.seed = 77  # somebody swapped them
        with pytest.raises(Rejected, match="another panel"):
            await driver.command(OPEN)
        assert there.simulator.openings() == 0
        assert (await driver.poll()).mark != mark
        await driver.probe()
        await driver.command(OPEN)
        assert there.simulator.openings() == 1


async def test_a_panel_without_a_relay_api_opens_by_its_old_address() -> None:
    async with rig(model="IT83") as there:
        with everything_said() as said:
            driver = await there.driver()
            identity = await driver.probe()
            assert Capability.OPEN_DOOR in identity.capabilities
            assert "lock_1" not in (await driver.poll()).facts
            await driver.command(OPEN)
            assert there.simulator.openings() == 1
            wrong = await there.driver(relay_username="door", relay_password="not-it-at-all")
            await wrong.probe()
            # It answers 200 to that.
            with pytest.raises(Rejected, match="Open Relay via HTTP") as told:
                await wrong.command(OPEN)
            await there.simulator.inject(Fault.LOST_REPLY)
            with pytest.raises(Unreachable) as lost:
                await driver.command(OPEN)
        assert there.simulator.openings() == 2
        for secret in (PASSWORD, "pa%2Fss", "not-it-at-all"):
            assert secret not in f"{told.value!r} {lost.value!r} {lost.value.__cause__!r} {''.join(said)}"


# -- its configuration ---------------------------------------------------------------------------------------------


async def test_a_panel_that_refuses_post_gets_one_get_for_each_key() -> None:
    async with rig(model="E16C") as there:
        driver = await there.driver()
        await driver.probe()
        await write(driver, {"audio": {"speaker": 100}, "call": {"ring": 30}})
        asked = there.simulator.requests
        assert "POST config set" not in asked
        assert asked.count("GET config set") == 2
        assert there.simulator.config["Config.Settings.HANDFREE.SpkVol"] == "15"
        async with there.ear(driver) as ear:
            await there.simulator.act("card", code="1A2B")
            (event,) = await ear.heard(EventKind.ACCESS)
            assert event.data["credential"] == "0000000000" + "1A2B"


async def test_a_firmware_that_nobody_knows_is_found_out() -> None:
    """No row of the table says so: its answer does."""
    async with rig(model="E16C") as there:
        there.simulator.model_name = "Z99"
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver):
            assert (await driver.poll()).facts["action_urls"] == "ours"
        assert there.simulator.registrations() > 10
        await write(driver, {"audio": {"speaker": 100}})
        assert there.simulator.config["Config.Settings.HANDFREE.SpkVol"] == "15"


async def test_passwords_go_in_base64_where_the_model_wants_them_so() -> None:
    for model, told in (("S532", "c2VjcmV0LXBhc3M="), ("R20A", "secret-pass")):
        async with rig(model=model) as there:
            driver = await there.driver()
            await driver.probe()
            assert await write(driver, {"sip": {"password": Secret("secret-pass")}}) is True
            assert there.simulator.config["Config.Account1.GENERAL.Pwd"] == told


async def test_a_text_on_the_display_is_switched_on_with_it() -> None:
    async with rig(model="S532") as there:
        driver = await there.driver()
        await driver.probe()
        assert await write(driver, {"display": {"text": "Welcome"}}) is False
        assert there.simulator.config["Config.DoorSetting.GENERAL.Theme"] == "1"


# -- what it reports -----------------------------------------------------------------------------------------------


async def test_three_ways_tell_of_it_and_it_is_heard_once() -> None:
    clock = fake_clock()
    async with rig() as there:
        driver = await there.driver(clock=clock)
        await driver.probe()
        async with there.ear(driver) as ear:
            assert (await driver.poll()).facts["syslog"] == "ours after a reboot"
            await there.simulator.reboot()  # now lines come, too
            for code in ("1A2B", "3C4D", "1A2B"):
                await there.simulator.act("card", code=code)
            await there.simulator.act("code", granted=False)
            await there.simulator.act("button")
            await there.simulator.act("call", number="100012", name="12")
            await there.simulator.act("finish")
            await there.simulator.act("hang_up")
            await there.simulator.act("log", by="face")  # of this, only the door log knows
            await until(lambda: driver._listening and driver._listening.repeated >= 4, 5)
            await clock.advance(LATEST + 1)
            found = await ear.heard(EventKind.ACCESS, 5)
            assert [one.data.get("credential", one.data["by"])[-4:] for one in found] == [
                "1A2B", "3C4D", "1A2B", "code", "face",
            ]  # fmt: skip
            assert len(ear.of(EventKind.LOCK)) == 1
            assert [one.data["state"] for one in ear.of(EventKind.CALL)] == ["ringing", "missed"]
            facts = (await driver.poll()).facts
            assert facts["syslog"] == facts["action_urls"] == "ours"
            assert facts["events_repeated"] == 10  # five by URL, and five in the door log


async def test_variables_that_have_no_value_come_as_they_are_written() -> None:
    async with rig(syslog=False) as there:
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver) as ear:
            await there.simulator.act("card", code="", granted=False)
            await there.simulator.act("call", number="")
            (call,) = await ear.heard(EventKind.CALL)
            assert dict(call.data) == {"state": "ringing"}
            assert dict(ear.of(EventKind.ACCESS)[0].data) == {"by": "card", "granted": "false"}


async def test_a_call_that_the_visitor_cancels_is_over_after_three_minutes() -> None:
    clock = fake_clock()
    async with rig(reboot_for_syslog=False, action_urls=False) as there:
        driver = await there.driver(clock=clock)
        await driver.probe()
        async with there.ear(driver) as ear:
            await there.simulator.act("call")
            await ear.heard(EventKind.CALL)
            await there.simulator.act("cancel")
            for _ in range(18):
                await clock.advance(10)
            assert len(ear.of(EventKind.CALL)) == 1
            for _ in range(3):
                await clock.advance(10)
            _, over = await ear.heard(EventKind.CALL, 2)
            assert (over.data["state"], over.data["reason"]) == ("missed", "nothing more was heard")


async def test_without_a_way_back_the_door_log_tells() -> None:
    clock = fake_clock()
    async with rig(action_urls=False, syslog=False) as there:
        driver = await there.driver(clock=clock)
        await driver.probe()
        await there.simulator.act("log", by="card", code="AAAA")  # history
        async with there.ear(driver) as ear:
            for number in range(25):  # three pages
                await there.simulator.act("log", by="card", code=f"{number:04}")
            await clock.advance(16)
            found = await ear.heard(EventKind.ACCESS, 25)
            assert [int(one.data["credential"]) for one in found] == list(range(25))
            assert not any(one.replayed for one in found)
            facts = (await driver.poll()).facts
            assert (facts["action_urls"], facts["syslog"]) == ("none", "none")


async def test_a_copy_of_its_configuration_in_another_panel_is_not_believed() -> None:
    async with rig(syslog=False) as there, rig(syslog=False, seed=9) as other:
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver) as ear:
            other.simulator.config |= there.simulator.config
            await other.simulator.act("card", code="AAAA")
            await there.simulator.act("card", code="BBBB")
            (event,) = await ear.heard(EventKind.ACCESS)
            assert event.data["credential"].endswith("BBBB")
            assert (await driver.poll()).facts["events_ignored"] == 1


async def test_a_stranger_who_knows_a_name_is_only_a_hint() -> None:
    """A line that its host name assigns could be anybody's; it hides nothing that the panel says."""
    async with rig(syslog=False) as there:
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver) as ear:
            assert driver._listening is not None
            said = "OPENDOOR_LOG:Type:RF KeyCode:AA Relay:1 Status:Successful"
            driver._listening.line(Line(said, raw=said, hint=True))
            await there.simulator.act("card", code="AA")
            assert [one.hint for one in await ear.heard(EventKind.ACCESS, 2)] == [True, False]


# -- what of ours stands in it -------------------------------------------------------------------------------------


async def test_somebody_else_s_addresses_are_left_alone_and_told_of_once() -> None:
    clock = fake_clock()
    async with rig() as there:
        theirs = {
            f"{URLS}Enable": "1",
            f"{URLS}MakeCall": "http://192.0.2.9/ring",
            f"{TARGET}Syslog": "1",
            f"{TARGET}Server": "192.0.2.9",
        }
        there.simulator.config |= theirs
        with everything_said() as said:
            driver = await there.driver(clock=clock)
            await driver.probe()
            async with there.ear(driver):
                await clock.advance(LATEST + 1)
                await there.asked("POST config get", 1)
                facts = (await driver.poll()).facts
        assert (facts["action_urls"], facts["syslog"]) == ("ours", "taken")
        assert sum("somebody else" in line for line in said) == 1
        assert theirs.items() <= there.simulator.config.items()
        assert there.simulator.config[f"{URLS}HangUp"].startswith(there.callbacks.base_url)
        await driver.release()
        assert there.simulator.registrations() == 2
        assert theirs.items() <= there.simulator.config.items()


async def test_what_is_switched_off_with_others_addresses_stays_off() -> None:
    async with rig(syslog=False) as there:
        there.simulator.config[f"{URLS}MakeCall"] = "http://192.0.2.9/ring"
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver):
            assert (await driver.poll()).facts["action_urls"] == "taken"
        assert there.simulator.writes() == 0
        assert there.simulator.config[f"{URLS}Enable"] == "0"


async def test_what_it_lost_is_set_again_and_what_is_right_is_not_written() -> None:
    clock = fake_clock()
    async with rig() as there:
        driver = await there.driver(clock=clock)
        await driver.probe()
        async with there.ear(driver) as ear:
            once, stands = there.simulator.writes(), there.simulator.registrations()
            assert once == 2  # its action URLs, and the target of its lines
            for _ in range(3):
                reads = there.simulator.requests.count("POST config get")
                await clock.advance(LATEST + 1)
                await there.asked("POST config get", reads + 1)
            assert there.simulator.writes() == once
            await there.simulator.act("drop_subscriptions")
            await clock.advance(LATEST + 1)
            await ear.heard(EventKind.RESYNC, 2)
            assert (there.simulator.writes(), there.simulator.registrations()) == (once + 2, stands)


async def test_a_restart_of_the_bridge_writes_nothing_and_repeats_nothing() -> None:
    async with rig() as there:
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver) as ear:
            await there.simulator.act("card", code="AAAA")
            await ear.heard(EventKind.ACCESS)
            await until(lambda: there.memory.get("live"), 5)
        await driver.close()
        writes = there.simulator.writes()
        await there.simulator.act("log", by="card", code="BBBB")  # while nobody listened
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver) as ear:
            (event,) = await ear.heard(EventKind.ACCESS)
            assert event.data["credential"].endswith("BBBB")
            await there.simulator.act("card", code="CCCC")
            assert [one.data["credential"][-4:] for one in await ear.heard(EventKind.ACCESS, 2)] == ["BBBB", "CCCC"]
        assert there.simulator.writes() == writes


async def test_history_is_marked() -> None:
    async with rig() as there:
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver):
            pass
        await there.simulator.inject(Fault.CLOCK_SKEW, -600.0)
        await there.simulator.act("log", by="card", code="AAAA")
        await there.simulator.clear()
        again = await there.driver()
        await again.probe()
        async with there.ear(again) as ear:
            await there.simulator.act("card", code="BBBB")
            old, new = await ear.heard(EventKind.ACCESS, 2)
            assert (old.replayed, new.replayed) == (True, False)
            assert (await again.poll()).facts["events_late"] == 1


async def test_events_off_takes_back_what_is_ours_and_nothing_else() -> None:
    async with rig() as there:
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver):
            assert there.simulator.registrations() > 10
        before = there.simulator.registrations()
        there.simulator.config[f"{URLS}MakeCall"] = "http://192.0.2.9/ring"
        quiet = await there.driver(events="off")
        identity = await quiet.probe()
        assert Capability.EVENTS not in identity.capabilities
        assert before > there.simulator.registrations() == 1
        assert there.simulator.config[f"{URLS}Enable"] == "1"  # their address stands there
        with pytest.raises(Unsupported):
            await anext(aiter(quiet.events()))


async def test_one_way_that_is_refused_does_not_close_the_other() -> None:
    async with rig(reboot_for_syslog=False) as there:
        there.simulator.refuses = URLS
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver) as ear:
            await there.simulator.act("card", code="AAAA")
            await ear.heard(EventKind.ACCESS)
            facts = (await driver.poll()).facts
            assert (facts["action_urls"], facts["syslog"]) == ("refused", "ours")
            assert "Invalid value" in str(facts["events_problem"])


async def test_a_panel_whose_firmware_lacks_the_door_log_is_well_all_the_same() -> None:
    async with rig() as there:
        there.simulator.door_log = False
        driver = await there.driver()
        await driver.probe()
        async with there.ear(driver) as ear:
            await there.simulator.act("card", code="AAAA")
            await ear.heard(EventKind.ACCESS)
            assert "nothing of that kind" in str((await driver.poll()).facts["events_problem"])


async def test_settings_are_all_there_on_a_panel_of_each_kind() -> None:
    for model, missing in (("S532", set()), ("R20A", {"display"})):
        async with rig(model=model) as there:
            driver = await there.driver()
            await driver.probe()
            found = await driver.read_settings(driver.device.channels[0], SECTIONS)
            told = {path.partition(".")[0] for path in found.limits.fields}
            ours = {path.partition(".")[0] for path in AkuvoxDriver.settings}
            assert ours - told == missing
            assert "vendor.akuvox.location" in flatten(found.settings)
            assert there.simulator.writes() == 0
