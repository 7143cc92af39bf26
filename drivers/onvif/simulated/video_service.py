"""Video encoders: Media1 after media.wsdl and onvif.xsd, Media2 after ver20/media/wsdl. Both see the same encoders.

What Set takes is what the options say: "any combination of the parameters in the options is valid" (Media, Media2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lxml import etree

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.limits import Codec, Size
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.settings import VideoEncoder
from drivers.onvif.simulated.soap import Call, SoapFault, attribute, boolean, content, find, invalid_value
from drivers.onvif.simulated.state import DeviceState, Profile
from drivers.onvif.simulated.times import parse_duration

# The bit rates of an encoder that has only some, in kbit/s (Quirk.ADAPTS_BITRATE).
_RUNGS = (128, 256, 512, 1024, 2048, 4096, 6144, 8192)
_LONGEST_SESSION = 600.0


def profile_of(state: DeviceState, token: str) -> Profile:
    profile = state.profiles.get(token)
    if profile is None:
        raise invalid_value("NoProfile", "The requested profile token does not exist")
    return profile


def no_configuration() -> SoapFault:
    return invalid_value("NoConfig", "The requested configuration does not exist")


def refused(reason: str) -> SoapFault:
    return invalid_value("ConfigModify", reason)


def _encoding1(state: DeviceState, encoder: VideoEncoder) -> str:
    """What Media1 says of an encoder: tt:VideoEncoding ends at H264. "" when it cannot show it."""
    if encoder.encoding != "H265":
        return encoder.encoding
    return "H264" if Quirk.MEDIA1_CALLS_IT_H264 in state.quirks else ""


# --- encoders as they are


def _resolution(size: Size, element: str) -> str:
    return f"<{element}><tt:Width>{size[0]}</tt:Width><tt:Height>{size[1]}</tt:Height></{element}>"


def _multicast(encoder: VideoEncoder) -> str:
    return (
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>"
        f"{content(encoder.multicast_address)}</tt:IPv4Address></tt:Address><tt:Port>{encoder.multicast_port}</tt:Port>"
        f"<tt:TTL>{encoder.multicast_ttl}</tt:TTL>"
        f"<tt:AutoStart>{boolean(encoder.multicast_auto_start)}</tt:AutoStart></tt:Multicast>"
    )


def _name(state: DeviceState, token: str, encoder: VideoEncoder) -> str:
    uses = sum(profile.encoder_token == token for profile in state.profiles_of_source(encoder.source))
    return f"<tt:Name>{content(encoder.name)}</tt:Name><tt:UseCount>{uses}</tt:UseCount>"


def encoder1(state: DeviceState, token: str, element: str) -> str:
    """An encoder in Media1's words, "" when those do not reach."""
    encoder = state.settings.all(VideoEncoder)[token]
    encoding = _encoding1(state, encoder)
    if not encoding:
        return ""
    h264 = ""
    if encoding == "H264":
        h264 = (
            f"<tt:H264><tt:GovLength>{encoder.gov}</tt:GovLength>"
            f"<tt:H264Profile>{encoder.profile or 'Main'}</tt:H264Profile></tt:H264>"
        )
    return (
        f"<{element} token={attribute(token)}>{_name(state, token, encoder)}<tt:Encoding>{encoding}</tt:Encoding>"
        f"{_resolution((encoder.width, encoder.height), 'tt:Resolution')}<tt:Quality>{encoder.quality:g}</tt:Quality>"
        f"<tt:RateControl><tt:FrameRateLimit>{max(1, round(encoder.fps))}</tt:FrameRateLimit>"
        f"<tt:EncodingInterval>{encoder.interval}</tt:EncodingInterval><tt:BitrateLimit>{encoder.bitrate}"
        f"</tt:BitrateLimit></tt:RateControl>{h264}{_multicast(encoder)}"
        f"<tt:SessionTimeout>{encoder.session_timeout}</tt:SessionTimeout></{element}>"
    )


