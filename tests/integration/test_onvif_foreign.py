"""Devices that keep to the letter of the specifications, or nearly, and yet are none of the simulated ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from bridge.driver import ShortMemory
from bridge.errors import AuthFailed
from bridge.model import EventKind
from drivers.transports import rtsp
from tests.integration.onvif_canned import (
    INFORMATION,
    PROFILES,
    Request,
    canned,
    created,
    fault,
    in_turn,
    message,
    pulled,
    services,
    stamp,
)
from tests.integration.onvif_rig import Listener
from tests.support import until

MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
MOTION = message("tns1:VideoSource/MotionAlarm")


@pytest.mark.parametrize("xaddr", ["", "http://:80:80/x", "192.0.2.9/onvif/media", "n/a"])
async def test_services_with_no_address_to_use_are_where_they_usually_are(xaddr: str) -> None:
    answers: Any = {"GetServices": services(xaddr, xaddr), "PullMessages": in_turn(pulled(MOTION))}
    async with canned(answers) as (device, driver):
        assert (await driver.poll()).streams[""][0].up
        async with Listener(driver) as listener:
            await listener.heard(1)
        assert device.asked("GetProfiles")[0].path == "/onvif/media_service"
        assert device.asked("CreatePullPointSubscription")[0].path == "/onvif/event_service"


async def test_an_event_service_that_only_get_capabilities_knows() -> None:
    only_media = services().replace("http://www.onvif.org/ver10/events/wsdl", "urn:acme")
    answers: Any = {
        "GetServices": only_media,
        "GetCapabilities": "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Events><tt:XAddr>http://h/odd/place"
        "</tt:XAddr></tt:Events></tds:Capabilities></tds:GetCapabilitiesResponse>",
        "PullMessages": in_turn(pulled(MOTION)),
    }
    async with canned(answers) as (device, driver):
        await driver.poll()
        async with Listener(driver) as listener:
            await listener.heard(1)
        assert device.asked("CreatePullPointSubscription")[0].path == "/odd/place"
        assert device.asked("GetProfiles")[0].path == "/onvif/media", "and what GetServices said holds"


def profiles2(parts: str) -> str:
    one = f'<tr2:Profiles token="P2"><tr2:Name>n</tr2:Name>{parts}</tr2:Profiles>'
    return f"<tr2:GetProfilesResponse>{one}</tr2:GetProfilesResponse>"


SOURCE2 = '<tr2:VideoSource token="VSC"><tt:SourceToken>V1</tt:SourceToken></tr2:VideoSource>'
ENCODER2 = '<tr2:VideoEncoder token="E2"><tt:Encoding>H265</tt:Encoding></tr2:VideoEncoder>'


@pytest.mark.parametrize("little", ["", f"<tr2:Configurations>{SOURCE2}</tr2:Configurations>"], ids=["none", "one"])
@pytest.mark.parametrize("media1", [False, True])
async def test_media2_that_reads_one_type_and_no_second(little: str, *, media1: bool) -> None:
    def profiles(request: Request) -> str:
        if request.path != "/onvif/media2":
            return PROFILES
        full = request.text("Type") == "All"
        return profiles2(f"<tr2:Configurations>{SOURCE2}{ENCODER2}</tr2:Configurations>" if full else little)

    listed = services().replace(
        "</tds:GetServicesResponse>",
        f"<tds:Service><tds:Namespace>{MEDIA2}</tds:Namespace><tds:XAddr>http://h/onvif/media2</tds:XAddr></tds:Service>"
        "</tds:GetServicesResponse>",
    )
    if not media1:
        listed = listed.replace("http://www.onvif.org/ver10/media/wsdl", "urn:acme")
    uri = "<tr2:GetStreamUriResponse><tr2:Uri>rtsp://192.168.1.88/two</tr2:Uri></tr2:GetStreamUriResponse>"
    answers: Any = {"GetServices": listed, "GetProfiles": profiles, "GetStreamUri": uri}
    async with canned(answers) as (_, driver):
        (stream,) = (await driver.poll()).streams[""]
        assert (stream.name, stream.uri) == ("P2", "rtsp://127.0.0.1/two")


async def test_media2_without_encoders_beside_media1_with_them() -> None:
    def profiles(request: Request) -> str:
        none = profiles2(f"<tr2:Configurations>{SOURCE2}</tr2:Configurations>")
        return none if request.path == "/onvif/media2" else PROFILES

    listed = services().replace(
        "<tds:GetServicesResponse>",
        f"<tds:GetServicesResponse><tds:Service><tds:Namespace>{MEDIA2}</tds:Namespace>"
        "<tds:XAddr>http://h/onvif/media2</tds:XAddr></tds:Service>",
    )
    async with canned({"GetServices": listed, "GetProfiles": profiles}) as (_, driver):
        (stream,) = (await driver.poll()).streams[""]
        assert stream.name == "P1"


async def test_a_device_that_has_no_clock_to_ask() -> None:
    missing = fault("s:Receiver", "ter:ActionNotSupported")
    async with canned({"GetSystemDateAndTime": missing}) as (_, driver):
        identity = await driver.probe()
        assert identity.serial == "SN1"
        assert (await driver.poll()).streams[""][0].up


async def test_a_user_who_may_not_look_at_the_network() -> None:
    """Tells nothing about the password, which has just been taken."""

    def information(request: Request) -> Any:
        return INFORMATION if "Security" in request.header else fault("s:Sender", "ter:NotAuthorized", status=400)

    answers: Any = {
        "GetDeviceInformation": information,
        "GetNetworkInterfaces": fault("s:Sender", "ter:NotAuthorized", status=400),
    }
    async with canned(answers) as (_, driver):
        identity = await driver.probe()
        assert (identity.serial, identity.macs) == ("SN1", ())
        assert (await driver.poll()).streams[""][0].up
    # Where nothing has been taken yet, it may be the password.
    async with canned({"GetNetworkInterfaces": answers["GetNetworkInterfaces"]}) as (_, driver):
        with pytest.raises(AuthFailed):
            await driver.probe()


@pytest.mark.parametrize("why", ["nothing answers there", "settings changed", "another device"])
async def test_the_address_of_a_stream_is_asked_for_again_when_it_may_be_another(why: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    right = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]

    def uri(place: str) -> str:
        return (
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsp://{place}/live</tt:Uri></trt:MediaUri>"
            "</trt:GetStreamUriResponse>"
        )

    first = "127.0.0.1:1" if why == "nothing answers there" else right
    answers: Any = {
        "GetStreamUri": in_turn(uri(first), uri(f"{right}/new")),
        "PullMessages": in_turn(pulled(message("tns1:Media/ProfileChanged", "P1", name="Token"))),
    }
    try:
        async with canned(answers, stream_check="options") as (device, driver):
            assert (await driver.poll()).streams[""][0].up is (first == right)
            if why == "settings changed":
                async with Listener(driver) as listener:
                    await listener.until(lambda: any(one.kind is EventKind.CONFIG_CHANGED for one in listener.events))
            elif why == "another device":
                await driver.probe()
            else:
                driver._fresh_until = None
            (stream,) = (await driver.poll()).streams[""]
            assert (stream.up, stream.uri) == (True, f"rtsp://{right}/new/live")
            await driver.poll()
            driver._fresh_until = None
            await driver.poll()
            assert len(device.asked("GetStreamUri")) == 2, "what is right is not asked for again"
    finally:
        server.close()


async def test_a_short_term_at_a_device_that_takes_no_dates() -> None:
    """It grants a minute and not five, which is not because it misread what was asked for."""

    def renew(request: Request) -> Any:
        if not request.text("TerminationTime").startswith("PT"):
            return fault("s:Sender", "ter:InvalidArgVal", status=400)
        return f"<wsnt:RenewResponse><wsnt:TerminationTime>{stamp(60)}</wsnt:TerminationTime></wsnt:RenewResponse>"

    answers: Any = {
        "CreatePullPointSubscription": created(seconds=60),
        "Renew": renew,
        "PullMessages": in_turn(pulled(seconds=5.0)),
    }
    async with canned(answers) as (device, driver), Listener(driver):
        await until(lambda: len(device.asked("Renew")) == 2)
        assert [one.text("TerminationTime")[:2] for one in device.asked("Renew")] == ["20", "PT"]
        await until(lambda: len(device.asked("PullMessages")) == 2)
        assert len(device.asked("CreatePullPointSubscription")) == 1


async def test_rtsp_over_tls_proves_nothing_either_way() -> None:
    answers: Any = {
        "GetStreamUri": "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsps://192.168.1.88:322/live</tt:Uri>"
        "</trt:MediaUri></trt:GetStreamUriResponse>"
    }
    async with canned(answers, stream_check="describe") as (_, driver):
        (stream,) = (await driver.poll()).streams[""]
        assert stream.up is None
        assert stream.detail == "rtsps is not asked"
    assert (await rtsp.check(["rtsps://127.0.0.1:1/x"], "OPTIONS", None, deadline=1.0))[0].up is None


@pytest.mark.parametrize("algorithm", ["MD5-sess", "SHA-256-sess"])
async def test_session_algorithms_are_named_as_the_device_names_them(algorithm: str) -> None:
    challenge = f'Digest realm="r", nonce="n", qop="auth,auth-int", algorithm={algorithm}'

    def profiles(request: Request) -> Any:
        if f"algorithm={algorithm}," in request.headers.get("Authorization", ""):
            return PROFILES
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async with canned({"GetProfiles": profiles}) as (device, driver):
        await driver.poll()
        assert len(device.asked("GetProfiles")) == 2


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_subscription_that_the_device_does_not_know_is_let_go_of_once(status: int) -> None:
    memory = ShortMemory()
    answers: Any = {"Unsubscribe": fault("s:Sender", "wsrf-rw:ResourceUnknownFault", status=status)}
    async with canned(answers, memory=memory) as (device, driver):
        async with Listener(driver):
            await until(lambda: device.asked("PullMessages"))
            assert memory.values, "noted, in case that we die"
        await driver.close()
        assert memory.values == {}
        await driver.close()
        assert len(device.asked("Unsubscribe")) == 1
