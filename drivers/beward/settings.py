"""What templates can say to a panel, and on which of its two surfaces each of it is read and written.

Most settings are one key of one CGI module, and stand in a table. The rest (SIP account, DTMF digits, time zone, texts,
the syslog target) take more than a key, and have a function each.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, create_model

from bridge.errors import Rejected
from bridge.secrets import Secret
from bridge.settings.limits import FLAG, Anything, Between, Limit, Limits, OneOf, Text, Texts, Zone
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import Contact, flatten, unflatten
from drivers.beward import times
from drivers.beward.api import Api
from drivers.beward.models import DKS, OFF_BY_ONE, SMALL_STREAM_ONLY, Family, alike, truth
from drivers.beward.syslog import LEVEL, Slot

VENDOR = "vendor.beward."
TARGET = "syslog"  # the one name under event_targets
_LOUDEST = 15
_STEP = 100 / _LOUDEST

Values = Mapping[str, str]
Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    family: Family
    model: str
    keys: str  # the module of its built-in reader; "" for none


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value stands on the wire. `read` gives None for what cannot be read."""

    limit: Limit
    read: Callable[[str], Any]
    write: Callable[[Any, str | None], str | int]  # what is wanted, and what stands there


def _whole(low: int, high: int) -> Kind:
    return Kind(
        Between(low, high, 1),
        lambda text: int(text) if re.fullmatch(r"-?\d{1,6}", text) else None,
        lambda value, _: int(value),
    )


_SWITCH = Kind(FLAG, truth, lambda value, before: alike(before, value))
_VOLUME = _whole(0, _LOUDEST)
# The panel keeps one more than it is told.
_GATE_VOLUME = Kind(Between(1, _LOUDEST, 1), _VOLUME.read, lambda value, _: int(value) - 1)
_PERCENT = Kind(
    Between(0, 100, tolerance=_STEP / 2),
    lambda text: min(100, round(int(text) * _STEP)) if text.isdecimal() and len(text) < 4 else None,
    lambda value, _: round(value / _STEP),
)
_CODE = Kind(Text(8, 1), lambda _: None, lambda value, _: value.reveal() if isinstance(value, Secret) else str(value))
_APARTMENT = Kind(Text(9), lambda text: text[:9], lambda value, _: str(value))
# RelayType: 1 for a relay that is closed while nobody asks for anything, 0 for one that is open.
_CONTACT = Kind(
    OneOf((Contact.OPEN, Contact.CLOSED)),
    lambda text: {"0": Contact.OPEN, "1": Contact.CLOSED}.get(text),
    lambda value, _: 1 if value == Contact.CLOSED else 0,
)


@dataclass(frozen=True, slots=True)
class Plain:
    """One key of one module."""

    module: str
    key: str
    kind: Kind


def _snake(key: str) -> str:
    return "volume_" + re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key).lower()


