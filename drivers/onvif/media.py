"""Profiles and the streams they stand for (Media 1: ONVIF Media specification; Media 2: Media2 specification)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from sys import intern
from xml.sax.saxutils import escape

from yarl import URL

from bridge.errors import ProtocolError, Unsupported
from drivers.onvif import wsdl
from drivers.onvif.client import MEDIA, MEDIA2, OnvifClient
from drivers.onvif.wsdl import Message
from drivers.transports import xml
from drivers.transports.xml import Element

PROFILES_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Profile:
    """A media profile that carries video."""

    token: str
    source: str  # the video source token: which lens, or which channel of an NVR
    configuration: str  # the video source configuration token; events name this one
    encoder: str  # the video encoder configuration token
    pixels: int
    media2: bool
    analytics: str = ""  # the video analytics configuration token

    @property
    def names(self) -> tuple[str, ...]:
        """What events may call it by."""
        return self.source, self.configuration, self.token


# onvif-zeep's WSDLs are of ONVIF 2.4 and know no Media 2; the two requests that are needed are these.
def _media2_profiles(*types: str) -> Message:
    wanted = "".join(f"<m:Type>{one}</m:Type>" for one in types)
    return Message(f'<m:GetProfiles xmlns:m="{MEDIA2}">{wanted}</m:GetProfiles>'.encode(), f"{MEDIA2}/GetProfiles")


# What is needed, and everything: there is firmware that reads one type and no second.
_MEDIA2_TYPES = (_media2_profiles("VideoSource", "VideoEncoder", "Analytics"), _media2_profiles("All"))


def _media2_uri(token: str) -> Message:
    return Message(
        f'<m:GetStreamUri xmlns:m="{MEDIA2}"><m:Protocol>RTSP</m:Protocol>'
        f"<m:ProfileToken>{escape(token)}</m:ProfileToken></m:GetStreamUri>".encode(),
        f"{MEDIA2}/GetStreamUri",
    )


async def profiles(client: OnvifClient) -> list[Profile]:
    """Every profile with video, in the device's order. Media 2 where it is offered (H.265 shows only there)."""
    if MEDIA2 in client.paths:
        try:
            for message in _MEDIA2_TYPES:
                found = _media2(await client.call(MEDIA2, message))
                if any(one.encoder for one in found):
                    return found
            if MEDIA not in client.paths:
                return found
        except (Unsupported, ProtocolError):
            if MEDIA not in client.paths:
                raise
    return _media1(await client.call(MEDIA, wsdl.message("media", "GetProfiles")))


def _media1(reply: Element) -> list[Profile]:
    found = []
    for one in _limited(reply):
        source = xml.child(one, "VideoSourceConfiguration")
        encoder = xml.child(one, "VideoEncoderConfiguration")
        if source is not None:
            analytics = xml.child(one, "VideoAnalyticsConfiguration")
            found.append(_profile(one, source, encoder, analytics, media2=False))
    return found


def _media2(reply: Element) -> list[Profile]:
    found = []
    for one in _limited(reply):
        source = xml.child(one, "Configurations", "VideoSource")
        encoder = xml.child(one, "Configurations", "VideoEncoder")
        if source is not None:
            analytics = xml.child(one, "Configurations", "Analytics")
            found.append(_profile(one, source, encoder, analytics, media2=True))
    return found


def _limited(reply: Element) -> list[Element]:
    if xml.local(reply) == "Body":
        # 200 and nothing in it: not a device without profiles, but one that ignores what it was asked.
        raise ProtocolError("it ignores GetProfiles: its answer is an empty envelope")
    return [one for one in xml.children(reply, "Profiles") if one.get("token")][:PROFILES_LIMIT]


def _profile(
    one: Element, source: Element, encoder: Element | None, analytics: Element | None, *, media2: bool
) -> Profile:
    width, height = (xml.text(encoder, "Resolution", side) for side in ("Width", "Height"))
    known = width.isdecimal() and height.isdecimal() and len(width) < 6 and len(height) < 6
    return Profile(
        token=intern(one.get("token", "")[:128]),
        source=intern(xml.text(source, "SourceToken")[:128]),
        configuration=intern(source.get("token", "")[:128]),
        encoder=(encoder.get("token", "") if encoder is not None else "")[:128],
        pixels=int(width) * int(height) if known else 0,
        media2=media2,
        analytics=(analytics.get("token", "") if analytics is not None else "")[:128],
    )


async def stream_uri(client: OnvifClient, profile: Profile, host: str) -> str:
    """The profile's RTSP address with the inventory's host in it; "" where the device gives none to use."""
    try:
        if profile.media2:
            reply = await client.call(MEDIA2, _media2_uri(profile.token))
            return local_uri(xml.text(reply, "Uri"), host)
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        message = wsdl.fresh("media", "GetStreamUri", StreamSetup=setup, ProfileToken=profile.token)
        return local_uri(xml.text(await client.call(MEDIA, message), "MediaUri", "Uri"), host)
    except (ProtocolError, Unsupported):
        # The profile may have gone since it was listed; the next list will say so.
        return ""


def local_uri(told: str, host: str) -> str:
    """`rtsp://` on the inventory's host, the port as told, without credentials; "" for anything else."""
    scheme, separator, rest = told.strip()[:2048].partition("://")
    # Some devices print the password into it, with characters that break every URI (/ # %): it ends at the last @.
    before, question, query = rest.partition("?")
    try:
        url = URL(f"{scheme}://{before.rpartition('@')[2]}{question}{query}")
        if not separator or url.scheme not in ("rtsp", "rtsps") or not url.host:
            return ""
        return str(url.with_host(host))
    except ValueError:
        return ""


def by_source(found: Sequence[Profile]) -> dict[str, list[Profile]]:
    """The streams of each video source, best first, one for each encoder, sources in the device's order.

    Profiles that share an encoder are one stream under two names; a profile without an encoder is none.
    """
    sources: dict[str, list[Profile]] = {}
    for profile in found:
        streams = sources.setdefault(profile.source, [])
        if profile.encoder and all(profile.encoder != other.encoder for other in streams):
            streams.append(profile)
    for streams in sources.values():
        streams.sort(key=lambda profile: -profile.pixels)
    return sources
