"""What a simulated device does wrong when it is configured: each quirk by its effect on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import DigestAuthMiddleware
from zeep.exceptions import Fault

from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulator import OnvifSimulator
from tests.integration.onvif_raw import GET_INFO, LIMIT, get_services, until
from tests.integration.onvif_settings_client import Client, client, encoder2
from tests.integration.test_onvif_simulator_auth import Rtsp
from tests.integration.test_onvif_simulator_quirks import CHECKS as OTHERS

Check = Callable[[Client], Awaitable[None]]
CHECKS: dict[Quirk, tuple[Check, dict[str, Any]]] = {}
LARVIK, DOVRE = 1, 4  # seeds of two makes


def check(quirk: Quirk, **traits: Any) -> Callable[[Check], Check]:
    def add(function: Check) -> Check:
        CHECKS[quirk] = function, traits
        return function

    return add


def test_every_quirk_is_looked_at() -> None:
    assert CHECKS.keys() | OTHERS.keys() == set(Quirk)


@check(Quirk.REJECTS_A_FIELD, rejected_field="video_encoder.fps")
async def _(ask: Client) -> None:
    configuration = await ask.video()
    configuration["RateControl"] |= {"FrameRateLimit": 10, "BitrateLimit": 1024}
    arguments = {"Configuration": configuration, "ForcePersistence": True}
    await ask.refused("trt", "SetVideoEncoderConfiguration", "InvalidArgVal", "ConfigModify", **arguments)
    await ask.set_bitrate(1024)
    assert await ask.bitrate() == 1024


@check(Quirk.ADAPTS_BITRATE)
async def _(ask: Client) -> None:
    await ask.set_bitrate(1700)
    assert await ask.bitrate() == 2048
    await ask.set_bitrate(10**6)
    assert await ask.bitrate() == 8192


@check(Quirk.IGNORES_WRITES, ignored_writes=("SetVideoEncoderConfiguration", "CreateUsers"))
async def _(ask: Client) -> None:
    before = ask.state.configuration()
    await ask.set_bitrate(1024)
    await ask("tds", "CreateUsers", User=[{"Username": "anna", "Password": "Secret-word1", "UserLevel": "User"}])
    assert ask.state.configuration() == before
    await ask("tds", "SetHostname", Name="gate")
    assert ask.state.configuration()["hostname"]["name"] == "gate"


@check(Quirk.EMPTY_WRITE_REPLY)
async def _(ask: Client) -> None:
    answer = await ask.raw.ask(
        '<SetHostname xmlns="http://www.onvif.org/ver10/device/wsdl"><Name>gate</Name></SetHostname>'
    )
    assert (answer.status, answer.root.find("{*}Body")[:]) == (200, [])  # type: ignore[index]
    assert (await ask("tds", "GetHostname"))["Name"] == "gate"


@check(Quirk.OPTIONS_TOO_WIDE)
async def _(ask: Client) -> None:
    options = await ask("trt", "GetVideoEncoderConfigurationOptions", ConfigurationToken=ask.encoder)
    most = options["H264"]["FrameRateRange"]["Max"]

    async def set_rate(rate: int) -> None:
        await ask.set_video(lambda one: one["RateControl"].update(FrameRateLimit=rate))

    with pytest.raises(Fault, match="FrameRateLimit"):
        await set_rate(most)
    await set_rate(most // 2)


@check(Quirk.MEDIA1_CALLS_IT_H264, media2=True, h265=True, profiles=1)
async def _(ask: Client) -> None:
    assert (await ask.video())["Encoding"] == "H264"
    assert (await ask.media2("GetVideoEncoderConfigurations")).one("Encoding") == "H265"
    await ask.set_video(lambda one: None)
    assert (await ask.media2("GetVideoEncoderConfigurations")).one("Encoding") == "H264"


@check(Quirk.CODEC_NEEDS_REBOOT, media2=True)
async def _(ask: Client) -> None:
    async def encoding() -> str:
        return (await ask.media2("GetVideoEncoderConfigurations")).all("Encoding")[0]

    assert (await ask.media2("SetVideoEncoderConfiguration", encoder2(ask.encoder, bitrate=1024))).status == 200
    assert await ask.bitrate() == 1024, "what is no codec is set at once"
    assert (await ask.media2("SetVideoEncoderConfiguration", encoder2(ask.encoder, encoding="H265"))).status == 200
    assert await encoding() == "H264"
    await ask("tds", "SystemReboot")
    await until(lambda: ask.raw.simulator.seen["SystemReboot"] == 1)
    async with asyncio.timeout(LIMIT):
        while ask.state.encoder(next(iter(ask.state.profiles.values()))).encoding == "H264":
            await asyncio.sleep(0.01)
        while not await _alive(ask):
            await asyncio.sleep(0.01)
    assert await encoding() == "H265"


async def _alive(ask: Client, timeout: float = 1.0) -> bool:
    try:
        return (await ask.raw.ask(GET_INFO, timeout=timeout)).status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _back(ask: Client) -> None:
    async with asyncio.timeout(LIMIT):
        while not await _alive(ask):
            await asyncio.sleep(0.01)


@check(Quirk.REBOOTS_AFTER_WRITE, reboot_seconds=0.2)
async def _(ask: Client) -> None:
    await ask.set_bitrate(1024)
    await ask.raw.subscribe()
    await ask.set_bitrate(2048, persistent=False)  # the second, and its reply arrives
    await until(lambda: ask.raw.simulator.open_subscriptions() == 0)
    await _back(ask)
    assert await ask.bitrate() == 1024
    await ask.set_bitrate(512)
    assert await _alive(ask), "it happens once"


async def _loses_its_link(ask: Client) -> None:
    await ask("tds", "SetHostname", Name="gate")
    body = '<SetHostname xmlns="http://www.onvif.org/ver10/device/wsdl"><Name>gate-2</Name></SetHostname>'
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await ask.raw.ask(body, timeout=0.3)
    assert not await _alive(ask, 0.1)
    await _back(ask)
    assert (await ask("tds", "GetHostname"))["Name"] == "gate-2", "the write was done"
    await ask("tds", "SetHostname", Name="gate-3")
    assert ask.raw.simulator.faults == {}


CHECKS[Quirk.LINK_LOST_AFTER_WRITE] = _loses_its_link, {"mishap_seconds": 0.8}
CHECKS[Quirk.SILENT_AFTER_WRITE] = _loses_its_link, {"mishap_seconds": 0.8}


async def _zone(ask: Client, written: str) -> str:
    await ask("tds", "SetSystemDateAndTime", DateTimeType="NTP", DaylightSavings=True, TimeZone={"TZ": written})
    return str((await ask("tds", "GetSystemDateAndTime"))["TimeZone"]["TZ"])


@check(Quirk.CLOCK_STAYS_MANUAL)
async def _(ask: Client) -> None:
    await ask("tds", "SetSystemDateAndTime", DateTimeType="NTP", DaylightSavings=False)
    assert (await ask("tds", "GetSystemDateAndTime"))["DateTimeType"] == "Manual"


@check(Quirk.ZONE_AS_GMT)
async def _(ask: Client) -> None:
    assert await _zone(ask, "CST-8") == "GMT+08:00"
    assert await _zone(ask, "NST3:30NDT") == "GMT-03:30"


@check(Quirk.ZONE_AS_CST)
async def _(ask: Client) -> None:
    assert await _zone(ask, "CET-1CEST,M3.5.0,M10.5.0/3") == "CST-1:00:00"
    assert await _zone(ask, "EST5") == "CST+5:00:00"


@check(Quirk.FULL_USER_LIST)
async def _(ask: Client) -> None:
    new = [{"Username": "anna", "Password": "Secret-word1", "UserLevel": "User"}]
    await ask.refused("tds", "CreateUsers", "Action", "TooManyUsers", User=new)
    listed = [one["Username"] for one in await ask("tds", "GetUsers")]
    assert len(listed) == ask.state.make.limits.users.most
    await ask("tds", "DeleteUsers", Username=listed[-1:])
    await ask("tds", "CreateUsers", User=new)


@check(Quirk.SEPARATE_WEB_USERS)
async def _(ask: Client) -> None:
    changed = [{"Username": "admin", "Password": "Other-word2", "UserLevel": "Administrator"}]
    await ask("tds", "SetUser", User=changed)
    assert await ask.login("admin", "Other-word2")("tds", "GetHostname")
    profile = next(iter(ask.state.profiles.values()))
    rtsp = await Rtsp.connect(ask.raw)
    assert (await rtsp.describe(ask.state.stream_uri(profile)))[0] == 200, "with the password that was"
    rtsp.writer.close()
    for password, status in (("s3cret-pass", 200), ("Other-word2", 401)):
        login = DigestAuthMiddleware("admin", password)
        url = f"{ask.raw.origin}/onvif/snapshot/{profile.token}"
        async with aiohttp.ClientSession(middlewares=(login,)) as session, session.get(url) as response:
            assert response.status == status


@check(Quirk.SAME_OSD_TOKENS, seed=DOVRE)
async def _(ask: Client) -> None:
    first, second = await ask("trt", "GetOSDs")
    assert first["token"] == second["token"]
    await ask("trt", "SetOSD", OSD=second)
    assert [one["TextString"]["Type"] for one in await ask("trt", "GetOSDs")] == ["Plain", "Plain"]


@check(Quirk.ONE_TEXT_OSD, seed=LARVIK)
async def _(ask: Client) -> None:
    osd = {
        "token": "",
        "VideoSourceConfigurationToken": ask.state.sources[0].config_token,
        "Type": "Text",
        "Position": {"Type": "UpperLeft"},
        "TextString": {"Type": "Plain", "PlainText": "Gate"},
    }
    await ask("trt", "CreateOSD", OSD=osd)
    await ask.refused("trt", "CreateOSD", "Action", "MaxOSDs", OSD=osd)
    options = await ask("trt", "GetOSDOptions", ConfigurationToken=osd["VideoSourceConfigurationToken"])
    assert options["MaximumNumberOfOSDs"]["PlainText"] == 8


@check(Quirk.IMAGING_NOT_IN_CAPABILITIES)
async def _(ask: Client) -> None:
    assert (await ask("tds", "GetCapabilities", Category="All"))["Imaging"] is None
    services = (await ask.raw.ask(get_services())).all("Namespace")
    assert "http://www.onvif.org/ver20/imaging/wsdl" in services
    assert await ask("timg", "GetOptions", VideoSourceToken=ask.state.sources[0].token)


@pytest.mark.parametrize("quirk", CHECKS)
async def test_quirk(quirk: Quirk) -> None:
    function, traits = CHECKS[quirk]
    async with client(quirks={quirk}, **traits) as ask:
        await function(ask)


def test_a_rejected_field_that_is_none() -> None:
    for field in ("bitrate", "video_encoder.colour", "car.wheels"):
        with pytest.raises(ValueError, match="rejected_field"):
            OnvifSimulator(rejected_field=field)
