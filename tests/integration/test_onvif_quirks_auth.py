"""Quirks of clocks and credentials: the ONVIF driver logs in all the same, and never tries a password too often.

The numbers are those of the table in `drivers/onvif/README.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.errors import AuthFailed, DeviceError
from bridge.model import Policy
from bridge.testing.clock import FakeClock
from bridge.testing.simulator import Fault
from tests.integration.onvif_canned import canned, envelope, fault
from tests.integration.onvif_rig import Listener, Rig, Watch, rig, watched

HOURS = 6 * 3600.0
# What breaks naive escaping in URIs, XML and headers, as far as a password can hold it.
HARD_PASSWORD = "/ # % ? @ : & < > \" ' \\ ä +"

# --- 1: the clock is wrong after a reboot


@pytest.mark.parametrize("auth", ["wsse", "digest"])
async def test_q01_clock_wrong_after_a_reboot(auth: str) -> None:
    async with rig(auth=auth, quirks={"clock_wrong_after_reboot"}) as one:
        await one.driver.probe()
        await one.driver.poll()
        await one.simulator.reboot()
        reading = await one.driver.poll()
        assert float(reading.facts["clock_offset"] or 0) < -HOURS, "it is told that its clock is in the year 2000"
        await one.simulator.act("set_clock", offset=0)  # NTP answers
        await one.driver.poll()
        assert one.refused == 0, "each poll looks at the clock before it needs it"


async def test_q01_events_live_through_a_clock_that_jumps() -> None:
    async with rig(auth="wsse", quirks={"clock_wrong_after_reboot"}) as one:
        await one.driver.probe()
        async with Listener(one.driver) as listener:
            await listener.subscribed()
            await one.simulator.reboot()
            await listener.subscribed(2)
            await one.moves(True, False)
            await listener.until(lambda: len(listener.motion) == 2)
            # NTP answers in the middle of a pull.
            await one.simulator.act("set_clock", offset=0)
            await one.moves(True)
            await listener.until(lambda: len(listener.motion) == 3)
            await one.moves(False)
            await listener.until(lambda: len(listener.motion) == 4)
        assert one.refused == 2, "each jump costs one token, and the clock is measured again"


async def test_q01_our_own_clock_may_jump_as_well() -> None:
    clock = FakeClock()
    async with rig(auth="wsse", clock=clock) as one:
        await one.driver.probe()
        clock.set_wall(clock.now().wall + HOURS)
        await one.simulator.act("set_clock", offset=-HOURS)  # the device's time goes on as before
        async with Listener(one.driver) as listener:
            await listener.subscribed()
        assert one.refused <= 1


# --- 2: even the clock wants a password

REFUSALS = [
    *(pytest.param({"auth": auth}, id=auth) for auth in ("wsse", "digest", "both")),
    pytest.param({"auth": "wsse", "wsse_status": 401}, id="401 without a challenge"),
    pytest.param({"auth": "digest", "quirks": ["html_401"]}, id="login page"),
    pytest.param({"auth": "digest", "quirks": ["empty_401"]}, id="empty 401"),
    pytest.param({"auth": "wsse", "quirks": ["empty_subcode"]}, id="empty subcode"),
    pytest.param({"auth": "wsse", "quirks": ["undeclared_fault_prefix"]}, id="undeclared prefix"),
    pytest.param({"auth": "wsse", "quirks": ["soap11"]}, id="soap 1.1"),
]


@pytest.mark.parametrize("traits", REFUSALS)
async def test_q02_date_needs_credentials(traits: dict[str, Any]) -> None:
    async with rig(**{**traits, "quirks": {*traits.get("quirks", ()), "date_needs_auth"}}) as one:
        await one.whole_life()
        assert one.refused == 0


@pytest.mark.parametrize("traits", REFUSALS)
async def test_q02_other_operations_refuse_in_every_way(traits: dict[str, Any]) -> None:
    async with rig(**traits) as one:
        await one.whole_life()
        assert one.refused == 0


async def test_q02_date_needs_a_token_and_the_clock_is_wrong() -> None:
    # The token needs the clock, the clock needs a token: the Date header of the refusal is the way out.
    async with rig(auth="wsse", quirks={"date_needs_auth"}) as one:
        await one.simulator.act("set_clock", offset=-HOURS)
        await one.whole_life()
        assert one.refused == 0
        await one.simulator.act("set_clock", offset=HOURS)
        await one.driver.poll()
        assert one.refused == 1, "one token by the old clock"


async def test_q02_date_needs_digest_and_nonces_grow_old() -> None:
    clock = FakeClock()
    async with rig(auth="digest", quirks={"date_needs_auth"}, nonce_lifetime=60.0, clock=clock) as one:
        for _ in range(4):
            await one.driver.poll()
            await clock.advance(100)
        await one.simulator.reboot()
        await one.driver.poll()
        assert one.refused == 0


# --- 3: no UTC


@pytest.mark.parametrize("seed", range(6))  # other makes, other time zones
async def test_q03_local_time_only(seed: int) -> None:
    async with rig(auth="wsse", quirks={"local_time_only"}, seed=seed) as one:
        await one.simulator.act("set_clock", offset=HOURS)
        reading = await one.driver.poll()
        assert float(reading.facts["clock_offset"] or 0) == pytest.approx(HOURS, abs=3)
        assert one.refused == 0


@pytest.mark.parametrize("quirk", ["no_datetime", "hour_25", "empty_hour"])
async def test_q03_no_time_at_all(quirk: str) -> None:
    async with rig(auth="wsse", quirks={quirk}) as one:
        await one.simulator.act("set_clock", offset=HOURS)
        reading = await one.driver.poll()
        assert float(reading.facts["clock_offset"] or 0) == pytest.approx(HOURS, abs=3), "told by the Date header"
        assert one.refused == 0


@pytest.mark.parametrize("header", ["", "soon", "Mon, 32 Foo 2026 25:61:00 GMT"])
async def test_q03_nothing_that_tells_the_time(header: str) -> None:
    answer = web.Response(body=envelope("<tds:GetSystemDateAndTimeResponse/>"), headers={"Date": header})
    async with canned({"GetSystemDateAndTime": answer}) as (_, driver):
        reading = await driver.poll()
        assert "clock_offset" not in reading.facts
        assert reading.streams[""][0].name == "P1", "it goes on without"


# --- 4: Digest only


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5")])
async def test_q04_digest_only(algorithms: tuple[str, ...]) -> None:
    async with rig(auth="digest", digest_algorithms=algorithms, lockout_after=1) as one:
        await one.whole_life()
        reading = await one.driver.poll()
        assert reading.facts["auth"] == "http digest"
        assert one.refused == 0


async def test_q04_the_mode_is_remembered() -> None:
    async with rig(auth="digest") as one:
        await one.driver.probe()
        before = one.simulator.seen.copy()
        for _ in range(3):
            one.driver._fresh_until = None  # the profiles are asked for on each poll
            await one.driver.poll()
        asked = one.simulator.seen - before
        assert asked["GetProfiles"] == 3, "no request is sent twice, the first time without a password"


async def test_q04_a_device_that_changes_its_mind() -> None:
    # A firmware update, or an operator's switch: WS-UsernameToken yesterday, Digest today.
    async with rig(auth="wsse") as one:
        await one.driver.probe()
        object.__setattr__(one.simulator.state.traits, "auth", "digest")
        await one.driver.poll()
        assert one.refused == 0


# --- 5: picky tokens


@pytest.mark.parametrize("quirk", ["created_z_only", "created_whole_seconds", "short_nonce"])
async def test_q05_picky_tokens(quirk: str) -> None:
    async with rig(auth="wsse", quirks={quirk}, lockout_after=1) as one:
        await one.whole_life()
        assert one.refused == 0


# --- 17: accounts that are locked


@pytest.mark.parametrize("auth", ["wsse", "digest", "both"])
@pytest.mark.parametrize("quirks", [(), ("date_needs_auth",)])
async def test_q17_a_wrong_password_is_sent_once(auth: str, quirks: tuple[str, ...]) -> None:
    async with rig({"password": "wrong"}, auth=auth, quirks=quirks) as one:
        for tries in (1, 2):
            with pytest.raises(AuthFailed, match=r"refuses the credentials .*list of ONVIF users"):
                await one.driver.probe()
            assert one.refused == tries
        assert one.subscriptions == 0


@pytest.mark.parametrize("auth", ["wsse", "digest"])
async def test_q17_a_locked_account_is_told_in_the_device_s_words(auth: str) -> None:
    async with rig({"password": "wrong"}, auth=auth, lockout_after=1, lockout_seconds=1800) as one:
        with pytest.raises(AuthFailed):
            await one.driver.probe()
        with pytest.raises(AuthFailed) as caught:
            await one.driver.probe()
        assert one.refused == 1, "the device did not even look"
        assert "The account is locked for 1800 s" in caught.value.detail


async def test_q17_no_password_given() -> None:
    for quirks in ((), ("date_needs_auth",)):
        async with rig({"password": None}, quirks=quirks) as one:
            with pytest.raises(AuthFailed, match="give its credentials in the inventory"):
                await one.driver.probe()


@asynccontextmanager
async def with_a_password_that_changed(folder: Path) -> AsyncIterator[tuple[Rig, Watch]]:
    """A device that is watched in full, on the point of refusing the password; the state is told as auth_failed."""
    clock = FakeClock()
    config = {"policy": Policy(poll=30.0, auth_retry=600.0), "stream_check": "describe"}
    async with rig(config, auth="digest", clock=clock) as one, watched(one.driver, folder, clock) as watch:
        await watch.listening()
        await one.simulator.inject(Fault.WRONG_PASSWORD)
        await one.moves(True, False)
        await watch.until(lambda: watch.runner.state.health.kind == "auth_failed", within=400.0, step=10.0)
        yield one, watch


async def test_q17_a_password_that_changes_is_no_storm(tmp_path: Path) -> None:
    async with with_a_password_that_changed(tmp_path) as (one, watch):
        at_once = one.refused
        assert at_once <= 4, "over events, polls and RTSP together; five lock most accounts"
        for _ in range(120):
            await watch.pass_(30)
        assert one.refused - at_once <= 7, "in an hour: a poll in ten minutes, and no subscription beside it"
        await one.simulator.clear()
        await watch.until(lambda: watch.runner.state.authorised and watch.runner.listening, within=700, step=10.0)


# --- more: passwords, users


@pytest.mark.parametrize("auth", ["wsse", "digest"])
async def test_more_a_password_that_breaks_uris(auth: str) -> None:
    config = {"stream_check": "describe", "username": "us<er&"}
    async with rig(config, auth=auth, username="us<er&", password=HARD_PASSWORD) as one:
        await one.whole_life()
        reading = await one.driver.poll()
        assert all(stream.up for stream in reading.streams[""]), "RTSP takes it too"
        assert HARD_PASSWORD not in repr(reading)
        assert one.refused == 0


async def test_more_a_web_user_is_no_onvif_user() -> None:
    # What such a camera says is just this; the driver's text names the list that the user has to be in.
    answers: Any = {"GetDeviceInformation": fault("s:Sender", "ter:NotAuthorized", reason="no such user", status=400)}
    async with canned(answers) as (device, driver):
        with pytest.raises(AuthFailed, match=r"no such user.*many devices have a list of ONVIF users"):
            await driver.probe()
        assert len(device.asked("GetDeviceInformation")) == 2, "without a password, and once with it"


async def test_more_a_refused_client_keeps_nothing() -> None:
    """core#42390: clients that are made anew on each failure leak. This one is not, and holds no connection more."""
    async with rig({"password": "wrong"}, auth="digest") as one:
        for _ in range(3):
            with suppress(DeviceError):
                await one.driver.probe()
        tasks, connections = len(asyncio.all_tasks()), len(one.simulator._server.connections)  # type: ignore[union-attr]
        for _ in range(30):
            with suppress(DeviceError):
                await one.driver.probe()
        assert len(asyncio.all_tasks()) <= tasks
        assert len(one.simulator._server.connections) <= connections  # type: ignore[union-attr]
