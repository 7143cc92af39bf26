"""The sink for Pusher-compatible servers, from the store through the pump to a server that checks every signature."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.delivery.pusher_http import PusherHttp
from bridge.delivery.sink import Pump, TryAgain
from bridge.metrics import Metrics
from bridge.pushes.catalogue import ExportConfig, ExportIntercomKeys, ImportConfig, Push
from bridge.secrets import Redactor, Secret
from bridge.store.store import OutboxRow, Store
from bridge.testing.clock import FakeClock
from tests.integration.pusher_api import APP_ID, KEY, SECRET, PusherApi

LIMIT = 20.0  # seconds that any condition gets


class Line:
    """A store, a sink, and the pump between them; `receiver` is the other side."""

    def __init__(self, directory: Path, receiver: PusherApi) -> None:
        self.directory = directory
        self.receiver = receiver
        self.clock = FakeClock()
        self.redactor = Redactor()
        self.metrics = Metrics()
        self.store: Store
        self.sink: PusherHttp
        self.pump: Pump
        self._task: asyncio.Task[None] | None = None
        self._decided = 0

    async def make(self, **changes: Any) -> PusherHttp:
        options: dict[str, Any] = {
            "url": self.receiver.url,
            "app_id": APP_ID,
            "key": KEY,
            "secret": Secret(SECRET),
        } | changes
        self.sink = PusherHttp("vms", **options, clock=self.clock, redactor=self.redactor)
        await self.sink.open()
        return self.sink

    async def start(self, **options: Any) -> None:
        await self.make(**options)
        self.store = await Store.open(self.directory, self.clock)
        self.metrics = Metrics()
        self.pump = Pump(self.sink, self.store, self.metrics, self.clock, random.Random(1))
        self._task = asyncio.create_task(self.pump.run())
        # The sink has joined, so that what is decided from now on is its business.
        await self.store.join("vms")

    async def kill(self) -> None:
        """As `kill -9` leaves it: what is in the file counts."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.sink.close()
            await self.store.close()

    async def decide(self, count: int = 1, *, place: int = -1, text: str = "") -> None:
        """Commit pushes that say 0, 1, 2 ... since the first; the one at `place` says `text` instead."""
        pushes: list[Push] = []
        for number in range(count):
            if number == place:
                pushes.append(ImportConfig(user_id=13, status="ok", message=text))
            else:
                pushes.append(ExportConfig(user_id=13, status="ok", url=str(self._decided)))
                self._decided += 1
        await self.store.commit("gate", [], pushes)

    async def until(self, condition: Callable[[], bool], step: float = 0.5) -> None:
        """Let time pass, `step` seconds at a go, until the condition holds."""
        async with asyncio.timeout(LIMIT):
            while not condition():
                await self.clock.advance(step)
                await asyncio.sleep(0.002)

    async def delivered(self) -> None:
        """Everything that was decided has left the outbox, and the cursor is on disk."""
        async with asyncio.timeout(LIMIT):
            while (await self.store.join("vms")).cursor < self.store.last_seq:
                await self.clock.advance(0.5)
                await asyncio.sleep(0.002)

    def got(self) -> list[int]:
        """The numbers of the pushes that have arrived, in order."""
        data = (json.loads(event["data"])["data"]["data"] for event in self.receiver.received)
        return [int(one["url"]) for one in data if one]

    def counted(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"bridge_{name}_total", {"sink": "vms"}) or 0.0


@pytest.fixture
async def receiver() -> AsyncIterator[PusherApi]:
    receiver = PusherApi()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def line(tmp_path: Path, receiver: PusherApi) -> AsyncIterator[Line]:
    async with AsyncExitStack() as stack:
        line = Line(tmp_path, receiver)
        stack.push_async_callback(line.kill)
        yield line
        if hasattr(line, "sink"):
            await line.sink.close()


def row(seq: int = 1, body: str = '{"data":[]}') -> OutboxRow:
    return OutboxRow(seq, 0.0, "gate", "export_config", "App\\Events\\UserPush", "user.13", body, False)


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
        async with line.sink._session.post(url, data=await request.read()) as response:  # type: ignore[union-attr]
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


@pytest.mark.parametrize("how", ["close", "hang"])
@pytest.mark.parametrize("count", [1, 5])
async def test_an_answer_that_is_lost_is_counted_and_the_push_sent_again(
    line: Line, receiver: PusherApi, how: str, count: int
) -> None:
    receiver.swallow = how
    await line.start(timeout=0.2)
    await line.decide(count)
    await line.until(lambda: line.counted("delivery_failures") >= 1)
    receiver.swallow = ""
    await line.delivered()
    sent = len(line.got())
    assert sent >= 2 * count
    assert line.got() == list(range(count)) * (sent // count)
    assert line.counted("delivery_unknown_outcomes") == sent - count


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


# -- outages and restarts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [True, False])
async def test_an_outage_loses_nothing_and_keeps_the_order(line: Line, receiver: PusherApi, batches: bool) -> None:
    receiver.batches = batches
    await line.start()
    await line.decide(5)
    await line.delivered()
    await receiver.stop()
    for _ in range(20):
        await line.decide(100)
    await line.until(lambda: line.counted("delivery_failures") >= 3)
    assert "no connection" in line.pump.failing
    await receiver.start()
    await line.delivered()
    assert line.got() == list(range(2005))
    assert line.pump.failing == ""
    assert line.counted("delivered") == 2005
    assert line.counted("delivery_unknown_outcomes") == 0


async def test_a_killed_bridge_goes_on_where_it_was(line: Line, receiver: PusherApi) -> None:
    await line.start()
    await line.decide(30)
    await line.delivered()
    await receiver.stop()
    await line.decide(30)
    await line.until(lambda: line.counted("delivery_failures") >= 1)
    await line.kill()
    await receiver.start()
    await line.start()
    await line.delivered()
    assert line.got() == list(range(60))
    # Begun before the kill, never confirmed: for all that the file tells, these may have arrived.
    assert line.counted("delivery_unknown_outcomes") == 10


async def test_a_bridge_killed_while_it_looks_for_the_bad_one_repeats_one_at_most(
    line: Line, receiver: PusherApi
) -> None:
    receiver.bad = "spoilt"
    await line.start()
    await line.decide(10, place=6, text="spoilt")
    await line.until(lambda: len(receiver.received) >= 4)
    await line.kill()
    await line.start()
    await line.delivered()
    assert sorted(set(line.got())) == list(range(9))
    assert len(line.got()) - 9 <= line.counted("delivery_unknown_outcomes")
    assert len(line.got()) <= 10
    assert len(await line.store.dead_letters()) == 1


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
