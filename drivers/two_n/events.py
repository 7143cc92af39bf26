"""What the event log of a 2N intercom says: each event by its meaning, without codes. No I/O.

Names and parameters of the vendor's manual, sections 5.10.1 and 5.10.2 (2.10 to 2.50).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from drivers.transports.cards import from_hex
from drivers.two_n.replies import flag, number, text

HELD = 30.0  # seconds in which the device says whether a credential that it knows lets in
_SESSIONS = 16
_ITEMS = 16
_WORD = 64
_TEXT = 200
# Digits that somebody typed, whatever for, are nobody's business: they may be a code that opens the door.
SECRET = frozenset({"code", "pin", "password", "dtmf", "digits", "credential"})
_SIP = re.compile(r"^(sips?:[^:@\s]{0,64}):[^@\s]*@")


@dataclass(frozen=True, slots=True)
class Meaning:
    """`state` is the parameter that says whether it began or ended, `source` the one that says where; `whole`: it
    concerns the device and not its door."""

    kind: EventKind
    state: str = ""
    source: str = ""
    whole: bool = False
    data: Mapping[str, str] | None = None


_SYSTEM = Meaning(EventKind.SYSTEM, whole=True)
MEANINGS: Mapping[str, Meaning] = {
    "DeviceState": Meaning(EventKind.REBOOT, whole=True),
    "DoorOpenTooLong": Meaning(EventKind.DOOR, "state", data={"state": "held"}),
    "UnauthorizedDoorOpen": Meaning(EventKind.DOOR, "state", data={"state": "forced"}),
    "TamperSwitchActivated": Meaning(EventKind.TAMPER, "state"),
    "MotionDetected": Meaning(EventKind.MOTION, "state", "id"),
    "NoiseDetected": Meaning(EventKind.ANALYTICS, "state"),
    "InputChanged": Meaning(EventKind.INPUT, "state", "port"),
    "VirtualInput": Meaning(EventKind.INPUT, "state", "port"),
    "RexActivated": Meaning(EventKind.INPUT, source="ap"),
    "OutputChanged": Meaning(EventKind.RELAY, "state", "port"),
    "VirtualOutput": Meaning(EventKind.RELAY, "state", "port"),
    "RegistrationStateChanged": Meaning(EventKind.SYSTEM, source="sipAccount", whole=True),
    "LoginBlocked": _SYSTEM,
    "SilentAlarm": _SYSTEM,
    "AccessLimited": Meaning(EventKind.SYSTEM, "state", "ap", whole=True),
    "AccessBlocked": Meaning(EventKind.SYSTEM, "state", "ap", whole=True),
    "SwitchesBlocked": Meaning(EventKind.SYSTEM, "state", whole=True),
    "ErrorStateChanged": _SYSTEM,
    "RescueStateChanged": _SYSTEM,
    "HardwareChanged": Meaning(EventKind.HARDWARE, whole=True),
    "AudioLoopTest": Meaning(EventKind.HARDWARE, whole=True),
    "ConfigurationChanged": Meaning(EventKind.CONFIG_CHANGED, whole=True),
    "CapabilitiesChanged": Meaning(EventKind.CONFIG_CHANGED, whole=True),
}
# What somebody shows at the door, and by what name we know it.
CREDENTIALS: Mapping[str, str] = {
    "CardEntered": "card",
    "CodeEntered": "code",
    "FingerEntered": "finger",
    "MobKeyEntered": "mobile",
    "LicensePlateRecognized": "plate",
    "DtmfEntered": "dtmf",
    "ApiAccessRequested": "api",
}
# Those that the device judges by themselves: nothing more follows.
_FINAL = frozenset({"DtmfEntered", "ApiAccessRequested"})
ORIGINATORS: Mapping[str, str] = {
    "profile": "schedule",
    "api": "api",
    "ap": "access",
    "auth": "access",
    "rex": "button",
    "idt": "call",
    "dtmf": "dtmf",
    "uni": "code",
    "zone": "code",
    "automation": "automation",
}
_CALLS: Mapping[str, str] = {"ringing": "ringing", "connected": "answered", "terminated": "ended"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `at` is when, by the device's clock; `up` how long it had been running, seconds."""

    id: int
    name: str
    at: float | None
    up: float | None
    params: Mapping[str, Any]

    @property
    def boot(self) -> float:
        """When the device was started, by its own clock: what tells its ids apart from those before a restart."""
        return (self.at or 0.0) - (self.up or 0.0)


def entry(item: Any) -> Entry:
    """Raises ProtocolError for what is no event."""
    if not isinstance(item, dict):
        raise ProtocolError("an event that is no object")
    name, params, at, up = (
        item.get("event"),
        item.get("params"),
        number(item.get("utcTime")),
        number(item.get("upTime")),
    )
    told = item.get("id")
    if not isinstance(name, str) or not name or not isinstance(told, int):
        raise ProtocolError("an event without a name or a number")
    return Entry(told, name[:_WORD], at, up, params if isinstance(params, dict) else {})


