"""Texts in the picture: OSDs of the type Text, by Media 2 where the device has it, else Media 1 (with the same types).

ONVIF knows no switch for an OSD: it is there or it is not. So `enabled` creates and deletes it. One that shows a date,
a time or both is `osd_time`, one with a plain text is `osd_text`; of several the first counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from bridge.errors import Rejected
from bridge.settings.limits import FLAG, Between, Limit, OneOf, Text
from bridge.settings.plan import Step
from bridge.settings.vocabulary import DateFormat, OsdText, OsdTime, Position, TimeFormat, Value
from drivers.onvif.configuration.messages import copied, integer, put, renamed, request, span, text
from drivers.onvif.configuration.unit import NOTHING, Told, Unit
from drivers.transports import xml
from drivers.transports.xml import Element

_POSITIONS: Mapping[str, Position] = {
    "UpperLeft": Position.UPPER_LEFT,
    "UpperRight": Position.UPPER_RIGHT,
    "LowerLeft": Position.LOWER_LEFT,
    "LowerRight": Position.LOWER_RIGHT,
}
_POSITION_WIRE = {position: name for name, position in _POSITIONS.items()}
# What of a TextString shows a moment, fullest first; the attribute that bounds how many there may be has the same name.
_MOMENTS = ("DateAndTime", "Time", "Date")
_ORDER = ("VideoSourceConfigurationToken", "Type", "Position", "TextString", "Image", "Extension")
_TEXT_ORDER = ("Type", "DateFormat", "TimeFormat", "FontSize", "FontColor", "BackgroundColor", "PlainText", "Extension")
_PLAIN_LIMIT = 200


async def read(unit: Unit, section: str) -> Told:
    options = xml.child(
        await unit.offered(unit.media, request(unit.media, "GetOSDOptions", _where(unit))), "OSDOptions"
    )
    if options is None:
        return NOTHING
    moment = section == "osd_time"
    one = _first(await _all(unit), moment)
    values: dict[str, Value] = {"enabled": one is not None}
    if one is not None:
        string = xml.child(one, "TextString")
        values["position"] = _POSITIONS.get(xml.text(one, "Position", "Type"))
        values["font_size"] = integer(xml.text(string, "FontSize"))
        if moment:
            values["date_format"] = _word(DateFormat, xml.text(string, "DateFormat"))
            values["time_format"] = _word(TimeFormat, xml.text(string, "TimeFormat"))
        else:
            values["text"] = xml.text(string, "PlainText")[:_PLAIN_LIMIT]
    return Told(
        {f"{section}.{name}": value for name, value in values.items()},
        {f"{section}.{name}": limit for name, limit in _limits(options, moment, one is not None).items()},
    )


async def write(unit: Unit, step: Step) -> bool:
    moment = step.section == "osd_time"
    wanted: OsdTime | OsdText = getattr(step.after, step.section)
    there = await _all(unit)
    if wanted.enabled is False:
        for shown in there:
            if _shows(shown, moment):
                await unit.tell(unit.media, request(unit.media, "DeleteOSD", text("OSDToken", shown.get("token", ""))))
        return False
    one = _first(there, moment)
    if one is None:
        await unit.tell(unit.media, request(unit.media, "CreateOSD", _new(unit, wanted)))
        return False
    osd = copied(one)
    changed = {path.partition(".")[2] for path in step.paths}
    if "position" in changed and wanted.position is not None:
        put(osd, ["Position", "Type"], _POSITION_WIRE[wanted.position], _ORDER)
    string = xml.child(osd, "TextString")
    if string is None:
        raise Rejected("its text in the picture has no text")
    for name, value in _leaves(wanted).items():
        if name[0] in changed:
            put(string, [name[1]], value, _TEXT_ORDER)
    await unit.tell(unit.media, request(unit.media, "SetOSD", renamed(osd, unit.media, "OSD")))
    return False


def _where(unit: Unit) -> bytes:
    return text("ConfigurationToken", unit.profile.configuration)


async def _all(unit: Unit) -> list[Element]:
    """The texts on the channel's picture. Some firmware sends those of every channel, whatever it was asked for."""
    told = await unit.ask(unit.media, request(unit.media, "GetOSDs", _where(unit)))
    own = unit.profile.configuration
    return [
        one
        for one in xml.children(told, "OSDs")
        if one.get("token") and xml.text(one, "VideoSourceConfigurationToken") in ("", own)
    ]