# By their name under vendor.beward, with what people read about them. Every one of them is a key that an operator's
# platform sets on DKS panels.
_VOLUMES: Mapping[str, str] = {
    _snake(key): key
    for key in dict.fromkeys((*DKS.volumes, "AudioInVolTalk", "AudioOutVolTalk"))
    if key not in ("AudioInVol", "AudioOutVol")  # those are audio.microphone and audio.speaker
}
_OWN: Mapping[str, tuple[Plain, type[Any], str]] = {
    "free_pass_main": (
        Plain("intercom_cgi", "MainDoorOpenMode", _SWITCH), bool, "whether the main door is kept open",
    ),
    "free_pass_second": (
        Plain("intercom_cgi", "AltDoorOpenMode", _SWITCH), bool, "whether the second door is kept open",
    ),
    "door_open_sip_fail": (
        Plain("intercom_cgi", "DoorOpenSipFail", _SWITCH), bool, "whether doors are open while SIP is not registered",
    ),
    "individual_levels": (
        Plain("intercom_cgi", "IndividualLevels", _SWITCH), bool, "whether each handset has levels of its own",
    ),
    "handset_up_level": (
        Plain("intercom_cgi", "HandsetUpLevel", _whole(0, 1023)), int, "level of the line that means a lifted handset",
    ),
    "door_open_level": (
        Plain("intercom_cgi", "DoorOpenLevel", _whole(0, 1023)), int, "level of the line that means the door button",
    ),
    "concierge_apartment": (
        Plain("intercom_cgi", "ConciergeApartment", _APARTMENT), str, "apartment that the concierge button calls",
    ),
    "sos_enabled": (
        Plain("intercom_alarm_cgi", "SOSCallActive", _SWITCH), bool, "whether the SOS button calls somebody",
    ),
    "sos_number": (
        Plain("intercom_alarm_cgi", "SOSCallNumber", _APARTMENT), str, "whom the SOS button calls",
    ),
    **{
        name: (
            Plain("audio_cgi", key, _GATE_VOLUME if key in OFF_BY_ONE else _VOLUME),
            int,
            f"{key} of its page of sound, 0 to {_LOUDEST}",
        )
        for name, key in _VOLUMES.items()
    },
}  # fmt: skip
_TABLE: Mapping[str, Plain] = {
    "audio.speaker": Plain("audio_cgi", "AudioOutVol", _PERCENT),
    "audio.microphone": Plain("audio_cgi", "AudioInVol", _PERCENT),
    "call.ring": Plain("intercom_cgi", "CallTimeout", _whole(1, 3600)),
    "call.talk": Plain("intercom_cgi", "TalkTimeout", _whole(1, 7200)),
    "door.code": Plain("intercom_cgi", "DoorCode", _CODE),
    "door.code_enabled": Plain("intercom_cgi", "DoorCodeActive", _SWITCH),
    "relays.1.duration": Plain("intercom_cgi", "DoorOpenTime", _whole(1, 600)),
    "relays.1.idle": Plain("intercom_cgi", "RelayType", _CONTACT),
    **{VENDOR + name: plain for name, (plain, _, _) in _OWN.items()},
}

BewardSettings: type[BaseModel] = create_model(
    "BewardSettings",
    __config__=ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True),
    __doc__="What stands under `vendor.beward` in a template.",
    **{
        **{name: (kind | None, Field(None, description=text)) for name, (_, kind, text) in _OWN.items()},
        "auto_collect_keys": (
            bool | None, Field(None, description="whether the panel adds the cards that it is shown to its keys"),
        ),
        "dtmf_second": (
            Annotated[str, Field(pattern=r"^[0-9*#]{0,8}$")] | None,
            Field(None, description="digits that open the second door during a call; empty: none"),
        ),
    },
)  # type: ignore[call-overload] # fmt: skip

_FORM_SIP = "POST webs/SIP1CfgEx (DKS), webs/SIPCfgEx (DS)"
_FORM_DTMF = "POST webs/SIPExtCfgEx (DKS), sip_cgi DtmfSignal1 (DS)"
OPERATIONS: Mapping[str, str] = {
    **{re.sub(r"^relays\.1\.", "relays.*.", path): f"{one.module} {one.key}" for path, one in _TABLE.items()},
    "relays.*.duration": "intercom_cgi DoorOpenTime (DKS), webs/almControllerCfgEx outdelay1 (DS)",
    "osd_text.enabled": "textoverlay_cgi TitleValue",
    "osd_text.text": "textoverlay_cgi Title",
    "display.text": "display_cgi TickerText, TickerEnable",
    "ntp.enabled": "ntp_cgi Enable",
    "ntp.servers": "ntp_cgi ServerAddress, AutoMode off",
    "clock.time_zone": "ntp_cgi Timezone, by its number",
    "hostname.name": "webs/sysInfoCfgEx sys_name",
    "sip.enabled": _FORM_SIP,
    "sip.server": _FORM_SIP,
    "sip.port": _FORM_SIP,
    "sip.username": _FORM_SIP,
    "sip.password": f"{_FORM_SIP}, passchanged=1",
    "sip.display_name": _FORM_SIP,
    "door.dtmf": _FORM_DTMF,
    "event_targets.*.url": "rsyslog_cgi (one target, called syslog: udp://ADDRESS:PORT)",
    "event_targets.*.absent": "rsyslog_cgi Enable=off",
    VENDOR + "auto_collect_keys": "AutoCollectKeys of intercom_cgi, mifare_cgi or rfid_cgi, where it stands",
    VENDOR + "dtmf_second": "POST webs/SIPExtCfgEx (DKS), sip_cgi DtmfSignal2 (DS)",
}


