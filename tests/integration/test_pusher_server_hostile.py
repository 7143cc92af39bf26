"""The Pusher server and clients that misbehave, do not read, fall silent or vanish: none harms another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import WSMsgType
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.delivery import pusher_server
from bridge.delivery.pusher_server import LINGER, PONG_WAIT, STRIKES, _Client
from tests.integration.pusher_site import LIMIT, Client, Site, masked, raw_client, row
from tests.support import until


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(stack)


# -- clients that misbehave ------------------------------------------------------------------------------------------


async def test_client_events_are_refused_and_reach_nobody(site: Site) -> None:
    await site.start()
    one, two = await site.subscriber(), await site.subscriber()
    for _ in range(STRIKES + 1):
        await one.say("client-typing", {"x": 1}, channel="private-user.13")
        error = await one.event()
        assert error["event"] == "pusher:error"
        assert error["data"]["code"] == 4301
    await one.is_served()
    await two.is_served()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"event":7}',
        '{"event":"pusher:unknown"}',
        '{"event":"pusher:subscribe","data":"x"}',
        "[" * 9_000,
    ],
)
async def test_what_makes_no_sense_is_answered_and_ends_the_connection_when_it_goes_on(site: Site, text: str) -> None:
    await site.start()
    other, client = await site.subscriber(), await site.guest()
    for _ in range(STRIKES - 1):
        await client.ws.send_str(text)
        error = await client.event()
        assert error["event"] == "pusher:error"
        assert error["data"]["code"] is None
    await client.is_served()  # one good message, and counting begins anew
    for _ in range(STRIKES - 1):
        await client.ws.send_str(text)
        await client.event()
    await client.ws.send_str(text)
    await client.is_closed(1008)
    assert site.refused("malformed") == 1
    await other.is_served()


async def test_binary_messages_make_no_sense(site: Site) -> None:
    await site.start()
    client = await site.guest()
    await client.ws.send_bytes(b'{"event":"pusher:ping"}')
    assert (await client.event())["event"] == "pusher:error"
    await client.is_served()


async def test_a_message_that_is_too_long(site: Site) -> None:
    await site.start()
    other, client = await site.subscriber(), await site.guest()
    await client.ws.send_str("x" * (pusher_server.MESSAGE_LIMIT + 1))
    assert (await client.frame()).type is WSMsgType.CLOSE
    assert client.ws.close_code == 1009
    await other.is_served()


async def test_a_flood_ends_the_connection(site: Site) -> None:
    await site.start(max_subscriptions=20)
    other, client = await site.subscriber(), await site.guest()
    allowed = pusher_server.MESSAGES_PER_SECOND + 20
    for _ in range(2):
        for _ in range(allowed):
            await client.is_served()
        await site.clock.advance(1.0)
    for _ in range(allowed):
        await client.is_served()
    await client.say("pusher:ping")
    await client.is_closed(1008)
    await other.is_served()


@settings(deadline=None)
@given(
    st.lists(
        st.text()
        | st.binary()
        | st.text().map(
            lambda text: json.dumps({"event": "pusher:subscribe", "data": {"channel": text, "auth": text}})
        ),
        max_size=12,
    )
)
async def test_no_message_kills_the_server_or_another_client(messages: list[str | bytes]) -> None:
    async with AsyncExitStack() as stack:
        site = Site(stack)
        server = await site.start()
        other, client = await site.subscriber(), await site.guest()
        for message in messages:
            await (client.ws.send_str(message) if isinstance(message, str) else client.ws.send_bytes(message))
        await client.ws.close()
        await until(lambda: server.connections == 1)
        await server.send([row()])
        assert (await other.event())["event"] == "App\\Events\\UserPush"


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200))
async def test_no_bytes_kill_the_server_or_another_client(junk: bytes) -> None:
    async with AsyncExitStack() as stack:
        site = Site(stack)
        server = await site.start()
        other = await site.subscriber()
        reader, writer = await raw_client(site)
        writer.write(junk)
        writer.write_eof()
        async with asyncio.timeout(LIMIT):
            while await reader.read(4096):
                pass
        writer.close()
        await until(lambda: server.connections == 1)
        await server.send([row()])
        assert (await other.event())["event"] == "App\\Events\\UserPush"


# -- clients that are slow, silent or gone ---------------------------------------------------------------------------


async def stuck_client(site: Site) -> tuple[_Client, asyncio.StreamWriter]:
    """A subscriber of admin.admin that reads no more: as the server sees it, and its own end."""
    reader, writer = await raw_client(site, receive_buffer=4096)
    await reader.readuntil(b"}")
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    before = set(site.server._channels["admin.admin"])
    writer.write(masked('{"event":"pusher:subscribe","data":{"channel":"admin.admin"}}'))
    await until(lambda: len(site.server._channels["admin.admin"]) == len(before) + 1)
    (stuck,) = set(site.server._channels["admin.admin"]) - before
    return stuck, writer


async def send_until(site: Site, healthy: Client, condition: Callable[[], bool], body: str) -> None:
    for seq in range(2_000):
        if condition():
            return
        await site.server.send([row("admin.admin", seq, body=body)])
        assert (await healthy.event())["event"] == "App\\Events\\UserPush"
    raise AssertionError("what the kernel takes by itself has its limit")


async def test_a_subscriber_that_does_not_read_is_closed_and_harms_nobody(site: Site) -> None:
    cap, body = 100_000, json.dumps({"x": "y" * 9_000})
    server = await site.start(prefix="", max_buffer=cap)
    healthy = await site.subscriber("admin.admin")
    stuck, writer = await stuck_client(site)
    most = 0

    def closed() -> bool:
        nonlocal most
        most = max(most, stuck.transport.get_write_buffer_size())
        return not stuck.open

    await send_until(site, healthy, closed, body)
    assert cap < most < cap + 2 * len(body)
    assert site.counted("subscribers_closed_slow_total") == 1

    await server.send([row("admin.admin", body=body)])
    assert stuck.transport.get_write_buffer_size() <= most
    assert (await healthy.event())["event"] == "App\\Events\\UserPush"
    assert server.connections == 2
    await site.clock.advance(LINGER + 1)
    await until(lambda: site.counted("subscribers") == 1)
    assert server.connections == 1
    writer.close()


async def test_one_that_closes_and_does_not_read_the_rest_is_cut_off(site: Site) -> None:
    server = await site.start(prefix="", max_buffer=1_000_000)
    healthy = await site.subscriber("admin.admin")
    stuck, writer = await stuck_client(site)
    held = stuck.transport.get_write_buffer_size
    await send_until(site, healthy, lambda: held() > 0, json.dumps({"x": "y" * 9_000}))
    writer.write(b"\x88\x80" + bytes(4))
    await until(lambda: site.counted("subscribers") == 1)
    assert held() > 0
    assert server.connections == 2
    await site.clock.advance(LINGER + 1)
    assert server.connections == 1
    assert held() == 0
    writer.close()


async def test_a_subscriber_that_vanishes_is_forgotten(site: Site) -> None:
    server = await site.start()
    one, two = await site.subscriber(), await site.subscriber()
    assert one.ws._conn is not None
    assert one.ws._conn.transport is not None
    one.ws._conn.transport.abort()
    await until(lambda: server.connections == 1)
    await server.send([row()])
    assert (await two.event())["event"] == "App\\Events\\UserPush"
    await two.ws.close()
    await until(lambda: server.connections == 0)
    assert not server._channels


@pytest.mark.parametrize("code", [1000, 4999])
async def test_a_client_that_closes_is_answered_with_its_code(site: Site, code: int) -> None:
    server = await site.start()
    client = await site.subscriber()
    assert await client.ws.close(code=code)
    assert client.ws.close_code == code
    await until(lambda: server.connections == 0)


async def test_silence_is_asked_about_and_then_ends_the_connection(site: Site) -> None:
    server = await site.start(activity_timeout=40)
    silent, alive = await site.guest(), await site.guest()
    await site.clock.advance(51)
    for client in (silent, alive):
        assert await client.event() == {"event": "pusher:ping", "data": {}}
        assert (await client.frame()).type is WSMsgType.PING
    await alive.say("pusher:pong")
    await until(lambda: len(server._heard) == 1)
    await site.clock.advance(PONG_WAIT + 1)
    await silent.is_closed(4201)
    # It does not answer the close frame either.
    await site.clock.advance(LINGER + 1)
    await until(lambda: server.connections == 1)
    await alive.is_served()


@pytest.mark.parametrize("how", ["pong", "ping", "text"])
async def test_whatever_a_client_sends_proves_it_alive(site: Site, how: str) -> None:
    server = await site.start(activity_timeout=40)
    client = await site.guest()
    known: dict[Any, float] = {}
    for _ in range(4):
        await site.clock.advance(45)
        known.update(server._heard)
        if how == "pong":
            await client.ws.pong()
        elif how == "ping":
            await client.ws.ping(b"there?")
            answer = await client.frame()
            assert (answer.type, answer.data) == (WSMsgType.PONG, b"there?")
        else:
            await client.is_served()
        await until(lambda: server._heard != known)
    await client.is_served()
