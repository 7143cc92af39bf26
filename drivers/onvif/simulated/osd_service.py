"""Texts in the picture: the same operations in Media1 and Media2, after media.wsdl, ver20/media/wsdl and onvif.xsd."""

from __future__ import annotations

import itertools
from dataclasses import replace

from lxml import etree

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.settings import Osd
from drivers.onvif.simulated.soap import Call, SoapFault, attribute, content, find
from drivers.onvif.simulated.state import DeviceState
from drivers.onvif.simulated.video_service import no_configuration, refused

_YCBCR = "http://www.onvif.org/ver10/colorspace/YCbCr"
_TYPES = ("Plain", "Date", "Time", "DateAndTime")
_ONE_TOKEN = "OSD"  # noqa: S105 - of Quirk.SAME_OSD_TOKENS


def _shown_token(state: DeviceState, token: str) -> str:
    return _ONE_TOKEN if Quirk.SAME_OSD_TOKENS in state.quirks else token


def _real_token(state: DeviceState, shown: str) -> str:
    """The token that a client's one stands for. ter:NoConfig when it stands for none."""
    known = state.settings.all(Osd)
    if Quirk.SAME_OSD_TOKENS in state.quirks and shown == _ONE_TOKEN:
        shown = next(iter(known), "")
    if shown not in known:
        raise no_configuration()
    return shown


def _color(values: tuple[float, ...]) -> str:
    return f'<tt:Color X="{values[0]:g}" Y="{values[1]:g}" Z="{values[2]:g}" Colorspace={attribute(_YCBCR)}/>'


def _osd(state: DeviceState, token: str, osd: Osd, element: str) -> str:
    place = "" if osd.x is None else f'<tt:Pos x="{osd.x:g}" y="{osd.y:g}"/>'
    text = f"<tt:Type>{osd.text_type}</tt:Type>"
    if osd.date_format:
        text += f"<tt:DateFormat>{content(osd.date_format)}</tt:DateFormat>"
    if osd.time_format:
        text += f"<tt:TimeFormat>{content(osd.time_format)}</tt:TimeFormat>"
    if osd.font_size is not None:
        text += f"<tt:FontSize>{osd.font_size}</tt:FontSize>"
    if osd.font_color is not None:
        text += f"<tt:FontColor>{_color(osd.font_color)}</tt:FontColor>"
    if osd.text_type == "Plain":
        text += f"<tt:PlainText>{content(osd.text)}</tt:PlainText>"
    return (
        f"<{element} token={attribute(_shown_token(state, token))}>"
        f"<tt:VideoSourceConfigurationToken>{content(osd.source_configuration)}</tt:VideoSourceConfigurationToken>"
        f"<tt:Type>Text</tt:Type><tt:Position><tt:Type>{osd.position}</tt:Type>{place}</tt:Position>"
        f"<tt:TextString>{text}</tt:TextString></{element}>"
    )


def _source(state: DeviceState, token: str | None) -> str:
    if token not in {source.config_token for source in state.sources}:
        raise no_configuration()
    return token or ""


def get_osds(state: DeviceState, call: Call) -> str:
    chosen = dict(state.settings.all(Osd))
    if call.prefix == "tr2" and call.text("OSDToken"):
        token = _real_token(state, call.text("OSDToken") or "")
        chosen = {token: chosen[token]}
    elif call.text("ConfigurationToken"):
        source = _source(state, call.text("ConfigurationToken"))
        chosen = {token: osd for token, osd in chosen.items() if osd.source_configuration == source}
    prefix = call.prefix
    inner = "".join(_osd(state, token, osd, f"{prefix}:OSDs") for token, osd in chosen.items())
    return f"<{prefix}:GetOSDsResponse>{inner}</{prefix}:GetOSDsResponse>"


def get_osd(state: DeviceState, call: Call) -> str:
    token = _real_token(state, call.text("OSDToken") or "")
    return f"<trt:GetOSDResponse>{_osd(state, token, state.settings.all(Osd)[token], 'trt:OSD')}</trt:GetOSDResponse>"


def get_osd_options(state: DeviceState, call: Call) -> str:
    _source(state, call.text("ConfigurationToken"))
    limits = state.make.limits.osd
    total, plain, dated = limits.total, limits.plain, limits.date_and_time
    texts = "".join(f"<tt:Type>{one}</tt:Type>" for one in _TYPES)
    if limits.font_sizes:
        least, most = limits.font_sizes
        texts += f"<tt:FontSizeRange><tt:Min>{least}</tt:Min><tt:Max>{most}</tt:Max></tt:FontSizeRange>"
    texts += "".join(f"<tt:DateFormat>{content(one)}</tt:DateFormat>" for one in limits.date_formats)
    texts += "".join(f"<tt:TimeFormat>{content(one)}</tt:TimeFormat>" for one in limits.time_formats)
    if limits.colors:
        colors = "".join(_color(one).replace("<tt:Color ", "<tt:ColorList ") for one in limits.colors)
        texts += f"<tt:FontColor><tt:Color>{colors}</tt:Color></tt:FontColor>"
    positions = "".join(f"<tt:PositionOption>{one}</tt:PositionOption>" for one in limits.positions)
    prefix = call.prefix
    return (
        f'<{prefix}:GetOSDOptionsResponse><{prefix}:OSDOptions><tt:MaximumNumberOfOSDs Total="{total}" Image="0" '
        f'PlainText="{plain}" Date="{dated}" Time="{dated}" DateAndTime="{dated}"/><tt:Type>Text</tt:Type>{positions}'
        f"<tt:TextOption>{texts}</tt:TextOption></{prefix}:OSDOptions></{prefix}:GetOSDOptionsResponse>"
    )