class Modules:
    """The answers of the modules that are needed, each asked for once."""

    __slots__ = ("_api", "_told")

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: dict[str, Values | None] = {}

    async def __call__(self, module: str) -> Values:
        if module not in self._told:
            self._told[module] = await self._api.ask(module)
        return self._told[module] or {}


@dataclass(slots=True)
class Found:
    values: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)

    def add(self, path: str, limit: Limit, value: Any = None) -> None:
        self.limits[path] = limit
        if value is not None:
            self.values[path] = value


# -- reading ---------------------------------------------------------------------------------------------------------


async def read(api: Api, panel: Panel, sections: Collection[str]) -> Configuration:
    """What the panel is set to in these sections, and what it would take. A key that it lacks is a setting that it
    lacks. Raises DeviceErrors."""
    modules, found = Modules(api), Found()
    for path, plain in _TABLE.items():
        if path.partition(".")[0] in sections:
            raw = (await modules(plain.module)).get(plain.key)
            if raw is not None:
                found.add(path, plain.kind.limit, plain.kind.read(raw))
    for section, reader in _READERS.items():
        if section in sections:
            await reader(modules, panel, found)
    return Configuration(unflatten(found.values), Limits(found.limits))


async def _read_osd(modules: Modules, panel: Panel, found: Found) -> None:
    told = await modules("textoverlay_cgi")
    if "Title" in told:
        found.add("osd_text.text", Text(64), told["Title"][:200])
        found.add("osd_text.enabled", FLAG, truth(told.get("TitleValue")))


async def _read_display(modules: Modules, panel: Panel, found: Found) -> None:
    told = await modules("display_cgi")
    if "TickerText" in told:
        shown = truth(told.get("TickerEnable")) is not False
        found.add("display.text", Text(200), told["TickerText"][:200] if shown else "")


async def _read_ntp(modules: Modules, panel: Panel, found: Found) -> None:
    told = await modules("ntp_cgi")
    if "ServerAddress" in told:
        found.add("ntp.enabled", FLAG, truth(told.get("Enable")))
        found.add("ntp.servers", Texts(1), tuple(filter(None, [told["ServerAddress"][:253]])))


async def _read_clock(modules: Modules, panel: Panel, found: Found) -> None:
    zone = (await modules("ntp_cgi")).get("Timezone", "")
    if zone.isdecimal():
        found.add("clock.time_zone", Zone(), times.posix(int(zone)) if len(zone) < 4 else None)


async def _read_hostname(modules: Modules, panel: Panel, found: Found) -> None:
    name = (await modules("systeminfo_cgi")).get("HostName")
    if name is not None:
        usable = re.fullmatch(r"[A-Za-z0-9-]{1,63}", name)
        found.add("hostname.name", Text(32, 1), name if usable else None)


async def _read_sip(modules: Modules, panel: Panel, found: Found) -> None:
    told = await modules("sip_cgi")
    if "RegServerUrl1" not in told:
        return
    port = told.get("RegServerPort1", "")
    found.add("sip.server", Text(253, 1), told["RegServerUrl1"][:253] or None)
    found.add("sip.port", Between(1, 65535, 1), int(port) if port.isdecimal() and 1 <= int(port[:6]) <= 65535 else None)
    found.add("sip.username", Text(128, 1), told.get("AccUser1", "")[:128] or None)
    found.add("sip.password", Text(128, 1))
    if "AccountEnable1" in told:
        found.add("sip.enabled", FLAG, truth(told["AccountEnable1"]))
    if "AccName1" in told:
        found.add("sip.display_name", Text(64), told["AccName1"][:64])


async def _read_door(modules: Modules, panel: Panel, found: Found) -> None:
    _read_dtmf(await modules("sip_cgi"), found, "door.dtmf", "DtmfSignal1")


def _read_dtmf(told: Values, found: Found, path: str, key: str) -> None:
    if key in told:
        found.add(path, Text(8), told[key] if re.fullmatch(r"[0-9*#]{0,8}", told[key]) else None)


async def _read_relays(modules: Modules, panel: Panel, found: Found) -> None:
    if "relays.1.duration" not in found.limits:
        delay = (await modules("controller_cgi")).get("Delay1", "")
        if delay.isdecimal():
            found.add("relays.1.duration", Between(1, 600, 1), int(delay[:4]) or None)


