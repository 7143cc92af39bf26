"""Which section is read and written by what, and by which operations: the table in docs/settings.md is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import ModuleType
from typing import NamedTuple

from pydantic import ValidationError

from bridge.errors import ProtocolError, Unsupported
from bridge.settings.limits import Limit, Limits
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import NAMED, Settings, Value, unflatten
from drivers.onvif import wsdl
from drivers.onvif.configuration import accounts, host, imaging, motion, osd, outputs, sound, targets, time, video
from drivers.onvif.configuration.unit import Told, Unit


class Section(NamedTuple):
    read: Callable[[Unit, str], Awaitable[Told]]
    write: Callable[[Unit, Step], Awaitable[bool]]


def _section(module: ModuleType) -> Section:
    return Section(module.read, module.write)


SECTIONS: Mapping[str, Section] = {
    "osd_time": _section(osd),
    "osd_text": _section(osd),
    "imaging": _section(imaging),
    "audio": _section(sound),
    "motion_detection": _section(motion),
    "relays": _section(outputs),
    "event_targets": _section(targets),
    "clock": _section(time),
    "ntp": _section(time),
    "video_encoder_second": _section(video),
    "video_encoder_first": _section(video),
    "hostname": _section(host),
    "users": _section(accounts),
}
_ENCODER = "SetVideoEncoderConfiguration (Media 1, Media 2)"
_OSD = "CreateOSD, SetOSD, DeleteOSD (Media 1, Media 2)"
_IMAGING = "SetImagingSettings"
_AUDIO = "SetAudioEncoderConfiguration (Media 1)"
# Every setting that an ONVIF device may have, and what is done for it.
OPERATIONS: Mapping[str, str] = {
    **{f"osd_time.{name}": _OSD for name in ("enabled", "position", "date_format", "time_format", "font_size")},
    **{f"osd_text.{name}": _OSD for name in ("enabled", "text", "position", "font_size")},
    **{
        f"imaging.{name}": _IMAGING
        for name in (
            "brightness",
            "contrast",
            "saturation",
            "sharpness",
            "ir_cut_filter",
            "wide_dynamic_range",
            "wide_dynamic_range_level",
            "backlight_compensation",
            "exposure",
            "white_balance",
        )
    },
    **{f"audio.{name}": _AUDIO for name in ("codec", "bitrate", "sample_rate")},
    "motion_detection.enabled": "GetRules (read only)",
    "motion_detection.sensitivity": "ModifyAnalyticsModules",
    **{f"relays.*.{name}": "SetRelayOutputSettings (Device, DeviceIO)" for name in ("mode", "duration", "idle")},
    "event_targets.*.url": "AddEventBroker, DeleteEventBroker",
    "event_targets.*.absent": "DeleteEventBroker",
    "clock.time_zone": "SetSystemDateAndTime",
    "clock.daylight_saving": "SetSystemDateAndTime",
    "ntp.enabled": "SetSystemDateAndTime",
    "ntp.from_dhcp": "SetNTP",
    "ntp.servers": "SetNTP, SetSystemDateAndTime",
    **{
        f"video_encoder_{which}.{name}": _ENCODER
        if name != "bitrate_mode"
        else "SetVideoEncoderConfiguration (Media 2)"
        for which in ("second", "first")
        for name in ("codec", "resolution", "fps", "bitrate", "bitrate_mode", "gop", "quality", "profile")
    },
    "hostname.name": "SetHostname",
    "users.*.role": "CreateUsers, SetUser",
    "users.*.password": "CreateUsers, SetUser",
    "users.*.absent": "DeleteUsers",
}


async def read(unit: Unit, wanted: Collection[str]) -> Configuration:
    """What the unit is set to in these sections, and what is legal there."""
    await asyncio.to_thread(wsdl.warm_up_settings)
    values: dict[str, Value] = {}
    limits: dict[str, Limit] = {}
    given: dict[tuple[str, Value], Mapping[str, Limit]] = {}
    for name, section in SECTIONS.items():
        if name in wanted:
            try:
                told = await section.read(unit, name)
            except Unsupported:
                continue  # this unit has not got it
            values |= told.values
            limits |= told.limits
            given |= told.given
    return Configuration(
        _settings({path: value for path, value in values.items() if value is not None}), Limits(limits, given)
    )


def _settings(told: dict[str, Value]) -> Settings:
    """What the vocabulary has no place for counts as not told: 0 kbit/s for no limit, a host name with `_` in it."""
    while True:
        try:
            return unflatten(told)
        except ValidationError as error:
            wrong = {".".join(map(str, one["loc"][: 3 if one["loc"][0] in NAMED else 2])) for one in error.errors()}
            left = {path: value for path, value in told.items() if path not in wrong}
            if len(left) == len(told):
                raise ProtocolError("its settings are not what the protocol allows") from None
            told = left


async def write(unit: Unit, step: Step) -> bool:
    if step.section not in SECTIONS:
        raise Unsupported(f"ONVIF has no {step.section}")
    return await SECTIONS[step.section].write(unit, step)
