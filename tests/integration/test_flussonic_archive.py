"""What a server has recorded, and clips of it on the disk. The mp4 is a real one, made and looked at by ffmpeg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.errors import AuthFailed, DeviceError, ProtocolError, Unreachable
from bridge.model import Span
from bridge.testing.clock import FakeClock
from bridge.testing.measuring import peak_memory
from drivers.flussonic.archive import playback_token
from drivers.flussonic.driver import FlussonicDriver
from drivers.flussonic.simulator import FlussonicSimulator
from tests.integration.clips_site import make_mp4, probed
from tests.integration.flussonic_rig import alone
from tests.support import until

LONG = 64 << 20
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mp4(tmp_path_factory.mktemp("clip") / "clip.mp4")


# -- ranges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [23, 25])
async def test_ranges_of_the_api_over_all_pages(version: int) -> None:
    async with alone(cameras=1, version=version) as (driver, server):
        server.recordings.ranges["cam-1"] = [(1000 + 100 * number, 50) for number in range(25)]
        server.recordings.ranges["cam-1"].append((1051, 20))  # overlaps by a seam with the first
        found = await driver.archive.ranges("cam-1", 1010, 1330)
        assert found == (Span(1010, 1071), Span(1100, 1150), Span(1200, 1250), Span(1300, 1330))
        assert await driver.archive.ranges("cam-1", 0, 900) == ()


@pytest.mark.parametrize("shape", ["list", "by_name", "dvr_info"])
async def test_ranges_of_an_older_server_in_every_shape(shape: str) -> None:
    async with alone(cameras=1, version=20) as (driver, server):
        server.recordings.ranges["cam-1"] = [(1000, 60)]
        server.recordings.shape = shape
        assert await driver.archive.ranges("cam-1", 1010, 2000) == (Span(1010, 1060),)
        assert await driver.archive.ranges("cam-1", 3000, 4000) == ()


async def test_a_stream_that_does_not_exist_has_no_archive() -> None:
    async with alone(cameras=1) as (driver, _):
        with pytest.raises(ProtocolError):
            await driver.archive.ranges("cam-9", 0, 1000)


# -- clips -----------------------------------------------------------------------------------------------------------


async def test_a_clip_comes_to_the_disk_and_plays(mp4: Path, tmp_path: Path) -> None:
    async with alone(cameras=1) as (driver, server):
        server.recordings.ranges["cam-1"], server.recordings.clip = [(1000, 600)], mp4
        seen: list[tuple[int, int | None]] = []
        file = tmp_path / "out.mp4"
        size = await driver.archive.clip("cam-1", 1100, 60, file, progress=lambda now, of: seen.append((now, of)))
        assert file.read_bytes() == mp4.read_bytes()
        assert size == mp4.stat().st_size
        assert seen[-1] == (size, size)
        told = probed(file)
        assert [one["codec_name"] for one in told["streams"]] == ["h264"]
        assert float(told["format"]["duration"]) == pytest.approx(2.0, abs=0.2)
        assert [one.name for one in tmp_path.iterdir()] == ["out.mp4"]


async def test_a_protected_clip_needs_the_key(mp4: Path) -> None:
    clock = FakeClock()
    async with alone(cameras=1, config={"playback_key": "s3cret"}, clock=clock) as (driver, _):
        url = driver.archive.clip_url("cam-1", 1100, 60)
        assert url.path == "/cam-1/archive-1100-60.mp4"
        _, salt, end, start = url.query["token"].split("-")
        assert int(start) < clock.now().wall < int(end)
        assert url.query["token"] == playback_token("cam-1", "s3cret", int(start), int(end), salt)
        assert "s3cret" not in str(url)


async def test_names_with_slashes_are_folders_of_the_player() -> None:
    async with alone(cameras=1) as (driver, _):
        assert driver.archive.clip_url("site/yard 1", 1, 2).raw_path == "/site/yard%201/archive-1-2.mp4"


async def test_an_export_is_done_by_the_server() -> None:
    async with alone(cameras=1) as (driver, server):
        await driver.archive.export("cam-1", 1100, 60, "/storage/exports/1.mp4")
        assert server.exports == [{"name": "cam-1", "from": "1100", "duration": "60", "path": "/storage/exports/1.mp4"}]


# -- what goes wrong -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def answering(response: Answer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FlussonicDriver]:
    """A driver on a server that answers everything in this way."""
    monkeypatch.setattr(FlussonicSimulator, "_handle", lambda self, request: response(request))
    async with alone(cameras=1) as (driver, _):
        yield driver


async def _half(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000000"})
    await response.prepare(request)
    await response.write(b"x" * 300_000)
    assert request.transport is not None
    request.transport.close()
    return response


async def _endless(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)
        await asyncio.sleep(0)


async def _long(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(LONG)})
    await response.prepare(request)
    for _ in range(LONG // 65_536):
        await response.write(bytes(65_536))
    return response


async def _empty(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(content_type="video/mp4")


async def _refused(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=403)


async def _moved(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://192.0.2.1/"})


async def _slow(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    await asyncio.sleep(60)
    return response


@pytest.mark.parametrize(
    ("response", "error", "limits"),
    [
        (_half, Unreachable, {}),
        (_endless, ProtocolError, {"size_limit": 1 << 20}),
        (_empty, ProtocolError, {}),
        (_refused, AuthFailed, {}),
        (_moved, ProtocolError, {}),
        (_slow, Unreachable, {"deadline": 0.5}),
    ],
)
async def test_no_half_file_is_left(
    response: Answer, error: type[DeviceError], limits: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with answering(response, monkeypatch) as driver:
        with pytest.raises(error):
            await driver.archive.clip("cam-1", 1, 2, tmp_path / "out.mp4", **limits)
        assert list(tmp_path.iterdir()) == [], "neither the file nor half of it"


async def test_a_download_that_is_cancelled_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with answering(_endless, monkeypatch) as driver:
        task = asyncio.create_task(driver.archive.clip("cam-1", 1, 2, tmp_path / "out.mp4"))
        await until(lambda: list(tmp_path.glob("*.part")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(tmp_path.iterdir()) == []


async def test_a_long_clip_is_never_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with answering(_long, monkeypatch) as driver:
        with peak_memory() as peak:
            size = await driver.archive.clip("cam-1", 1100, 60, tmp_path / "out.mp4")
        assert size == LONG == (tmp_path / "out.mp4").stat().st_size
        assert peak.value < 16 << 20
