"""The vendor's own OpenAPI document judges what the driver asks and what the simulator answers.

The document (Flussonic Media Server API, 23.01) is the vendor's and not a part of this project: FLUSSONIC_OPENAPI is
its path. Without it this file is not collected (`tests/conftest.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from yarl import URL

from bridge.errors import Rejected
from bridge.secrets import Secret
from bridge.settings.limits import Anything, Limits
from bridge.settings.plan import Configuration, plan
from bridge.settings.vocabulary import Settings
from drivers.flussonic.api import V3
from drivers.flussonic.simulator import FlussonicSimulator
from tests.integration.flussonic_rig import alone, running, site
from tests.support import until

HOST = "http://localhost:8080"  # the document's own server


def _as_3_1(node: Any) -> Any:
    """The document says that it is OpenAPI 3.1, and writes `nullable` and named `examples` as 3.0 did."""
    if isinstance(node, list):
        return [_as_3_1(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {key: _as_3_1(one) for key, one in node.items() if not (key == "examples" and isinstance(one, dict))}
    if found.pop("nullable", None) is not True:
        return found
    if isinstance(found.get("type"), str):
        return {**found, "type": [found["type"], "null"]}
    return {"anyOf": [found, {"type": "null"}]}


@pytest.fixture(scope="module")
def document() -> OpenAPI:
    return OpenAPI.from_dict(_as_3_1(json.loads(Path(os.environ["FLUSSONIC_OPENAPI"]).read_bytes())))


@dataclass
class Exchange:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    request: bytes
    status: int
    response: bytes

    def judged(self, document: OpenAPI) -> None:
        """Raises OpenAPIError for a request or an answer that is not as the document says."""
        request = MockRequest(
            HOST,
            self.method.lower(),
            self.path,
            args=self.query,
            headers=self.headers,
            data=self.request or None,
            content_type="application/json",
        )
        document.validate_request(request)
        if self.status == 204:
            assert self.response == b""
            return
        document.validate_response(request, MockResponse(self.response, status_code=self.status))


@asynccontextmanager
async def overheard(server: FlussonicSimulator) -> AsyncIterator[list[Exchange]]:
    heard: list[Exchange] = []
    answer = server.answer

    async def listening(request: web.BaseRequest) -> web.Response:
        response = await answer(request)
        body = response.body if isinstance(response.body, bytes) else b""
        path = request.raw_path.partition("?")[0]
        query, headers = dict(request.query), dict(request.headers)
        heard.append(Exchange(request.method, path, query, headers, await request.read(), response.status, body))
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "answer", listening)
        yield heard


def judge(heard: list[Exchange], document: OpenAPI) -> set[tuple[str, str]]:
    """All of them; returns method and first words of the path of those that the document knows."""
    seen = set()
    for one in heard:
        if not one.path.startswith(V3):
            continue
        try:
            one.judged(document)
        except OpenAPIError as error:
            raise AssertionError(f"{one.method} {one.path} {one.query}: {error}: {error.__cause__}") from error
        seen.add((one.method, one.path.removeprefix(V3).split("/")[1]))
    return seen


async def test_the_bridge_speaks_as_the_document_says(document: OpenAPI, tmp_path: Path) -> None:
    async with running(cameras=150) as server, overheard(server) as heard:
        server.page_limit = 100
        async with site(tmp_path, server) as one:
            await one.up(150)
            await one.listening()
            await server.act("stream_loss", camera=3)
            await one.heard("stream", 1, or_more=True)
            await until(lambda: any("name" in said.query for said in heard), 10)
            await server.reboot(0.1)
            await one.heard("reboot", 1)
        assert any("cursor" in said.query for said in heard)
        assert judge(heard, document) == {
            ("GET", "config"),
            ("GET", "streams"),
            ("PUT", "event_sinks"),
            ("DELETE", "event_sinks"),
        }


async def test_the_archive_is_asked_as_the_document_says(document: OpenAPI) -> None:
    async with alone(cameras=1) as (driver, server), overheard(server) as heard:
        server.recordings.ranges["cam-1"] = [(1000, 60), (2000, 60)]
        assert len(await driver.archive.ranges("cam-1", 0, 5000)) == 2
        assert judge(heard, document) == {("GET", "streams")}


async def test_streams_are_set_up_as_the_document_says(document: OpenAPI) -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"high_title": "Yard", "high_static": False, "high_disabled": True, "low_source_timeout": 30},
        {"high_inputs": ["rtsp://192.0.2.9/cam-1/1", "rtsp://192.0.2.9/b"], "low_clients_timeout": "off"},
        {"high_input_username": "viewer", "high_input_password": Secret("word"), "low_retry_limit": 5},
        {"high_dvr_root": "/storage", "high_dvr_expiration": 86400, "low_dvr_reference": "main"},
        {"high_dvr_storage_limit": 10**10, "high_dvr_disk_usage_limit": 90, "low_thumbnails": "on_demand"},
        {"high_dvr_expiration": "unlimited", "high_dvr_storage_limit": "unlimited", "high_thumbnails": "on"},
        {"high_thumbnails": "off", "high_title": ""},
    )
    async with alone(cameras=1) as (driver, server), overheard(server) as heard:
        channel = driver.device.channels[0]
        for wanted in changes:
            found = await driver.read_settings(channel, ["vendor"])
            todo = plan(found, Settings.model_validate({"vendor": {"flussonic": wanted}}))
            assert [one.path.rpartition(".")[2] for one in todo.changes] == list(wanted), todo.refusals
            await driver.apply(channel, todo.steps()[0])
        assert judge(heard, document) == {("GET", "config"), ("GET", "streams"), ("PUT", "streams")}
        refused = plan(
            Configuration(limits=Limits({"vendor.flussonic.low_title": Anything()})),
            Settings.model_validate({"vendor": {"flussonic": {"low_title": 1}}}),
        )
        heard.clear()
        with pytest.raises(Rejected, match="wrong title"):
            await driver.apply(channel, refused.steps()[0])
        # What is not in the document is refused by the document as well, and the answer is as it says.
        (wrong,) = [one for one in heard if one.method == "PUT"]
        with pytest.raises(OpenAPIError):
            wrong.judged(document)
        request = MockRequest(HOST, "put", wrong.path, content_type="application/json")
        document.validate_response(request, MockResponse(wrong.response, status_code=wrong.status))


ANSWERS: list[tuple[str, str, dict[str, Any] | None, int]] = [
    ("GET", "/streams", None, 200),
    ("GET", "/streams?select=name,inputs,stats.alive&sort=-stats.bitrate,name&limit=2&q=cam", None, 200),
    ("GET", "/streams?stats.status=running,error&stats.bitrate_gt=100&title_is=null", None, 200),
    ("GET", "/streams/cam-1", None, 200),
    ("GET", "/streams/live%2Fyard", None, 200),
    ("PUT", "/streams/cam-1", {"name": "cam-1", "title": "Yard", "dvr": {"root": "/storage"}}, 200),
    ("PUT", "/streams/cam-1", {"name": "cam-1", "$reset": True, "inputs": [{"url": "publish://"}]}, 200),
    ("PUT", "/streams/cam-1", {"name": "cam-1", "nonsense": 1}, 400),
    ("POST", "/streams/cam-1/stop", None, 204),
    ("DELETE", "/streams/cam-2", None, 204),
    ("GET", "/streams/cam-1/dvr/ranges", None, 200),
    ("PUT", "/event_sinks/mine", {"name": "mine", "url": "log:///dev/null", "throttle_delay": 1}, 200),
    ("GET", "/event_sinks/mine", None, 200),
    ("GET", "/event_sinks", None, 200),
    ("DELETE", "/event_sinks/mine", None, 204),
    ("GET", "/config/stats", None, 200),
    ("GET", "/monitoring/liveness", None, 200),
]


async def test_the_simulator_answers_as_the_document_says(document: OpenAPI) -> None:
    more = ({"name": "live/yard", "inputs": [], "static": False}, {"name": "off", "inputs": [], "disabled": True})
    async with running(cameras=3, streams=more) as server, overheard(server) as heard:
        await server.act("stream_loss", camera=2)
        server.recordings.ranges["cam-1"] = [(1000, 60)]
        login = {"Authorization": aiohttp.encode_basic_auth(server.username, server.password)}
        async with aiohttp.ClientSession(headers=login) as http:
            for method, path, body, status in ANSWERS:
                url = f"http://127.0.0.1:{server.port}{V3}{path}"
                async with http.request(method, URL(url, encoded=True), json=body) as answer:
                    assert answer.status == status, (method, path, await answer.text())
        assert len(heard) == len(ANSWERS)
        judge(heard, document)


def test_the_judge_is_awake(document: OpenAPI) -> None:
    headers = {"Authorization": "Basic eA=="}
    stats, streams, sink = (f"{V3}{path}" for path in ("/config/stats", "/streams", "/event_sinks/x"))
    for wrong in (
        Exchange("GET", stats, {}, headers, b"", 200, b'{"uptime": "a day"}'),
        Exchange("GET", stats, {}, {}, b"", 200, b"{}"),
        Exchange("GET", streams, {"limit": "many"}, headers, b"", 200, b"{}"),
        Exchange("GET", streams, {}, headers, b"", 200, b'{"streams": [{"title": "no name"}]}'),
        Exchange("PUT", sink, {}, headers, b'{"url": "http://x"}', 200, b'{"name": "x", "url": "http://x"}'),
        Exchange("PATCH", sink, {}, headers, b"{}", 200, b"{}"),
    ):
        with pytest.raises(OpenAPIError):
            wrong.judged(document)