def create_osd(state: DeviceState, call: Call) -> str:
    osd = _read(state, reading.argument(call, "OSD"))
    mine = [one for one in state.settings.all(Osd).values() if one.source_configuration == osd.source_configuration]
    limits = state.make.limits.osd
    plain = osd.text_type == "Plain"
    same = sum((one.text_type == "Plain") == plain for one in mine)
    most = limits.plain if plain else limits.date_and_time
    if plain and Quirk.ONE_TEXT_OSD in state.quirks:
        most = 1
    if len(mine) >= limits.total or same >= most:
        raise SoapFault("Receiver", ("ter:Action", "ter:MaxOSDs"), "The maximum number of OSDs is reached")
    known = state.settings.all(Osd)
    token = next(name for number in itertools.count(1) if (name := f"OSD_new_{number}") not in known)
    state.put(token, osd)
    prefix = call.prefix
    shown = content(_shown_token(state, token))
    return f"<{prefix}:CreateOSDResponse><{prefix}:OSDToken>{shown}</{prefix}:OSDToken></{prefix}:CreateOSDResponse>"


def set_osd(state: DeviceState, call: Call) -> str:
    element = reading.argument(call, "OSD")
    token = _real_token(state, element.get("token", ""))
    state.put(token, _read(state, element))
    return f"<{call.prefix}:SetOSDResponse/>"


def delete_osd(state: DeviceState, call: Call) -> str:
    state.drop(Osd, _real_token(state, reading.text(call.element, "OSDToken")))
    return f"<{call.prefix}:DeleteOSDResponse/>"


def _read(state: DeviceState, element: etree._Element) -> Osd:
    limits = state.make.limits.osd
    if reading.text(element, "Type") != "Text":
        raise refused("Only texts are supported")
    position = reading.needed(element, "Position")
    place = find(position, "Pos")
    string = reading.needed(element, "TextString")
    size = reading.optional(string, "FontSize")
    osd = Osd(
        source_configuration=_source(state, reading.text(element, "VideoSourceConfigurationToken")),
        position=reading.text(position, "Type"),
        text_type=reading.text(string, "Type"),
        x=None if place is None else reading.as_number(place.get("x", ""), "x"),
        y=None if place is None else reading.as_number(place.get("y", ""), "y"),
        text=_plain_text(string),
        date_format=reading.optional(string, "DateFormat") or "",
        time_format=reading.optional(string, "TimeFormat") or "",
        font_size=None if size is None else reading.as_integer(size, "FontSize"),
        font_color=_read_color(string),
    )
    problems = {
        "Position": osd.position not in limits.positions or (osd.position == "Custom") != (place is not None),
        "Pos": place is not None and not (abs(osd.x or 0) <= 1 and abs(osd.y or 0) <= 1),
        "TextString Type": osd.text_type not in _TYPES,
        "PlainText": len(osd.text) > limits.longest or (osd.text_type == "Plain" and not osd.text),
        "DateFormat": osd.date_format not in ("", *limits.date_formats),
        "TimeFormat": osd.time_format not in ("", *limits.time_formats),
    }
    wrong = [name for name, is_wrong in problems.items() if is_wrong]
    if wrong:
        raise refused(f"{', '.join(wrong)} cannot be set to that value")
    return _adapted(state, osd)


def _plain_text(string: etree._Element) -> str:
    """As it was written: blanks on its ends are part of a text."""
    element = find(string, "PlainText")
    return "" if element is None else (element.text or "")


def _read_color(string: etree._Element) -> tuple[float, ...] | None:
    color = find(string, "FontColor", "Color")
    if color is None:
        return None
    return tuple(reading.as_number(color.get(name, ""), name) for name in ("X", "Y", "Z"))


def _adapted(state: DeviceState, osd: Osd) -> Osd:
    """Sizes and colours that a device has not become others without a fault, as onvif.xsd allows."""
    limits = state.make.limits.osd
    size, color = osd.font_size, osd.font_color
    if limits.font_sizes is None:
        size = None
    else:
        least, most = limits.font_sizes
        size = least if size is None else min(max(size, least), most)
    if color not in limits.colors:
        color = limits.colors[0] if limits.colors else None
    dated = osd.text_type in ("Date", "DateAndTime")
    timed = osd.text_type in ("Time", "DateAndTime")
    return replace(
        osd,
        font_size=size,
        font_color=color,
        date_format=(osd.date_format or limits.date_formats[0]) if dated else "",
        time_format=(osd.time_format or limits.time_formats[0]) if timed else "",
        text=osd.text if osd.text_type == "Plain" else "",
    )
