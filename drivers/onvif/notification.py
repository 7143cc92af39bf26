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


_PARTS = ("NotificationMessage", "Topic", "Message", "SimpleItem")


def notifications(reply: Element) -> Iterator[Notification]:
    """All notification messages of a PullMessagesResponse or a Notify."""
    parts = xml.pick(reply, *_PARTS)
    if parts and (xml.local(parts[0]), xml.local(parts[-1])) != ("NotificationMessage", "SimpleItem"):
        # Messages begin with themselves, and nearly all end with an item. Otherwise prefixes may be undeclared in
        # part: there is firmware that declares tt: and not wsnt:.
        parts = xml.pick_slowly(reply, *_PARTS)
    count, topic, message = 0, "", None
    source: dict[str, str] = {}
    data: dict[str, str] = {}
    for part in parts:
        name = xml.local(part)
        if name == "SimpleItem":
            group = part.getparent()
            items = data if group is not None and xml.local(group) == "Data" else source
            if len(items) < ITEMS_LIMIT:
                items[part.get("Name", "")[:64]] = part.get("Value", "")[:256]
        elif name == "Message":
            # The last one is the inner tt:Message; some firmware leaves that out and puts its parts into the outer one.
            message = part
        elif name == "Topic":
            topic = topics.bare(part.text or "")
        else:
            if message is not None and topic:
                yield _notification(topic, message, source, data)
            count += 1
            if count > MESSAGES_LIMIT:
                return
            topic, message, source, data = "", None, {}, {}
    if message is not None and topic:
        yield _notification(topic, message, source, data)


def _notification(topic: str, message: Element, source: dict[str, str], data: dict[str, str]) -> Notification:
    time = soap.timestamp(message.get("UtcTime", ""))
    return Notification(topic, message.get("PropertyOperation", ""), time, source, data)