def encoder2(state: DeviceState, token: str, element: str) -> str:
    encoder = state.settings.all(VideoEncoder)[token]
    codec = ""
    if encoder.encoding != "JPEG":
        codec = f' GovLength="{encoder.gov}" Profile={attribute(encoder.profile)}'
    constant = boolean(encoder.constant_bitrate)
    return (
        f"<{element} token={attribute(token)}{codec}>{_name(state, token, encoder)}"
        f"<tt:Encoding>{encoder.encoding}</tt:Encoding>"
        f"{_resolution((encoder.width, encoder.height), 'tt:Resolution')}"
        f'<tt:RateControl ConstantBitRate="{constant}"><tt:FrameRateLimit>{encoder.fps:g}</tt:FrameRateLimit>'
        f"<tt:BitrateLimit>{encoder.bitrate}</tt:BitrateLimit></tt:RateControl>{_multicast(encoder)}"
        f"<tt:Quality>{encoder.quality:g}</tt:Quality></{element}>"
    )


def get_configuration(state: DeviceState, call: Call) -> str:
    token = call.text("ConfigurationToken") or ""
    inner = encoder1(state, token, "trt:Configuration") if state.settings.get(VideoEncoder, token) else ""
    if not inner:
        raise no_configuration()
    return f"<trt:GetVideoEncoderConfigurationResponse>{inner}</trt:GetVideoEncoderConfigurationResponse>"


def get_configurations(state: DeviceState, call: Call) -> str:
    inner = "".join(encoder1(state, token, "trt:Configurations") for token in state.settings.all(VideoEncoder))
    return f"<trt:GetVideoEncoderConfigurationsResponse>{inner}</trt:GetVideoEncoderConfigurationsResponse>"


def get_compatible_configurations(state: DeviceState, call: Call) -> str:
    """Any encoder of the same channel would do."""
    source = profile_of(state, call.text("ProfileToken") or "").source.token
    inner = "".join(
        encoder1(state, token, "trt:Configurations")
        for token, encoder in state.settings.all(VideoEncoder).items()
        if encoder.source == source
    )
    name = "GetCompatibleVideoEncoderConfigurationsResponse"
    return f"<trt:{name}>{inner}</trt:{name}>"


def get_configurations2(state: DeviceState, call: Call) -> str:
    inner = "".join(encoder2(state, token, "tr2:Configurations") for token in _asked(state, call))
    return f"<tr2:GetVideoEncoderConfigurationsResponse>{inner}</tr2:GetVideoEncoderConfigurationsResponse>"


def _asked(state: DeviceState, call: Call) -> Iterable[str]:
    """Tokens of the encoders that ConfigurationToken and ProfileToken leave: all without them."""
    token, profile_token = call.text("ConfigurationToken"), call.text("ProfileToken")
    tokens: Iterable[str] = state.settings.all(VideoEncoder)
    if profile_token:
        source = profile_of(state, profile_token).source.token
        tokens = [one for one, encoder in state.settings.all(VideoEncoder).items() if encoder.source == source]
    if token:
        if token not in tokens:
            raise no_configuration()
        return (token,)
    return tokens


# --- what they can be


def _example(state: DeviceState, call: Call) -> VideoEncoder:
    """The encoder that a request for options is about: by its token, else that of the profile, else the first."""
    token, profile_token = call.text("ConfigurationToken"), call.text("ProfileToken")
    if profile_token:
        token = token or profile_of(state, profile_token).encoder_token
    found = state.settings.get(VideoEncoder, token) if token else next(iter(state.settings.all(VideoEncoder).values()))
    if found is None:
        raise no_configuration()
    return found


def _sizes(codec: Codec, encoder: VideoEncoder) -> tuple[Size, ...]:
    return codec.large if encoder.stream == "high" else codec.small


def _range(element: str, least: float, most: float) -> str:
    return f"<{element}><tt:Min>{least:g}</tt:Min><tt:Max>{most:g}</tt:Max></{element}>"


def get_options(state: DeviceState, call: Call) -> str:
    limits, encoder = state.make.limits.video, _example(state, call)
    plain = extended = ""
    for name in ("JPEG", "H264"):
        codec = limits.codecs.get(name)
        if codec is None:
            continue
        sizes = "".join(_resolution(size, "tt:ResolutionsAvailable") for size in _sizes(codec, encoder))
        gov = _range("tt:GovLengthRange", *codec.gov) if codec.gov else ""
        rates = _range("tt:FrameRateRange", max(1, int(min(limits.frame_rates))), int(max(limits.frame_rates)))
        profiles = "".join(f"<tt:H264ProfilesSupported>{one}</tt:H264ProfilesSupported>" for one in codec.profiles)
        inner = f"{sizes}{gov}{rates}{_range('tt:EncodingIntervalRange', *limits.interval)}{profiles}"
        plain += f"<tt:{name}>{inner}</tt:{name}>"
        extended += f"<tt:{name}>{inner}{_range('tt:BitrateRange', *limits.bitrate)}</tt:{name}>"
    return (
        f"<trt:GetVideoEncoderConfigurationOptionsResponse><trt:Options>{_range('tt:QualityRange', *limits.quality)}"
        f"{plain}<tt:Extension>{extended}</tt:Extension></trt:Options>"
        "</trt:GetVideoEncoderConfigurationOptionsResponse>"
    )


