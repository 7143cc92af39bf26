"""The pump, with a real store: what it does about sinks that fail, ask for less, or have bugs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from bridge.delivery.sink import Pump, Refused, TryAgain, TrySmaller
from bridge.metrics import Metrics
from bridge.pushes.catalogue import DictionaryUpdate
from bridge.store.store import OutboxRow, Store
from bridge.testing.clock import FakeClock
from tests.support import until


class ScriptedSink:
    """Answers as its script says: an error to raise, or rows to refuse by number; without a script it takes all."""

    name = "scripted"
    confirms = True

    def __init__(self) -> None:
        self.batch = 4
        self.script: list[Exception | set[int]] = []
        self.asked: list[list[int]] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def check(self) -> str:
        return "scripted"

    def wants(self, row: OutboxRow) -> bool:
        return True

    async def send(self, rows: Sequence[OutboxRow]) -> Refused:
        self.asked.append([row.seq for row in rows])
        answer = self.script.pop(0) if self.script else set[int]()
        if isinstance(answer, TrySmaller):
            self.batch = 1
        if isinstance(answer, Exception):
            raise answer
        return [(row, "refused") for row in rows if row.seq in answer]


class Line:
    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.sink = ScriptedSink()
        self.metrics = Metrics()
        self.pump = Pump(self.sink, store, self.metrics, clock, random.Random(1))

    async def deliver(self, count: int) -> list[list[int]]:
        """Commit pushes 1 to `count`; returns what the sink was asked for until all were done."""
        await self.store.join("scripted")
        await self.store.commit("gate", [], [DictionaryUpdate(diff={"a": "b"})] * count)
        task = asyncio.create_task(self.pump.run())

        async def done() -> bool:
            await self.clock.advance(1.0)
            return (await self.store.join("scripted")).cursor == count

        await until(done)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return self.sink.asked

    def counted(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"bridge_{name}_total", {"sink": "scripted"}) or 0.0


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    clock = FakeClock()
    store = await Store.open(tmp_path, clock)
    yield Line(store, clock)
    await store.close()


async def test_in_order_and_in_batches(line: Line) -> None:
    assert await line.deliver(10) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert line.counted("delivered") == 10


async def test_what_fails_is_sent_again_from_where_it_was(line: Line) -> None:
    line.sink.script = [set(), TryAgain("away"), TryAgain("still away"), set()]
    assert await line.deliver(6) == [[1, 2, 3, 4], [5, 6], [5, 6], [5, 6]]
    assert line.counted("delivery_failures") == 2
    assert line.counted("delivery_unknown_outcomes") == 0
    assert line.pump.failing == ""


async def test_a_lost_answer_is_counted_for_what_is_sent_again(line: Line) -> None:
    line.sink.script = [TryAgain("no answer", unknown=True)]
    assert await line.deliver(3) == [[1, 2, 3], [1, 2, 3]]
    assert line.counted("delivery_unknown_outcomes") == 3


async def test_the_server_says_when(line: Line) -> None:
    line.sink.script = [TryAgain("busy", after=100.0)]
    began = line.clock.now().mono
    await line.deliver(1)
    assert 100 <= line.clock.now().mono - began < 110


async def test_a_sink_that_asks_for_less_has_not_failed(line: Line) -> None:
    line.sink.script = [TrySmaller("one of them"), set(), {2}, set(), set()]
    assert await line.deliver(4) == [[1, 2, 3, 4], [1], [2], [3], [4]]
    assert line.counted("delivery_failures") == line.counted("delivery_unknown_outcomes") == 0
    (letter,) = await line.store.dead_letters()
    assert (letter.seq, letter.reason) == (2, "refused")


async def test_a_bug_of_a_sink_is_shown_once_and_its_pushes_stay(line: Line) -> None:
    line.sink.script = [ZeroDivisionError("x"), ZeroDivisionError("x"), ZeroDivisionError("x")]
    with structlog.testing.capture_logs() as logs:
        assert await line.deliver(2) == [[1, 2]] * 4
    assert [entry["event"] for entry in logs].count("bug in a sink") == 1
    assert line.counted("delivery_failures") == 3
    assert line.counted("delivered") == 2
    assert await line.store.dead_letters() == []
