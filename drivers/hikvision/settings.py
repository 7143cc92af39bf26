"""What a panel is set to, in the words of `bridge/settings/vocabulary.py`: each setting is an element of a document
that is read, changed and sent back as the panel gave it, whatever else is in it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bridge.driver import DriverIO
from bridge.errors import Rejected
from bridge.secrets import Secret
from bridge.settings.limits import FLAG, Between, Limit, Limits, Text, Texts, Zone
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import Percent, flatten, section_of, split, unflatten
from drivers.hikvision.api import Api, NotThere
from drivers.hikvision.users import USERS, Users
from drivers.hikvision.words import drop, local_time, put, whole, written, zone_of
from drivers.transports import xml

TIME = "/ISAPI/System/time"
NTP = "/ISAPI/System/time/ntpServers/1"
SIP = "/ISAPI/System/Network/SIP/1"
AUDIO_IN = "/ISAPI/System/Audio/AudioIn/channels/1"
AUDIO_OUT = "/ISAPI/System/Audio/AudioOut/channels/1"
CALLS = "/ISAPI/VideoIntercom/operationTime"
DOOR = "/ISAPI/AccessControl/Door/param/"
OVERLAYS = "/ISAPI/System/Video/inputs/channels/1/overlays"
INFO = "/ISAPI/System/deviceInfo"
# Those that tell what they take.
_TELLS = frozenset({AUDIO_IN, AUDIO_OUT, CALLS})
_VOLUME = (0, 10)

Root = xml.Element
Way = tuple[str, ...]


class HikvisionSettings(BaseModel):
    """What stands under `vendor.hikvision` in a template."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    device_name: Annotated[str, Field(min_length=1, max_length=32)] | None = Field(
        None, description="the name of the panel, which it gives to its events"
    )
    talk_volume: Percent | None = Field(None, description="loudness of the speaker during a talk, percent")


@dataclass(frozen=True, slots=True)
class Setting:
    """`resource` is the document; `{}` in it is the number of a door. `told` are the document's limits, or None. A
    setting whose `read` gives None, and that is no `secret`, is one that this unit does not have."""

    resource: str
    read: Callable[[Root, Root | None], Any]
    write: Callable[[Root, Root | None, Any], None]
    limit: Callable[[Root | None], Limit]
    what: str
    secret: bool = False


def _is(limit: Limit) -> Callable[[Root | None], Limit]:
    return lambda told: limit


def _text(resource: str, way: Way, limit: Limit) -> Setting:
    def read(root: Root, told: Root | None) -> str | None:
        found = xml.child(root, *way)
        return None if found is None else (found.text or "").strip()[:256]

    def write(root: Root, told: Root | None, value: Any) -> None:
        put(root, way, value.reveal() if isinstance(value, Secret) else str(value))

    return Setting(resource, read, write, _is(limit), way[-1])


def _flag(resource: str, way: Way, on: str = "true", off: str = "false") -> Setting:
    def read(root: Root, told: Root | None) -> bool | None:
        said = xml.text(root, *way).lower()
        return None if not said else said in (on.lower(), "1")

    return Setting(resource, read, lambda root, told, value: put(root, way, on if value else off), _is(FLAG), way[-1])


def _number(resource: str, way: Way, low: int, high: int) -> Setting:
    def limit(told: Root | None) -> Limit:
        least, most = _range(told, way, low, high)
        return Between(least, most, 1)

    def read(root: Root, told: Root | None) -> int | None:
        return whole(xml.text(root, *way))

    return Setting(resource, read, lambda root, told, value: put(root, way, str(round(value))), limit, way[-1])


def _percent(resource: str, way: Way) -> Setting:
    """Of the panel's own steps, mostly 0 to 10."""

    def read(root: Root, told: Root | None) -> int | None:
        value, (low, high) = whole(xml.text(root, *way)), _range(told, way, *_VOLUME)
        return None if value is None else min(100, max(0, round((value - low) * 100 / (high - low))))

    def write(root: Root, told: Root | None, value: Any) -> None:
        low, high = _range(told, way, *_VOLUME)
        put(root, way, str(low + round(value * (high - low) / 100)))

    def limit(told: Root | None) -> Limit:
        low, high = _range(told, way, *_VOLUME)
        return Between(0, 100, 1, tolerance=50 / (high - low))

    return Setting(resource, read, write, limit, way[-1])


