"""Inheritance: defaults, then the site, then the group, then the device itself.

Maps merge key by key, lists and plain values are replaced, and null takes an inherited value away, back to what is
built in. Only the values are merged. Where one of them was written is looked up in the layers when somebody asks:
for an error message, or to show the origin of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridge.config.problems import PathPart
from bridge.config.yaml12 import Map, Seq
from bridge.config.yaml_errors import Mark

Origin = Literal["file", "defaults", "site", "group", "device"]
Merged = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """One block that takes part: `path` is where it stands in the file, like ("sites", 0).

    `about_itself` are keys that nobody inherits: the id of a site is not that of its devices.
    """

    origin: Origin
    path: tuple[PathPart, ...]
    block: Map
    about_itself: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written, or would be: `found` says how many parts of the path asked for are there."""

    origin: Origin
    path: tuple[PathPart, ...]
    mark: Mark
    found: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value that holds for a device, and where it was said; None where nobody said it."""

    path: tuple[PathPart, ...]
    value: Any
    place: Place | None


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> Merged:
    """`over` laid on `under`; neither is changed. Nulls stay, for the validator to read them as "not said"."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def find(layers: Sequence[Layer], path: Sequence[PathPart], *, at_key: bool = False) -> Place:
    """Where the value at `path` comes from; `layers` are given uppermost first.

    When it is nowhere, the place is the innermost block that leads there (at the key that opens it), in the uppermost
    layer that has it. The mark is that of a value, or of its key where the value is a block or `at_key` asks for it.
    """
    best: Place | None = None
    for layer in layers:
        place, cut = _walk(layer, path, at_key)
        if best is None or place.found > best.found:
            best = place
        if cut or place.found == len(path):
            break
    assert best is not None
    return best


def _walk(layer: Layer, path: Sequence[PathPart], at_key: bool) -> tuple[Place, bool]:
    """As far as the layer goes. True with it: nothing below this layer counts any more."""
    node: Any = layer.block
    mark = node.mark
    found = 0
    written: list[PathPart] = []
    for part in path:
        if isinstance(node, Map) and part in node and (found or part not in layer.about_itself):
            inside = isinstance(node[part], Map | Seq)
            last = found + 1 == len(path)
            mark = node.value_mark(part) if last and not inside and not at_key else node.key_mark(part)
            # A key that is no text (an error, told elsewhere) must not pass for the number of an entry.
            written.append(part if isinstance(part, str) else "")
        elif isinstance(node, Seq) and isinstance(part, int) and part < len(node):
            mark = node.item_mark(part)
            written.append(part)
        else:
            break
        node = node[part]
        found += 1
    # A null, a plain value or a list replaces whatever the lower layers say from there on.
    cut = found > 0 and not isinstance(node, Map)
    return Place(layer.origin, (*layer.path, *written), mark, found), cut


def leaves(layers: Sequence[Layer], merged: Mapping[str, Any], path: tuple[PathPart, ...] = ()) -> Iterator[Leaf]:
    """Every value of `merged` (the merge of `layers`, given uppermost first) with its origin; lists are one value."""
    for key, value in merged.items():
        here = (*path, key)
        if isinstance(value, dict) and value:
            yield from leaves(layers, value, here)
        else:
            yield Leaf(here, value, find(layers, here))
