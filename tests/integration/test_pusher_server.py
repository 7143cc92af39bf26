"""The Pusher server over real sockets: every golden frame and code, subscriptions, restarts, TLS."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import WSMsgType

from bridge.delivery import pusher_protocol as protocol
from bridge.delivery import pusher_server
from bridge.delivery.pusher_server import LINGER
from bridge.delivery.sink import TryAgain
from tests.integration.pusher_site import BODY, KEY, LIMIT, QUERY, SECRET, Site, row
from tests.support import until


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(stack)


# -- the protocol ----------------------------------------------------------------------------------------------------


async def test_a_conversation_letter_by_letter(site: Site) -> None:
    server = await site.start()
    client = await site.client()

    welcome = json.loads((await client.frame()).data)
    assert welcome["event"] == "pusher:connection_established"
    data = json.loads(welcome["data"])
    assert data == {"socket_id": data["socket_id"], "activity_timeout": 120}
    assert re.fullmatch(r"\d+\.\d+", data["socket_id"])
    client.socket_id = data["socket_id"]

    await client.say("pusher:ping")
    assert (await client.frame()).data == '{"event":"pusher:pong","data":{}}'

    signature = protocol.channel_auth(KEY, SECRET, client.socket_id, "private-user.13")
    await client.say("pusher:subscribe", {"channel": "private-user.13", "auth": signature})
    assert (await client.frame()).data == (
        '{"event":"pusher_internal:subscription_succeeded","channel":"private-user.13","data":"{}"}'
    )

    assert await server.send([row()]) == ()
    pushed = (await client.frame()).data
    assert pushed == (r'{"event":"App\\Events\\UserPush","channel":"private-user.13","data":' + json.dumps(BODY) + "}")
    assert json.loads(json.loads(pushed)["data"]) == json.loads(BODY)

    await client.say("pusher:unsubscribe", {"channel": "private-user.13"})
    await client.is_served()
    await server.send([row()])
    await client.is_served()


async def test_no_frame_is_compressed(site: Site) -> None:
    await site.start()
    client = await site.client(compress=15)
    assert client.ws.compress == 0


@pytest.mark.parametrize(
    ("setting", "carries", "expected"),
    [("page", True, True), ("page", False, False), ("always", False, True), ("never", True, False)],
)
async def test_the_socket_key(site: Site, setting: str, carries: bool, expected: bool) -> None:
    server = await site.start(socket_key=setting)
    client = await site.subscriber()
    await server.send([row(socket=carries)])
    assert ("socket" in json.loads((await client.event())["data"])) is expected


@pytest.mark.parametrize("path", ["", "/pusher", "/ws"])
@pytest.mark.parametrize("version", ["5", "6", "7"])
async def test_paths_and_versions(site: Site, path: str, version: str) -> None:
    await site.start()
    client = await site.client(f"{path}/app/{KEY}?client=java-client&protocol={version}&version=2.0.2")
    assert (await client.event())["event"] == "pusher:connection_established"


@pytest.mark.parametrize("path", [f"/other/app/{KEY}{QUERY}", f"/{KEY}{QUERY}", f"/app/{KEY}/more{QUERY}"])
async def test_a_wrong_path_is_not_found(site: Site, path: str) -> None:
    await site.start()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await site.client(path)
    assert caught.value.status == 404


async def test_a_plain_request_is_told_to_upgrade(site: Site) -> None:
    await site.start()
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/app/{KEY}{QUERY}") as response:
        assert response.status == 400
        assert "WebSocket" in await response.text()


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/app/another?protocol=7", 4001, "unknown_key"),
        ("/ws/app/another?protocol=7", 4001, "unknown_key"),
        (f"/app/{KEY}", 4008, "protocol"),
        (f"/app/{KEY}?protocol=4", 4007, "protocol"),
        (f"/app/{KEY}?protocol=8", 4007, "protocol"),
        (f"/app/{KEY}?protocol=seven", 4007, "protocol"),
    ],
)
async def test_who_is_not_let_in(site: Site, path: str, code: int, reason: str) -> None:
    server = await site.start()
    client = await site.client(path)
    await client.is_closed(code)
    assert site.refused(reason) == 1
    await client.ws.close()
    await until(lambda: server.connections == 0)


async def test_the_number_of_connections_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pusher_server, "REFUSED_AT_ONCE", 1)
    server = await site.start(max_connections=1)
    first = await site.subscriber()
    second = await site.client()
    await second.is_closed(4100)
    # The second has not answered the close frame yet and takes the last place for refusals.
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await site.client()
    assert caught.value.status == 503
    await first.is_served()
    await first.ws.close()
    await second.ws.close()
    await until(lambda: server.connections == 0)
    await site.guest()


async def test_several_servers_on_one_application(site: Site) -> None:
    one, two = site.make("one", "key-one"), site.make("two", "key-two")
    await site.start(one, two)
    for key, owner, other in (("key-one", one, two), ("key-two", two, one)):
        client = await site.client(f"/app/{key}{QUERY}")
        socket_id = json.loads((await client.event())["data"])["socket_id"]
        assert owner.owns(socket_id)
        assert not other.owns(socket_id)
    await (await site.client(f"/app/key-three{QUERY}")).is_closed(4001)


def test_a_key_that_no_url_can_hold(site: Site) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        site.make(key="a/{b}")


# -- subscriptions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "auth",
    [None, 7, "", f"{KEY}:", f"{KEY}:{'0' * 64}", "other-key:right", "for-another-channel", "for-another-socket", "ü"],
)
async def test_a_wrong_signature_leaves_the_connection_open(site: Site, auth: object) -> None:
    server = await site.start()
    client = await site.guest()
    right = protocol.channel_auth(KEY, SECRET, client.socket_id, "private-user.13")
    made = {
        "other-key:right": right.replace(KEY, "other"),
        "for-another-channel": protocol.channel_auth(KEY, SECRET, client.socket_id, "private-user.14"),
        "for-another-socket": protocol.channel_auth(KEY, SECRET, "1.1", "private-user.13"),
    }
    given_auth = made.get(auth, auth) if isinstance(auth, str) else auth
    await client.say("pusher:subscribe", {"channel": "private-user.13", "auth": given_auth})
    error = await client.event()
    assert error["event"] == "pusher:subscription_error"
    assert error["channel"] == "private-user.13"
    assert error["data"]["type"] == "AuthError"
    assert error["data"]["status"] == 401
    assert right not in json.dumps(error)
    await server.send([row()])
    await client.is_served()
    assert (await client.subscribe())["event"] == "pusher_internal:subscription_succeeded"


@pytest.mark.parametrize(
    ("channel", "status"),
    [("presence-room", 403), ("private-encrypted-a", 403), ("cache-a", 403), ("", 400), ("a b", 400), ("a" * 165, 400)],
)
async def test_channels_that_are_not_to_be_had(site: Site, channel: str, status: int) -> None:
    await site.start()
    client = await site.guest()
    error = await client.subscribe(channel)
    assert error["event"] == "pusher:subscription_error"
    assert error["data"]["status"] == status
    assert error["data"]["error"]
    await client.is_served()


async def test_a_public_channel_needs_no_signature(site: Site) -> None:
    server = await site.start(prefix="")
    client = await site.guest()
    await client.say("pusher:subscribe", {"channel": "admin.admin"})
    assert (await client.event())["event"] == "pusher_internal:subscription_succeeded"
    await server.send([row("admin.admin")])
    assert (await client.event())["channel"] == "admin.admin"


async def test_a_second_subscription_changes_nothing(site: Site) -> None:
    server = await site.start(max_subscriptions=1)
    client = await site.subscriber()
    assert (await client.subscribe())["event"] == "pusher_internal:subscription_succeeded"
    await server.send([row()])
    assert (await client.event())["event"] == "App\\Events\\UserPush"
    await client.is_served()


async def test_subscriptions_are_bounded(site: Site) -> None:
    await site.start(max_subscriptions=2)
    client = await site.guest()
    answers = [(await client.subscribe(f"private-user.{number}"))["event"] for number in range(3)]
    assert answers == ["pusher_internal:subscription_succeeded"] * 2 + ["pusher:subscription_error"]
    await client.say("pusher:unsubscribe", {"channel": "private-user.0"})
    assert (await client.subscribe("private-user.2"))["event"] == "pusher_internal:subscription_succeeded"


async def test_everybody_gets_what_his_channels_carry_in_order(site: Site) -> None:
    server = await site.start()
    clients = [await site.subscriber(f"private-user.{number % 2}") for number in range(6)]
    await server.send([row(f"user.{seq % 2}", seq, body=json.dumps({"seq": seq})) for seq in range(20)])
    for number, client in enumerate(clients):
        got = [json.loads((await client.event())["data"])["seq"] for _ in range(10)]
        assert got == list(range(number % 2, 20, 2))
    assert site.counted("frames_total") == 60
    assert site.counted("subscribers") == 6


async def test_a_burst_on_one_channel_is_written_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await site.start()
    client = await site.subscriber()
    (subscriber,) = server._channels["private-user.13"]
    written: list[bytes] = []
    write = subscriber.transport.write

    def counting(data: bytes) -> None:
        written.append(data)
        write(data)

    monkeypatch.setattr(subscriber.transport, "write", counting)
    await server.send([row(seq=seq, body=json.dumps({"seq": seq})) for seq in range(10)])
    assert [json.loads((await client.event())["data"])["seq"] for _ in range(10)] == list(range(10))
    assert len(written) == 1


# -- start and stop --------------------------------------------------------------------------------------------------


async def test_a_stop_sends_everybody_away_to_come_back_at_once(site: Site) -> None:
    server = await site.start()
    clients = [await site.subscriber() for _ in range(5)]
    closing = asyncio.create_task(server.close())
    for client in clients:
        await client.is_closed(4200)
        await client.ws.close()
    async with asyncio.timeout(LIMIT):
        await closing  # no clock was needed: all have answered
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await site.client()
    assert caught.value.status == 503
    with pytest.raises(TryAgain):
        await server.send([row()])
    with pytest.raises(TryAgain):
        await server.check()
    await server.close()
    await server.open()
    client = await site.subscriber()
    await server.send([row()])
    assert (await client.event())["event"] == "App\\Events\\UserPush"
    assert "1 clients" in await server.check()


async def test_a_stop_waits_for_nobody_for_long(site: Site) -> None:
    server = await site.start()
    client = await site.subscriber()
    closing = asyncio.create_task(server.close())
    await site.clock.advance(LINGER - 1)
    assert not closing.done()
    await site.clock.advance(2)
    async with asyncio.timeout(LIMIT):
        await closing
    assert server.connections == 0
    await client.is_closed(4200)


async def test_before_it_is_open_nobody_is_let_in(site: Site) -> None:
    server = await site.start()
    await server.close()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await site.client()


async def test_after_a_restart_pushes_wait_for_their_subscribers(site: Site) -> None:
    before = site.clock.now().wall - 60
    server = await site.start(grace=5.0)
    other = await site.subscriber("private-user.14")
    sending = asyncio.create_task(server.send([row("user.14", 1, at=before), row("user.13", 2, at=before)]))
    assert (await other.event())["channel"] == "private-user.14"
    await site.clock.advance(4)
    assert not sending.done()
    client = await site.subscriber("private-user.13")
    assert (await client.event())["event"] == "App\\Events\\UserPush"
    async with asyncio.timeout(LIMIT):
        await sending


async def test_after_a_restart_pushes_do_not_wait_for_long(site: Site) -> None:
    before = site.clock.now().wall - 60
    server = await site.start(grace=5.0)
    sending = asyncio.create_task(server.send([row(at=before)]))
    await site.clock.advance(4)
    assert not sending.done()
    await site.clock.advance(2)
    assert sending.done()
    async with asyncio.timeout(LIMIT):
        await server.send([row(seq=2, at=before)])


async def test_while_pushes_wait_each_is_noted_before_the_next(site: Site) -> None:
    """Else a stop in that time would send those again that had gone before the one that waits."""
    server = await site.start(grace=5.0)
    assert server.batch == 1
    await site.clock.advance(6)
    assert server.batch == pusher_server.BATCH


async def test_a_push_decided_after_the_start_does_not_wait(site: Site) -> None:
    server = await site.start(grace=5.0)
    async with asyncio.timeout(LIMIT):
        assert await server.send([row(at=site.clock.now().wall)]) == ()


async def test_a_stop_ends_the_wait_and_the_push_stays(site: Site) -> None:
    server = await site.start()
    sending = asyncio.create_task(server.send([row(at=0)]))
    await site.clock.advance(1)
    await server.close()
    with pytest.raises(TryAgain):
        await sending


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server, and for its clients."""
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