def _range(told: Root | None, way: Way, low: int, high: int) -> tuple[int, int]:
    found = xml.child(told, *way)
    if found is None:
        return low, high
    least, most = whole(found.get("min")), whole(found.get("max"))
    return (least, most) if least is not None and most is not None and least < most else (low, high)


# -- those that are more than an element -------------------------------------------------------------------------------


def _server(root: Root, told: Root | None) -> tuple[str, ...]:
    by_name = xml.text(root, "addressingFormatType").lower() == "hostname"
    host = xml.text(root, "hostName" if by_name else "ipAddress") or xml.text(root, "ipv6Address")
    return (host[:253],) if host not in ("", "0.0.0.0", "::") else ()  # noqa: S104


def _set_server(root: Root, told: Root | None, value: Any) -> None:
    host = value[0] if value else "0.0.0.0"  # noqa: S104
    try:
        name = "ipAddress" if ipaddress.ip_address(host).version == 4 else "ipv6Address"
    except ValueError:
        name = "hostName"
    drop(root, "hostName", "ipAddress", "ipv6Address")
    put(root, ("addressingFormatType",), "hostname" if name == "hostName" else "ipaddress")
    put(root, (name,), host)


def _zone(root: Root, told: Root | None) -> str | None:
    return xml.text(root, "timeZone")[:128] or None


def _set_zone(root: Root, told: Root | None, value: Any) -> None:
    """CST is what all panels call it; west of Greenwich is positive, as POSIX has it."""
    match = re.fullmatch(r"(?:[A-Za-z]{3,12}|<[A-Za-z0-9+-]{1,10}>)([+-]?)(\d{1,2})(?::(\d\d))?(?::\d\d)?", value)
    if match is None and value not in ("UTC", "GMT"):
        raise Rejected("its summer time is set on the panel: give a time zone without rules, like MSK-3")
    sign, hours, minutes = match.groups() if match else ("-", "0", "00")
    put(root, ("timeZone",), f"CST{'-' if sign == '-' else '+'}{int(hours)}:{minutes or '00'}:00")


_VOLUME_IN = ("AudioInVolumelist", "AudioInVlome", "volume")
_OUT = ("AudioOutVolumelist", "AudioOutVlome")  # the vendor's spelling
_OSD = ("TextOverlayList", "TextOverlay")
_USER: Way = ("Standard", "userName")


def _sip_user(root: Root, told: Root | None, value: Any) -> None:
    put(root, _USER, str(value))
    put(root, ("Standard", "authID"), str(value))


SETTINGS: Mapping[str, Setting] = {
    "osd_text.enabled": _flag(OVERLAYS, (*_OSD, "enabled")),
    "osd_text.text": _text(OVERLAYS, (*_OSD, "displayText"), Text(44)),
    "audio.speaker": _percent(AUDIO_OUT, (*_OUT, "volume")),
    "audio.microphone": _percent(AUDIO_IN, _VOLUME_IN),
    "call.ring": _number(CALLS, ("maxRingTime",), 15, 255),
    "call.talk": _number(CALLS, ("talkTime",), 30, 1800),
    "relays.*.duration": _number(DOOR + "{}", ("openDuration",), 1, 255),
    "vendor.hikvision.device_name": _text(INFO, ("deviceName",), Text(32, 1)),
    "vendor.hikvision.talk_volume": _percent(AUDIO_OUT, (*_OUT, "talkVolume")),
    "clock.time_zone": Setting(TIME, _zone, _set_zone, _is(Zone()), "timeZone"),
    "ntp.enabled": _flag(TIME, ("timeMode",), "NTP", "manual"),
    "ntp.servers": Setting(NTP, _server, _set_server, _is(Texts(1)), "hostName or ipAddress"),
    "sip.enabled": _flag(SIP, ("Standard", "enabled")),
    "sip.server": _text(SIP, ("Standard", "proxy"), Text(253, 1)),
    "sip.port": _number(SIP, ("Standard", "proxyPort"), 1, 65535),
    "sip.username": Setting(
        SIP, lambda root, told: xml.text(root, *_USER)[:128] or None, _sip_user, _is(Text(64, 1)), "userName, authID"
    ),
    "sip.display_name": _text(SIP, ("Standard", "displayName"), Text(64)),
    "sip.password": Setting(
        SIP,
        lambda root, told: None,
        lambda root, told, value: put(root, ("Standard", "password"), value.reveal()),
        _is(Text(64, 1)),
        "password",
        secret=True,
    ),
}
OPERATIONS: Mapping[str, str] = {
    **{path: f"PUT {one.resource.replace('{}', 'N')}, {one.what}" for path, one in SETTINGS.items()},
    "users.*.role": f"PUT {USERS}/N, userLevel",
    "users.*.password": f"PUT {USERS}/N, password",
    "users.*.absent": f"DELETE {USERS}/N",
}
SECTIONS = frozenset(map(section_of, SETTINGS))


