"""ONVIF event topics and what they mean.

Topics are compared without prefixes, because devices choose their own: `tns1:RuleEngine/CellMotionDetector/Motion`
is `RuleEngine/CellMotionDetector/Motion`. The table has the topics of the ONVIF specifications (Core, Media,
Imaging, Analytics, Device IO) and the odd ones that are seen in the field, each with its vendor. What is in no row
is passed on as a vendor event, never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from bridge.model import EventKind


class Meaning(NamedTuple):
    """What a topic means. `value` names the data items that may hold its condition, in order of trust; with none
    of them, or none present, the event is momentary."""

    kind: EventKind
    value: tuple[str, ...] = ()


_STATE = ("State", "IsMotion", "Value", "LogicalState", "IsTamper", "IsInside", "Active")

TOPICS: Mapping[str, Meaning] = {
    # Motion
    "VideoSource/MotionAlarm": Meaning(EventKind.MOTION, _STATE),
    "VideoSoure/MotionAlarm": Meaning(EventKind.MOTION, _STATE),  # D-Link's spelling
    "VideoAnalytics/MotionDetection": Meaning(EventKind.MOTION, _STATE),  # Avigilon: tnsav:MotionDetection
    "RuleEngine/CellMotionDetector/Motion": Meaning(EventKind.MOTION, ("IsMotion", *_STATE)),
    "RuleEngine/MotionRegionDetector/Motion": Meaning(EventKind.MOTION, _STATE),
    # Tamper
    "RuleEngine/TamperDetector/Tamper": Meaning(EventKind.TAMPER, ("IsTamper", *_STATE)),
    "VideoSource/ImageTooBlurry": Meaning(EventKind.TAMPER, _STATE),
    "VideoSource/ImageTooDark": Meaning(EventKind.TAMPER, _STATE),
    "VideoSource/ImageTooBright": Meaning(EventKind.TAMPER, _STATE),
    "VideoSource/GlobalSceneChange": Meaning(EventKind.TAMPER, _STATE),
    # The picture is gone (analogue inputs of encoders and NVRs)
    "VideoSource/SignalLoss": Meaning(EventKind.SIGNAL_LOSS, _STATE),
    "VideoSoure/SignalLoss": Meaning(EventKind.SIGNAL_LOSS, _STATE),
    # Inputs and outputs
    "Device/Trigger/DigitalInput": Meaning(EventKind.INPUT, _STATE),
    "Device/Trigger/Relay": Meaning(EventKind.RELAY, _STATE),
    # Analytics
    "RuleEngine/LineDetector/Crossed": Meaning(EventKind.ANALYTICS),
    "RuleEngine/FieldDetector/ObjectsInside": Meaning(EventKind.ANALYTICS, ("IsInside", *_STATE)),
    # Hardware
    "Device/HardwareFailure/FanFailure": Meaning(EventKind.HARDWARE, ("Failed", *_STATE)),
    "Device/HardwareFailure/PowerSupplyFailure": Meaning(EventKind.HARDWARE, ("Failed", *_STATE)),
    "Device/HardwareFailure/StorageFailure": Meaning(EventKind.HARDWARE, ("Failed", *_STATE)),
    "Device/HardwareFailure/TemperatureCritical": Meaning(EventKind.HARDWARE, ("Critical", *_STATE)),
    "Device/HardwareFailure": Meaning(EventKind.HARDWARE, ("Failed", "Critical", *_STATE)),  # some say no more
    # The device itself
    "Monitoring/OperatingTime/LastReboot": Meaning(EventKind.REBOOT),
    "Monitoring/OperatingTime/LastClockSynchronization": Meaning(EventKind.CLOCK),
    "Monitoring/OperatingTime/LastReset": Meaning(EventKind.SYSTEM),
    "Monitoring/LinkStatus": Meaning(EventKind.SYSTEM),
    "Monitoring/Backup/Last": Meaning(EventKind.SYSTEM),
    "Device/OperationMode/ShutdownInitiated": Meaning(EventKind.SYSTEM),
    "Device/SecurityPolicy/AuthFailed": Meaning(EventKind.SYSTEM),
    "Media/ProfileChanged": Meaning(EventKind.CONFIG_CHANGED),
    "Media/ConfigurationChanged": Meaning(EventKind.CONFIG_CHANGED),
    "Configuration/Profile": Meaning(EventKind.CONFIG_CHANGED),
    "Configuration/VideoEncoderConfiguration": Meaning(EventKind.CONFIG_CHANGED),
}

# Sent every few seconds by many cameras, about nothing that anybody acts on.
NOISE = frozenset({"Monitoring/ProcessorUsage", "Monitoring/Profile/ActiveConnections"})

_ON = frozenset({"true", "1", "active", "on"})
_OFF = frozenset({"false", "0", "inactive", "off"})


@lru_cache(maxsize=1024)
def bare(topic: str) -> str:
    """The topic without prefixes and white space, at most 256 characters."""
    parts = (part.rpartition(":")[2].strip() for part in topic.strip()[:512].split("/"))
    return "/".join(part for part in parts if part)[:256]


@lru_cache(maxsize=1024)
def meaning(topic: str) -> Meaning:
    """What a bare topic means, by its whole path or by the longest beginning of it that is known."""
    path = topic
    while path:
        if path in TOPICS:
            return TOPICS[path]
        path = path.rpartition("/")[0]
    last = topic.rpartition("/")[2].lower()
    # Hikvision, Dahua, Tapo and others name rules as they like (RuleEngine/MyRuleDetector/PeopleDetect).
    if topic.startswith("RuleEngine/"):
        return Meaning(EventKind.MOTION if "motion" in last else EventKind.ANALYTICS, _STATE)
    return Meaning(EventKind.VENDOR, _STATE)


def condition(found: Meaning, data: Mapping[str, str]) -> bool | None:
    """The state that the data tell, or None where they tell none."""
    for name in found.value:
        word = data.get(name, "").strip().lower()
        if word in _ON:
            return True
        if word in _OFF:
            return False
    if found.kind is not EventKind.VENDOR and len(data) == 1 and found.value:
        word = next(iter(data.values())).strip().lower()
        return True if word in _ON else False if word in _OFF else None
    return None
