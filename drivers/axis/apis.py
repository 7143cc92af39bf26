"""What firmware has: the interfaces of VAPIX by the names that API Discovery gives them.

A device that has API Discovery says itself what else it has, so that no list of models is needed. One that has not
(AXIS OS before 8.50) has none of these either, and is asked in the old ways: parameters, port.cgi, restart.cgi.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Api(StrEnum):
    IDENTITY = "basic-device-info"
    READY = "systemready"
    TIME = "time-service"
    NTP = "ntp"
    PORTS = "io-port-management"
    FIRMWARE = "fwmgr"
    EVENTS = "event-streaming-over-websocket"


@dataclass(frozen=True, slots=True)
class Row:
    """`since`: the first AXIS OS with it, "" where the vendor does not say. `without`: what is done on older ones."""

    since: str
    used_for: str
    without: str


TABLE: Mapping[Api, Row] = {
    Api.IDENTITY: Row("8.40", "model, serial number, firmware", "parameters Brand and Properties"),
    Api.READY: Row("9.50", "uptime, restarts", "no uptime"),
    Api.TIME: Row("9.30", "clock offset, time zone", "no clock offset; parameters in Time"),
    Api.NTP: Row("9.10", "NTP servers", "parameters in Time: one server"),
    Api.PORTS: Row("9.70", "door sensor, locks, inputs", "parameters in IOPort, port.cgi"),
    Api.FIRMWARE: Row("8.40", "reboot", "restart.cgi"),
    Api.EVENTS: Row("", "events", "no events but SNMP traps"),
}


def listed(data: Mapping[str, Any]) -> frozenset[Api]:
    """Of getApiList."""
    items = data.get("apiList")
    names = [one.get("id") for one in items[:1000] if isinstance(one, dict)] if isinstance(items, list) else []
    return frozenset(api for api in Api if api.value in names)
