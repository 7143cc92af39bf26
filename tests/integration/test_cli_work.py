"""`templates`, `jobs`, `command` and `settings` as real processes against a bridge whose work is scripted: what they
say, what they ask before, and their exit codes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from bridge.web.ports import Initiator

from tests.integration.processes import BINARY
from tests.integration.scripted import Site, scripted_site


class Cli:
    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.script, self.folder = site, site.script, folder

    async def begin(self, *words: str, **environ: str) -> asyncio.subprocess.Process:
        known = {"DEVICE_BRIDGE_URL": self.site.one.url, "DEVICE_BRIDGE_TOKEN": self.site.one.write, "COLUMNS": "200"}
        return await asyncio.create_subprocess_exec(
            BINARY, *words, cwd=self.folder, env={**os.environ, **known, **environ},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def __call__(self, *words: str, **environ: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        child = await self.begin(*words, **environ)
        async with asyncio.timeout(30):
            out, err = await child.communicate()
        assert child.returncode is not None
        assert "Traceback" not in err.decode()
        return child.returncode, out.decode(), err.decode()

    async def json(self, *words: str, **environ: str) -> tuple[int, Any]:
        code, out, err = await self(*words, "--json", **environ)
        assert out.count("\n") == 1, (out, err)
        return code, json.loads(out)

    async def through(self, job: str, **outcomes: str) -> None:
        """Let a job's devices come through, `cam_01="ok"`, once it is there."""
        async with asyncio.timeout(20):
            while job not in self.script.known:
                await asyncio.sleep(0.02)
        for device, state in outcomes.items():
            await self.script.move(job, device.replace("_", "-"), state, None if state == "ok" else "it went away")


@pytest.fixture
async def cli(tmp_path: Path) -> AsyncIterator[Cli]:
    async with scripted_site(tmp_path) as site:
        yield Cli(site, tmp_path)


async def test_a_plan_is_a_diff_for_people_and_json_for_scripts(cli: Cli) -> None:
    cli.script.states = {"cam-02": "refused", "door-01": "same"}
    code, out, _ = await cli("templates", "plan", "12", "--all")
    assert code == 1, "one of them cannot be as wanted"
    assert "cam-01: Time" in out
    assert "ntp.servers" in out
    assert "nothing" in out
    assert "→" in out
    assert "192.0.2.1" in out
    assert "the device has no ntp" in out
    assert "1 as wanted already" in out
    code, told = await cli.json("templates", "plan", "12", "-d", "cam-01")
    assert code == 5
    assert told["items"][0]["changes"][0]["after"] == "192.0.2.1"
    assert (await cli("templates", "plan", "12", "-d", "door-01"))[0] == 0
    assert [name for name, _, _ in cli.script.asked] == ["plan", "plan", "plan"], "nothing was written"


async def test_apply_asks_before_it_writes_to_several(cli: Cli) -> None:
    code, _, err = await cli("templates", "apply", "12", "--all")
    assert code == 2
    assert "--yes" in err
    assert "apply" not in [name for name, _, _ in cli.script.asked]
    code, told = await cli.json("templates", "apply", "12", "--all", "--dry-run")
    assert (code, len(told["items"])) == (5, 3)
    assert "apply" not in [name for name, _, _ in cli.script.asked]
    assert (await cli("templates", "apply", "12"))[0] == 2, "for which devices?"


async def test_apply_follows_its_job_to_the_end(cli: Cli) -> None:
    child = await cli.begin("templates", "apply", "12", "--all", "--yes", "--json")
    await cli.through("job-0", cam_01="ok", cam_02="ok", door_01="ok")
    out, _ = await child.communicate()
    told = json.loads(out)
    assert child.returncode == 0
    assert (told["state"], told["done"], told["initiator"]["user_id"]) == ("done", 3, 13)

    child = await cli.begin("templates", "apply", "12", "-d", "cam-01", "-d", "cam-02", "--yes")
    await cli.through("job-1", cam_01="ok", cam_02="failed")
    out, _ = await child.communicate()
    assert child.returncode == 1
    assert "it went away" in out.decode()
    assert "cam-02" in out.decode()
    assert "cam-01" not in out.decode().partition("What came of it")[2], "what went well needs no words"


async def test_apply_of_a_saved_plan_that_waits_for_a_confirmation(cli: Cli) -> None:
    _, plan = await cli.json("templates", "plan", "12", "-d", "cam-01")
    code, out, _ = await cli("templates", "apply", "--plan", plan["id"], "--confirm", "120s")
    assert code == 0
    assert "jobs confirm job-0" in out
    assert cli.script.asked[-1] == ("apply", (plan["id"], 120.0), Initiator("writer", 13))
    assert (await cli("templates", "apply", "12", "--plan", plan["id"]))[0] == 2
    code, told = await cli.json("jobs", "confirm", "job-0")
    assert (code, told["confirm_by"]) == (0, None)
    code, _, err = await cli("jobs", "confirm", "job-0")
    assert code == 1
    assert "waits for no confirmation" in err


