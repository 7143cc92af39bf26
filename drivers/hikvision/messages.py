"""What a panel reports, in its event stream, to its webhook or in its log: each message to one event. Pure.

A message is an EventNotificationAlert, XML or JSON, with the same words in both. Facts from Hikvision's ISAPI documents
(general applications, access control by person), codes from the event tables of its device network SDK.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from drivers.hikvision.models import Traits
from drivers.hikvision.words import TEXT, card, clean, inner, json_of, moment, whole
from drivers.transports import xml

FIELDS = 32  # of a message, for people
DEPTH = 6
ELEMENTS = 512
# What may be or hold a secret, and what is a link with a session in it.
_PRIVATE = re.compile(r"pass|pwd|pin|secret|token|url|uri|cardno|credential", re.IGNORECASE)
# Said by every message and of no use to people.
_DULL = frozenset(
    (
        *("eventType", "eventState", "dateTime", "activePostCount", "ipAddress", "ipv6Address", "portNo", "protocol"),
        *("macAddress", "channelID", "serialNo", "frontSerialNo", "currentEvent", "deviceID", "picturesNumber"),
        *("major", "minor", "majorEventType", "subEventType", "time", "cardReaderKind", "verifyNo", "statusValue"),
    )
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """`by`, `granted` and `state` go into the event's data. One condition has one `topic`, beginning or ending."""

    kind: EventKind
    topic: str
    active: bool | None = None
    by: str = ""
    granted: bool | None = None
    state: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """`serial` is its number in the panel's log, None for what is not kept there; `live` is false for what the panel
    had kept and tells now."""

    event: DeviceEvent
    key: str | None = None
    serial: int | None = None
    live: bool = True


def _access(by: str, granted: bool, reason: str = "") -> Meaning:
    return Meaning(EventKind.ACCESS, f"access/{by}", by=by, granted=granted, reason=reason)


_DOOR, _LOCK, _TAMPER, _BUTTON = "access/door", "access/lock", "access/tamper", "access/exit-button"
# By major and minor type. 27 and 38 mean something else in some people's lists (an exit button, a card): these are the
# vendor's. 38 and 39 are only believed of units with a reader for fingerprints.
CODES: Mapping[tuple[int, int], Meaning] = {
    (1, 3): Meaning(EventKind.MOTION, "access/motion", True),
    (1, 1028): Meaning(EventKind.TAMPER, _TAMPER, True),
    (1, 1029): Meaning(EventKind.TAMPER, _TAMPER, False),
    (3, 123): Meaning(EventKind.SYSTEM, "access/remote-reboot", reason="rebooted from outside"),
    (3, 1024): _access("api", True),
    (5, 1): _access("card", True),
    (5, 2): _access("card", True, "with a code"),
    (5, 3): _access("card", False, "wrong code"),
    (5, 6): _access("card", False, "no right"),
    (5, 7): _access("card", False, "wrong period"),
    (5, 8): _access("card", False, "expired"),
    (5, 9): _access("card", False, "unknown"),
    (5, 21): Meaning(EventKind.LOCK, _LOCK, True),
    (5, 22): Meaning(EventKind.LOCK, _LOCK, False),
    (5, 23): Meaning(EventKind.INPUT, _BUTTON, True),
    (5, 24): Meaning(EventKind.INPUT, _BUTTON, False),
    (5, 25): Meaning(EventKind.DOOR, _DOOR, True, state="open"),
    (5, 26): Meaning(EventKind.DOOR, _DOOR, False, state="closed"),
    (5, 27): Meaning(EventKind.DOOR, f"{_DOOR}/forced", True, state="forced"),
    (5, 28): Meaning(EventKind.DOOR, f"{_DOOR}/held", True, state="held"),
    (5, 37): Meaning(EventKind.CALL, "call", state="ringing"),
    (5, 38): _access("fingerprint", True),
    (5, 39): _access("fingerprint", False),
    (5, 75): _access("face", True),
    (5, 76): _access("face", False),
    (5, 92): Meaning(EventKind.DOOR, f"{_DOOR}/forced", True, state="forced"),
    (5, 148): _access("code", False, "too many tries"),
    (5, 150): _access("code", False),
    (5, 181): _access("code", True),
}
# Logins over the network, our own above all.
NOISE = frozenset({(3, 112), (3, 113)})
_FINGERPRINTS = frozenset({(5, 38), (5, 39)})
# Exceptions of the unit itself, whatever their number.
_EXCEPTION = Meaning(EventKind.SYSTEM, "access/exception")

