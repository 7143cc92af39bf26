"""The bridge and the Flussonic driver on simulated servers: statuses, events, outages."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.driver import ShortMemory
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Unreachable
from bridge.state.reachability import Reach
from bridge.testing.harness import device_of
from bridge.testing.simulator import Fault
from bridge.web.views import device_view
from tests.integration.flussonic_rig import alone, running, site
from tests.integration.processes import cli
from tests.support import until

MANY = 500


# -- statuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [20, 23, 25])
async def test_statuses_follow_the_streams(tmp_path: Path, version: int) -> None:
    async with running(cameras=3, version=version) as server, site(tmp_path, server) as one:
        await one.up(3)
        for media in server.media.values():
            media.dead_after = 0.3
        await server.act("stream_loss", camera=1, stream="low")
        await until(lambda: one.statuses == ["active", "partial", "active"], 10)
        await server.act("stream_loss", camera=1, stream="high")
        await until(lambda: one.statuses == ["active", "inactive", "active"], 10)
        await server.act("stream_loss", camera=1, stream="high", on=False)
        await server.act("stream_loss", camera=1, stream="low", on=False)
        await until(lambda: one.statuses == ["active"] * 3, 10)
        pushes = [status for camera, status in await one.pushes() if camera == 2]
        assert pushes[:3] == ["active", "partial", "inactive"]
        assert pushes[-1] == "active"


async def test_neither_on_demand_nor_switched_off_is_a_fault(tmp_path: Path) -> None:
    async with running(cameras=3) as server:
        server.media["cam-1"].config["static"] = False
        server.media["cam-2-low"].config["disabled"] = True
        server.media["cam-3"].config["disabled"] = server.media["cam-3-low"].config["disabled"] = True
        async with site(tmp_path, server) as one:
            await until(lambda: one.statuses == ["active", "active", "empty"], 10)
            details = {
                stream.name: stream.detail
                for camera in one.runner.state.cameras.values()
                for stream in camera.streams or ()
            }
            assert details == {
                "cam-1": "on demand: nobody watches it now",
                "cam-1-low": "",
                "cam-2": "",
            }


async def test_a_fallback_is_no_outage(tmp_path: Path) -> None:
    async with running(cameras=2) as server, site(tmp_path, server) as one:
        await one.up(2)
        await one.listening()
        before = server.seen["GET"]
        for _ in range(5):
            await server.act("source_switch", camera=0)
            await asyncio.sleep(0.3)
        await one.heard("stream", 10, or_more=True)
        await until(lambda: server.seen["GET"] >= before + 4, 10)
        assert await one.pushes() == [(1, "active"), (2, "active")]


# -- a server that is gone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["closed", "unavailable"])
async def test_a_server_that_is_gone_is_one_outage(
    tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(cameras=MANY) as server, site(tmp_path, server) as one:
        await one.up(MANY)
        assert 'bridge_server_facts{device="flu"' in await one.metrics()
        if fault == "closed":
            await server.inject(Fault.CLOSED)
        else:
            await server.act("unavailable")
        await until(lambda: one.runner.state.reach.reach is Reach.OFFLINE, 15)
        assert len(await one.pushes()) == MANY, "no push beyond those of the beginning"
        assert capsys.readouterr().out.count("device is offline") == 1
        told = asdict(device_view(one.runner))
        assert told["reach"] == "offline"
        assert all(channel["stale"] and channel["status"] == "active" for channel in told["channels"])
        assert 'bridge_server_facts{device="flu"' not in await one.metrics()
        await server.clear()
        await server.act("unavailable", on=False)
        await until(lambda: one.runner.state.reach.reach is Reach.ONLINE, 15)
        await until(lambda: not device_view(one.runner).channels[0].stale)
        assert len(await one.pushes()) == MANY


async def test_a_restart_of_the_server_is_no_outage_of_its_cameras(tmp_path: Path) -> None:
    """It connects to its cameras one by one: what is not up yet is not down."""
    async with running(cameras=20) as server, site(tmp_path, server) as one:
        await one.up(20)
        await one.listening()
        identity = one.runner.state.identity
        await server.reboot(0.1)
        for media in server.media.values():
            media.dead_after, media.lost_at = 0.0, server.now()
        await one.heard("reboot", 1)
        before = server.seen["GET"]
        await until(lambda: server.seen["GET"] > before + 6, 15)
        assert {one.detail for camera in one.runner.state.cameras.values() for one in camera.streams or ()} == {
            "the server has just started"
        }
        for media in server.media.values():
            media.lost_at = None
            media.dead_after = 12.0
        await until(lambda: all(s.up for camera in one.runner.state.cameras.values() for s in camera.streams or ()), 10)
        assert len(await one.pushes()) == 20
        assert one.runner.state.identity == identity, "it is the same server with another instance"


async def test_streams_that_stay_down_after_a_restart_are_told_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.flussonic.driver.SETTLING", 3.0)
    async with running(cameras=3) as server, site(tmp_path, server) as one:
        await one.up(3)
        await one.listening()
        await server.reboot(0.1)
        for name in ("cam-2", "cam-2-low"):
            server.media[name].dead_after, server.media[name].lost_at = 0.0, server.now()
        await until(lambda: one.statuses == ["active", "inactive", "active"], 15)
        assert (await one.pushes())[3:] == [(2, "inactive")]


# -- how much is asked -----------------------------------------------------------------------------------------------


async def test_a_thousand_streams_are_one_request(tmp_path: Path) -> None:
    async with alone(cameras=MANY) as (driver, server):
        await driver.probe()
        before = server.seen.total()
        reading = await driver.poll()
        assert server.seen.total() - before == 2, "the server itself, and its streams"
        assert len(reading.streams) == MANY
        assert all(stream.up for streams in reading.streams.values() for stream in streams)


async def test_pages_that_the_server_makes_smaller_are_followed() -> None:
    async with alone(cameras=120) as (driver, server):
        server.page_limit = 100
        reading = await driver.poll()
        assert len(reading.streams) == 120
        assert all(stream.up for streams in reading.streams.values() for stream in streams)
        assert server.seen["GET"] == 1 + 3


async def test_few_of_many_streams_are_asked_for_by_name() -> None:
    others = tuple({"name": f"other-{number}", "inputs": []} for number in range(300))
    async with alone(cameras=2, streams=others) as (driver, server):
        reading = await driver.poll()
        assert {name: len(streams) for name, streams in reading.streams.items()} == {"cam-1": 2, "cam-2": 2}
        assert server.seen["GET"] == 2


async def test_names_with_slashes_and_spaces() -> None:
    odd = ("site/9", "двор 1", "a&b=c", "50%")
    async with alone(cameras=0, streams=tuple({"name": name, "inputs": []} for name in odd)) as (driver, server):
        server.cameras = list(odd)
        device = device_of(server.inventory(), type(driver), {})
        other = type(driver)(device, device.config, driver.io)
        reading = await other.poll()
        assert {name: [one.up for one in streams] for name, streams in reading.streams.items()} == {
            name: [True] for name in odd
        }


async def test_the_older_api_is_asked_in_chunks() -> None:
    async with alone(cameras=MANY, version=20) as (driver, server):
        identity = await driver.probe()
        assert identity.firmware == "20.01"
        assert "events" not in identity.capabilities
        before = server.seen.total()
        reading = await driver.poll()
        assert len(reading.streams) == MANY
        assert reading.facts["api"] == "legacy"
        assert server.seen.total() - before <= 6, "not one for each of a thousand streams"


async def test_a_server_that_is_upgraded_is_spoken_to_in_the_new_api() -> None:
    async with alone(cameras=1, version=20) as (driver, server):
        await driver.poll()
        server.version = 23
        await driver.probe()  # it was away meanwhile
        assert (await driver.poll()).facts["api"] == "v3"


async def test_a_server_that_is_downgraded_is_found_out() -> None:
    async with alone(cameras=1) as (driver, server):
        await driver.poll()
        server.version = 20
        with pytest.raises(DeviceError):
            await driver.poll()
        assert (await driver.poll()).facts["api"] == "legacy"


# -- events ----------------------------------------------------------------------------------------------------------


async def test_a_lost_source_is_told_without_waiting_for_the_next_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the event comes, frames are still young: the look that counts is the second one."""
    monkeypatch.setattr("drivers.flussonic.driver.SECOND_LOOK", 3.5)
    async with running(cameras=2) as server, site(tmp_path, server, watch={"poll": 600}) as one:
        await one.up(2)
        await one.listening()
        for media in server.media.values():
            media.dead_after = 3.0
        await server.act("stream_loss", camera=1)
        await server.act("stream_loss", camera=1, stream="low")
        await until(lambda: one.statuses == ["active", "inactive"], 25)
        await server.act("stream_loss", camera=1, on=False)
        await server.act("stream_loss", camera=1, stream="low", on=False)
        await until(lambda: one.statuses == ["active", "active"], 10)


