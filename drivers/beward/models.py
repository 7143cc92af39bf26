"""What units of the family have, by model and firmware: data, no code.

DKS are panels of apartment houses, with a keypad, apartments and analog handsets; DS are panels of one door. What a
single unit has (which table of keys, syslog) is asked of it: an unknown module answers "is not defined".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.errors import ProtocolError

Query = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Door:
    """How one output is opened. `after` follows a moment later: an output that does not fall back by itself."""

    module: str
    query: Query
    after: Query | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """`sip_form` is the form that SIP accounts are written with, `suffix` what its fields end with."""

    name: str
    doors: tuple[Door, ...]
    volumes: tuple[str, ...]
    sip_form: str
    suffix: str
    one_call: bool  # a call has one leg: when that ends, the call does


# The keys of audio_cgi, in the order of the panel's own page.
_DKS_VOLUMES = (
    *("AudioInVol", "AudioOutVol", "SystemVol", "AHSVol", "AHSSens"),
    *("GateInVol", "GateOutVol", "GateAHSVol", "GateAHSSens"),
    *("MicInSensitivity", "MicOutSensitivity", "SpeakerInVolume", "SpeakerOutVolume"),
    *("KmnMicInSensitivity", "KmnMicOutSensitivity", "KmnSpeakerInVolume", "KmnSpeakerOutVolume"),
)
_DS_VOLUMES = ("AudioInVol", "AudioOutVol", "AudioInVolTalk", "AudioOutVolTalk")

DKS = Family(
    "DKS",
    (
        Door("intercom_cgi", {"action": "maindoor"}),
        Door("intercom_cgi", {"action": "altdoor"}),
        Door(
            "intercom_cgi",
            {"action": "light", "Enable": "on"},
            {"action": "light", "Enable": "off"},
        ),
    ),
    _DKS_VOLUMES,
    "webs/SIP1CfgEx",
    "",
    False,
)
DS = Family(
    "DS",
    (Door("alarmout_cgi", {"action": "set", "Output": 0, "Status": 1}),),
    _DS_VOLUMES,
    "webs/SIPCfgEx",
    "1",
    True,
)
# By the beginning of DeviceModel; the first that fits. What fits none is judged by whether it has intercom_cgi.
_FAMILIES: tuple[tuple[re.Pattern[str], Family], ...] = (
    (re.compile(r"DKS", re.IGNORECASE), DKS),
    (re.compile(r"DS\d", re.IGNORECASE), DS),
)

# What a gate volume is off by: the panel keeps one more than it is told.
OFF_BY_ONE = frozenset({"GateInVol", "GateOutVol"})
# Models, with their revision, that send black video in calls unless they are told to send the small stream.
SMALL_STREAM_ONLY = frozenset(
    {"DKS977957_rev5.5.3.9.2", "DKS15105_rev5.5.6.8.5", "DKS15135_rev5.5.6.8.2", "DKS15135_rev5.5.6.8.5"}
)


def family_of(model: str, *, has_intercom: bool) -> Family:
    for pattern, family in _FAMILIES:
        if pattern.match(model):
            return family
    return DKS if has_intercom else DS


@dataclass(frozen=True, slots=True)
class Info:
    """What systeminfo_cgi says. `uptime` is in seconds, None where it tells none."""

    model: str
    firmware: str
    hardware: str
    serial: str
    hostname: str
    uptime: int | None

    @property
    def mark(self) -> str:
        return f"{self.serial} {self.model} {self.firmware}"


def info(values: Mapping[str, str]) -> Info:
    """Raises ProtocolError for what is no panel."""
    model = values.get("DeviceModel", "")[:64]
    serial = next((values[key][:64] for key in ("DeviceID", "DeviceUUID") if values.get(key, "0").strip("0")), "")
    if not model and not serial:
        raise ProtocolError("its answer to systeminfo_cgi has neither DeviceModel nor DeviceID")
    return Info(
        model,
        values.get("SoftwareVersion", "")[:64],
        values.get("HardwareVersion", "")[:64],
        serial,
        values.get("HostName", "")[:64],
        uptime(values.get("UpTime", "")),
    )


# `00:48:01`, `720:00:00`; newer DKS put days before it, `3.04:05:06` or `3 days, 04:05:06`.
_UPTIME = re.compile(r"(?:(\d{1,5})(?:\.| ?d(?:ays?)?,? ?| +))?(\d{1,6}):(\d{1,2}):(\d{1,2})")


def uptime(text: str) -> int | None:
    """Seconds, or None for what is no such time."""
    match = _UPTIME.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def truth(value: str | None) -> bool | None:
    """`on`, `1`, `open`, `true`: which of these, differs between modules and firmware. None for what is neither."""
    word = (value or "").strip().lower()
    return True if word in ("on", "1", "open", "true") else False if word in ("off", "0", "close", "false") else None


def alike(before: str | None, value: bool) -> str:
    """A switch in the words that the panel used for it: it refuses the others."""
    words = {"1": ("1", "0"), "open": ("open", "close"), "true": ("True", "False")}
    pairs = {off.lower(): pair for pair in words.values() for off in pair}
    return pairs.get((before or "").strip().lower(), ("on", "off"))[0 if value else 1]
