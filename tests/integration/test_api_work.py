"""Plans, jobs, commands and templates through the API, on a whole bridge with simulated cameras: what is done and who
hears of it, what is refused and how, and that nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Capability
from bridge.testing.simulator import Fault
from tests.integration.api_rig import Bridge, Gate, bridge

SECRET = "c4n4ry-Pass1"
ACCOUNT = {"role": "user", "password": "env:TEMPLATE_VIEWER"}
TEMPLATES = [
    {"id": 12, "name": "Time", "settings": {"ntp": {"servers": ["192.0.2.7"]}}},
    {
        "id": 13,
        "name": "Viewer",
        "settings": {"users": {"viewer": {"role": "user", "password": "env:TEMPLATE_VIEWER"}}},
    },
    {"id": 14, "name": "Impossible", "settings": {"video_encoder_first": {"codec": "h265"}}},
    {"id": 15, "name": "For others", "match": {"model": "XY-*"}, "settings": {"hostname": {"name": "x"}}},
]
CAMERAS = {"targets": {"devices": ["cam-01", "cam-02"]}}


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Bridge]:
    environ = {"TEMPLATE_VIEWER": SECRET}
    async with bridge(tmp_path, gate=True, environ=environ, config_templates=TEMPLATES) as made:
        await made.up()
        yield made


async def servers(one: Bridge, device: str = "cam-01") -> Any:
    found = (await one.ask("GET", f"/devices/{device}/settings?section=ntp")).json["settings"]
    return next(setting["value"] for setting in found if setting["path"] == "ntp.servers")


# -- plans and applies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "meant"),
    [
        ({"devices": ["cam-02", "cam-01", "cam-02"]}, ["cam-01", "cam-02"]),
        ({"site": "simulated"}, ["cam-01", "cam-02", "door-01"]),
        ({"site": "elsewhere"}, []),
        ({"group": "none"}, []),
        ({"model": "dv-4031*"}, ["cam-01"]),
        ({"manufacturer": "dovre", "devices": ["door-01"]}, ["door-01"]),
        ({"all": True}, ["cam-01", "cam-02", "door-01", "gate"]),
    ],
)
async def test_targets(one: Bridge, targets: Any, meant: list[str]) -> None:
    answer = await one.ask("POST", "/plans", {"targets": targets, "templates": [12]}, token=one.read)
    assert answer.status == 201
    assert sorted(item["device"] for item in answer.json["items"]) == meant


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/targets"]),
        ({"targets": {}}, ["/targets"]),
        ({"targets": {"all": True, "site": "a"}}, ["/targets"]),
        ({"targets": {"all": True}, "templates": [0, "x"], "dry": 1}, ["/templates/0", "/templates/1", "/dry"]),
        ({"targets": {"devices": ["cam-01", "cam-99"]}}, ["/targets/devices/1"]),
        ({"targets": {"devices": []}}, ["/targets/devices"]),
        ({"targets": {"all": True}, "templates": [12, 99]}, ["/templates/1"]),
    ],
)
async def test_what_is_wrong_about_a_plan_is_said_with_its_place(one: Bridge, body: Any, pointers: list[str]) -> None:
    answer = await one.ask("POST", "/plans", body)
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == pointers


async def test_a_plan_says_for_each_camera_what_would_be_and_writes_nothing(one: Bridge) -> None:
    before = await servers(one)
    asked = {**CAMERAS, "templates": [12, 14, 15]}
    plan = (await one.ask("POST", "/plans", asked)).json
    by = {(item["device"], item["template"]): item for item in plan["items"]}
    change = next(change for change in by["cam-01", 12]["changes"] if change["path"] == "ntp.servers")
    assert change["after"] == change["wanted"] == "192.0.2.7"
    assert by["cam-01", 12]["state"] == "changes"
    assert by["cam-01", 14]["state"] == "refused"
    assert "h264" in by["cam-01", 14]["refusals"][0]["reason"]
    assert by["cam-01", 15]["state"] == "failed"
    assert "not for this device" in by["cam-01", 15]["reason"]
    assert await servers(one) == before
    kept = (await one.ask("GET", f"/plans/{plan['id']}")).json
    assert {(item["device"], item["template"]) for item in kept["items"]} == {("cam-01", 12), ("cam-02", 12)}
    nothing = (await one.ask("POST", "/plans", {**CAMERAS, "templates": [14]})).json
    assert nothing["id"] is None, "there is nothing that could be applied"


async def test_a_plan_is_applied_followed_and_taken_back(one: Bridge) -> None:
    before = await servers(one)
    plan = (await one.ask("POST", "/plans", {**CAMERAS, "templates": [12]})).json
    answer = await one.ask("POST", "/applies", {"plan": plan["id"]}, X_Socket_ID="12.34")
    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['id']}"
    assert answer.json["initiator"] == {"user_id": 13, "token_id": None, "socket_id": "12.34"}
    told = await one.ended(answer.json["id"])
    assert (told["job"]["state"], told["job"]["done"], told["job"]["total"]) == ("done", 2, 2)
    assert told["items"][0]["changes"]
    assert await servers(one) == ["192.0.2.7"]
    pushes = await one.pushes("camera_config_apply")
    assert [(channel, push["data"]["status"]) for channel, push in pushes] == [("user.13", "ok")] * 2
    drift = (await one.ask("POST", "/drift", {**CAMERAS, "templates": [12]}, token=one.read)).json
    assert {item["state"] for item in drift["items"]} == {"same"}
    back = await one.ask("POST", "/rollbacks", {"job": answer.json["id"]})
    assert (back.status, back.json["kind"]) == (202, "rollback")
    assert (await one.ended(back.json["id"]))["job"]["state"] == "done"
    assert await servers(one) == before
    listed = (await one.ask("GET", "/jobs")).json["jobs"]
    assert [job["id"] for job in listed] == [back.json["id"], answer.json["id"]]
    assert len((await one.ask("GET", f"/jobs?before={back.json['id']}")).json["jobs"]) == 1


async def test_what_waits_for_a_confirmation_is_held_until_somebody_does(one: Bridge) -> None:
    asked = {**CAMERAS, "templates": [12], "confirm": 3600}
    job = (await one.ask("POST", "/applies", asked)).json["id"]

    async def state() -> Any:
        return (await one.ask("GET", f"/jobs/{job}")).json["job"]["state"]

    await one.until(state, "confirming")
    told = (await one.ask("GET", f"/jobs/{job}")).json
    assert told["job"]["confirm_by"] > told["job"]["created_at"] + 3000
    waiting = asyncio.create_task(one.ask("GET", f"/jobs/{job}?wait=30&after={told['version']}"))
    await asyncio.sleep(0.1)
    assert not waiting.done(), "it is held back while nothing happens"
    assert (await one.ask("POST", f"/jobs/{job}/confirm")).status == 200
    assert (await asyncio.wait_for(waiting, 10)).json["version"] != told["version"]
    assert (await one.ended(job))["job"]["state"] == "done"
    again = await one.ask("POST", f"/jobs/{job}/confirm")
    assert (again.status, again.json["detail"]) == (409, f"job {job} waits for no confirmation")
    assert (await one.ask("POST", f"/jobs/{job}/cancel", {})).status == 409
    assert (await one.ask("POST", "/jobs/999/cancel")).status == 404


async def test_an_apply_that_cannot_be(one: Bridge) -> None:
    both = await one.ask("POST", "/applies", {"plan": "x", "targets": {"all": True}})
    none = await one.ask("POST", "/applies", {})
    assert (both.status, none.status) == (422, 422)
    assert (await one.ask("POST", "/applies", {"plan": "gone"})).status == 404
    assert (await one.ask("POST", "/applies", {"plan": "x", "confirm": "1s"})).status == 422
    nobody = await one.ask("POST", "/applies", {"targets": {"site": "elsewhere"}, "templates": [12]})
    assert (nobody.status, nobody.json["detail"]) == (409, "none of these templates is for any of these cameras")
    assert (await one.ask("POST", "/rollbacks", {"job": 999})).status == 404
    assert (await one.ask("POST", "/rollbacks", {"targets": {"all": True}})).status == 409
    assert (await one.ask("POST", "/rollbacks", {})).status == 422


async def test_a_saved_plan_refuses_a_camera_that_has_moved(one: Bridge) -> None:
    plan = (await one.ask("POST", "/plans", {"targets": {"devices": ["cam-01"]}, "templates": [12]})).json
    moved = {"targets": {"devices": ["cam-01"]}, "templates": [12]}
    await one.ended((await one.ask("POST", "/applies", moved)).json["id"])
    told = await one.ended((await one.ask("POST", "/applies", {"plan": plan["id"]})).json["id"])
    assert told["job"]["state"] == "stopped"
    assert "has changed since the plan was made" in told["items"][0]["reason"]


async def test_only_so_many_plans_are_made_at_a_time(one: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    go = asyncio.Event()
    real = one.service.configurator.plan

    async def slow(*arguments: Any) -> Any:
        await go.wait()
        return await real(*arguments)

    monkeypatch.setattr(one.service.configurator, "plan", slow)
    asked = [asyncio.create_task(one.ask("POST", "/plans", {**CAMERAS, "templates": [14]})) for _ in range(6)]
    done: set[Any] = set()
    async with asyncio.timeout(10):
        while len(done) < 2:
            done, _ = await asyncio.wait(asked, timeout=0.05)
    go.set()
    assert sorted([(await task).status for task in asked]) == [201, 201, 201, 201, 503, 503]


# -- on whose behalf ---------------------------------------------------------------------------------------------------


async def test_the_vms_says_for_whom_and_a_users_own_token_cannot(one: Bridge) -> None:
    vms = await one.service.tokens.issue("vms", [], api="write")
    said = {"user_id": 7, "token_id": "ab12", "socket_id": "1.2"}
    apply = {"targets": {"devices": ["cam-01"]}, "templates": [12], "initiator": said}
    begun = await one.ask("POST", "/applies", apply, token=vms)
    assert (begun.status, begun.json["initiator"]) == (202, said)
    await one.ended(begun.json["id"])
    assert [channel for channel, _ in await one.pushes("camera_config_apply")] == ["user.7"]
    refused = await one.ask("POST", "/applies", apply)
    assert refused.status == 403
    assert refused.json["errors"][0]["pointer"] == "/initiator/user_id"
    own = {**apply, "initiator": {"user_id": 13}}
    assert (await one.ask("POST", "/applies", own)).json["initiator"]["user_id"] == 13
    for wrong in ({"user_id": 0}, {"user_id": 7, "token_id": "a b"}, {"user_id": 7, "socket_id": "x"}, {}):
        assert (await one.ask("POST", "/applies", {**apply, "initiator": wrong}, token=vms)).status == 422
    assert (await one.ask("POST", "/applies", apply, token=vms, X_Socket_ID="nonsense")).status == 422


async def test_what_is_done_stands_in_the_audit_and_what_is_read_does_not(one: Bridge) -> None:
    await one.ask("POST", "/plans", {**CAMERAS, "templates": [14]})
    await one.ask("POST", "/applies", {"plan": "gone"}, X_Socket_ID="1.2")
    await one.ask("DELETE", "/templates/12")
    entries = (await one.ask("GET", "/audit")).json["entries"]
    assert [(e["method"], e["path"], e["status"]) for e in entries] == [
        ("POST", "/api/v1/applies", 404),
        ("DELETE", "/api/v1/templates/12", 409),
    ]
    assert (entries[0]["token"], entries[0]["user_id"], entries[0]["socket_id"]) == ("writer", 13, "1.2")
    assert '"plan":"gone"' in entries[0]["asked"]
    assert "there is no plan" in entries[0]["detail"]


# -- commands ----------------------------------------------------------------------------------------------------------

OPEN = {"action": "open_door", "arguments": {"output": "1"}}


async def test_a_command_is_done_once_for_each_key(one: Bridge) -> None:
    for replayed in (None, "true"):
        answer = await one.ask("POST", "/devices/gate/commands", OPEN, Idempotency_Key="k-1")
        assert (answer.status, answer.json["detail"]) == (200, "the door is open")
        assert answer.headers.get("Idempotent-Replayed") == replayed
    assert len(Gate.done) == 1
    assert Gate.done[0].arguments == {"output": "1"}
    other = {"action": "open_door", "arguments": {"output": "2"}}
    assert (await one.ask("POST", "/devices/gate/commands", other, Idempotency_Key="k-1")).status == 422
    vms = await one.service.tokens.issue("vms", [], api="write")
    await one.ask("POST", "/devices/gate/commands", other, token=vms, Idempotency_Key="k-1")
    assert len(Gate.done) == 2, "another token's keys are its own"
    refused = {"action": "open_door", "arguments": {"output": "99"}}
    for _ in range(2):
        answer = await one.ask("POST", "/devices/gate/commands", refused, Idempotency_Key="k-2")
        assert (answer.status, answer.json["detail"]) == (409, "it has no output 99")
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert len(Gate.done) == 3, "what was refused is not tried again either"


async def test_a_command_that_is_under_way_is_not_begun_again(one: Bridge) -> None:
    Gate.hold = asyncio.Event()
    first = asyncio.create_task(one.ask("POST", "/devices/gate/commands", OPEN, Idempotency_Key="k"))
    async with asyncio.timeout(5):
        while not Gate.done:
            await asyncio.sleep(0.01)
    second = await one.ask("POST", "/devices/gate/commands", OPEN, Idempotency_Key="k")
    assert (second.status, second.headers["Retry-After"]) == (409, "1")
    Gate.hold.set()
    assert (await first).status == 200
    assert (await one.ask("POST", "/devices/gate/commands", OPEN, Idempotency_Key="k")).status == 200
    assert len(Gate.done) == 1


async def test_a_command_that_a_crash_cut_off_is_not_done_again(one: Bridge) -> None:
    await one.ask("POST", "/devices/gate/commands", OPEN, Idempotency_Key="k")
    # As a kill between the command and its outcome leaves it.
    await one.service.store.call(lambda connection: connection.execute("UPDATE audit SET status = NULL") and None)
    answer = await one.ask("POST", "/devices/gate/commands", OPEN, Idempotency_Key="k")
    assert answer.status == 409
    assert "not known" in answer.json["detail"]
    assert len(Gate.done) == 1


async def test_an_apply_that_is_asked_for_twice_is_one_job(one: Bridge) -> None:
    asked = {"targets": {"devices": ["cam-01"]}, "templates": [12]}
    jobs = [(await one.ask("POST", "/applies", asked, Idempotency_Key="k")).json["id"] for _ in range(2)]
    assert jobs[0] == jobs[1]
    assert len((await one.ask("GET", "/jobs")).json["jobs"]) == 1


async def test_commands_that_are_refused(one: Bridge) -> None:
    path = "/devices/gate/commands"
    no_key = await one.ask("POST", path, {"action": "open_door"})
    assert (no_key.status, no_key.json["errors"][0]["parameter"]) == (422, "Idempotency-Key")
    wrong = await one.ask("POST", path, {"action": "explode", "arguments": {"a": [1]}}, Idempotency_Key="k")
    assert wrong.status == 422
    assert {error["pointer"].split("/")[1] for error in wrong.json["errors"]} == {"action", "arguments"}
    cannot = await one.ask("POST", "/devices/cam-01/commands", {"action": "open_door"}, Idempotency_Key="k0")
    assert (cannot.status, "cannot do that" in cannot.json["detail"]) == (422, True)
    bug = await one.ask("POST", path, {"action": "open_door", "arguments": {"output": "bug"}}, Idempotency_Key="k2")
    assert (bug.status, bug.json["detail"]) == (502, "the driver failed: KeyError")
    channel = await one.ask("POST", path, {"action": "open_door", "channel": "9"}, Idempotency_Key="k3")
    assert channel.status == 422
    assert (await one.ask("POST", "/devices/no/commands", {"action": "reboot"}, Idempotency_Key="k")).status == 404


async def test_a_camera_reboots(one: Bridge) -> None:
    seen = one.site.members["cam-01"].simulator.seen
    answer = await one.ask("POST", "/devices/cam-01/commands", {"action": "reboot"}, Idempotency_Key="k")
    assert answer.status == 200
    assert seen["SystemReboot"] == 1


async def test_a_picture_is_fetched_from_its_url(one: Bridge) -> None:
    told = (await one.ask("POST", "/devices/gate/commands", {"action": "snapshot"}, Idempotency_Key="k")).json
    assert told["content_type"] == "image/jpeg"
    async with one.http.get(told["url"]) as answer:
        assert (answer.status, await answer.read()) == (200, b"\xff\xd8picture")
        assert answer.content_type == "image/jpeg"


# -- templates and settings --------------------------------------------------------------------------------------------


async def test_templates_are_shown_without_their_secrets(one: Bridge) -> None:
    answer = await one.ask("GET", "/templates")
    assert [(t["id"], t["source"]) for t in answer.json["templates"]] == [(n, "inventory") for n in (12, 13, 14, 15)]
    assert answer.json["templates"][3]["match"] == {"model": "XY-*"}
    viewer = (await one.ask("GET", "/templates/13")).json
    assert viewer["settings"]["users"]["viewer"]["password"] == "env:TEMPLATE_VIEWER"
    plan = await one.ask("POST", "/plans", {**CAMERAS, "templates": [13]})
    job = (await one.ask("POST", "/applies", {"plan": plan.json["id"]})).json["id"]
    told = await one.ended(job)
    assert told["job"]["state"] == "done"
    shown = [change for change in told["items"][0]["changes"] if change["path"] == "users.viewer.password"]
    assert shown[0]["after"] == "***"
    for path in ("/templates", "/templates/13", f"/jobs/{job}", "/audit", "/pushes", "/devices/cam-01/settings"):
        assert SECRET not in (await one.ask("GET", path)).body.decode(), path
    assert SECRET not in plan.body.decode()
    assert (await one.ask("GET", "/templates/99")).status == 404


async def test_a_file_of_templates_is_taken_whole_or_not_at_all(one: Bridge) -> None:
    good = b"config_templates:\n- {id: 20, name: Night, settings: {imaging: {brightness: 50}}}\n"
    headers = {"Content_Type": "application/yaml"}
    for _ in range(2):
        taken = await one.ask("POST", "/imports?name=night.yaml", raw=good, **headers)
        assert (taken.status, taken.json) == (200, {"imported": [20]})
    bad = b"config_templates:\n- {id: 21, nam: Night, settings: {imaging: {brightness: 500}}}\n"
    refused = await one.ask("POST", "/imports?name=night.yaml", raw=bad, **headers)
    assert refused.status == 422
    assert len(refused.json["errors"]) >= 2
    assert all(error["place"].startswith("night.yaml:2:") for error in refused.json["errors"])
    assert [push["data"]["status"] for _, push in await one.pushes("import_config")] == ["ok", "ok", "error"]
    assert (await one.ask("POST", "/imports", raw=good, Content_Type="text/plain")).status == 415
    named = await one.ask("POST", "/imports?user_id=9", raw=good, **headers)
    assert named.status == 403, "the token stands for user 13"
    assert (await one.ask("GET", "/templates/20")).json["source"] == "import"
    assert (await one.ask("DELETE", "/templates/12")).status == 409
    assert (await one.ask("DELETE", "/templates/20")).status == 204
    assert (await one.ask("GET", "/templates/20")).status == 404


async def test_what_is_exported_can_be_imported(one: Bridge) -> None:
    made = await one.ask("POST", "/exports", {"device": "cam-01", "id": 30, "name": "Like cam-01", "format": "xlsx"})
    assert (made.status, made.headers["Location"]) == (201, made.json["url"])
    assert [push["data"]["data"]["url"] for _, push in await one.pushes("export_config")] == [made.json["url"]]
    async with one.http.get(made.json["url"]) as answer:
        data, kind = await answer.read(), answer.content_type
    taken = await one.ask("POST", "/imports?name=like.xlsx", raw=data, Content_Type=kind)
    assert taken.json == {"imported": [30]}, taken.body
    drift = (await one.ask("POST", "/drift", {"targets": {"devices": ["cam-01"]}, "templates": [30]})).json
    assert [item["state"] for item in drift["items"]] == ["same"], drift
    assert (await one.ask("POST", "/exports", {"templates": [12]})).status == 201
    assert (await one.ask("POST", "/exports", {"templates": [99]})).status == 404
    assert (await one.ask("POST", "/exports", {"templates": [12], "device": "cam-01"})).status == 422
    assert (await one.ask("POST", "/exports", {"device": "cam-99"})).status == 404


async def test_settings_of_a_device(one: Bridge) -> None:
    told = (await one.ask("GET", "/devices/cam-01/settings?section=ntp&section=video_encoder_first")).json
    assert {setting["path"].partition(".")[0] for setting in told["settings"]} == {"ntp", "video_encoder_first"}
    codec = next(setting for setting in told["settings"] if setting["path"] == "video_encoder_first.codec")
    assert (codec["value"], codec["shown"], "h264" in codec["legal"]) == ("h264", "h264", True)
    assert (await one.ask("GET", "/devices/cam-01/settings?section=magic")).status == 422
    assert (await one.ask("GET", "/devices/gate/settings")).status == 422
    await one.site.members["cam-01"].simulator.inject(Fault.CLOSED)
    gone = await one.ask("GET", "/devices/cam-01/settings?section=ntp")
    assert gone.status == 504
    assert gone.json["detail"]


async def test_the_capabilities_of_a_unit_decide(one: Bridge) -> None:
    able = (await one.ask("GET", f"/devices?capability={Capability.OPEN_DOOR}")).json["devices"]
    assert [device["id"] for device in able] == ["gate"]
