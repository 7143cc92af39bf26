"""What an Axis device tells on its event stream, by its meaning. No I/O.

Topics of the vendor's pages on I/O, the call service, the intercom service and events, and of ONVIF; namespaces
(`tns1:`, `tnsaxis:`) are left out here, because firmware differs in where it puts them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from drivers.axis.answers import Roles
from drivers.transports.cards import from_hex

EVERYTHING = "//."
KNOWN = 500  # states of one subscription, that are told apart from their first telling
ITEMS = 24
_TEXT = 256
_NAMESPACE = re.compile(r"\b[A-Za-z][A-Za-z0-9]*:")
_ON = frozenset({"1", "true", "active", "high", "yes", "on"})
_OFF = frozenset({"0", "false", "inactive", "low", "no", "off"})
OLD = 3.0  # seconds before we asked; what happened before that is told because we asked
SETTLING = 10.0  # seconds in which a device has told its states to a new listener


@dataclass(frozen=True, slots=True)
class Meaning:
    """`value` names the data item that says whether it is active; "" for something momentary. `state`: the device
    tells it to every new listener."""

    kind: EventKind
    value: str = ""
    state: bool = False


def _state(kind: EventKind, value: str) -> Meaning:
    return Meaning(kind, value, state=True)


MEANINGS: Mapping[str, Meaning] = {
    "Device/IO/Port": _state(EventKind.INPUT, "state"),
    "Device/IO/OutputPort": _state(EventKind.RELAY, "state"),
    "Device/IO/VirtualPort": _state(EventKind.INPUT, "state"),
    "Device/IO/VirtualInput": _state(EventKind.INPUT, "active"),
    "Device/Trigger/DigitalInput": _state(EventKind.INPUT, "LogicalState"),
    "Device/Trigger/Relay": _state(EventKind.RELAY, "LogicalState"),
    "Device/IO/SupervisedPort": _state(EventKind.TAMPER, "tampered"),
    "Device/Casing/Open": _state(EventKind.TAMPER, "Open"),
    "Device/Tampering/ShockDetected": Meaning(EventKind.TAMPER),
    "VideoSource/Tampering": Meaning(EventKind.TAMPER),
    "VideoSource/GlobalSceneChange/ImagingService": _state(EventKind.TAMPER, "State"),
    "Device/Sensor/PIR": _state(EventKind.MOTION, "state"),
    "VideoSource/MotionAlarm": _state(EventKind.MOTION, "State"),
    "RuleEngine/CellMotionDetector/Motion": _state(EventKind.MOTION, "IsMotion"),
    "RuleEngine/MotionRegionDetector/Motion": _state(EventKind.MOTION, "State"),
    "Call/State": _state(EventKind.CALL, ""),
    "Call/StateChange": Meaning(EventKind.CALL),
    "Call/DTMF": Meaning(EventKind.ACCESS),
    "Device/Intercom/RFID": Meaning(EventKind.ACCESS),
    "Device/Intercom/KeyPin": Meaning(EventKind.ACCESS),
    "Device/Intercom/DoorState": _state(EventKind.DOOR, ""),
    "Device/Intercom/MainState": _state(EventKind.VENDOR, ""),
    "Device/Intercom/KeypadState": _state(EventKind.VENDOR, ""),
    "AccessControl/AccessGranted/Credential": Meaning(EventKind.ACCESS),
    "AccessControl/Denied/Credential": Meaning(EventKind.ACCESS),
    "Device/Status/SystemReady": _state(EventKind.SYSTEM, "ready"),
    "Device/Network/Lost": _state(EventKind.SYSTEM, "lost"),
    "Device/Network/BlockedIP": Meaning(EventKind.SYSTEM),
    "Device/HardwareFailure/StorageFailure": _state(EventKind.HARDWARE, "disruption"),
    "Device/HardwareFailure/FanFailure": _state(EventKind.HARDWARE, "fan_failure"),
    "Device/HardwareFailure/PowerSupplyFailure": _state(EventKind.HARDWARE, "psu_failure"),
    "Device/RingPowerLimitExceeded": _state(EventKind.HARDWARE, "limit_exceeded"),
    "Storage/Disruption": _state(EventKind.HARDWARE, "disruption"),
    "VideoSource/DayNightVision": _state(EventKind.VENDOR, "day"),
    "VideoSource/LiveStreamAccessed": _state(EventKind.VENDOR, "accessed"),
}
# The first part of a topic, for families of topics: an application has one for each of its profiles.
FAMILIES: Mapping[str, Meaning] = {
    "CameraApplicationPlatform/VMD/": _state(EventKind.MOTION, "active"),
    "CameraApplicationPlatform/ObjectAnalytics/": _state(EventKind.ANALYTICS, "active"),
    "Device/Status/Temperature/": _state(EventKind.HARDWARE, "sensor_level"),
}
# Beats of a clock, and the beat of the event system itself: nothing happened.
NOISE = ("UserAlarm/Recurring/", "UserAlarm/GOP/Periodic", "Device/Heartbeat")
# ONVIF's word for what Axis's own topic tells better.
TWINS: Mapping[str, str] = {
    "Device/Trigger/DigitalInput": "Device/IO/Port",
    "Device/Trigger/Relay": "Device/IO/OutputPort",
}
# Call/StateChange, Reason (call service, CallStateChangeReason); Call/State, CallState.
REASONS: Mapping[str, str] = {
    "Initiated": "ringing",
    "AcceptedByRemote": "answered",
    "AcceptedByDevice": "answered",
    "NoAnswer": "missed",
    "Busy": "missed",
    "Denied": "missed",
    "Failed": "missed",
    "Terminated": "ended",
}
PHASES: Mapping[str, str] = {"Calling": "ringing", "Active": "answered"}
# What is passed on of an event about keys: nothing that could be a PIN.
_OF_KEYS = frozenset({"TagType", "TagSubType", "BitCount", "DTMFEventId", "AccessPointToken", "Reason", "Masked"})


@dataclass(frozen=True, slots=True)
class Notification:
    """`at` in seconds since the epoch by the device's clock; `topic` without namespaces, `said` as it was."""

    topic: str
    said: str
    at: float | None
    source: Mapping[str, str]
    data: Mapping[str, str]


