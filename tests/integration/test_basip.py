"""The BAS-IP driver on simulated panels: logins, doors, settings, and what differs between firmware."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unreachable
from bridge.model import Capability, Command, EventKind
from bridge.secrets import Secret
from bridge.settings.plan import plan
from bridge.settings.vocabulary import SECTIONS, Settings, flatten
from bridge.testing.clock import FakeClock
from bridge.testing.harness import HurriedClock
from bridge.testing.measuring import everything_said
from bridge.testing.simulator import Fault
from drivers.basip import simulator as simulated
from drivers.basip.driver import BasIpDriver
from drivers.basip.simulator import BasIpSimulator
from tests.integration.basip_rig import heard, listeners, made, running
from tests.support import until

PASSWORD = "an-odd%20&pass:4711"
DIGEST = hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()


# -- the login -------------------------------------------------------------------------------------------------------


async def test_a_token_that_is_over_costs_one_login() -> None:
    async with running() as panel, made(panel) as driver:
        await driver.probe()
        await driver.poll()
        assert panel.seen["login"] == 1
        await panel.act("expire_tokens")
        await asyncio.gather(driver.poll(), driver.read_settings(driver.device.channels[0], SECTIONS), driver.poll())
        assert panel.seen["login"] == 2
        assert panel.seen["auth_failed"] == 0


async def test_the_panels_own_end_of_a_token_is_noticed() -> None:
    async with running(token_life=0.2) as panel, made(panel) as driver:
        await driver.probe()
        began = time.monotonic()
        while time.monotonic() - began < 0.7:
            await driver.poll()
        assert 2 <= panel.seen["login"] <= 6


async def test_two_refused_logins_stop_the_trying() -> None:
    clock = FakeClock()
    async with running() as panel, made(panel, clock=clock) as driver:
        await panel.inject(Fault.WRONG_PASSWORD)
        for _ in range(6):
            with pytest.raises(AuthFailed):
                await driver.probe()
        assert panel.seen["auth_failed"] == 2
        await panel.clear()
        with pytest.raises(AuthFailed, match="are not sent for another"):
            await driver.probe()
        await clock.advance(601)
        await driver.probe()
        assert panel.seen["auth_failed"] == 2


async def test_a_password_that_was_changed_is_tried_twice_at_most() -> None:
    async with running() as panel, made(panel, clock=FakeClock()) as driver:
        await driver.probe()
        await panel.inject(Fault.WRONG_PASSWORD)
        for _ in range(4):
            with pytest.raises(AuthFailed):
                await driver.poll()
        assert panel.seen["auth_failed"] == 2


async def test_some_panels_take_basic() -> None:
    async with running(auth="basic") as panel, made(panel) as driver:
        identity = await driver.probe()
        await driver.poll()
        assert identity.serial == panel.serial
        assert panel.seen["login"] == 0


async def test_an_account_without_rights_is_told_so() -> None:
    async with running() as panel, made(panel) as driver:
        panel.restricted = True
        with pytest.raises(AuthFailed, match="administrator"):
            await driver.probe()
        with pytest.raises(Rejected, match="administrator"):
            await driver.command(Command(Capability.OPEN_DOOR))
        assert panel.openings() == 0


@asynccontextmanager
async def _redirecting() -> AsyncIterator[int]:
    """A panel whose HTTPS was switched on: it sends everybody there, with all that was asked."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/api/info":
            info = {"firmware_version": "4.0.0", "device_serial_number": "1", "device_model": "AA-12FB"}
            return web.json_response(info)
        return web.Response(status=302, headers={"Location": f"https://127.0.0.1{request.path_qs}"})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_neither_the_password_nor_its_digest_is_ever_told() -> None:
    faults = (Fault.CLOSED, Fault.HALF_ANSWER, Fault.JUNK, Fault.HTML, Fault.BLACK_HOLE, Fault.WRONG_PASSWORD)
    said: list[str] = []
    with everything_said() as logged:
        async with running(password=PASSWORD) as panel:
            for fault in faults:
                await panel.inject(fault)
                async with made(panel, timeout=0.3) as driver:
                    said.append(await _failure(driver))
                await panel.clear()
        async with _redirecting() as port, running(password=PASSWORD) as panel:
            panel.port, own = port, panel.port
            async with made(panel) as driver:
                said.append(await _failure(driver))
            panel.port = own
    assert "redirects" in said[-1]
    for text in (*said, *logged):
        assert DIGEST not in text.lower()
        assert PASSWORD not in text


