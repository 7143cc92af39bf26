"""Audio encoders: Media1 after media.wsdl and onvif.xsd, Media2 after ver20/media/wsdl."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lxml import etree

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.settings import AudioEncoder
from drivers.onvif.simulated.soap import Call, attribute, content
from drivers.onvif.simulated.state import DeviceState
from drivers.onvif.simulated.video_service import no_configuration, profile_of, refused

# Media2 names encodings as RTP does (IANA media types).
_NAMES2 = {"G711": "PCMU", "G726": "G726", "AAC": "MP4A-LATM"}
_NAMES1 = {name2: name1 for name1, name2 in _NAMES2.items()}
_NO_MULTICAST = (
    "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
    "<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
)


def _of(state: DeviceState, source: str) -> str | None:
    """The token of a channel's audio encoder."""
    return next((token for token, one in state.settings.all(AudioEncoder).items() if one.source == source), None)


def source_configuration(state: DeviceState, source: str, element: str) -> str:
    if _of(state, source) is None:
        return ""
    uses = len(state.profiles_of_source(source))
    return (
        f"<{element} token={attribute('A_' + source)}><tt:Name>{content('A_' + source)}</tt:Name>"
        f"<tt:UseCount>{uses}</tt:UseCount><tt:SourceToken>{content('MIC_' + source)}</tt:SourceToken></{element}>"
    )


def encoder1_of(state: DeviceState, source: str, element: str) -> str:
    token = _of(state, source)
    return "" if token is None else _encoder1(state, token, element)


def encoder2_of(state: DeviceState, source: str, element: str) -> str:
    token = _of(state, source)
    return "" if token is None else _encoder2(state, token, element)


def _head(state: DeviceState, token: str, element: str) -> str:
    encoder = state.settings.all(AudioEncoder)[token]
    uses = len(state.profiles_of_source(encoder.source))
    name = f"<tt:Name>{content(encoder.name)}</tt:Name><tt:UseCount>{uses}</tt:UseCount>"
    return f"<{element} token={attribute(token)}>{name}"


def _encoder1(state: DeviceState, token: str, element: str) -> str:
    encoder = state.settings.all(AudioEncoder)[token]
    return (
        f"{_head(state, token, element)}<tt:Encoding>{encoder.encoding}</tt:Encoding>"
        f"<tt:Bitrate>{encoder.bitrate}</tt:Bitrate><tt:SampleRate>{encoder.sample_rate}</tt:SampleRate>{_NO_MULTICAST}"
        f"<tt:SessionTimeout>{content(encoder.session_timeout)}</tt:SessionTimeout></{element}>"
    )


def _encoder2(state: DeviceState, token: str, element: str) -> str:
    encoder = state.settings.all(AudioEncoder)[token]
    return (
        f"{_head(state, token, element)}<tt:Encoding>{_NAMES2[encoder.encoding]}</tt:Encoding>{_NO_MULTICAST}"
        f"<tt:Bitrate>{encoder.bitrate}</tt:Bitrate><tt:SampleRate>{encoder.sample_rate}</tt:SampleRate></{element}>"
    )


def _asked(state: DeviceState, call: Call) -> Iterable[str]:
    """Tokens that ConfigurationToken and ProfileToken leave."""
    token, profile = call.text("ConfigurationToken"), call.text("ProfileToken")
    known = state.settings.all(AudioEncoder)
    if token:
        if token not in known:
            raise no_configuration()
        return (token,)
    if profile:
        source = profile_of(state, profile).source.token
        return [one for one, encoder in known.items() if encoder.source == source]
    return known


def get_configuration(state: DeviceState, call: Call) -> str:
    token = call.text("ConfigurationToken") or ""
    if state.settings.get(AudioEncoder, token) is None:
        raise no_configuration()
    inner = _encoder1(state, token, "trt:Configuration")
    return f"<trt:GetAudioEncoderConfigurationResponse>{inner}</trt:GetAudioEncoderConfigurationResponse>"


def get_configurations(state: DeviceState, call: Call) -> str:
    inner = "".join(_encoder1(state, token, "trt:Configurations") for token in state.settings.all(AudioEncoder))
    return f"<trt:GetAudioEncoderConfigurationsResponse>{inner}</trt:GetAudioEncoderConfigurationsResponse>"


def get_configurations2(state: DeviceState, call: Call) -> str:
    inner = "".join(_encoder2(state, token, "tr2:Configurations") for token in _asked(state, call))
    return f"<tr2:GetAudioEncoderConfigurationsResponse>{inner}</tr2:GetAudioEncoderConfigurationsResponse>"


def _list(element: str, values: Iterable[int]) -> str:
    return f"<{element}>{''.join(f'<tt:Items>{value}</tt:Items>' for value in values)}</{element}>"


def _options(state: DeviceState, call: Call, element: str, names: dict[str, str]) -> str:
    _asked(state, call)
    return "".join(
        f"<{element}><tt:Encoding>{names[encoding]}</tt:Encoding>{_list('tt:BitrateList', bitrates)}"
        f"{_list('tt:SampleRateList', rates)}</{element}>"
        for encoding, (bitrates, rates) in state.make.limits.audio.items()
        if state.traits.audio
    )


def get_options(state: DeviceState, call: Call) -> str:
    inner = _options(state, call, "tt:Options", {name: name for name in _NAMES2})
    name = "GetAudioEncoderConfigurationOptionsResponse"
    return f"<trt:{name}><trt:Options>{inner}</trt:Options></trt:{name}>"


def get_options2(state: DeviceState, call: Call) -> str:
    name = "GetAudioEncoderConfigurationOptionsResponse"
    return f"<tr2:{name}>{_options(state, call, 'tr2:Options', _NAMES2)}</tr2:{name}>"


def set_configuration(state: DeviceState, call: Call) -> str:
    element = reading.argument(call, "Configuration")
    persistent = reading.flag(call.element, "ForcePersistence")
    reading.needed(element, "Multicast")
    timeout = reading.text(element, "SessionTimeout")
    _store(state, element, reading.text(element, "Encoding"), timeout, persistent=persistent)
    return "<trt:SetAudioEncoderConfigurationResponse/>"


def set_configuration2(state: DeviceState, call: Call) -> str:
    element = reading.argument(call, "Configuration")
    encoding = reading.text(element, "Encoding")
    _store(state, element, _NAMES1.get(encoding, encoding), None, persistent=True)
    return "<tr2:SetAudioEncoderConfigurationResponse/>"


def _store(
    state: DeviceState, element: etree._Element, encoding: str, timeout: str | None, *, persistent: bool
) -> None:
    token = element.get("token", "")
    old = state.settings.get(AudioEncoder, token)
    if old is None:
        raise no_configuration()
    new = replace(
        old,
        name=reading.text(element, "Name")[:64],
        encoding=encoding,
        bitrate=reading.integer(element, "Bitrate"),
        sample_rate=reading.integer(element, "SampleRate"),
        session_timeout=timeout or old.session_timeout,
    )
    bitrates, rates = state.make.limits.audio.get(encoding, ((), ()))
    if new.bitrate not in bitrates or new.sample_rate not in rates:
        raise refused("That encoding, Bitrate and SampleRate do not go together")
    state.put(token, new, persistent=persistent)
