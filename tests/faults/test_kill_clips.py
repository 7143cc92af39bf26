"""`kill -9` while clips are made: each ends in exactly one push after all, and no half file is ever there.

The bridge is a process of its own, the server with the archive is in this one.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp

from bridge.store.store import database
from bridge.web import tokens
from tests.integration.clips_site import RECORDED_AT, ClipServer, fetched, make_mp4, probed
from tests.integration.flussonic_rig import WATCH, entry
from tests.integration.processes import BINARY, free_port
from tests.support import until

KILLS = 6


@asynccontextmanager
async def bridge(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bridge that runs until it is killed."""
    with (folder / "log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            BINARY, "run", "-c", "config.json", cwd=folder, stdout=log, stderr=log
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


async def test_six_kills_while_clips_are_made(tmp_path: Path) -> None:
    rng, mp4 = random.Random(4), make_mp4(tmp_path / "clip.mp4")
    port = free_port()
    url, files = f"http://127.0.0.1:{port}", tmp_path / "data" / "files"
    server = ClipServer(mp4, cameras=2)
    server.record((0, 3600))
    await server.start()
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "bridge": {"data": "data", "http": {"listen": f"127.0.0.1:{port}"}},
                "defaults": {"watch": WATCH},
                "devices": [entry("flu", server)],
            }
        )
    )
    try:
        async with aiohttp.ClientSession() as http:
            token = ""

            async def ask(method: str, path: str, body: Any = None) -> Any:
                headers = {"Authorization": f"Bearer {token}"}
                async with http.request(method, f"{url}/api/v1{path}", json=body, headers=headers) as answer:
                    assert answer.status < 300, await answer.text()
                    return await answer.json()

            async def ready() -> bool:
                try:
                    async with http.get(f"{url}/readyz") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            jobs: list[int] = []
            for kill in range(KILLS):
                server.open.clear()
                async with bridge(tmp_path) as child:
                    await until(ready, 30)
                    if not token:
                        with closing(database(tmp_path / "data")) as connection:
                            token = tokens.issue(connection, "test", [], 0.0, api="write")
                        await asyncio.sleep(1.2)  # a running bridge knows it within a second
                    await until(lambda: server.seen["GET"], 20)
                    period = {"from": RECORDED_AT + 10 * kill, "to": RECORDED_AT + 10 * kill + 60}
                    who = {"initiator": {"user_id": 7, "token_id": "tok"}}
                    told = await ask("POST", "/clips", {"camera": 1 + kill % 2, **period, **who})
                    jobs.append(told["job"]["id"])
                    await until(lambda: server.at_once, 30, "half a clip is there")
                    await until(lambda: list(files.glob("draft-*")), 10)
                    if kill % 2:
                        # Not in the middle of the download but around its end: sealed, recorded, told.
                        server.open.set()
                        await asyncio.sleep(rng.uniform(0.0, 0.08))
                    child.kill()
                    await child.wait()
                await until(lambda: not server.at_once, 10)
            server.open.set()
            async with bridge(tmp_path):
                await until(ready, 30)
                assert not list(files.glob("draft-*")) or server.at_once, "half a file is left over"
                for job in jobs:
                    while (told := await ask("GET", f"/jobs/{job}?wait=20"))["job"]["ended_at"] is None:
                        pass
                    assert (told["job"]["state"], told["items"][0]["state"]) == ("done", "ok")
                with closing(sqlite3.connect(tmp_path / "data" / "bridge.db")) as connection:
                    rows = connection.execute("SELECT body FROM outbox WHERE type = 'archive_generated'").fetchall()
                downloads = [json.loads(body)["data"]["data"]["download"] for (body,) in rows]
                assert Counter(one["id"] for one in downloads) == Counter(jobs), "one push for each clip"
                assert len(list(files.iterdir())) == len(jobs)
                for one in downloads:
                    path = one["url"].partition("/files/")[2]
                    status, body = await fetched(f"{url}/files/{path}")
                    assert (status, body) == (200, mp4.read_bytes())
                (tmp_path / "served.mp4").write_bytes(body)
                assert probed(tmp_path / "served.mp4")["streams"]
    finally:
        server.open.set()
        await server.stop()
