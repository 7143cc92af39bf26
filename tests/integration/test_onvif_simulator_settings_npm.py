"""The simulated ONVIF device is configured by the npm package onvif, over Media1 and over Media2."""

from __future__ import annotations

from typing import Any

import pytest

from tests import node
from tests.integration.onvif_rig import MAKES
from tests.integration.onvif_settings_client import PASSWORD, client


@pytest.mark.parametrize("media2", [False, True], ids=["media1", "media2"])
@pytest.mark.parametrize("seed", MAKES)
async def test_the_npm_client_configures(seed: int, media2: bool) -> None:
    async with client(seed=seed, media2=media2) as ask:
        await ask.raw.simulator.act("configure", setting="clock", mode="Manual")
        for token in list(ask.state.configuration()["osd"]):
            await ask.raw.simulator.act("configure", setting="osd", token=token, remove=True)
        limits = ask.state.make.limits
        corner: Any = limits.osd.positions[0]
        osd = {"plaintext": "Gate", "position": {"x": -0.5, "y": 0.5} if corner == "Custom" else corner}
        brightness = limits.imaging.scale[1]
        values = {"osd": osd, "width": 1920, "height": 1080, "brightness": brightness}
        login = {"port": ask.raw.simulator.port, "password": PASSWORD}
        said = await node.answer("onvif_settings.js", {**login, "write": values})
        assert (said["encoders"][0]["resolution"]["width"], said["encoders"][0]["resolution"]["height"]) == (1920, 1080)
        assert float(said["imaging"]["brightness"]) == brightness
        assert said["ntp"]["NTPManual"]["DNSname"] == "time.example.org"
        assert [one["username"] for one in said["users"]] == ["admin", "anna"]

        now = ask.state.configuration()
        assert now["clock"]["mode"] == "NTP"
        assert now["clock"]["timezone"] == "CET-1CEST,M3.5.0,M10.5.0/3"
        assert [one["text"] for one in now["osd"].values()] == ["Gate"]
        assert now["video_encoder"][ask.encoder]["width"] == 1920
        assert ask.raw.simulator.seen["auth_failed"] == 0
