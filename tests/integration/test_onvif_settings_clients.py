"""What a template asked for is on the camera by the word of others: zeep with the ONVIF WSDLs, npm's onvif.

Neither knows anything of the bridge. Each is asked after a template was applied, and says what the device tells it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.secrets import Secret
from drivers.onvif.simulator import OnvifSimulator
from tests import node
from tests.integration.onvif_raw import Raw
from tests.integration.onvif_settings_client import PASSWORD, Client
from tests.integration.onvif_settings_site import site

# Seed 1: the make that has corners for its texts.
CAMERAS: Mapping[str, Mapping[str, Any]] = {
    "media1": {"seed": 1},
    "media2": {"seed": 1, "media2": True, "h265": True, "audio": True, "analytics": True},
}
TEMPLATE: Mapping[str, Any] = {
    "osd_text": {"text": "Gate ${camera.id}", "position": "lower_left"},
    "imaging": {"brightness": 60, "white_balance": "manual"},
    "relays": {"RelayOutput_1": {"mode": "monostable", "duration": "5s", "idle": "closed"}},
    "clock": {"time_zone": "MSK-3", "daylight_saving": False},
    "ntp": {"servers": ["192.0.2.7", "ntp.example.net"], "from_dhcp": False},
    "video_encoder_first": {"codec": "h264", "resolution": "1280x720", "fps": 12, "bitrate": 2048, "gop": 48},
    "video_encoder_second": {"codec": "h264", "fps": 5, "bitrate": 256},
    "hostname": {"name": "gate-${camera.id}"},
    "users": {"viewer": {"role": "operator", "password": Secret("view-Pass1")}},
}


async def applied(folder: Path, traits: Mapping[str, Any], template: Mapping[str, Any], then: Any) -> None:
    async with site(folder) as made:
        camera = await made.add(**traits)
        made.template(**template)
        assert await made.apply() == "done", await made.pushes()
        await then(camera)


@pytest.mark.parametrize("camera", list(CAMERAS))
async def test_zeep_reads_what_the_template_asked_for(tmp_path: Path, camera: str) -> None:
    await applied(tmp_path, CAMERAS[camera], TEMPLATE, _by_zeep)


async def _by_zeep(camera: OnvifSimulator) -> None:
    async with aiohttp.ClientSession() as session:
        ask = Client(Raw(camera, session), password=PASSWORD)
        profiles = await ask("trt", "GetProfiles")
        high, low = (one["VideoEncoderConfiguration"] for one in profiles[:2])
        assert (high["Encoding"], high["Resolution"]) == ("H264", {"Width": 1280, "Height": 720})
        assert (high["RateControl"]["FrameRateLimit"], high["RateControl"]["BitrateLimit"]) == (12, 2048)
        assert high["H264"]["GovLength"] == 48
        assert (low["RateControl"]["FrameRateLimit"], low["RateControl"]["BitrateLimit"]) == (5, 256)
        texts = [one["TextString"] for one in await ask("trt", "GetOSDs")]
        assert [one["PlainText"] for one in texts if one["Type"] == "Plain"] == ["Gate 400"]
        source = profiles[0]["VideoSourceConfiguration"]["SourceToken"]
        imaging = await ask("timg", "GetImagingSettings", VideoSourceToken=source)
        options = await ask("timg", "GetOptions", VideoSourceToken=source)
        scale = options["Brightness"]
        assert imaging["Brightness"] == pytest.approx(scale["Min"] + 0.6 * (scale["Max"] - scale["Min"]), abs=1)
        assert imaging["WhiteBalance"]["Mode"] == "MANUAL"
        clock = await ask("tds", "GetSystemDateAndTime")
        assert (clock["DateTimeType"], clock["TimeZone"]["TZ"], clock["DaylightSavings"]) == ("NTP", "MSK-3", False)
        ntp = await ask("tds", "GetNTP")
        assert ntp["FromDHCP"] is False
        assert [one["IPv4Address"] or one["DNSname"] for one in ntp["NTPManual"]] == ["192.0.2.7", "ntp.example.net"]
        assert (await ask("tds", "GetHostname"))["Name"] == "gate-400"
        users = {one["Username"]: one["UserLevel"] for one in await ask("tds", "GetUsers")}
        assert users == {"admin": "Administrator", "viewer": "Operator"}
        relay = (await ask("tds", "GetRelayOutputs"))[0]
        assert (relay["Properties"]["Mode"], relay["Properties"]["IdleState"]) == ("Monostable", "closed")
        assert relay["Properties"]["DelayTime"].total_seconds() == 5
        # The new password is one that lets somebody in.
        assert await ask.login("viewer", "view-Pass1")("trt", "GetVideoSources")


@pytest.mark.parametrize("camera", list(CAMERAS))
async def test_the_npm_client_reads_what_the_template_asked_for(tmp_path: Path, camera: str) -> None:
    await applied(tmp_path, CAMERAS[camera], TEMPLATE, _by_npm)


async def test_the_npm_client_sees_h265(tmp_path: Path) -> None:
    async def seen(camera: OnvifSimulator) -> None:
        encoders = (await _npm(camera))["encoders"]
        assert [one["encoding"] for one in encoders][:1] == ["H265"]

    template = {"video_encoder_first": {"codec": "h265", "profile": "main", "fps": 15, "bitrate": 1500, "gop": 30}}
    await applied(tmp_path, CAMERAS["media2"], template, seen)


async def _by_npm(camera: OnvifSimulator) -> None:
    said = await _npm(camera)
    high, low = said["encoders"][:2]
    assert (high["encoding"], high["resolution"]) == ("H264", {"width": 1280, "height": 720})
    assert (float(high["rateControl"]["frameRateLimit"]), int(high["rateControl"]["bitrateLimit"])) == (12, 2048)
    assert (float(low["rateControl"]["frameRateLimit"]), int(low["rateControl"]["bitrateLimit"])) == (5, 256)
    texts = [one["textString"] for one in _list(said["osds"]["getOSDsResponse"]["OSDs"])]
    assert [one["plainText"] for one in texts if one["type"] == "Plain"] == ["Gate 400"]
    assert said["imaging"]["whiteBalance"]["mode"] == "MANUAL"
    assert [one.get("IPv4Address") or one["DNSname"] for one in said["ntp"]["NTPManual"]] == [
        "192.0.2.7",
        "ntp.example.net",
    ]
    assert said["hostname"]["name"] == "gate-400"
    assert {one["username"]: one["userLevel"] for one in said["users"]} == {
        "admin": "Administrator",
        "viewer": "Operator",
    }


def _list(one: Any) -> list[Any]:
    """The client takes a list of one for the one."""
    return one if isinstance(one, list) else [one]


async def _npm(camera: OnvifSimulator) -> dict[str, Any]:
    return await node.answer("onvif_settings.js", {"port": camera.port, "password": PASSWORD})
