"""What simulated Akuvox panels are made of: models, and what their configuration holds when they leave the factory.

Keys and values from the vendor's list of autoprovisioning keys as public integrations have met them (E12, E16C, E18,
R20A, R29, S532, X916, IT83).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

URLS = "Config.Features.ACTIONURL."
RELAY = "Config.DoorSetting.RELAY."
LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Model:
    """`posts`: the config target takes POST; without it one GET per key. `relay_api`: without it only the old address
    for opening a door. `encodes`: passwords are told in base64."""

    firmware: str
    hardware: str = "1.0"
    relays: int = 2
    posts: bool = True
    relay_api: bool = True
    encodes: bool = False
    display: bool = False
    old_keys: bool = False  # RelayADelay is how long it holds; later firmware has HoldDelayA


MODELS: Mapping[str, Model] = {
    "R20A": Model("320.30.11.63", "320.0"),
    "R29C": Model("29.30.2.16", "29.2", relays=3, old_keys=True),
    "E12W": Model("312.30.11.15", "312.0", relays=1),
    "E16C": Model("216.30.10.2", "216.0", posts=False),
    "E18C": Model("18.30.11.21", "18.0"),
    "X916": Model("916.30.10.114", "916.0", relays=4),
    "S532": Model("532.30.10.50", "532.0", encodes=True, display=True),
    "IT83": Model("83.30.10.4", "83.0", relays=1, relay_api=False),
}

_COMMON = {
    "Config.Settings.SNTP.Enable": "1",
    "Config.Settings.SNTP.TimeZone": "GMT+3:00",
    "Config.Settings.SNTP.Name": "Moscow",
    "Config.Settings.SNTP.NTPServer1": "0.pool.ntp.org",
    "Config.Settings.SNTP.NTPServer2": "",
    "Config.Settings.HANDFREE.MicVol": "8",
    "Config.Settings.HANDFREE.SpkVol": "8",
    "Config.Settings.HANDFREE.AlmVol": "8",
    "Config.Settings.HANDFREE.PromptVol": "8",
    "Config.Settings.CALLTIMEOUT.DialIn": "60",
    "Config.Settings.CALLTIMEOUT.DialOut": "60",
    "Config.Features.DOORPHONE.MaxCallTime": "5",
    "Config.Features.DOORPHONE.EnableButtonHangup": "1",
    "Config.Settings.WEB_LOGIN.Password": "",
    "Config.Account1.GENERAL.Enable": "1",
    "Config.Account1.GENERAL.UserName": "1001",
    "Config.Account1.GENERAL.AuthName": "1001",
    "Config.Account1.GENERAL.DisplayName": "Gate",
    "Config.Account1.GENERAL.Pwd": "first-sip-pass",
    "Config.Account1.SIP.Server": "192.0.2.10",
    "Config.Account1.SIP.Port": "5060",
    "Config.DoorSetting.DEVICENODE.Location": "Entrance 1",
    "Config.DoorSetting.DTMF.Code1": "1",
    "Config.DoorSetting.RTSP.OSDEnable": "0",
    "Config.DoorSetting.RTSP.OSDText": "",
    "Config.DoorSetting.MOTION_DETECT.Enable": "0",
    "Config.DoorSetting.MOTION_DETECT.DetectAccuracy": "3",
}
_SYSLOG = {
    "Config.Settings.LOGLEVEL.Level": "3",
    "Config.Settings.LOGLEVEL.RemoteSyslog": "0",
    "Config.Settings.LOGLEVEL.RemoteServer": "",
    "Config.Settings.LOGLEVEL.RemoteServerPort": "514",
}
_ALWAYS = (
    "MakeCall", "HangUp", "ValidCodeEntered", "InvalidCodeEntered", "ValidCardEntered", "InvalidCardEntered",
    "ValidFaceRecognition", "InvalidFaceRecognition", "ValidQRCodeEntered", "InvalidQRCodeEntered",
    "TamperAlarmTriggered", "AlarmLog",
)  # fmt: skip
_SECRETS = ("Password", ".Pwd")
# Where a number has to be: the device refuses what is not.
RANGES: Mapping[str, tuple[int, int]] = {
    "HANDFREE.MicVol": (1, 15),
    "HANDFREE.SpkVol": (1, 15),
    "HANDFREE.AlmVol": (1, 15),
    "HANDFREE.PromptVol": (1, 15),
    "CALLTIMEOUT.DialOut": (5, 120),
    "DOORPHONE.MaxCallTime": (2, 30),
    "SIP.Port": (1, 65535),
    "MOTION_DETECT.DetectAccuracy": (0, 4),
}


def factory(model: Model, *, action_urls: bool, syslog: bool) -> dict[str, str]:
    """The configuration of a new panel. Many models lack one of the two ways to report."""
    config = dict(_COMMON)
    if syslog:
        config |= _SYSLOG
    for letter in LETTERS[: model.relays]:
        config |= {f"{RELAY}Relay{letter}Type": "0", f"{RELAY}Relay{letter}Mode": "0", f"{RELAY}Name{letter}": ""}
        config |= {f"{RELAY}Relay{letter}Delay": "5"} if model.old_keys else {f"{RELAY}HoldDelay{letter}": "5"}
        config[f"Config.DoorSetting.RELAYSCHEDULE.Relay{letter}Enable"] = "0"
    if model.display:
        config |= {"Config.DoorSetting.GENERAL.Theme": "0", "Config.DoorSetting.CUSTOMIZED.Text": ""}
    if action_urls:
        config |= {f"{URLS}Enable": "0", f"{URLS}Method": ""}
        config |= dict.fromkeys((URLS + name for name in _ALWAYS), "")
        for letter in LETTERS[: model.relays]:
            names = (f"Relay{letter}Triggered", f"Relay{letter}Closed", f"Input{letter}Triggered",
                     f"Input{letter}Closed", f"BreakInAlarm{letter}", f"AlarmDoorOpenedTimeout{letter}")  # fmt: skip
            config |= dict.fromkeys((URLS + name for name in names), "")
    return config


def is_secret(key: str) -> bool:
    return key.startswith("Config.") and key.endswith(_SECRETS)


def refused(key: str, value: str) -> bool:
    """Whether the device does not take that value there."""
    bounds = next((limit for name, limit in RANGES.items() if key.endswith(name)), None)
    if bounds is not None:
        return not value.isdigit() or not bounds[0] <= int(value) <= bounds[1]
    # The font of the camera has no other letters.
    return key.endswith("RTSP.OSDText") and not value.isascii()