def notification(text: str) -> Notification | None:
    """Of one message; None for one that is no event. Raises ProtocolError."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a message of its event stream is not JSON", text.encode(errors="replace")) from None
    if not isinstance(message, dict) or message.get("method") != "events:notify":
        return None
    told = _object(_object(message.get("params")).get("notification"))
    said = told.get("topic")
    if not isinstance(said, str) or not said:
        raise ProtocolError("an event without a topic", text.encode(errors="replace"))
    content, at = _object(told.get("message")), told.get("timestamp")
    return Notification(
        _NAMESPACE.sub("", said)[:_TEXT],
        said[:_TEXT],
        at / 1000 if isinstance(at, int | float) and not isinstance(at, bool) and 0 < at < 1e14 else None,
        _pairs(content.get("source")),
        _pairs(content.get("data")),
    )


def refused(text: str) -> str | None:
    """Whether a message is the answer to events:configure: "" when it was taken, else the device's reason; None for any
    other message. Raises ProtocolError."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ProtocolError("a message of its event stream is not JSON", text.encode(errors="replace"))
    if message.get("method") == "events:notify":
        return None
    error = message.get("error")
    if isinstance(error, dict):
        return f"code {str(error.get('code'))[:8]}"
    return "" if isinstance(message.get("data"), dict) else "no reason given"


