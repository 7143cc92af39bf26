"""The simulated ONVIF device is configured by the npm package onvif, over Media1 and over Media2."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests import node
from tests.integration.onvif_rig import MAKES
from tests.integration.onvif_settings_client import PASSWORD, client


@pytest.fixture(scope="module")
def node_js() -> str:
    return node.node()


async def _configure(node_js: str, arguments: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        node_js,
        str(node.HERE / "onvif_settings.js"),
        json.dumps(arguments),
        env=node.environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said: dict[str, Any] = json.loads(out)
    return said


@pytest.mark.parametrize("media2", [False, True], ids=["media1", "media2"])
@pytest.mark.parametrize("seed", MAKES)
async def test_the_npm_client_configures(node_js: str, seed: int, media2: bool) -> None:
    async with client(seed=seed, media2=media2) as ask:
        await ask.raw.simulator.act("configure", setting="clock", mode="Manual")
        for token in list(ask.state.configuration()["osd"]):
            await ask.raw.simulator.act("configure", setting="osd", token=token, remove=True)
        limits = ask.state.make.limits
        corner: Any = limits.osd.positions[0]
        osd = {"plaintext": "Gate", "position": {"x": -0.5, "y": 0.5} if corner == "Custom" else corner}
        brightness = limits.imaging.scale[1]
        said = await _configure(
            node_js,
            {
                "port": ask.raw.simulator.port,
                "password": PASSWORD,
                "osd": osd,
                "width": 1920,
                "height": 1080,
                "brightness": brightness,
            },
        )
        assert "error" not in said, said
        assert (said["encoder"]["resolution"]["width"], said["encoder"]["resolution"]["height"]) == (1920, 1080)
        assert float(said["imaging"]["brightness"]) == brightness
        assert said["ntp"]["NTPManual"]["DNSname"] == "time.example.org"
        assert [one["username"] for one in said["users"]] == ["admin", "anna"]

        now = ask.state.configuration()
        assert now["clock"]["mode"] == "NTP"
        assert now["clock"]["timezone"] == "CET-1CEST,M3.5.0,M10.5.0/3"
        assert [one["text"] for one in now["osd"].values()] == ["Gate"]
        assert now["video_encoder"][ask.encoder]["width"] == 1920
        assert ask.raw.simulator.seen["auth_failed"] == 0
