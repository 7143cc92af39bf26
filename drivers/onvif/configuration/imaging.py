"""The sensor and the picture: the Imaging service, version 2. Ranges are the device's own; ours are percent of them."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.settings.limits import FLAG, Between, Limit, OneOf
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Control, Imaging, Switch, Value
from drivers.onvif import wsdl
from drivers.onvif.configuration.messages import copied, number, put, renamed, request, span, text
from drivers.onvif.configuration.unit import IMAGING, NOTHING, Told, Unit
from drivers.transports import xml
from drivers.transports.xml import Element

_ORDER = ("BacklightCompensation", "Brightness", "ColorSaturation", "Contrast", "Exposure", "Focus", "IrCutFilter",
          "Sharpness", "WideDynamicRange", "WhiteBalance", "Extension")  # fmt: skip
# Our name to the path of the value; the options have the range at the same place.
_LEVELS: Mapping[str, tuple[str, ...]] = {
    "brightness": ("Brightness",),
    "contrast": ("Contrast",),
    "saturation": ("ColorSaturation",),
    "sharpness": ("Sharpness",),
    "wide_dynamic_range_level": ("WideDynamicRange", "Level"),
}
_FLAGS: Mapping[str, tuple[str, str]] = {
    "wide_dynamic_range": ("WideDynamicRange", "Mode"),
    "backlight_compensation": ("BacklightCompensation", "Mode"),
}
_CONTROLS: Mapping[str, tuple[str, str]] = {"exposure": ("Exposure", "Mode"), "white_balance": ("WhiteBalance", "Mode")}


async def read(unit: Unit, section: str) -> Told:
    if IMAGING not in unit.client.paths:
        return NOTHING
    source = unit.profile.source
    told = await unit.ask(IMAGING, wsdl.message("imaging", "GetImagingSettings", VideoSourceToken=source))
    settings = xml.child(told, "ImagingSettings")
    if settings is None:
        return NOTHING
    options = await _options(unit)
    values: dict[str, Value] = {}
    limits: dict[str, Limit] = {}
    for name, path in _LEVELS.items():
        raw, scale = number(xml.text(settings, *path)), span(xml.child(options, *path))
        if raw is None or scale is None or scale[0] == scale[1]:
            continue
        values[name] = max(0, min(100, round((raw - scale[0]) / (scale[1] - scale[0]) * 100)))
        # A coarse scale has no finer steps than its own; a fine one rounds, and comes back within one percent.
        coarse = _whole(scale) and scale[1] - scale[0] < 50
        limits[name] = Between(0, 100, 100 / (scale[1] - scale[0]) if coarse else 0, tolerance=1)
    for name, mode in _FLAGS.items():
        if written := xml.text(settings, *mode):
            values[name] = written == "ON"
            limits[name] = FLAG
    for name, mode in _CONTROLS.items():
        if (written := xml.text(settings, *mode).lower()) in tuple(Control):
            values[name] = Control(written)
            modes = [one for one in _modes(xml.child(options, mode[0]), "Mode") if one in tuple(Control)]
            limits[name] = OneOf(tuple(map(Control, modes)) or tuple(Control))
    if (written := xml.text(settings, "IrCutFilter").lower()) in tuple(Switch):
        values["ir_cut_filter"] = Switch(written)
        modes = [one for one in _modes(options, "IrCutFilterModes") if one in tuple(Switch)]
        limits["ir_cut_filter"] = OneOf(tuple(map(Switch, modes)) or tuple(Switch))
    return Told(
        {f"{section}.{name}": value for name, value in values.items()},
        {f"{section}.{name}": limit for name, limit in limits.items()},
    )


async def write(unit: Unit, step: Step) -> bool:
    wanted = step.after.imaging or Imaging()
    source = unit.profile.source
    told = await unit.must(IMAGING, wsdl.message("imaging", "GetImagingSettings", VideoSourceToken=source))
    settings = copied(next(xml.children(told, "ImagingSettings")))
    options = await _options(unit)
    for path in step.paths:
        name = path.partition(".")[2]
        value = getattr(wanted, name)
        if name in _LEVELS:
            scale = span(xml.child(options, *_LEVELS[name])) or (0.0, 100.0)
            put(settings, _LEVELS[name], _raw(value, scale), _ORDER)
        elif name in _FLAGS:
            put(settings, _FLAGS[name], "ON" if value else "OFF", _ORDER)
        elif name in _CONTROLS:
            put(settings, _CONTROLS[name], str(value).upper(), _ORDER)
        elif name == "ir_cut_filter":
            put(settings, ["IrCutFilter"], str(value).upper(), _ORDER)
    message = request(
        IMAGING,
        "SetImagingSettings",
        text("VideoSourceToken", source),
        renamed(settings, IMAGING, "ImagingSettings"),
        text("ForcePersistence", "true"),
    )
    await unit.tell(IMAGING, message)
    return False


async def _options(unit: Unit) -> Element | None:
    message = wsdl.message("imaging", "GetOptions", VideoSourceToken=unit.profile.source)
    return xml.child(await unit.offered(IMAGING, message), "ImagingOptions")


def _modes(options: Element | None, name: str) -> list[str]:
    return [(one.text or "").strip().lower() for one in xml.children(options, name)]


def _whole(scale: tuple[float, float]) -> bool:
    """0 to 100 counts in whole numbers; 0 to 1 does not."""
    return scale[0].is_integer() and scale[1].is_integer() and scale[1] - scale[0] >= 4


def _raw(percent: int, scale: tuple[float, float]) -> str:
    raw = scale[0] + percent / 100 * (scale[1] - scale[0])
    return f"{round(raw)}" if _whole(scale) else f"{raw:.4f}"
