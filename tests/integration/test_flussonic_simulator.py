"""The simulated server alone: its event sinks, its streams' configuration, its faults. Spoken to with plain HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from drivers.flussonic.simulator import FlussonicSimulator
from tests.integration.flussonic_rig import running
from tests.support import until

V3 = "/streamer/api/v3"


@asynccontextmanager
async def client(server: FlussonicSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    login = {"Authorization": aiohttp.encode_basic_auth(server.username, server.password)}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", headers=login) as http:
        yield http


class Receiver:
    """Takes batches, as long as `status` is 200."""

    def __init__(self) -> None:
        self.status = 200
        self.batches: list[list[dict[str, Any]]] = []
        self.hold: asyncio.Event | None = None
        self.busy = 0
        self.most_busy = 0

    async def _take(self, request: web.Request) -> web.Response:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        batch = await request.json()
        if self.hold is not None:
            await self.hold.wait()
        self.busy -= 1
        self.batches.append(batch)
        return web.Response(status=self.status)

    @property
    def told(self) -> list[int]:
        return [event["event_id"] for batch in self.batches for event in batch]

    async def __aenter__(self) -> Receiver:
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def sink(server: FlussonicSimulator, receiver: Receiver, **options: Any) -> None:
    async with client(server) as http:
        body = {"url": receiver.url, "throttle_delay": 0, "resend_timeout": 1, **options}
        async with http.put(f"{V3}/event_sinks/mine", json=body) as answer:
            assert answer.status == 200, await answer.text()


async def test_a_batch_is_sent_once_the_one_before_was_answered() -> None:
    async with running() as server, Receiver() as receiver:
        await sink(server, receiver)
        receiver.hold = asyncio.Event()
        server.tell("one")
        await until(lambda: receiver.busy == 1)
        for _ in range(20):
            server.tell("more")
        await asyncio.sleep(0.2)
        assert (receiver.most_busy, receiver.batches) == (1, [])
        receiver.hold.set()
        await until(lambda: len(receiver.told) == 21)
        assert [len(batch) for batch in receiver.batches] == [1, 20]
        assert receiver.told == list(range(1, 22))


async def test_events_wait_for_others_unless_they_are_many() -> None:
    async with running() as server, Receiver() as receiver:
        await sink(server, receiver, throttle_delay=60)
        for _ in range(100):
            server.tell("event")
        await asyncio.sleep(0.2)
        assert receiver.batches == []
        server.tell("event")
        await until(lambda: [len(batch) for batch in receiver.batches] == [101])


async def test_what_is_refused_is_kept_and_sent_again() -> None:
    async with running() as server, Receiver() as receiver:
        await sink(server, receiver)
        receiver.status = 500
        server.tell("event")
        await until(lambda: receiver.batches)
        server.tell("event")
        receiver.status = 200
        await until(lambda: len(receiver.batches) == 2)
        assert receiver.told == [1, 1, 2]
        assert server.counters["resent_events"] == 2


async def test_beyond_the_limit_the_oldest_are_dropped_and_counted() -> None:
    async with running() as server, Receiver() as receiver:
        await sink(server, receiver, resend_limit=10)
        receiver.status = 500
        server.tell("event")
        await until(lambda: receiver.batches)
        receiver.batches.clear()
        for _ in range(20):
            server.tell("event")
        receiver.status = 200
        await until(lambda: receiver.batches)
        assert receiver.told == list(range(12, 22))
        async with client(server) as http, http.get(f"{V3}/config/stats") as answer:
            assert (await answer.json())["events"]["dropped_events"] == 11


async def test_only_and_except() -> None:
    async with running() as server, Receiver() as receiver:
        await sink(server, receiver, only=[{"event": ["source_*"]}], **{"except": [{"media": ["test*"]}]})
        server.tell("play_opened", media="a")
        server.tell("source_closed", media="test-1")
        server.tell("source_closed", media="a")
        await until(lambda: receiver.told == [3])


async def test_streams_can_be_configured() -> None:
    async with running(cameras=1) as server, client(server) as http:
        path = f"{V3}/streams/live%2Fyard"
        async with http.put(path, json={"title": "Yard", "inputs": [{"url": "publish://"}]}) as answer:
            assert (await answer.json())["config_on_disk"] == {
                "name": "live/yard",
                "title": "Yard",
                "inputs": [{"url": "publish://"}],
            }
        async with http.put(path, json={"static": False, "title": None}) as answer:
            told = await answer.json()
            assert (told["static"], told.get("title"), told["stats"]["status"]) == (False, None, "waiting")
        async with http.put(path, json={"colour": "red"}) as answer:
            assert (answer.status, (await answer.json())["errors"][0]["title"]) == (400, "unknown key colour")
        async with http.delete(path) as answer:
            assert answer.status == 204
        async with http.get(path) as answer:
            assert (answer.status, await answer.json()) == (404, {"error": "not_found"})


async def test_a_lost_source_is_an_error_at_once_and_dead_after_twelve_seconds() -> None:
    async with running(cameras=1) as server, client(server) as http:
        now = server.now()
        server.media["cam-1"].lose()
        for seconds, alive in ((11, True), (13, False)):
            server.media["cam-1"].lost_at = now - seconds
            async with http.get(f"{V3}/streams/cam-1") as answer:
                stats = (await answer.json())["stats"]
                assert (stats["status"], stats["alive"]) == ("error", alive)
                assert stats["ts_delay"] >= seconds * 1000


async def test_units_differ_between_versions() -> None:
    for version, most in ((23, 1e11), (25, 1e14)):
        async with running(cameras=1, version=version) as server, client(server) as http:
            async with http.get(f"{V3}/streams/cam-1") as answer:
                opened = (await answer.json())["inputs"][0]["stats"]["opened_at"]
                assert most / 1000 < opened < most
            server.recordings.ranges["cam-1"] = [(1000, 60)]
            async with http.get(f"{V3}/streams/cam-1/dvr/ranges") as answer:
                assert ("opened_at" in (await answer.json())["ranges"][0]) is (version == 25)


async def test_a_restart_makes_other_ids() -> None:
    async with running(cameras=1) as server, client(server) as http, Receiver() as receiver:
        await sink(server, receiver)

        async def ids() -> set[str]:
            async with http.get(f"{V3}/config/stats") as stats, http.get(f"{V3}/streams/cam-1") as stream:
                return {(await stats.json())["id"], (await stream.json())["stats"]["id"]}

        before = await ids()
        await server.reboot()
        assert not before & await ids()
        await until(lambda: receiver.batches)
        assert [event["event"] for event in receiver.batches[0]] == ["server_started"]


async def test_errors_have_the_bodies_of_the_documents() -> None:
    async with running(cameras=1, read_only=True) as server, client(server) as http:
        async with http.get(f"{V3}/streams?limit=x") as answer:
            assert (answer.status, (await answer.json())["while"]) == (400, "parsing_query")
        async with http.put(f"{V3}/streams/cam-1", json={}) as answer:
            assert (answer.status, await answer.json()) == (403, {"error": "authorization_failed"})
        async with http.get(f"{V3}/nothing") as answer:
            assert answer.status == 404
        await server.act("unavailable")
        async with http.get(f"{V3}/streams") as answer:
            assert (answer.status, await answer.json()) == (503, {"error": "unavailable"})
