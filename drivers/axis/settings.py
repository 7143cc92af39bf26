"""What an Axis door station is set to: where each setting stands in VAPIX, reading it, writing it.

The call service gives SIP passwords in clear to whoever may ask. They are dropped where its answer is read; only
`write` carries one for a moment, because an account is written as a whole or loses what is not said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from bridge.config.types import SecretValue
from bridge.errors import ProtocolError, Rejected
from bridge.secrets import Secret
from bridge.settings.limits import FLAG, Between, Limit, Limits, OneOf, Text, Texts, Zone
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import Value, flatten, section_of, split, unflatten
from drivers.axis.answers import Roles, number
from drivers.axis.apis import Api
from drivers.axis.vapix import NotThere, Vapix

_TALK = "MaxCallDuration"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]+)(?::(\d{1,5}))?")


class AxisSettings(BaseModel):
    """What stands under `vendor.axis` in a template."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    incoming_calls: bool | None = Field(None, description="whether it takes SIP calls from others")
    traps: bool | None = Field(None, description="whether it sends SNMP traps")
    trap_receiver: Annotated[str, Field(max_length=253)] | None = Field(
        None, description="host name or address that its SNMP traps go to; empty: none"
    )
    trap_community: SecretValue | None = Field(
        None, description="the community that they carry: env:NAME, file:PATH or cred:NAME"
    )


# -- parameters -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of param.cgi; `#` in its name is the number of a port."""

    name: str
    limit: Limit
    read: Callable[[str], Value] = str
    write: Callable[[Value], str] = str
    secret: bool = False


def _yes(value: str) -> bool:
    return value == "yes"


def _flag(value: Value) -> str:
    return "yes" if value else "no"


_YES: Final = (FLAG, _yes, _flag)
_PARAMETERS: Mapping[str, Parameter] = {
    "hostname.name": Parameter("Network.HostName", Text(63, 1)),
    "osd_text.enabled": Parameter("Image.I0.Text.TextEnabled", *_YES),
    "osd_text.text": Parameter("Image.I0.Text.String", Text(200)),
    "relays.*.mode": Parameter("IOPort.I#.Output.Mode", OneOf(("monostable", "bistable"))),
    "relays.*.duration": Parameter(
        "IOPort.I#.Output.DelayTime", Between(1, 3600, 1), lambda told: number(told), lambda value: str(round(value))
    ),
    # VAPIX says what it is while it is active.
    "relays.*.idle": Parameter(
        "IOPort.I#.Output.Active",
        OneOf(("open", "closed")),
        lambda told: {"open": "closed", "closed": "open"}.get(told),
        lambda value: "open" if value == "closed" else "closed",
    ),
    "vendor.axis.traps": Parameter("SNMP.Trap.Enabled", *_YES),
    "vendor.axis.trap_receiver": Parameter("SNMP.Trap.T0.Address", Text(253)),
    "vendor.axis.trap_community": Parameter("SNMP.Trap.T0.Community", Text(64, 1), secret=True),
}
# Of firmware without the interfaces for time and NTP.
_OLD: Mapping[Api, Mapping[str, Parameter]] = {
    Api.TIME: {
        "clock.time_zone": Parameter("Time.POSIXTimeZone", Zone()),
        "clock.daylight_saving": Parameter("Time.DST.Enabled", *_YES),
    },
    Api.NTP: {
        "ntp.enabled": Parameter(
            "Time.SyncSource", FLAG, lambda told: told == "NTP", lambda value: "NTP" if value else "None"
        ),
        "ntp.servers": Parameter(
            "Time.NTP.Server", Texts(1), lambda told: (told,) if told else (), lambda value: (*value, "")[0]
        ),
    },
}
_ACCOUNT = "axcall:SetSIPAccount, "
_SIP = "axcall:SetSIPConfiguration, "
OPERATIONS: Mapping[str, str] = {
    **{path: f"param.cgi update, {one.name}" for path, one in _PARAMETERS.items()},
    "clock.time_zone": "time.cgi setPosixTimeZone, posixTimeZone",
    "clock.daylight_saving": "time.cgi setPosixTimeZone, enableDst",
    "ntp.enabled": "ntp.cgi setNTPClientConfiguration, enabled",
    "ntp.from_dhcp": "ntp.cgi setNTPClientConfiguration, serversSource",
    "ntp.servers": "ntp.cgi setNTPClientConfiguration, staticServers",
    "sip.enabled": _SIP + "SIPEnabled",
    "sip.server": _ACCOUNT + "Registrar",
    "sip.port": _ACCOUNT + "Registrar, behind the colon",
    "sip.username": _ACCOUNT + "UserId",
    "sip.password": _ACCOUNT + "Password",
    "sip.display_name": _ACCOUNT + "CallerId",
    "call.ring": _SIP + "CallingTimeout",
    "call.talk": _ACCOUNT + f"Attribute {_TALK}",
    "door.dtmf": "axcall:SetDTMFTrigger, DTMFSequence",
    "vendor.axis.incoming_calls": _SIP + "AllowIncomingCalls",
}
_OF_CALLS = frozenset({"sip", "call", "door", "vendor"})


