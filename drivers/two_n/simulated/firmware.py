"""What the firmware versions of simulated intercoms can do, from the release notes of the vendor's HTTP API manual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_EVENTS = (
    *("DeviceState", "AudioLoopTest", "MotionDetected", "NoiseDetected", "KeyPressed", "KeyReleased", "CodeEntered"),
    *("CardEntered", "InputChanged", "OutputChanged", "SwitchStateChanged", "CallStateChanged"),
    *("RegistrationStateChanged", "TamperSwitchActivated", "UnauthorizedDoorOpen", "DoorOpenTooLong", "LoginBlocked"),
)
_LATER_EVENTS = (
    *("UserAuthenticated", "UserRejected", "CardHeld", "SilentAlarm", "AccessLimited", "SwitchesBlocked"),
    *("FingerEntered", "MobKeyEntered", "DoorStateChanged", "DtmfEntered", "AccessTaken", "RexActivated"),
    *("CapabilitiesChanged", "ConfigurationChanged", "HardwareChanged", "DirectoryChanged"),
)
_LATEST_EVENTS = (
    *("CallSessionStateChanged", "SwitchOperationChanged", "ApiAccessRequested", "DtmfSent", "DtmfPressed"),
    *("LicensePlateRecognized", "AccessBlocked", "VirtualInput", "VirtualOutput"),
)


@dataclass(frozen=True, slots=True)
class Firmware:
    """`history` is how many events it keeps; `bare_calls`: `/api/call/status` answers with a list alone."""

    version: str
    history: int
    events: tuple[str, ...]
    missing: frozenset[str] = frozenset()  # functions that came later
    bare_calls: bool = False
    tells_server: bool = False  # `/api/system/time` names the NTP server


_SINCE_244 = frozenset({"/api/system/timezone", "/api/system/timezone/caps", "PUT /api/system/time"})
_SINCE_235 = frozenset({"/api/system/time", "/api/phone/config"})
FIRMWARES: Mapping[str, Firmware] = {
    "2.10": Firmware("2.10.0.19.2", 500, _EVENTS, _SINCE_244 | _SINCE_235),
    "2.34": Firmware("2.34.1.48.3", 10_000, (*_EVENTS, *_LATER_EVENTS), _SINCE_244 | _SINCE_235),
    "2.50": Firmware(
        "2.50.0.76.2", 10_000, (*_EVENTS, *_LATER_EVENTS, *_LATEST_EVENTS), bare_calls=True, tells_server=True
    ),
}