async def test_an_event_is_a_hint_and_not_the_truth(tmp_path: Path) -> None:
    async with running(cameras=2) as server, site(tmp_path, server, watch={"poll": 600}) as one:
        await one.up(2)
        await one.listening()
        before = server.seen["GET"]
        server.tell("source_closed", media="cam-1", reason="so it says")
        server.tell("source_lost", media="cam-1-low")
        await one.heard("stream", 2)
        await until(lambda: server.seen["GET"] > before)
        await asyncio.sleep(0.5)
        assert one.statuses == ["active", "active"]
        assert server.seen["GET"] == before + 1, "what two events said was confirmed by one request"


async def test_a_burst_of_events_is_not_a_burst_of_requests(tmp_path: Path) -> None:
    async with running(cameras=MANY) as server, site(tmp_path, server, watch={"poll": 600}) as one:
        await one.up(MANY)
        await one.listening()
        before = server.seen["GET"]
        for number in range(MANY):
            server.tell("source_closed", media=f"cam-{number + 1}")
            server.tell("source_closed", media=f"cam-{number + 1}-low")
        await one.heard("stream", 2 * MANY)
        await asyncio.sleep(2.5)
        assert server.seen["GET"] - before <= 6, "a second apart, two requests each"
        assert server.counters["dropped_events"] == 0