def get_options2(state: DeviceState, call: Call) -> str:
    limits, encoder = state.make.limits.video, _example(state, call)
    options = ""
    for name, codec in limits.codecs.items():
        attributes = f' FrameRatesSupported="{" ".join(f"{rate:g}" for rate in limits.frame_rates)}"'
        if codec.gov:
            attributes += (
                f' GovLengthRange="{codec.gov[0]} {codec.gov[1]}" ProfilesSupported="{" ".join(codec.profiles)}"'
            )
        attributes += f' ConstantBitRateSupported="{boolean(limits.constant_bitrate)}"'
        sizes = "".join(_resolution(size, "tt:ResolutionsAvailable") for size in _sizes(codec, encoder))
        options += (
            f"<tr2:Options{attributes}><tt:Encoding>{name}</tt:Encoding>{_range('tt:QualityRange', *limits.quality)}"
            f"{sizes}{_range('tt:BitrateRange', *limits.bitrate)}</tr2:Options>"
        )
    name = "GetVideoEncoderConfigurationOptionsResponse"
    return f"<tr2:{name}>{options}</tr2:{name}>"


def _instances(state: DeviceState, call: Call) -> tuple[int, list[str]]:
    """Streams of a channel, by its video source configuration; and the encodings they can have."""
    token = call.text("ConfigurationToken")
    source = next((one for one in state.sources if one.config_token == token), None)
    if source is None:
        raise no_configuration()
    return len(state.profiles_of_source(source.token)), list(state.make.limits.video.codecs)


def get_guaranteed_instances(state: DeviceState, call: Call) -> str:
    total, encodings = _instances(state, call)
    name = "GetGuaranteedNumberOfVideoEncoderInstancesResponse"
    jpeg = "<trt:JPEG>1</trt:JPEG>" if "JPEG" in encodings else ""
    return f"<trt:{name}><trt:TotalNumber>{total}</trt:TotalNumber>{jpeg}<trt:H264>{total}</trt:H264></trt:{name}>"


def get_instances2(state: DeviceState, call: Call) -> str:
    total, encodings = _instances(state, call)
    codecs = "".join(
        f"<tr2:Codec><tr2:Encoding>{one}</tr2:Encoding><tr2:Number>{1 if one == 'JPEG' else total}</tr2:Number>"
        "</tr2:Codec>"
        for one in encodings
    )
    name = "GetVideoEncoderInstancesResponse"
    return f"<tr2:{name}><tr2:Info>{codecs}<tr2:Total>{total}</tr2:Total></tr2:Info></tr2:{name}>"


# --- setting them


def set_configuration(state: DeviceState, call: Call) -> str:
    """The whole object is needed: what the schema wants, and the block of the encoding that is set."""
    element = reading.argument(call, "Configuration")
    token = element.get("token", "")
    old = state.settings.get(VideoEncoder, token)
    if old is None or not _encoding1(state, old):
        raise no_configuration()
    persistent = reading.flag(call.element, "ForcePersistence")
    new = _common(element, old)
    if find(element, "RateControl") is not None:
        new = replace(
            new,
            fps=float(reading.integer(element, "RateControl", "FrameRateLimit")),
            interval=reading.integer(element, "RateControl", "EncodingInterval"),
            bitrate=reading.integer(element, "RateControl", "BitrateLimit"),
        )
    if new.encoding == "H264":
        new = replace(
            new,
            gov=reading.integer(element, "H264", "GovLength"),
            profile=reading.text(element, "H264", "H264Profile"),
        )
    new = _with_multicast(new, reading.needed(element, "Multicast"))
    new = replace(new, session_timeout=_session(reading.text(element, "SessionTimeout")))
    if new.encoding not in ("JPEG", "H264"):
        raise refused(f"Encoding {new.encoding} is not supported")
    _store(state, token, old, new, persistent=persistent, media2=False)
    return "<trt:SetVideoEncoderConfigurationResponse/>"