def _there(apis: frozenset[Api], roles: Roles) -> dict[str, tuple[str, Parameter]]:
    """The settings that are parameters of this unit: by path, the name of the parameter."""
    known = {**_PARAMETERS}
    for api, more in _OLD.items():
        if api not in apis:
            known |= more
    found = {}
    for path, one in known.items():
        if "*" not in path:
            found[path] = (one.name, one)
        for output, port in enumerate(roles.doors, 1):
            if "*" in path:
                found[path.replace("*", str(output))] = (one.name.replace("#", str(port)), one)
    return found


# -- reading ----------------------------------------------------------------------------------------------------------


async def read(vapix: Vapix, apis: frozenset[Api], roles: Roles, sections: Collection[str]) -> Configuration:
    values: dict[str, Value] = {}
    limits: dict[str, Limit] = {}

    def tell(path: str, value: Value, limit: Limit) -> None:
        if section_of(path) in sections:
            limits[path] = limit
            if value is not None:
                values[path] = value

    wanted = {path: one for path, one in _there(apis, roles).items() if section_of(path) in sections}
    if wanted:
        # In groups, because a list of single parameters is longer than a URL may be.
        groups = sorted({name.rpartition(".")[0] for name, _ in wanted.values()})
        found = await vapix.parameters(*groups)
        for path, (name, one) in wanted.items():
            if name in found:
                tell(path, None if one.secret else one.read(found[name]), one.limit)
    if "clock" in sections and Api.TIME in apis:
        told = await vapix.ask("time.cgi", "getDateTimeInfo")
        zone, saving = told.get("posixTimeZone"), told.get("dstEnabled")
        tell("clock.time_zone", zone if isinstance(zone, str) else None, Zone())
        tell("clock.daylight_saving", saving if isinstance(saving, bool) else None, FLAG)
    if "ntp" in sections and Api.NTP in apis:
        client = await _ntp(vapix)
        servers = client.get("staticServers")
        most = client.get("maxSupportedStaticServers")
        tell("ntp.enabled", client.get("enabled") is True, FLAG)
        tell("ntp.from_dhcp", client.get("serversSource") == "DHCP", FLAG)
        names = tuple(one for one in servers if isinstance(one, str) and one) if isinstance(servers, list) else ()
        tell("ntp.servers", names[:8], Texts(most if isinstance(most, int) and 0 < most < 8 else 1))
    if _OF_CALLS & set(sections):
        await _read_calls(vapix, sections, tell)
    return Configuration(unflatten(values), Limits(limits))


async def _read_calls(vapix: Vapix, sections: Collection[str], tell: Callable[[str, Value, Limit], None]) -> None:
    try:
        sip = await _sip(vapix)
    except NotThere:
        return  # it makes no calls
    tell("sip.enabled", sip.get("SIPEnabled") is True, FLAG)
    tell("vendor.axis.incoming_calls", sip.get("AllowIncomingCalls") is True, FLAG)
    if isinstance(ring := sip.get("CallingTimeout"), int):
        tell("call.ring", ring, Between(1, 600, 1))
    if {"sip", "call"} & set(sections) and (account := await _account(vapix)) is not None:
        account.pop("Password", None)
        server, port = _host(account.get("Registrar"))
        tell("sip.server", server, Text(253, 1))
        tell("sip.port", port, Between(1, 65535, 1))
        tell("sip.username", _word(account.get("UserId")), Text(128, 1))
        tell("sip.password", None, Text(128, 1))
        tell("sip.display_name", account.get("CallerId") or "", Text(64))
        tell("call.talk", number(_attributes(account).get(_TALK)), Between(1, 7200, 1))
    if "door" in sections and (trigger := await _trigger(vapix)) is not None:
        tell("door.dtmf", _word(trigger.get("DTMFSequence")) or "", Text(8))


async def _ntp(vapix: Vapix) -> dict[str, Any]:
    client = (await vapix.ask("ntp.cgi", "getNTPInfo")).get("client")
    if not isinstance(client, dict):
        raise ProtocolError("its answer has no NTP client")
    return client


async def _sip(vapix: Vapix) -> dict[str, Any]:
    found = (await vapix.call("GetSIPConfiguration")).get("SIPConfiguration")
    if not isinstance(found, dict):
        raise ProtocolError("its answer has no SIP configuration")
    return found


async def _account(vapix: Vapix) -> dict[str, Any] | None:
    """The account that calls are made with, its password included; None where there is none."""
    listed = (await vapix.call("GetSIPAccounts")).get("SIPAccount")
    if not isinstance(listed, list):
        raise ProtocolError("its answer has no SIP accounts")
    accounts = [one for one in listed[:100] if isinstance(one, dict) and isinstance(one.get("Id"), str)]
    return next((one for one in accounts if one.get("IsDefault") is True), accounts[0] if accounts else None)


