"""What is set on a simulated intercom: its XML configuration, and the parts of it that the API has functions for.

Names of the XML are those of configuration files of firmware 2.49 and 2.50 (provisioning templates made from them).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

_EXPORT = """<?xml version="1.0" encoding="UTF-8"?>
<!--
        Product name: {model}
       Serial number: {serial}
    Software version: {version}
-->
<DeviceDatabase Version="{schema}">
<Network>
\t<DhcpEnabled>1</DhcpEnabled>
</Network>
<WebServer>
\t<DeviceName>{name}</DeviceName>
\t<Port>80</Port>
\t<Language>17</Language>
\t<SecurePort>443</SecurePort>
\t<PasswordHash>8d2f11</PasswordHash>
</WebServer>
<Phone>
\t<Sip At="0">
\t\t<Enabled>1</Enabled>
\t\t<User>
\t\t\t<DisplayName>Gate</DisplayName>
\t\t\t<Id>200</Id>
\t\t\t<PasswordString Encryption="3">b64Zm9vYmFyMQ</PasswordString>
\t\t</User>
\t</Sip>
\t<Calls>
\t\t<MaxCallDuration>120</MaxCallDuration>
\t\t<Outgoing>
\t\t\t<MaxConnectingDuration>32</MaxConnectingDuration>
\t\t\t<MaxRingingDuration>32</MaxRingingDuration>
\t\t\t<MaxAutoDialingCycles>3</MaxAutoDialingCycles>
\t\t</Outgoing>
\t\t<Incoming>
\t\t\t<MaxRingingDuration>32</MaxRingingDuration>
\t\t\t<AutoAnswerTimeout>0</AutoAnswerTimeout>
\t\t</Incoming>
\t</Calls>
</Phone>
<DoorControl>
\t<Door At="0">
\t\t<Switch>0</Switch>
\t\t<Sensor>
\t\t\t<InputPort>input1</InputPort>
\t\t\t<Inverted>0</Inverted>
\t\t\t<UnauthorisedOpen>1</UnauthorisedOpen>
\t\t\t<OpenTooLong>1</OpenTooLong>
\t\t\t<TimeLimit>30</TimeLimit>
\t\t</Sensor>
\t</Door>
</DoorControl>
</DeviceDatabase>
"""
# Where a number has to stay between two: what the web interface takes.
_RANGES: Mapping[str, tuple[int, int]] = {
    "MaxCallDuration": (0, 3600),
    "MaxConnectingDuration": (1, 600),
    "MaxRingingDuration": (1, 600),
    "MaxAutoDialingCycles": (0, 9),
    "AutoAnswerTimeout": (0, 600),
    "TimeLimit": (1, 3600),
}
_ACCOUNT: Mapping[str, Any] = {
    "enabled": True,
    "displayName": "Gate",
    "sipNumber": "200",
    "domain": "192.0.2.10",
    "domainPort": "",
    "authId": "",
    "proxyAddress": "",
    "proxyPort": "",
    "registrationEnabled": True,
    "registrarAddress": "192.0.2.10",
    "registrarPort": "",
    "answerMode": "1",
}
_LONGEST = 64  # characters of a text
ZONES = ("Africa/Abidjan", "America/New_York", "Etc/UTC", "Europe/London", "Europe/Moscow", "Europe/Prague")


class Wrong(Exception):
    """What is written cannot be: an error code of the API, and the parameter that it is about."""

    def __init__(self, code: int, param: str = "") -> None:
        super().__init__(code, param)
        self.code = code
        self.param = param


class Configuration:
    def __init__(self, model: str, serial: str, version: str, name: str) -> None:
        export = _EXPORT.format(model=model, serial=serial, version=version, name=name, schema=45)
        head, _, body = export.partition("<DeviceDatabase")
        self._head = head
        self.tree = ET.fromstring("<DeviceDatabase" + body)  # noqa: S314 - ours
        self.accounts = [
            {"account": 1, **_ACCOUNT},
            {"account": 2, **_ACCOUNT, "enabled": False, "registrationEnabled": False, "sipNumber": ""},
        ]
        self.passwords: dict[int, str] = {}
        self.automatic_time = True
        self.time_server = "pool.ntp.org"
        self.automatic_zone = False
        self.zone = "Europe/Prague"
        self.custom_zone = ""

    def export(self) -> bytes:
        return (self._head + ET.tostring(self.tree, encoding="unicode")).encode()

    def value(self, path: str) -> str:
        found = self.tree.find(path)
        return "" if found is None else found.text or ""

    def read(self, data: bytes) -> ET.Element:
        """A configuration that is uploaded, whole or in part. Raises Wrong when it cannot be taken."""
        try:
            given = ET.fromstring(data)  # noqa: S314 - of a test
        except ET.ParseError:
            raise Wrong(12, "blob-cfg") from None
        if given.tag != "DeviceDatabase":
            raise Wrong(12, "blob-cfg")
        if int(given.get("Version", "45")) > 45:
            raise Wrong(19, "blob-cfg")
        for one in given.iter():
            low, high = _RANGES.get(one.tag, (0, 0))
            text = one.text or ""
            if high and not (text.isdecimal() and low <= int(text) <= high):
                raise Wrong(12, one.tag)
            if one.tag == "DeviceName" and len(text) > _LONGEST:
                raise Wrong(12, one.tag)
        return given

    def take(self, given: ET.Element) -> None:
        _merge(self.tree, given)

    def set_accounts(self, text: bytes) -> None:
        try:
            accounts = json.loads(text)["accounts"]
            given = [(int(one["account"]), one) for one in accounts]
        except (ValueError, KeyError, TypeError):
            raise Wrong(12, "blob-json") from None
        changed = copy.deepcopy(self.accounts)
        for number, fields in given:
            if not 1 <= number <= len(changed) or len(fields) < 2:
                raise Wrong(12, "account")
            for key, value in fields.items():
                if key == "account":
                    continue
                if key == "password":
                    self.passwords[number] = value
                elif (
                    key not in _ACCOUNT
                    or not isinstance(value, type(_ACCOUNT[key]))
                    or (isinstance(value, str) and len(value) > _LONGEST)
                ):
                    raise Wrong(12, key)
                else:
                    changed[number - 1][key] = value
        self.accounts = changed

    def set_time(self, query: Mapping[str, str]) -> None:
        if not set(query) & {"automatic", "server", "utcTime"}:
            raise Wrong(11, "automatic")
        server = query.get("server", self.time_server)
        if not server or len(server) > 128 or " " in server:
            raise Wrong(12, "server")
        if query.get("automatic", "0") not in ("0", "1"):
            raise Wrong(12, "automatic")
        self.time_server = server
        if "automatic" in query:
            self.automatic_time = query["automatic"] == "1"

    def set_zone(self, query: Mapping[str, str]) -> None:
        if query.get("automatic") not in ("0", "1"):
            raise Wrong(11, "automatic")
        if query["automatic"] == "1":
            self.automatic_zone = True
            return
        zone, custom = query.get("zone", ""), query.get("custom", "")
        if zone != "custom" and zone not in ZONES:
            raise Wrong(12, "zone")
        if zone == "custom" and not custom.startswith("UTC"):
            raise Wrong(12, "custom")
        self.automatic_zone, self.zone, self.custom_zone = False, zone, custom if zone == "custom" else ""

    def told(self) -> dict[str, Any]:
        """All of it without passwords, for tests."""
        return {
            "accounts": copy.deepcopy(self.accounts),
            "time": [self.automatic_time, self.time_server],
            "zone": [self.automatic_zone, self.zone, self.custom_zone],
            "xml": self.export().decode(),
        }


def _merge(into: ET.Element, given: ET.Element) -> None:
    """What is given replaces what is there; what it does not speak of stays."""
    if not len(given):
        into.text = given.text
        return
    for one in given:
        same = (known for known in into.findall(one.tag) if known.get("At") == one.get("At"))
        known = next(same, None)
        if known is None:
            known = ET.SubElement(into, one.tag, one.attrib)
        _merge(known, one)
