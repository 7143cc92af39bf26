"""A file from a device to the disk: chunk by chunk, never in memory, wholly or not at all."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
from yarl import URL

from bridge.driver import Progress
from bridge.errors import AuthFailed, ProtocolError, Unreachable
from bridge.model import Rung
from drivers.transports.http import CONNECT_LIMIT, Dropped, named, refuse_redirect

CHUNK = 256 << 10


async def download(
    session: aiohttp.ClientSession,
    url: URL,
    file: Path,
    *,
    headers: Mapping[str, str],
    progress: Progress | None,
    deadline: float,
    idle: float,
    size_limit: int,
    tls: ssl.SSLContext | bool = True,
) -> int:
    """GET a file, and return its size in bytes. Seconds: `deadline` for all of it, `idle` between two pieces.

    Until it is complete it is called `NAME.part`, which is removed when anything goes wrong, this task's cancellation
    included. Raises Unreachable, AuthFailed, ProtocolError; OSError when the disk does not take it.
    """
    part = file.with_name(f"{file.name}.part")
    timeout = aiohttp.ClientTimeout(total=deadline, sock_connect=min(CONNECT_LIMIT, idle), sock_read=idle)
    try:
        with named(timeout):
            async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False, ssl=tls) as response:
                refuse_redirect(response)
                _is_a_file(response, size_limit)
                size = await _save(response, part, progress, size_limit)
        await asyncio.to_thread(os.replace, part, file)
        return size
    except Dropped as error:
        raise Unreachable("it closes the connection without an answer", Rung.REACHABLE) from error
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _is_a_file(response: aiohttp.ClientResponse, size_limit: int) -> None:
    if response.status in (401, 403):
        raise AuthFailed("it refuses to give the file to these credentials")
    if response.status != 200:
        raise ProtocolError(f"it answers {response.status} where the file should be")
    if response.content_length is not None and response.content_length > size_limit:
        raise ProtocolError(f"the file is larger than {size_limit >> 20} MB")


async def _save(response: aiohttp.ClientResponse, part: Path, progress: Progress | None, size_limit: int) -> int:
    size = 0
    with await asyncio.to_thread(part.open, "wb") as out:
        try:
            async for chunk in response.content.iter_chunked(CHUNK):
                size += len(chunk)
                if size > size_limit:
                    raise ProtocolError(f"the file is larger than {size_limit >> 20} MB")
                await asyncio.to_thread(out.write, chunk)
                if progress is not None:
                    progress(size, response.content_length)
        except aiohttp.ClientPayloadError as error:
            # It is worth another try, as any connection that was lost.
            raise Unreachable("it closes the connection in the middle of the file", Rung.ANSWERING) from error
        if size == 0:
            raise ProtocolError("it answers with an empty file")
        out.flush()
        await asyncio.to_thread(os.fsync, out.fileno())
    return size
