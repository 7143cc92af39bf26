"""The imaging service, after imaging.wsdl (ver20) and onvif.xsd. Part of the settings may be set; the rest stays."""

from __future__ import annotations

from dataclasses import replace

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.limits import Range
from drivers.onvif.simulated.settings import Imaging
from drivers.onvif.simulated.soap import Call, find, invalid_value
from drivers.onvif.simulated.state import DeviceState

# Field of `Imaging` -> the path of its element.
_LEVELS = {
    "brightness": ("Brightness",),
    "saturation": ("ColorSaturation",),
    "contrast": ("Contrast",),
    "sharpness": ("Sharpness",),
    "backlight_level": ("BacklightCompensation", "Level"),
    "wdr_level": ("WideDynamicRange", "Level"),
    "min_exposure_time": ("Exposure", "MinExposureTime"),
    "max_exposure_time": ("Exposure", "MaxExposureTime"),
    "min_gain": ("Exposure", "MinGain"),
    "max_gain": ("Exposure", "MaxGain"),
    "exposure_time": ("Exposure", "ExposureTime"),
    "gain": ("Exposure", "Gain"),
    "cr_gain": ("WhiteBalance", "CrGain"),
    "cb_gain": ("WhiteBalance", "CbGain"),
}
_MODES = {
    "backlight": ("BacklightCompensation", "Mode"),
    "wdr": ("WideDynamicRange", "Mode"),
    "exposure": ("Exposure", "Mode"),
    "exposure_priority": ("Exposure", "Priority"),
    "ir_cut": ("IrCutFilter",),
    "white_balance": ("WhiteBalance", "Mode"),
}
# The order of the elements in tt:ImagingSettings20: group, its fields.
_ORDER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("BacklightCompensation", ("backlight", "backlight_level")),
    ("", ("brightness", "saturation", "contrast")),
    (
        "Exposure",
        (
            *("exposure", "exposure_priority", "min_exposure_time", "max_exposure_time"),
            *("min_gain", "max_gain", "exposure_time", "gain"),
        ),
    ),
    ("", ("ir_cut", "sharpness")),
    ("WideDynamicRange", ("wdr", "wdr_level")),
    ("WhiteBalance", ("white_balance", "cr_gain", "cb_gain")),
)
# The same in tt:ImagingOptions20, where some have other names.
_OPTION_NAMES = {"ir_cut": "IrCutFilterModes", "cr_gain": "YrGain", "cb_gain": "YbGain"}


def _ranges(state: DeviceState) -> dict[str, Range]:
    limits = state.make.limits.imaging
    given: dict[str, Range | None] = {
        **dict.fromkeys(("brightness", "saturation", "contrast", "sharpness"), limits.scale),
        "backlight_level": limits.backlight_level,
        "wdr_level": limits.wdr_level,
        **dict.fromkeys(("min_exposure_time", "max_exposure_time", "exposure_time"), limits.exposure_time),
        **dict.fromkeys(("min_gain", "max_gain", "gain"), limits.gain),
        **dict.fromkeys(("cr_gain", "cb_gain"), limits.white_balance_gain),
    }
    return {name: found for name, found in given.items() if found is not None}


def _modes(state: DeviceState) -> dict[str, tuple[str, ...]]:
    limits = state.make.limits.imaging
    given = {
        "ir_cut": limits.ir_cut,
        "backlight": ("OFF", "ON") if limits.backlight_level else (),
        "wdr": ("OFF", "ON") if limits.wdr_level else (),
        "exposure": ("AUTO", "MANUAL") if limits.exposure_time else (),
        "exposure_priority": ("LowNoise", "FrameRate") if limits.exposure_time else (),
        "white_balance": ("AUTO", "MANUAL"),
    }
    return {name: found for name, found in given.items() if found}


def _settings(state: DeviceState, token: str | None) -> Imaging:
    settings = state.settings.get(Imaging, token or "")
    if settings is None:
        raise invalid_value("NoSource", "The requested VideoSource does not exist")
    return settings


def get_imaging_settings(state: DeviceState, call: Call) -> str:
    settings = _settings(state, call.text("VideoSourceToken"))
    inner = ""
    for group, fields in _ORDER:
        part = ""
        for name in fields:
            value = getattr(settings, name)
            element = (_LEVELS.get(name) or _MODES[name])[-1]
            if value is not None:
                part += f"<tt:{element}>{value if isinstance(value, str) else format(value, 'g')}</tt:{element}>"
        inner += f"<tt:{group}>{part}</tt:{group}>" if group and part else part
    return (
        f"<timg:GetImagingSettingsResponse><timg:ImagingSettings>{inner}</timg:ImagingSettings>"
        "</timg:GetImagingSettingsResponse>"
    )


def get_options(state: DeviceState, call: Call) -> str:
    _settings(state, call.text("VideoSourceToken"))
    ranges, modes = _ranges(state), _modes(state)
    inner = ""
    for group, fields in _ORDER:
        part = ""
        for name in fields:
            element = _OPTION_NAMES.get(name) or (_LEVELS.get(name) or _MODES[name])[-1]
            if name in modes:
                part += "".join(f"<tt:{element}>{mode}</tt:{element}>" for mode in modes[name])
            elif name in ranges:
                least, most = ranges[name]
                part += f"<tt:{element}><tt:Min>{least:g}</tt:Min><tt:Max>{most:g}</tt:Max></tt:{element}>"
        inner += f"<tt:{group}>{part}</tt:{group}>" if group and part else part
    return f"<timg:GetOptionsResponse><timg:ImagingOptions>{inner}</timg:ImagingOptions></timg:GetOptionsResponse>"


def get_move_options(state: DeviceState, call: Call) -> str:
    """No focus that moves."""
    _settings(state, call.text("VideoSourceToken"))
    return "<timg:GetMoveOptionsResponse><timg:MoveOptions/></timg:GetMoveOptionsResponse>"


def set_imaging_settings(state: DeviceState, call: Call) -> str:
    token = reading.text(call.element, "VideoSourceToken")
    old = _settings(state, token)
    element = reading.argument(call, "ImagingSettings")
    ranges, modes = _ranges(state), _modes(state)
    given: dict[str, float | str] = {}
    wrong = []
    for name, path in _LEVELS.items():
        value = reading.optional_number(element, *path)
        if value is not None:
            given[name] = value
            least, most = ranges.get(name, (1.0, 0.0))
            if not least <= value <= most:
                wrong.append("/".join(path))
    for name, path in _MODES.items():
        mode = reading.optional(element, *path)
        if mode is not None:
            given[name] = mode
            if mode not in modes.get(name, ()):
                wrong.append("/".join(path))
        elif len(path) == 2 and path[1] == "Mode" and find(element, path[0]) is not None:
            raise reading.invalid_args(f"{path[0]} has no Mode")
    if wrong:
        raise invalid_value("SettingsInvalid", f"{', '.join(wrong)} cannot be set to that value")
    new = replace(old, **given)  # type: ignore[arg-type]
    if (new.min_exposure_time or 0) > (new.max_exposure_time or 0) or (new.min_gain or 0) > (new.max_gain or 0):
        raise invalid_value("SettingsInvalid", "A minimum is above its maximum")
    force = reading.optional(call.element, "ForcePersistence")
    state.put(token, new, persistent=force is None or reading.as_flag(force, "ForcePersistence"))
    return "<timg:SetImagingSettingsResponse/>"