async def _read_vendor(modules: Modules, panel: Panel, found: Found) -> None:
    _read_dtmf(await modules("sip_cgi"), found, VENDOR + "dtmf_second", "DtmfSignal2")
    module = await _collecting(modules, panel)
    if module:
        found.add(VENDOR + "auto_collect_keys", FLAG, truth((await modules(module))["AutoCollectKeys"]))


async def _collecting(modules: Modules, panel: Panel) -> str:
    """The module that has AutoCollectKeys; "" for a panel without it."""
    for module in filter(None, ("intercom_cgi", panel.keys)):
        if "AutoCollectKeys" in await modules(module):
            return module
    return ""


async def _read_targets(modules: Modules, panel: Panel, found: Found) -> None:
    told = await modules("rsyslog_cgi")
    if "ServerAddress" in told:
        address = Slot(told).address
        shown = f"udp://{address}" if re.fullmatch(r"[^\s@]{1,300}", address) else None
        found.add(f"event_targets.{TARGET}.url", Anything(), shown)


_READERS: Mapping[str, Callable[[Modules, Panel, Found], Awaitable[None]]] = {
    "osd_text": _read_osd,
    "display": _read_display,
    "door": _read_door,
    "relays": _read_relays,
    "vendor": _read_vendor,
    "event_targets": _read_targets,
    "clock": _read_clock,
    "ntp": _read_ntp,
    "sip": _read_sip,
    "hostname": _read_hostname,
}

# -- writing ---------------------------------------------------------------------------------------------------------


async def apply(api: Api, panel: Panel, step: Step) -> None:
    """Write one section; it is in the panel's memory then, and not yet saved. Raises Rejected, other DeviceErrors."""
    after, modules = flatten(step.after), Modules(api)
    changed = {path: after[path] for path in step.paths if path in after}
    writes: dict[str, dict[str, str | int]] = {}
    for path, value in changed.items():
        if (plain := _TABLE.get(path)) is not None and plain.key in (before := await modules(plain.module)):
            writes.setdefault(plain.module, {})[plain.key] = plain.kind.write(value, before.get(plain.key))
    for module, keys in writes.items():
        await api.tell(module, {"action": "set", **keys})
    if (writer := _WRITERS.get(step.section)) is not None:
        await writer(api, modules, panel, changed)


