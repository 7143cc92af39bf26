"""The API over real HTTP on a whole bridge: who may ask what, what is refused and how, and what devices look like."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.store.store import database
from bridge.web import broadcasting, serving, tokens
from tests.integration.api_rig import Bridge, bridge


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Bridge]:
    async with bridge(tmp_path) as made:
        await made.up()
        yield made


def operations(document: Any) -> list[tuple[str, str]]:
    return [
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in document["paths"].items()
        for method in methods
    ]


# -- what it says of itself --------------------------------------------------------------------------------------------


async def test_the_document_is_valid_openapi_and_names_every_route(one: Bridge) -> None:
    answer = await one.ask("GET", "/openapi.json", token="")
    assert answer.status == 200
    OpenAPIV31SpecValidator(answer.json).validate()
    listed = operations(answer.json)
    assert ("GET", "/devices/{device}") in listed
    ids = [answer.json["paths"][f"/api/v1{path}"][method.lower()]["operationId"] for method, path in listed]
    assert len(ids) == len(set(ids)), "generated clients name their functions so"


# -- who may ask -------------------------------------------------------------------------------------------------------


async def test_every_route_wants_a_token_with_its_scope(one: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasting, "FAILURES", 10_000)
    document = (await one.ask("GET", "/openapi.json", token="")).json
    heard = await one.service.tokens.issue("admin", ["admin.admin"])
    deaf = await one.service.tokens.issue("wall", ["user.13"])
    for method, path in operations(document):
        writes = "--api write" in document["paths"][f"/api/v1{path}"][method.lower()]["description"]
        filled = path.replace("{device}", "no-such").replace("{template}", "9").replace("{job}", "x")
        filled = filled.replace("{plan}", "x")
        for token, known, may_read, may_write in (
            ("", False, False, False),
            ("wrong", False, False, False),
            (deaf, True, False, False),
            (heard, True, True, False),
            (one.read, True, True, False),
            (one.write, True, True, True),
        ):
            answer = await one.ask(method, filled, token=token)
            allowed = may_write if writes else may_read
            if not known:
                assert answer.status == 401, (method, path)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            elif not allowed:
                assert answer.status == 403, (method, path)
            else:
                assert answer.status not in (401, 403), (method, path)
            if answer.status >= 400:
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert answer.json["status"] == answer.status
                assert answer.json["title"]


async def test_only_reading_is_a_get(one: Bridge) -> None:
    document = (await one.ask("GET", "/openapi.json", token="")).json
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert ("--api read" in operation["description"]) <= (
                method == "get" or path.endswith(("/plans", "/drift"))
            ), path


async def test_a_revoked_and_an_ended_token_open_nothing(one: Bridge, tmp_path: Path) -> None:
    connection = database(tmp_path / "data")
    short = tokens.issue(connection, "short", [], one.service.clock.now().wall, api="read", seconds=0.5)
    long = tokens.issue(connection, "long", [], one.service.clock.now().wall, api="read", seconds=60)
    connection.close()

    async def status(token: str) -> int:
        return (await one.ask("GET", "/sinks", token=token)).status

    await one.until(lambda: status(long), 200)
    await one.service.tokens.revoke("long")
    assert await status(long) == 401
    await one.until(lambda: status(short), 401)


async def test_one_token_cannot_ask_without_end_and_does_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "BURST", 20)
    monkeypatch.setattr(serving, "PER_SECOND", 0.001)
    async with bridge(tmp_path, cameras=0, panels=0) as one:
        answers = [await one.ask("GET", "/sinks") for _ in range(22)]
        assert [answer.status for answer in answers] == [200] * 20 + [429] * 2
        assert int(answers[-1].headers["Retry-After"]) > 900
        assert (await one.ask("GET", "/sinks", token=one.write)).status == 200


async def test_wrong_tokens_without_end_are_told_to_wait_and_right_ones_are_let_in(one: Bridge) -> None:
    answers = [(await one.ask("GET", "/sinks", token=f"guess-{n}")).status for n in range(40)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert (await one.ask("GET", "/sinks")).status == 200


# -- what is refused ---------------------------------------------------------------------------------------------------


async def test_everything_that_is_wrong_is_said_at_once(one: Bridge) -> None:
    answer = await one.ask("GET", "/devices?limit=0&kind=toaster&limt=3&site=a&site=b")
    assert answer.status == 422
    assert {error["parameter"] for error in answer.json["errors"]} == {"limit", "kind", "limt", "site"}
    assert "toaster" not in answer.body.decode(), "what was sent is not sent back"


async def test_unknown_paths_and_methods_are_problems_too(one: Bridge) -> None:
    lost = await one.ask("GET", "/nothing")
    assert (lost.status, lost.headers["Content-Type"]) == (404, "application/problem+json")
    wrong = await one.ask("DELETE", "/devices")
    assert wrong.status == 405
    assert "GET" in wrong.headers["Allow"]
    assert wrong.headers["Content-Type"] == "application/problem+json"
    none = await one.ask("GET", "/devices/no-such")
    assert (none.status, none.json["detail"]) == (404, "no device of the inventory has this id")


async def test_a_body_that_is_too_long_or_never_ends_is_cut_off(one: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    long = await one.ask("GET", "/sinks", raw=b" " * (serving.BODY_LIMIT + 1))
    assert long.status == 413
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.2)

    async def trickle() -> AsyncIterator[bytes]:
        yield b" "
        await asyncio.sleep(30)

    headers = {"Authorization": f"Bearer {one.read}"}
    async with one.http.get(f"{one.service.url}/api/v1/sinks", data=trickle(), headers=headers) as answer:
        assert answer.status == 408


# -- devices and records -----------------------------------------------------------------------------------------------


async def test_devices_are_listed_filtered_and_paged(one: Bridge) -> None:
    async def ids(query: str) -> list[str]:
        return [device["id"] for device in (await one.ask("GET", f"/devices?{query}")).json["devices"]]

    assert await ids("") == ["cam-01", "cam-02", "door-01"]
    assert await ids("kind=intercom") == ["door-01"]
    assert await ids("search=AM-02") == ["cam-02"]
    assert await ids("status=active&kind=camera") == ["cam-01", "cam-02"]
    assert await ids("site=nowhere") == []
    assert await ids("driver=onvif&reach=offline") == []
    first = (await one.ask("GET", "/devices?limit=2")).json
    assert (first["total"], first["next"]) == (3, "cam-02")
    second = (await one.ask("GET", f"/devices?limit=2&after={first['next']}")).json
    assert [device["id"] for device in second["devices"]] == ["door-01"]
    assert second["next"] is None
    cam = (await one.ask("GET", "/devices/cam-01")).json
    assert cam["manufacturer"]
    assert cam["problem"] is None
    assert cam["channels"][0]["status"] == "active"
    assert cam["channels"][0]["streams"]
    assert "events" in cam["capabilities"]


async def test_no_answer_has_a_secret_in_it(one: Bridge) -> None:
    passwords = {member.simulator.inventory()["credentials"]["password"] for member in one.site}
    for path in ("/devices", "/devices/cam-01", "/events", "/pushes", "/sinks", "/openapi.json", "/devices?x=1"):
        text = (await one.ask("GET", path)).body.decode()
        for secret in (*passwords, one.read, one.write, "not-a-secret"):
            assert secret not in text


async def test_pushes_and_sinks(one: Bridge) -> None:
    told = (await one.ask("GET", "/pushes?after=1&limit=1")).json
    assert [push["seq"] for push in told["pushes"]] == [2]
    assert told["last"] >= 3
    assert json.loads(told["pushes"][0]["body"])["data"]["type"]
    sinks = (await one.ask("GET", "/sinks")).json
    assert sinks["sinks"][0]["name"] == "local"
    assert sinks["dead_letters"] == []
