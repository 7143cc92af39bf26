"""Kills a bridge that applies templates, many times, and looks at what is left. Run by `test_kill.py`.

The cameras are files, so that they outlive the child: each write to one is a step that the child reports, and after a
random number of steps it is killed with SIGKILL. The next child goes on with the job that it finds, or begins another.
Prints one JSON object with what was found.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sys
from collections import Counter
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from bridge.clock import SystemClock
from bridge.jobs.records import Initiator, Records
from bridge.settings import apply
from bridge.settings.plan import Step
from bridge.settings.selection import Selection
from bridge.settings.templates import Template
from bridge.settings.vocabulary import Settings, flatten, unflatten
from bridge.store.store import Store
from tests.unit.settings_world import BEFORE, Camera, Unit, World

CAMERAS, TEMPLATES = 6, 3


class Values(MutableMapping[str, Any]):
    """What a camera is set to, in a file: a write is there wholly or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _read(self) -> dict[str, Any]:
        return flatten(unflatten(json.loads(self.path.read_text())))

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        values = {**self._read(), key: value}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(values))
        part.rename(self.path)

    def __delitem__(self, key: str) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


def template(job: int, number: int) -> Template:
    """Another one for each job, so that there is always something to write."""
    said = [
        {"video_encoder_first": {"fps": 1 + job % 25, "bitrate": 100 + job}},
        {"osd_text": {"text": f"job {job}"}, "ntp": {"servers": [f"ntp{job}.example.net"]}},
        {"osd_time": {"enabled": job % 2 == 0}},
    ][number]
    return Template(number + 1, f"T{number}", Settings.model_validate(said), fingerprint=str(said))


class Fire(World):
    def __init__(self, folder: Path, report: int) -> None:
        super().__init__(folder)
        self.clock = SystemClock()  # type: ignore[assignment]
        self._report = report

    def unit(self, name: str) -> Unit:
        path = self.folder / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(BEFORE))
        unit = Unit(name)
        unit.values = Values(path)  # type: ignore[assignment]
        unit.always = self._write
        return unit

    def _write(self, driver: Camera, step: Step) -> None:
        os.write(self._report, b"before\n")
        driver.unit.take(step)
        os.write(self._report, b"behind\n")


async def work(folder: Path, report: int) -> None:
    apply.RETRY = 0.01
    world = Fire(folder, report)
    await world.open()
    records = Records(world.store, world.clock)
    live = await records.live()
    job = live[0].id if live else 1 + max((one.id for one in await records.jobs(limit=1)), default=0)
    world.templates = {number + 1: template(job, number) for number in range(TEMPLATES)}
    for number in range(CAMERAS):
        await world.add(f"cam-{number}", world.unit(f"cam-{number}"))
    await world.engine.resume()
    while True:
        if not await records.live():
            job = 1 + max((one.id for one in await records.jobs(limit=1)), default=0)
            world.templates = {number + 1: template(job, number) for number in range(TEMPLATES)}
            made = await world.engine.apply(Selection(), [], Initiator(13))
            assert made == job
        os.write(report, b"looked\n")
        await asyncio.sleep(0.01)


def one_round(folder: Path, rng: random.Random) -> None:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
            asyncio.run(work(folder, theirs))
        finally:
            os._exit(1)
    os.close(theirs)
    wanted, data = rng.randrange(1, 60), b""
    while data.count(b"be") < wanted:
        ready, _, _ = select.select([ours], [], [], 30)
        chunk = os.read(ours, 65536) if ready else b""
        if not chunk:
            raise SystemExit("the child ended by itself or hangs")
        data += chunk
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ours)


async def look(folder: Path) -> dict[str, Any]:
    """What there is after all the kills, once the last job has ended."""
    store = await Store.open(folder, SystemClock())
    jobs = [one for one in await Records(store, SystemClock()).jobs(limit=100_000) if one.ended_at is not None]
    items = [item for one in jobs for item in await Records(store, SystemClock()).items(one.id)]
    rows = [json.loads(row.body)["data"] for row in await store.outbox_after(0, 1_000_000)]
    told = Counter(
        (one["data"]["camera"]["id"], one["data"]["config_template"])
        for one in rows
        if one["type"] == "camera_config_apply"
    )
    expected = Counter((400 + int(item.device[-1]), item.template) for item in items)
    await store.close()
    return {
        "jobs": len(jobs),
        "not_done": [one.id for one in jobs if one.state != "done"],
        "too_many": {str(key): count for key, count in (told - expected).items()},
        "too_few": {str(key): count for key, count in (expected - told).items()},
        "pushes": told.total(),
    }


async def finish(folder: Path) -> list[str]:
    """Let the last job end, undisturbed; the cameras that are not as its templates want them."""
    apply.RETRY = 0.01
    world = Fire(folder, os.open(os.devnull, os.O_WRONLY))
    await world.open()
    records = Records(world.store, world.clock)
    live = await records.live()
    job = live[0].id if live else max(one.id for one in await records.jobs(limit=1))
    world.templates = {number + 1: template(job, number) for number in range(TEMPLATES)}
    for number in range(CAMERAS):
        await world.add(f"cam-{number}", world.unit(f"cam-{number}"))
    await world.engine.resume()
    async with asyncio.timeout(60):
        while await records.live():
            await asyncio.sleep(0.01)
    drift = [one.device for one in await world.engine.drift(Selection())]
    await world.close()
    return drift


def main(folder: Path, rounds: int) -> None:
    rng = random.Random(11)
    for _ in range(rounds):
        one_round(folder, rng)
    out, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115
    drift = asyncio.run(finish(folder))
    found = asyncio.run(look(folder))
    print(json.dumps({"rounds": rounds, "drift": drift, **found}), file=out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
