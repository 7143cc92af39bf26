"""Panels as they leave the factory: what differs between models and firmware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """`paths`: where its API is. `order`: the word by which it sorts its log (`sort_type`, `order_by`), "" for none.
    `event_server`: it has /syslog/settings. `zone_key`: under which name its time zone stands. `picture`: jpeg or
    base64. `codes`: how it keeps the common code, int or str."""

    model: str
    firmware: str
    api_version: str
    paths: str = "v1"
    order: str = "sort_type"
    event_server: bool = True
    boot_logged: bool = True
    zone_key: str = "timezone"
    zone: str = "UTC+03:00"
    picture: str = "jpeg"
    codes: type = int
    time_key: str = "device_time_unix"
    objects_of_errors: bool = False
    camera: bool = True


PROFILES: dict[str, Profile] = {
    "AA-12FB": Profile("AA-12FB", "4.2.0", "2.8.0"),
    "AA-07BD": Profile(
        "AA-07BD",
        "1.3.5",
        "1.3.5",
        order="order_by",
        event_server=False,
        boot_logged=False,
        zone_key="current_timezone",
        picture="base64",
        codes=str,
        objects_of_errors=True,
    ),
    "AA-14FB": Profile(
        "AA-14FB", "3.7.0", "1.4.0", paths="v0", order="", zone="Europe/Kyiv", time_key="time_unix", boot_logged=False
    ),
    "AV-03BD": Profile("AV-03BD", "2.3.0", "0.9.0", paths="v0", order="", event_server=False, zone="GMT+3"),
}
ZONES = ["UTC-05:00", "UTC±00:00", "UTC+01:00", "UTC+02:00", "UTC+03:00", "UTC+05:30"]
OLD_ZONES = ["GMT-5", "GMT+0", "GMT+1", "GMT+2", "GMT+3"]
REGIONS = ["Europe/Berlin", "Europe/Kyiv", "Europe/London", "UTC"]


def settings_of(profile: Profile) -> dict[str, dict[str, Any]]:
    """What is set, by the path of the API without its generation."""
    zones = ZONES if profile.zone in ZONES else OLD_ZONES if profile.zone in OLD_ZONES else REGIONS
    settings: dict[str, dict[str, Any]] = {
        "/network/ntp": {"enabled": True, "use_default": True, "custom_server": ""},
        "/network/timezone": {profile.zone_key: profile.zone, "available_timezones": zones},
        "/device/sip/settings": {
            "proxy": "sip:sip.bas-ip.com",
            "realm": "sip.bas-ip.com",
            "user": "101",
            "user_id": "",
            "password": "a-sip-password",
            "outbound": "",
            "transport": "udp",
            "registration_interval": 60,
            "stun": {"ip": "stun.l.google.com", "port": 19302},
        },
        "/device/sip/enable": {"sip_enable": True},
        "/device/settings/volume": {"volume_level": 3},
        "/device/settings/mic": {"mic_gain_level": 4},
        "/device/call/dial/timeout": {"dial_timeout": 40, "forwarding_timeout": 25},
        "/device/call/talk/timeout": {"talk_timeout": 120},
        "/access/general/lock/dtmf/1": {"dtmf_code": "0"},
        "/access/general/lock/dtmf/2": {"dtmf_code": "9"},
        "/access/general/lock/timeout/1": {"lock_timeout": 3},
        "/access/general/lock/timeout/2": {"lock_timeout": 3},
        "/access/general/lock/delay/1": {"lock_delay": 0},
        "/access/general/lock/delay/2": {"lock_delay": 0},
        "/access/general/unlock/input/code": {"input_code_enable": False, "input_code_number": profile.codes(1234)},
        "/device/language": {"current_language": "English"},
        "/device/mode/current": {"current_panel_mode": "wall"},
        "/web/ssl": {"enable": False},
    }
    if profile.event_server:
        settings["/syslog/settings"] = {
            "enabled": False,
            "tag": "",
            "server": {"server": "", "port": 514, "severity": 6},
        }
    return settings


# Numbers that a panel takes, by the key of the API.
RANGES: dict[str, tuple[int, int]] = {
    "registration_interval": (30, 900),
    "volume_level": (1, 6),
    "mic_gain_level": (1, 6),
    "dial_timeout": (5, 600),
    "talk_timeout": (10, 3600),
    "lock_timeout": (1, 300),
    "lock_delay": (0, 60),
}
LANGUAGES = ("English", "Russian", "Ukrainian", "Spanish", "Polish", "Dutch", "Turkish", "Deutsch", "French")
MASK = "WebPass"
# Secrets by key: they are written, and never shown.
SECRETS = ("password", "input_code_number")
