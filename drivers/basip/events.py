"""What BAS-IP panels report, by its meaning: entries of their log, and lines of their syslog. No I/O.

Names of log events from developers.bas-ip.com; the form of lines, `EVENT:{type}:{arg1}:...:{text}`, from the vendor's
manual (basip.atlassian.net, page 13273584), their phrases from there and from what operators see. Numbers of types are
told for one event only (100), so that phrases decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from bridge.syslog.message import Line
from drivers.basip.api import number, text
from drivers.transports.cards import from_decimal, from_hex

FIELDS = 16
_LONGEST_ENTRY = 400


@dataclass(frozen=True, slots=True)
class Meaning:
    """`data` is what follows from the name alone."""

    kind: EventKind
    active: bool | None = None
    data: tuple[tuple[str, str], ...] = ()


def _access(by: str, granted: bool) -> Meaning:
    return Meaning(EventKind.ACCESS, None, (("by", by), ("granted", "true" if granted else "false")))


def _unlocked(by: str) -> Meaning:
    return Meaning(EventKind.LOCK, True, (("by", by),))


def _door(state: str) -> Meaning:
    return Meaning(EventKind.DOOR, state != "closed", (("state", state),))


def _call(state: str) -> Meaning:
    return Meaning(EventKind.CALL, None, (("state", state),))


def _system(what: str) -> Meaning:
    return Meaning(EventKind.SYSTEM, None, (("what", what),))


# By the names of the log. Spellings differ between firmware: `to_long`, `too_long`.
MEANINGS: Mapping[str, Meaning] = {
    "access_granted_by_valid_identifier": _access("card", True),
    "access_granted_by_shared_identifier": _access("card", True),
    "access_granted_by_valid_face_identifier": _access("face", True),
    "access_granted_by_master_code": _access("code", True),
    "access_denied_by_not_valid_identifier": _access("card", False),
    "access_denied_by_not_valid_shared_identifier": _access("card", False),
    "access_denied_by_not_valid_face_identifier": _access("face", False),
    "access_denied_by_not_valid_input_code": _access("code", False),
    "access_denied_by_unknown_card": _access("card", False),
    "access_denied_by_unknown_qr_code": _access("qr", False),
    "access_denied_by_unknown_qr": _access("qr", False),
    "access_denied_by_unknown_identifier": _access("card", False),
    "access_denied_unknown_identifier": _access("card", False),
    "access_denied_by_remote_server_api_call": _access("api", False),
    "access_denied_by_web_api_call": _access("api", False),
    "multi_access_granted": _access("card", True),
    "multi_access_denied": _access("card", False),
    "identifiers_without_linkage_to_user_access_denied": _access("card", False),
    "access_granted_by_api_call": _unlocked("api"),
    "access_granted_by_remote_server_api_call": _unlocked("api"),
    "access_granted_by_call_host": _unlocked("call"),
    "lock_was_opened_by_exit_btn": _unlocked("button"),
    "lock_was_opened_by_free_access_button": _unlocked("schedule"),
    "emergency_lock_is_opened": _unlocked("emergency"),
    "door_was_opened": _door("open"),
    "door_sensor_was_opened": _door("open"),
    "door_was_closed": _door("closed"),
    "door_sensor_was_closed": _door("closed"),
    "door_was_not_closed_too_long": _door("held"),
    "lock_is_opened_too_long": _door("held"),
    "lock_is_opened_to_long": _door("held"),
    "incoming_call": _call("ringing"),
    "outgoing_call": _call("ringing"),
    "outgoing_call_web": _call("ringing"),
    "outgoing_call_missed": _call("missed"),
    "device_booted": Meaning(EventKind.REBOOT),
    "sip_registration_lost": _system("SIP registration lost"),
    "incorrect_login_api_call": _system("login failed"),
    "incorrect_login_gui_settings": _system("login failed"),
    "tamper_event": Meaning(EventKind.TAMPER),
}
# Known, and nothing follows from it: our own logins are among them.
NOISE = frozenset({"successful_login_api_call", "successful_login_gui_settings"})

# By the phrases of the lines, tried in this order.
PHRASES: tuple[tuple[re.Pattern[str], Meaning], ...] = tuple(
    (re.compile(phrase, re.IGNORECASE), meaning)
    for phrase, meaning in (
        (r"opened by (?:general |master )?(?:access )?code|by master code", _access("code", True)),
        (r"opened by (?:valid )?face", _access("face", True)),
        (r"opened by (?:valid )?qr", _access("qr", True)),
        (r"opened by (?:valid )?license plate", _access("plate", True)),
        (r"opened by (?:valid |master )?(?:card|identifier|u-?key)", _access("card", True)),
        (r"opened by exit button", _unlocked("button")),
        (r"opened by call host", _unlocked("call")),
        (r"opened by (?:remote (?:access )?server |web )?api|opened by remote", _unlocked("api")),
        (r"opened by free access|free access button", _unlocked("schedule")),
        (r"emergency.*open", _unlocked("emergency")),
        (r"door was opened with door sensor|door sensor was opened", _door("open")),
        (r"door was closed with door sensor|door sensor was closed", _door("closed")),
        (r"not closed too long|open(?:ed)? too? long", _door("held")),
        (r"call was no(?:t)? accepted|call (?:was )?missed|missed call", _call("missed")),
        (r"call was accepted", _call("answered")),
        (r"call (?:was |is )?(?:finished|ended|completed)", _call("ended")),
        (r"(?:outgoing|incoming) call", _call("ringing")),
        (r"(?:denied|not valid|unknown|invalid).*\bface", _access("face", False)),
        (r"(?:denied|not valid|unknown|invalid).*\bqr", _access("qr", False)),
        (r"(?:denied|not valid|unknown|invalid).*\bcode", _access("code", False)),
        (r"(?:access denied|not valid|unknown|invalid).*(?:card|identifier)|access (?:is |was )?denied",
         _access("card", False)),
        (r"tamper", Meaning(EventKind.TAMPER)),
        (r"device (?:was |is )?(?:booted|started)", Meaning(EventKind.REBOOT)),
        (r"sip registration (?:was |is )?lost|sip registration failed", _system("SIP registration lost")),
        (r"(?:incorrect|failed|wrong) login|login (?:failed|incorrect)", _system("login failed")),
    )
)  # fmt: skip
QUIET = re.compile(r"success(?:ful|fully)?\b.*log(?:ged)? ?in|log(?:ged)? ?in\b.*success", re.IGNORECASE)

# What an identifier is, by the log's word.
_TYPES = {
    "card": "card", "ukey": "card", "inputcode": "code", "input_code": "code", "code": "code", "face_id": "face",
    "face": "face", "qr": "qr", "license_plate": "plate",
}  # fmt: skip
_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(?:[-:][0-9A-Fa-f]{2}){1,7}")
_DASHED = re.compile(r"[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){1,7}")
_DECIMAL = re.compile(r"\d{1,10}")
_SECRET = re.compile(r"code|pin\b|passw|qr", re.IGNORECASE)
_LOCK = re.compile(r"(?:door|lock) (\d)\b", re.IGNORECASE)
_PEER = re.compile(r"([\w.+*#-]{1,64})@([\w.-]{1,253})")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?")


def card(told: str) -> str | None:
    """The number of a card as 14 hex digits: from pairs of hex digits with dashes or colons between them, or from a
    decimal number of ten digits at most. None for what is neither."""
    try:
        if _PAIRS.fullmatch(told):
            return from_hex(re.sub(r"[-:]", "", told).lstrip("0") or "0")
        return from_decimal(told) if _DECIMAL.fullmatch(told) else None
    except ProtocolError:
        return None  # eight bytes that are not seven


# -- the log -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log. `at` in milliseconds since the epoch, by the panel's clock."""

    at: int
    name: str
    text: str = ""
    model: tuple[tuple[str, str], ...] = ()


