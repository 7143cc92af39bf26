"""Clips of an archive, from the request to the file that is served and the one push that tells of it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.jobs import clips
from bridge.jobs.clips import gaps, there_is
from bridge.jobs.records import Initiator, Item, Job, Refused
from bridge.model import Span
from bridge.testing.measuring import peak_memory
from tests.integration.clips_site import RECORDED_AT, ClipServer, fetched, make_long_mp4, make_mp4, probed
from tests.integration.flussonic_rig import Site, site
from tests.integration.processes import BINARY
from tests.support import until

WHO = Initiator(7, "a1b2c3")


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mp4(tmp_path_factory.mktemp("clip") / "clip.mp4")


@asynccontextmanager
async def server(clip: Path, **traits: Any) -> AsyncIterator[ClipServer]:
    one = ClipServer(clip, **traits)
    one.record((0, 3600))
    await one.start()
    try:
        yield one
    finally:
        one.open.set()
        await one.stop()


async def asked(one: Site, start: int = 60, length: int = 60, camera: str = "cam-1", who: Initiator = WHO) -> int:
    begins = RECORDED_AT + start
    return await one.bridge.clips.request("flu", camera, begins, begins + length, who)


async def ended(one: Site, job: int, limit: float = 15) -> tuple[Job, Item]:
    records = one.bridge.configurator.records

    async def over() -> Job | None:
        found = await records.job(job)
        return found if found is not None and found.ended_at is not None else None

    found = await until(over, limit, f"the end of job {job}")
    (item,) = await records.items(job)
    return found, item


async def told_of(one: Site) -> list[tuple[str, dict[str, Any]]]:
    """Channel and `data` of every push about a clip so far."""
    rows = await one.bridge.store.outbox_after(0, 10_000)
    return [(row.channel, json.loads(row.body)["data"]) for row in rows if row.type == "archive_generated"]


async def test_a_clip_is_served_and_told_once(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        job = await asked(one)
        done, item = await ended(one, job)
        assert (done.state, item.state, item.detail) == ("done", "ok", "")
        assert simulator.asked == ["/cam-1/archive-1700000060-60.mp4"]
        ((channel, push),) = await told_of(one)
        assert (channel, push["status"]) == ("token.a1b2c3", "ok")
        download = push["data"]["download"]
        url = download.pop("url")
        assert download.pop("created_at") <= download.pop("updated_at")
        assert download == {
            "id": job,
            "name": "cam-1 2023-11-14 22-14-20.mp4",
            "type": "mp4",
            "from": "2023-11-14 22:14:20",
            "to": "2023-11-14 22:15:20",
            "is_file_exists": True,
            "user_id": 7,
        }
        status, body = await fetched(url)
        assert (status, body) == (200, mp4.read_bytes())
        served = tmp_path / "served.mp4"
        served.write_bytes(body)
        assert [stream["codec_name"] for stream in probed(served)["streams"]] == ["h264"]
        assert await fetched(url, Range="bytes=4-7") == (206, b"ftyp")
        progress = one.bridge.clips.progress(job)
        assert (progress.done, progress.total, progress.url) == (len(body), len(body), url)
        metrics = await one.metrics()
        assert 'bridge_clips_total{outcome="ok"} 1.0' in metrics
        assert f"bridge_clip_bytes_total {len(body)}.0" in metrics
        assert "bridge_clips_waiting 0.0" in metrics


async def test_its_file_is_gone_after_its_life(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator, files={"life": 1}) as one:
        await one.up(1)
        await ended(one, await asked(one))
        ((_, push),) = await told_of(one)
        url = push["data"]["download"]["url"]

        async def refused() -> bool:
            return (await fetched(url))[0] == 404

        await until(refused, 5)
        await one.bridge.shelf.prune()
        assert list((tmp_path / "data" / "files").iterdir()) == []


async def test_a_gap_is_an_error_that_says_what_there_is(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        simulator.record((0, 100), (150, 100))
        await one.up(1)
        done, item = await ended(one, await asked(one, 60, 120))
        assert done.state == "stopped"
        assert item.detail == done.detail == (
            "it is not all recorded: there is video from 2023-11-14 22:14:20 to 2023-11-14 22:15:00, "
            "from 2023-11-14 22:15:50 to 2023-11-14 22:16:20 (UTC)"
        )  # fmt: skip
        assert simulator.asked == [], "nothing is cut"
        ((_, push),) = await told_of(one)
        assert push["status"] == "error"
        assert (push["data"]["download"]["url"], push["data"]["download"]["is_file_exists"]) == (None, False)
        _, item = await ended(one, await asked(one, 1000, 120))
        assert item.detail == "there is no video from 2023-11-14 22:30:00 to 2023-11-14 22:32:00 UTC"


async def test_a_server_that_is_down_is_tried_again_and_then_an_error(
    mp4: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "RETRY_FIRST", 0.05)
    monkeypatch.setattr(clips, "RETRY_CAP", 0.2)
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        await simulator.inject("closed")
        _, item = await ended(one, await asked(one))
        assert (item.state, item.detail) == ("error", "no connection: Connection refused")
        assert [push["status"] for _, push in await told_of(one)] == ["error"]
        assert 'bridge_clips_total{outcome="error"} 1.0' in await one.metrics()


async def test_a_clip_that_breaks_off_is_fetched_again(
    mp4: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "RETRY_FIRST", 0.05)
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        simulator.broken = 2
        _, item = await ended(one, await asked(one))
        assert item.state == "ok"
        assert len(simulator.asked) == 3
        ((_, push),) = await told_of(one)
        assert (await fetched(push["data"]["download"]["url"]))[1] == mp4.read_bytes()
        assert len(list((tmp_path / "data" / "files").iterdir())) == 1


async def test_what_is_no_video_is_no_clip(tmp_path: Path) -> None:
    page = tmp_path / "page.mp4"
    page.write_text("<html>please log in</html>")
    async with server(page, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        _, item = await ended(one, await asked(one))
        assert (item.state, item.detail) == ("error", "what it sends for a clip is no mp4 file")
        assert list((tmp_path / "data" / "files").iterdir()) == []


async def test_a_server_cuts_one_clip_at_a_time(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=2) as simulator, site(tmp_path, simulator) as one:
        await one.up(2)
        simulator.open.clear()
        jobs = [await asked(one, camera=camera) for camera in ("cam-1", "cam-2", "cam-1")]
        await until(lambda: simulator.at_once)
        for _ in range(10):  # time enough for the others to ask, if they would
            async with one.runner.mailbox.shared() as driver:
                await driver.recorded(one.runner.device.channels[0], RECORDED_AT, RECORDED_AT + 60)
        assert simulator.asked == ["/cam-1/archive-1700000060-60.mp4"]
        assert "bridge_clips_waiting 3.0" in await one.metrics()
        simulator.open.set()
        for job in jobs:
            assert (await ended(one, job))[1].state == "ok"
        assert simulator.most_at_once == 1
        assert sorted(push["data"]["download"]["id"] for _, push in await told_of(one)) == sorted(jobs)


async def test_a_server_is_polled_and_set_up_while_a_clip_is_on_its_way(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        simulator.open.clear()
        job = await asked(one)
        await until(lambda: one.bridge.clips.progress(job).done)
        async with asyncio.timeout(5), one.runner.mailbox.exclusive() as driver:
            await driver.poll()
        assert one.bridge.clips.progress(job).total == mp4.stat().st_size
        simulator.open.set()
        await ended(one, job)


async def test_ten_minutes_are_never_in_memory(tmp_path: Path) -> None:
    mp4 = make_long_mp4(tmp_path / "long.mp4")
    size = mp4.stat().st_size
    assert size > 24 << 20
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        with peak_memory() as peak:
            _, item = await ended(one, await asked(one, 0, 600), 60)
        assert item.state == "ok"
        assert peak.value < 8 << 20
        ((_, push),) = await told_of(one)
        (served,) = (tmp_path / "data" / "files").iterdir()
        assert served.stat().st_size == size
        assert float(probed(served)["format"]["duration"]) == pytest.approx(600, abs=1)
        status, tail = await fetched(push["data"]["download"]["url"], Range=f"bytes={size - 1000}-")
        assert (status, len(tail)) == (206, 1000)


async def test_a_clip_that_does_not_fit_is_an_error(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator, files={"max_size": 1000}) as one:
        await one.up(1)
        _, item = await ended(one, await asked(one))
        assert item.state == "error"
        assert "larger than" in item.detail
        assert list((tmp_path / "data" / "files").iterdir()) == []


async def test_a_restart_begins_it_anew_and_tells_it_once(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator:
        simulator.open.clear()
        async with site(tmp_path, simulator) as one:
            await one.up(1)
            job = await asked(one)
            await until(lambda: one.bridge.clips.progress(job).done)
        assert list((tmp_path / "data" / "files").iterdir()) == [], "half a file is left by a stop"
        simulator.open.set()
        async with site(tmp_path, simulator) as one:
            _, item = await ended(one, job)
            assert item.state == "ok"
            ((_, push),) = await told_of(one)
            assert (await fetched(push["data"]["download"]["url"]))[1] == mp4.read_bytes()
        async with site(tmp_path, simulator) as one:
            assert len(await told_of(one)) == 1
            assert len(simulator.asked) == 2


async def test_without_a_token_nobody_is_told(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        job = await asked(one, who=Initiator())
        assert (await ended(one, job))[1].state == "ok"
        assert await told_of(one) == []
        url = one.bridge.clips.progress(job).url
        assert url is not None
        assert (await fetched(url))[0] == 200


@pytest.mark.parametrize(
    ("device", "channel", "start", "end", "who", "why"),
    [
        ("x", "cam-1", 0, 60, WHO, "the inventory has no camera x/cam-1"),
        ("flu", "cam-9", 0, 60, WHO, "the inventory has no camera flu/cam-9"),
        ("flu", "cam-1", 60, 60, WHO, "begins before it ends"),
        ("flu", "cam-1", 0, 10**9, WHO, "ends in the past"),
        ("flu", "cam-1", 0, clips.LONGEST + 1, WHO, "12 hours long at most"),
        ("flu", "cam-1", 0, 60, Initiator(None, "tok"), "a token_id and a user_id"),
        ("flu", "cam-1", 0, 60, Initiator(7, "no token"), "a token_id and a user_id"),
    ],
)
async def test_what_can_be_no_clip_is_refused(
    device: str, channel: str, start: int, end: int, who: Initiator, why: str, mp4: Path, tmp_path: Path
) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        with pytest.raises(Refused, match=why):
            await one.bridge.clips.request(device, channel, RECORDED_AT + start, RECORDED_AT + end, who)
        assert await one.bridge.configurator.records.jobs() == []


async def test_a_camera_is_found_by_its_id_in_the_vms(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=2) as simulator, site(tmp_path, simulator) as one:
        assert one.bridge.clips.camera(2) == ("flu", "cam-2")
        with pytest.raises(Refused, match="has the id 9 in the VMS"):
            one.bridge.clips.camera(9)


def test_a_reason_names_a_few_stretches() -> None:
    found = [Span(10.0 * n, 10.0 * n + 5) for n in range(8)]
    assert there_is(found, 0, 80).endswith("to 1970-01-01 00:00:45 and 3 more stretches (UTC)")
    assert gaps([Span(1.5, 99)], 0, 100) == ()


async def test_a_clip_that_is_cancelled_is_an_error(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=1) as simulator, site(tmp_path, simulator) as one:
        await one.up(1)
        simulator.open.clear()
        job = await asked(one)
        await until(lambda: one.bridge.clips.progress(job).done)
        await one.bridge.clips.cancel(job)
        await one.bridge.clips.wait(job, 10)
        done, item = await ended(one, job)
        assert (done.state, item.state, item.detail) == ("cancelled", "error", "somebody cancelled it")
        assert [push["status"] for _, push in await told_of(one)] == ["error"]
        with pytest.raises(Refused, match="has ended already"):
            await one.bridge.clips.cancel(job)
        assert list((tmp_path / "data" / "files").iterdir()) == []


# -- as the API and the command have it ------------------------------------------------------------------------------


async def test_over_the_api(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=2) as simulator, site(tmp_path, simulator) as one, aiohttp.ClientSession() as http:
        await one.up(2)
        token = await one.bridge.tokens.issue("vms", [], api="write")

        async def ask(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
            sent = {"Authorization": f"Bearer {token}", **headers}
            async with http.request(method, f"{one.bridge.url}/api/v1{path}", json=body, headers=sent) as answer:
                return answer.status, await answer.json(content_type=None)

        period = {"from": RECORDED_AT + 60, "to": RECORDED_AT + 120}
        who = {"initiator": {"user_id": 7, "token_id": "a1b2c3"}}
        simulator.open.clear()
        key = {"Idempotency-Key": "once"}
        status, begun = await ask("POST", "/clips", {"camera": 2, **period, **who}, **key)
        assert (status, begun["job"]["kind"], begun["url"]) == (202, "clip", None)
        assert (await ask("POST", "/clips", {"camera": 2, **period, **who}, **key))[1] == begun
        number = begun["job"]["id"]

        async def coming() -> bool:
            _, told = await ask("GET", f"/clips/{number}")
            return bool(0 < told["done"] < told["total"] == mp4.stat().st_size)

        await until(coming)
        simulator.open.set()
        status, told = await ask("GET", f"/jobs/{number}?wait=30")
        assert (status, told["job"]["state"], told["job"]["done"], told["job"]["total"]) == (200, "done", 1, 1)
        ((_, push),) = await told_of(one)
        _, done = await ask("GET", f"/clips/{number}")
        assert done["url"] == push["data"]["download"]["url"]
        assert simulator.asked == ["/cam-2/archive-1700000060-60.mp4"]

        assert (await ask("POST", "/clips", {"camera": 9, **period}))[0] == 409
        assert (await ask("POST", "/clips", {"device": "x", **period}))[0] == 404
        assert (await ask("POST", "/clips", {"device": "flu", **period}))[0] == 422
        assert (await ask("POST", "/clips", {"device": "flu", "camera": 1, **period}))[0] == 422
        assert (await ask("GET", "/clips/99"))[0] == 404
        status, gone = await ask("POST", f"/jobs/{number}/cancel")
        assert (status, gone["detail"]) == (409, f"job {number} has ended already")


async def test_from_the_command_line(mp4: Path, tmp_path: Path) -> None:
    async with server(mp4, cameras=2) as simulator, site(tmp_path, simulator) as one:
        await one.up(2)

        async def command(*words: str) -> tuple[int, str, str]:
            child = await asyncio.create_subprocess_exec(
                BINARY, "clip", *words, "-c", "config.json", "--url", one.bridge.url, cwd=tmp_path,
                env={**os.environ, "TZ": "UTC"}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            async with asyncio.timeout(60):
                out, err = await child.communicate()
            assert child.returncode is not None
            return child.returncode, out.decode(), err.decode()

        period = ("--from", "2023-11-14T22:14:20", "--to", "2023-11-14T22:15:20+00:00")
        assert await command("flu/cam-2", *period, "-o", "yard.mp4") == (0, "yard.mp4\n", "")
        assert (tmp_path / "yard.mp4").read_bytes() == mp4.read_bytes()
        assert simulator.asked == ["/cam-2/archive-1700000060-60.mp4"]
        code, out, _ = await command("1", *period)
        assert code == 0
        assert (await fetched(out.strip()))[1] == mp4.read_bytes()
        code, _, err = await command("1", "--from", "2023-11-14T22:00:00", "--to", "2023-11-14T22:05:00")
        assert (code, err) == (
            1,
            "device-bridge: there is no video from 2023-11-14 22:00:00 to 2023-11-14 22:05:00 UTC\n",
        )
        assert (await command("1", "--from", "yesterday", "--to", "2023-11-14T22:05:00"))[0] == 2
