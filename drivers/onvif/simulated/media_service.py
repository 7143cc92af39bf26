"""The media services: Media1 after media.wsdl 2.x, Media2 after ver20/media/wsdl 24.06. Bodies of replies."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from drivers.onvif.simulated import analytics_service as analytics
from drivers.onvif.simulated import audio_service as audio
from drivers.onvif.simulated import video_service as video
from drivers.onvif.simulated.soap import Call, SoapFault, children, invalid_value, local_name
from drivers.onvif.simulated.state import DeviceState, Profile, Source


def _profile(state: DeviceState, call: Call, name: str = "ProfileToken") -> Profile:
    return video.profile_of(state, call.text(name) or "")


def _used(state: DeviceState, source: Source) -> int:
    return len(state.profiles_of_source(source.token))


def _source_configuration(state: DeviceState, source: Source, element: str) -> str:
    return (
        f"<{element} token={quoteattr(source.config_token)}><tt:Name>{escape(source.name)}</tt:Name>"
        f"<tt:UseCount>{_used(state, source)}</tt:UseCount><tt:SourceToken>{escape(source.token)}</tt:SourceToken>"
        '<tt:Bounds x="0" y="0" width="2560" height="1440"/><tt:Extension><tt:Rotate><tt:Mode>OFF</tt:Mode></tt:Rotate>'
        f"</tt:Extension></{element}>"
    )


def _media_profile(state: DeviceState, profile: Profile, element: str) -> str:
    token = profile.source.token
    return (
        f'<{element} token={quoteattr(profile.token)} fixed="true"><tt:Name>{escape(profile.name)}</tt:Name>'
        f"{_source_configuration(state, profile.source, 'tt:VideoSourceConfiguration')}"
        f"{audio.source_configuration(state, token, 'tt:AudioSourceConfiguration')}"
        f"{video.encoder1(state, profile.encoder_token, 'tt:VideoEncoderConfiguration')}"
        f"{audio.encoder1_of(state, token, 'tt:AudioEncoderConfiguration')}"
        f"{analytics.configuration(state, profile.source, 'tt:VideoAnalyticsConfiguration')}"
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


def get_video_source_configuration(state: DeviceState, call: Call) -> str:
    token = call.text("ConfigurationToken")
    source = next((one for one in state.sources if one.config_token == token), None)
    if source is None:
        raise video.no_configuration()
    inner = _source_configuration(state, source, "trt:Configuration")
    return f"<trt:GetVideoSourceConfigurationResponse>{inner}</trt:GetVideoSourceConfigurationResponse>"


def get_video_source_configurations(state: DeviceState, call: Call) -> str:
    inner = "".join(_source_configuration(state, source, "trt:Configurations") for source in state.sources)
    return f"<trt:GetVideoSourceConfigurationsResponse>{inner}</trt:GetVideoSourceConfigurationsResponse>"


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
    if not video.encoder1(state, profile.encoder_token, "x"):
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
    if wanted & {"All", "AudioSource"}:
        inner += audio.source_configuration(state, profile.source.token, "tr2:AudioSource")
    if wanted & {"All", "VideoEncoder"}:
        inner += video.encoder2(state, profile.encoder_token, "tr2:VideoEncoder")
    if wanted & {"All", "AudioEncoder"}:
        inner += audio.encoder2_of(state, profile.source.token, "tr2:AudioEncoder")
    if wanted & {"All", "Analytics"}:
        inner += analytics.configuration(state, profile.source, "tr2:Analytics")
    configurations = f"<tr2:Configurations>{inner}</tr2:Configurations>" if inner else ""
    return (
        f'<tr2:Profiles token={quoteattr(profile.token)} fixed="true"><tr2:Name>{escape(profile.name)}</tr2:Name>'
        f"{configurations}</tr2:Profiles>"
    )


def get_video_source_configurations2(state: DeviceState, call: Call) -> str:
    token, profile = call.text("ConfigurationToken"), call.text("ProfileToken")
    chosen = [
        source
        for source in state.sources
        if token in (None, "", source.config_token)
        and (not profile or video.profile_of(state, profile).source == source)
    ]
    if token and not chosen:
        raise video.no_configuration()
    inner = "".join(_source_configuration(state, source, "tr2:Configurations") for source in chosen)
    return f"<tr2:GetVideoSourceConfigurationsResponse>{inner}</tr2:GetVideoSourceConfigurationsResponse>"


def get_stream_uri2(state: DeviceState, call: Call) -> str:
    profile = _profile(state, call)
    if call.text("Protocol") not in ("RTSP", "RtspUnicast", "RtspOverHttp"):
        raise invalid_value("InvalidStreamSetup", "Protocol is RtspUnicast, RTSP or RtspOverHttp")
    return (
        f"<tr2:GetStreamUriResponse><tr2:Uri>{escape(state.stream_uri(profile))}</tr2:Uri></tr2:GetStreamUriResponse>"
    )
