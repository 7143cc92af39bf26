"""Video encoders, by Media 1 (onvif.xsd VideoEncoderConfiguration) and Media 2 (VideoEncoder2Configuration, H.265)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bridge.errors import Rejected, Unsupported
from bridge.settings.limits import Anything, Between, Fixed, Limit, OneOf
from bridge.settings.plan import Step
from bridge.settings.vocabulary import BitrateMode, Codec, CodecProfile, Value, VideoEncoder
from drivers.onvif import wsdl
from drivers.onvif.configuration.messages import copied, drop, integer, number, put, renamed, request, span, text
from drivers.onvif.configuration.unit import MEDIA, MEDIA2, NOTHING, Told, Unit
from drivers.transports import xml
from drivers.transports.xml import Element

_CODECS: Mapping[str, Codec] = {"H264": Codec.H264, "H265": Codec.H265, "JPEG": Codec.MJPEG}
_WIRE: Mapping[Codec, str] = {codec: name for name, codec in _CODECS.items()}
_PROFILES: Mapping[str, CodecProfile] = {
    "Baseline": CodecProfile.BASELINE,
    "Main": CodecProfile.MAIN,
    "Extended": CodecProfile.EXTENDED,
    "High": CodecProfile.HIGH,
}
_PROFILE_WIRE: Mapping[CodecProfile, str] = {profile: name for name, profile in _PROFILES.items()}
# The children's order in onvif.xsd, and in Media 2's.
_ORDER = ("Name", "UseCount", "Encoding", "Resolution", "Quality", "RateControl", "MPEG4", "H264", "Multicast",
          "SessionTimeout")  # fmt: skip
_ORDER2 = ("Name", "UseCount", "Encoding", "Resolution", "RateControl", "Multicast", "Quality")


async def read(unit: Unit, section: str) -> Told:
    """`section` is video_encoder_first or video_encoder_second."""
    token = _token(unit, section)
    if token is None:
        return NOTHING
    if unit.media == MEDIA2:
        which = text("ConfigurationToken", token)
        told = await unit.ask(MEDIA2, request(MEDIA2, "GetVideoEncoderConfigurations", which))
        options = await unit.offered(MEDIA2, request(MEDIA2, "GetVideoEncoderConfigurationOptions", which))
        configuration = _of(token, told)
        if configuration is None:
            return NOTHING
        return _told(section, _values2(configuration), dict(_limits2(options)))
    told = await unit.ask(MEDIA, wsdl.message("media", "GetVideoEncoderConfiguration", ConfigurationToken=token))
    options = await unit.offered(
        MEDIA, wsdl.message("media", "GetVideoEncoderConfigurationOptions", ConfigurationToken=token)
    )
    configuration = _of(token, told)
    if configuration is None:
        return NOTHING
    return _told(section, _values(configuration), dict(_limits(xml.child(options, "Options"))))


async def write(unit: Unit, step: Step) -> bool:
    token = _token(unit, step.section)
    if token is None:
        raise Unsupported("it has no such stream")
    wanted: VideoEncoder = getattr(step.after, step.section)
    changed = {path.partition(".")[2] for path in step.paths}
    if unit.media == MEDIA2:
        told = await unit.must(
            MEDIA2, request(MEDIA2, "GetVideoEncoderConfigurations", text("ConfigurationToken", token))
        )
        configuration = copied(_there(_of(token, told)))
        _change2(configuration, wanted, changed)
        message = request(MEDIA2, "SetVideoEncoderConfiguration", renamed(configuration, MEDIA2, "Configuration"))
        await unit.tell(MEDIA2, message)
        return False
    told = await unit.must(MEDIA, wsdl.message("media", "GetVideoEncoderConfiguration", ConfigurationToken=token))
    configuration = copied(_there(_of(token, told)))
    _change(configuration, wanted, changed)
    message = request(
        MEDIA,
        "SetVideoEncoderConfiguration",
        renamed(configuration, MEDIA, "Configuration"),
        text("ForcePersistence", "true"),
    )
    await unit.tell(MEDIA, message)
    return False


def _token(unit: Unit, section: str) -> str | None:
    """The encoder's token: high and low in the order that the unit has them."""
    place = 0 if section == "video_encoder_first" else 1
    return unit.encoders[place].encoder if place < len(unit.encoders) else None


def _of(token: str, told: Element | None) -> Element | None:
    """The configuration in a reply: some firmware sends all of them, whatever it was asked for."""
    if told is None:
        return None
    found = [one for one in told if xml.local(one) in ("Configuration", "Configurations")]
    return next((one for one in found if one.get("token") == token), found[0] if len(found) == 1 else None)