class Reader:
    """Makes events of the log's lines. Some belong together: what somebody shows at the door, and whether it lets them
    in; the legs of a call. `resolves`: this firmware tells both halves of the first."""

    __slots__ = ("_answered", "_key", "_shown", "resolves")

    def __init__(self, channel: str) -> None:
        self._key = channel
        self._shown: OrderedDict[str, tuple[float, DeviceEvent]] = OrderedDict()  # by session; until when
        self._answered: OrderedDict[str, None] = OrderedDict()
        self.resolves = True

    def read(self, line: Entry, now: float) -> list[DeviceEvent]:
        """`now` is monotonic, seconds."""
        if line.name in ("KeyPressed", "KeyReleased"):
            return self._pressed(line)
        if line.name in CREDENTIALS:
            return self._presented(line, now)
        if line.name in ("UserAuthenticated", "UserRejected"):
            return self._judged(line)
        if line.name == "CallStateChanged":
            return [self._call(line)]
        if line.name == "SwitchStateChanged":
            by = ORIGINATORS.get(text(line.params.get("originator")), "")
            source, active = _word(line.params.get("switch")), flag(line.params.get("state"))
            return [self._event(line, EventKind.LOCK, source=source, active=active, more={"by": by} if by else {})]
        if line.name == "DoorStateChanged":
            opened = line.params.get("state") == "opened"
            more = {"state": "open" if opened else "closed"}
            return [self._event(line, EventKind.DOOR, active=opened, more=more)]
        meaning = MEANINGS.get(line.name)
        if meaning is None or (line.name == "DeviceState" and line.params.get("state") != "startup"):
            return [self._event(line, EventKind.VENDOR)]
        made = self._event(
            line,
            meaning.kind,
            source=_word(line.params.get(meaning.source)) if meaning.source else "",
            active=flag(line.params.get(meaning.state)) if meaning.state else None,
            more=meaning.data or {},
        )
        return [replace(made, channel=None) if meaning.whole else made]

    def overdue(self, now: float) -> list[DeviceEvent]:
        """What was shown, and never judged: the account may lack the privilege to hear of users."""
        found = []
        while self._shown and next(iter(self._shown.values()))[0] <= now:
            found.append(self._shown.popitem(last=False)[1][1])
        return found

    def _pressed(self, line: Entry) -> list[DeviceEvent]:
        key = text(line.params.get("key"))
        if not key.startswith("%"):
            return []  # a digit of a code, perhaps
        pressed = line.name == "KeyPressed"
        made = self._event(line, EventKind.INPUT, source=key, active=pressed)
        return [replace(made, topic="Key")]

    def _presented(self, line: Entry, now: float) -> list[DeviceEvent]:
        by, valid = CREDENTIALS[line.name], flag(line.params.get("valid"))
        more = {"by": by, "granted": "false" if valid is False else "true"}
        if by == "card" and (uid := _card(line.params.get("uid"))):
            more["credential"] = uid
        if by == "plate" and (plate := text(line.params.get("licensePlate"))[:16]):
            more["credential"] = plate
        made = self._event(line, EventKind.ACCESS, more=more, without=("valid", "uid", "licensePlate"))
        session = _word(line.params.get("session"))
        if valid is False or not session or not self.resolves or line.name in _FINAL:
            return [made]
        early = self._shown.pop(session, None)  # the first of two factors
        self._shown[session] = (now + HELD, made)
        if len(self._shown) > _SESSIONS:
            early = self._shown.popitem(last=False)[1]
        return [] if early is None else [early[1]]

    def _judged(self, line: Entry) -> list[DeviceEvent]:
        granted = line.name == "UserAuthenticated"
        more = {"granted": "true" if granted else "false"}
        if user := text(line.params.get("name")):
            more["user"] = user[:_WORD]
        shown = self._shown.pop(_word(line.params.get("session")), None)
        if shown is not None:
            more = {**shown[1].data, **more}
        elif not granted and line.params.get("reason") == "invalidCredential":
            return []  # told already, by the credential itself
        elif not self.resolves:
            return []
        return [self._event(line, EventKind.ACCESS, more=more, without=("name", "apbBroken"))]

    def _call(self, line: Entry) -> DeviceEvent:
        session = _word(line.params.get("session"))
        state = _CALLS.get(text(line.params.get("state")))
        if state is None:
            return self._event(line, EventKind.VENDOR)
        if state == "answered":
            self._answered[session] = None
            if len(self._answered) > _SESSIONS:
                self._answered.popitem(last=False)
        elif state == "ended" and session not in self._answered and line.params.get("direction") == "outgoing":
            state = "missed"
        return self._event(line, EventKind.CALL, more={"state": state})

    def _event(
        self,
        line: Entry,
        kind: EventKind,
        *,
        source: str = "",
        active: bool | None = None,
        more: Mapping[str, str] | None = None,
        without: tuple[str, ...] = (),
    ) -> DeviceEvent:
        data = {**_data(line.params, without), **(more or {})}
        return DeviceEvent(
            kind, self._key, source=source, active=active, source_time=line.at, topic=line.name, data=data
        )


def _data(params: Mapping[str, Any], without: tuple[str, ...]) -> dict[str, str]:
    """What it says besides, for people."""
    found: dict[str, str] = {}
    for key, value in params.items():
        if key in without or key.lower() in SECRET or len(found) >= _ITEMS:
            continue
        if isinstance(value, bool):
            found[key[:_WORD]] = str(value).lower()
        elif isinstance(value, str | int | float):
            found[key[:_WORD]] = _SIP.sub(r"\1@", str(value)[: _TEXT * 2])[:_TEXT]
    return found


def _word(value: Any) -> str:
    return str(value)[:_WORD] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _card(value: Any) -> str:
    """As everybody behind the bridge writes it; "" for what is no number of a card."""
    try:
        return from_hex(text(value))
    except ProtocolError:
        return ""
