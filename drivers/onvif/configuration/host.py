"""The device's name on the network (Device service)."""

from __future__ import annotations

from bridge.settings.limits import Text
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Hostname
from drivers.onvif import wsdl
from drivers.onvif.client import DEVICE
from drivers.onvif.configuration.unit import NOTHING, Told, Unit
from drivers.transports import xml


async def read(unit: Unit, section: str) -> Told:
    told = xml.child(await unit.ask(DEVICE, wsdl.message("devicemgmt", "GetHostname")), "HostnameInformation")
    if told is None:
        return NOTHING
    return Told({"hostname.name": xml.text(told, "Name") or None}, {"hostname.name": Text(63, 1)})


async def write(unit: Unit, step: Step) -> bool:
    wanted = step.after.hostname or Hostname()
    await unit.tell(DEVICE, wsdl.fresh("devicemgmt", "SetHostname", Name=wanted.name))
    return False