async def _failure(driver: BasIpDriver) -> str:
    try:
        await driver.probe()
    except DeviceError as error:
        return f"{error!r} {error.detail} {vars(error)} {error.__cause__!r}"
    raise AssertionError("it works")


# -- firmware --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", sorted(simulated.PROFILES))
async def test_every_generation_is_read(model: str) -> None:
    async with running(model=model) as panel, made(panel) as driver:
        identity = await driver.probe()
        assert (identity.model, identity.firmware, identity.serial) == (model, panel.firmware, panel.serial)
        assert identity.macs == ("00:11:22:ba:51:00",)
        reading = await driver.poll()
        assert reading.facts["sip_registered"] is True
        assert reading.facts["door"] == "closed"
        assert abs(float(reading.facts["clock_offset"] or 0)) < 2
        assert reading.mark == f"{panel.serial} {panel.firmware}"
        picture = await driver.command(Command(Capability.SNAPSHOT))
        assert (picture.content_type, picture.data[:3]) == ("image/jpeg", b"\xff\xd8\xff")


async def test_a_firmware_that_the_table_does_not_know_is_found_out() -> None:
    async with running(model="AA-14FB") as panel, made(panel) as driver:
        panel.firmware = "5.0.0"  # by the table it would be v1
        assert (await driver.probe()).firmware == "5.0.0"
        assert (await driver.poll()).facts["sip_registered"] is True


async def test_what_a_panel_has_not_is_asked_for_once() -> None:
    async with running(door_sensor=False) as panel, made(panel) as driver:
        await driver.probe()
        before = panel.seen["GET"]
        for _ in range(9):
            assert "door" not in (await driver.poll()).facts
        asked = panel.seen["GET"] - before
        assert asked == 9 + 2 + 1  # SIP each time, who it is and its clock at first, and the door once


@pytest.mark.parametrize(("status", "registered"), [("OK", True), ("OFFLINE", False), ("ERROR", False)])
async def test_what_sip_says(status: str, registered: bool) -> None:
    async with running() as panel, made(panel) as driver:
        await driver.probe()
        await panel.act("sip", status=status)
        facts = (await driver.poll()).facts
        assert (facts["sip_registered"], facts["sip_status"]) == (registered, status.lower())


async def test_switching_https_makes_the_api_go_away_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "SSL_OUTAGE", 0.3)
    async with running() as panel, made(panel) as driver:
        await driver.probe()
        await driver._api.post("/web/ssl", {"enable": False})

        async def away() -> bool:
            try:
                await driver.poll()
            except Unreachable:
                return True
            return False

        await until(away, 5)

        async def back() -> bool:
            return not await away()

        await until(back, 5)
        assert panel.seen["login"] == 2


async def test_no_api_at_all_is_no_basip() -> None:
    async with running() as panel, made(panel) as driver:
        panel.profile = simulated.PROFILES["AA-12FB"].__class__("X", "", "")
        panel.firmware = panel.serial = ""
        with pytest.raises(ProtocolError, match="no BAS-IP"):
            await driver.probe()


# -- doors -------------------------------------------------------------------------------------------------------------


async def test_no_other_panels_door_opens() -> None:
    async with running() as panel, made(panel) as driver:
        await driver.probe()
        panel.serial = "ANOTHER"
        with pytest.raises(Rejected, match="another panel"):
            await driver.command(Command(Capability.OPEN_DOOR))
        assert panel.openings() == 0


async def test_a_door_opens_with_a_token_that_was_over() -> None:
    async with running(locks=1) as panel, made(panel) as driver:
        await driver.probe()
        await panel.act("expire_tokens")
        await driver.command(Command(Capability.OPEN_DOOR, arguments={"output": 1}))
        assert panel.openings() == 1
        with pytest.raises(Rejected, match="no lock 2"):
            await driver.command(Command(Capability.OPEN_DOOR, arguments={"output": 2}))
        assert panel.openings() == 1


# -- settings ----------------------------------------------------------------------------------------------------------


async def _apply(driver: BasIpDriver, wanted: dict[str, Any]) -> None:
    channel = driver.device.channels[0]
    settings = Settings.model_validate(wanted)
    now = await driver.read_settings(channel, SECTIONS)
    todo = plan(now, settings)
    assert not todo.refusals
    for step in todo.steps():
        await driver.apply(channel, step)


