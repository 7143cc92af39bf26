"""The RTSP server of a device: enough of RFC 2326 (and RFC 7826, section by section the same here) to ask whether a
stream is there. OPTIONS, DESCRIBE, GET_PARAMETER, TEARDOWN; no media is sent.

DESCRIBE and GET_PARAMETER want Digest credentials, challenged without qop as cameras do (RFC 2617).
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import cast
from urllib.parse import urlsplit

from drivers.onvif.simulated.auth import Guard
from drivers.onvif.simulated.state import DeviceState, Profile

_MAX_REQUEST = 16_384
_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d{1,6})\s*$")
_PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    454: "Session Not Found",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
}
_PUBLIC = "OPTIONS, DESCRIBE, GET_PARAMETER, TEARDOWN"


class RtspDevice:
    """What the connections of one device share. `mute` makes them read and never answer."""

    def __init__(self, state: DeviceState, guard: Guard, seen: Counter[str]) -> None:
        self.state = state
        self.guard = guard
        self.seen = seen
        self.mute = False
        self.connections: set[RtspConnection] = set()

    def abort_all(self) -> None:
        for connection in list(self.connections):
            connection.abort()


class RtspConnection(asyncio.Protocol):
    __slots__ = ("_buffer", "_device", "_transport")

    def __init__(self, device: RtspDevice) -> None:
        self._device = device
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._device.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._device.connections.discard(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._device.mute:
            return
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            total = end + 4 + (int(length[1]) if length else 0)
            if total > _MAX_REQUEST:
                break
            if len(self._buffer) < total:
                return
            request, self._buffer = self._buffer[:end], self._buffer[total:]
            self._answer(request.decode("utf-8", "replace"))
        if len(self._buffer) > _MAX_REQUEST or b"\r\n\r\n" in self._buffer:
            self.abort()

    def _answer(self, request: str) -> None:
        first, _, rest = request.partition("\r\n")
        headers: dict[str, str] = {}
        for line in rest.split("\r\n"):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        sequence = headers.get("cseq", "")
        parts = first.split(" ")
        if len(parts) != 3 or not sequence.isdigit():
            self._send(400, "0")
        elif parts[2] not in ("RTSP/1.0", "RTSP/2.0"):
            self._send(505, sequence)
        else:
            self._dispatch(parts[0], parts[1], headers, sequence)

    def _dispatch(self, method: str, uri: str, headers: dict[str, str], sequence: str) -> None:
        self._device.seen[f"RTSP {method}" if method in _PUBLIC.split(", ") else "RTSP other"] += 1
        if method == "OPTIONS":
            self._send(200, sequence, f"Public: {_PUBLIC}")
        elif method in ("DESCRIBE", "GET_PARAMETER"):
            challenges = self._device.guard.challenges_rtsp(method, uri, headers.get("authorization"))
            if challenges:
                self._send(401, sequence, *(f"WWW-Authenticate: {challenge}" for challenge in challenges))
            elif method == "DESCRIBE":
                self._describe(uri, sequence)
            else:
                # There are no sessions, so one that is named is not there; without one it is a ping.
                self._send(454 if "session" in headers else 200, sequence)
        elif method == "TEARDOWN":
            self._send(454, sequence)
        else:
            self._send(501, sequence, f"Public: {_PUBLIC}")

    def _describe(self, uri: str, sequence: str) -> None:
        state = self._device.state
        parts = urlsplit(uri)
        profile = state.by_path(parts.path + (f"?{parts.query}" if parts.query else ""))
        failure = state.lost.get(profile.token) if profile else "404"
        if failure == "close":
            self.abort()
        elif failure or profile is None:
            self._send(int(failure or 404), sequence)
        else:
            body = describe(state, profile)
            base = f"{uri}/"
            self._send(200, sequence, f"Content-Base: {base}", "Content-Type: application/sdp", body=body)

    def _send(self, status: int, sequence: str, *headers: str, body: str = "") -> None:
        if self._transport is None:
            return
        lines = [f"RTSP/1.0 {status} {_PHRASES[status]}", f"CSeq: {sequence}", *headers]
        content = body.encode()
        if content:
            lines.append(f"Content-Length: {len(content)}")
        self._transport.write("\r\n".join((*lines, "", "")).encode() + content)


def describe(state: DeviceState, profile: Profile) -> str:
    """The SDP of a profile's stream: H.264, H.265 or JPEG as it is set, and sound (RFC 4566, 6184, 7798, 2435)."""
    encoder = state.encoder(profile)
    number, parameters = {
        "H264": (96, ("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=4D0029")),
        "H265": (96, ("a=rtpmap:96 H265/90000", "a=fmtp:96 profile-id=1")),
        "JPEG": (26, ("a=rtpmap:26 JPEG/90000",)),
    }[encoder.encoding]
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {state.address}",
        "s=Media Presentation",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {number}",
        f"b=AS:{encoder.bitrate}",
        *parameters,
        f"a=framerate:{encoder.fps:g}",
        f"a=x-dimensions:{encoder.width},{encoder.height}",
        "a=control:trackID=1",
    ]
    sound = state.audio_of(profile)
    if sound is not None:
        name = {"G711": "PCMU", "G726": "G726-16", "AAC": "MPEG4-GENERIC"}[sound.encoding]
        lines += ["m=audio 0 RTP/AVP 97", f"a=rtpmap:97 {name}/{1000 * sound.sample_rate}", "a=control:trackID=2"]
    return "\r\n".join((*lines, ""))
