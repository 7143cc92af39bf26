"""What a panel can be set to: keys of its configuration (`Config.Settings.HANDFREE.SpkVol`), and the words for them.

A setting that the panel does not list is one that it does not have. From the vendor's list of autoprovisioning keys as
SmartYard-Server and pylocal-akuvox use them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bridge.errors import Rejected
from bridge.secrets import Secret
from bridge.settings.limits import FLAG, Between, Limit, Limits, OneOf, Text, Texts, Zone, east_of_utc
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import Contact, RelayMode, flatten, section_of, split, unflatten
from drivers.akuvox import zones
from drivers.akuvox.actions import LETTERS
from drivers.akuvox.registration import PORT, SERVER, SYSLOG

Read = Callable[[str], Any]  # what stands in the configuration to a value, None where it is none
Write = Callable[[Any], str]

_ACCOUNT = "Config.Account1."
RELAY = "Config.DoorSetting.RELAY."
_LOUDEST = 15  # of volumes, which begin at 1
_THEME = "Config.DoorSetting.GENERAL.Theme"
_TIME_SERVERS = ("Config.Settings.SNTP.NTPServer1", "Config.Settings.SNTP.NTPServer2")
_TARGET = "event_targets.syslog"


@dataclass(frozen=True, slots=True)
class Setting:
    """`also` are keys that are written with it, with these values, None for the same one. `reboot`: it holds, or is
    safe, only after one."""

    key: str
    limit: Limit
    read: Read = str
    write: Write = str
    also: Mapping[str, str | None] | None = None
    reboot: bool = False
    secret: bool = False


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 8 else None


def _flag(text: str) -> bool | None:
    return None if not text.isdecimal() else text != "0"


def _written_flag(value: bool) -> str:
    return str(int(value))


def _volume(text: str) -> int | None:
    step = _whole(text)
    return None if step is None else round((min(max(step, 1), _LOUDEST) - 1) * 100 / (_LOUDEST - 1))


def _written_volume(percent: int) -> str:
    return str(1 + round(percent * (_LOUDEST - 1) / 100))


def _minutes(text: str) -> int | None:
    minutes = _whole(text)
    return None if minutes is None else minutes * 60


def _zone(text: str) -> str | None:
    seconds = zones.offset(text)
    return None if seconds is None else zones.posix(seconds)


def _written_zone(value: str) -> str:
    seconds = east_of_utc(value)
    if seconds is None:
        raise Rejected(f"{value} is no time zone")
    return zones.written(seconds)


def _switch(key: str, on: str = "1") -> Setting:
    return Setting(key, FLAG, _flag, lambda value: on if value else "0")


def _number(key: str, low: int, high: int) -> Setting:
    return Setting(key, Between(low, high, 1), _whole, lambda value: str(round(value)))


_VOLUME = Between(0, 100, 0, 4)
SETTINGS: Mapping[str, Setting] = {
    "osd_text.enabled": _switch("Config.DoorSetting.RTSP.OSDEnable"),
    "osd_text.text": Setting("Config.DoorSetting.RTSP.OSDText", Text(63)),
    "audio.speaker": Setting("Config.Settings.HANDFREE.SpkVol", _VOLUME, _volume, _written_volume),
    "audio.microphone": Setting("Config.Settings.HANDFREE.MicVol", _VOLUME, _volume, _written_volume),
    "motion_detection.enabled": _switch("Config.DoorSetting.MOTION_DETECT.Enable", "2"),  # 2: in the picture; 1: IR
    "motion_detection.sensitivity": Setting(
        "Config.DoorSetting.MOTION_DETECT.DetectAccuracy", Between(0, 100, 25),
        lambda text: None if (step := _whole(text)) is None else min(step, 4) * 25,
        lambda value: str(round(value / 25)),
    ),
    "display.text": Setting("Config.DoorSetting.CUSTOMIZED.Text", Text(64), also={_THEME: "1"}),
    "call.ring": _number("Config.Settings.CALLTIMEOUT.DialOut", 5, 120),
    "call.talk": Setting(
        "Config.Features.DOORPHONE.MaxCallTime", Between(120, 1800, 60), _minutes, lambda value: str(round(value / 60))
    ),
    "door.dtmf": Setting("Config.DoorSetting.DTMF.Code1", Text(4, 1)),
    "vendor.akuvox.location": Setting("Config.DoorSetting.DEVICENODE.Location", Text(63)),
    "vendor.akuvox.alarm_volume": Setting("Config.Settings.HANDFREE.AlmVol", _VOLUME, _volume, _written_volume),
    "vendor.akuvox.prompt_volume": Setting("Config.Settings.HANDFREE.PromptVol", _VOLUME, _volume, _written_volume),
    "vendor.akuvox.hang_up_button": _switch("Config.Features.DOORPHONE.EnableButtonHangup"),
    "vendor.akuvox.time_zone_city": Setting(zones.CITY, Text(32, 1)),
    "vendor.akuvox.relay_1_schedule": _switch("Config.DoorSetting.RELAYSCHEDULE.RelayAEnable"),
    "vendor.akuvox.relay_2_schedule": _switch("Config.DoorSetting.RELAYSCHEDULE.RelayBEnable"),
    "clock.time_zone": Setting(zones.OFFSET, Zone(), _zone, _written_zone),
    "ntp.enabled": _switch("Config.Settings.SNTP.Enable"),
    "sip.enabled": Setting(f"{_ACCOUNT}GENERAL.Enable", FLAG, _flag, _written_flag, reboot=True),
    "sip.server": Setting(f"{_ACCOUNT}SIP.Server", Text(253, 1), reboot=True),
    "sip.port": Setting(f"{_ACCOUNT}SIP.Port", Between(1, 65535, 1), _whole, reboot=True),
    "sip.username": Setting(
        f"{_ACCOUNT}GENERAL.UserName", Text(64, 1), also={f"{_ACCOUNT}GENERAL.AuthName": None}, reboot=True
    ),
    "sip.password": Setting(f"{_ACCOUNT}GENERAL.Pwd", Text(64, 1), reboot=True, secret=True),
    "sip.display_name": Setting(f"{_ACCOUNT}GENERAL.DisplayName", Text(64), reboot=True),
}  # fmt: skip


def _relay(number: int, letter: str) -> Mapping[str, tuple[Setting, ...]]:
    """Where there are two, the first that the unit has: older firmware has another key for how long it holds."""
    prefix = f"relays.{number}."
    modes, contacts = (RelayMode.MONOSTABLE, RelayMode.BISTABLE), (Contact.OPEN, Contact.CLOSED)
    return {
        f"{prefix}mode": (_choice(f"{RELAY}Relay{letter}Mode", modes),),
        f"{prefix}duration": (
            _number(f"{RELAY}HoldDelay{letter}", 1, 3600),
            _number(f"{RELAY}Relay{letter}Delay", 1, 3600),
        ),
        f"{prefix}idle": (_choice(f"{RELAY}Relay{letter}Type", contacts),),
    }


def _choice(key: str, words: tuple[Any, ...]) -> Setting:
    return Setting(
        key,
        OneOf(words),
        lambda text: words[int(text)] if text in ("0", "1") else None,
        lambda value: str(words.index(value)),
    )


_ALL: Mapping[str, tuple[Setting, ...]] = {path: (one,) for path, one in SETTINGS.items()} | {
    path: found for number, letter in enumerate(LETTERS, 1) for path, found in _relay(number, letter).items()
}
OPERATIONS: Mapping[str, str] = {
    **{path: f"config/set, {one.key}" for path, one in SETTINGS.items()},
    "relays.*.mode": "config/set, RELAY.RelayAMode",
    "relays.*.duration": "config/set, RELAY.HoldDelayA or RELAY.RelayADelay",
    "relays.*.idle": "config/set, RELAY.RelayAType",
    "ntp.servers": "config/set, SNTP.NTPServer1 and 2",
    "event_targets.*.url": "config/set, LOGLEVEL.RemoteServer and RemoteServerPort (name: syslog)",
    "event_targets.*.absent": "config/set, LOGLEVEL.RemoteSyslog",
}
Volume = Annotated[int, Field(ge=0, le=100)]


class AkuvoxSettings(BaseModel):
    """What stands under `vendor.akuvox` in a template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: Annotated[str, Field(max_length=63)] | None = Field(None, description="where the panel is, for its page")
    alarm_volume: Volume | None = Field(None, description="loudness of alarms, percent")
    prompt_volume: Volume | None = Field(None, description="loudness of spoken hints, percent")
    hang_up_button: bool | None = Field(
        None, description="whether the visitor can end a call; while he can, some firmware does not tell its end"
    )
    time_zone_city: Annotated[str, Field(min_length=1, max_length=32)] | None = Field(
        None, description="city that stands for the time zone, with its summer time", examples=["Berlin"]
    )
    relay_1_schedule: bool | None = Field(None, description="whether its schedule keeps the first door open")
    relay_2_schedule: bool | None = Field(None, description="whether its schedule keeps the second door open")


