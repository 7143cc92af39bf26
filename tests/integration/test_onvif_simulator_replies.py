"""What a simulated device without quirks replies, to good requests and to bad ones; every make."""

from __future__ import annotations

import pytest

from drivers.onvif.simulated.operations import OPERATIONS
from drivers.onvif.simulated.soap import NAMESPACES, SOAP11
from drivers.onvif.simulator import OnvifSimulator
from tests.integration.onvif_raw import (
    DEVICE,
    GET_DATE,
    GET_INFO,
    GET_PROFILES,
    MEDIA,
    MEDIA2,
    SOAP,
    WSNT,
    Answer,
    device,
    get_services,
)


async def test_no_quirk_no_difference() -> None:
    """Every reply of a device without quirks is well-formed, on every make."""
    for seed in range(8):
        async with device(seed=seed, media2=True, profiles=3, h265=True) as raw:
            answers = [await raw.ask(body) for body in (GET_DATE, GET_INFO, GET_PROFILES, get_services(True))]
            token = list(raw.simulator.state.profiles)[-1]
            wanted = f'<GetProfiles xmlns="{MEDIA2}"><Type>All</Type></GetProfiles>'
            stream = f"<Protocol>RTSP</Protocol><ProfileToken>{token}</ProfileToken>"
            uri = f'<GetStreamUri xmlns="{MEDIA2}">{stream}</GetStreamUri>'
            answers += [await raw.ask(wanted), await raw.ask(uri)]
            assert [answer.reply for answer in answers] == [
                *("GetSystemDateAndTimeResponse", "GetDeviceInformationResponse", "GetProfilesResponse"),
                *("GetServicesResponse", "GetProfilesResponse", "GetStreamUriResponse"),
            ]
            assert "H265" in answers[4].all("Encoding")
            assert "H265" not in answers[2].all("Encoding")
            assert answers[5].one("Uri") == raw.simulator.state.stream_uri(raw.simulator.state.profiles[token])


async def test_requests_that_are_none() -> None:
    async with device() as raw:
        url = f"{raw.origin}/onvif/device_service"

        async def send(data: bytes, method: str = "POST") -> Answer:
            async with raw.session.request(method, url, data=data) as response:
                return Answer(response.status, response.headers, await response.read())

        assert (await send(b"not xml")).subcodes == ["WellFormed"]
        bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope xmlns:s="%s"><s:Body/></s:Envelope>' % SOAP.encode()
        assert (await send(bomb)).subcodes == ["WellFormed"]
        assert (await send(b'<s:Envelope xmlns:s="%s"><s:Body/></s:Envelope>' % SOAP.encode())).subcodes == ["Tag"]
        old = await send(b'<s:Envelope xmlns:s="%s"><s:Body/></s:Envelope>' % SOAP11.encode())
        assert b"VersionMismatch" in old.raw
        assert (await send(b"", "PUT")).status == 405
        assert (await send(b"", "GET")).status == 404
        assert (await send(b" " * 300_000)).status == 413
        assert (await raw.ask(GET_INFO, f"{raw.origin}/elsewhere")).status == 404
        assert (await raw.ask(f'<GetProfiles xmlns="{WSNT}"/>')).subcodes == ["ActionNotSupported"]
        assert (await raw.ask('<GetProfiles xmlns="urn:nobody"/>')).subcodes == ["ActionNotSupported"]
        assert set(raw.simulator.seen) <= {"other", "GetDeviceInformation"}


async def test_wrong_tokens_and_arguments() -> None:
    async with device() as raw:
        profile = f'<GetProfile xmlns="{MEDIA}"><ProfileToken>x</ProfileToken></GetProfile>'
        answer = await raw.ask(profile)
        assert (answer.status, answer.subcodes) == (400, ["InvalidArgVal", "NoProfile"])
        ptz = f'<GetCapabilities xmlns="{DEVICE}"><Category>PTZ</Category></GetCapabilities>'
        assert (await raw.ask(ptz)).subcodes == ["ActionNotSupported", "NoSuchService"]


def test_traits_are_checked() -> None:
    for traits in ({"auth": "basic"}, {"profiles": 4}, {"channels": 0}, {"digest_algorithms": ("SHA-1",)}):
        with pytest.raises(ValueError, match=next(iter(traits))):
            OnvifSimulator(**traits)
    with pytest.raises(TypeError):
        OnvifSimulator(colour="red")


async def test_no_request_breaks_an_operation() -> None:
    """Empty, of odd values, of a hundred elements: a reply or a SOAP fault, and nothing set that was not there."""
    async with device(media2=True, audio=True, analytics=True, event_brokers=1) as raw:
        state = raw.simulator.state
        token = next(iter(state.configuration()["video_encoder"]))
        odd = "".join(
            f"<{name} token='{token}' x='nan' y='inf' Name='n' Type='q'><Type>\U0001f4a5</Type>"
            f"<Name>{'9' * 3000}</Name></{name}>"
            for name in ("Configuration", "OSD", "User", "RelayOutput", "Rule", "AnalyticsModule", "EventBroker")
        )
        plain = "<ConfigurationToken>x</ConfigurationToken><VideoSourceToken>x</VideoSourceToken><Address>x</Address>"
        before = state.configuration()
        for prefix, operation in OPERATIONS:
            if operation in ("SystemReboot", "SetSystemFactoryDefault"):
                continue
            for inside in ("", odd, plain, f"<x>{'<y/>' * 100}</x>"):
                body = f'<{operation} xmlns="{NAMESPACES[prefix]}">{inside}</{operation}>'
                answer = await raw.ask(body, raw.origin + state.make.paths[prefix])
                assert answer.status in (200, 400, 500)
                assert answer.reply in ("Fault", f"{operation}Response"), (operation, inside[:40])
        assert state.configuration() == before
