"""Files behind expiring URLs: over real HTTP, on a real disk, by a clock that the test moves."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from bridge.config.models import Files
from bridge.files import Draft, Shelf, ShelfFull, Shelved, disposition, safe_name
from bridge.pushes.catalogue import ExportConfig
from bridge.store.store import Store, outbox_entries
from bridge.store.writer import StoreError
from bridge.testing.clock import FakeClock

TEXT = "text/plain; charset=utf-8"


class Site:
    """A shelf with its listener."""

    def __init__(self, folder: Path, settings: Files) -> None:
        self.folder = folder
        self.settings = settings
        self.clock = FakeClock()
        self.base = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Shelf]:
        self.store = await Store.open(self.folder, self.clock)
        shelf = Shelf(self.folder, self.store, self.clock, lambda: self.settings, lambda: self.base)
        await shelf.open()
        app = web.Application()
        app.add_routes(shelf.routes())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield shelf
        finally:
            await runner.cleanup()
            await self.store.close()

    @property
    def files(self) -> list[str]:
        return sorted(one.name for one in (self.folder / "files").iterdir())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, Files())


async def get(url: str, **headers: str) -> tuple[int, bytes, aiohttp.typedefs.LooseHeaders]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.read(), response.headers


async def shelved(shelf: Shelf, data: bytes = b"0123456789", name: str = "a.txt") -> Shelved:
    file = await shelf.put(data, name, TEXT, job=7)
    await shelf.keep(file)
    return file


async def test_a_file_is_served_with_ranges(site: Site) -> None:
    async with site.running() as shelf:
        file = await shelved(shelf)
        assert file.url.startswith(f"{site.base}/files/")
        assert len(file.url.split("/")[-2]) == 43
        status, body, headers = await get(file.url)
        assert (status, body) == (200, b"0123456789")
        assert headers["Content-Type"] == TEXT
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert headers["Content-Disposition"] == "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"
        assert headers["Accept-Ranges"] == "bytes"
        status, body, headers = await get(file.url, Range="bytes=2-4")
        assert (status, body, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
        assert (await get(file.url, Range="bytes=-3"))[:2] == (206, b"789")
        status, _, headers = await get(file.url, Range="bytes=10-")
        assert (status, headers["Content-Range"]) == (416, "bytes */10")
        async with aiohttp.ClientSession() as session, session.head(file.url) as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "10")
        assert file.url.split("/")[-2] not in repr(file)


async def test_nothing_else_is_served(site: Site) -> None:
    async with site.running() as shelf:
        file = await shelved(shelf)
        token, name = file.url.split("/")[-2:]
        (on_disk,) = site.files
        for path in (
            f"{token}/b.txt",
            f"{token}",
            f"{token}/",
            f"{token[:-1]}x/{name}",
            f"{on_disk}/{name}",
            "",
            f"x/{name}",
            f"{'x' * 5000}/{name}",
            "%00/a.txt",
            "%ed%a0%80/a.txt",
            f"../bridge.db/{name}",
            f"..%2f..%2fbridge.db/{name}",
        ):
            assert (await get(f"{site.base}/files/{path}"))[0] == 404
        assert token not in (site.folder / "bridge.db").read_bytes().decode("latin-1")


async def test_a_file_is_served_once_it_is_recorded_and_until_its_time_is_over(site: Site) -> None:
    site.settings = Files(life=100.0)
    async with site.running() as shelf:
        file = await shelf.put(b"x", "a.txt", TEXT)
        assert (await get(file.url))[0] == 404
        await shelf.keep(file)
        await site.clock.advance(99)
        await shelf.prune()
        assert (await get(file.url))[0] == 200
        later = await shelved(shelf)
        await site.clock.advance(1)
        assert (await get(file.url))[0] == 404
        assert len(site.files) == 2
        await shelf.prune()
        assert len(site.files) == 1
        assert (await get(later.url))[0] == 200


async def test_the_push_and_the_record_are_one_transaction(site: Site) -> None:
    async with site.running() as shelf:
        file = await shelf.put(b"x", "a.txt", TEXT)
        push = ExportConfig(user_id=1, status="ok", url=file.url)
        await shelf.keep(file, lambda connection: outbox_entries("", [push]))
        assert [row.channel for row in await site.store.outbox_after(0, 10)] == ["user.1"]
        assert (await get(file.url))[0] == 200

        other = await shelf.put(b"x", "b.txt", TEXT)
        with pytest.raises(StoreError):
            await shelf.keep(other, lambda connection: connection.execute("no SQL").fetchall())
        assert site.files == [file.digest]
        assert (await get(other.url))[0] == 404


async def test_what_a_crash_left_over_is_removed_at_the_start(site: Site) -> None:
    async with site.running() as shelf:
        kept = await shelved(shelf)
        lost = await shelved(shelf)
        await shelf.put(b"never recorded", "b.txt", TEXT)
        (shelf.directory / lost.digest).unlink()
        (shelf.directory / "draft-0123").write_bytes(b"half")
    (site.folder / "files").chmod(0o755)
    async with site.running() as shelf:
        assert site.files == [kept.digest]
        moved = kept.url.replace(kept.url.split("/files/")[0], site.base)
        assert (await get(moved))[:2] == (200, b"0123456789")
        rows = await site.store.read(lambda connection: connection.execute("SELECT digest, job FROM file").fetchall())
        assert rows == [(kept.digest, 7)]
        assert stat.S_IMODE(shelf.directory.stat().st_mode) == 0o700
        assert stat.S_IMODE((shelf.directory / kept.digest).stat().st_mode) == 0o600


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_large_file_is_made_piece_by_piece(site: Site) -> None:
    async with site.running() as shelf:
        told: list[int] = []
        async with shelf.draft() as draft:
            assert await draft.fill(chunks(b"ab", b"", b"cde"), told.append) == 5
            file = await draft.seal("clip.mp4", "video/mp4")
        assert told == [2, 2, 5]
        await shelf.keep(file)
        assert (await get(file.url))[:2] == (200, b"abcde")


async def test_a_draft_that_is_not_finished_leaves_nothing(site: Site) -> None:
    async with site.running() as shelf:

        async def broken() -> AsyncIterator[bytes]:
            yield b"half"
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            async with shelf.draft() as draft:
                await draft.fill(broken())
        assert site.files == []


async def test_all_files_together_have_a_bound(site: Site) -> None:
    site.settings = Files(max_size=25, life=100.0)
    async with site.running() as shelf:
        first = await shelved(shelf)
        async with shelf.draft() as draft:
            assert await draft.fill(chunks(b"x" * 10)) == 10
            with pytest.raises(ShelfFull, match=r"may have 25 bytes in all \(bridge.files.max_size\)"):
                await draft.fill(chunks(b"x" * 10, b"x" * 6))

        def maker(draft: Draft) -> None:
            draft.path.write_bytes(b"x" * 16)  # a maker that looks at nothing

        async with shelf.draft() as draft:
            maker(draft)
            with pytest.raises(ShelfFull):
                await draft.seal("b.txt", TEXT)
        with pytest.raises(ShelfFull):
            await shelf.put(b"x" * 16, "c.txt", TEXT)
        assert site.files == [first.digest]
        assert (await get(first.url))[0] == 200
        await site.clock.advance(100)
        await shelf.prune()
        assert (await shelved(shelf, b"x" * 25)).size == 25


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("intercom_Door 1_keys_(2026-11-25).xlsx", "intercom_Door 1_keys_(2026-11-25).xlsx"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"b\r\nSet-Cookie: x', "a_b__Set-Cookie_ x"),
        ("Подъезд 1.xlsx", "Подъезд 1.xlsx"),
        ("", "file"),
        ("..", "file"),
        ("\ud800", "_"),
        ("x" * 300 + ".xlsx", "x" * 115 + ".xlsx"),
        ("x" * 300, "x" * 120),
    ],
)
async def test_names(site: Site, name: str, safe: str) -> None:
    assert safe_name(name) == safe
    async with site.running() as shelf:
        file = await shelved(shelf, name=name)
        status, body, headers = await get(file.url)
        assert (status, body) == (200, b"0123456789")
        assert headers["Content-Disposition"].endswith(f"; filename*=UTF-8''{quote(safe, safe='')}")


def test_a_plain_name_for_those_who_know_no_other() -> None:
    assert disposition("Тест 50%.txt") == (
        "attachment; filename=\"____ 50_.txt\"; filename*=UTF-8''%D0%A2%D0%B5%D1%81%D1%82%2050%25.txt"
    )
