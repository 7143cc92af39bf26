"""The configuration of a simulated panel: in memory, on flash, and what it refuses.

What is written is in memory, and holds at once; only `forcesave` brings it to flash, and a reboot reads that.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping

from drivers.beward.simulated.profiles import Modules, Profile

# Written to it, a gate volume comes out one louder.
_LOUDER = ("GateInVol", "GateOutVol")
_SWITCHES = re.compile(r"Enable\d?$|Active$|OpenMode$|^AutoCollectKeys$|^IndividualLevels$|^DoorOpenSipFail$")
# What is refused: whole numbers out of range, by key.
_RANGES: Mapping[str, tuple[int, int]] = {
    "CallTimeout": (1, 600),
    "TalkTimeout": (1, 3600),
    "DoorOpenTime": (1, 60),
    "HandsetUpLevel": (0, 1023),
    "DoorOpenLevel": (0, 1023),
    "ServerPort": (1, 65535),
    "Timezone": (0, 34),
    "LogLevel": (0, 7),
    "RelayType": (0, 1),
}
_LENGTHS = {"TickerText": 128, "Title": 64, "HostName": 32, "ServerAddress": 253, "ConciergeApartment": 9}
# The fields of the forms, with the module and key that they end up in; DS panels put 1 behind the names of most.
_SIP_FORM: Mapping[str, str] = {
    "sipname": "AccName1",
    "number": "AccNumber1",
    "username": "AccUser1",
    "pass": "AccPassword1",
    "sipport": "AccPort1",
    "regserver": "RegServerUrl1",
    "regport": "RegServerPort1",
    "sipserver": "SipServerUrl1",
    "sipserverport": "SipServerPort1",
}
_SIP_TICKS = {"cksip": "AccountEnable1", "ckenablesip": "ServerEnable1", "cknat": "NatEnable1"}


class Refused(Exception):
    """What the panel says instead of OK."""


class Store:
    def __init__(self, profile: Profile, modules: Modules) -> None:
        self._profile = profile
        self._flash = copy.deepcopy(modules)
        self.modules = modules
        self.unsaved = False

    def save(self) -> None:
        self._flash = copy.deepcopy(self.modules)
        self.unsaved = False

    def power_cycle(self) -> None:
        self.modules = copy.deepcopy(self._flash)
        self.unsaved = False

    def set(self, module: str, keys: Mapping[str, str]) -> None:
        """All of it or nothing. Keys that the module has not are passed over, as the panel does. Raises Refused."""
        kept = self.modules[module]
        for key, value in keys.items():
            if key in kept:
                self._check(key, value)
        for key, value in keys.items():
            if key in kept:
                kept[key] = str(int(value) + 1) if key in _LOUDER else value
        self.unsaved = True

    def _check(self, key: str, value: str) -> None:
        if key == "AutoMode" and value not in self._profile.switch:
            raise Refused("Request failed:Invalid parameter AutoMode")
        if key != "AutoMode" and _SWITCHES.search(key) and value not in ("on", "off"):
            raise Refused(f"Request failed:Invalid parameter {key}")
        low, high = _RANGES.get(key, (0, 15) if "Vol" in key or "Sens" in key else (0, 0))
        if high and not (value.lstrip("-").isdecimal() and low <= int(value) <= high):
            raise Refused(f"Request failed:Invalid parameter {key}")
        if len(value) > _LENGTHS.get(key, 1000) or "\n" in value:
            raise Refused(f"Request failed:Invalid parameter {key}")
        if key == "DoorCode" and not re.fullmatch(r"\d{1,8}", value):
            raise Refused("Request failed:Invalid parameter DoorCode")

    def sip_form(self, fields: Mapping[str, str], suffix: str) -> None:
        """The whole account: a tick that is not sent is off. Raises Refused."""
        sip = self.modules["sip_cgi"]
        told = {name.removesuffix(suffix) if suffix else name: value for name, value in fields.items()}
        if not told.get("regserver") or not told.get("username"):
            raise Refused("Request failed:Invalid parameter")
        for field, key in _SIP_FORM.items():
            if field == "pass" and told.get("passchanged") != "1":
                continue
            sip[key] = told.get(field, "")
        for field, key in _SIP_TICKS.items():
            sip[key] = "on" if told.get(field) == "1" else "off"
        sip["StreamType1"] = "sub" if told.get("streamtype") == "1" else "main"
        self.unsaved = True

    def dtmf_form(self, fields: Mapping[str, str]) -> None:
        """All three of them: one that is not sent is empty afterwards."""
        for number in (1, 2, 3):
            self.modules["sip_cgi"][f"DtmfSignal{number}"] = fields.get(f"dtmfout{number}", "")
        self.unsaved = True

    def name_form(self, fields: Mapping[str, str]) -> None:
        if "sys_name" in fields:
            self._check("HostName", fields["sys_name"])
            self.modules["name"]["HostName"] = fields["sys_name"]
            self.unsaved = True

    def alarm_form(self, fields: Mapping[str, str]) -> None:
        delay = fields.get("outdelay1", "")
        if not delay.isdecimal() or not 1 <= int(delay) <= 300:
            raise Refused("Request failed:Invalid parameter")
        self.modules["controller_cgi"]["Delay1"] = delay
        self.unsaved = True