def entry(item: Any) -> Entry | None:
    """None for what is no entry, which spoils only itself."""
    if not isinstance(item, dict):
        return None
    at, name, info = number(item.get("timestamp")), item.get("name"), item.get("info")
    key = text(name.get("key")) if isinstance(name, dict) else text(name)
    if at is None or not 0 <= at < 1e14 or not key:
        return None
    if at < 1e11:  # seconds, as some firmware has it
        at *= 1000
    model = info.get("model") if isinstance(info, dict) else None
    said = text(info.get("text"), _LONGEST_ENTRY) if isinstance(info, dict) else text(info, _LONGEST_ENTRY)
    fields = [
        (str(field)[:64], text(value) if isinstance(value, str) else str(value)[:64])
        for field, value in list(model.items() if isinstance(model, dict) else ())[:FIELDS]
        if isinstance(value, str | int | float) and value != ""
    ]
    return Entry(int(at), key, said, tuple(fields))


def from_entry(one: Entry, channel: str) -> DeviceEvent | None:
    """None for what is known to mean nothing."""
    if one.name in NOISE:
        return None
    model = dict(one.model)
    meaning = MEANINGS.get(one.name) or _by_prefix(one.name)
    if meaning is None:
        data = _harmless(one, model)
        return DeviceEvent(EventKind.VENDOR, channel, source_time=one.at / 1000, topic=one.name, data=data)
    data = dict(meaning.data)
    if meaning.kind is EventKind.ACCESS:
        by = _TYPES.get(model.get("type", "").lower())
        if by is not None and data["by"] == "card":
            data["by"] = by
        if data["by"] == "card" and (credential := card(model.get("number", ""))) is not None:
            data["credential"] = credential
    if meaning.kind is EventKind.CALL:
        if (state := _outcome(one.text)) is not None:
            data["state"] = state
        data |= _peer(one.text)
    data |= {name: model[field] for field, name in _TOLD if model.get(field)}
    return DeviceEvent(
        meaning.kind, channel, active=meaning.active, source_time=one.at / 1000, topic=one.name, data=data
    )


