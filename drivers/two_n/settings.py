"""What can be set on a 2N intercom, and how it is written. No I/O.

Time, time zone and SIP accounts have functions of their own (the vendor's manual, sections 5.1.5 to 5.1.8 and 5.6.3).
The rest is in the configuration file; its names are those of files of firmware 2.49 and 2.50. What the file of a unit
has not got, the unit has not got.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict, Field

from bridge.config.types import Duration
from bridge.errors import ProtocolError
from bridge.secrets import Secret
from bridge.settings.limits import FLAG, Between, Fixed, Limit, Text, Texts, Zone
from bridge.settings.vocabulary import RelayMode
from drivers.transports import xml
from drivers.two_n import zones
from drivers.two_n.replies import Switch, flag, text

Seconds = Annotated[Duration, Field(ge=0, le=3600)]
Server = Annotated[str, Field(max_length=64)]


class TwoNSettings(BaseModel):
    """What stands under `vendor.two_n` in a template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device_name: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="its name in its web interface and in the vendor's tools"
    )
    sip_domain: Server | None = Field(None, description="domain of the SIP account")
    sip_proxy: Server | None = Field(None, description="SIP proxy; empty: none")
    sip_auth_id: Server | None = Field(None, description="login of the SIP account, where it is not its number")
    connect_limit: Seconds | None = Field(None, description="longest time until a call is set up, seconds")
    incoming_ring: Seconds | None = Field(None, description="longest ringing of calls to the intercom, seconds")
    auto_answer: Seconds | None = Field(None, description="after which it answers calls by itself, seconds; 0: at once")
    door_open_limit: Seconds | None = Field(None, description="after which an open door is reported, seconds")


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in the configuration file, and where."""

    where: tuple[str, ...]
    limit: Between


# A step of a path may choose among several: `Door=0` is the one that is `At` 0.
_OUTGOING = ("Phone", "Calls", "Outgoing")
NUMBERS: Mapping[str, Number] = {
    "call.talk": Number(("Phone", "Calls", "MaxCallDuration"), Between(1, 3600, 1)),
    "call.ring": Number((*_OUTGOING, "MaxRingingDuration"), Between(1, 600, 1)),
    "vendor.two_n.connect_limit": Number((*_OUTGOING, "MaxConnectingDuration"), Between(1, 600, 1)),
    "vendor.two_n.incoming_ring": Number(("Phone", "Calls", "Incoming", "MaxRingingDuration"), Between(1, 600, 1)),
    "vendor.two_n.auto_answer": Number(("Phone", "Calls", "Incoming", "AutoAnswerTimeout"), Between(0, 600, 1)),
    "vendor.two_n.door_open_limit": Number(("DoorControl", "Door=0", "Sensor", "TimeLimit"), Between(1, 3600, 1)),
}
NAME = "vendor.two_n.device_name"
_NAME_AT = ("WebServer", "DeviceName")
# Fields of an account; `vendor` ones beside those of the vocabulary.
ACCOUNT: Mapping[str, tuple[str, Limit]] = {
    "sip.server": ("registrarAddress", Text(64, 1)),
    "sip.username": ("sipNumber", Text(64, 1)),
    "sip.display_name": ("displayName", Text(64)),
    "vendor.two_n.sip_domain": ("domain", Text(64)),
    "vendor.two_n.sip_proxy": ("proxyAddress", Text(64)),
    "vendor.two_n.sip_auth_id": ("authId", Text(64)),
}
_SIP_PORT = 5060
_PHONE = "PUT /api/phone/config, "
OPERATIONS: Mapping[str, str] = {
    "call.ring": "PUT /api/config, Phone/Calls/Outgoing/MaxRingingDuration",
    "call.talk": "PUT /api/config, Phone/Calls/MaxCallDuration",
    "clock.time_zone": "PUT /api/system/timezone, zone or custom",
    "ntp.enabled": "PUT /api/system/time, automatic",
    "ntp.servers": "PUT /api/system/time, server (where GET tells it)",
    "relays.*.mode": "GET /api/switch/caps, mode (read only)",
    "relays.*.duration": "GET /api/switch/caps, switchOnDuration (read only)",
    "sip.enabled": _PHONE + "enabled and registrationEnabled",
    "sip.port": _PHONE + "registrarPort",
    "sip.password": _PHONE + "password",
    **{path: _PHONE + field for path, (field, _) in ACCOUNT.items()},
    NAME: "PUT /api/config, WebServer/DeviceName",
    **{path: "PUT /api/config, " + "/".join(one.where) for path, one in NUMBERS.items() if path.startswith("vendor")},
}

Read = tuple[dict[str, Any], dict[str, Limit]]


def clock(result: Any) -> Read:
    """Of GET /api/system/timezone."""
    told = result if isinstance(result, dict) else {}
    zone = text(told.get("zone"))
    rule = zones.of_offset(text(told.get("custom"))) if zone == "custom" else zones.of_name(zone)
    return {"clock.time_zone": rule} if rule else {}, {"clock.time_zone": Zone()}


def ntp(result: Any) -> Read:
    """Of GET /api/system/time. The server is not told by all firmware, and what cannot be read back is not set."""
    told = result if isinstance(result, dict) else {}
    automatic, server = flag(told.get("automatic")), told.get("server")
    if automatic is None:
        return {}, {}
    values: dict[str, Any] = {"ntp.enabled": automatic}
    limits: dict[str, Limit] = {"ntp.enabled": FLAG}
    if isinstance(server, str):
        values["ntp.servers"] = (server[:253],) if server else ()
        limits["ntp.servers"] = Texts(1)
    return values, limits


def account(result: Any, chosen: int) -> Read:
    """Of GET /api/phone/config."""
    accounts = result.get("accounts") if isinstance(result, dict) else None
    listed = (one for one in accounts if isinstance(one, dict)) if isinstance(accounts, list) else ()
    told = next((one for one in listed if one.get("account") == chosen), None)
    if told is None:
        return {}, {}
    port = text(told.get("registrarPort"))
    values: dict[str, Any] = {
        "sip.enabled": bool(flag(told.get("enabled"))) and bool(flag(told.get("registrationEnabled"))),
        "sip.port": int(port) if port.isdecimal() and 0 < int(port) < 65536 else _SIP_PORT,
    }
    for path, (field, limit) in ACCOUNT.items():
        value = text(told.get(field))
        if not isinstance(limit, Text) or limit.shortest <= len(value) <= limit.longest:
            values[path] = value
    limits: dict[str, Limit] = {"sip.enabled": FLAG, "sip.port": Between(1, 65535, 1), "sip.password": Text(64, 1)}
    return values, limits | {path: limit for path, (_, limit) in ACCOUNT.items()}


def relays(switches: Mapping[int, Switch]) -> Read:
    values: dict[str, Any] = {}
    limits: dict[str, Limit] = {}
    for number, one in switches.items():
        if not one.enabled:
            continue
        values[f"relays.{number}.mode"] = RelayMode.BISTABLE if one.bistable else RelayMode.MONOSTABLE
        limits[f"relays.{number}.mode"] = Fixed()
        if one.seconds is not None and 0 < one.seconds <= 3600:
            values[f"relays.{number}.duration"] = one.seconds
            limits[f"relays.{number}.duration"] = Fixed()
    return values, limits


def document(data: bytes) -> xml.Element:
    root = xml.parse(data)
    if xml.local(root) != "DeviceDatabase":
        raise ProtocolError("its configuration is no configuration", data[:200])
    return root


def of_document(root: xml.Element) -> Read:
    values: dict[str, Any] = {}
    limits: dict[str, Limit] = {}
    for path, one in NUMBERS.items():
        told = _found(root, one.where)
        if told is not None and told.isdecimal():
            limits[path] = one.limit
            if one.limit.low <= int(told) <= one.limit.high:
                values[path] = int(told)
    name = _found(root, _NAME_AT)
    if name is not None:
        limits[NAME] = Text(64, 1)
        if 0 < len(name) <= 64:
            values[NAME] = name
    return values, limits


def change(root: xml.Element, wanted: Mapping[str, Any]) -> bytes:
    """The part of the configuration that changes. What an upload does not speak of stays."""
    version = root.get("Version", "")
    tree: dict[str, Any] = {}
    for path, value in wanted.items():
        where = _NAME_AT if path == NAME else NUMBERS[path].where
        branch = tree
        for step in where[:-1]:
            branch = branch.setdefault(step, {})
        branch[where[-1]] = str(value) if path == NAME else f"{value:.0f}"
    head = f'<DeviceDatabase Version="{escape(version)}">' if version.isdecimal() else "<DeviceDatabase>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{_written(tree)}</DeviceDatabase>\n'.encode()


def change_account(chosen: int, wanted: Mapping[str, Any]) -> bytes:
    """The fields of an account that change, as JSON."""
    fields: dict[str, Any] = {"account": chosen}
    for path, value in wanted.items():
        match path:
            case "sip.enabled":
                fields["registrationEnabled"] = value
                if value:
                    fields["enabled"] = True
            case "sip.port":
                fields["registrarPort"] = str(value)
            case "sip.password":
                assert isinstance(value, Secret)
                fields["password"] = value.reveal()
            case _:
                fields[ACCOUNT[path][0]] = value
    return json.dumps({"accounts": [fields]}).encode()


def _found(root: xml.Element, where: tuple[str, ...]) -> str | None:
    at: xml.Element | None = root
    for step in where:
        name, _, chosen = step.partition("=")
        fits = (one for one in xml.children(at, name) if not chosen or one.get("At") == chosen)
        at = next(fits, None)
        if at is None:
            return None
    # What is encrypted cannot be told, and must not be written back.
    return None if at is None or at.get("Encryption") else (at.text or "").strip()


def _written(tree: Mapping[str, Any]) -> str:
    parts = []
    for step, inner in tree.items():
        name, _, chosen = step.partition("=")
        attribute = f' At="{chosen}"' if chosen else ""
        content = escape(inner) if isinstance(inner, str) else _written(inner)
        parts.append(f"<{name}{attribute}>{content}</{name}>")
    return "".join(parts)