async def _write_osd(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    before = await modules("textoverlay_cgi")
    keys: dict[str, str | int] = {}
    if "osd_text.text" in changed:
        keys["Title"] = changed["osd_text.text"]
    if "osd_text.enabled" in changed:
        keys["TitleValue"] = alike(before.get("TitleValue") or "1", changed["osd_text.enabled"])
    await api.tell("textoverlay_cgi", {"action": "set", **keys})


async def _write_display(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    text = changed["display.text"]
    await api.tell("display_cgi", {"action": "set", "TickerEnable": "on" if text else "off", "TickerText": text})


async def _write_ntp(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    before = await modules("ntp_cgi")
    keys: dict[str, str | int] = {}
    if (servers := changed.get("ntp.servers")) is not None:
        keys["ServerAddress"] = servers[0] if servers else ""
        # With it on, the panel takes another server than ours. Some models say on and off, others 1 and 0, and refuse
        # all of it when it is said in the wrong way.
        if "AutoMode" in before:
            keys["AutoMode"] = alike(before["AutoMode"], False)
    if "ntp.enabled" in changed:
        keys["Enable"] = alike(before.get("Enable"), changed["ntp.enabled"])
    if (zone := changed.get("clock.time_zone")) is not None:
        number = times.number(zone)
        if number is None:
            raise Rejected(f"the panel has no time zone like {zone}")
        keys["Timezone"] = number
    await api.tell("ntp_cgi", {"action": "set", **keys})


async def _write_hostname(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    await api.form("webs/sysInfoCfgEx", {"sys_name": changed["hostname.name"]})


async def _write_relays(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    duration = changed.get("relays.1.duration")
    if duration is not None and "DoorOpenTime" not in await modules("intercom_cgi"):
        await api.form("webs/almControllerCfgEx", {"outdelay1": int(duration)})


async def _write_dtmf(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    wanted = {
        number: changed[path] for number, path in ((1, "door.dtmf"), (2, VENDOR + "dtmf_second")) if path in changed
    }
    if not wanted:
        return
    before = await modules("sip_cgi")
    digits = {number: wanted.get(number, before.get(f"DtmfSignal{number}", "")) for number in (1, 2, 3)}
    if panel.family is DKS:
        await api.form("webs/SIPExtCfgEx", {f"dtmfout{number}": text for number, text in digits.items()})
    else:
        await api.tell("sip_cgi", {"action": "set", **{f"DtmfSignal{number}": text for number, text in wanted.items()}})


async def _write_vendor(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    await _write_dtmf(api, modules, panel, changed)
    collect = changed.get(VENDOR + "auto_collect_keys")
    if collect is not None:
        module = await _collecting(modules, panel)
        if not module:
            raise Rejected("the panel does not collect keys by itself")
        before = (await modules(module))["AutoCollectKeys"]
        await api.tell(module, {"action": "set", "AutoCollectKeys": alike(before, collect)})


async def _write_sip(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    """The form has the whole account; what it does not say is switched off."""
    before = await modules("sip_cgi")

    def now(path: str, key: str, fallback: str = "") -> str:
        return str(changed[path]) if path in changed else before.get(key) or fallback

    enabled = changed.get("sip.enabled", truth(before.get("AccountEnable1")) is not False)
    user, server = now("sip.username", "AccUser1"), now("sip.server", "RegServerUrl1")
    port = now("sip.port", "RegServerPort1", "5060")
    small = panel.model in SMALL_STREAM_ONLY or before.get("StreamType1") == "sub"
    fields: dict[str, str | int] = {
        "cksip": int(enabled),
        "sipname": now("sip.display_name", "AccName1", user),
        "number": user if "sip.username" in changed else before.get("AccNumber1") or user,
        "username": user,
        "sipport": before.get("AccPort1") or "5060",
        "ckenablesip": int(enabled),
        "regserver": server,
        "regport": port,
        "sipserver": server if "sip.server" in changed else before.get("SipServerUrl1") or server,
        "sipserverport": port if "sip.port" in changed else before.get("SipServerPort1") or port,
        "proxyurl": before.get("ProxyServerUrl1", ""),
        "proxyport": before.get("ProxyServerPort1") or "5060",
        "streamtype": int(small),
        "dtfmmod": 0,
        "cknat": int(truth(before.get("NatEnable1")) is True),
        "stunip": before.get("StunUrl1", ""),
        "stunport": before.get("StunPort1") or "3478",
    }
    fields = {f"{key}{panel.family.suffix}": value for key, value in fields.items()}
    fields |= {"ckincall": int(truth(before.get("AllowIncoming")) is not False), "passchanged": 0}
    password = changed.get("sip.password")
    if isinstance(password, Secret):
        fields |= {f"pass{panel.family.suffix}": password.reveal(), "passchanged": 1}
    await api.form(panel.family.sip_form, fields)


async def _write_targets(api: Api, modules: Modules, panel: Panel, changed: Change) -> None:
    keys: dict[str, str | int] = {}
    for path, value in changed.items():
        if path not in (f"event_targets.{TARGET}.url", f"event_targets.{TARGET}.absent"):
            raise Rejected(f"the panel has one target, which is called {TARGET}")
        if path.endswith(".absent"):
            keys = {"Enable": "off"}
            break
        url = urlsplit(value)
        try:
            host, port = url.hostname, url.port or 514
        except ValueError:
            host, port = None, 0
        if url.scheme != "udp" or not host:
            raise Rejected("the panel sends its log over syslog: write udp://ADDRESS:PORT")
        keys = {"Enable": "on", "Protocol": "udp", "ServerAddress": host, "ServerPort": port, "LogLevel": LEVEL}
    await api.tell("rsyslog_cgi", {"action": "set", **keys})


_WRITERS: Mapping[str, Callable[[Api, Modules, Panel, Change], Awaitable[None]]] = {
    "osd_text": _write_osd,
    "display": _write_display,
    "door": _write_dtmf,
    "relays": _write_relays,
    "vendor": _write_vendor,
    "event_targets": _write_targets,
    "clock": _write_ntp,
    "ntp": _write_ntp,
    "sip": _write_sip,
    "hostname": _write_hostname,
}
