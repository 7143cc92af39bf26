"""The webhook sink against a real HTTP receiver, its signatures checked by the `standardwebhooks` package."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from bridge.clock import SystemClock
from bridge.delivery.sink import Pump, TryAgain
from bridge.delivery.webhook import Webhook
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.model import CameraStatus, Channel, Device, DeviceEvent, EventKind, Kind
from bridge.pushes.render import camera_status
from bridge.secrets import Redactor, Secret
from bridge.store.store import Store
from tests.support import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PANEL = Device("door-1", Kind.INTERCOM, "acme", "192.0.2.1", "Door 1", channels=(Channel(vms={"id": 17}),))
CAMERA = Device("cam-1", Kind.CAMERA, "acme", "192.0.2.2", "Gate", channels=(Channel(vms={"id": 429}),))


class Receiver:
    """Answers with what `answers` holds, then 204; keeps what it took."""

    def __init__(self) -> None:
        self.answers: list[web.Response | Callable[[web.Request], None]] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.method == "POST":
            self.taken.append(({key.lower(): value for key, value in request.headers.items()}, body))
        answer = self.answers.pop(0) if self.answers else web.Response(status=204)
        if isinstance(answer, web.Response):
            return answer
        answer(request)
        return web.Response()

    async def start(self, port: int = 0) -> str:
        application = web.Application()
        application.router.add_route("*", "/hooks/12", self.handle)
        self.runner = web.AppRunner(application, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", port).start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}/hooks/12"

    def events(self) -> list[int]:
        return [json.loads(body)["event"]["number"] for _, body in self.taken]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    yield receiver
    await receiver.runner.cleanup()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path, SystemClock())
    yield store
    await store.close()


def sink(url: str, *, pushes: bool = False, redactor: Redactor | None = None) -> Webhook:
    return Webhook(
        "hook",
        url,
        Secret(SECRET),
        source="House 12",
        events=("door", "access"),
        pushes=pushes,
        clock=SystemClock(),
        redactor=redactor or Redactor(),
        prefix="private-",
        timeout=2.0,
    )


class Site:
    """A store, a journal and a running pump."""

    def __init__(self, store: Store, hook: Webhook) -> None:
        import asyncio

        self.metrics = Metrics()
        self.store = store
        self.journal = Journal(store, SystemClock(), frozenset({EventKind.DOOR, EventKind.ACCESS, EventKind.CALL}))
        self.pump = Pump(hook, store, self.metrics, SystemClock(), random.Random(1))
        self.task = asyncio.create_task(self.pump.run())

    async def door(self, count: int = 1) -> None:
        for _ in range(count):
            await self.journal.add(PANEL, DeviceEvent(EventKind.DOOR, "", active=True), True)

    def count(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"sink": "hook"}) or 0.0


@pytest.fixture
async def site(store: Store, receiver: Receiver) -> AsyncIterator[Site]:
    hook = sink(await receiver.start(), pushes=True)
    await store.join("hook")
    await hook.open()
    site = Site(store, hook)
    yield site
    site.task.cancel()
    await hook.close()


async def test_events_arrive_signed_and_in_order(site: Site, receiver: Receiver) -> None:
    await site.door(3)
    await site.journal.add(PANEL, DeviceEvent(EventKind.CALL, ""), None)  # a kind that it does not want
    await site.door()
    await until(lambda: len(receiver.taken) == 4)
    assert receiver.events() == [1, 2, 3, 5]
    for headers, body in receiver.taken:
        told = Verifier(SECRET).verify(body, headers)
        assert told["type"] == "device_event"
        assert told["event"]["device"]["id"] == "door-1"
        assert headers["content-type"] == "application/json"
    ids = [headers["webhook-id"] for headers, _ in receiver.taken]
    assert len(set(ids)) == 4
    assert ids[0].startswith("House-12.1.")
    await until(lambda: site.pump.cursor == site.store.last_seq)
    assert site.count("bridge_delivered_total") == 4


async def test_pushes_as_well_when_it_likes(site: Site, receiver: Receiver) -> None:
    push = camera_status(CAMERA, CAMERA.channels[0], CameraStatus.ACTIVE)
    assert push is not None
    await site.store.commit("cam-1", [], [push])
    await until(lambda: receiver.taken)
    headers, body = receiver.taken[0]
    told = Verifier(SECRET).verify(body, headers)
    assert (told["type"], told["channel"], told["name"]) == ("push", "private-admin.admin", "App\\Events\\AdminPush")
    assert told["data"]["data"]["data"]["camera"]["id"] == 429


async def test_without_pushes_it_passes_them_over(store: Store, receiver: Receiver) -> None:
    hook = sink(await receiver.start())
    await hook.open()
    await store.join("hook")
    site = Site(store, hook)
    push = camera_status(CAMERA, CAMERA.channels[0], CameraStatus.ACTIVE)
    assert push is not None
    await store.commit("cam-1", [], [push])
    await site.door()
    await until(lambda: site.pump.cursor == 2)
    assert len(receiver.taken) == 1
    site.task.cancel()
    await hook.close()


async def test_an_outage_loses_nothing_and_repeats_under_the_same_id(site: Site, receiver: Receiver) -> None:
    def cut(request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()

    receiver.answers = [web.Response(status=503, headers={"Retry-After": "0"}), cut, web.Response(status=500)]
    await site.door(2)
    await until(lambda: len(receiver.taken) == 5, limit=15)
    assert receiver.events() == [1, 1, 1, 1, 2]
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 2
    assert site.count("bridge_delivery_unknown_outcomes_total") == 2


async def test_what_is_refused_for_good_is_a_dead_letter(site: Site, receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=422, text="no such door")]
    await site.door(2)
    await until(lambda: len(receiver.taken) == 2)
    await until(lambda: site.pump.cursor == 2)
    (letter,) = await site.store.dead_letters()
    assert (letter.seq, letter.type, letter.reason) == (1, "device_event", "HTTP 422: no such door")


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "compare the secret with the receiver's"), (404, "compare the url with the receiver's"), (302, "redirects")],
)
async def test_a_wrong_address_or_secret_is_told_and_tried_again(
    status: int, words: str, store: Store, receiver: Receiver
) -> None:
    receiver.answers = [web.Response(status=status, headers={"Location": "http://192.0.2.99/"}, text=SECRET)]
    redactor = Redactor()
    hook = sink(await receiver.start(), redactor=redactor)
    await hook.open()
    journal = Journal(store, SystemClock(), frozenset({EventKind.DOOR}))
    await journal.add(PANEL, DeviceEvent(EventKind.DOOR, "", active=True), True)
    with pytest.raises(TryAgain, match=words) as caught:
        await hook.send(await store.outbox_after(0, 1))
    assert SECRET not in str(caught.value)
    await hook.close()


async def test_check_sends_no_message(receiver: Receiver) -> None:
    hook = sink(await receiver.start())
    await hook.open()
    assert "answers (204); no message was sent" in await hook.check()
    assert not receiver.taken
    await hook.close()
