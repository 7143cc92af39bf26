"""What a simulated door station is made of: its model, its ports, its parameters, its SIP account."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import Any

# The ids that API Discovery gives, by AXIS OS: what is not listed answers 404. Of the vendor's pages on each API.
LISTED: dict[str, tuple[int, ...]] = {
    "api-discovery": (8, 50),
    "basic-device-info": (8, 40),
    "systemready": (9, 50),
    "time-service": (9, 30),
    "ntp": (9, 10),
    "io-port-management": (9, 70),
    "fwmgr": (8, 40),
    "event-streaming-over-websocket": (10, 9),
}
PATHS = {
    "/axis-cgi/apidiscovery.cgi": "api-discovery",
    "/axis-cgi/basicdeviceinfo.cgi": "basic-device-info",
    "/axis-cgi/systemready.cgi": "systemready",
    "/axis-cgi/time.cgi": "time-service",
    "/axis-cgi/ntp.cgi": "ntp",
    "/axis-cgi/io/portmanagement.cgi": "io-port-management",
    "/axis-cgi/firmwaremanagement.cgi": "fwmgr",
    "/axis-cgi/wssession.cgi": "event-streaming-over-websocket",
    "/vapix/ws-data-stream": "event-streaming-over-websocket",
}


def listed(firmware: str) -> list[str]:
    version = tuple(int(part) for part in firmware.split("."))
    return [name for name, since in LISTED.items() if version >= since]


@dataclass(slots=True)
class Port:
    """`number` counts from 0, as IOPort.I# does; `closed` is the circuit. An output has its `relay` parameters."""

    number: int
    direction: str
    usage: str
    name: str
    normal: str = "open"
    closed: bool = False
    mode: str = "bistable"
    delay: int = 1  # seconds

    @property
    def active(self) -> bool:
        return self.closed == (self.normal == "open")

    @active.setter
    def active(self, value: bool) -> None:
        self.closed = value == (self.normal == "open")

    def item(self) -> dict[str, Any]:
        """As getPorts tells it."""
        return {
            "port": str(self.number),
            "state": "closed" if self.closed else "open",
            "configurable": self.direction == "input",
            "readonly": False,
            "usage": self.usage,
            "direction": self.direction,
            "name": self.name,
            "normalState": self.normal,
        }


def ports() -> list[Port]:
    """Those of an A8207-VE: the button, two relays, a door contact, an exit button."""
    return [
        Port(0, "input", "Button", "Call button"),
        Port(1, "output", "Door", "Door", mode="monostable", delay=4),
        Port(2, "output", "Door", "Gate"),
        Port(3, "input", "Door", "Door contact"),
        Port(4, "input", "REX", "Exit button"),
    ]


