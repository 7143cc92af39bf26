"""The settings that a new device comes with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.onvif.simulated.limits import ImagingLimits
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.settings import (
    AudioEncoder,
    DeviceClock,
    Hostname,
    Imaging,
    Module,
    Ntp,
    Osd,
    Relay,
    Rule,
    User,
)

if TYPE_CHECKING:
    from drivers.onvif.simulated.state import DeviceState, Source

MOTION_RULE = "MotionRule"
MOTION_MODULE = "MotionModule"


def equip(state: DeviceState, zone: str, password: str) -> None:
    """Give a device all its settings but those of the video encoders, which come with their profiles."""
    settings, limits = state.settings, state.make.limits
    settings.put("", DeviceClock("NTP", zone))
    settings.put("", Ntp(False, ("pool.ntp.org",)))
    settings.put("", Hostname(f"{state.model.lower()}-{state.serial[-4:].lower()}"))
    settings.put(state.username, User("Administrator", password))
    if Quirk.FULL_USER_LIST in state.quirks:
        for number in range(2, limits.users.most + 1):
            settings.put(f"user{number}", User("User", f"pass-word{number}"))
    for token in state.relays:
        settings.put(token, Relay())
    for index, source in enumerate(state.sources):
        settings.put(source.token, _imaging(limits.imaging))
        for number, kind in enumerate(limits.osd.at_first):
            settings.put(f"OSD_{index + 1}_{number + 1}", _osd(state, source, kind, number))
        if state.traits.audio:
            encoding, (bitrates, rates) = next(iter(limits.audio.items()))
            name = f"AudioEncoder_{index + 1}"
            settings.put(name, AudioEncoder(name, source.token, encoding, bitrates[-1], rates[0]))
        if state.traits.analytics:
            items = (
                ("MinCount", "5"),
                ("AlarmOnDelay", "1000"),
                ("AlarmOffDelay", "1000"),
                ("ActiveCells", "0P8A8A=="),
            )
            settings.put(f"{source.config_token}/{MOTION_RULE}", Rule("CellMotionDetector", items))
            settings.put(f"{source.config_token}/{MOTION_MODULE}", Module("CellMotionEngine", (("Sensitivity", "60"),)))


def _osd(state: DeviceState, source: Source, kind: str, number: int) -> Osd:
    limits = state.make.limits.osd
    position = limits.positions[number % len(limits.positions)]
    custom = position == "Custom"
    dated = kind == "DateAndTime"
    return Osd(
        source_configuration=source.config_token,
        position=position,
        text_type=kind,
        x=-0.9 if custom else None,
        y=0.9 - 1.7 * number if custom else None,
        text="" if dated else state.name[: limits.longest],
        date_format=limits.date_formats[0] if dated else "",
        time_format=limits.time_formats[0] if dated else "",
        font_size=limits.font_sizes[0] if limits.font_sizes else None,
        font_color=limits.colors[0] if limits.colors else None,
    )


def _imaging(limits: ImagingLimits) -> Imaging:
    usual, wdr, times = limits.usual, limits.wdr_level, limits.exposure_time
    return Imaging(
        brightness=usual,
        saturation=usual,
        contrast=usual,
        sharpness=usual,
        ir_cut="AUTO" if "AUTO" in limits.ir_cut else None,
        backlight="OFF" if limits.backlight_level else None,
        backlight_level=limits.backlight_level[0] if limits.backlight_level else None,
        wdr="OFF" if wdr else None,
        wdr_level=(wdr[0] + wdr[1]) / 2 if wdr else None,
        exposure="AUTO" if times else None,
        exposure_priority="FrameRate" if times else None,
        min_exposure_time=times[0] if times else None,
        max_exposure_time=times[1] if times else None,
        exposure_time=times[0] if times else None,
        min_gain=limits.gain[0] if limits.gain else None,
        max_gain=limits.gain[1] if limits.gain else None,
        gain=limits.gain[0] if limits.gain else None,
        white_balance="AUTO",
        cr_gain=limits.white_balance_gain[0] if limits.white_balance_gain else None,
        cb_gain=limits.white_balance_gain[0] if limits.white_balance_gain else None,
    )