def _there(configuration: Element | None) -> Element:
    if configuration is None:
        raise Rejected("it no longer has this video encoder")
    return configuration


def _told(section: str, values: Mapping[str, Value], tables: Mapping[Codec, Mapping[str, Limit]]) -> Told:
    """Values and limits with the section before them; the limits of each codec hold while it is the one."""
    codec = values.get("codec")
    own = tables.get(codec, {}) if isinstance(codec, Codec) else {}
    general: dict[str, Limit] = {name: Anything() for name, value in values.items() if value is not None}
    general |= own
    # A codec that the options do not name, as H.265 through Media 1, is left alone.
    general["codec"] = OneOf(tuple(tables)) if codec in tables else Fixed()
    return Told(
        {f"{section}.{name}": value for name, value in values.items()},
        {f"{section}.{name}": limit for name, limit in general.items()},
        {
            (f"{section}.codec", one): {f"{section}.{name}": limit for name, limit in table.items()}
            for one, table in tables.items()
        },
    )


# -- Media 1 -------------------------------------------------------------------------------------------------------


def _values(one: Element) -> dict[str, Value]:
    encoding = xml.text(one, "Encoding")
    found: dict[str, Value] = {
        "codec": _CODECS.get(encoding.upper()),
        "resolution": _resolution(xml.child(one, "Resolution")),
        "fps": number(xml.text(one, "RateControl", "FrameRateLimit")),
        "bitrate": integer(xml.text(one, "RateControl", "BitrateLimit")),
        "quality": number(xml.text(one, "Quality")),
    }
    if encoding.upper() == "H264":
        found["gop"] = integer(xml.text(one, "H264", "GovLength"))
        found["profile"] = _PROFILES.get(xml.text(one, "H264", "H264Profile"))
    return found


def _limits(options: Element | None) -> Iterator[tuple[Codec, dict[str, Limit]]]:
    extension = xml.child(options, "Extension")
    quality = span(xml.child(options, "QualityRange"))
    for name in ("H264", "JPEG"):
        own = xml.child(options, name)
        if own is None:
            continue
        table: dict[str, Limit] = {"bitrate": Anything()}
        if resolutions := _resolutions(own):
            table["resolution"] = OneOf(resolutions)
        if fps := span(xml.child(own, "FrameRateRange")):
            table["fps"] = Between(*fps, 1)
        if quality:
            table["quality"] = Between(*quality)
        if bitrate := span(xml.child(extension, name, "BitrateRange")):
            table["bitrate"] = Between(*bitrate, 1)
        if gop := span(xml.child(own, "GovLengthRange")):
            table["gop"] = Between(*gop, 1)
        known = [_PROFILES.get((one.text or "").strip()) for one in xml.children(own, "H264ProfilesSupported")]
        if profiles := tuple(one for one in known if one is not None):
            table["profile"] = OneOf(profiles)
        yield _CODECS[name], table


def _change(configuration: Element, wanted: VideoEncoder, changed: set[str]) -> None:
    codec = wanted.codec
    if "codec" in changed and codec is not None:
        put(configuration, ["Encoding"], _WIRE[codec], _ORDER)
        if codec is not Codec.H264:
            drop(configuration, "H264")
    if "resolution" in changed and wanted.resolution is not None:
        _put_resolution(configuration, wanted.resolution, _ORDER)
    if "quality" in changed and wanted.quality is not None:
        put(configuration, ["Quality"], f"{wanted.quality:g}", _ORDER)
    if "fps" in changed and wanted.fps is not None:
        put(configuration, ["RateControl", "FrameRateLimit"], f"{wanted.fps:.0f}", _ORDER)
    if "bitrate" in changed and wanted.bitrate is not None:
        put(configuration, ["RateControl", "BitrateLimit"], str(wanted.bitrate), _ORDER)
    if codec is Codec.H264:
        if "gop" in changed or ("codec" in changed and wanted.gop is not None):
            put(configuration, ["H264", "GovLength"], str(wanted.gop), _ORDER)
        if "profile" in changed and wanted.profile is not None:
            put(configuration, ["H264", "H264Profile"], _PROFILE_WIRE[wanted.profile], _ORDER)


# -- Media 2 -------------------------------------------------------------------------------------------------------