class SettingsOf:
    """Of one panel."""

    __slots__ = ("_api", "_io", "_users")

    def __init__(self, api: Api, io: DriverIO) -> None:
        self._api = api
        self._io = io
        self._users = Users(api)

    async def read(self, sections: Collection[str], doors: int) -> Configuration:
        values: dict[str, Any] = {}
        limits: dict[str, Limit] = {}
        for resource, number, settings in _documents(sections, doors):
            try:
                root, told = await self._documents(resource)
            except NotThere:
                continue
            for pattern, one in settings:
                path = pattern.replace("*", str(number))
                value = one.read(root, told)
                if value is not None or one.secret:
                    limits[path] = one.limit(told)
                # An empty one is not said: no template could have it.
                if value is not None and (value != "" or _may_be_empty(limits[path])):
                    values[path] = value
        if "users" in sections:
            found, more = await self._users.read()
            values |= found
            limits |= more
        return Configuration(unflatten(values), Limits(limits))

    async def apply(self, step: Step) -> bool:
        """Whether it takes a reboot."""
        after = flatten(step.after)
        if step.section == "users":
            return await self._users.apply({path: after[path] for path in step.paths})
        changes: dict[str, list[tuple[Setting, Any]]] = {}
        for path in step.paths:
            section, name, leaf = split(path)
            one = SETTINGS[path if section != "relays" else f"relays.*.{leaf}"]
            changes.setdefault(one.resource.format(name), []).append((one, after[path]))
        reboot = False
        for resource, some in changes.items():
            root, told = await self._documents(resource)
            for one, value in some:
                one.write(root, told, value)
            self._tidy(resource, root, {one.what for one, _ in some})
            reboot |= (await self._api.write("PUT", resource, written(root))).reboot
        return reboot

    async def _documents(self, resource: str) -> tuple[Root, Root | None]:
        root = await self._api.xml(resource)
        if resource not in _TELLS:
            return root, None
        try:
            return root, await self._api.xml(f"{resource}/capabilities")
        except NotThere:
            return root, None

    def _tidy(self, resource: str, root: Root, written_now: Collection[str]) -> None:
        if resource == SIP and "password" not in written_now:
            # What it shows in the place of the password is no password: left out, it stays as it is.
            standard = xml.child(root, "Standard")
            if standard is not None:
                drop(standard, "password")
        if resource == TIME:
            drop(root, "localTime")  # is old by now
            if xml.text(root, "timeMode") == "manual":
                zone = zone_of(xml.text(root, "timeZone")) or 0
                put(root, ("localTime",), local_time(self._io.clock.now().wall, zone))


def _documents(sections: Collection[str], doors: int) -> Iterator[tuple[str, int, list[tuple[str, Setting]]]]:
    """Each document that these sections are in, once, with the number of the door it is about, and what is in it."""
    found: dict[str, list[tuple[str, Setting]]] = {}
    for path, one in SETTINGS.items():
        if section_of(path) in sections:
            found.setdefault(one.resource, []).append((path, one))
    for resource, settings in found.items():
        for number in range(1, doors + 1) if "{}" in resource else (0,):
            yield resource.format(number), number, settings


def _may_be_empty(limit: Limit) -> bool:
    return not isinstance(limit, Text) or limit.shortest == 0
