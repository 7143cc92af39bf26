"""Notification messages (WS-BaseNotification, ONVIF Core 9): from XML to what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drivers.onvif import soap, topics
from drivers.transports import xml
from drivers.transports.xml import Element

# A message has a handful of items; more than this is an attack or a mistake.
ITEMS_LIMIT = 32
MESSAGES_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Notification:
    """`topic` without prefixes; `operation` is Initialized, Changed, Deleted or ""; `time` in seconds since the
    epoch by the device's clock, None where it cannot be read; items by name."""

    topic: str
    operation: str
    time: float | None
    source: Mapping[str, str]
    data: Mapping[str, str]


def notifications(reply: Element) -> Iterator[Notification]:
    """All notification messages of a PullMessagesResponse or a Notify."""
    for count, one in enumerate(xml.children(reply, "NotificationMessage")):
        if count >= MESSAGES_LIMIT:
            return
        topic = topics.bare(xml.text(one, "Topic"))
        message = xml.child(one, "Message", "Message")
        if message is None:
            # Some firmware leaves the inner tt:Message out and puts its parts into the outer one.
            message = xml.child(one, "Message")
        if not topic or message is None:
            continue
        yield Notification(
            topic,
            message.get("PropertyOperation", ""),
            soap.timestamp(message.get("UtcTime", "")),
            {**_items(xml.child(message, "Source")), **_items(xml.child(message, "Key"))},
            _items(xml.child(message, "Data")),
        )


def _items(group: Element | None) -> dict[str, str]:
    items: dict[str, str] = {}
    for item in xml.children(group, "SimpleItem"):
        if len(items) >= ITEMS_LIMIT:
            break
        items[item.get("Name", "")[:64]] = item.get("Value", "")[:256]
    return items
