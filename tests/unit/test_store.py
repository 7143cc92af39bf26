"""The store: what is committed together stays together, cursors, bounds, and one bridge a directory."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.model import IntercomStatus, ServerSample
from bridge.pushes import render
from bridge.pushes.catalogue import SAMPLE_FRESH, ImportIntercomFlatsUsersKeys, IntercomStatusChanged, Push
from bridge.store import store as store_module
from bridge.store.store import StateRow, Store, StoreInUse
from bridge.store.writer import StoreError
from bridge.testing.clock import FakeClock


def push(number: int) -> IntercomStatusChanged:
    return IntercomStatusChanged(id=number, intercom_status=IntercomStatus.ACTIVE, status_pretty="Active")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path, clock)
    yield opened
    await opened.close()


async def test_state_and_pushes_are_found_again(tmp_path: Path, clock: FakeClock) -> None:
    store = await Store.open(tmp_path, clock)
    await store.commit("cam", [StateRow("cam", "", {"reach": "online"})], [push(1), push(2)])
    await store.commit("cam", [StateRow("cam", "", {"reach": "offline"})])
    await store.remember("cam", "subscription", "/x")
    await store.close()
    await store.close()

    store = await Store.open(tmp_path, clock)
    states, memories = await store.knowledge()
    assert states == {"cam": {"": {"reach": "offline"}}}
    assert memories == {"cam": {"subscription": "/x"}}
    rows = await store.outbox_after(0, 10)
    assert [(row.seq, row.device, row.type) for row in rows] == [
        (1, "cam", "intercom_status_changed"),
        (2, "cam", "intercom_status_changed"),
    ]
    assert rows[0].body == push(1).body()
    await store.close()


async def test_the_tail_and_the_file_tell_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.gather(*(store.commit(f"d{n}", [], [push(n + 1), push(n + 2)]) for n in range(50)))
    from_tail = await store.outbox_after(10, 20)
    store._tail.clear()
    assert await store.outbox_after(10, 20) == from_tail
    assert [row.seq for row in from_tail] == list(range(11, 31))
    assert await store.outbox_after(store.last_seq, 5) == []


async def test_a_caller_that_is_cancelled_leaves_no_hole_in_the_tail(store: Store) -> None:
    waiting = asyncio.create_task(store.commit("d", [], [push(1)]))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await store.commit("d", [], [push(2)])
    assert [row.seq for row in await store.outbox_after(0, 10)] == [1, 2]


async def test_one_bad_write_spoils_no_other(store: Store) -> None:
    def bad(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO state VALUES ('d', NULL, NULL, 0)")

    results = await asyncio.gather(
        *(store.commit(f"d{n}", [StateRow(f"d{n}", "", {})], [push(n + 1)]) for n in range(20)),
        store.call(bad),
        *(store.commit(f"e{n}", [StateRow(f"e{n}", "", {})]) for n in range(20)),
        return_exceptions=True,
    )
    assert [type(one) for one in results if one is not None] == [StoreError]
    states, _ = await store.knowledge()
    assert len(states) == 40
    assert [row.seq for row in await store.outbox_after(0, 100)] == list(range(1, 21))


async def test_a_new_sink_begins_behind_what_is_there_and_goes_on_where_it_was(store: Store) -> None:
    await store.commit("d", [], [push(1)])
    assert (await store.join("a")).cursor == 1
    await store.commit("d", [], [push(2)])
    await store.acknowledge("a", 2)
    assert (await store.join("a")).cursor == 2
    await store.leave_all_but(["b"])
    await store.commit("d", [], [push(3)])
    assert (await store.join("a")).cursor == 3, "it was forgotten, and is new again"


async def test_an_attempt_without_confirmation_is_known_after_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    store = await Store.open(tmp_path, clock)
    await store.join("a")
    await store.commit("d", [], [push(1), push(2), push(3)])
    await store.attempt("a", 2)
    await store.close()
    store = await Store.open(tmp_path, clock)
    place = await store.join("a")
    assert (place.cursor, place.attempted) == (0, 2)
    await store.close()


async def test_refused_pushes_are_kept_with_their_reasons(store: Store) -> None:
    await store.join("a")
    await store.commit("d", [], [push(1), ImportIntercomFlatsUsersKeys(token_id="t")])
    rows = await store.outbox_after(0, 10)
    assert [row.socket for row in rows] == [False, True]
    await store.acknowledge("a", 2, [(rows[1], "too large: 12,000 bytes, the server takes 10,000")])
    letters = await store.dead_letters()
    assert [(one.sink, one.seq, one.channel) for one in letters] == [("a", 2, "token.t")]
    assert "12,000" in letters[0].reason


async def test_delivered_pushes_stay_for_a_while_and_waiting_ones_stay(store: Store, clock: FakeClock) -> None:
    await store.join("a")
    await store.join("b")
    for number in range(1, 5):
        await store.commit("d", [], [push(number)])
        await clock.advance(100)
    await store.acknowledge("a", 4)
    await store.acknowledge("b", 2)
    assert await store.prune(max_rows=1000, max_age=1e6, history=350) == {}
    store._tail.clear()
    assert [row.seq for row in await store.outbox_after(0, 10)] == [2, 3, 4], "the first is older than the history"
    await store.prune(max_rows=1000, max_age=1e6, history=0)
    store._tail.clear()
    assert [row.seq for row in await store.outbox_after(0, 10)] == [3, 4], "b has not had these"


@pytest.mark.parametrize("bounds", [{"max_rows": 2, "max_age": 1e6}, {"max_rows": 1000, "max_age": 150.0}])
async def test_a_bound_drops_and_counts(store: Store, clock: FakeClock, bounds: dict[str, float]) -> None:
    await store.join("slow")
    await store.join("fast")
    for number in range(1, 6):
        await store.commit("d", [], [push(number)])
        await clock.advance(60)
    await store.acknowledge("fast", 5)
    lost = await store.prune(history=1e6, max_rows=int(bounds["max_rows"]), max_age=bounds["max_age"])
    assert lost == {"slow": 3}
    place = await store.join("slow")
    assert (place.cursor, place.dropped) == (3, 3)
    store._tail.clear()
    assert [row.seq for row in await store.outbox_after(0, 10)] == [4, 5]


async def test_a_clock_that_learns_the_year_makes_no_push_old(tmp_path: Path) -> None:
    clock = FakeClock(wall=1_000_000.0)  # as of 1970
    store = await Store.open(tmp_path, clock)
    await store.join("away")
    await store.commit("d", [], [push(1)])
    await clock.advance(20)
    clock.set_wall(1_700_000_000.0)
    await store.commit("d", [], [push(2)])
    assert await store.prune(history=100, max_rows=1000, max_age=1000) == {}
    assert [row.at for row in await store.outbox_after(0, 10)] == [1_700_000_000.0 - 20, 1_700_000_000.0]
    await clock.advance(990)
    assert await store.prune(history=100, max_rows=1000, max_age=1000) == {"away": 1}, "now it is old"
    await store.close()

    # What was there before the start has its time from a clock that was right; and a clock set back drops nothing.
    store = await Store.open(tmp_path, clock)
    clock.set_wall(1_600_000_000.0)
    assert await store.prune(history=100, max_rows=1000, max_age=1000) == {}
    clock.set_wall(1_800_000_000.0)
    assert await store.prune(history=100, max_rows=1000, max_age=1000) == {"away": 1}
    await store.close()


async def test_a_second_bridge_on_the_same_directory_is_told_so(store: Store, clock: FakeClock) -> None:
    with pytest.raises(StoreInUse, match=r"another bridge .* bridge\.data"):
        await Store.open(store.path.parent, clock)


async def test_a_database_of_a_newer_bridge_is_left_alone(tmp_path: Path, clock: FakeClock) -> None:
    await (await Store.open(tmp_path, clock)).close()
    connection = sqlite3.connect(tmp_path / "bridge.db")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreError, match="newer bridge"):
        await Store.open(tmp_path, clock)


async def test_it_syncs_to_disk(store: Store) -> None:
    def settings(connection: sqlite3.Connection) -> tuple[str, int]:
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return journal, connection.execute("PRAGMA synchronous").fetchone()[0]

    assert await store.call(settings) == ("wal", 2)


def test_a_reader_without_a_store_gets_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"bridge\.db"):
        store_module.read_only(tmp_path / "bridge.db")


# -- samples ---------------------------------------------------------------------------------------------------------


def sample() -> Push:
    return render.sample(ServerSample("192.0.2.5", 4, 1.0, None, None, 1000, 500, 400))


async def test_stale_samples_leave_and_are_counted(store: Store, clock: FakeClock) -> None:
    await store.join("away")
    await store.commit("server", [], [sample(), push(1), sample()])
    store._tail.clear()  # as after many more pushes
    await clock.advance(SAMPLE_FRESH - 1)
    assert await store.drop_stale() == {}
    await clock.advance(2)
    assert await store.drop_stale() == {"away": 2}
    assert [row.type for row in await store.outbox_after(0, 10)] == ["intercom_status_changed"]
    assert await store.drop_stale() == {}


async def test_samples_that_are_in_memory_stay_for_whoever_reads_them(store: Store, clock: FakeClock) -> None:
    await store.commit("server", [], [sample(), push(1)])
    await clock.advance(SAMPLE_FRESH + 1)
    assert await store.drop_stale() == {}
    rows = await store.outbox_after(0, 10)
    assert [row.stale(clock.now().wall) for row in rows] == [True, False]


async def test_a_sink_that_is_away_loses_no_push_to_samples(store: Store, clock: FakeClock) -> None:
    await store.join("away")
    await store.commit("cam", [], [push(1)])
    for _ in range(20):
        await store.commit("server", [], [sample()] * 10)
        store._tail.clear()
        await clock.advance(SAMPLE_FRESH + 1)
        await store.drop_stale()
        assert await store.prune(max_rows=50, max_age=1e9, history=0) == {}
    assert [row.type for row in await store.outbox_after(0, 1000)] == ["intercom_status_changed"]


async def test_the_bound_is_on_rows_and_not_on_their_numbers(store: Store, clock: FakeClock) -> None:
    await store.join("away")
    await store.commit("cam", [], [push(number) for number in range(1, 11)])
    assert await store.prune(max_rows=4, max_age=1e9, history=0) == {"away": 6}
    store._tail.clear()
    assert [row.seq for row in await store.outbox_after(0, 100)] == [7, 8, 9, 10]