async def test_over_tls(site: Site, certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    serving, trusting = certificates
    server = await site.start(tls=serving, max_buffer=200_000)
    client, stuck = await site.subscriber(ssl=trusting), await site.subscriber(ssl=trusting)
    body = json.dumps({"x": "y" * 9_000})
    assert stuck.ws._conn is not None
    assert stuck.ws._conn.transport is not None
    stuck.ws._conn.transport.pause_reading()
    for seq in range(2_000):
        await server.send([row(seq=seq, body=body)])
        assert json.loads((await client.event())["data"]) == json.loads(body)
        if len(server._channels["private-user.13"]) == 1:
            break
    assert site.counted("subscribers_closed_slow_total") == 1
    closing = asyncio.create_task(server.close())
    await client.is_closed(4200)
    await client.ws.close()
    await site.clock.advance(LINGER + 1)
    async with asyncio.timeout(LIMIT):
        await closing


@pytest.mark.parametrize("tls", [False, True])
async def test_however_a_connection_ends_no_handler_fails(
    site: Site,
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
    tls: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    serving, trusting = certificates
    server = await site.start(tls=serving if tls else None)
    options: dict[str, Any] = {"ssl": trusting} if tls else {}
    broken, closed, refused, left = [await site.subscriber(**options) for _ in range(4)]
    assert broken.ws._conn is not None
    assert broken.ws._conn.transport is not None
    broken.ws._conn.transport.abort()
    await closed.ws.close()
    await refused.ws.send_str("x" * (pusher_server.MESSAGE_LIMIT + 1))
    assert (await refused.frame()).type is WSMsgType.CLOSE
    await refused.ws.close()
    await until(lambda: server.connections == 1)
    await site.web.close()
    assert server.connections == 0
    assert not caplog.records
    assert left.ws.exception() is None
