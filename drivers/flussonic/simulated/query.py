"""The grammar of collections of the Streamer API: filters, sort, limit, cursor, select.

From the vendor's OpenAPI document and the behaviour of its open library openapi_handler: positions count from 0 in the
default order; a cursor is the base64 of a query that the last item of a page does not fulfil any more.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

Item = dict[str, Any]
POSITION = "$position"
DEFAULT_LIMIT = 100


class BadQuery(Exception):
    """A query that is answered with 400; `body` is the answer."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(name)
        self.body = {"error": "bad_request", "while": "parsing_query", "name": name, "input": value}


def get(item: Any, path: str) -> Any:
    """A value by its dotted path; None where there is none."""
    for part in path.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return item


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _order(compare: Callable[[float, float], bool]) -> Callable[[Any, str], bool]:
    def fits(value: Any, text: str) -> bool:
        wanted = _number(text)
        if isinstance(value, int | float) and not isinstance(value, bool) and wanted is not None:
            return compare(value, wanted)
        return isinstance(value, str) and compare((value > text) - (value < text), 0)

    return fits


def _same(value: Any, text: str) -> bool:
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | float):
        return _number(text) == value
    return value is not None and str(value) == text


# The longer endings first: `_is_not` ends with what could be a field's name as well.
_ENDINGS: dict[str, Callable[[Any, str], bool]] = {
    "_is_not": lambda value, text: value is not None,
    "_like": lambda value, text: isinstance(value, str) and text in value,
    "_gte": _order(lambda a, b: a >= b),
    "_lte": _order(lambda a, b: a <= b),
    "_is": lambda value, text: value is None,
    "_ne": lambda value, text: not _same(value, text),
    "_gt": _order(lambda a, b: a > b),
    "_lt": _order(lambda a, b: a < b),
}
# Fields whose own names end like an operator.
_FIELDS = frozenset({"stats.lifetime"})


@dataclass
class Query:
    filters: list[tuple[str, Callable[[Any, str], bool], str]] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)  # path, descending
    limit: int = DEFAULT_LIMIT
    select: list[str] | None = None
    search: str | None = None
    cursor: Query | None = None
    backwards: bool = False

    def matches(self, item: Item) -> bool:
        return all(fits(get(item, path), text) for path, fits, text in self.filters)


def parse(pairs: Sequence[tuple[str, str]]) -> Query:
    query = Query()
    for name, value in pairs:
        match name:
            case "cursor":
                try:
                    query.cursor = parse(parse_qsl(base64.b64decode(value, validate=True).decode()))
                except (binascii.Error, ValueError):
                    raise BadQuery(name, value) from None
            case "limit":
                if not value.isdecimal() or int(value) < 1:
                    raise BadQuery(name, value)
                query.limit = int(value)
            case "sort":
                query.sort = [(one.removeprefix("-"), one.startswith("-")) for one in value.split(",")]
            case "select":
                query.select = value.split(",")
            case "q":
                query.search = value
            case "$reversed":
                query.backwards = value == "true"
            case _:
                query.filters.append(_filter(name, value))
    return query


def _filter(name: str, value: str) -> tuple[str, Callable[[Any, str], bool], str]:
    if name not in _FIELDS:
        for ending, fits in _ENDINGS.items():
            if name.endswith(ending) and (not ending.startswith("_is") or value == "null"):
                return name.removesuffix(ending), fits, value
    return name, lambda given, text: any(_same(given, one) for one in text.split(",")), value


def _sort_key(value: Any) -> tuple[int, Any]:
    """Nothing before numbers before texts before the rest."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 3, value
    if isinstance(value, int | float):
        return 1, value
    return (2, value) if isinstance(value, str) else (3, str(value))


def answer(items: Sequence[Item], query: Query, key: str) -> dict[str, Any]:
    """The page that the query asks for, as the API answers it."""
    placed = [{**item, POSITION: position} for position, item in enumerate(items)]
    order = [*query.sort, (POSITION, False)]
    for path, descending in reversed(order):
        placed.sort(key=lambda item: _sort_key(get(item, path)), reverse=descending)
    found = [item for item in placed if query.matches(item) and _contains(item, query.search)]
    cursor = query.cursor or Query()
    backwards = cursor.backwards
    ahead = [item for item in (reversed(found) if backwards else found) if cursor.matches(item)]
    page = ahead[: query.limit]
    more, less = len(ahead) > len(page), len(ahead) < len(found)
    if backwards:
        page.reverse()
        more, less = less, more
    answered: dict[str, Any] = {
        key: [_selected(item, query.select) for item in page],
        "estimated_count": len(found),
        "timing": {"load": 0, "filter": 0, "sort": 0, "limit": 0, "select": 0},
    }
    if page and more:
        answered["next"] = _cursor(page[-1], order, backwards=False)
    if page and less:
        answered["prev"] = _cursor(page[0], order, backwards=True)
    return answered


def _contains(item: Item, search: str | None) -> bool:
    if search is None:
        return True
    texts = [item.get("name"), item.get("title"), *(one.get("url") for one in item.get("inputs", []))]
    return any(isinstance(text, str) and search in text for text in texts)


def _cursor(item: Item, order: Sequence[tuple[str, bool]], *, backwards: bool) -> str:
    pairs = [("$reversed", "true")] if backwards else []
    for path, descending in order:
        value = get(item, path)
        if value is not None:
            pairs.insert(0, (f"{path}{'_lt' if descending != backwards else '_gt'}", str(value)))
    return base64.b64encode(urlencode(pairs).encode()).decode()


def _selected(item: Item, paths: Sequence[str] | None) -> Item:
    if paths is None:
        return {key: value for key, value in item.items() if key != POSITION}
    chosen: Item = {}
    for path in paths:
        _copy(item, chosen, path.split("."))
    return chosen


def _copy(source: Mapping[str, Any], target: Item, path: Sequence[str]) -> None:
    first, *rest = path
    if first not in source:
        return
    if not rest or not isinstance(source[first], dict):
        target[first] = source[first]
    else:
        _copy(source[first], target.setdefault(first, {}), rest)