def keys(sections: Collection[str]) -> list[str]:
    """What has to be read for these sections."""
    found = [one.key for path, several in _ALL.items() if section_of(path) in sections for one in several]
    found += [*_TIME_SERVERS] if "ntp" in sections else []
    found += [SYSLOG, SERVER, PORT] if "event_targets" in sections else []
    return list(dict.fromkeys(found))


def configuration(config: Mapping[str, str], sections: Collection[str]) -> Configuration:
    values: dict[str, Any] = {}
    limits: dict[str, Limit] = {}
    for path, several in _ALL.items():
        one = next((each for each in several if each.key in config), None)
        if one is None or section_of(path) not in sections:
            continue
        value = None if one.secret else one.read(config[one.key])
        if value is None and not one.secret:
            continue  # a word that this table does not know: left alone
        limits[path] = one.limit
        if value is not None:
            values[path] = value
    servers = [config[key] for key in _TIME_SERVERS if key in config]
    if "ntp" in sections and servers:
        values["ntp.servers"] = tuple(server for server in servers if server)
        limits["ntp.servers"] = Texts(len(servers))
    if "event_targets" in sections and SYSLOG in config:
        limits |= {f"{_TARGET}.url": Text(280, 1), f"{_TARGET}.absent": FLAG}
        if config[SYSLOG] == "1" and config.get(SERVER):
            values[f"{_TARGET}.url"] = f"syslog://{config[SERVER]}:{config.get(PORT, '514')}"
    return Configuration(unflatten(values), Limits(limits))