_TOLD = (("lock", "output"), ("owner", "user"), ("apartment_address", "apartment"))


def _by_prefix(name: str) -> Meaning | None:
    """Firmware grows new ways to be let in and to be turned away."""
    if name.startswith("access_granted"):
        return _access("other", True)
    if name.startswith("access_denied"):
        return _access("other", False)
    return None


def _outcome(said: str) -> str | None:
    for phrase, meaning in PHRASES:
        if meaning.kind is EventKind.CALL and meaning.data[0][1] != "ringing" and phrase.search(said):
            return meaning.data[0][1]
    return None


def _harmless(one: Entry, model: dict[str, str]) -> dict[str, str]:
    """All that an unknown entry says, unless there may be a code in it."""
    words = " ".join((one.name, one.text, model.get("type", ""), *model))
    if _SECRET.search(words):
        return {name: model[field] for field, name in _TOLD if model.get(field)}
    return ({"text": one.text} if one.text else {}) | model


# -- lines -------------------------------------------------------------------------------------------------------------


def from_line(line: Line, channel: str, zone: float | None) -> DeviceEvent | None:
    """`zone` is how far the panel's local time is ahead of UTC, in seconds, or None where it is not known. None for a
    line that means nothing."""
    begin = line.raw.find("EVENT:")
    body = line.raw[begin:] if begin >= 0 else line.text
    if not body.strip() or QUIET.search(body):
        return None
    args = [part.strip() for part in body.split(":")[1:]] if begin >= 0 else []
    topic = f"EVENT:{args[0][:32]}" if args else "syslog"
    at = _time(line, zone)
    meaning = next((meaning for phrase, meaning in PHRASES if phrase.search(body)), None)
    if meaning is None:
        data = _numbered(args[1:]) if args else {"text": body[: FIELDS * 16]}
        if _SECRET.search(body):
            data = {}
        return DeviceEvent(EventKind.VENDOR, channel, hint=line.hint, source_time=at, topic=topic, data=data)
    data = dict(meaning.data)
    if data.get("by") == "card" and (credential := _card_of(body, args)) is not None:
        data["credential"] = credential
    if meaning.kind is EventKind.CALL or data.get("by") == "call":
        data |= _peer(body)
    if meaning.kind is EventKind.LOCK and (lock := _LOCK.search(body)):
        data["output"] = lock[1]
    return DeviceEvent(
        meaning.kind, channel, active=meaning.active, hint=line.hint, source_time=at, topic=topic, data=data
    )


def _card_of(body: str, args: list[str]) -> str | None:
    if (found := _DASHED.search(body)) is not None:
        return card(found[0])
    # A decimal number stands alone; apartments and locks are shorter.
    return next((card(arg) for arg in args[1:] if re.fullmatch(r"\d{5,10}", arg)), None)


def _peer(said: str) -> dict[str, str]:
    found = _PEER.search(said)
    return {"peer": found[0]} if found else {}


def _numbered(args: list[str]) -> dict[str, str]:
    """The text, which comes last, and the arguments before it."""
    *before, said = args or [""]
    data = {f"arg{place}": arg[:256] for place, arg in enumerate(before[:FIELDS], 1) if arg}
    return data | ({"text": said[:256]} if said else {})


def _time(line: Line, zone: float | None) -> float | None:
    """When it was, in seconds since the epoch by the panel's clock, or None where the line does not tell."""
    if line.time is not None:
        return line.time
    if line.local is None:
        found = _TIME.search(line.raw[:96])
        moment = _parsed(found[0]) if found else None
    else:
        year, month, day, clock = line.local
        moment = _parsed(f"{year:04d}-{month:02d}-{day:02d}T{clock}") if year is not None else None
    if moment is None or (moment.tzinfo is None and zone is None):
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC).timestamp() - (zone or 0.0)
    return moment.timestamp()


def _parsed(told: str) -> datetime | None:
    try:
        return datetime.fromisoformat(told)
    except ValueError:
        return None