class Reader:
    """One subscription: what was told in it, so that repeats of states are known as such, and calls are told once."""

    __slots__ = ("_asked_at", "_calling", "_channel", "_known", "_phase", "_topics", "ignored", "roles")

    def __init__(self, channel: str, roles: Roles, asked_at: float) -> None:
        self._channel = channel
        self.roles = roles
        self._asked_at = asked_at  # by the device's clock
        self._known: set[int] = set()
        self._topics: set[str] = set()
        self._phase = ""  # of the call that was told last
        self._calling = False  # the phase was told by Call/State
        self.ignored = 0

    def event(self, told: Notification, *, settling: bool) -> DeviceEvent | None:
        """`settling`: we have only just asked, so that a state may be told because of that. None for what is no news
        at all."""
        if told.topic.startswith(NOISE) or TWINS.get(told.topic) in self._topics:
            self.ignored += 1
            return None
        meaning = MEANINGS.get(told.topic) or next(
            (one for front, one in FAMILIES.items() if told.topic.startswith(front)), None
        )
        if meaning is None:
            # Whether it is a state, nobody knows; but it is old, and we have only just asked.
            old = settling and told.at is not None and told.at < self._asked_at - OLD
            return self._made(EventKind.VENDOR, told, None, initial=old)
        initial = meaning.state and self._first(told) and settling
        if told.topic in TWINS.values() and len(self._topics) < KNOWN:
            self._topics.add(told.topic)
        if told.topic in ("Call/State", "Call/StateChange"):
            return self._call(told, initial=initial)
        if meaning.kind is EventKind.ACCESS:
            return self._key(told)
        if told.topic == "Device/Intercom/DoorState":
            return self._door_state(told, initial=initial)
        active = _truth(told.data.get(meaning.value, "")) if meaning.value else None
        if meaning.kind in (EventKind.INPUT, EventKind.RELAY) and told.topic.startswith(("Device/IO/", "Device/Trig")):
            return self._port(meaning.kind, told, active, initial=initial)
        return self._made(meaning.kind, told, active, initial=initial)

    def _first(self, told: Notification) -> bool:
        """Whether it is the first telling of this state in this subscription."""
        key = hash((told.topic, tuple(sorted(told.source.items()))))
        if key in self._known or len(self._known) >= KNOWN:
            return False
        self._known.add(key)
        return True

    def _port(self, kind: EventKind, told: Notification, active: bool | None, *, initial: bool) -> DeviceEvent:
        name = next((told.source[one] for one in ("port", "RelayToken", "InputToken") if one in told.source), "")
        number = int(name) if name.isdecimal() and len(name) < 4 else None
        if told.topic.startswith("Device/IO/Virtual"):
            number = None  # virtual ports have numbers of their own
        if kind is EventKind.RELAY and number in self.roles.doors:
            data = {"output": str(self.roles.doors.index(number) + 1)}
            return self._made(EventKind.LOCK, told, active, initial=initial, data=data)
        if number is not None and number == self.roles.sensor:
            data = {} if active is None else {"state": "open" if active else "closed"}
            return self._made(EventKind.DOOR, told, active, initial=initial, data=data)
        if number in self.roles.tampers:
            return self._made(EventKind.TAMPER, told, active, initial=initial)
        return self._made(kind, told, active, initial=initial)

    def _call(self, told: Notification, *, initial: bool) -> DeviceEvent | None:
        """Both topics tell the same: Call/StateChange says who and why, and not every firmware has it."""
        if told.topic == "Call/StateChange":
            phase = REASONS.get(told.data.get("Reason", ""))
            if phase is None:
                return self._made(EventKind.VENDOR, told, None)
            told_before, self._phase, self._calling = self._calling and phase == self._phase, phase, False
            peer = {"peer": told.data["RemoteURI"]} if told.data.get("RemoteURI") else {}
            return None if told_before else self._made(EventKind.CALL, told, None, data={"state": phase, **peer})
        state = told.data.get("CallState", "")
        phase = PHASES.get(state) or ("missed" if self._phase == "ringing" else "ended")
        over = state not in PHASES and self._phase in ("", "ended", "missed")
        if initial or over or phase == self._phase:
            self._phase = phase if initial and state in PHASES else self._phase
            self.ignored += not initial
            return self._made(EventKind.CALL, told, None, initial=True, data={"state": phase}) if initial else None
        self._phase, self._calling = phase, True
        return self._made(EventKind.CALL, told, None, data={"state": phase})

    def _key(self, told: Notification) -> DeviceEvent:
        data = {name: value for name, value in told.data.items() if name in _OF_KEYS and value}
        match told.topic:
            case "Device/Intercom/RFID":
                data["by"] = "card"
                # Empty unless its configuration allows that (SensitiveRFIDEventEnabled).
                with suppress(ProtocolError):
                    data["credential"] = from_hex(told.data.get("UID", ""))
            case "Device/Intercom/KeyPin":
                data["by"] = "code"
            case "Call/DTMF":
                data["by"] = "dtmf"
            case _:
                data["granted"] = "true" if "Granted" in told.topic else "false"
                if user := told.data.get("CredentialHolderName"):
                    data["user"] = user
        return self._made(EventKind.ACCESS, told, None, data=data, only=True)

    def _door_state(self, told: Notification, *, initial: bool) -> DeviceEvent:
        words = " ".join(told.data.values()).lower()
        state = next((one for one in ("forced", "held", "open", "closed") if one in words), None)
        if state is None:
            return self._made(EventKind.VENDOR, told, None, initial=initial)
        return self._made(EventKind.DOOR, told, state != "closed", initial=initial, data={"state": state})

    def _made(
        self,
        kind: EventKind,
        told: Notification,
        active: bool | None,
        *,
        initial: bool = False,
        data: Mapping[str, str] | None = None,
        only: bool = False,
    ) -> DeviceEvent:
        return DeviceEvent(
            kind,
            self._channel,
            source=", ".join(told.source.values())[:_TEXT],
            active=active,
            initial=initial,
            source_time=told.at,
            topic=told.said,
            data=(data or {}) if only else {**told.data, **(data or {})},
        )


def _truth(value: str) -> bool | None:
    word = value.lower()
    return True if word in _ON else False if word in _OFF else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _pairs(value: Any) -> dict[str, str]:
    """Names and values, as text, with an end."""
    found = {}
    for name, told in list(_object(value).items())[:ITEMS]:
        word = "" if told is None else told if isinstance(told, str) else json.dumps(told)
        found[name[:64]] = word[:_TEXT]
    return found