async def test_jobs_are_listed_shown_watched_and_cancelled(cli: Cli) -> None:
    await cli.site.ask("POST", "/applies", {"targets": {"all": True}, "templates": [12]})
    assert [job["id"] for job in (await cli.json("jobs", "list"))[1]["jobs"]] == ["job-0"]
    _, out, _ = await cli("jobs", "show", "job-0")
    assert "running" in out
    assert "door-01" in out
    watching = await cli.begin("jobs", "watch", "job-0")
    await cli.through("job-0", cam_01="ok")
    code, out, _ = await cli("jobs", "cancel", "job-0")
    assert (code, out) == (0, "apply job-0: cancelled\n")
    await watching.communicate()
    assert watching.returncode == 1
    assert (await cli("jobs", "show", "job-9"))[0] == 4


async def test_rollback(cli: Cli) -> None:
    await cli.site.ask("POST", "/applies", {"targets": {"all": True}, "templates": [12]})
    await cli.through("job-0", cam_01="ok", cam_02="ok", door_01="failed")
    code, _, err = await cli("templates", "rollback", "job-0")
    assert (code, "2 devices" in err) == (2, True)
    child = await cli.begin("templates", "rollback", "job-0", "-d", "cam-01", "--user", "13")
    async with asyncio.timeout(20):
        while "job-1" not in cli.script.known:
            await asyncio.sleep(0.02)
    await cli.script.move("job-1", "none", "ok")
    await child.communicate()
    assert child.returncode == 0
    assert cli.script.asked[-1] == ("rollback", ("job-0", ("cam-01",)), Initiator("writer", 13))


async def test_drift_has_an_exit_code_of_its_own(cli: Cli) -> None:
    assert (await cli("templates", "drift", "12"))[0] == 5
    cli.script.states = {"cam-01": "same", "cam-02": "same", "door-01": "failed"}
    code, out, _ = await cli("templates", "drift", "12")
    assert code == 1
    assert "it does not answer" in out
    cli.script.states["door-01"] = "same"
    code, told = await cli.json("templates", "drift", "12", "--site", "simulated")
    assert (code, told["ok"], told["differ"]) == (0, True, 0)


async def test_templates_are_listed_shown_imported_exported_and_removed(cli: Cli) -> None:
    file = cli.folder / "night.yaml"
    file.write_text("config_templates:\n- {id: 20, name: Night, settings: {imaging: {brightness: 50}}}\n")
    assert await cli("templates", "import", str(file)) == (0, "imported: 20\n", "")
    code, out, _ = await cli("templates", "list")
    assert code == 0
    assert all(word in out for word in ("Night", "imaging", "import", "model DV-*"))
    code, out, _ = await cli("templates", "show", "20")
    assert "brightness: 50" in out
    assert (await cli("templates", "remove", "20"))[0] == 0
    assert (await cli("templates", "show", "20"))[0] == 4
    file.write_text("config_templates:\n- {id: 20, nam: Night, settings: {imaging: {brightness: 500}}}\n")
    code, _, err = await cli("templates", "import", str(file))
    assert code == 1
    assert err.count("line 2, column") >= 2, "every error, with its line"
    code, told = await cli.json("templates", "export", "12", "--format", "xlsx")
    assert (code, told["name"]) == (0, "templates.yaml")


async def test_commands_and_settings(cli: Cli) -> None:
    code, out, _ = await cli("command", "door-01", "open_door", "-a", "output=1")
    assert (code, out) == (0, "done\n")
    _, (device, command), by = cli.script.asked[-1]  # type: ignore[misc]
    assert (device, command.arguments, by) == ("door-01", {"output": 1}, Initiator("writer", 13))
    await cli("command", "door-01", "open_door", "-a", "output=1")
    assert len(cli.script.asked) == 2, "each time that somebody says it is a new command"
    assert (await cli("command", "no-such", "reboot"))[0] == 4
    assert (await cli("command", "door-01", "reboot", "-a", "x"))[0] == 2
    code, out, _ = await cli("settings", "cam-01", "-s", "ntp")
    assert code == 0
    assert "up to 8 entries" in out


async def test_without_a_bridge_it_says_so(cli: Cli) -> None:
    code, _, err = await cli("jobs", "list", DEVICE_BRIDGE_URL="http://127.0.0.1:9")
    assert code == 6
    assert "device-bridge run" in err
    code, told = await cli.json("jobs", "list", DEVICE_BRIDGE_URL="http://127.0.0.1:9")
    assert (code, told["ok"]) == (6, False)
    code, _, err = await cli("jobs", "list", DEVICE_BRIDGE_TOKEN="wrong")
    assert code == 1
    assert "bearer token" in err
    code, _, err = await cli("templates", "remove", "13", DEVICE_BRIDGE_TOKEN=cli.site.one.read)
    assert code == 1
    assert "--api write" in err
    assert (await cli("jobs", "list", DEVICE_BRIDGE_URL="ftp://x"))[0] == 2
