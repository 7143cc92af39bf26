"""What an Axis device answers, as things of ours. No I/O; everything is hostile until it has been here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.errors import ProtocolError
from drivers.axis.config import AxisConfig

PORTS = 64
_TEXT = 128
_SERIAL = re.compile(r"[0-9A-Fa-f]{12}")
# Words of GetSIPAccountStatus for an account that is not meant to register.
_UNREGISTERED = frozenset({"Does not register", "SIP disabled"})


@dataclass(frozen=True, slots=True)
class Maker:
    model: str
    firmware: str
    serial: str
    hardware: str

    @property
    def mark(self) -> str:
        return f"{self.serial} {self.firmware}"

    @property
    def macs(self) -> tuple[str, ...]:
        """Axis serial numbers are MAC addresses."""
        if not _SERIAL.fullmatch(self.serial):
            return ()
        return (":".join(re.findall("..", self.serial.lower())),)


def maker(properties: Mapping[str, Any]) -> Maker:
    """Of getAllProperties, or of the same in parameters (`Brand.ProdNbr`, ...)."""

    def of(name: str, parameter: str) -> str:
        return text(properties.get(name) or properties.get(parameter))

    found = Maker(
        of("ProdNbr", "Brand.ProdNbr"),
        of("Version", "Properties.Firmware.Version"),
        of("SerialNumber", "Properties.System.SerialNumber"),
        of("HardwareID", "Properties.System.HardwareID"),
    )
    if not found.serial:
        raise ProtocolError("its answer tells no serial number: no Axis device, or an account with too few rights")
    return found


@dataclass(frozen=True, slots=True)
class Port:
    """`number` counts from 0. `usage` in lower case; `active` None where it was not told."""

    number: int
    output: bool
    usage: str
    name: str
    active: bool | None


def ports(data: Mapping[str, Any]) -> tuple[Port, ...]:
    """Of getPorts."""
    items = data.get("items")
    if not isinstance(items, list):
        raise ProtocolError("its answer has no list of ports")
    found = []
    for item in items[:PORTS]:
        number = item.get("port") if isinstance(item, dict) else None
        if not isinstance(number, str | int) or not re.fullmatch(r"\d{1,3}", str(number)):
            continue
        state, normal = item.get("state"), item.get("normalState")
        found.append(
            Port(
                int(number),
                item.get("direction") == "output",
                text(item.get("usage")).lower(),
                text(item.get("name")),
                state != normal if {state, normal} <= {"open", "closed"} else None,
            )
        )
    return tuple(found)


def ports_of(parameters: Mapping[str, str]) -> tuple[Port, ...]:
    """Of the parameters in `IOPort`, for firmware without portmanagement.cgi. Whether they are active is not told."""
    numbers = {int(match[1]) for name in parameters if (match := re.match(r"IOPort\.I(\d{1,2})\.", name))}
    found = []
    for number in sorted(numbers):
        group = f"IOPort.I{number}"
        output = parameters.get(f"{group}.Direction") == "output"
        name = parameters.get(f"{group}.{'Output' if output else 'Input'}.Name", "")
        found.append(Port(number, output, parameters.get(f"{group}.Usage", "").lower(), text(name), None))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Roles:
    """Which port is what: `doors` are the outputs that open them, the first is output 1."""

    doors: tuple[int, ...] = ()
    sensor: int | None = None
    tampers: frozenset[int] = frozenset()


def roles(found: Iterable[Port], config: AxisConfig) -> Roles:
    found = tuple(found)
    outputs = [port for port in found if port.output]
    doors = tuple(port.number for port in outputs if port.usage == "door") or tuple(port.number for port in outputs)
    if config.outputs:
        doors = tuple(number for number in config.outputs if number in {port.number for port in outputs})
    sensors = [port.number for port in found if not port.output and port.usage == "door"]
    sensor = config.door_sensor if config.door_sensor is not None else sensors[0] if sensors else None
    return Roles(doors, sensor, frozenset(one.number for one in found if not one.output and one.usage == "tampering"))


def clock(data: Mapping[str, Any]) -> float:
    """Of getDateTimeInfo: seconds since the epoch."""
    try:
        return datetime.strptime(str(data.get("dateTime"))[:32], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ProtocolError("its clock tells no time") from None


def registered(data: Mapping[str, Any]) -> bool | None:
    """Of GetSIPAccountStatuses: whether every account that shall be registered is; None where none shall."""
    statuses = data.get("SIPAccountStatus")
    if not isinstance(statuses, list):
        raise ProtocolError("its answer has no SIP accounts")
    told = [one for one in statuses[:100] if isinstance(one, dict) and one.get("StatusText") not in _UNREGISTERED]
    return all(one.get("Status") == 200 for one in told) if told else None


def number(value: object) -> int | None:
    """VAPIX gives some numbers as text."""
    told = str(value)
    return int(told) if re.fullmatch(r"\d{1,12}", told) else None


def text(value: object) -> str:
    return value[:_TEXT].strip() if isinstance(value, str) else ""
