"""The sink against soketi, a real Pusher server, and soketi's frames beside ours. `make slow`: it is 293 MB."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.clock import SystemClock
from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.pusher_http import PusherHttp
from bridge.delivery.sink import Pump, TryAgain
from bridge.metrics import Metrics
from bridge.pushes.catalogue import ExportConfig, ImportConfig
from bridge.secrets import Redactor, Secret
from bridge.store.store import OutboxRow, Store
from tests import node
from tests.integration.processes import free_port
from tests.integration.pusher_site import QUERY, Site
from tests.support import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

APP_ID, KEY, SECRET = "app-id", "app-key", Secret("app-secret")
UNLIMITED = ("maxConnections", "maxBackendEventsPerSecond", "maxClientEventsPerSecond", "maxReadRequestsPerSecond")
START_SECONDS = 60.0


@pytest.fixture(scope="module")
def soketi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Its port."""
    binary = node.with_modules("115")
    if binary is None:
        pytest.skip("soketi's binary is for node 20, which is not on the PATH")
    folder = node.HERE / "soketi"
    node.install(folder)
    port = free_port()
    app = {"id": APP_ID, "key": KEY, "secret": SECRET.reveal(), "webhooks": []} | dict.fromkeys(UNLIMITED, -1)
    config = tmp_path_factory.mktemp("soketi") / "config.json"
    config.write_text(
        json.dumps({"host": "127.0.0.1", "port": port, "metrics": {"enabled": False}, "appManager.array.apps": [app]})
    )
    server = folder / "node_modules" / "@soketi" / "soketi" / "bin" / "server.js"
    process = subprocess.Popen([binary, server, "start", f"--config={config}"], stdout=subprocess.DEVNULL)
    yield port
    process.kill()  # at SIGTERM it lingers, and holds the port
    process.wait(30)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def make(stack: AsyncExitStack, port: int, **changes: Any) -> PusherHttp:
    options: dict[str, Any] = {"url": f"http://127.0.0.1:{port}", "app_id": APP_ID, "key": KEY, "secret": SECRET}
    sink = PusherHttp("soketi", **options | changes, clock=SystemClock(), redactor=Redactor())
    await sink.open()
    stack.push_async_callback(sink.close)
    return sink


async def listening(port: int) -> None:
    async def answers() -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    await until(answers, START_SECONDS, "soketi answers")


async def subscriber(stack: AsyncExitStack, url: str, *, good: bool = True) -> tuple[Any, list[Any]]:
    """A client of user 13's channel, or one with a wrong signature, and the three first things it was told."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    ws = await stack.enter_async_context(session.ws_connect(url))
    welcome = await ws.receive_json(timeout=START_SECONDS)
    socket_id = json.loads(welcome["data"])["socket_id"]
    await ws.send_json({"event": "pusher:ping", "data": {}})
    pong = await ws.receive_json(timeout=10)
    auth = protocol.channel_auth(KEY, SECRET if good else Secret("wrong"), socket_id, "private-user.13")
    await ws.send_json({"event": "pusher:subscribe", "data": {"channel": "private-user.13", "auth": auth}})
    return ws, [welcome, pong, await ws.receive_json(timeout=10)]


async def test_pushes_arrive_in_order_in_batches_and_alone(soketi: int, stack: AsyncExitStack, tmp_path: Path) -> None:
    await listening(soketi)
    ws, _ = await subscriber(stack, f"ws://127.0.0.1:{soketi}/app/{KEY}{QUERY}")
    store = await Store.open(tmp_path, SystemClock())
    stack.push_async_callback(store.close)
    # soketi takes 100 KB of data.
    sink = await make(stack, soketi, max_payload=200_000)
    pump = Pump(sink, store, Metrics(), SystemClock(), random.Random(1))
    await store.join("soketi")
    task = asyncio.create_task(pump.run())
    stack.callback(task.cancel)

    pushes = [ExportConfig(user_id=13, status="ok", url=f"https://vms.local/{number}") for number in range(26)]
    too_large = ImportConfig(user_id=13, status="ok", message="x" * 150_000)
    await store.commit("gate", [], [*pushes[:13], too_large, *pushes[13:25]])
    await until(lambda: pump.cursor == store.last_seq, 30)
    await store.commit("gate", [], pushes[25:])
    for push in pushes:
        frame = await ws.receive_json(timeout=10)
        assert (frame["event"], frame["channel"]) == (str(push.event), "private-user.13")
        assert frame["data"] == push.body()
    (letter,) = await store.dead_letters()
    assert letter.type == "import_config"
    assert "413" in letter.reason


async def test_wrong_credentials_are_told_from_refused_pushes(soketi: int, stack: AsyncExitStack) -> None:
    await listening(soketi)
    row = OutboxRow(1, 0.0, "gate", "t", "App\\Events\\UserPush", "user.13", "{}", False)
    assert "takes the key and the secret" in await (await make(stack, soketi)).check()
    for changes, words in (({"secret": Secret("wrong")}, "compare app_id, key"), ({"app_id": "nope"}, "has no /apps")):
        sink = await make(stack, soketi, **changes)
        with pytest.raises(TryAgain, match=words):
            await sink.send([row])


@pytest.mark.parametrize("good", [True, False])
async def test_our_frames_have_the_shape_of_soketis(soketi: int, stack: AsyncExitStack, good: bool) -> None:
    await listening(soketi)
    site = Site(stack)
    await site.start()
    _, theirs = await subscriber(stack, f"ws://127.0.0.1:{soketi}/app/{KEY}{QUERY}", good=good)
    _, ours = await subscriber(stack, f"{site.url}/app/{KEY}{QUERY}", good=good)
    assert [_shape(one) for one in ours] == [_shape(one) for one in theirs]


def _shape(frame: dict[str, Any]) -> Any:
    """Names and types, and what stands in a `data` that is a string; values only where they are the protocol's."""
    data = frame.get("data")
    if frame["event"] == "pusher_internal:subscription_succeeded":
        data = None  # "{}" from Pusher and from us, nothing from soketi
    if isinstance(data, str) and data:
        data = {"in a string": json.loads(data)}
    return frame["event"], frame.get("channel"), _types(data)


def _types(value: Any) -> Any:
    return {name: _types(one) for name, one in value.items()} if isinstance(value, dict) else type(value).__name__
