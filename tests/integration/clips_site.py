"""A Flussonic server whose clips come piece by piece, a real mp4 to be the clip, and a look at what players get."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from drivers.flussonic.simulator import FlussonicSimulator

PIECE = 64 << 10
RECORDED_AT = 1_700_000_000  # where the recordings of these tests begin, seconds since the epoch


def make_mp4(file: Path) -> Path:
    """Two seconds of the test picture."""
    picture = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=10:duration=2")
    return _ffmpeg(*picture, "-pix_fmt", "yuv420p", to=file)


def make_long_mp4(file: Path) -> Path:
    """Ten minutes and many megabytes: ten seconds of large pictures, sixty times."""
    picture = ("-f", "lavfi", "-i", "testsrc=size=640x360:rate=10:duration=10")
    short = _ffmpeg(*picture, "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p", to=file.with_name("short.mp4"))
    return _ffmpeg("-stream_loop", "59", "-i", str(short), "-c", "copy", to=file)


def _ffmpeg(*words: str, to: Path) -> Path:
    assert shutil.which("ffmpeg"), "these tests need ffmpeg: apt install ffmpeg"
    subprocess.run(["ffmpeg", "-v", "error", *words, to], check=True, timeout=100)
    return to


def probed(file: Path) -> dict[str, Any]:
    """What ffprobe says of a file; fails for what is no video."""
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(file)]
    told: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    return told


async def fetched(url: str, **headers: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer.status, await answer.read()


class ClipServer(FlussonicSimulator):
    """Clips leave in pieces. While `open` is not set, each waits behind its first pieces."""

    def __init__(self, clip: Path, name: str = "sim", **options: Any) -> None:
        super().__init__(name, **options)
        self.recordings.clip = clip
        self.open = asyncio.Event()
        self.open.set()
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.broken = 0  # so many clips more break off in the middle

    def record(self, *ranges: tuple[int, int]) -> None:
        """Of every camera: (from, duration), seconds from `RECORDED_AT` on."""
        for name in self.media:
            self.recordings.ranges[name] = [(RECORDED_AT + start, length) for start, length in ranges]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.endswith(".mp4") or self.faults or self.unavailable:
            return await super()._handle(request)
        self.asked.append(request.path)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._send(request)
        finally:
            self.at_once -= 1

    async def _send(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self.recordings.clip is not None
        size = self.recordings.clip.stat().st_size
        response = web.StreamResponse(headers={"Content-Type": "video/mp4", "Content-Length": str(size)})
        await response.prepare(request)
        with self.recordings.clip.open("rb") as clip:
            pieces = iter(lambda: clip.read(min(PIECE, max(1, size // 8))), b"")
            await response.write(next(pieces))
            if self.broken:
                self.broken -= 1
                assert request.transport is not None
                request.transport.abort()
                return response
            await self.open.wait()
            for piece in pieces:
                await response.write(piece)
        return response
