"""The archive (DVR) of a server: what is recorded, and clips of it.

Playback has addresses of its own, beside the API: `/NAME/archive-FROM-DURATION.mp4`, `/NAME/recording_status.json`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from yarl import URL

from bridge.driver import DriverIO, Progress
from bridge.errors import ProtocolError
from bridge.model import Span
from drivers.flussonic.api import V3, Api, NotThere, number, segment
from drivers.transports.download import download

# Segments are a few seconds long: what is closer together than this, in seconds, was recorded without a break.
SEAM = 2.0
TOKEN_LIFE = 6 * 3600  # seconds that a playback token is good for: a long clip takes its time
TOKEN_SKEW = 300  # seconds by which the server's clock may be behind
RANGES = 100_000  # of one stream; a server that says more is making them up


class Archive:
    """Asks one server; made and used by the driver."""

    __slots__ = ("_api", "_io")

    def __init__(self, api: Api, io: DriverIO) -> None:
        self._api = api
        self._io = io

    async def ranges(self, stream: str, start: int, end: int) -> tuple[Span, ...]:
        """What is recorded of a stream between two times. None of it is an empty tuple; NotThere: no such stream."""
        found: Iterable[Span]
        try:
            path = f"{V3}/streams/{segment(stream)}/dvr/ranges"
            found = [one async for one in self._listed(path)]
        except NotThere:
            # Servers up to 21, and streams that only playback knows.
            query = {"from": str(start), "to": str(end), "request": "ranges"}
            answer = await self._api.ask("GET", f"{_playback(stream)}/recording_status.json", query=query)
            found = ranges_of(answer, stream)
        within = (Span(max(one.start, start), min(one.end, end)) for one in found)
        return merged(one for one in within if one.start < one.end)

    async def _listed(self, path: str) -> AsyncIterator[Span]:
        async for item in self._api.collection(path, "ranges", {}):
            if (one := _range(item)) is not None:
                yield one

    async def clip(
        self,
        stream: str,
        start: int,
        duration: int,
        file: Path,
        *,
        progress: Progress | None = None,
        deadline: float = 3600.0,
        size_limit: int = 50 << 30,
    ) -> int:
        """Have a clip cut and bring it here as an mp4 file, chunk by chunk. Returns its size in bytes.

        `file` is there wholly or not at all. Raises DeviceError; OSError when the disk does not take it.
        """
        return await download(
            self._io.http,
            self.clip_url(stream, start, duration),
            file,
            headers={} if self._api.config.playback_key else self._api.headers,
            progress=progress,
            deadline=deadline,
            idle=max(self._api.config.timeout, 30.0),
            size_limit=size_limit,
            tls=self._api.tls,
        )

    def clip_url(self, stream: str, start: int, duration: int) -> URL:
        """The address of a clip; with a token in it where playback is protected: never show it."""
        key, query = self._api.config.playback_key, {}
        if key is not None:
            now = int(self._io.clock.now().wall)
            query["token"] = playback_token(
                stream, key.reveal(), now - TOKEN_SKEW, now + TOKEN_LIFE, secrets.token_hex(16)
            )
        return self._api.url(f"{_playback(stream)}/archive-{start}-{duration}.mp4", query)

    async def export(self, stream: str, start: int, duration: int, path: str) -> None:
        """Have the server write a clip to a place of its own (a disk, S3): `path` is the server's."""
        query = {"from": str(start), "duration": str(duration), "path": path}
        await self._api.ask("POST", f"{V3}/streams/{segment(stream)}/dvr/export", query=query)


def _playback(stream: str) -> str:
    return f"/{quote(stream, safe='/')}"


def playback_token(stream: str, key: str, start: int, end: int, salt: str) -> str:
    """A securetoken for any address: sha1 over name, the word for "any", start, end, key and salt (vendor's manual)."""
    digest = hashlib.sha1(f"{stream}no_check_ip{start}{end}{key}{salt}".encode()).hexdigest()  # noqa: S324 - theirs
    return f"{digest}-{salt}-{end}-{start}"


def ranges_of(answer: Any, stream: str) -> list[Span]:
    """The ranges of a `recording_status.json`, whichever of its shapes it has: a list of streams with their ranges,
    an object by stream with `from` and `to`, or the stream's `dvr_info`. ProtocolError for anything else."""
    if isinstance(answer, list):
        mine = [one for one in answer if isinstance(one, dict) and one.get("stream") in (stream, None)]
        listed: Any = [item for one in mine for item in _items(one.get("ranges"))]
    elif isinstance(answer, dict) and isinstance(answer.get(stream), dict):
        listed = _items(answer[stream].get("ranges")) or [answer[stream]]
    elif isinstance(answer, dict) and ("ranges" in answer or "from" in answer):
        listed = _items(answer.get("ranges")) or [answer]
    elif answer in ({}, None):
        listed = []
    else:
        raise ProtocolError("its list of recordings is in no known shape")
    return [one for item in listed if (one := _range(item)) is not None]


def _items(value: Any) -> list[Any]:
    return value[:RANGES] if isinstance(value, list) else []


def _range(item: Any) -> Span | None:
    if not isinstance(item, dict):
        return None
    start, duration, end = (number(item.get(key)) for key in ("from", "duration", "to"))
    if start is None:
        return None
    if end is None:
        end = start + duration if duration is not None else start
    return Span(float(start), float(end)) if end > start else None


def merged(found: Iterable[Span]) -> tuple[Span, ...]:
    """In order, without overlaps, seams closed."""
    whole: list[Span] = []
    for one in sorted(found, key=lambda one: (one.start, one.end)):
        if whole and one.start - whole[-1].end <= SEAM:
            whole[-1] = Span(whole[-1].start, max(whole[-1].end, one.end))
        else:
            whole.append(one)
    return tuple(whole)
