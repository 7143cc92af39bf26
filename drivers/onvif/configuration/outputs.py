"""Relay outputs: by the Device service, or by DeviceIO where the device has them there only."""

from __future__ import annotations

from bridge.errors import Rejected
from bridge.settings.limits import Anything, Limit, OneOf
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Contact, Relay, RelayMode, Value
from drivers.onvif import soap, wsdl
from drivers.onvif.client import DEVICE
from drivers.onvif.configuration.messages import copied, put, renamed, request, text
from drivers.onvif.configuration.unit import DEVICEIO, NOTHING, Told, Unit
from drivers.transports import xml
from drivers.transports.xml import Element

_ORDER = ("Mode", "DelayTime", "IdleState")


async def read(unit: Unit, section: str) -> Told:
    values: dict[str, Value] = {}
    limits: dict[str, Limit] = {}
    for one in (await _all(unit))[1]:
        token, properties = one.get("token", ""), xml.child(one, "Properties")
        mode, idle = xml.text(properties, "Mode").lower(), xml.text(properties, "IdleState").lower()
        delay = soap.duration(xml.text(properties, "DelayTime"))
        if mode in tuple(RelayMode):
            values[f"relays.{token}.mode"] = RelayMode(mode)
            limits[f"relays.{token}.mode"] = OneOf(tuple(RelayMode))
        if idle in tuple(Contact):
            values[f"relays.{token}.idle"] = Contact(idle)
            limits[f"relays.{token}.idle"] = OneOf(tuple(Contact))
        if delay is not None:
            # Zero is what a bistable relay has: no time at all.
            values[f"relays.{token}.duration"] = delay or None
            limits[f"relays.{token}.duration"] = Anything()
    return Told(values, limits) if limits else NOTHING


async def write(unit: Unit, step: Step) -> bool:
    service, outputs = await _all(unit)
    by_token = {one.get("token", ""): one for one in outputs}
    touched = dict.fromkeys(path.partition(".")[2].rpartition(".")[0] for path in step.paths)
    for token in touched:
        wanted = (step.after.relays or {}).get(token, Relay())
        if token not in by_token:
            raise Rejected(f"it no longer has the relay {token}")
        output = copied(by_token[token])
        properties = xml.child(output, "Properties")
        if properties is None:
            raise Rejected(f"its relay {token} has no properties")
        changed = {path.rpartition(".")[2] for path in step.paths if path.startswith(f"relays.{token}.")}
        if "mode" in changed and wanted.mode is not None:
            put(properties, ["Mode"], wanted.mode.capitalize(), _ORDER)
        if "duration" in changed and wanted.duration is not None:
            put(properties, ["DelayTime"], f"PT{wanted.duration:g}S", _ORDER)
        if "idle" in changed and wanted.idle is not None:
            put(properties, ["IdleState"], str(wanted.idle), _ORDER)
        if service == DEVICE:
            content = text("RelayOutputToken", token) + renamed(properties, DEVICE, "Properties")
            await unit.tell(DEVICE, request(DEVICE, "SetRelayOutputSettings", content))
        else:
            content = renamed(output, DEVICEIO, "RelayOutput")
            await unit.tell(DEVICEIO, request(DEVICEIO, "SetRelayOutputSettings", content))
    return False


async def _all(unit: Unit) -> tuple[str, list[Element]]:
    """The service that has them, and the outputs."""
    told = await unit.ask(DEVICE, wsdl.message("devicemgmt", "GetRelayOutputs"))
    found = [one for one in xml.children(told, "RelayOutputs") if one.get("token")]
    if found or DEVICEIO not in unit.client.paths:
        return DEVICE, found
    told = await unit.ask(DEVICEIO, request(DEVICEIO, "GetRelayOutputs"))
    return DEVICEIO, [one for one in xml.children(told, "RelayOutputs") if one.get("token")]
