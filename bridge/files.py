"""Files that the bridge makes for people: exports, clips, key files. Each is behind a URL that nobody can guess, and
goes away after a while.

A file is written under a passing name, synced, renamed, and then recorded in the store, in one transaction with the
push that tells its URL. What a crash leaves over is removed at the next start; half a file is never served.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import sqlite3
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from bridge.clock import Clock
from bridge.config.models import Files
from bridge.store.store import OutboxEntry, Store

RECOUNT = 16 << 20  # bytes written to a file before the others are counted again
TOKEN_LIMIT = 64  # characters; ours have 43
NAME_LIMIT = 120  # characters

# What is in the way in a header, in a URL, or in the file systems of those who save it.
_AWKWARD = re.compile(r'[\x00-\x1f\x7f-\x9f/\\<>:"|?*\u2028\u2029\ud800-\udfff]')
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}


class ShelfFull(Exception):
    """The file does not fit in beside the others (`bridge.files.max_size`). The text is for people."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A file that is whole and on disk. It is served from when `Shelf.keep` has returned until `expires_at`, wall time.

    `url` has the token in it, and is not kept anywhere: whoever needs it later has to write it down.
    """

    url: str = field(repr=False)
    digest: str = field(repr=False)
    name: str
    content_type: str
    size: int
    created_at: float
    expires_at: float
    job: int | None


class Draft:
    """A file in the making: whoever makes it writes to `path`, or has `fill` do it."""

    def __init__(self, shelf: Shelf, path: Path) -> None:
        self.path = path
        self._shelf = shelf

    async def fill(self, chunks: AsyncIterable[bytes], progress: Callable[[int], None] | None = None) -> int:
        """Write what comes, and return how many bytes that were. `progress` hears of the bytes so far. Raises
        ShelfFull, OSError, and whatever `chunks` raises."""
        written = counted = 0
        room = await self._shelf.room()
        with await asyncio.to_thread(open, self.path, "wb") as file:
            async for chunk in chunks:
                if written - counted >= RECOUNT:
                    await asyncio.to_thread(file.flush)
                    room, counted = await self._shelf.room(), written
                if written - counted + len(chunk) > room:
                    raise self._shelf.full()
                await asyncio.to_thread(file.write, chunk)
                written += len(chunk)
                if progress is not None:
                    progress(written)
        return written

    async def seal(self, name: str, content_type: str, *, job: int | None = None) -> Shelved:
        """Put the finished file under its own name; nothing may write to it any more. Raises ShelfFull, OSError."""
        return await self._shelf.seal(self, name, content_type, job)


class Shelf:
    """`settings` and `base_url` are asked for anew each time: a reload may change them."""

    def __init__(
        self, data: Path, store: Store, clock: Clock, settings: Callable[[], Files], base_url: Callable[[], str]
    ) -> None:
        self.directory = data / "files"
        self._store = store
        self._clock = clock
        self._settings = settings
        self._base_url = base_url

    async def open(self) -> None:
        """Make the directory, and remove what a crash left over. Before anything else. Raises StoreError, OSError."""
        known = set(await self._store.call(_digests, durable=False))
        there = await asyncio.to_thread(self._tidy, known)
        if lost := known - there:
            await self._store.call(lambda connection: _forget(connection, lost))

    @asynccontextmanager
    async def draft(self) -> AsyncIterator[Draft]:
        """A file to be made; it is gone afterwards unless it was sealed."""
        path = self.directory / f"draft-{secrets.token_hex(8)}"
        try:
            yield Draft(self, path)
        finally:
            path.unlink(missing_ok=True)

    async def put(self, data: bytes, name: str, content_type: str, *, job: int | None = None) -> Shelved:
        """A whole file, sealed. Raises ShelfFull, OSError."""
        async with self.draft() as draft:
            await asyncio.to_thread(draft.path.write_bytes, data)
            return await draft.seal(name, content_type, job=job)

    async def seal(self, draft: Draft, name: str, content_type: str, job: int | None) -> Shelved:
        """See `Draft.seal`."""
        if await self.room() < 0:
            raise self.full()
        token = secrets.token_urlsafe(32)
        digest, name, now = _digest(token), safe_name(name), self._clock.now().wall
        size = await asyncio.to_thread(_settle, draft.path, self.directory / digest)
        url = f"{self._base_url()}/files/{token}/{quote(name)}"
        return Shelved(url, digest, name, content_type, size, now, now + self._settings().life, job)

    async def keep(
        self, file: Shelved, also: Callable[[sqlite3.Connection], Sequence[OutboxEntry]] = lambda connection: ()
    ) -> None:
        """Record a sealed file, in one transaction with what `also` does and the pushes that it returns. Raises
        StoreError, and whatever `also` raises; the file is gone then."""
        row = (file.digest, file.name, file.content_type, file.size, file.created_at, file.expires_at, file.job)

        def work(connection: sqlite3.Connection) -> Sequence[OutboxEntry]:
            connection.execute("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            return also(connection)

        try:
            await self._store.write(work)
        except Exception:  # not when cancelled: the transaction may still come about
            (self.directory / file.digest).unlink(missing_ok=True)
            raise

    async def prune(self) -> None:
        """Remove the files whose time is over. Raises StoreError."""
        now = self._clock.now().wall

        def expired(connection: sqlite3.Connection) -> list[str]:
            return [digest for (digest,) in connection.execute("SELECT digest FROM file WHERE expires_at <= ?", (now,))]

        if over := await self._store.read(expired):
            await self._store.call(lambda connection: _forget(connection, over))
            for digest in over:
                (self.directory / digest).unlink(missing_ok=True)

    async def room(self) -> int:
        """Bytes that fit in beside all files that are there, drafts included; negative when there are too many."""
        return self._settings().max_size - await asyncio.to_thread(_size, self.directory)

    def full(self) -> ShelfFull:
        return ShelfFull(
            f"the file does not fit in beside the others: they may have {self._settings().max_size:,} bytes in all "
            "(bridge.files.max_size); wait until some have expired, or raise it"
        )

    def routes(self) -> list[web.RouteDef]:
        """GET and HEAD, with ranges. Whoever has the URL has the file."""
        return [web.get("/files/{token}/{name}", self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["token"]
        digest = _digest(token) if len(token) <= TOKEN_LIMIT else ""

        def look_up(connection: sqlite3.Connection) -> tuple[str, str, str, float]:
            query = "SELECT digest, name, content_type, expires_at FROM file WHERE digest = ?"
            return connection.execute(query, (digest,)).fetchone() or ("", "", "", 0.0)

        # Looked up by digest, so that no time that this takes tells anything of a token that exists.
        known, name, content_type, expires_at = await self._store.read(look_up)
        path = self.directory / known
        if (
            not known
            or not hmac.compare_digest(known, digest)
            or name != request.match_info["name"]
            or expires_at <= self._clock.now().wall
            or not await asyncio.to_thread(path.is_file)
        ):
            return web.Response(status=404, text="There is no such file, or its time is over.\n", headers=_SAFE)
        headers = {**_SAFE, "Content-Type": content_type, "Content-Disposition": disposition(name)}
        return web.FileResponse(path, headers=headers)

    def _tidy(self, known: set[str]) -> set[str]:
        """Remove everything from the directory but the known files, and return which of those are there."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        there = set()
        for entry in self.directory.iterdir():
            if entry.name in known:
                there.add(entry.name)
            elif not entry.is_dir():
                entry.unlink(missing_ok=True)
        return there