def set_configuration2(state: DeviceState, call: Call) -> str:
    element = reading.argument(call, "Configuration")
    token = element.get("token", "")
    old = state.settings.get(VideoEncoder, token)
    if old is None:
        raise no_configuration()
    new = _common(element, old)
    rate = find(element, "RateControl")
    if rate is not None:
        constant = rate.get("ConstantBitRate")
        new = replace(
            new,
            fps=reading.number(rate, "FrameRateLimit"),
            bitrate=reading.integer(rate, "BitrateLimit"),
            constant_bitrate=old.constant_bitrate if constant is None else reading.as_flag(constant, "ConstantBitRate"),
        )
    gov = element.get("GovLength")
    if gov is not None:
        new = replace(new, gov=reading.as_integer(gov, "GovLength"))
    profile = element.get("Profile")
    if profile is not None:
        new = replace(new, profile=profile)
    elif new.encoding != old.encoding:
        new = replace(new, profile="Main")
    multicast = find(element, "Multicast")
    if multicast is not None:
        new = _with_multicast(new, multicast)
    _store(state, token, old, new, persistent=True, media2=True)
    return "<tr2:SetVideoEncoderConfigurationResponse/>"


def _common(element: etree._Element, old: VideoEncoder) -> VideoEncoder:
    reading.text(element, "UseCount")
    return replace(
        old,
        name=reading.text(element, "Name")[:64],
        encoding=reading.text(element, "Encoding"),
        width=reading.integer(element, "Resolution", "Width"),
        height=reading.integer(element, "Resolution", "Height"),
        quality=reading.number(element, "Quality"),
    )


def _with_multicast(encoder: VideoEncoder, element: etree._Element) -> VideoEncoder:
    return replace(
        encoder,
        multicast_address=reading.optional(element, "Address", "IPv4Address") or encoder.multicast_address,
        multicast_port=reading.integer(element, "Port"),
        multicast_ttl=reading.integer(element, "TTL"),
        multicast_auto_start=reading.flag(element, "AutoStart"),
    )


def _session(text: str) -> str:
    """A device may adapt the session timeout without a fault (media.wsdl)."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise reading.invalid_args("SessionTimeout is no duration") from error
    return text if 0 < seconds <= _LONGEST_SESSION else "PT60S"


def _store(
    state: DeviceState, token: str, old: VideoEncoder, new: VideoEncoder, *, persistent: bool, media2: bool
) -> None:
    if Quirk.ADAPTS_BITRATE in state.quirks:
        new = replace(new, bitrate=min(_RUNGS, key=lambda rung: abs(rung - new.bitrate)))
    _check(state, new, media2=media2)
    waits = Quirk.CODEC_NEEDS_REBOOT in state.quirks and new.encoding != old.encoding
    state.put(token, new, persistent=persistent, after_reboot=waits)


def _check(state: DeviceState, new: VideoEncoder, *, media2: bool) -> None:
    """ter:ConfigModify for what is outside of the options."""
    limits = state.make.limits.video
    codec = limits.codecs.get(new.encoding)
    if codec is None:
        raise refused(f"Encoding {new.encoding[:20]} is not supported")
    rates = limits.frame_rates
    most = max(rates) / 2 if Quirk.OPTIONS_TOO_WIDE in state.quirks else max(rates)
    problems = {
        "Resolution": (new.width, new.height) not in _sizes(codec, new),
        "Quality": not limits.quality[0] <= new.quality <= limits.quality[1],
        # Media2 lists the rates; Media1 tells a range, all of which it has to take.
        "FrameRateLimit": new.fps > most or (new.fps not in rates if media2 else new.fps < max(1, int(min(rates)))),
        "EncodingInterval": not limits.interval[0] <= new.interval <= limits.interval[1],
        "BitrateLimit": not limits.bitrate[0] <= new.bitrate <= limits.bitrate[1],
        "GovLength": codec.gov is not None and not codec.gov[0] <= new.gov <= codec.gov[1],
        "Profile": bool(codec.profiles) and new.profile not in codec.profiles,
        "ConstantBitRate": new.constant_bitrate and not limits.constant_bitrate,
    }
    wrong = [name for name, is_wrong in problems.items() if is_wrong]
    if wrong:
        raise refused(f"{', '.join(wrong)} cannot be set to that value")
