"""The sink for Pusher-compatible servers: its requests, and what it makes of every answer, through store and pump to a
server that checks every signature."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web

from bridge.delivery.sink import TryAgain
from bridge.pushes.catalogue import ExportIntercomKeys
from bridge.secrets import Secret
from tests.integration.outbox_line import LIMIT, Line, connected, row
from tests.integration.pusher_api import APP_ID, SECRET, PusherApi


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with connected(tmp_path) as line:
        yield line


@pytest.fixture
def receiver(line: Line) -> PusherApi:
    return line.receiver


# -- requests --------------------------------------------------------------------------------------------------------


async def test_a_single_push_is_the_request_that_laravel_sends(line: Line, receiver: PusherApi) -> None:
    """Byte for byte as it was captured from Laravel with pusher-http-php."""
    await line.start()
    await line.store.commit(
        "gate", [], [ExportIntercomKeys(token_id="7", status="ok", path="https://vms.local/x.xlsx")]
    )
    await line.delivered()
    assert receiver.bodies == [
        rb'{"name":"App\\Events\\TokenPush","data":"{\"data\":{\"type\":\"export_intercom_keys\",\"status\":\"ok\",'
        rb"\"data\":{\"path\":\"https:\\\/\\\/vms.local\\\/x.xlsx\"}},\"subject\":null,\"message\":null,"
        rb'\"socket\":null}","channel":"private-token.7"}'
    ]
    assert receiver.unsigned == 0
    assert line.counted("delivered") == 1


async def test_the_path_before_apps_is_not_signed(line: Line, receiver: PusherApi) -> None:
    """As pusher-http-php has it, because the reverse proxy takes the prefix away before the server sees it."""
    app = web.Application()

    async def proxy(request: web.Request) -> web.Response:
        url = f"{receiver.url}{request.path_qs.removeprefix('/push')}"
        async with line.sink._requests._session.post(url, data=await request.read()) as response:  # type: ignore[union-attr]
            return web.Response(status=response.status, body=await response.read())

    app.router.add_post("/push/{rest:.*}", proxy)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink = await line.make(url=f"http://127.0.0.1:{runner.addresses[0][1]}/push/")
    assert await sink.send([row()]) == []
    assert (len(receiver.received), receiver.unsigned) == (1, 0)
    await runner.cleanup()


async def test_what_waits_goes_in_batches_of_ten(line: Line, receiver: PusherApi) -> None:
    await line.start()
    await line.decide(25)
    await line.delivered()
    assert line.got() == list(range(25))
    assert receiver.requests == {"batch_events": 3}
    assert [len(json.loads(body)["batch"]) for body in receiver.bodies] == [10, 10, 5]
    assert receiver.unsigned == 0


@pytest.mark.parametrize("batch", [1, 4])
async def test_the_size_of_a_batch_is_a_setting(line: Line, receiver: PusherApi, batch: int) -> None:
    await line.start(batch=batch)
    await line.decide(8)
    await line.delivered()
    assert line.got() == list(range(8))
    assert receiver.requests == ({"events": 8} if batch == 1 else {"batch_events": 2})


async def test_a_server_without_batches_is_asked_once(line: Line, receiver: PusherApi) -> None:
    """push1st: each push is a request, and each answer moves the cursor."""
    receiver.batches = False
    await line.start()
    await line.decide(25)
    await line.delivered()
    await line.decide(15)
    await line.delivered()
    assert line.got() == list(range(40))
    assert receiver.requests == {"batch_events": 1, "events": 40}
    assert line.counted("delivery_failures") == 0
    assert line.counted("delivery_unknown_outcomes") == 0


async def test_an_application_that_is_missing_for_a_while(line: Line, receiver: PusherApi) -> None:
    """404 for a batch and for a single push: it is the application that is missing, and batches are tried again."""
    receiver.answer = lambda request: web.Response(status=404, text="no such app")
    await line.start()
    await line.decide(20)
    await line.until(lambda: line.counted("delivery_failures") >= 2)
    assert f"has no /apps/{APP_ID}" in line.pump.failing
    receiver.answer = None
    receiver.requests.clear()
    await line.delivered()
    assert line.got() == list(range(20))
    assert receiver.requests["events"] == 0
    assert await line.store.dead_letters() == []


# -- what is refused for good ----------------------------------------------------------------------------------------


async def test_the_one_that_spoils_a_batch_is_found_and_none_is_sent_twice(line: Line, receiver: PusherApi) -> None:
    receiver.bad = "spoilt"
    await line.start()
    await line.decide(20, place=7, text="spoilt")
    await line.delivered()
    assert line.got() == list(range(19))
    # Ten together, refused; the same ten alone; ten together.
    assert receiver.requests == {"batch_events": 2, "events": 10}
    (letter,) = await line.store.dead_letters()
    assert (letter.sink, letter.seq, letter.type, letter.channel) == ("vms", 8, "import_config", "user.13")
    assert letter.reason == 'HTTP 422: {"error": "The data field must be\\na better one."}'
    assert (line.counted("dead_letters"), line.counted("delivered")) == (1, 19)


async def test_a_limit_on_the_whole_request_makes_batches_smaller(line: Line, receiver: PusherApi) -> None:
    """Reverb takes 10,000 bytes in a request, however many events they are."""
    receiver.request_limit = 1_200  # five of these pushes, and not ten
    await line.start()
    await line.decide(40)
    await line.delivered()
    assert line.got() == list(range(40))
    assert await line.store.dead_letters() == []
    assert receiver.requests == {"batch_events": 1 + 6, "events": 10}


async def test_a_push_that_is_too_large_for_us(line: Line, receiver: PusherApi) -> None:
    await line.start(max_payload=500)
    await line.decide(5, place=2, text="x" * 500)
    await line.delivered()
    assert line.got() == [0, 1, 2, 3]
    (letter,) = await line.store.dead_letters()
    assert letter.reason == f"too large: {len(letter.body)} bytes of data, max_payload is 500"


async def test_a_push_that_is_too_large_for_the_server(line: Line, receiver: PusherApi) -> None:
    receiver.event_limit = 500
    await line.start()
    await line.decide(1, place=0, text="x" * 500)
    await line.delivered()
    (letter,) = await line.store.dead_letters()
    assert letter.reason.startswith(f"too large for the server: {len(letter.body)} bytes of data; HTTP 413: ")


async def test_no_secret_reaches_a_reason(line: Line, receiver: PusherApi) -> None:
    receiver.answer = lambda request: web.Response(status=400, text=f"expected {SECRET} {'x' * 2000}")
    sink = await line.make()
    ((_, reason),) = await sink.send([row()])
    assert SECRET not in reason
    assert reason.startswith("HTTP 400: expected *** xxx")
    assert len(reason) < 400


async def test_an_answer_is_asked_for_plain(line: Line, receiver: PusherApi) -> None:
    """A compressed one would not be read: a few bytes of it can hold megabytes."""

    def answer(request: web.Request) -> web.Response:
        response = web.Response(status=422, text="words of the server " * 50)
        response.enable_compression()
        return response

    receiver.answer = answer
    ((_, reason),) = await (await line.make()).send([row()])
    assert "words of the server" in reason


# -- what is tried again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "words", "after", "unknown"),
    [
        (401, {}, "compare app_id, key and secret", None, False),
        (403, {}, "compare app_id, key and secret", None, False),
        (404, {}, "compare url and app_id", None, False),
        (429, {"Retry-After": "7"}, "HTTP 429", 7.0, False),
        (503, {"Retry-After": "86400"}, "HTTP 503", 600.0, False),
        (503, {"Retry-After": formatdate(1_700_000_030, usegmt=True)}, "HTTP 503", 30.0, False),
        (503, {"Retry-After": formatdate(1_600_000_000, usegmt=True)}, "HTTP 503", 0.0, False),
        (503, {"Retry-After": "soon"}, "HTTP 503", None, False),
        (503, {}, "HTTP 503", None, False),
        (500, {}, "HTTP 500", None, True),
        (504, {}, "HTTP 504", None, True),
        (302, {"Location": "https://elsewhere/apps"}, "redirects to https://elsewhere/apps", None, False),
        (418, {}, "HTTP 418", None, False),
    ],
)
async def test_answers_that_mean_try_again(
    line: Line, receiver: PusherApi, status: int, headers: dict[str, str], words: str, after: float, unknown: bool
) -> None:
    headers = {"Date": formatdate(line.clock.now().wall, usegmt=True)} | headers
    receiver.answer = lambda request: web.Response(status=status, headers=headers, text="words of the server")
    sink = await line.make()
    for rows in ([row()], [row(1), row(2)]) if status != 404 else ([row()],):
        with pytest.raises(TryAgain, match=words) as caught:
            await sink.send(rows)
        assert (caught.value.after, caught.value.unknown) == (after, unknown)
    assert receiver.requests.total() < 3, "no redirect is followed"


@pytest.mark.parametrize("code", [401, 404, 429, 503])
async def test_soketi_says_200_and_means_something_else(line: Line, receiver: PusherApi, code: int) -> None:
    receiver.answer = lambda request: web.json_response({"error": "words of soketi", "code": code})
    sink = await line.make()
    for rows in ([row()], [row(1), row(2)]) if code != 404 else ([row()],):
        with pytest.raises(TryAgain, match=f"HTTP {code}: .*words of soketi"):
            await sink.send(rows)
    receiver.answer = lambda request: web.json_response({"error": "too large", "code": 413})
    ((_, reason),) = await sink.send([row()])
    assert "HTTP 413" in reason


@pytest.mark.parametrize(
    "body", ["", "{}", '{"ok":true}', '{"error":null}', '{"error"', '"error"', "[" * 4000 + '"error"']
)
async def test_whatever_else_comes_with_200_is_delivered(line: Line, receiver: PusherApi, body: str) -> None:
    receiver.answer = lambda request: web.Response(text=body)
    assert await (await line.make()).send([row()]) == []


@pytest.mark.parametrize(("skew", "side"), [(900, "ahead of"), (-900, "behind")])
async def test_a_clock_that_is_wrong_is_named(line: Line, receiver: PusherApi, skew: int, side: str) -> None:
    server_time = line.clock.now().wall + skew
    receiver.now = server_time
    receiver.answer = lambda request: web.Response(status=401, headers={"Date": formatdate(server_time, usegmt=True)})
    sink = await line.make()
    with pytest.raises(TryAgain, match=rf"clock is 900 s {side} ours: set the clocks"):
        await sink.send([row()])


async def test_a_wrong_secret_is_no_dead_letter(line: Line, receiver: PusherApi) -> None:
    await line.start(secret=Secret("another"))
    await line.decide(3)
    await line.until(lambda: line.counted("delivery_failures") >= 2)
    assert "compare app_id, key and secret" in line.pump.failing
    assert await line.store.dead_letters() == []
    assert line.got() == []
    assert receiver.unsigned >= 2


async def test_no_connection_is_tried_three_times(
    line: Line, receiver: PusherApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    await receiver.stop()
    sink = await line.make()
    monkeypatch.setattr(line.clock, "sleep", sleep)
    with pytest.raises(TryAgain, match="no connection to") as caught:
        await sink.send([row()])
    assert not caught.value.unknown
    assert len(waits) == 2
    assert all(0 < wait <= 2 for wait in waits)
    assert waits[0] != waits[1], "there is jitter"


async def test_a_quick_retry_delivers(line: Line, receiver: PusherApi) -> None:
    await receiver.stop()
    sink = await line.make()
    sending = asyncio.create_task(sink.send([row()]))
    await line.until(lambda: line.clock.sleeping > 0, step=0)
    await receiver.start()
    await line.until(sending.done)
    assert await sending == []
    assert len(receiver.received) == 1


async def test_the_servers_own_time_is_kept(line: Line, receiver: PusherApi) -> None:
    receiver.answer = lambda request: web.Response(status=429, headers={"Retry-After": "300"})
    await line.start()
    await line.decide()
    await line.until(lambda: line.counted("delivery_failures") == 1)
    began = line.clock.now().mono
    receiver.answer = None
    await line.delivered()
    assert line.clock.now().mono - began > 299


async def test_an_answer_that_never_ends_counts_by_its_status(line: Line, receiver: PusherApi) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65_536)
        return response

    app = web.Application()
    app.router.add_post("/{any:.*}", endless)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink = await line.make(url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with asyncio.timeout(LIMIT):
        assert await sink.send([row()]) == []
    await runner.cleanup()


# -- check -----------------------------------------------------------------------------------------------------------


async def test_check(line: Line, receiver: PusherApi) -> None:
    sink = await line.make()
    assert "takes the key and the secret" in await sink.check()
    receiver.answer = lambda request: web.Response(status=404)
    assert "lists no channels" in await sink.check()
    receiver.answer = lambda request: web.Response(status=403)
    with pytest.raises(TryAgain, match="does not take the signature"):
        await sink.check()
    assert receiver.received == []
    receiver.answer = None
    await sink.close()
    wrong = await line.make(secret=Secret("another"))
    with pytest.raises(TryAgain, match="compare app_id, key and secret"):
        await wrong.check()
    await wrong.close()
    await wrong.close()
    with pytest.raises(TryAgain, match="closed"):
        await wrong.send([row()])