def safe_name(name: str) -> str:
    """A name as it can stand in a URL, in a header and on a disk, whatever the system."""
    whole = _AWKWARD.sub("_", name).strip(" .")
    stem, dot, ending = whole.rpartition(".")
    if len(whole) > NAME_LIMIT and dot and len(ending) < 10:
        return f"{stem[: NAME_LIMIT - len(ending) - 1]}.{ending}"
    return whole[:NAME_LIMIT] or "file"


def disposition(name: str) -> str:
    """The Content-Disposition for a safe name: RFC 6266, with a plain name for those who do not know the other."""
    plain = re.sub(r"[^\x20-\x7e]|%", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _digests(connection: sqlite3.Connection) -> list[str]:
    return [digest for (digest,) in connection.execute("SELECT digest FROM file")]


def _forget(connection: sqlite3.Connection, digests: Iterable[str]) -> None:
    connection.executemany("DELETE FROM file WHERE digest = ?", [(digest,) for digest in digests])


def _settle(draft: Path, final: Path) -> int:
    """Sync a file and rename it so that it is there after a power cut, and return its size."""
    with open(draft, "rb+") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    os.chmod(draft, 0o600)
    os.rename(draft, final)
    directory = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return size


def _size(directory: Path) -> int:
    total = 0
    for entry in os.scandir(directory):
        with suppress(FileNotFoundError):  # it was removed meanwhile
            total += entry.stat().st_size
    return total