def _shows(osd: Element, moment: bool) -> bool:
    kind = xml.text(osd, "TextString", "Type")
    return kind in _MOMENTS if moment else kind == "Plain"


def _first(osds: list[Element], moment: bool) -> Element | None:
    return next((one for one in osds if _shows(one, moment)), None)


def _limits(options: Element, moment: bool, there: bool) -> dict[str, Limit]:
    string = xml.child(options, "TextOption")
    most = xml.child(options, "MaximumNumberOfOSDs")
    kinds = _MOMENTS if moment else ("PlainText",)
    room = most is None or any((integer(most.get(name, "1")) or 0) > 0 for name in kinds)
    found: dict[str, Limit] = {"enabled": FLAG if room or there else OneOf((False,))}
    if not room and not there:
        return found
    told = [_POSITIONS.get((one.text or "").strip()) for one in xml.children(options, "PositionOption")]
    if positions := tuple(one for one in told if one is not None):
        found["position"] = OneOf(positions)
    if sizes := span(xml.child(string, "FontSizeRange")):
        found["font_size"] = Between(*sizes, 1)
    if not moment:
        found["text"] = Text(_PLAIN_LIMIT)
        return found
    dates = [_word(DateFormat, (one.text or "").strip()) for one in xml.children(string, "DateFormat")]
    times = [_word(TimeFormat, (one.text or "").strip()) for one in xml.children(string, "TimeFormat")]
    if known := tuple(one for one in dates if one is not None):
        found["date_format"] = OneOf(known)
    if known := tuple(one for one in times if one is not None):
        found["time_format"] = OneOf(known)
    return found


def _word(kind: type[DateFormat] | type[TimeFormat], written: str) -> DateFormat | TimeFormat | None:
    try:
        return kind(written)
    except ValueError:
        return None


def _leaves(wanted: OsdTime | OsdText) -> dict[tuple[str, str], str]:
    """What a TextString is to hold: (our name, its name) to value."""
    said: dict[tuple[str, str], object] = {("font_size", "FontSize"): wanted.font_size}
    if isinstance(wanted, OsdTime):
        said |= {("date_format", "DateFormat"): wanted.date_format, ("time_format", "TimeFormat"): wanted.time_format}
    else:
        said[("text", "PlainText")] = wanted.text
    return {name: str(value) for name, value in said.items() if value is not None}


def _new(unit: Unit, wanted: OsdTime | OsdText) -> bytes:
    """A new OSD, complete: what the template does not say is what every firmware takes."""
    kind = "DateAndTime" if isinstance(wanted, OsdTime) else "Plain"
    defaults = {"DateFormat": "yyyy-MM-dd", "TimeFormat": "HH:mm:ss"} if kind == "DateAndTime" else {"PlainText": ""}
    said = defaults | {name: value for (_, name), value in _leaves(wanted).items()}
    string = "".join(f"<tt:{name}>{escape(said[name])}</tt:{name}>" for name in _TEXT_ORDER if name in said)
    place = _POSITION_WIRE[wanted.position or (Position.UPPER_LEFT if kind == "Plain" else Position.UPPER_RIGHT)]
    return (
        f"<m:OSD token={quoteattr('')}><tt:VideoSourceConfigurationToken>{escape(unit.profile.configuration)}"
        f"</tt:VideoSourceConfigurationToken><tt:Type>Text</tt:Type><tt:Position><tt:Type>{place}</tt:Type>"
        f"</tt:Position><tt:TextString><tt:Type>{kind}</tt:Type>{string}</tt:TextString></m:OSD>"
    ).encode()
