"""Tokens, and the endpoint that turns a token into a subscription; with a real store and a real Pusher server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.pusher_server import PusherServer
from bridge.metrics import Metrics
from bridge.secrets import Secret
from bridge.store.store import Store, connect
from bridge.testing.clock import FakeClock
from bridge.web import broadcasting, tokens
from bridge.web.broadcasting import Broadcasting, Failures
from bridge.web.tokens import STALE, Token, Tokens

# The vector of the Pusher docs, "Generating the authentication string".
KEY, SECRET = "278d425bdf160c739803", Secret("7ad3773142a6692b25b8")
ASKED = {"socket_id": "1234.1234", "channel_name": "private-foobar"}
ANSWER = {"auth": KEY + ":58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"}
FORM = "application/x-www-form-urlencoded; charset=UTF-8"


class Endpoint:
    def __init__(self, url: str, session: aiohttp.ClientSession, own: Tokens, clock: FakeClock, store: Store) -> None:
        self.url, self.session, self.tokens, self.clock, self.store = url, session, own, clock, store

    async def post(
        self, body: Any = None, token: str = "", *, path: str = "/broadcasting/auth", kind: str = FORM, **headers: str
    ) -> tuple[int, Any, Any]:
        """Status, JSON and headers of the answer; dictionaries travel as forms."""
        data = urlencode(body) if isinstance(body, dict) else body
        headers |= {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self.session.post(self.url + path, data=data, headers=headers) as response:
            return response.status, await response.json(), response.headers


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start(*servers: PusherServer) -> Endpoint:
            clock, metrics = FakeClock(), Metrics()
            store = await Store.open(tmp_path, clock)
            stack.push_async_callback(store.close)
            own = Tokens(store, clock)
            app = web.Application()
            made = servers or (PusherServer("clients", KEY, SECRET, clock=clock, metrics=metrics),)
            app.add_routes(Broadcasting(own, made, clock=clock, metrics=metrics).routes())
            server = TestServer(app)
            await server.start_server()
            stack.push_async_callback(server.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Endpoint(str(server.make_url("")).rstrip("/"), session, own, clock, store)

        yield start


@pytest.fixture
async def endpoint(serve: Callable[..., Any]) -> Endpoint:
    endpoint: Endpoint = await serve()
    return endpoint


# -- the endpoint ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/broadcasting/auth", "/api/v1/broadcasting/auth", "/a/b/c/broadcasting/auth"])
@pytest.mark.parametrize("kind", [FORM, "application/json", "application/json; charset=utf-8"])
async def test_a_token_gets_its_signature(endpoint: Endpoint, path: str, kind: str) -> None:
    token = await endpoint.tokens.issue("wall", ["foobar"])
    body = json.dumps(ASKED) if "json" in kind else ASKED
    status, answer, headers = await endpoint.post(body, token, path=path, kind=kind)
    assert (status, answer) == (200, ANSWER)
    assert headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/broadcasting/authx", "/xbroadcasting/auth", "/broadcasting", "/api/auth"])
async def test_other_paths_are_not_this_endpoint(endpoint: Endpoint, path: str) -> None:
    async with endpoint.session.post(endpoint.url + path, data=ASKED) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic {}", "{}", "Bearer {}x", "Bearer " + "x" * 5000]
)
async def test_without_a_token_nobody_is_let_in(endpoint: Endpoint, header: str | None) -> None:
    token = await endpoint.tokens.issue("wall", ["*"])
    headers = {} if header is None else {"Authorization": header.format(token)}
    async with endpoint.session.post(endpoint.url + "/broadcasting/auth", data=ASKED, headers=headers) as response:
        assert response.status == 401
        assert "Unauthenticated" in (await response.json())["message"]
        assert response.headers["WWW-Authenticate"] == "Bearer"
        # Without this the browser would hide the answer from the page.
        assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ("private-user.14", "does not cover"),
        ("private-user.130", "does not cover"),
        ("private-administrators", "does not cover"),
        ("user.13", "public channel"),
        ("presence-user.13", "presence channels are not served"),
        ("private-encrypted-user.13", "not served"),
    ],
)
async def test_a_token_opens_only_its_channels(endpoint: Endpoint, channel: str, words: str) -> None:
    token = await endpoint.tokens.issue("wall", ["user.13", "admin.*"])
    for allowed in ("private-user.13", "private-admin.admin", "private-admin.intercom-index"):
        assert (await endpoint.post(ASKED | {"channel_name": allowed}, token))[0] == 200
    status, answer, headers = await endpoint.post(ASKED | {"channel_name": channel}, token)
    assert status == 403
    assert words in answer["message"]
    assert headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("body", "kind", "fields"),
    [
        ({}, FORM, {"socket_id", "channel_name"}),
        ({"socket_id": "1.1"}, FORM, {"channel_name"}),
        (ASKED | {"socket_id": "1234"}, FORM, {"socket_id"}),
        (ASKED | {"socket_id": "1.1:private-b"}, FORM, {"socket_id"}),
        (ASKED | {"channel_name": "private-foo bar"}, FORM, {"channel_name"}),
        ('{"socket_id": 1.1, "channel_name": ["private-a"]}', "application/json", {"socket_id", "channel_name"}),
        ("[" * 5000, "application/json", {"socket_id", "channel_name"}),
        ("[]", "application/json", {"socket_id", "channel_name"}),
        (b"\xff\xfe%%%&=&=" + b"a=b&" * 100, FORM, {"socket_id", "channel_name"}),
    ],
)
async def test_a_malformed_request_is_told_what_is_wrong(
    endpoint: Endpoint, body: Any, kind: str, fields: set[str]
) -> None:
    token = await endpoint.tokens.issue("wall", ["*"])
    status, answer, _ = await endpoint.post(body, token, kind=kind)
    assert status == 422
    assert answer["message"] == "The given data was invalid."
    assert answer["errors"].keys() == fields
    assert all(isinstance(text, str) for texts in answer["errors"].values() for text in texts)


async def test_a_body_has_its_limit(endpoint: Endpoint) -> None:
    token = await endpoint.tokens.issue("wall", ["*"])
    status, answer, _ = await endpoint.post(ASKED | {"more": "x" * 20_000}, token)
    assert status == 413
    assert "bytes" in answer["message"]


async def test_a_page_of_another_origin_may_ask(endpoint: Endpoint) -> None:
    headers = {
        "Origin": "https://vms.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-socket-id",
    }
    async with endpoint.session.options(endpoint.url + "/broadcasting/auth", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert response.headers["Access-Control-Allow-Headers"] == "authorization,x-socket-id"
        assert "Access-Control-Allow-Credentials" not in response.headers


async def test_wrong_tokens_are_counted_and_a_right_one_still_works(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasting, "FAILURES", 3)
    token = await endpoint.tokens.issue("wall", ["*"])
    assert [(await endpoint.post(ASKED, "wrong"))[0] for _ in range(4)] == [401, 401, 401, 429]
    status, _, headers = await endpoint.post(ASKED, "wrong")
    assert (status, headers["Retry-After"]) == (429, "61")
    assert (await endpoint.post(ASKED, token))[0] == 200
    await endpoint.clock.advance(60)
    assert (await endpoint.post(ASKED, "wrong"))[0] == 401


def test_the_table_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasting, "ADDRESSES", 10)
    monkeypatch.setattr(broadcasting, "FAILURES", 1)
    failures = Failures(FakeClock())
    assert failures.count("10.0.0.0") == 0
    for number in range(1, 10):
        failures.count(f"10.0.0.{number}")
    assert failures.count("10.0.0.0") > 0
    failures.count("10.0.0.10")
    assert len(failures) == 10
    assert failures.count("10.0.0.0") > 0, "the one that failed longest ago goes first"


async def test_with_several_servers_the_one_that_has_the_connection_signs(serve: Callable[..., Any]) -> None:
    clock, metrics = FakeClock(), Metrics()
    servers = [PusherServer(key, key, Secret(key), clock=clock, metrics=metrics) for key in ("one", "two")]
    endpoint = await serve(*servers)
    token = await endpoint.tokens.issue("wall", ["*"])
    for server in servers:
        async with aiohttp.ClientSession() as session:
            app = web.Application()
            app.add_routes(server.routes())
            web_server = TestServer(app)
            await web_server.start_server()
            await server.open()
            async with session.ws_connect(web_server.make_url(f"/app/{server.key}?protocol=7")) as ws:
                socket_id = json.loads((await ws.receive_json())["data"])["socket_id"]
                _, answer, _ = await endpoint.post(ASKED | {"socket_id": socket_id}, token)
                assert answer["auth"].startswith(f"{server.key}:")
                await ws.send_json({"event": "pusher:subscribe", "data": answer | {"channel": "private-foobar"}})
                assert (await ws.receive_json())["event"] == "pusher_internal:subscription_succeeded"
            await server.close()
            await web_server.close()
    _, answer, _ = await endpoint.post(ASKED, token)
    assert answer["auth"].startswith("one:")


async def test_while_the_store_is_closed_it_says_so(endpoint: Endpoint) -> None:
    await endpoint.store.close()
    status, answer, _ = await endpoint.post(ASKED, "any")
    assert status == 503
    assert "store" in answer["message"]


# -- tokens ----------------------------------------------------------------------------------------------------------


async def test_a_token_is_shown_once_and_kept_as_a_digest(endpoint: Endpoint) -> None:
    token = await endpoint.tokens.issue("wall", ["user.13", "admin.*"])
    assert len(token) >= 43
    assert await endpoint.tokens.issue("other", ["*"]) != token
    other, wall = await endpoint.tokens.listed()
    assert (wall.name, wall.channels, wall.created_at) == ("wall", ("user.13", "admin.*"), endpoint.clock.now().wall)
    assert token not in repr(wall) + str(other)
    await endpoint.store.close()
    assert all(token.encode() not in path.read_bytes() for path in endpoint.store.path.parent.iterdir())


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("", ["*"]),
        (" ", ["*"]),
        ("a", []),
        ("a", [""]),
        ("a", ["**"]),
        ("a", ["*.admin"]),
        ("a", ["user 1"]),
        ("taken", ["*"]),
    ],
)
async def test_what_cannot_be_issued(endpoint: Endpoint, name: str, channels: list[str]) -> None:
    await endpoint.tokens.issue("taken", ["*"])
    with pytest.raises(ValueError, match=r"token|channel"):
        await endpoint.tokens.issue(name, channels)
    assert [token.name for token in await endpoint.tokens.listed()] == ["taken"]


async def test_what_another_process_does_is_seen(endpoint: Endpoint) -> None:
    """The command line writes to the same file while the bridge runs."""
    connection = connect(endpoint.store.path)
    assert await endpoint.tokens.verify("unknown") is None
    token = tokens.issue(connection, "cli", ["*"], 0.0)
    await endpoint.clock.advance(tokens.STALE_FOR_UNKNOWN)
    found = await endpoint.tokens.verify(token)
    assert found is not None
    assert found.name == "cli"
    assert tokens.revoke(connection, "cli")
    assert not tokens.revoke(connection, "cli")
    await endpoint.clock.advance(STALE)
    assert await endpoint.tokens.verify(token) is None
    connection.close()


async def test_a_revoked_token_is_refused_at_once(endpoint: Endpoint) -> None:
    token = await endpoint.tokens.issue("wall", ["*"])
    assert await endpoint.tokens.verify(token)
    assert await endpoint.tokens.revoke("wall")
    assert await endpoint.tokens.verify(token) is None
    assert not await endpoint.tokens.revoke("wall")


async def test_a_crowd_at_the_start_is_let_in_with_one_look_at_the_store(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await endpoint.tokens.issue("wall", ["*"])
    looks = 0
    listed = tokens.listed

    def counting(connection: Any) -> list[Token]:
        nonlocal looks
        looks += 1
        return listed(connection)

    monkeypatch.setattr(tokens, "listed", counting)
    fresh = Tokens(endpoint.store, endpoint.clock)
    assert all(await asyncio.gather(*(fresh.verify(token) for _ in range(50))))
    assert not any(await asyncio.gather(*(fresh.verify(f"wrong {number}") for number in range(50))))
    assert looks == 1


NAMES = st.text("abc.-", min_size=1, max_size=6)


@given(NAMES, NAMES)
def test_what_a_pattern_covers(pattern: str, channel: str) -> None:
    assert Token("t", (pattern,), 0, "").covers(channel) is (pattern == channel)
    assert Token("t", (pattern + "*",), 0, "").covers(channel) is channel.startswith(pattern)
    assert Token("t", ("*",), 0, "").covers(channel)
    assert not Token("t", (), 0, "").covers(channel)