# eventType of other alerts, in lower case.
ALERTS: Mapping[str, EventKind] = {
    "vmd": EventKind.MOTION,
    "pir": EventKind.MOTION,
    "videoloss": EventKind.SIGNAL_LOSS,
    "tamperdetection": EventKind.TAMPER,
    "shelteralarm": EventKind.TAMPER,
    "io": EventKind.INPUT,
    "linedetection": EventKind.ANALYTICS,
    "fielddetection": EventKind.ANALYTICS,
    "facedetection": EventKind.ANALYTICS,
    "diskfull": EventKind.HARDWARE,
    "diskerror": EventKind.HARDWARE,
    "nicbroken": EventKind.SYSTEM,
    "ipconflict": EventKind.SYSTEM,
    "illaccess": EventKind.SYSTEM,
}
HEARTBEATS = frozenset({"videoloss", "heartbeat"})
# cmdType of a voiceTalkEvent.
TALK: Mapping[str, str] = {
    "request": "ringing",
    "answer": "answered",
    "cancel": "missed",
    "reject": "missed",
    "bellTimeout": "missed",
    "callFailed": "missed",
    "hangUp": "ended",
    "callTimeout": "ended",
}


@dataclass(slots=True)
class Messages:
    """Of one panel. `zone` in seconds east of UTC is for times without an offset."""

    channel: str
    traits: Traits = field(default_factory=lambda: Traits(rings=False))
    zone: int = 0
    ignored: int = 0
    _losses: bool = False
    _raised: set[str] = field(default_factory=set)

    def read(self, body: bytes) -> list[Message] | None:
        """What a message says; None for a heartbeat. Raises ProtocolError for what is none."""
        said = _said(body)
        kind = _text(said.get("eventType"))
        if not kind:
            raise ProtocolError("a message without an eventType", body)
        if kind == "AccessControllerEvent":
            return self.access(inner(said, kind), _text(said.get("dateTime")))
        if kind == "voiceTalkEvent":
            return self._talk(inner(said, "VoiceTalkEvent"), said)
        active = _text(said.get("eventState")).lower() != "inactive"
        if kind.lower() in HEARTBEATS and not active and not self._losses:
            return None
        return self._alert(kind, active, said)

    def access(self, said: Mapping[str, Any], when: str) -> list[Message]:
        """An AccessControllerEvent of the stream, or an entry of the log, which calls its fields differently."""
        major = whole(said.get("majorEventType", said.get("major")))
        minor = whole(said.get("subEventType", said.get("minor")))
        if major is None or minor is None:
            raise ProtocolError("an access event without its type")
        code = (major, minor)
        if code in NOISE:
            self.ignored += 1
            return []
        meaning = CODES.get(code, _EXCEPTION if major == 2 else None)
        if code in _FINGERPRINTS and not self.traits.fingerprints:
            meaning = None
        topic = meaning.topic if meaning else f"AccessControllerEvent/{major}/{minor}"
        data = {"code": f"{major}/{minor}", **_meant(meaning, said)}
        data |= {key: value for key, value in _plain(said) if key not in data and meaning is None}
        at, serial = moment(when, self.zone), whole(said.get("serialNo"))
        event = DeviceEvent(
            kind=meaning.kind if meaning else EventKind.VENDOR,
            channel=self.channel,
            source=_source(said),
            active=meaning.active if meaning else None,
            source_time=at,
            topic=topic,
            data=data,
        )
        # Serial numbers begin anew after 100,000 events, and after a reset.
        key = None if serial is None or at is None else f"{major}.{minor}.{serial}.{at:.0f}"
        live = said.get("currentEvent") not in (False, "false")
        return [Message(one, key if one is event else None, serial, live) for one in self._with_ends(event)]

    def _with_ends(self, event: DeviceEvent) -> Iterator[DeviceEvent]:
        """A door that closes is no longer held or forced open, either."""
        yield event
        if event.kind is EventKind.DOOR and event.topic != _DOOR:
            self._raised.add(event.topic)
        elif event.topic == _DOOR and event.active is False:
            for topic in sorted(self._raised):
                yield DeviceEvent(
                    EventKind.DOOR, event.channel, event.source, False, source_time=event.source_time, topic=topic,
                    data={"state": "closed"},
                )  # fmt: skip
            self._raised.clear()

    def _talk(self, said: Mapping[str, Any], around: Mapping[str, Any]) -> list[Message]:
        command = _text(said.get("cmdType"))
        state, target = TALK.get(command, ""), inner(said, "target")
        data = {"state": state} if state else {"cmdType": command}
        room = whole(target.get("roomNumber"))
        if room is not None:
            data["apartment"] = str(room)
        if peer := _text(target.get("unitType")):
            data["peer"] = peer
        at, serial = moment(around.get("dateTime"), self.zone), whole(said.get("serialNo"))
        event = DeviceEvent(
            EventKind.CALL if state else EventKind.VENDOR,
            self.channel,
            source_time=at,
            topic="call" if state else "voiceTalkEvent",
            data=data,
        )
        key = None if serial is None or at is None else f"talk.{command}.{serial}.{at:.0f}"
        return [Message(event, key, serial, said.get("currentEvent") not in (False, "false"))]

    def _alert(self, kind: str, active: bool, said: Mapping[str, Any]) -> list[Message]:
        meaning = ALERTS.get(kind.lower())
        if meaning is EventKind.SIGNAL_LOSS:
            self._losses = active
        if meaning is None and (whole(said.get("activePostCount")) or 1) > 1:
            self.ignored += 1  # the same once more: what goes on is posted over and over
            return []
        source = next((text for key in _SOURCES if (text := _text(said.get(key)))), "")
        event = DeviceEvent(
            kind=meaning or EventKind.VENDOR,
            channel=self.channel,
            source=source,
            active=active if meaning else None,
            source_time=moment(said.get("dateTime"), self.zone),
            topic=kind,
            data=dict(list(_plain(said))[:FIELDS]),
        )
        return [Message(event)]


