"""The clock: its time zone, and where it gets the time from (Device service).

SetNTP does not start NTP: the clock has to be told to follow it as well (Core specification, SetSystemDateAndTime).
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any

from bridge.settings.limits import FLAG, Limit, Texts, Zone
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Clock, Ntp, Value
from drivers.onvif import wsdl
from drivers.onvif.client import DEVICE
from drivers.onvif.configuration.unit import NOTHING, Told, Unit
from drivers.transports import xml
from drivers.transports.xml import Element

_SERVERS = 8


async def read(unit: Unit, section: str) -> Told:
    told = await unit.ask(DEVICE, wsdl.message("devicemgmt", "GetSystemDateAndTime"))
    now = xml.child(told, "SystemDateAndTime")
    if now is None:
        return NOTHING
    if section == "clock":
        zone: dict[str, Value] = {
            "clock.time_zone": xml.text(now, "TimeZone", "TZ") or None,
            "clock.daylight_saving": xml.text(now, "DaylightSavings") in ("true", "1"),
        }
        return Told(zone, {"clock.time_zone": Zone(), "clock.daylight_saving": FLAG})
    ntp = xml.child(await unit.ask(DEVICE, wsdl.message("devicemgmt", "GetNTP")), "NTPInformation")
    if ntp is None:
        return NOTHING
    servers = tuple(name for one in xml.children(ntp, "NTPManual") if (name := _host(one)))[:_SERVERS]
    values: dict[str, Value] = {
        "ntp.enabled": xml.text(now, "DateTimeType") == "NTP",
        "ntp.from_dhcp": xml.text(ntp, "FromDHCP") in ("true", "1"),
        "ntp.servers": servers,
    }
    limits: dict[str, Limit] = {"ntp.enabled": FLAG, "ntp.from_dhcp": FLAG, "ntp.servers": Texts(_SERVERS)}
    return Told(values, limits)


async def write(unit: Unit, step: Step) -> bool:
    if step.section == "clock":
        await _set_clock(unit, step.after.clock or Clock(), None)
        return False
    wanted = step.after.ntp or Ntp()
    if {"ntp.servers", "ntp.from_dhcp"} & set(step.paths):
        dhcp = bool(wanted.from_dhcp) and not ("ntp.servers" in step.paths and "ntp.from_dhcp" not in step.paths)
        servers = [_entry(name) for name in wanted.servers or ()]
        await unit.tell(DEVICE, wsdl.fresh("devicemgmt", "SetNTP", FromDHCP=dhcp, NTPManual=servers))
    if "ntp.enabled" in step.paths or wanted.enabled:
        # Once more where it follows NTP already: some firmware takes new servers only then.
        await _set_clock(unit, Clock(), wanted.enabled)
    return False


async def _set_clock(unit: Unit, wanted: Clock, ntp: bool | None) -> None:
    """Set what is said, and leave the rest of it as it is."""
    told = await unit.must(DEVICE, wsdl.message("devicemgmt", "GetSystemDateAndTime"))
    now = xml.child(told, "SystemDateAndTime")
    follows = xml.text(now, "DateTimeType") == "NTP" if ntp is None else ntp
    zone = wanted.time_zone or xml.text(now, "TimeZone", "TZ")
    summer = xml.text(now, "DaylightSavings") in ("true", "1")
    said: dict[str, Any] = {
        "DateTimeType": "NTP" if follows else "Manual",
        "DaylightSavings": summer if wanted.daylight_saving is None else wanted.daylight_saving,
    }
    if zone:
        said["TimeZone"] = {"TZ": zone}
    if not follows:
        moment = datetime.fromtimestamp(unit.io.clock.now().wall, UTC)
        said["UTCDateTime"] = {
            "Time": {"Hour": moment.hour, "Minute": moment.minute, "Second": moment.second},
            "Date": {"Year": moment.year, "Month": moment.month, "Day": moment.day},
        }
    await unit.tell(DEVICE, wsdl.fresh("devicemgmt", "SetSystemDateAndTime", **said))


def _host(one: Element) -> str:
    return xml.text(one, "DNSname") or xml.text(one, "IPv4Address") or xml.text(one, "IPv6Address")


def _entry(name: str) -> dict[str, str]:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return {"Type": "DNS", "DNSname": name}
    kind = f"IPv{address.version}"
    return {"Type": kind, f"{kind}Address": name}
