"""XML from devices, read forgivingly and safely.

Devices leave prefixes undeclared, send a wrong encoding, cut their last bytes: the parser recovers, and elements
are found by local name alone. What no device needs and every attack does is refused: document types, entities,
network access, huge trees.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from lxml import etree

from bridge.errors import ProtocolError

Element = etree._Element

_parser = etree.XMLParser(
    recover=True,
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    collect_ids=False,
)


def parse(data: bytes) -> Element:
    """The root element. Raises ProtocolError for anything that is no XML document, or one that is an attack."""
    data = data.lstrip(b" \t\r\n")  # some firmware starts with a line break, which XML forbids
    if not data:
        raise ProtocolError("its answer is empty")
    try:
        root = etree.fromstring(data, _parser)
        if len(_parser.error_log):
            root = _mended(data, root)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ProtocolError(f"its answer is no XML: {_kind(data)}", data) from error
    if root is None:
        raise ProtocolError(f"its answer is no XML: {_kind(data)}", data)
    if root.getroottree().docinfo.internalDTD is not None:
        if local(root) == "html":
            raise ProtocolError("its answer is a web page", data)
        raise ProtocolError("its answer has a document type, which is refused", data)
    if local(root).lower() == "html":
        raise ProtocolError("its answer is a web page: a login page, or the wrong port", data)
    return root


# A tag, and in it the values that stand in quotes (to be skipped) or have none.
_TAG = re.compile(rb"<[A-Za-z_][^<>]*>")
_VALUE = re.compile(rb"""("[^"]*"|'[^']*')|=([^\s"'<>]+)""")


# Character references. The halves of a surrogate pair are no characters, which is how a smiley is escaped by who thinks
# in UTF-16, and libxml2 lets them through into text that cannot be read any more.
_REFERENCE = re.compile(rb"&#(?:x0*([0-9A-Fa-f]{1,6})|0*([0-9]{1,7}));")


def _mended(data: bytes, root: Element) -> Element:
    """What recovery alone has made of a document, or something better. Raises ValueError for what cannot be read."""
    if any(entry.type == etree.ErrorTypes.ERR_ATTRIBUTE_NOT_STARTED for entry in _parser.error_log):
        data = _quote_values(data)
        root = etree.fromstring(data, _parser)
    if root is not None:
        try:
            etree.tostring(root, encoding="unicode")
        except UnicodeDecodeError:
            root = etree.fromstring(_REFERENCE.sub(_character, data), _parser)
            etree.tostring(root, encoding="unicode")
    return root


def _character(reference: re.Match[bytes]) -> bytes:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return b"&#xFFFD;" if 0xD800 <= number < 0xE000 else reference[0]


def _quote_values(data: bytes) -> bytes:
    """Attributes without quotes, given them: the parser recovers by ending the element there, and loses its token."""

    def quoted(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return match[1]
        end = b"/" if match[2].endswith(b"/") and match.string[match.end() :] == b">" else b""
        return b'="' + match[2].removesuffix(end) + b'"' + end

    return _TAG.sub(lambda tag: _VALUE.sub(quoted, tag[0]), data)


@lru_cache(maxsize=4096)
def _local(tag: object) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2] if isinstance(tag, str) else ""


def local(element: Element) -> str:
    """The element's name without namespace, and without a prefix that nobody declared."""
    return _local(element.tag)


def child(element: Element | None, *path: str) -> Element | None:
    """The first descendant on a path of local names, or None."""
    for name in path:
        if element is None:
            return None
        for one in element:
            if _local(one.tag) == name:
                element = one
                break
        else:
            return None
    return element


def children(element: Element | None, name: str) -> Iterator[Element]:
    """Direct children with that local name."""
    if element is not None:
        for one in element:
            if local(one) == name:
                yield one


def descendants(element: Element | None, name: str) -> Iterator[Element]:
    """All descendants with that local name, in document order."""
    if element is not None:
        for one in element.iter():
            if local(one) == name:
                yield one


@lru_cache(maxsize=64)
def _anywhere(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{{*}}{name}" for name in names)


def pick(element: Element, *names: str) -> list[Element]:
    """All descendants with one of these local names, in document order. For hot replies: the search runs in C, and
    only where it finds nothing, because prefixes are undeclared, element by element here."""
    return list(element.iter(*_anywhere(names))) or pick_slowly(element, *names)


def pick_slowly(element: Element, *names: str) -> list[Element]:
    """The same, also where only some of the prefixes are undeclared."""
    return [one for one in element.iter() if _local(one.tag) in names]


def text(element: Element | None, *path: str) -> str:
    """The stripped text of the first descendant on a path, or ""."""
    found = child(element, *path)
    return (found.text or "").strip() if found is not None else ""


def _kind(data: bytes) -> str:
    head = data[:200].lower()
    if b"<html" in head or b"<!doctype html" in head:
        return "it is a web page: a login page, or the wrong port"
    return "it cannot be read"
