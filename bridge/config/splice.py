"""New entries in the text of an inventory, laid out like those that are there, with every other byte as it was."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from bridge.config.yaml12 import events_loader

_BOM = "\ufeff"
_WIDTH = 4096  # no entry is that long, so none is folded


@dataclass(slots=True)
class _Layout:
    """What the parser saw of a document: the list of devices, and where things end. Positions count characters."""

    root: Any = None  # the event that opens the outermost map
    root_content_end: int = 0  # behind the last thing in it
    value: Any = None  # the event of what stands at `devices:`
    value_end: int = 0
    items: list[Any] = field(default_factory=list)  # the events that open the devices
    items_end: int = 0  # behind the last thing in the last device
    end: int = 0  # of the document


def insert(text: str, entries: Sequence[CommentedMap]) -> str:
    """The text with the entries behind the last of its devices."""
    if text.startswith(_BOM):
        return _BOM + insert(text.removeprefix(_BOM), entries)
    layout = _layout(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    value, root = layout.value, layout.root
    if isinstance(value, yaml.SequenceStartEvent) and layout.items:
        if value.flow_style:
            return _at(text, layout.items_end, "".join(f", {_flow(entry)}" for entry in entries))
        return _behind_items(text, layout, entries, newline)
    in_brackets = f"[{', '.join(map(_flow, entries))}]"
    if root is not None and root.flow_style:
        if value is not None:
            return text[: value.start_mark.index] + in_brackets + text[layout.value_end :]
        comma = ", " if layout.root_content_end > root.end_mark.index else ""
        return _at(text, layout.root_content_end, f"{comma}devices: {in_brackets}")
    if value is not None:
        # `devices: []` or `devices:`, maybe with a comment behind it.
        end = _line_end(text, layout.value_end)
        behind = text[layout.value_end : end].rstrip()
        head = text[: value.start_mark.index].rstrip(" ")
        return head + behind + newline + _block(entries, "  ", newline) + text[end:]
    end = layout.end
    gap = "" if end == 0 or text[:end].endswith("\n") else newline
    gap += newline if root is not None else ""
    return _at(text, end, f"{gap}devices:{newline}{_block(entries, '  ', newline)}")


def render(entries: Sequence[CommentedMap], indent: str, *, pad: int = 2, flow: bool = False) -> list[str]:
    """The entries as lines of a block list; `pad` columns from each dash to its entry."""
    lines = []
    for entry in entries:
        first, *rest = [_flow(entry)] if flow else _dump(entry)
        lines += [f"{indent}-{' ' * (pad - 1)}{first}", *(f"{indent}{' ' * pad}{line}" for line in rest)]
    return lines


def _behind_items(text: str, layout: _Layout, entries: Sequence[CommentedMap], newline: str) -> str:
    column, last = layout.value.start_mark.column, layout.items[-1]
    end = _behind_comments(text, _line_end(text, layout.items_end), column)
    lines_before = text[: last.start_mark.index].splitlines()
    gap = len(layout.items) > 1 and len(lines_before) > 1 and not lines_before[-2].strip()
    pad = max(2, last.start_mark.column - column)
    flow = isinstance(last, yaml.MappingStartEvent) and bool(last.flow_style)
    added = ""
    for entry in entries:
        lines = render([entry], " " * column, pad=pad, flow=flow)
        added += (newline if gap else "") + "".join(line + newline for line in lines)
    unfinished = "" if text[:end].endswith("\n") else newline
    return _at(text, end, unfinished + added)


def _behind_comments(text: str, at: int, column: int) -> int:
    """Behind the comments that belong to the last device: those that are indented deeper than its dash."""
    end = at
    for line in text[at:].splitlines(keepends=True):
        bare = line.lstrip(" ")
        at += len(line)
        if bare.startswith("#") and len(line) - len(bare) > column:
            end = at
        elif bare.strip():
            break
    return end


def _layout(text: str) -> _Layout:
    layout = _Layout()
    opened: list[Any] = []
    key: str | None = None  # of the outermost map, while its value is being read
    at_key = True
    layout.end = len(text)
    for event in _events(text):
        begin, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.DocumentEndEvent):
            if text[begin:].strip():
                layout.end = _line_end(text, layout.root_content_end)
            break
        closes = opened.pop() if isinstance(event, yaml.CollectionEndEvent) else None
        # A block ends where the next thing begins, so its end says nothing; an empty scalar has no end of its own.
        solid = closes.flow_style if closes else not isinstance(event, yaml.CollectionStartEvent)
        if solid and end > begin and opened:
            layout.root_content_end = end
        if len(opened) == 0 and closes is None:
            layout.root = event
            layout.root_content_end = end
        elif len(opened) == 1:
            if at_key:
                key = getattr(event, "value", None)
            elif key == "devices":
                layout.value = layout.value if closes else event
                layout.value_end = end
            if closes or not isinstance(event, yaml.CollectionStartEvent):
                at_key = not at_key
        elif len(opened) == 2 and key == "devices" and closes is None:
            layout.items.append(event)
        if key == "devices" and len(opened) >= 2:
            layout.items_end = layout.root_content_end
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(event)
    return layout


def _events(text: str) -> Iterator[Any]:
    """What is in the first document, and its end."""
    loader = events_loader()(text)
    while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
        if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            yield event


def _line_end(text: str, at: int) -> int:
    """Behind the line that `at` is in; `at` itself when it is behind one already (the end of a text in many lines)."""
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _at(text: str, index: int, added: str) -> str:
    return text[:index] + added + text[index:]


def _block(entries: Sequence[CommentedMap], indent: str, newline: str) -> str:
    return "".join(line + newline for line in render(entries, indent))


def _dump(entry: CommentedMap) -> list[str]:
    writer = YAML()
    writer.width = _WIDTH
    stream = io.StringIO()
    writer.dump(entry, stream)
    return stream.getvalue().splitlines()


def _flow(entry: CommentedMap) -> str:
    copy = CommentedMap(entry)
    copy.fa.set_flow_style()
    return _dump(copy)[0]
