"""The sink for Pusher-compatible servers when answers are lost, the server is away, or the bridge is killed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.outbox_line import Line, connected
from tests.integration.pusher_api import PusherApi


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with connected(tmp_path) as line:
        yield line


@pytest.fixture
def receiver(line: Line) -> PusherApi:
    return line.receiver


@pytest.mark.parametrize("how", ["close", "hang"])
@pytest.mark.parametrize("count", [1, 5])
async def test_an_answer_that_is_lost_is_counted_and_the_push_sent_again(
    line: Line, receiver: PusherApi, how: str, count: int
) -> None:
    receiver.swallow = how
    await line.start(timeout=0.2)
    await line.decide(count)
    await line.until(lambda: line.counted("delivery_failures") >= 1)
    receiver.swallow = ""
    await line.delivered()
    sent = len(line.got())
    assert sent >= 2 * count
    assert line.got() == list(range(count)) * (sent // count)
    assert line.counted("delivery_unknown_outcomes") == sent - count


@pytest.mark.parametrize("batches", [True, False])
async def test_an_outage_loses_nothing_and_keeps_the_order(line: Line, receiver: PusherApi, batches: bool) -> None:
    receiver.batches = batches
    await line.start()
    await line.decide(5)
    await line.delivered()
    await receiver.stop()
    for _ in range(20):
        await line.decide(100)
    await line.until(lambda: line.counted("delivery_failures") >= 3)
    assert "no connection" in line.pump.failing
    await receiver.start()
    await line.delivered()
    assert line.got() == list(range(2005))
    assert line.pump.failing == ""
    assert line.counted("delivered") == 2005
    assert line.counted("delivery_unknown_outcomes") == 0


async def test_a_killed_bridge_goes_on_where_it_was(line: Line, receiver: PusherApi) -> None:
    await line.start()
    await line.decide(30)
    await line.delivered()
    await receiver.stop()
    await line.decide(30)
    await line.until(lambda: line.counted("delivery_failures") >= 1)
    await line.kill()
    await receiver.start()
    await line.start()
    await line.delivered()
    assert line.got() == list(range(60))
    # Begun before the kill, never confirmed: for all that the file tells, these may have arrived.
    assert line.counted("delivery_unknown_outcomes") == 10


async def test_a_bridge_killed_while_it_looks_for_the_bad_one_repeats_one_at_most(
    line: Line, receiver: PusherApi
) -> None:
    receiver.bad = "spoilt"
    await line.start()
    await line.decide(10, place=6, text="spoilt")
    await line.until(lambda: len(receiver.received) >= 4)
    await line.kill()
    await line.start()
    await line.delivered()
    assert sorted(set(line.got())) == list(range(9))
    assert len(line.got()) - 9 <= line.counted("delivery_unknown_outcomes")
    assert len(line.got()) <= 10
    assert len(await line.store.dead_letters()) == 1
