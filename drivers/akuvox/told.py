"""What a panel tells of one thing that happened, by whichever way: an action URL, a line of syslog, the door log.

The three ways tell of the same things, and none has a number that the others have. So that everything is heard once,
equal things are matched one to one: what one way told and another has not told yet is what the other tells next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from drivers.transports.cards import from_hex

REMEMBERED = 200
KEYS = {
    "card": "card", "rf card": "card", "rfcard": "card", "rf": "card", "rfid": "card", "ic card": "card",
    "pin": "code", "private pin": "code", "public pin": "code", "code": "code", "password": "code",
    "temporary pin": "code", "face": "face", "face recognition": "face", "qr": "qr", "qr code": "qr", "qrcode": "qr",
    "nfc": "nfc", "ble": "bluetooth", "bluetooth": "bluetooth", "fingerprint": "fingerprint",
    "license plate": "plate", "plate": "plate",
}  # fmt: skip
OPENERS = {
    "input": "button", "exit button": "button", "button": "button", "http": "api", "http api": "api", "api": "api",
    "web": "api", "remote": "api", "dtmf": "dtmf", "call": "call", "call unlock": "call", "schedule": "schedule",
    "indoor monitor": "handset", "handset": "handset",
}  # fmt: skip


class Way(StrEnum):
    URL = "url"
    LINE = "line"
    LOG = "log"


class Signal(StrEnum):
    """What becomes of a call."""

    START = "start"  # a button was pressed; each leg of the call says so
    PROGRESS = "progress"
    INCOMING = "incoming"  # somebody calls the panel
    ANSWERED = "answered"
    LEG_OVER = "leg_over"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class CallSignal:
    """`leg`: sip or analog, "" where it concerns the call as a whole. `at`: as `DeviceEvent.source_time`."""

    signal: Signal
    leg: str = ""
    peer: str = ""
    apartment: str = ""
    at: float | None = None
    topic: str = ""
    hint: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and what makes it the same as one that another way tells: `kind`, and `detail` where both know it.
    An empty `kind`: no other way tells of it."""

    event: DeviceEvent
    kind: str = ""
    detail: str = ""


@dataclass(slots=True)
class _Heard:
    kind: str
    detail: str
    at: float
    ways: set[Way] = field(default_factory=set)


class Once:
    """Which of the things that are told are news. Times are monotonic."""

    __slots__ = ("_heard",)

    def __init__(self) -> None:
        self._heard: deque[_Heard] = deque(maxlen=REMEMBERED)

    def is_news(self, told: Told, way: Way, now: float, window: float) -> bool:
        """`window`: for so many seconds back another way may have told of it already."""
        if not told.kind:
            return True
        for one in self._heard:
            fits = one.kind == told.kind and (one.detail == told.detail or not one.detail or not told.detail)
            if fits and way not in one.ways and now - one.at <= window:
                one.ways.add(way)
                one.detail = one.detail or told.detail
                return False
        self._heard.append(_Heard(told.kind, told.detail, now, {way}))
        return True

    def live(self, since: float) -> list[tuple[str, str]]:
        """Kind and detail of what was told since then, and not yet by the door log."""
        return [(one.kind, one.detail) for one in self._heard if one.at >= since and Way.LOG not in one.ways]

    def told_live(self, kind: str, detail: str, now: float) -> None:
        """It was told in an earlier life of the bridge: only the door log can still tell of it."""
        self._heard.append(_Heard(kind, detail, now, {Way.URL, Way.LINE}))


def card(number: str) -> str:
    """The number of a card in our own way, "" for what is none."""
    try:
        return from_hex(number)
    except ProtocolError:
        return ""


def access(
    by: str, granted: bool, *, credential: str = "", user: str = "", output: str = "", at: float | None, topic: str
) -> Told:
    """Somebody showed a key. Only the number of a card is passed on: a code is a secret."""
    number = card(credential) if by == "card" else ""
    data = _told({"by": by, "granted": str(granted).lower(), "credential": number, "user": user, "output": output})
    event = DeviceEvent(EventKind.ACCESS, source=output, source_time=at, topic=topic, data=data)
    return Told(event, f"access {by} {granted}", number)


def opened(by: str, output: str, *, peer: str = "", at: float | None, topic: str) -> Told:
    """A door was opened without a key. Whether it is still open is not told."""
    data = _told({"by": by, "output": output, "peer": peer})
    return Told(DeviceEvent(EventKind.LOCK, source=output, source_time=at, topic=topic, data=data), "lock", output)


def _told(data: Mapping[str, str]) -> dict[str, str]:
    return {key: value[:256] for key, value in data.items() if value}
