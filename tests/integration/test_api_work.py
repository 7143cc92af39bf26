"""Plans, jobs, commands and templates through the API: who does it, what is refused and how, and that nothing is done
twice. The work itself is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Capability
from bridge.web.ports import Initiator, Target
from tests.integration.scripted import Site, scripted_site

EVERYTHING = {"targets": {"all": True}}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with scripted_site(tmp_path) as made:
        yield made


# -- plans and applies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "meant"),
    [
        ({"devices": ["cam-02", "cam-01", "cam-02"]}, ["cam-01", "cam-02"]),
        ({"site": "simulated"}, ["cam-01", "cam-02", "door-01"]),
        ({"site": "elsewhere"}, []),
        ({"group": "none"}, []),
        ({"model": "dv-4031*"}, ["cam-01"]),
        ({"driver": "onvif", "devices": ["door-01"]}, ["door-01"]),
        ({"all": True}, ["cam-01", "cam-02", "door-01"]),
    ],
)
async def test_targets(site: Site, targets: Any, meant: list[str]) -> None:
    answer = await site.ask("POST", "/plans", {"targets": targets, "templates": [12]}, token=site.one.read)
    assert answer.status == 201
    assert site.script.asked == [("plan", tuple(Target(name) for name in meant), Initiator("reader"))]
    assert [item["device"] for item in answer.json["items"]] == meant


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/targets"]),
        ({"targets": {}}, ["/targets"]),
        ({"targets": {"all": True, "site": "a"}}, ["/targets"]),
        ({"targets": {"all": True}, "templates": [0, "x"], "dry": 1}, ["/templates/0", "/templates/1", "/dry"]),
        ({"targets": {"devices": ["cam-01", "cam-99"]}}, ["/targets/devices/1"]),
        ({"targets": {"devices": []}}, ["/targets/devices"]),
    ],
)
async def test_what_is_wrong_about_a_plan_is_said_with_its_place(site: Site, body: Any, pointers: list[str]) -> None:
    answer = await site.ask("POST", "/plans", body)
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == pointers
    assert site.script.asked == []


async def test_a_saved_plan_is_applied_and_its_job_is_followed(site: Site) -> None:
    plan = (await site.ask("POST", "/plans", {**EVERYTHING, "templates": [12]})).json
    assert (await site.ask("GET", f"/plans/{plan['id']}")).json == plan
    answer = await site.ask("POST", "/applies", {"plan": plan["id"], "confirm": "120s"}, X_Socket_ID="12.34")
    assert answer.status == 202
    job = answer.json
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert site.script.asked[-1] == ("apply", (plan["id"], 120.0), Initiator("writer", 13, None, "12.34"))
    waiting = asyncio.create_task(site.ask("GET", f"/jobs/{job['id']}?wait=20&after={job['version']}"))
    await asyncio.sleep(0.1)
    assert not waiting.done(), "it is held back while nothing happens"
    await site.script.move(job["id"], "cam-01", "ok")
    told = (await asyncio.wait_for(waiting, 5)).json
    assert (told["done"], told["total"], told["working_on"]) == (1, 3, ["cam-01"])
    known = (await site.ask("GET", f"/jobs/{job['id']}?wait=20&after=1")).json
    assert known["version"] == 2, "what is newer already is told at once"
    assert (await site.ask("POST", f"/jobs/{job['id']}/confirm")).json["confirm_by"] is None
    assert (await site.ask("POST", f"/jobs/{job['id']}/confirm")).status == 409
    assert (await site.ask("POST", f"/jobs/{job['id']}/cancel", {})).json["state"] == "cancelled"
    back = await site.ask("POST", f"/jobs/{job['id']}/rollback", {"devices": ["cam-01"]})
    assert (back.status, back.json["kind"]) == (202, "rollback")
    assert [one["id"] for one in (await site.ask("GET", "/jobs")).json["jobs"]] == [back.json["id"], job["id"]]


async def test_targets_are_planned_and_applied_at_once(site: Site) -> None:
    answer = await site.ask("POST", "/applies", {"targets": {"devices": ["cam-01"]}, "templates": [12]})
    assert (answer.status, answer.json["total"]) == (202, 1)
    both = await site.ask("POST", "/applies", {"plan": "x", "targets": {"all": True}})
    none = await site.ask("POST", "/applies", {})
    assert (both.status, none.status) == (422, 422)
    assert (await site.ask("POST", "/applies", {"plan": "gone"})).status == 404
    assert (await site.ask("POST", "/applies", {"plan": "x", "confirm": "1s"})).status == 422


async def test_drift(site: Site) -> None:
    site.script.states = {"cam-01": "same", "cam-02": "failed"}
    found = (await site.ask("POST", "/drift", {**EVERYTHING, "templates": [12]}, token=site.one.read)).json
    assert [item["state"] for item in found["items"]] == ["same", "failed", "changes"]


async def test_only_so_many_plans_are_made_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    go = asyncio.Event()
    real = site.script.plan

    async def slow(*arguments: Any) -> Any:
        await go.wait()
        return await real(*arguments)

    monkeypatch.setattr(site.script, "plan", slow)
    asked = [asyncio.create_task(site.ask("POST", "/plans", EVERYTHING)) for _ in range(6)]
    done, _ = await asyncio.wait(asked, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 2:
        done, _ = await asyncio.wait(asked, timeout=0.05)
    go.set()
    statuses = sorted([(await one).status for one in asked])
    assert statuses == [201, 201, 201, 201, 503, 503]


# -- on whose behalf ------------------------------------------------------------------------------------------------


async def test_the_vms_says_for_whom_and_a_users_own_token_cannot(site: Site) -> None:
    vms = await site.one.service.tokens.issue("vms", [], api="write")
    said = {"user_id": 7, "token_id": "ab12", "socket_id": "1.2"}
    apply = {"targets": {"devices": ["cam-01"]}, "initiator": said}
    assert (await site.ask("POST", "/applies", apply, token=vms)).status == 202
    assert site.doers[-1] == Initiator("vms", 7, "ab12", "1.2")
    refused = await site.ask("POST", "/applies", apply)
    assert refused.status == 403
    assert refused.json["errors"][0]["pointer"] == "/initiator/user_id"
    own = {**apply, "initiator": {"user_id": 13}}
    assert (await site.ask("POST", "/applies", own)).status == 202
    assert site.doers[-1] == Initiator("writer", 13)
    for wrong in ({"user_id": 0}, {"user_id": 7, "token_id": "a b"}, {"user_id": 7, "socket_id": "x"}, {}):
        assert (await site.ask("POST", "/applies", {**apply, "initiator": wrong}, token=vms)).status == 422
    assert (await site.ask("POST", "/applies", apply, token=vms, X_Socket_ID="nonsense")).status == 422


async def test_what_is_done_stands_in_the_audit_and_what_is_read_does_not(site: Site) -> None:
    await site.ask("POST", "/plans", EVERYTHING)
    await site.ask("POST", "/applies", {"plan": "gone"}, X_Socket_ID="1.2")
    await site.ask("DELETE", "/templates/13")
    entries = (await site.ask("GET", "/audit")).json["entries"]
    assert [(e["method"], e["path"], e["status"]) for e in entries] == [
        ("POST", "/api/v1/applies", 404),
        ("DELETE", "/api/v1/templates/13", 204),
    ]
    assert (entries[0]["token"], entries[0]["user_id"], entries[0]["socket_id"]) == ("writer", 13, "1.2")
    assert '"plan":"gone"' in entries[0]["asked"]
    assert "no such plan" in entries[0]["detail"]


# -- commands -------------------------------------------------------------------------------------------------------


async def test_a_command_is_done_once_for_each_key(site: Site) -> None:
    body = {"action": "open_door", "arguments": {"output": "1"}}
    for _ in range(2):
        answer = await site.ask("POST", "/devices/door-01/commands", body, Idempotency_Key="k-1")
        assert (answer.status, answer.json["detail"]) == (200, "done")
    assert len(site.script.asked) == 1
    other = {"action": "open_door", "arguments": {"output": "2"}}
    assert (await site.ask("POST", "/devices/door-01/commands", other, Idempotency_Key="k-1")).status == 422
    vms = await site.one.service.tokens.issue("vms", [], api="write")
    await site.ask("POST", "/devices/door-01/commands", other, token=vms, Idempotency_Key="k-1")
    assert len(site.script.asked) == 2, "another token's keys are its own"


async def test_commands_that_are_refused(site: Site) -> None:
    path = "/devices/door-01/commands"
    no_key = await site.ask("POST", path, {"action": "reboot"})
    assert (no_key.status, no_key.json["errors"][0]["parameter"]) == (422, "Idempotency-Key")
    wrong = await site.ask("POST", path, {"action": "explode", "arguments": {"a": [1]}}, Idempotency_Key="k")
    assert wrong.status == 422
    assert {error["pointer"].split("/")[1] for error in wrong.json["errors"]} == {"action", "arguments"}
    identity = site.one.service.supervisor.runners["cam-01"].state.identity
    object.__setattr__(identity, "capabilities", frozenset({Capability.REBOOT}))
    cannot = await site.ask("POST", "/devices/cam-01/commands", {"action": "open_door"}, Idempotency_Key="k")
    assert cannot.status == 422
    assert "cannot do that" in cannot.json["detail"]
    body = {"action": "open_door", "arguments": {"output": "99"}}
    device = await site.ask("POST", path, body, Idempotency_Key="k2")
    assert (device.status, device.json["detail"]) == (409, "it has no output 99")
    channel = await site.ask("POST", path, {"action": "reboot", "channel": "9"}, Idempotency_Key="k3")
    assert channel.status == 422
    assert (await site.ask("POST", "/devices/no/commands", {"action": "reboot"}, Idempotency_Key="k")).status == 404


async def test_a_picture_is_fetched_from_its_url(site: Site) -> None:
    told = await site.ask("POST", "/devices/cam-01/commands", {"action": "snapshot"}, Idempotency_Key="k")
    assert told.json["content_type"] == "image/jpeg"
    assert told.json["url"] == "http://bridge.example/files/cam-01-snapshot"


# -- templates and settings -----------------------------------------------------------------------------------------


async def test_templates_are_shown_without_their_secrets(site: Site) -> None:
    answer = await site.ask("GET", "/templates")
    assert [(one["id"], one["source"]) for one in answer.json["templates"]] == [(12, "inventory"), (13, "import")]
    assert answer.json["templates"][0]["match"] == {"model": "DV-*"}
    assert "c4n4ry" not in answer.body.decode()
    one = (await site.ask("GET", "/templates/13")).json
    assert one["settings"]["users"]["op"]["password"] == "env:TEMPLATE_OP"
    assert (await site.ask("GET", "/templates/99")).status == 404
    assert (await site.ask("DELETE", "/templates/12")).status == 409
    assert (await site.ask("DELETE", "/templates/13")).status == 204
    assert (await site.ask("GET", "/templates/13")).status == 404


async def test_a_file_of_templates_is_taken_whole_or_not_at_all(site: Site) -> None:
    good = b"config_templates:\n- {id: 20, name: Night, settings: {imaging: {brightness: 50}}}\n"
    headers = {"Content_Type": "application/yaml"}
    taken = await site.ask("POST", "/templates/import?name=night.yaml", raw=good, **headers)
    assert (taken.status, taken.json) == (200, {"imported": [20]})
    bad = b"config_templates:\n- {id: 21, nam: Night, settings: {imaging: {brightness: 500}}}\n"
    refused = await site.ask("POST", "/templates/import?name=night.yaml", raw=bad, **headers)
    assert refused.status == 422
    assert len(refused.json["errors"]) >= 2
    assert all(error["place"].startswith("line 2, column ") for error in refused.json["errors"])
    assert (await site.ask("POST", "/templates/import", raw=good, Content_Type="text/plain")).status == 415
    named = await site.ask("POST", "/templates/import?user_id=9", raw=good, **headers)
    assert named.status == 403, "the token stands for user 13"


async def test_exports_and_settings(site: Site) -> None:
    made = await site.ask("POST", "/exports", {"format": "yaml", "templates": [12]})
    assert (made.status, made.headers["Location"]) == (201, made.json["url"])
    assert (await site.ask("POST", "/exports", {"templates": [99]})).status == 404
    assert (await site.ask("POST", "/exports", {"templates": [12], "device": "cam-01"})).status == 422
    assert (await site.ask("POST", "/exports", {"device": "cam-99"})).status == 404
    settings = (await site.ask("GET", "/devices/cam-01/settings?section=ntp&section=clock")).json
    assert settings["settings"][0]["value"] == ["192.0.2.1"]
    assert (await site.ask("GET", "/devices/cam-01/settings?section=magic")).status == 422