async def test_the_mask_of_the_password_is_never_sent_back() -> None:
    async with running() as panel, made(panel) as driver:
        await _apply(driver, {"sip": {"username": "2002"}})
        sip = panel.set["/device/sip/settings"]
        assert (sip["user"], sip["password"]) == ("2002", "a-sip-password")
        assert sip["stun"] == {"ip": "stun.l.google.com", "port": 19302}
        await _apply(driver, {"sip": {"password": Secret("a-new-password")}})
        assert sip["password"] == "a-new-password"
        found = await driver.read_settings(driver.device.channels[0], SECTIONS)
        assert "sip.password" not in flatten(found.settings)


async def test_a_registrar_leaves_a_proxy_of_its_own_alone() -> None:
    async with running() as panel, made(panel) as driver:
        sip = panel.set["/device/sip/settings"]
        await _apply(driver, {"sip": {"server": "192.0.2.20", "port": 5070}})
        assert (sip["realm"], sip["proxy"]) == ("192.0.2.20:5070", "sip:192.0.2.20:5070")
        sip["proxy"] = "sip:edge.example.org"
        await _apply(driver, {"sip": {"server": "192.0.2.21", "port": 5060}})
        assert (sip["realm"], sip["proxy"]) == ("192.0.2.21:5060", "sip:edge.example.org")


@pytest.mark.parametrize("model", ["AA-12FB", "AA-07BD"])
async def test_switching_the_common_code_keeps_it(model: str) -> None:
    async with running(model=model) as panel, made(panel) as driver:
        code = panel.set["/access/general/unlock/input/code"]
        before = code["input_code_number"]
        await _apply(driver, {"door": {"code_enabled": True}})
        assert code == {"input_code_enable": True, "input_code_number": before}
        await _apply(driver, {"door": {"code": Secret("90210")}})
        assert code["input_code_number"] == type(before)("90210")


async def test_a_code_that_this_firmware_would_shorten_is_refused() -> None:
    async with running() as panel, made(panel) as driver:
        with pytest.raises(Rejected, match="cannot begin with 0"):
            await _apply(driver, {"door": {"code": Secret("0042")}})
        assert panel.writes() == 0


async def test_time_zones_in_the_words_of_each_firmware() -> None:
    async with running() as new, made(new) as driver:
        await _apply(driver, {"clock": {"time_zone": "<+0530>-5:30"}})
        assert new.set["/network/timezone"]["timezone"] == "UTC+05:30"
        with pytest.raises(Rejected, match="no time zone"):
            await _apply(driver, {"clock": {"time_zone": "NPT-5:45"}})
    async with running(model="AV-03BD") as old, made(old) as driver:
        await _apply(driver, {"clock": {"time_zone": "CET-1CEST,M3.5.0,M10.5.0/3"}})
        assert old.set["/network/timezone"]["timezone"] == "GMT+1"
    async with running(model="AA-14FB") as regional, made(regional) as driver:
        found = flatten((await driver.read_settings(driver.device.channels[0], SECTIONS)).settings)
        assert "clock.time_zone" not in found
        assert found["vendor.basip.time_zone"] == "Europe/Kyiv"
        await _apply(driver, {"vendor": {"basip": {"time_zone": "Europe/Berlin"}}})
        assert regional.set["/network/timezone"]["timezone"] == "Europe/Berlin"


async def test_our_own_address_is_no_setting() -> None:
    clock = HurriedClock(100.0)
    async with listeners() as where, running() as panel, heard(panel, where, clock=clock) as one:
        found = await one.driver.read_settings(one.driver.device.channels[0], SECTIONS)
        assert not [path for path in flatten(found.settings) if path.startswith("event_targets")]
        assert where.callbacks.base_url not in str(found)
        # An operator's template takes the place, and then it is theirs.
        await _apply(one.driver, {"event_targets": {"syslog": {"url": "syslog://192.0.2.9:5514"}}})
        await panel.act("tamper")
        await one.count(EventKind.TAMPER, 1)
        assert (await one.facts())["events_via"] == "log"
        place = panel.set["/syslog/settings"]
        assert (place["enabled"], place["server"]["server"], place["server"]["port"]) == (True, "192.0.2.9", 5514)


def test_simulated_panels_differ() -> None:
    assert BasIpSimulator(seed=1).serial != BasIpSimulator(seed=2).serial
