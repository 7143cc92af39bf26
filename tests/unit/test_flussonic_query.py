"""The simulated server's grammar of collections, by the examples of the vendor's documents and in general."""

from __future__ import annotations

import base64
import itertools
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.flussonic.simulated.media import merge
from drivers.flussonic.simulated.query import BadQuery, answer, parse

ITEMS: list[dict[str, Any]] = [
    {"name": "a", "title": "Gate", "static": True, "stats": {"status": "running", "bitrate": 300, "alive": True}},
    {"name": "b", "static": False, "stats": {"status": "waiting", "bitrate": 0, "alive": False}},
    {"name": "c", "title": "Yard", "static": True, "stats": {"status": "running", "bitrate": 90, "alive": True}},
    {"name": "d", "static": True, "inputs": [{"url": "rtsp://gate/1"}], "stats": {"status": "error", "bitrate": 5}},
]


def names(query: str, items: list[dict[str, Any]] = ITEMS) -> list[str]:
    return [one["name"] for one in answer(items, parse(parse_qsl(query)), "streams")["streams"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcd"),
        ("name=a,c", "ac"),
        ("name_ne=a", "bcd"),
        ("name_like=b", "b"),
        ("name_gt=b", "cd"),
        ("stats.status=running&stats.bitrate_gt=100", "a"),
        ("stats.bitrate_gte=90", "ac"),
        ("stats.bitrate_lt=90", "bd"),
        ("stats.bitrate_lte=90", "bcd"),
        ("stats.alive=true", "ac"),
        ("static=false", "b"),
        ("title_is=null", "bd"),
        ("title_is_not=null", "ac"),
        ("nothing=1", ""),
        ("sort=-stats.bitrate", "acdb"),
        ("sort=static,-name", "bdca"),
        ("sort=title", "bdac"),
        ("limit=2", "ab"),
        ("q=gate", "d"),
    ],
)
def test_filters_and_order(query: str, expected: str) -> None:
    assert "".join(names(query)) == expected


def test_the_cursor_of_the_documents() -> None:
    page = answer(ITEMS, parse([("limit", "1")]), "streams")
    assert page["next"] == "JTI0cG9zaXRpb25fZ3Q9MA=="
    assert "prev" not in page
    second = answer(ITEMS, parse([("limit", "1"), ("cursor", page["next"])]), "streams")
    assert [one["name"] for one in second["streams"]] == ["b"]
    assert parse_qsl(base64.b64decode(second["prev"]).decode()) == [("$position_lt", "1"), ("$reversed", "true")]
    assert second["estimated_count"] == 4


def test_select_takes_nested_fields_and_nothing_else() -> None:
    page = answer(ITEMS[:1], parse([("select", "name,stats.alive,missing.deep")]), "streams")
    assert page["streams"] == [{"name": "a", "stats": {"alive": True}}]


@pytest.mark.parametrize("pair", [("limit", "many"), ("limit", "0"), ("cursor", "%%%"), ("cursor", "é")])
def test_a_query_that_cannot_be_read(pair: tuple[str, str]) -> None:
    with pytest.raises(BadQuery) as caught:
        parse([pair])
    assert caught.value.body["name"] == pair[0]


@given(
    st.lists(st.integers(0, 5), max_size=30),
    st.integers(1, 7),
    st.sampled_from(["", "weight", "-weight", "-weight,name"]),
)
def test_pages_forth_and_back_are_the_whole(weights: list[int], limit: int, sort: str) -> None:
    items = [{"name": f"s{number:02}", "weight": weight} for number, weight in enumerate(weights)]
    order = [("sort", sort)] if sort else []
    whole = [one["name"] for one in answer(items, parse([*order, ("limit", "1000")]), "streams")["streams"]]
    pages, cursor = [], None
    while True:
        more = [("cursor", cursor)] if cursor else []
        page = answer(items, parse([*order, ("limit", str(limit)), *more]), "streams")
        pages.append(page)
        cursor = page.get("next")
        if cursor is None:
            break
        assert len(pages) <= len(items) + 1
    forth = [one["name"] for page in pages for one in page["streams"]]
    if not sort:
        assert forth == whole
        for sooner, later in itertools.pairwise(pages):
            back = answer(items, parse([("limit", str(limit)), ("cursor", later["prev"])]), "streams")
            assert back["streams"] == sooner["streams"]
    # Of several that are equal in the sorted field, the vendor's cursors (a condition for each field) skip some.
    assert len(set(forth)) == len(forth)


def test_put_merges_resets_and_takes_away() -> None:
    config = {"name": "a", "title": "Gate", "dvr": {"root": "/storage"}}
    assert merge(config, {"title": "Yard"}) == {**config, "title": "Yard"}
    assert merge(config, {"dvr": None}) == {"name": "a", "title": "Gate"}
    assert merge(config, {"$reset": True, "static": False}) == {"name": "a", "static": False}
    assert merge(config, {"name": "other"}) == config