async def test_only_the_stream_of_the_event_is_asked_for() -> None:
    async with alone(cameras=10) as (driver, _):
        await driver.poll()
        driver._hints.add("cam-3-low")
        reading = await driver.poll()
        assert list(reading.streams) == ["cam-3"]
        assert [stream.name for stream in reading.streams["cam-3"]] == ["cam-3", "cam-3-low"]
        assert reading.facts["version"] == "23.01"
        assert len((await driver.poll()).streams) == 10


async def test_the_sink_is_ours_alone(tmp_path: Path) -> None:
    async with running(cameras=1) as server:
        theirs = {"name": "billing", "url": "http://192.0.2.99/events"}
        server._make_sink("billing", theirs)
        async with site(tmp_path, server) as one:
            await one.listening()
            (name,) = set(server._sinks) - {"billing"}
            assert name.startswith("device-bridge-")
            config = server._sinks[name].config
            assert config["url"].startswith(one.bridge.inventory.bridge.callbacks and "http://127.0.0.1:")
            assert config["resend_limit"] == 2000
            assert server._sinks["billing"].config == theirs
        assert list(server._sinks) == ["billing"], "ours is removed when the bridge stops"


async def test_a_sink_that_was_lost_or_changed_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.flussonic.driver.SINK_CHECK", 0.5)
    async with running(cameras=1) as server, site(tmp_path, server) as one:
        await one.listening()
        (name,) = server._sinks
        await server.act("drop_subscriptions")
        await until(lambda: list(server._sinks) == [name], 10, "made again, under the same name")
        await one.listening()
        server._sinks[name].config["only"] = [{"event": ["play_*"]}]
        await until(lambda: not server._sinks[name].config.get("only"), 15)
        await one.listening()
        server._sinks[name].config["url"] = "http://192.0.2.99/events"
        await until(lambda: "127.0.0.1" in server._sinks[name].config["url"], 15)


async def test_a_sink_of_an_earlier_life_is_removed_when_events_are_off() -> None:
    memory = ShortMemory()
    await memory.put("sink", "device-bridge-0001")
    async with alone(cameras=1, config={"events": "off"}, memory=memory) as (driver, server):
        server._make_sink("device-bridge-0001", {"name": "device-bridge-0001", "url": "log:///dev/null"})
        server._make_sink("device-bridge-0002", {"name": "device-bridge-0002", "url": "log:///dev/null"})
        assert "events" not in (await driver.probe()).capabilities
        assert list(server._sinks) == ["device-bridge-0002"]
        assert memory.get("sink") is None


async def test_events_that_nobody_took_come_again_and_count_once(tmp_path: Path) -> None:
    async with running(cameras=2) as server, site(tmp_path, server) as one:
        await one.listening()
        (sink,) = server._sinks.values()
        sink.config["resend_timeout"] = 0.2
        url = sink.config["url"]
        sink.config["url"] = "http://127.0.0.1:9/"
        server.tell("odd_event", text="one")
        await until(lambda: server.counters["resent_events"] >= 2, 10)
        sink.config["url"] = url
        await one.heard("vendor", 1)
        # An answer that is lost on its way: the same batch comes a second time.
        batch = [{"event": "odd_event", "event_id": 99, "utc_ms": 1, "text": "two"}]
        async with aiohttp.ClientSession() as http:
            for _ in range(3):
                async with http.post(url, json=batch) as answer:
                    assert answer.status == 200
        await one.heard("vendor", 2)
        await until(lambda: one.runner.state.facts.get("events_repeated") == 2, 10)