def change(step: Step, config: Mapping[str, str], *, encodes: bool) -> tuple[dict[str, str], bool]:
    """What to write, and whether it takes a reboot. `config` has what stands at `keys` of the section now. Raises
    Rejected."""
    after, writing, reboot = flatten(step.after), dict[str, str](), False
    for path in step.paths:
        if path == "ntp.servers":
            servers = (*after[path], "", "")
            writing |= {key: servers[at] for at, key in enumerate(_TIME_SERVERS) if key in config}
            continue
        if section_of(path) == "event_targets":
            writing |= _target(after, path)
            reboot = True
            continue
        one = next((each for each in _ALL.get(path, ()) if each.key in config), None)
        if one is None:
            raise Rejected(f"it has no {path}")
        value = after[path]
        text = one.write(value.reveal() if isinstance(value, Secret) else value)
        if one.secret and encodes:
            text = base64.b64encode(text.encode()).decode()
        writing[one.key] = text
        writing |= {key: text if fixed is None else fixed for key, fixed in (one.also or {}).items()}
        reboot |= one.reboot
    return writing, reboot


def _target(after: Mapping[str, Any], path: str) -> dict[str, str]:
    if split(path)[1] != "syslog":
        raise Rejected("it has one target for its events, and that is called syslog")
    if after.get(f"{_TARGET}.absent"):
        return {SYSLOG: "0", SERVER: ""}
    scheme, _, rest = str(after.get(f"{_TARGET}.url", "")).partition("://")
    host, _, port = rest.rstrip("/").rpartition(":") if ":" in rest else (rest.rstrip("/"), "", "514")
    if scheme != "syslog" or not host or not port.isdecimal():
        raise Rejected("it sends syslog: say syslog://ADDRESS:PORT")
    return {SYSLOG: "1", SERVER: host, PORT: port}
