"""Kills a writing bridge store a hundred times and looks at what is left each time. Run by `test_kill.py`.

Each round a forked child writes as runners do (state and push together, many devices at once) and delivers as a pump
does, to a file that stands for the other side. It is killed with SIGKILL after a random number of commits.
Prints one JSON object with what was found.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sqlite3
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

from bridge.clock import SystemClock
from bridge.model import IntercomStatus
from bridge.pushes.catalogue import IntercomStatusChanged
from bridge.store.store import StateRow, Store

DEVICES = 20


async def write(directory: Path, report: int, far_side: int) -> None:
    store = await Store.open(directory, SystemClock())
    states, _ = await store.knowledge()
    place = await store.join("sink")

    async def device(name: str) -> None:
        number = states.get(name, {}).get("", {}).get("n", 0)
        while True:
            number += 1
            push = IntercomStatusChanged(id=number, intercom_status=IntercomStatus.ACTIVE, status_pretty=name)
            await store.commit(name, [StateRow(name, "", {"n": number})], [push])
            os.write(report, f"{name} {number}\n".encode())

    async def deliver() -> None:
        cursor = place.cursor
        fresh = store.subscribe()
        while True:
            fresh.clear()
            rows = await store.outbox_after(cursor, 10)
            if not rows:
                await fresh.wait()
                continue
            await store.attempt("sink", rows[-1].seq)
            os.write(far_side, "".join(f"{row.seq}\n" for row in rows).encode())
            cursor = rows[-1].seq
            await store.acknowledge("sink", cursor)

    await asyncio.gather(deliver(), *(device(f"d{n}") for n in range(DEVICES)))


def one_round(directory: Path, rng: random.Random, far_side: int) -> dict[str, int]:
    """Fork, let it write, kill it; the last number that each device was told to be committed."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(write(directory, theirs, far_side))
        finally:
            os._exit(1)
    os.close(theirs)
    told: dict[str, int] = {}
    wanted, data = rng.randrange(1, 400), b""
    while data.count(b"\n") < wanted:
        ready, _, _ = select.select([ours], [], [], 30)
        chunk = os.read(ours, 65536) if ready else b""
        if not chunk:
            raise SystemExit("the child ended by itself or hangs")
        data += chunk
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(ours, 65536):
        data += chunk
    os.close(ours)
    for line in data.decode().rpartition("\n")[0].splitlines():
        name, number = line.split()
        told[name] = int(number)
    return told


def main(directory: Path, rounds: int) -> None:
    rng = random.Random(7)
    far_side = os.open(directory / "far-side", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    faults: list[str] = []
    unknown = 0
    for number in range(rounds):
        told = one_round(directory, rng, far_side)
        connection = sqlite3.connect(directory / "bridge.db")
        if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            faults.append(f"round {number}: the file is damaged")
        pushes: dict[str, list[int]] = {}
        for name, body in connection.execute("SELECT device, body FROM outbox ORDER BY seq"):
            pushes.setdefault(name, []).append(json.loads(body)["data"]["data"]["id"])
        states = dict(connection.execute("SELECT device, json_extract(data, '$.n') FROM state"))
        for name, state in states.items():
            if pushes.get(name) != list(range(1, state + 1)):
                faults.append(f"round {number}: {name} is at {state} and its pushes are not 1..{state}")
            if told.get(name, 0) > state:
                faults.append(f"round {number}: {name} was told {told[name]} and has {state}")
        cursor, attempted = connection.execute("SELECT cursor, attempted FROM sink").fetchone()
        unknown += attempted - cursor
        connection.close()
    delivered = [int(line) for line in (directory / "far-side").read_text().split()]
    doubles = sum(count - 1 for count in Counter(delivered).values())
    missing = sorted(set(range(1, max(delivered) + 1)) - set(delivered))
    print(
        json.dumps(
            {
                "rounds": rounds,
                "faults": faults,
                "pushes": max(delivered),
                "missing": missing,
                "out_of_order": sum(b < a - 10 for a, b in pairwise(delivered)),
                "doubles": doubles,
                "unknown_outcomes": unknown,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
