"""What a Flussonic server reports to its event sinks: batches in, each event once, by its meaning. No I/O.

Names of the vendor's OpenAPI documents (23.01 and later) and, for servers up to 20, of its older manuals.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.clock import Wake
from bridge.errors import ProtocolError
from bridge.model import EventKind
from drivers.flussonic.api import number

QUEUE = 10_000  # events that wait to be looked at; a batch that does not fit any more is refused, and sent again
REMEMBERED = 20_000  # events that are known again when they are sent again: more than a sink keeps (sink.RESEND_LIMIT)
ITEMS = 32
_TEXT = 256
# What may carry a password in a URL, wherever it stands in a text: user and password, and the query.
_LOGIN = re.compile(r'://(?:[^\s"]*@)?([^\s"?]*)(?:\?[^\s"]*)?')


@dataclass(frozen=True, slots=True)
class Meaning:
    """`up` is for EventKind.STREAM: whether a stream began or ended. `active` as in `DeviceEvent`."""

    kind: EventKind
    up: bool | None = None
    active: bool | None = None


_BEGAN, _ENDED = Meaning(EventKind.STREAM, up=True), Meaning(EventKind.STREAM, up=False)
_STORAGE = Meaning(EventKind.HARDWARE)
MEANINGS: dict[str, Meaning] = {
    # A source is one of several inputs of a stream: one that closes may be followed by another one.
    "source_started": _BEGAN,
    "source_closed": _ENDED,
    "stream_closed": _ENDED,
    "frames_restored": _BEGAN,
    "frames_timed_out": _ENDED,
    # up to version 20, and still in examples of 26
    "source_ready": _BEGAN,
    "source_lost": _ENDED,
    "stream_started": _BEGAN,
    "stream_stopped": _ENDED,
    # The documents have both spellings.
    "motion_started": Meaning(EventKind.MOTION, active=True),
    "motion_stopped": Meaning(EventKind.MOTION, active=False),
    "stream_motion_started": Meaning(EventKind.MOTION, active=True),
    "stream_motion_stopped": Meaning(EventKind.MOTION, active=False),
    "server_started": Meaning(EventKind.REBOOT),
    "config_external_error": Meaning(EventKind.SYSTEM),
    "dvr_drop_write": _STORAGE,
    "dvr_collapsed_write": _STORAGE,
    "transcoder_device_insufficient_resources": Meaning(EventKind.HARDWARE),
}
# What our sink asks to be spared: viewers, restreams and counters, hundreds a second on a busy server.
CHATTY = (
    *(f"play_{state}" for state in ("opened", "started", "updated", "closed")),
    *(f"push_{state}" for state in ("opened", "connected", "started", "updated", "closed", "reconfigured")),
    "source_updated",
    "stream_updated",
    "api_call",
    "ad_injected",
    "dvr_new_fragment",
)
# Known, and nothing follows from it. (Servers that do not know `except` send the chatty ones as well.)
NOISE = frozenset({*CHATTY, "source_opened", "source_connected", "stream_opened", "server_starting", "dvr_clean"})


@dataclass(frozen=True, slots=True)
class Event:
    """`media` is the stream's name, "" where it concerns the server; `at` in seconds since the epoch by its clock."""

    name: str
    media: str
    at: float | None
    data: Mapping[str, str]


class Inbox:
    """Between the listener, which answers at once, and whoever looks at the events. Bounded; what falls away is
    counted."""

    __slots__ = ("_queue", "_seen", "ignored", "over", "repeated", "wake")

    def __init__(self) -> None:
        self.wake = Wake()
        self.over = False
        self.repeated = 0  # sent again by the server because it was not sure of our answer
        self.ignored = 0  # known to mean nothing
        self._queue: deque[Event] = deque()
        self._seen: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def take_in(self, body: bytes) -> None:
        """A batch, wholly or not at all. ProtocolError for what is none, asyncio.QueueFull."""
        fresh: dict[int, Event] = {}
        for item in _batch(body):
            name = item.get("event")
            if not isinstance(name, str) or not name:
                raise ProtocolError("an event without a name", body)
            if name in NOISE:
                self.ignored += 1
                continue
            # After a restart the numbers begin anew, so a number alone tells nothing.
            identity = hash((name, str(item.get("media")), str(item.get("event_id")), str(item.get("utc_ms"))))
            if identity in self._seen or identity in fresh:
                self.repeated += 1
                continue
            fresh[identity] = _event(name, item)
        if self._queue and len(self._queue) + len(fresh) > QUEUE:
            raise asyncio.QueueFull
        self._queue.extend(fresh.values())
        self._seen.update(dict.fromkeys(fresh))
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self.wake.set()

    def pop(self) -> Event | None:
        return self._queue.popleft() if self._queue else None

    def end(self) -> None:
        """Nobody waits any longer."""
        self.over = True
        self.wake.set()


def _batch(body: bytes) -> list[dict[str, Any]]:
    try:
        items = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("a call that is not JSON", body) from None
    items = items if isinstance(items, list) else [items]
    if not all(isinstance(item, dict) for item in items):
        raise ProtocolError("a call that is no list of events", body)
    return items


def _event(name: str, item: Mapping[str, Any]) -> Event:
    media, at = item.get("media"), number(item.get("utc_ms"))
    return Event(
        name=name[:_TEXT],
        media=media[:_TEXT] if isinstance(media, str) else "",
        at=None if at is None else at / 1000,
        data=dict(_data(item)),
    )


def _data(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What it says besides, for people. URLs of cameras have passwords in them, which are nobody's business."""
    found = []
    for key, value in item.items():
        if key in ("event", "media", "utc_ms") or value is None:
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        found.append((key[:64], _LOGIN.sub(r"://\1", text[:2048])[:_TEXT]))
    return found[:ITEMS]
