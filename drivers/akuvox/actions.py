"""Action URLs: which keys of the configuration make the panel call us, and what a call means.

The panel replaces variables (`$card_sn`) by what they are at the moment, and leaves those that are empty as they are
written. It asks once and does not look at the answer. The URL says which key it stands in; no URL of ours asks for
`$code`, which would bring the visitor's PIN through the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from drivers.akuvox.told import CallSignal, Signal, Told, access

PREFIX = "Config.Features.ACTIONURL."
ENABLE = f"{PREFIX}Enable"
FIELDS = 24  # parameters of a call
VALUE = 256  # characters of one
LETTERS = "ABCD"
# Events have names that begin so; what else stands there is about the calls themselves (Enable, Method, UserName).
_EVENT = re.compile(
    r"(Relay|Input|Valid|Invalid|Alarm|TamperAlarm|BreakIn|Door|Motion|Face|Card$|CardLog|MakeCall|HangUp|CallLog)\w*"
)
_NUMBERED = re.compile(
    r"(?P<what>Relay|Input)(?P<letter>[A-D])(?P<end>Triggered|Closed)"
    r"|(?P<alarm>BreakInAlarm|AlarmDoorOpenedTimeout)(?P<door>[A-D])"
)
_KEY = re.compile(r"(?P<valid>Valid|Invalid)(?P<by>Code|Card|Face|QR|NFC|Bluetooth|Plate|Fingerprint)\w*", re.I)
_TAMPER = frozenset({"TamperAlarmTriggered", "AlarmTriggered"})


def is_event(key: str) -> bool:
    """Whether what stands at this key of the configuration is called when something happens."""
    return key.startswith(PREFIX) and _EVENT.fullmatch(key[len(PREFIX) :]) is not None


def url_for(base: str, key: str) -> str:
    """What to write there."""
    name = key[len(PREFIX) :]
    match = _NUMBERED.fullmatch(name)
    if match is not None and match["letter"]:
        asked = f"status=${match['what'].lower()}{LETTERS.index(match['letter']) + 1}status"
    elif "Card" in name:
        asked = "card=$card_sn"
    elif name in _TAMPER:
        asked = "status=$alarmstatus"
    else:
        asked = "remote=$remote"
    return f"{base}?event={name}&mac=$mac&{asked}"


def parse(query: str) -> tuple[str, str, Mapping[str, str]]:
    """Name of the event, MAC of the panel ("" where it tells none), and what else it says. ProtocolError."""
    try:
        pairs = parse_qsl(query, max_num_fields=FIELDS)
    except ValueError:
        raise ProtocolError("a call with too many parameters") from None
    told = {key[:64]: value[:VALUE] for key, value in pairs if not value.startswith("$")}
    name = told.pop("event", "")
    if not re.fullmatch(r"\w{1,64}", name):
        raise ProtocolError("a call that does not say what happened")
    return name, re.sub(r"[:-]", "", told.pop("mac", "")).upper(), told


def meaning(name: str, told: Mapping[str, str]) -> Told | CallSignal:
    """What a call of that name means; what nobody knows is passed on as it is."""
    if name == "MakeCall":
        return CallSignal(Signal.START, peer=told.get("remote", ""), topic=name)
    if name == "HangUp":
        return CallSignal(Signal.OVER, topic=name)
    if match := _KEY.fullmatch(name):
        by = match["by"].lower()
        return access(by, match["valid"] == "Valid", credential=told.get("card", ""), at=None, topic=name)
    if match := _NUMBERED.fullmatch(name):
        return _numbered(match)
    if name in _TAMPER:
        active = told.get("status") != "0"
        return Told(DeviceEvent(EventKind.TAMPER, active=active, topic="TamperAlarm", data=dict(told)))
    # Whatever it is, a PIN is not passed on.
    data = {key: value for key, value in told.items() if key != "code"}
    return Told(DeviceEvent(EventKind.VENDOR, topic=name, data=data))


def _numbered(match: re.Match[str]) -> Told:
    number = str(LETTERS.index(match["letter"] or match["door"]) + 1)
    if match["alarm"]:
        state = "forced" if match["alarm"] == "BreakInAlarm" else "held"
        event = DeviceEvent(
            EventKind.DOOR, source=number, active=True, topic=match["alarm"], data={"state": state, "output": number}
        )
        return Told(event)
    active = match["end"] == "Triggered"
    kind = EventKind.LOCK if match["what"] == "Relay" else EventKind.INPUT
    # One condition has one topic, whether it begins or ends.
    event = DeviceEvent(kind, source=number, active=active, topic=match["what"], data={"output": number})
    return Told(event, "lock" if kind is EventKind.LOCK and active else "", number)
