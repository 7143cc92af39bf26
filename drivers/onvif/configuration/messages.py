"""Requests made of what the device itself told: a configuration goes back whole, only the changed leaves differ.

ONVIF's Set operations replace the whole object, and firmware has elements of its own in it. So the reply's element is
copied, changed and sent; nothing of it is rebuilt from a model that might lack something (UseCount, Multicast, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from xml.sax.saxutils import escape

from lxml import etree

from drivers.onvif.wsdl import Message
from drivers.transports import xml
from drivers.transports.xml import Element

TT = "http://www.onvif.org/ver10/schema"


def request(namespace: str, operation: str, *content: bytes) -> Message:
    """An operation with its parameters, each made by `text`, `renamed` or `etree.tostring`."""
    head = f'<m:{operation} xmlns:m="{namespace}" xmlns:tt="{TT}">'.encode()
    return Message(head + b"".join(content) + f"</m:{operation}>".encode(), f"{namespace}/{operation}")


def text(name: str, value: str) -> bytes:
    """A parameter that is a text."""
    return f"<m:{name}>{escape(value)}</m:{name}>".encode()


def copied(source: Element) -> Element:
    """A copy to be changed. Prefixes that the device never declared are taken for the schema's."""
    copy = deepcopy(source)
    copy.tail = None
    for one in copy.iter():
        if isinstance(one.tag, str) and not one.tag.startswith("{"):
            one.tag = f"{{{TT}}}{xml.local(one)}"
    return copy


def renamed(element: Element, namespace: str, name: str) -> bytes:
    """An element as a parameter of that name."""
    element.tag = f"{{{namespace}}}{name}"
    return etree.tostring(element)


def put(parent: Element, path: Sequence[str], value: str, order: Sequence[str] = ()) -> None:
    """Set the text at a path of local names; what is missing on the way is made. `order` is that of the schema for the
    children of `parent`: a missing one goes to its place there."""
    name, *rest = path
    found = xml.child(parent, name)
    if found is None:
        found = etree.Element(f"{{{TT}}}{name}")
        later = set(order[order.index(name) + 1 :]) if name in order else set()
        place = next((at for at, one in enumerate(parent) if xml.local(one) in later), len(parent))
        parent.insert(place, found)
    if rest:
        put(found, rest, value)
    else:
        found.text = value


def drop(parent: Element, *names: str) -> None:
    """Take children away."""
    for one in [one for one in parent if xml.local(one) in names]:
        parent.remove(one)


def integer(written: str) -> int | None:
    """A whole number that stands in a device's XML, or None. "25.0" is one, too."""
    value = number(written)
    return int(value) if value is not None and value.is_integer() else None


def number(written: str) -> float | None:
    if not written or len(written) > 32:
        return None
    try:
        value = float(written)
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None


def span(element: Element | None) -> tuple[float, float] | None:
    """Min and Max of a range; None where it is none."""
    low, high = number(xml.text(element, "Min")), number(xml.text(element, "Max"))
    return (low, high) if low is not None and high is not None and low <= high else None