@dataclass(slots=True)
class Unit:
    """Everything that is set on it, and what it is. Restarts leave it alone."""

    model: str
    firmware: str
    seed: int
    ports: list[Port] = field(default_factory=ports)
    serial: str = ""
    zone: str = "CET-1CEST,M3.5.0,M10.5.0/3"
    dst: bool = True
    iana: str = "Europe/Stockholm"
    ntp: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    sip: dict[str, Any] = field(default_factory=dict)
    trigger: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.serial = f"ACCC8E{random.Random(self.seed).getrandbits(24):06X}"
        self.ntp = {
            "enabled": True,
            "NTSEnabled": False,
            "serversSource": "DHCP",
            "maxSupportedStaticServers": 5,
            "staticServers": ["192.0.2.80"],
            "advertisedServers": ["ntp.example.net"],
            "synced": True,
            "timeToNextSync": 1234,
            "timeOffset": -12.34,
        }
        self.account = {
            "Id": "sip_account_0",
            "UserId": "6001",
            "Password": f"pbx-secret-{self.seed}",
            "Registrar": "192.0.2.40",
            "PublicDomain": "pbx.example.net",
            "IsDefault": True,
            "Transport": "udp",
            "CallerId": "Entrance Door",
            "DTMFConfigurationId": "dtmf_config_0",
            "Attribute": [{"Name": "RegistrationInterval", "Value": "300"}],
        }
        self.sip = {
            "SIPEnabled": True,
            "SIPPort": 5060,
            "SIPTLSPort": 5061,
            "AllowIncomingCalls": True,
            "CallingTimeout": 60,
            "STUNServers": [],
        }
        self.trigger = {"Id": "dtmf_trigger_0", "DTMFSequence": "1", "DTMFEventId": "dtmf_event_0"}
        self.parameters = {
            "Brand.Brand": "AXIS",
            "Brand.ProdFullName": f"AXIS {self.model} Network Video Door Station",
            "Brand.ProdNbr": self.model,
            "Brand.ProdShortName": f"AXIS {self.model}",
            "Brand.ProdType": "Door Station",
            "Properties.API.HTTP.Version": "3",
            "Properties.API.SIP.SIP": "yes",
            "Properties.API.SIP.Version": "2.3",
            "Properties.API.Metadata.Metadata": "yes",
            "Properties.API.Metadata.Version": "1.0",
            "Properties.Firmware.BuildDate": "Apr 11 2025 09:24",
            "Properties.Firmware.BuildNumber": "1",
            "Properties.Firmware.Version": self.firmware,
            "Properties.System.SerialNumber": self.serial,
            "Properties.System.HardwareID": "7B8",
            "Network.HostName": f"axis-{self.serial.lower()}",
            "Network.IPAddress": "192.0.2.90",
            "Time.POSIXTimeZone": self.zone,
            "Time.DST.Enabled": "yes",
            "Time.NTP.Server": "192.0.2.80",
            "Time.SyncSource": "NTP",
            "Image.I0.Text.TextEnabled": "no",
            "Image.I0.Text.String": "",
            "Image.I0.Text.Position": "top",
            "SNMP.Enabled": "yes",
            "SNMP.Trap.Enabled": "no",
            "SNMP.Trap.T0.Address": "",
            "SNMP.Trap.T0.Community": "public",
        }

    def properties(self) -> dict[str, str]:
        """As getAllProperties tells them."""
        of = self.parameters
        return {
            "Architecture": "armv7hf",
            "Brand": "AXIS",
            "BuildDate": "Apr 11 2025 09:24",
            "HardwareID": "7B8",
            "ProdFullName": of["Brand.ProdFullName"],
            "ProdNbr": self.model,
            "ProdShortName": f"AXIS {self.model}",
            "ProdType": "Door Station",
            "ProdVariant": "",
            "SerialNumber": self.serial,
            "Soc": "Axis Artpec-7",
            "SocSerialNumber": f"00000000-00000000-{self.serial[:8]}-{self.serial[4:]}",
            "Version": self.firmware,
            "WebURL": "http://www.axis.com",
        }

    def listing(self) -> dict[str, str]:
        """All parameters, those of the ports with them."""
        found = dict(self.parameters)
        for port in self.ports:
            group = f"IOPort.I{port.number}"
            found |= {
                f"{group}.Configurable": "no",
                f"{group}.Direction": port.direction,
                f"{group}.Usage": port.usage,
            }
            if port.direction == "input":
                found |= {f"{group}.Input.Name": port.name, f"{group}.Input.Trig": _other(port.normal)}
            else:
                found |= {
                    f"{group}.Output.Name": port.name,
                    f"{group}.Output.Active": _other(port.normal),
                    f"{group}.Output.Mode": port.mode,
                    f"{group}.Output.DelayTime": str(port.delay),
                }
        return found

    def update(self, name: str, value: str) -> bool:
        """Set one parameter; False for one that it does not have, or a value that it does not take."""
        parts = name.split(".")
        if parts[0] == "IOPort" and len(parts) == 4 and parts[2] == "Output":
            return self._update_port(parts[1], parts[3], value)
        if name not in self.parameters or name.startswith(("Brand.", "Properties.")):
            return False
        if name.endswith("Enabled") and value not in ("yes", "no"):
            return False
        if name == "Network.HostName" and not value.replace("-", "").isalnum():
            return False
        self.parameters[name] = value
        return True

    def _update_port(self, group: str, name: str, value: str) -> bool:
        port = next((one for one in self.ports if f"I{one.number}" == group and one.direction == "output"), None)
        if port is None:
            return False
        match name, value:
            case "Mode", "monostable" | "bistable":
                port.mode = value
            case "DelayTime", _ if value.isdecimal() and 0 < int(value) <= 3600:
                port.delay = int(value)
            case "Active", "open" | "closed":
                was, port.normal = port.active, _other(value)
                port.active = was
            case _:
                return False
        return True


def _other(state: str) -> str:
    return "closed" if state == "open" else "open"


def boot_id() -> str:
    return str(uuid.uuid4())