async def test_a_long_batch_is_taken_and_a_longer_one_refused(tmp_path: Path) -> None:
    async with running(cameras=1) as server, site(tmp_path, server) as one:
        await one.listening()
        (sink,) = server._sinks.values()
        async with aiohttp.ClientSession() as http:
            for count, status in ((2000, 200), (4000, 413)):
                batch: list[dict[str, Any]] = [
                    {"event": "odd_event", "event_id": n, "utc_ms": n, "text": "x" * 800} for n in range(count)
                ]
                async with http.post(sink.config["url"], data=json.dumps(batch)) as answer:
                    assert answer.status == status


async def test_an_account_that_only_reads_polls_all_the_same(tmp_path: Path) -> None:
    async with running(cameras=2, read_only=True) as server, site(tmp_path, server) as one:
        await one.up(2)
        await until(lambda: server.seen["PUT"] == 1)
        polls = server.seen["GET"]
        await until(lambda: server.seen["GET"] > polls + 4, 10)
        assert server.seen["PUT"] == 1, "asked once: it is not going to be allowed by asking again"
        assert one.statuses == ["active", "active"]


# -- facts and errors ------------------------------------------------------------------------------------------------


async def test_facts_are_in_the_api_and_in_the_metrics(tmp_path: Path) -> None:
    async with running(cameras=2) as server, site(tmp_path, server) as one:
        server.counters["dropped_events"] = 7
        await until(lambda: one.runner.state.facts.get("events_dropped") == 7, 10)
        facts = one.runner.state.facts
        assert facts["version"] == "23.01"
        assert facts["cpu_percent"] == 17
        assert facts["memory_percent"] == 42
        assert facts["disk_percent /storage"] == 71
        assert facts["streams_online"] == 4
        text = await one.metrics()
        assert 'bridge_server_facts{device="flu",fact="cpu_percent"} 17.0' in text
        assert 'bridge_server_facts{device="flu",fact="events_dropped"} 7.0' in text
        assert 'fact="version"' not in text


async def test_both_shapes_of_errors_are_read() -> None:
    async with alone(cameras=1) as (driver, _):
        with pytest.raises(ProtocolError, match=r"it answers 400: bad_request"):
            await driver._api.ask("GET", "/streamer/api/v3/streams", query={"limit": "many"})
        with pytest.raises(DeviceError, match=r"it refuses the change: unknown key nonsense"):
            await driver._api.ask("PUT", "/streamer/api/v3/streams/cam-1", body={"nonsense": 1})


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthFailed), (403, AuthFailed), (503, Unreachable), (500, ProtocolError)]
)
async def test_answers_and_what_they_mean(status: int, error: type[DeviceError], monkeypatch: Any) -> None:
    async with alone(cameras=1) as (driver, server):

        async def answer(request: web.BaseRequest) -> web.Response:
            return web.json_response({"error": "crashed"}, status=status)

        monkeypatch.setattr(server, "answer", answer)
        with pytest.raises(error):
            await driver.poll()


async def test_a_list_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with alone(cameras=1) as (driver, server):
        await driver.probe()

        async def answer(request: web.BaseRequest) -> web.Response:
            if request.path.endswith("stats"):
                return web.json_response({"server_version": "23.01"})
            return web.json_response({"streams": [], "next": f"page {server.seen['GET']}"})

        monkeypatch.setattr(server, "answer", answer)
        with pytest.raises(ProtocolError, match="its list does not end"):
            await driver.poll()
        assert server.seen["GET"] < 150


async def test_a_server_can_be_probed_before_it_is_in_the_inventory() -> None:
    async with running(cameras=3) as server:
        command = ("probe", f"127.0.0.1:{server.port}", "--driver", "flussonic", "-u", server.username)
        environ = {"FLUSSONIC_PASSWORD": server.password}
        done = await asyncio.to_thread(cli, *command, "--password", "env:FLUSSONIC_PASSWORD", environ=environ)
        assert done.returncode == 0, done.stderr
        assert "Flussonic Media Server, firmware 23.01" in done.stdout
        assert "channels:" in done.stdout
        assert server.password not in done.stdout
