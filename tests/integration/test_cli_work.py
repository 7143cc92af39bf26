"""`templates`, `jobs`, `command` and `settings` as real processes on a whole bridge with simulated cameras: what they
say, what they ask before, and their exit codes. Nobody gives them a token or an address."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.api_rig import Bridge, Gate, bridge
from tests.integration.processes import BINARY, free_port

TEMPLATES = [
    {"id": 12, "name": "Time", "settings": {"ntp": {"servers": ["192.0.2.7"]}}},
    # What only the bridge itself has to know is not needed by who talks to it.
    {"id": 13, "name": "Viewer", "settings": {"users": {"v": {"role": "user", "password": "env:TEMPLATE_VIEWER"}}}},
    {"id": 14, "name": "Impossible", "settings": {"video_encoder_first": {"codec": "h265"}}},
]
CAMERAS = ("-d", "cam-01", "-d", "cam-02")


class Cli:
    def __init__(self, one: Bridge, folder: Path) -> None:
        self.one, self.folder = one, folder

    async def begin(self, *words: str, **environ: str) -> asyncio.subprocess.Process:
        known = {name: value for name, value in os.environ.items() if not name.startswith("DEVICE_BRIDGE_")}
        return await asyncio.create_subprocess_exec(
            BINARY, *words, cwd=self.folder, env={**known, "COLUMNS": "200", **environ},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def __call__(self, *words: str, **environ: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        child = await self.begin(*words, **environ)
        async with asyncio.timeout(60):
            out, err = await child.communicate()
        assert child.returncode is not None
        assert "Traceback" not in err.decode(), err.decode()
        return child.returncode, out.decode(), err.decode()

    async def json(self, *words: str, **environ: str) -> tuple[int, Any]:
        code, out, err = await self(*words, "--json", **environ)
        assert out.count("\n") == 1, (out, err)
        return code, json.loads(out)

    def tokens(self) -> list[str]:
        """Names of the tokens in the store."""
        connection = sqlite3.connect(self.folder / "data" / "bridge.db")
        try:
            return [name for (name,) in connection.execute("SELECT name FROM token ORDER BY name")]
        finally:
            connection.close()


@pytest.fixture
async def cli(tmp_path: Path) -> AsyncIterator[Cli]:
    environ = {"TEMPLATE_VIEWER": "c4n4ry-Pass1"}
    async with bridge(tmp_path, gate=True, environ=environ, config_templates=TEMPLATES) as one:
        await one.up()
        yield Cli(one, tmp_path)


async def test_a_plan_is_a_diff_for_people_and_json_for_scripts(cli: Cli) -> None:
    code, out, _ = await cli("templates", "plan", "12", "14", *CAMERAS)
    assert code == 1, "something cannot be as wanted"
    assert "cam-01: Time" in out
    assert "ntp.servers" in out
    assert "→" in out
    assert "192.0.2.7" in out
    assert "✗" in out
    assert "legal: h264" in out
    code, told = await cli.json("templates", "plan", "12", "-d", "cam-01")
    assert code == 5
    assert {change["after"] for change in told["items"][0]["changes"]} >= {"192.0.2.7"}
    assert (await cli.json("jobs", "list"))[1] == {"jobs": []}, "nothing was written"
    assert (await cli("templates", "plan", "12", "--site", "elsewhere"))[0] == 4
    assert (await cli("templates", "plan", "12"))[0] == 2, "for which devices?"
    code, _, err = await cli("templates", "plan", "99", "-d", "cam-01")
    assert (code, "there is no such template" in err) == (1, True)


async def test_apply_asks_before_it_writes_to_several(cli: Cli) -> None:
    code, out, err = await cli("templates", "apply", "12", *CAMERAS)
    assert code == 2
    assert "192.0.2.7" in out
    assert "Write to 2 cameras?" in err
    assert "--yes" in err
    code, told = await cli.json("templates", "apply", "12", *CAMERAS, "--dry-run")
    assert (code, len(told["items"])) == (5, 2)
    assert (await cli.json("jobs", "list"))[1] == {"jobs": []}


async def test_apply_drift_and_the_way_back(cli: Cli) -> None:
    drift = ("templates", "drift", "12", *CAMERAS)
    code, out, _ = await cli(*drift)
    assert code == 5
    assert "2 compared: 2 differ, 0 cannot be asked" in out
    code, told = await cli.json("templates", "apply", "12", *CAMERAS, "--yes", "--user", "21")
    assert code == 0
    assert (told["job"]["state"], told["job"]["done"]) == ("done", 2)
    assert [channel for channel, _ in await cli.one.pushes("camera_config_apply")] == ["user.21"] * 2
    code, told = await cli.json(*drift)
    assert (code, told["ok"], told["differ"]) == (0, True, 0)
    code, out, _ = await cli("templates", "apply", "12", *CAMERAS)
    assert (code, "2 as wanted already" in out) == (0, True), "there is nothing to ask about"
    code, _, err = await cli("templates", "rollback", "1")
    assert (code, "--yes" in err) == (2, True)
    code, out, _ = await cli("templates", "rollback", "1", "--yes")
    assert code == 0
    assert "rollback 2: done: 2 done of 2" in out
    assert (await cli(*drift))[0] == 5
    assert (await cli("templates", "rollback"))[0] == 2
    assert (await cli("templates", "rollback", "99"))[0] == 4
    code, _, err = await cli("templates", "rollback", "-d", "cam-01")
    assert (code, "nothing was changed there" in err) == (1, True)


async def test_what_goes_wrong_on_a_camera_is_said(cli: Cli) -> None:
    # A plan that was right when it was made, and a camera that has gone since.
    _, plan = await cli.json("templates", "plan", "12", *CAMERAS)
    await cli.one.site.members["cam-01"].simulator.inject("closed")
    await cli.one.site.members["cam-02"].simulator.inject("closed")
    code, out, _ = await cli("templates", "apply", "--plan", plan["id"], "--yes")
    assert code == 1
    assert "2 failed of 2" in out
    assert "error" in out
    code, told = await cli.json("templates", "drift", "12", *CAMERAS)
    assert (code, told["failed"]) == (1, 2), "nobody knows how they are"


async def test_apply_of_a_saved_plan_that_waits_for_a_confirmation(cli: Cli) -> None:
    _, plan = await cli.json("templates", "plan", "12", "-d", "cam-01")
    code, out, _ = await cli("templates", "apply", "--plan", plan["id"], "--confirm", "1h")
    assert code == 0
    assert "jobs confirm 1" in out
    assert (await cli("templates", "apply", "12", "--plan", plan["id"]))[0] == 2
    assert (await cli("templates", "apply", "--plan", "gone"))[0] == 4
    code, out, _ = await cli("jobs", "confirm", "1")
    assert (code, out.startswith("apply 1:")) == (0, True)
    code, told = await cli.json("jobs", "watch", "1")
    assert (code, told["job"]["state"]) == (0, "done")
    code, _, err = await cli("jobs", "confirm", "1")
    assert (code, "waits for no confirmation" in err) == (1, True)
    code, out, _ = await cli("jobs", "show", "1")
    assert all(word in out for word in ("apply", "done", "cam-01", "Time"))
    assert [job["id"] for job in (await cli.json("jobs", "list"))[1]["jobs"]] == [1]
    assert (await cli("jobs", "cancel", "1"))[0] == 1
    assert (await cli("jobs", "show", "9"))[0] == 4


async def test_templates_are_listed_shown_imported_exported_and_removed(cli: Cli) -> None:
    file = cli.folder / "night.yaml"
    file.write_text("config_templates:\n- {id: 20, name: Night, settings: {imaging: {brightness: 50}}}\n")
    assert await cli("templates", "import", str(file)) == (0, "imported: 20\n", "")
    code, out, _ = await cli("templates", "list")
    assert code == 0
    assert all(word in out for word in ("Night", "imaging", "import", "inventory"))
    code, out, _ = await cli("templates", "show", "20")
    assert "brightness: 50" in out
    code, out, _ = await cli("templates", "show", "13")
    assert "env:TEMPLATE_VIEWER" in out
    exported = cli.folder / "out.xlsx"
    code, _, _ = await cli("templates", "export", "20", "--format", "xlsx", "-o", str(exported))
    assert code == 0
    assert (await cli("templates", "remove", "20"))[0] == 0
    assert (await cli("templates", "show", "20"))[0] == 4
    assert await cli("templates", "import", str(exported)) == (0, "imported: 20\n", "")
    code, told = await cli.json("templates", "export", "--device", "cam-01")
    assert (code, told["url"].startswith(cli.one.service.url)) == (0, True)
    file.write_text("config_templates:\n- {id: 20, nam: Night, settings: {imaging: {brightness: 500}}}\n")
    code, _, err = await cli("templates", "import", str(file))
    assert code == 1
    assert err.count("night.yaml:2:") >= 2, "every error, with its line"
    assert (await cli("templates", "remove", "12"))[0] == 1


async def test_commands_and_settings(cli: Cli) -> None:
    code, out, _ = await cli("command", "gate", "open_door", "-a", "output=1")
    assert (code, out) == (0, "the door is open\n")
    await cli("command", "gate", "open_door", "-a", "output=1")
    assert [command.arguments for command in Gate.done] == [{"output": 1}] * 2, "each time is a new command"
    picture = cli.folder / "gate.jpg"
    code, out, _ = await cli("command", "gate", "snapshot", "-o", str(picture))
    assert (code, picture.read_bytes()) == (0, b"\xff\xd8picture")
    code, _, err = await cli("command", "gate", "open_door", "-a", "output=99")
    assert (code, "it has no output 99" in err) == (1, True)
    assert (await cli("command", "no-such", "reboot"))[0] == 4
    assert (await cli("command", "gate", "reboot", "-a", "x"))[0] == 2
    code, out, _ = await cli("settings", "cam-01", "-s", "video_encoder_first")
    assert code == 0
    assert "video_encoder_first.codec" in out
    assert "h264" in out


async def test_it_lets_itself_in_and_leaves_nothing_behind(cli: Cli) -> None:
    assert cli.tokens() == ["reader", "writer"]
    await cli("jobs", "list")
    await cli("templates", "show", "99")
    assert cli.tokens() == ["reader", "writer"]
    code, _, err = await cli("templates", "remove", "13", DEVICE_BRIDGE_TOKEN=cli.one.read)
    assert (code, "--api write" in err) == (1, True), "a token that is given is the one that is used"


async def test_without_a_bridge_it_says_so(cli: Cli) -> None:
    nobody = {"DEVICE_BRIDGE_URL": "http://127.0.0.1:9", "DEVICE_BRIDGE_TOKEN": "any"}
    code, _, err = await cli("jobs", "list", **nobody)
    assert (code, "device-bridge run" in err) == (6, True)
    code, told = await cli.json("jobs", "list", **nobody)
    assert (code, told["ok"]) == (6, False)
    code, _, err = await cli("jobs", "list", DEVICE_BRIDGE_TOKEN="wrong")
    assert (code, "bearer token" in err) == (1, True)
    assert (await cli("jobs", "list", DEVICE_BRIDGE_URL="ftp://x"))[0] == 2
    assert (await cli("jobs", "list", "-c", "none.yaml"))[0] == 3
    await cli.one.service.stop()
    code, _, err = await cli("jobs", "list")
    assert (code, "no bridge answers at http://127.0.0.1:" in err) == (6, True)
    assert cli.tokens() == ["reader", "writer"]


async def test_over_tls_it_trusts_the_certificate_of_the_inventory_and_no_other(tmp_path: Path) -> None:
    mine, other = (trustme.CA().issue_cert("bridge.example.net") for _ in range(2))
    for name, one in (("mine", mine), ("other", other)):
        one.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        for number, part in enumerate(one.cert_chain_pems):
            part.write_to_path(tmp_path / f"{name}.crt", append=number > 0)
    tls = {"certificate": str(tmp_path / "mine.crt"), "key": str(tmp_path / "mine.key")}
    said = {"data": "data", "http": {"listen": f"127.0.0.1:{free_port()}", "tls": tls}}
    async with bridge(tmp_path, cameras=0, panels=0, bridge=said) as one:
        cli = Cli(one, tmp_path)
        assert await cli.json("jobs", "list") == (0, {"jobs": []})
        config = tmp_path / "config.yaml"
        config.write_text(config.read_text().replace("mine.", "other."))
        code, _, err = await cli("jobs", "list")
        assert (code, "certificate" in err.lower()) == (6, True)
