"""The media services: Media1 after media.wsdl 2.x, Media2 after ver20/media/wsdl 24.06. Bodies of replies."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from drivers.onvif.simulated.soap import Call, SoapFault, children, invalid_value, local_name
from drivers.onvif.simulated.state import DeviceState, Profile, Source

_MULTICAST = (
    "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
    "<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
)


def _profile(state: DeviceState, call: Call, name: str = "ProfileToken") -> Profile:
    profile = state.profiles.get(call.text(name) or "")
    if profile is None:
        raise invalid_value("NoProfile", "The requested profile token does not exist")
    return profile


def _used(state: DeviceState, source: Source) -> int:
    return sum(profile.source == source for profile in state.profiles.values())


def _resolution(profile: Profile) -> str:
    return f"<tt:Resolution><tt:Width>{profile.width}</tt:Width><tt:Height>{profile.height}</tt:Height></tt:Resolution>"


def _source_configuration(state: DeviceState, source: Source, element: str) -> str:
    return (
        f"<{element} token={quoteattr(source.config_token)}><tt:Name>{escape(source.name)}</tt:Name>"
        f"<tt:UseCount>{_used(state, source)}</tt:UseCount><tt:SourceToken>{escape(source.token)}</tt:SourceToken>"
        '<tt:Bounds x="0" y="0" width="2560" height="1440"/><tt:Extension><tt:Rotate><tt:Mode>OFF</tt:Mode></tt:Rotate>'
        f"</tt:Extension></{element}>"
    )


def _encoder_configuration(profile: Profile, element: str) -> str:
    return (
        f"<{element} token={quoteattr(profile.encoder_token)}><tt:Name>{escape(profile.encoder_token)}</tt:Name>"
        f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{profile.encoding}</tt:Encoding>{_resolution(profile)}"
        f"<tt:Quality>3</tt:Quality><tt:RateControl><tt:FrameRateLimit>{profile.fps}</tt:FrameRateLimit>"
        f"<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>{profile.bitrate}</tt:BitrateLimit>"
        f"</tt:RateControl><tt:H264><tt:GovLength>{2 * profile.fps}</tt:GovLength>"
        f"<tt:H264Profile>Main</tt:H264Profile></tt:H264>{_MULTICAST}"
        f"<tt:SessionTimeout>PT60S</tt:SessionTimeout></{element}>"
    )


def _media_profile(state: DeviceState, profile: Profile, element: str) -> str:
    # tt:VideoEncoding ends at H264: Media1 shows an H.265 profile without its encoder.
    encoder = "" if profile.encoding == "H265" else _encoder_configuration(profile, "tt:VideoEncoderConfiguration")
    return (
        f'<{element} token={quoteattr(profile.token)} fixed="true"><tt:Name>{escape(profile.name)}</tt:Name>'
        f"{_source_configuration(state, profile.source, 'tt:VideoSourceConfiguration')}{encoder}"
        "<tt:Extension/>"
        f"</{element}>"
    )


def get_profiles(state: DeviceState, call: Call) -> str:
    profiles = "".join(_media_profile(state, profile, "trt:Profiles") for profile in state.profiles.values())
    return f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"


def get_profile(state: DeviceState, call: Call) -> str:
    profile = _media_profile(state, _profile(state, call), "trt:Profile")
    return f"<trt:GetProfileResponse>{profile}</trt:GetProfileResponse>"


def get_video_sources(state: DeviceState, call: Call) -> str:
    sources = "".join(
        f"<trt:VideoSources token={quoteattr(source.token)}><tt:Framerate>25</tt:Framerate><tt:Resolution>"
        "<tt:Width>2560</tt:Width><tt:Height>1440</tt:Height></tt:Resolution></trt:VideoSources>"
        for source in state.sources
    )
    return f"<trt:GetVideoSourcesResponse>{sources}</trt:GetVideoSourcesResponse>"


def get_video_source_configurations(state: DeviceState, call: Call) -> str:
    inner = "".join(_source_configuration(state, source, "trt:Configurations") for source in state.sources)
    return f"<trt:GetVideoSourceConfigurationsResponse>{inner}</trt:GetVideoSourceConfigurationsResponse>"


def get_video_encoder_configurations(state: DeviceState, call: Call) -> str:
    inner = "".join(
        _encoder_configuration(profile, "trt:Configurations")
        for profile in state.profiles.values()
        if profile.encoding != "H265"
    )
    return f"<trt:GetVideoEncoderConfigurationsResponse>{inner}</trt:GetVideoEncoderConfigurationsResponse>"


def _media_uri(name: str, uri: str) -> str:
    return (
        f"<trt:{name}><trt:MediaUri><tt:Uri>{escape(uri)}</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT60S</tt:Timeout></trt:MediaUri>"
        f"</trt:{name}>"
    )


def get_stream_uri(state: DeviceState, call: Call) -> str:
    profile = _profile(state, call)
    setup = call.find("StreamSetup")
    if setup is None:
        raise SoapFault("Sender", ("ter:InvalidArgs",), "StreamSetup is missing")
    if call.text("StreamSetup", "Stream") != "RTP-Unicast":
        raise invalid_value("InvalidStreamSetup", "Only RTP-Unicast is supported")
    if profile.encoding == "H265":
        raise SoapFault(
            "Receiver", ("ter:Action", "ter:IncompleteConfiguration"), "The profile has no encoder that Media1 knows"
        )
    return _media_uri("GetStreamUriResponse", state.stream_uri(profile))


def get_snapshot_uri(state: DeviceState, call: Call) -> str:
    profile = _profile(state, call)
    return _media_uri("GetSnapshotUriResponse", f"{state.origin}/onvif/snapshot/{profile.token}")


# --- Media2


def get_profiles2(state: DeviceState, call: Call) -> str:
    """Only the configurations that the request names by Type are in the reply."""
    wanted = {(child.text or "").strip() for child in children(call.element) if local_name(child) == "Type"}
    chosen: Iterable[Profile] = state.profiles.values()
    if call.text("Token"):
        chosen = (_profile(state, call, "Token"),)
    profiles = "".join(_media_profile2(state, profile, wanted) for profile in chosen)
    return f"<tr2:GetProfilesResponse>{profiles}</tr2:GetProfilesResponse>"


def _media_profile2(state: DeviceState, profile: Profile, wanted: set[str]) -> str:
    inner = ""
    if wanted & {"All", "VideoSource"}:
        inner += _source_configuration(state, profile.source, "tr2:VideoSource")
    if wanted & {"All", "VideoEncoder"}:
        inner += (
            f'<tr2:VideoEncoder token={quoteattr(profile.encoder_token)} GovLength="{2 * profile.fps}" Profile="Main">'
            f"<tt:Name>{escape(profile.encoder_token)}</tt:Name><tt:UseCount>1</tt:UseCount>"
            f"<tt:Encoding>{profile.encoding}</tt:Encoding>{_resolution(profile)}"
            f'<tt:RateControl ConstantBitRate="false"><tt:FrameRateLimit>{profile.fps}</tt:FrameRateLimit>'
            f"<tt:BitrateLimit>{profile.bitrate}</tt:BitrateLimit></tt:RateControl>{_MULTICAST}"
            "<tt:Quality>3</tt:Quality></tr2:VideoEncoder>"
        )
    configurations = f"<tr2:Configurations>{inner}</tr2:Configurations>" if inner else ""
    return (
        f'<tr2:Profiles token={quoteattr(profile.token)} fixed="true"><tr2:Name>{escape(profile.name)}</tr2:Name>'
        f"{configurations}</tr2:Profiles>"
    )


def get_stream_uri2(state: DeviceState, call: Call) -> str:
    profile = _profile(state, call)
    if call.text("Protocol") not in ("RTSP", "RtspUnicast", "RtspOverHttp"):
        raise invalid_value("InvalidStreamSetup", "Protocol is RtspUnicast, RTSP or RtspOverHttp")
    return (
        f"<tr2:GetStreamUriResponse><tr2:Uri>{escape(state.stream_uri(profile))}</tr2:Uri></tr2:GetStreamUriResponse>"
    )
