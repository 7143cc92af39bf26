from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config import yaml12
from bridge.config.effective import Layer, find, leaves, merge
from bridge.config.explain import explain
from bridge.config.problems import shown
from bridge.config.yaml12 import Map
from tests.unit.config_support import stub_drivers


@pytest.fixture(autouse=True, scope="module")
def _drivers() -> Iterator[None]:
    with stub_drivers():
        yield


keys = st.sampled_from(["a", "b", "c"])
scalar = st.integers(0, 3) | st.sampled_from(["x", "y"]) | st.lists(st.integers(0, 2), max_size=2)
blocks = st.recursive(
    st.dictionaries(keys, scalar | st.none(), max_size=3),
    lambda inner: st.dictionaries(keys, scalar | st.none() | inner, max_size=3),
    max_leaves=8,
)
# Each key is always a block or never one, and nothing is null.
tidy = st.fixed_dictionaries(
    {},
    optional={
        "a": scalar,
        "b": st.fixed_dictionaries({}, optional={"a": scalar, "c": st.fixed_dictionaries({}, optional={"a": scalar})}),
        "c": st.fixed_dictionaries({}, optional={"b": scalar}),
    },
)


@given(blocks)
def test_nothing_is_neutral_and_the_same_again_changes_nothing(block: dict[str, Any]) -> None:
    assert merge({}, block) == block
    assert merge(block, {}) == block
    assert merge(block, block) == block


@given(tidy, tidy, tidy)
def test_layers_may_be_merged_in_any_grouping(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(blocks, blocks)
def test_merging_changes_neither_side_and_the_upper_wins(under: dict[str, Any], over: dict[str, Any]) -> None:
    before = copy.deepcopy((under, over))
    merged = merge(under, over)
    assert (under, over) == before
    assert merged.keys() == under.keys() | over.keys()
    for key, value in over.items():
        if not isinstance(value, dict):
            assert merged[key] == value


def as_layers(values: list[dict[str, Any]]) -> list[Layer]:
    """The blocks as if they had been written in one file, uppermost first."""
    text = "".join(f"- {value!r}\n" for value in values).replace("None", "null")
    root = yaml12.load(text.encode()).root
    origins = ("device", "group", "site", "defaults")
    return [Layer(origins[index], ("layers", index), block) for index, block in enumerate(root)]  # type: ignore[arg-type]


def at(block: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        block = block[part]
    return block


@given(st.lists(blocks, min_size=1, max_size=4))
@settings(max_examples=300)
def test_every_value_is_found_where_it_was_written(values: list[dict[str, Any]]) -> None:
    layers = as_layers(values)
    merged: dict[str, Any] = {}
    for value in reversed(values):
        merged = merge(merged, value)
    for leaf in leaves(layers, merged):
        assert leaf.place is not None
        layer = layers[int(leaf.place.path[1])]
        assert leaf.place.found == len(leaf.path)
        assert leaf.place.path == (*layer.path, *leaf.path)
        said = at(layer.block, leaf.path)
        assert said == leaf.value or (said == {} and leaf.value == {})
        assert leaf.place.mark.line == int(leaf.place.path[1]) + 1


def test_what_is_nowhere_is_looked_for_in_the_innermost_block_that_leads_there() -> None:
    layers = as_layers([{"x": 1}, {"c": {"u": 1}}, {"c": {"u": 2, "p": {}}}])
    assert find(layers, ("c", "w")).path == ("layers", 1, "c")
    assert find(layers, ("c", "p", "w")).path == ("layers", 2, "c", "p")
    assert find(layers, ("q",)).path == ("layers", 0)


def test_null_and_plain_values_hide_what_is_below_them() -> None:
    layers = as_layers([{"c": None}, {"c": {"u": 1}}])
    assert find(layers, ("c", "u")).path == ("layers", 0, "c")
    assert find(as_layers([{"c": 5}, {"c": {"u": 1}}]), ("c", "u")).path == ("layers", 0, "c")


def test_marks_are_those_of_values_or_of_the_keys_of_blocks() -> None:
    root = yaml12.load(b"a: 1\nb:\n  c: 2\n").root
    assert isinstance(root, Map)
    layers = [Layer("file", (), root)]
    assert find(layers, ("a",)).mark == (1, 4)
    assert find(layers, ("a",), at_key=True).mark == (1, 1)
    assert find(layers, ("b",)).mark == (2, 1)
    assert find(layers, ("b", "c")).mark == (3, 6)


EXPLAINED = """\
defaults:
  driver: box
  name: Somebody
  credentials: {username: admin, password: env:P}
  watch: {poll: 10s, retry_cap: 5s}
  panel: {community: env:P}
sites:
  - {id: s, name: House, watch: {poll: 20s}}
devices:
  - {id: other, address: 192.0.2.9}
  - id: a
    site: s
    address: 192.0.2.1
    credentials: {password: plain-text}
    watch: {retry_cap: null}
    box: {mode: slow, accounts: [{login: x, token: plain-token}]}
"""


def test_explain(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(EXPLAINED)
    told = {
        shown(leaf.path): (leaf.value, leaf.place and (leaf.place.origin, leaf.place.mark.line))
        for leaf in explain(path, "a", environ={"P": "pass"})
    }
    assert told["watch.poll"] == ("20s", ("site", 8))
    assert told["name"] == ("Somebody", ("defaults", 3))
    assert told["driver"] == ("box", ("defaults", 2))
    assert told["credentials.username"] == ("admin", ("defaults", 4))
    assert told["credentials.password"] == ("***", ("device", 14))
    assert told["box.mode"] == ("slow", ("device", 16))
    assert told["box.port"] == (80, None)
    assert told["watch.alarm_max"] == (60.0, None)
    assert told["watch.retry_cap"] == (60.0, None)
    assert told["box.accounts"][0] == "***"
    assert not any(name.startswith("panel") for name in told)
    other = {shown(leaf.path): leaf.value for leaf in explain(path, "other", environ={"P": "pass"})}
    assert other["credentials.password"] == "env:P"
    with pytest.raises(KeyError):
        explain(path, "nobody", environ={"P": "pass"})