async def _trigger(vapix: Vapix) -> dict[str, Any] | None:
    """The DTMF sequence that it listens to; None unless it is exactly one, because which opens the door is a matter of
    action rules."""
    listed = (await vapix.call("GetDTMFTriggers")).get("DTMFTrigger")
    triggers = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return triggers[0] if len(triggers) == 1 else None


def _attributes(account: Mapping[str, Any]) -> dict[str, str]:
    listed = account.get("Attribute")
    pairs = [one for one in listed[:100] if isinstance(one, dict)] if isinstance(listed, list) else []
    return {str(one.get("Name")): str(one.get("Value")) for one in pairs}


def _host(registrar: object) -> tuple[str | None, int | None]:
    """`host` or `host:port`. Without a port it is 5060 (RFC 3261)."""
    match = _HOST.fullmatch(registrar) if isinstance(registrar, str) else None
    return (None, None) if match is None else (match[1], int(match[2] or 5060))


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


# -- writing ----------------------------------------------------------------------------------------------------------


async def write(vapix: Vapix, apis: frozenset[Api], roles: Roles, step: Step) -> bool:
    after = flatten(step.after)
    wanted = {path: after.get(path) for path in step.paths}
    there = _there(apis, roles)
    parameters = {path: value for path, value in wanted.items() if path in there}
    if parameters:
        await vapix.update({there[path][0]: there[path][1].write(_plain(value)) for path, value in parameters.items()})
    rest = {path: value for path, value in wanted.items() if path not in there}
    if not rest:
        return False
    match step.section:
        case "clock":
            zone, saving = after.get("clock.time_zone"), after.get("clock.daylight_saving")
            await vapix.ask("time.cgi", "setPosixTimeZone", {"posixTimeZone": zone, "enableDst": saving is not False})
        case "ntp":
            await _write_ntp(vapix, rest)
        case "sip" | "call" | "door" | "vendor":
            await _write_calls(vapix, rest)
        case _:
            raise Rejected(f"it has no setting {', '.join(rest)}")
    return False


def _plain(value: Value) -> Value:
    return value.reveal() if isinstance(value, Secret) else value


async def _write_ntp(vapix: Vapix, wanted: Mapping[str, Value]) -> None:
    changes: dict[str, Any] = {}
    for path, value in wanted.items():
        match split(path)[2]:
            case "enabled":
                changes["enabled"] = value
            case "from_dhcp":
                changes["serversSource"] = "DHCP" if value else "static"
            case "servers":
                changes["staticServers"] = list(value)
    await vapix.ask("ntp.cgi", "setNTPClientConfiguration", changes)


_OF_SIP = {
    "sip.enabled": "SIPEnabled",
    "call.ring": "CallingTimeout",
    "vendor.axis.incoming_calls": "AllowIncomingCalls",
}
_OF_ACCOUNT = {"sip.username": "UserId", "sip.password": "Password", "sip.display_name": "CallerId"}


async def _write_calls(vapix: Vapix, wanted: Mapping[str, Value]) -> None:
    sip = {_OF_SIP[path]: value for path, value in wanted.items() if path in _OF_SIP}
    if sip:
        if "CallingTimeout" in sip:
            sip["CallingTimeout"] = round(sip["CallingTimeout"])
        await vapix.call("SetSIPConfiguration", {"SIPConfiguration": sip})
    if "door.dtmf" in wanted:
        trigger = await _trigger(vapix)
        if trigger is None:
            raise Rejected("it has not exactly one DTMF trigger: set that up in its web page")
        await vapix.call("SetDTMFTrigger", {"DTMFTrigger": {**trigger, "DTMFSequence": wanted["door.dtmf"]}})
    if wanted.keys() - _OF_SIP.keys() - {"door.dtmf"}:
        account = await _account(vapix)
        if account is None:
            raise Rejected("it has no SIP account")
        await vapix.call("SetSIPAccount", {"SIPAccount": _changed(account, wanted)})


def _changed(account: Mapping[str, Any], wanted: Mapping[str, Value]) -> dict[str, Any]:
    """The whole account, with what is wanted."""
    found = {**account, **{_OF_ACCOUNT[path]: _plain(value) for path, value in wanted.items() if path in _OF_ACCOUNT}}
    if {"sip.server", "sip.port"} & wanted.keys():
        server, port = _host(account.get("Registrar"))
        server, port = wanted.get("sip.server", server), wanted.get("sip.port", port)
        if not server:
            raise Rejected("it has no registrar: say sip.server as well")
        found["Registrar"] = server if port in (None, 5060) else f"{server}:{port}"
    if "call.talk" in wanted:
        attributes = {**_attributes(account), _TALK: str(round(wanted["call.talk"]))}
        found["Attribute"] = [{"Name": name, "Value": value} for name, value in attributes.items()]
    return found
