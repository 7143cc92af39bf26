"""YAML 1.2 with line numbers, quickly, from the events of PyYAML's C parser.

PyYAML's own loader speaks YAML 1.1: it reads the MAC address 11:22:33:44:55:56 as one large number, `off` as false,
the PIN 0123 as 83 and a date as a date, and it keeps the last of two equal keys without a word. Here plain words
resolve by the core schema of YAML 1.2, with one difference: digits that begin with a superfluous zero stay text,
because a PIN or a flat number is what they are. Building the tree from events takes a fifth of the time of loading.

Every map and list remembers where its keys and values stand, so that any later complaint can name a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from bridge.config.problems import PathPart
from bridge.config.yaml_errors import Mark, YamlError, explain

MAX_BYTES = 32 * 2**20
MAX_DEPTH = 64
MAX_NODES = 4_000_000  # values, lists and maps: a hundred thousand devices
MAX_ALIASED = 1_000_000  # nodes that aliases may add to those written out

# A position in one int, line and column from 0: thousands of them are kept while an inventory loads.
_COLUMN_BITS = 25  # a file of MAX_BYTES has no column beyond
_COLUMN_MASK = (1 << _COLUMN_BITS) - 1

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER_BEGINS = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_OCTAL = re.compile(r"0o[0-7]{1,99}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,99}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")

_CORE = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    f"{_CORE}null": (type(None),),
    f"{_CORE}bool": (bool,),
    f"{_CORE}int": (int,),
    f"{_CORE}float": (float, int),
}
# YAML refuses control characters; NEL, LS and PS are line breaks to YAML 1.1 and to no editor.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile(r"\r\n|\r|\n")


def _mark(position: int) -> Mark:
    return Mark((position >> _COLUMN_BITS) + 1, (position & _COLUMN_MASK) + 1)


def position(mark: Mark) -> int:
    """A place as `Map` and `Seq` keep it."""
    return mark.line - 1 << _COLUMN_BITS | mark.column - 1


class Map(dict[Any, Any]):
    """A map that knows where it stands. Keys that a `<<` brought in keep the place where they are written."""

    __slots__ = ("_at", "_order", "_start")

    def __init__(self, start: int) -> None:
        self._start = start
        self._at: list[int] = []  # two for each key, in the order of the keys: the key's place, its value's
        self._order: dict[Any, int] = {}  # the number of each key, once somebody asks

    @property
    def mark(self) -> Mark:
        return _mark(self._start)

    def key_mark(self, key: Any) -> Mark:
        return _mark(self._at[2 * self._number(key)])

    def value_mark(self, key: Any) -> Mark:
        return _mark(self._at[2 * self._number(key) + 1])

    def _number(self, key: Any) -> int:
        if len(self._order) != len(self):
            self._order = {known: number for number, known in enumerate(self)}
        return self._order[key]

    def put(self, key: Any, value: Any, mark: Mark) -> None:
        """A new key and its value, both at one place: of something that is no YAML, and is read like it."""
        self[key] = value
        self._at += (position(mark),) * 2

    def merge_in(self, other: Map) -> None:
        """What `<<` does: take over the keys that are not here yet."""
        for index, (key, value) in enumerate(other.items()):
            if key not in self:
                self[key] = value
                self._at += other._at[2 * index : 2 * index + 2]


class Seq(list[Any]):
    """A list that knows where it stands."""

    __slots__ = ("_at", "_start")

    def __init__(self, start: int) -> None:
        self._start = start
        self._at: list[int] = []

    @property
    def mark(self) -> Mark:
        return _mark(self._start)

    def item_mark(self, index: int) -> Mark:
        return _mark(self._at[index])


@dataclass(frozen=True, slots=True)
class Document:
    """The first document of a stream. `rest` is where a second one begins, which is not read."""

    root: Any
    mark: Mark
    rest: Mark | None = None


def load(data: bytes) -> Document:
    """Read the first document: None, bool, int, float, str, `Map` and `Seq`. Raises YamlError."""
    text = _decode(data)
    try:
        return _Builder(events_loader()(text)).document()
    except yaml.MarkedYAMLError as error:
        what, mend, mark = explain(error, text)
    except yaml.YAMLError:
        what, mend, mark = "this is no YAML", "", Mark(1, 1)
    raise YamlError(what, mend, mark)


def resolve(text: str) -> Any:
    """What a plain scalar means by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMBER_BEGINS:
        if _INT.fullmatch(text):
            return int(text)
        if _OCTAL.fullmatch(text):
            return int(text[2:], 8)
        if _HEX.fullmatch(text):
            return int(text[2:], 16)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def events_loader() -> Any:
    """PyYAML's C parser, or its Python one where PyYAML was built without libyaml."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise YamlError(
            f"the file has more than {MAX_BYTES // 2**20} MB", "an inventory of that size is a mistake", Mark(1, 1)
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = _after(error.object[: error.start].decode("utf-8-sig", "replace"))
    else:
        if not (match := _UNPRINTABLE.search(text)):
            return text
        raise YamlError(
            f"an invisible character (U+{ord(match[0]):04X})",
            "remove it, or write it as an escape in double quotes",
            _after(text[: match.start()]),
        )
    raise YamlError("this is not UTF-8", "save the file in the encoding UTF-8", bad)


def _after(text: str) -> Mark:
    """The place right after a text that begins the file."""
    lines = _BREAK.split(text)
    return Mark(len(lines), len(lines[-1]) + 1)


class _Frame:
    """A map or list under construction."""

    __slots__ = ("anchor", "key", "key_at", "last_key", "merges", "node", "nodes_before")

    def __init__(self, node: Map | Seq, anchor: str | None, nodes_before: int) -> None:
        self.node = node
        self.anchor = anchor
        self.nodes_before = nodes_before
        self.key: Any = _NO_KEY  # the key whose value comes next
        self.last_key: Any = None
        self.key_at = 0
        self.merges: list[tuple[Any, int]] = []


_NO_KEY = object()
_MERGE = object()


class _Builder:
    """One pass over the events. A class only to spare passing the same six things around."""

    def __init__(self, parser: Any) -> None:
        self._next = parser.get_event
        self._stack: list[_Frame] = []
        # What each anchor stands for, and how many nodes that is; None while it is being read.
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._aliased = 0
        self._nodes = 0
        self._plain: dict[str, Any] = {}  # plain scalars that were resolved before; also makes equal texts one object
        self._quoted: dict[str, str] = {}

    def document(self) -> Document:
        self._next()  # stream start
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Document(None, Mark(1, 1))
        root, at = self._root()
        self._next()  # document end
        following = self._next()
        rest = _at(following) if isinstance(following, yaml.DocumentStartEvent) else None
        return Document(root, _mark(at), None if rest is None else _mark(rest))

    def _root(self) -> tuple[Any, int]:
        stack, scalar_event, next_event = self._stack, yaml.ScalarEvent, self._next
        frame: _Frame | None = None
        while True:
            event = next_event()
            start = event.start_mark
            at = start.line << _COLUMN_BITS | start.column
            opened: _Frame | None = None
            if type(event) is scalar_event:
                value = self._scalar(event, at)
            elif type(event) is yaml.AliasEvent:
                value = self._alias(event, at)
            elif type(event) is yaml.MappingEndEvent or type(event) is yaml.SequenceEndEvent:
                assert frame is not None
                value = self._close(frame)
                stack.pop()
                if not stack:
                    return value, value._start
                frame = stack[-1]
                continue
            else:
                opened = self._open(event, at)
                value = opened.node

            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise self._error(f"more than {MAX_NODES:,} values up to here", "split the inventory", at)
            if frame is None:
                if opened is None:
                    return value, at
            elif type(frame.node) is Seq:
                frame.node.append(value)
                frame.node._at.append(at)
            elif frame.key is _NO_KEY:
                self._key(frame, event, value, at)
            else:
                if frame.key is _MERGE:
                    frame.merges.append((value, at))
                else:
                    frame.node[frame.key] = value
                    frame.node._at += (frame.key_at, at)
                frame.key = _NO_KEY
            if opened is not None:
                stack.append(opened)
                frame = opened

    def _scalar(self, event: Any, at: int) -> Any:
        text = event.value
        if event.tag is not None and event.tag != "!":
            value = self._tagged(event.tag, text, at)
        elif event.implicit[0] and event.tag is None:
            try:
                value = self._plain[text]
            except KeyError:
                value = self._plain[text] = resolve(text)
        else:
            value = self._quoted.setdefault(text, text)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        return value

    def _tagged(self, tag: str, text: str, at: int) -> Any:
        if tag == f"{_CORE}str":
            return text
        if tag not in _SCALAR_TAGS:
            raise self._error(
                "a tag (a word that begins with !), which has no meaning here",
                "put text that begins with ! in quotes",
                at,
            )
        value = resolve(text)
        if type(value) not in _SCALAR_TAGS[tag]:
            raise self._error("the value is not what its tag says", "leave the tag out", at)
        return float(value) if tag == f"{_CORE}float" else value

    def _alias(self, event: Any, at: int) -> Any:
        if event.anchor not in self._anchors:
            raise self._error(
                "an alias (a word that begins with *) to an anchor that is not set above",
                "put text that begins with * in quotes",
                at,
            )
        known = self._anchors[event.anchor]
        if known is None:
            raise self._error("an alias to the very thing that contains it", "write it out", at)
        value, nodes = known
        self._nodes += nodes
        self._aliased += nodes
        if self._aliased > MAX_ALIASED:
            raise self._error("the aliases up to here make the file too large", "write some of them out", at)
        return value

    def _open(self, event: Any, at: int) -> _Frame:
        is_map = type(event) is yaml.MappingStartEvent
        if event.tag not in (None, "!", f"{_CORE}{'map' if is_map else 'seq'}"):
            raise self._error("a tag (a word that begins with !), which has no meaning here", "leave it out", at)
        if len(self._stack) >= MAX_DEPTH:
            what = f"nested more than {MAX_DEPTH} deep"
            raise YamlError(what, "check the brackets and the indentation", _mark(at))
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        return _Frame(Map(at) if is_map else Seq(at), event.anchor, self._nodes)

    def _close(self, frame: _Frame) -> Map | Seq:
        for value, at in frame.merges:
            assert isinstance(frame.node, Map)
            for source in value if isinstance(value, Seq) else [value]:
                if not isinstance(source, Map):
                    raise self._error("<< takes a map, or a list of maps", "give it an alias like *camera", at)
                frame.node.merge_in(source)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.node, self._nodes - frame.nodes_before)
        return frame.node

    def _key(self, frame: _Frame, event: Any, value: Any, at: int) -> None:
        if isinstance(value, Map | Seq):
            raise self._error("a map or a list stands where a key belongs", "put text with brackets in quotes", at)
        if value == "<<" and event.implicit[0]:
            if frame.merges:
                raise self._error("<< twice in one map", "give one << a list: [*a, *b]", at)
            value = _MERGE
        elif value in frame.node:
            assert isinstance(frame.node, Map)
            first = frame.node.key_mark(value).line
            error = self._error(f"the same key twice in one map, first in line {first}", "remove one of them", at)
            error.path += (value if isinstance(value, str) else "",)
            raise error
        frame.key = frame.last_key = value
        frame.key_at = at

    def _error(self, what: str, mend: str, at: int) -> YamlError:
        path: list[PathPart] = []
        for depth, frame in enumerate(self._stack, start=1):
            innermost = depth == len(self._stack)
            if type(frame.node) is Seq:
                path.append(len(frame.node) - (0 if innermost else 1))
            elif not innermost or frame.key is not _NO_KEY:
                path.append(frame.last_key if isinstance(frame.last_key, str) else "")
        return YamlError(what, mend, _mark(at), tuple(path))


def _at(event: Any) -> int:
    return int(event.start_mark.line << _COLUMN_BITS | event.start_mark.column)
