"""Lines of syslog, as Akuvox panels send them, and what they mean.

A panel tells everything that its firmware does, so most lines are noise. What it tells for others has a tag that ends
with `_LOG:`, but for calls. Patterns are looked for in the whole line, because the tag of the line's own header and
`OPENDOOR_LOG:` look alike. From the phrases that SmartYard-Server listens for, through all of its versions.
"""

from __future__ import annotations

import re

from bridge.model import DeviceEvent, EventKind
from bridge.syslog.message import Line
from drivers.akuvox.told import KEYS, OPENERS, CallSignal, Signal, Told, access, opened

DEBUG = 7  # severity
# What its firmware says to itself.
_NOISE = (
    "send ftp", "AKUVOX DCLIENT", "Autoprovision", "RFID szBuf", "lighttpd", "api.fcgi", "fcgiserver", "sipmain",
    "RFID_TYPE_WIEGAND", "netconfig", "Invalid SenderSSRC", "Listen", "Waiting", "Sending", "support play dtmf",
    "Upload Server is empty", "spk not enable", "msg_handle", "REMOTE_USER", "m_pPathInfo", ".cpp", "Process parameter",
    "FLASH_BLOCK_SIZE", "No such file or directory", "Encode", "DownloadConfigFile", "GetRemoteUserName",
    "GetRemoteDisplayName",
)  # fmt: skip
_SECRET = re.compile(r"((?:KeyCode|Code|PIN|Pwd|Password)\s*[:=]\s*)\S+", re.I)
# `KeyCode:0A1B2C3D Relay:1 Status:Successful`; older firmware has no relay there.
_DOOR = re.compile(
    r"OPENDOOR_LOG:\s*Type:\s*(?P<type>[\w ]{1,32}?)\s*(?:KeyCode:\s*(?P<code>\S{0,64})\s*)?"
    r"(?:Relay:\s*(?P<relay>[\d,;]{0,16})\s*)?(?:Status:\s*(?P<status>\w{1,16}))?\s*$"
)
_DTMF = re.compile(r"DTMF_LOG:\s*From\s+(?P<peer>\S{1,128})")
_START = re.compile(r"MakeCall\b")
_ACCOUNT = re.compile(r"nAccountID\s*[:=]\s*(\d{1,4})")
_NUMBER = re.compile(r"CallNum\s*[:=]\s*([^\s,;]{1,128})")
_NAME = re.compile(r"DisplayName\s*[:=]\s*([^,;]{0,64}?)\s*(?:$|[,;]|\s\w+\s*[:=])")
_TAG = re.compile(r"\b([A-Z]{2,24}_LOG)\b")
_CALLS: tuple[tuple[str, Signal, str], ...] = (
    ("SIP_LOG:MSG_S2P_TRYING", Signal.PROGRESS, "sip"),
    ("SIP_LOG:MSG_S2P_RINGBACK", Signal.PROGRESS, "sip"),
    ("SIP_LOG:MSG_S2P_ESTABLISHED_CALL", Signal.ANSWERED, "sip"),
    ("SIP_LOG:MSG_S2P_INCOMING", Signal.INCOMING, "sip"),
    ("SIP_LOG:Call Finished", Signal.LEG_OVER, "sip"),
    ("SIP_LOG:Call Failed", Signal.LEG_OVER, "sip"),
    ("Analog Established", Signal.ANSWERED, "analog"),
    ("Analog Finished Call", Signal.LEG_OVER, "analog"),
    ("Analog Call Hang Up", Signal.LEG_OVER, "analog"),
    ("Analog Hang Up", Signal.LEG_OVER, "analog"),
)


def meaning(line: Line, at: float | None) -> Told | CallSignal | None:
    """What a line tells; None for noise. `at`: when it happened, seconds since the epoch by the panel's clock."""
    text = line.raw
    for phrase, signal, leg in _CALLS:
        if phrase in text:
            return CallSignal(signal, leg, at=at, topic=phrase.partition(":")[2] or phrase, hint=line.hint)
    if _START.search(text):
        return _start(text, at, line.hint)
    if match := _DOOR.search(text):
        return _door(match, at)
    if match := _DTMF.search(text):
        return opened("dtmf", "", peer=match["peer"], at=at, topic="DTMF_LOG")
    if "start motion" in text or "Requst SnapShot" in text:  # sic
        # It never tells the end: the bridge lets motion end by itself.
        return Told(DeviceEvent(EventKind.MOTION, active=True, source_time=at, topic="motion"))
    tag = _TAG.search(text)
    if tag is None and (line.severity == DEBUG or any(word in text for word in _NOISE)):
        return None
    said = _SECRET.sub(r"\1***", text[tag.end() :].lstrip(": ") if tag else line.text)[:512]
    topic = tag[1] if tag else line.app or "syslog"
    return Told(DeviceEvent(EventKind.VENDOR, source_time=at, topic=topic, data={"text": said}))


def _start(text: str, at: float | None, hint: bool) -> CallSignal:
    account, number, name = (pattern.search(text) for pattern in (_ACCOUNT, _NUMBER, _NAME))
    # Account 0 is the first SIP account; a call to the handsets of the house has another number.
    leg = "" if account is None else "sip" if account[1] == "0" else "analog"
    return CallSignal(
        Signal.START, leg, peer=number[1] if number else "", apartment=name[1] if name else "", at=at, topic="MakeCall",
        hint=hint,
    )  # fmt: skip


def _door(match: re.Match[str], at: float | None) -> Told:
    word, relay = match["type"].strip().lower(), (match["relay"] or "").strip(",;")
    granted = (match["status"] or "").lower().startswith("succ")
    if (by := KEYS.get(word)) is not None:
        return access(by, granted, credential=match["code"] or "", output=relay, at=at, topic="OPENDOOR_LOG")
    if not granted and match["status"]:
        event = DeviceEvent(EventKind.VENDOR, source_time=at, topic="OPENDOOR_LOG", data={"text": f"{word}: failed"})
        return Told(event)
    return opened(OPENERS.get(word, word), relay, at=at, topic="OPENDOOR_LOG")