_SOURCES = ("inputIOPortID", "dynInputIOPortID", "channelID", "dynChannelID")


def _meant(meaning: Meaning | None, said: Mapping[str, Any]) -> dict[str, str]:
    if meaning is None:
        return {}
    data = {"by": meaning.by, "state": meaning.state, "reason": meaning.reason}
    if meaning.granted is not None:
        data["granted"] = "true" if meaning.granted else "false"
    if meaning.by == "card":
        data["credential"] = card(said.get("cardNo"))
    if meaning.kind is EventKind.ACCESS:
        # On an opening from outside, netUser is the account that asked for it.
        names = ("employeeNoString", "employeeNo", "netUser")
        data["user"] = next((text for name in names if (text := _text(said.get(name)))), "")
        data["name"] = _text(said.get("name"))
    return {key: value for key, value in data.items() if value}


def _source(said: Mapping[str, Any]) -> str:
    number = whole(said.get("doorNo"))
    return "" if number is None else f"door {number}"


def _plain(said: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """What it says besides, for people, flat."""
    for key, value in said.items():
        if key in _DULL or _PRIVATE.search(key):
            continue
        if isinstance(value, dict):
            if depth < DEPTH:
                yield from _plain(value, depth + 1)
        elif not isinstance(value, list) and (text := _text(value)):
            yield clean(key, 64), text


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return clean(str(value)[:TEXT]) if isinstance(value, str | int) and value != "" else ""


def _said(body: bytes) -> dict[str, Any]:
    """The fields of a message: JSON as it is, XML by local names."""
    start = body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1]
    if start == b"{":
        return json_of(body.lstrip(b" \t\r\n\xef\xbb\xbf"))
    if start == b"<":
        root = xml.parse(body)
        if xml.local(root) != "EventNotificationAlert":
            raise ProtocolError("a message that is no EventNotificationAlert", body)
        return _tree(root, [ELEMENTS], 0)
    raise ProtocolError("a message that is neither XML nor JSON", body)


def _tree(element: xml.Element, left: list[int], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in element:
        left[0] -= 1
        if left[0] < 0:
            break
        name = xml.local(one)
        if name and name not in found:
            found[name] = _tree(one, left, depth + 1) if len(one) and depth < DEPTH else (one.text or "").strip()
    return found