def _values2(one: Element) -> dict[str, Value]:
    rate = xml.child(one, "RateControl")
    constant = rate.get("ConstantBitRate") if rate is not None else None
    found: dict[str, Value] = {
        "codec": _CODECS.get(xml.text(one, "Encoding").upper()),
        "resolution": _resolution(xml.child(one, "Resolution")),
        "fps": number(xml.text(rate, "FrameRateLimit")),
        "bitrate": integer(xml.text(rate, "BitrateLimit")),
        "gop": integer(one.get("GovLength", "")),
        "quality": number(xml.text(one, "Quality")),
        "profile": _PROFILES.get(one.get("Profile", "")),
    }
    if constant is not None:
        found["bitrate_mode"] = BitrateMode.CONSTANT if constant in ("true", "1") else BitrateMode.VARIABLE
    return found


def _limits2(options: Element | None) -> Iterator[tuple[Codec, dict[str, Limit]]]:
    for one in xml.children(options, "Options"):
        codec = _CODECS.get(xml.text(one, "Encoding").upper())
        if codec is None:
            continue
        table: dict[str, Limit] = {}
        if resolutions := _resolutions(one):
            table["resolution"] = OneOf(resolutions)
        if rates := [rate for word in one.get("FrameRatesSupported", "").split() if (rate := number(word)) is not None]:
            table["fps"] = OneOf(tuple(sorted(rates)))
        if bitrate := span(xml.child(one, "BitrateRange")):
            table["bitrate"] = Between(*bitrate, 1)
        if quality := span(xml.child(one, "QualityRange")):
            table["quality"] = Between(*quality)
        gop = [length for word in one.get("GovLengthRange", "").split() if (length := integer(word)) is not None]
        if len(gop) == 2 and gop[0] <= gop[1]:
            table["gop"] = Between(gop[0], gop[1], 1)
        known = [_PROFILES.get(word) for word in one.get("ProfilesSupported", "").split()]
        if profiles := tuple(profile for profile in known if profile is not None):
            table["profile"] = OneOf(profiles)
        both = one.get("ConstantBitRateSupported") in ("true", "1")
        table["bitrate_mode"] = OneOf(tuple(BitrateMode)) if both else Fixed()
        yield codec, table


def _change2(configuration: Element, wanted: VideoEncoder, changed: set[str]) -> None:
    if "codec" in changed and wanted.codec is not None:
        put(configuration, ["Encoding"], _WIRE[wanted.codec], _ORDER2)
        if "profile" not in changed:
            # The old codec's profile may be none of the new one's; left out, the device chooses.
            configuration.attrib.pop("Profile", "")
    if "resolution" in changed and wanted.resolution is not None:
        _put_resolution(configuration, wanted.resolution, _ORDER2)
    if "fps" in changed and wanted.fps is not None:
        put(configuration, ["RateControl", "FrameRateLimit"], f"{wanted.fps:g}", _ORDER2)
    if "bitrate" in changed and wanted.bitrate is not None:
        put(configuration, ["RateControl", "BitrateLimit"], str(wanted.bitrate), _ORDER2)
    if "bitrate_mode" in changed and (rate := xml.child(configuration, "RateControl")) is not None:
        rate.set("ConstantBitRate", "true" if wanted.bitrate_mode is BitrateMode.CONSTANT else "false")
    if "quality" in changed and wanted.quality is not None:
        put(configuration, ["Quality"], f"{wanted.quality:g}", _ORDER2)
    if "gop" in changed and wanted.gop is not None:
        configuration.set("GovLength", str(wanted.gop))
    if "profile" in changed and wanted.profile is not None:
        configuration.set("Profile", _PROFILE_WIRE[wanted.profile])


# -- both ----------------------------------------------------------------------------------------------------------


def _resolution(element: Element | None) -> str | None:
    width, height = integer(xml.text(element, "Width")), integer(xml.text(element, "Height"))
    return f"{width}x{height}" if width and height and 0 < width < 100_000 and 0 < height < 100_000 else None


def _resolutions(options: Element) -> tuple[str, ...]:
    """Largest first; what firmware lists twice counts once."""
    found = {size for one in xml.children(options, "ResolutionsAvailable") if (size := _resolution(one)) is not None}
    return tuple(sorted(found, key=lambda size: -int(size.partition("x")[0]) * int(size.partition("x")[2])))


def _put_resolution(configuration: Element, resolution: str, order: tuple[str, ...]) -> None:
    width, _, height = resolution.partition("x")
    put(configuration, ["Resolution", "Width"], width, order)
    put(configuration, ["Resolution", "Height"], height, order)
