"""What the panel's log lines mean: a table of phrases. Pure.

Lines come over syslog in the BSD dialect: a host, a name that may have spaces in it and a number, or less of these. The
phrase decides, wherever it stands. Newer firmware puts the number of the call before it (`[61255] `), older
behind it; DS panels write `EVENT:<n>:` before it. Most lines are the firmware talking to itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.model import EventKind
from bridge.syslog.message import Line
from drivers.transports import cards

READ_LIMIT = 1000  # characters of a line that are looked at
TEXT_LIMIT = 500  # and that are passed on


@dataclass(frozen=True, slots=True)
class Meaning:
    """One line, understood. Where a door opens, `source` is its output: "1" is the main one."""

    kind: EventKind
    topic: str
    active: bool | None = None
    source: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leg:
    """Something about a call, of which several lines speak. `step`: start, answer, leg_end, end. `leg` names what
    rings: an analog handset, a SIP address."""

    step: str
    leg: str = ""
    apartment: str = ""
    peer: str = ""
    redirect: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """`call` is the number of the call that the line names; `event` that of `EVENT:<n>:`."""

    what: Meaning | Leg
    call: str = ""
    event: str = ""


# Read from the raw line: one without a host would lose its first word to the header.
_HEADER = re.compile(r"<\d{1,3}> ?(?:[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d ?)?")
_EVENT = re.compile(r"\bEVENT:(\d{1,6}):")
_CALL = re.compile(r"\[(\d{1,10})\]")
_APARTMENT = r"(?:.{0,40}?apartment\s+(?P<apartment>\d{1,10}))?"
_DOOR = r"Opening (?:(?P<door>main|alt|additional|second) )?door"
# What the firmware says to itself. Each is part of a line that means nothing to a building.
NOISE = re.compile(
    r"SS_(?!MAINAPI_ReportAlarm)[A-Z]|SSSNet|Start SS|IRcut|_Task\b|errcode|video stream|Modify System KeepAlive|ipds"
    r"|Have Check Param Change|Param Change Save To Disk|User Mifare CLASSIC|Exits doWriteLoop|busybox-lib|udhcpc"
    r"|HisiAud(?:Dev|Strm)|Emulating (?:call|Cancel)|door button unpressed|handset is down|Incoming DTMF|Send DTMF"
    r"|SIP call \d+ (?:is|state changed to) (?:EARLY|CONNECTING|INCOMING|NULL)|state is now",
)


def _door(match: re.Match[str]) -> str:
    return "2" if (match.groupdict().get("door") or "main").lower() in ("alt", "additional", "second") else "1"


def _with_apartment(match: re.Match[str], **data: str) -> dict[str, str]:
    apartment = match.groupdict().get("apartment")
    # Keys of the house, which belong to nobody's flat, are of apartment 0.
    return {**data, "apartment": apartment} if apartment and apartment.strip("0") else data


def _alarm(match: re.Match[str]) -> Meaning | None:
    if match["type"] not in (None, "2"):
        return None
    return Meaning(EventKind.MOTION, "motion", match["edge"] == "Happen", match["channel"] or "0")


def _card(match: re.Match[str]) -> Meaning:
    card = cards.from_hex(match["card"])
    # Readers of the external kind send three bytes (Wiegand-26) behind a fourth that is 0, and open the second door.
    external = bool(match["external"]) or (len(match["card"]) == 14 and card[6:8] == "00")
    data = _with_apartment(
        match, by="card", granted="true", credential=card, reader="external" if external else "built-in"
    )
    return Meaning(EventKind.ACCESS, "Opening door by RFID", source="2" if external else _door(match), data=data)


def _code(match: re.Match[str]) -> Meaning:
    data = _with_apartment(match, by="code", granted="true")
    return Meaning(EventKind.ACCESS, "Opening door by code", source=_door(match), data=data)


def _opened(by: str) -> Callable[[re.Match[str]], Meaning]:
    def made(match: re.Match[str]) -> Meaning:
        return Meaning(EventKind.LOCK, "door", source=_door(match), data=_with_apartment(match, by=by))

    return made


def _leg(step: str, leg: str = "") -> Callable[[re.Match[str]], Leg]:
    def made(match: re.Match[str]) -> Leg:
        told = match.groupdict()
        return Leg(
            step,
            leg or told.get("leg") or "",
            told.get("apartment") or "",
            told.get("peer") or "",
            told.get("redirect") or "",
        )

    return made


_TABLE: tuple[tuple[str, Callable[[re.Match[str]], Meaning | Leg | None]], ...] = (
    (r"SS_MAINAPI_ReportAlarm(?P<edge>Happen|Finish)(?:\s*\(\s*(?P<channel>\d{1,4})\s*,\s*(?P<type>\d{1,4}))?", _alarm),
    (rf"{_DOOR}\b.{{0,40}}?(?P<external>\bext\w*\s)?RFID(?: key)?[ :]+(?P<card>[0-9A-F]{{6,14}})\b{_APARTMENT}", _card),
    (rf"{_DOOR} by (?:\w+ )?code\b{_APARTMENT}", _code),
    (rf"{_DOOR} by DTMF command{_APARTMENT}", _opened("dtmf")),
    (rf"{_DOOR} by CMS handset{_APARTMENT}", _opened("handset")),
    (rf"{_DOOR} by API", _opened("api")),
    (r"(?P<door>Main|Additional|Alt|Second) door button pressed", _opened("button")),
    (r"(?P<door>Main|Additional|Alt|Second) door opened by button", _opened("button")),
    (r"Intercom break in detected", lambda _: Meaning(EventKind.TAMPER, "Intercom break in detected", True)),
    (r"Calling (?P<leg>sips?:(?P<peer>[^\s,;>]{1,128}))", _leg("start")),
    (rf"CMS handset call started{_APARTMENT}", _leg("start", "handset")),
    (rf"Unable to call CMS{_APARTMENT}", _leg("start", "handset")),
    (r"Redirecting CMS call to (?P<redirect>\d{1,12})", _leg("start", "redirect")),
    (r"SIP call (?P<leg>\d{1,10}) (?:is|state changed to) CALLING", _leg("start")),
    (rf"(?:SIP|CMS handset) talk started{_APARTMENT}", _leg("answer")),
    (r"SIP call (?P<leg>\d{1,10}) (?:is|state changed to) CONFIRMED", _leg("answer")),
    (r"SIP call (?P<leg>\d{1,10}) (?:is|state changed to) DISCONNECTED", _leg("leg_end")),
    (rf"All calls are done{_APARTMENT}", _leg("end")),
)
PHRASES = tuple((re.compile(pattern, re.IGNORECASE), make) for pattern, make in _TABLE)
# What stands behind one of these words may open a door.
_SECRET = re.compile(
    r"(\b\w{0,24}(?:code|password|passwd|pwd|pin|dtmf|pass)\b[^0-9A-Za-z*#]{0,4})([0-9A-Za-z*#]{1,64})", re.IGNORECASE
)
_DIGITS = re.compile(r"(?<![\w.:])[\d*#]{1,12}(?![\w.:])")


def understood(line: Line) -> Said | None:
    """What a line says; None for what is not passed on. Never raises."""
    body = _HEADER.sub("", line.raw[:READ_LIMIT], count=1)
    event = match[1] if (match := _EVENT.search(body)) else ""
    for pattern, make in PHRASES:
        if (match := pattern.search(body)) is not None and (what := make(match)) is not None:
            call = _CALL.search(body)
            return Said(what, call[1] if call and isinstance(what, Leg) else "", event)
    if NOISE.search(body):
        return None
    text = shown(f"EVENT:{line.text}" if line.app == "EVENT" else line.text)
    return Said(Meaning(EventKind.VENDOR, "log", data={"text": text}), event=event) if text else None


def shown(text: str) -> str:
    """A line that nobody knows, as it may be kept: in one that speaks of codes, no number is left."""
    text = text[:TEXT_LIMIT].strip()
    masked = _SECRET.sub(r"\1***", text)
    return _DIGITS.sub("***", masked) if masked != text else text
