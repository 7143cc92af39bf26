"""What a simulated device is and knows: its traits, its media profiles, its clock. No I/O; the servers read it.

A reboot takes back only the settings that were not to stay (`settings`). What else it forgets (subscriptions, nonces)
is in `events` and `auth`.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from bridge.clock import Clock, SystemClock
from bridge.model import Kind
from drivers.onvif.simulated import factory
from drivers.onvif.simulated import quirks as quirk_names
from drivers.onvif.simulated.makes import MAKES
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.settings import (
    KINDS,
    AudioEncoder,
    DeviceClock,
    Setting,
    Settings,
    User,
    VideoEncoder,
    changed_by_hand,
)
from drivers.onvif.simulated.soap import SoapFault
from drivers.onvif.simulated.times import format_datetime, format_unpadded
from drivers.onvif.simulated.zones import parse_zone

MOTION_ALARM = "tns1:VideoSource/MotionAlarm"
CELL_MOTION = "tns1:RuleEngine/CellMotionDetector/Motion"
PRIVATE_ADDRESS = "192.168.1.88"
# Where a clock without a battery starts: 2000-01-01.
COLD_CLOCK = 946_684_800.0
# POSIX 1003.1 time zones.
_ZONES = ("UTC0", "CET-1", "MSK-3", "CST-8", "EST5")
# stream, width, height, frames a second, kbit/s
_STREAMS = (("high", 2560, 1440, 25, 4096), ("low", 640, 360, 12, 512), ("third", 1280, 720, 15, 1024))
# Stands in names where Quirk.INVALID_UTF8 puts a byte that is no UTF-8.
STRAY = "\ue000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What one simulated device is like. Durations in seconds."""

    kind: Kind | None = None  # a camera, or a server when it has several channels
    channels: int = 1  # video sources
    profiles: int = 2  # streams of each channel: 1 to 3, high first
    media2: bool = False
    h265: bool = False  # the last profile of each channel is H.265, which Media1 cannot express
    auth: str = "both"  # or "digest", "wsse", "none"
    digest_algorithms: tuple[str, ...] = ("MD5",)  # in the order of preference; SHA-256 is the other one
    nonce_lifetime: float = 300.0
    wsse_window: float = 5.0  # how far Created may be from the device's clock
    wsse_status: int = 400  # HTTP status of ter:NotAuthorized; 400 by Core, 401 on many devices
    lockout_after: int = 0  # refused logins in a row until all are refused; 0: never
    lockout_seconds: float = 30.0
    max_pull_points: int = 4  # 0: it has no pull points at all
    max_notification_producers: int = 4
    max_pull_timeout: float = 60.0
    keepalive: float = 75.0  # idle connections are closed after that
    motion_topics: tuple[str, ...] = (MOTION_ALARM,)
    inputs: int = 1
    relays: int = 1
    audio: bool = False  # a microphone in each channel; its encoder is in the profiles then
    analytics: bool = False  # the analytics service, with a cell motion detector in each channel
    event_brokers: int = 0  # how many MQTT brokers it can be told of; 0: it knows nothing of them
    reboot_seconds: float = 1.0  # how long SystemReboot takes
    # What the quirks of writing do: see `quirks`.
    ignored_writes: tuple[str, ...] = ("SetVideoEncoderConfiguration",)  # operations
    rejected_field: str = "video_encoder.bitrate"  # kind and field of `settings`
    mishap_after: int = 2  # the write, counted from 1, after which the device fails
    mishap_seconds: float = 2.0  # how long the link is gone then
    advertise: str | None = None  # host[:port] in XAddrs, when it is not where the device listens
    rtsp_port: int = 0
    quirks: Iterable[str] = ()  # names from `quirks.Quirk`
    clock: Clock = SystemClock()

    def __post_init__(self) -> None:
        if self.auth not in ("both", "digest", "wsse", "none"):
            raise ValueError(f"auth={self.auth!r}: it is both, digest, wsse or none")
        if not 1 <= self.profiles <= len(_STREAMS):
            raise ValueError(f"profiles={self.profiles}: a channel has 1 to {len(_STREAMS)}")
        if not 1 <= self.channels <= 256:
            raise ValueError(f"channels={self.channels}: a device has 1 to 256")
        unknown = set(self.digest_algorithms) - {"MD5", "SHA-256"}
        if unknown or not self.digest_algorithms:
            raise ValueError(f"digest_algorithms={self.digest_algorithms!r}: MD5, SHA-256 or both")
        kind, _, name = self.rejected_field.partition(".")
        if kind not in KINDS or name not in KINDS[kind].__slots__:
            raise ValueError(f"rejected_field={self.rejected_field!r}: a kind of setting, a dot, a field of it")


@dataclass(frozen=True, slots=True)
class Source:
    """One video source: the camera's sensor, or one channel of an NVR."""

    token: str
    config_token: str
    name: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One media profile. What its stream is like stands in the settings of its encoder."""

    token: str
    name: str
    source: Source
    stream: str  # "high", "low", "third", or a name given later
    encoder_token: str
    path: str  # of the RTSP URI, with its query; "{encoding}" stands in it for the encoding that is set


class Listener(Protocol):
    """Who is told of changes; see `events.Hub`."""

    def configuration_changed(self, token: str, kind: str) -> None: ...

    def relay_switched(self, token: str, active: bool, seconds: float | None) -> None: ...


class DeviceState:
    """One device. `port` and `rtsp_port` are known once its sockets are bound."""

    def __init__(self, name: str, address: str, username: str, password: str, seed: int, traits: Traits) -> None:
        rng = random.Random(f"onvif device {seed}")
        self.name = name
        self.address = address
        self.username = username
        self.traits = traits
        self.quirks = quirk_names.parse(traits.quirks)
        self.kind = traits.kind or (Kind.SERVER if traits.channels > 1 else Kind.CAMERA)
        self.port = 0
        self.rtsp_port = 0
        self.make = rng.choice(MAKES)
        self.model = rng.choice(self.make.models)
        self.serial = f"{rng.randrange(16**10):010X}"
        self.mac = "02:" + ":".join(f"{rng.randrange(256):02x}" for _ in range(5))  # locally administered
        self.uuid = uuid.UUID(int=rng.getrandbits(128), version=4)
        zone = rng.choice(_ZONES)
        self.stray = STRAY if Quirk.INVALID_UTF8 in self.quirks else ""
        self.inputs = tuple(f"DigitInput_{n + 1}" for n in range(traits.inputs))
        self.relays = tuple(f"RelayOutput_{n + 1}" for n in range(traits.relays))
        self.sources = tuple(self._source(index) for index in range(traits.channels))
        self.profiles: dict[str, Profile] = {}
        self.settings = Settings()
        self.listener: Listener | None = None
        for source in self.sources:
            for k, stream in enumerate(_STREAMS[: traits.profiles]):
                last = k == traits.profiles - 1
                self._add_profile(source, k, *stream, encoding="H265" if traits.h265 and last else "H264")
        self._next_profile = itertools.count(traits.profiles)
        factory.equip(self, zone, password)
        self.settings.seal()
        self._factory_profiles = dict(self.profiles)
        # The accounts of the web pages and of RTSP, where they are others than ONVIF's.
        self._web_users = {username: password}
        self.lost: dict[str, str] = {}  # profile token -> how its stream fails
        self.skew = 0.0  # seconds that the fault CLOCK_SKEW puts on top
        self._offset = 0.0
        self.booted_at = self.now()
        self._replies: dict[str, bytes] = {}
        self._of_source: dict[str, list[Profile]] = {}  # by the source's token; made when it is asked for

    def _source(self, index: int) -> Source:
        names = {"n": index + 1, "i": index}
        return Source(
            token=self.make.source.format(**names),
            config_token=self.make.source_configuration.format(**names),
            name=f"VideoSource{index + 1}{self.stray}",
        )

    def _add_profile(
        self, source: Source, k: int, stream: str, width: int, height: int, fps: int, bitrate: int, *, encoding: str
    ) -> Profile:
        i = self.sources.index(source)
        names = {"n": i + 1, "i": i, "k": k, "kk": k + 1, "stream": stream, "encoding": encoding.lower()}
        token = self.make.profile.format(**names)
        profile = Profile(
            token=token,
            name=self.make.profile_name.format(**names) + self.stray,
            source=source,
            stream=stream,
            encoder_token=self.make.encoder.format(**names),
            path=self.make.stream_path.format(**{**names, "profile": token, "encoding": "{encoding}"}),
        )
        encoder = VideoEncoder(
            name=profile.encoder_token,
            source=source.token,
            stream=stream,
            encoding=encoding,
            width=width,
            height=height,
            quality=self.make.limits.video.usual_quality,
            fps=float(fps),
            bitrate=bitrate,
            gov=2 * fps,
        )
        self.settings.put(profile.encoder_token, encoder)
        self.profiles[profile.token] = profile
        return profile

    @property
    def max_pull_points(self) -> int:
        return 2 if Quirk.FEW_SLOTS in self.quirks else self.traits.max_pull_points

    # --- addresses

    @property
    def realm(self) -> str:
        return self.make.realm.format(serial=self.serial)

    @property
    def origin(self) -> str:
        """Scheme, host and port that the device says of itself; a client must know better with some quirks."""
        if self.traits.advertise:
            return f"http://{self.traits.advertise}"
        if Quirk.PRIVATE_XADDR in self.quirks:
            return f"http://{PRIVATE_ADDRESS}"
        if Quirk.WRONG_PORT_XADDR in self.quirks:
            return f"http://{self.address}:8899"
        return f"http://{self.address}:{self.port}"

    def xaddr(self, prefix: str) -> str:
        return self.origin + self.make.paths[prefix]

    def stream_uri(self, profile: Profile) -> str:
        host = self.address
        if self.traits.advertise:
            host = self.traits.advertise.partition(":")[0]
        elif Quirk.PRIVATE_XADDR in self.quirks:
            host = PRIVATE_ADDRESS
        return f"rtsp://{host}:{self.rtsp_port}{self.path(profile)}"

    def path(self, profile: Profile) -> str:
        if "{encoding}" not in profile.path:
            return profile.path
        return profile.path.replace("{encoding}", self.encoder(profile).encoding.lower())

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes as URIs, URL-encoded (Core, "Scope parameters")."""
        types = {Kind.SERVER: "Network_Video_Storage", Kind.INTERCOM: "door_station"}
        parts = (
            f"type/{types.get(self.kind, 'video_encoder')}",
            "Profile/Streaming",
            *(("Profile/T",) if self.traits.media2 else ()),
            f"hardware/{quote(self.model, safe='')}",
            f"name/{quote(self.name, safe='')}",
            "location/country/none",
        )
        return tuple(f"onvif://www.onvif.org/{part}" for part in parts)

    # --- the clock

    def now(self) -> float:
        """Seconds since the epoch by the device's own clock."""
        return self.traits.clock.now().wall + self._offset + self.skew

    def mono(self) -> float:
        """Seconds that only go forward, for everything that expires."""
        return self.traits.clock.now().mono

    def set_clock(self, offset: float) -> None:
        """Put the clock that many seconds ahead of true time."""
        self._offset = offset

    def set_time(self, epoch: float) -> None:
        """Put the clock there, as somebody does by hand."""
        self._offset = epoch - self.traits.clock.now().wall

    @property
    def utc_offset(self) -> int:
        """Seconds east of UTC, now."""
        clock = self.settings.the(DeviceClock)
        return parse_zone(clock.timezone).offset(self.now(), daylight=clock.daylight_savings)

    def boot(self) -> None:
        self.settings.boot()
        self.changed()
        if Quirk.CLOCK_WRONG_AFTER_REBOOT in self.quirks:
            self._offset = COLD_CLOCK - self.traits.clock.now().wall
        self.booted_at = self.now()

    def stamp(self, epoch: float) -> str:
        """A dateTime as this device writes it in events."""
        return (format_unpadded if Quirk.BAD_DATETIME in self.quirks else format_datetime)(epoch)

    # --- finding things

    def source(self, channel: int | str) -> Source:
        """A source by its number from 0, or by its token. ValueError when there is none."""
        for index, source in enumerate(self.sources):
            if channel in (index, source.token, source.config_token):
                return source
        raise ValueError(f"no channel {channel!r}: this device has 0 to {len(self.sources) - 1}")

    def profiles_of(self, *, stream: str | None = None, channel: int | str | None = None) -> list[Profile]:
        """The profiles of a channel, of a stream by name ("high", "low") or token, or of both. ValueError for none."""
        source = None if channel is None else self.source(channel)
        found = [
            profile
            for profile in self.profiles.values()
            if source in (None, profile.source) and stream in (None, profile.stream, profile.token)
        ]
        if not found:
            raise ValueError(f"no stream {stream!r}: this device has {', '.join(self.profiles)}")
        return found

    def profiles_of_source(self, token: str) -> list[Profile]:
        if not self._of_source:
            for profile in self.profiles.values():
                self._of_source.setdefault(profile.source.token, []).append(profile)
        return self._of_source.get(token, [])

    def by_path(self, path: str) -> Profile | None:
        return next((profile for profile in self.profiles.values() if self.path(profile) == path), None)

    # --- changes

    def add_profile(self, name: str, channel: int | str = 0) -> Profile:
        """One more profile of a channel, as an operator makes one."""
        source = self.source(channel)
        profile = self._add_profile(source, next(self._next_profile), name, 1280, 720, 15, 1024, encoding="H264")
        self.changed()
        return profile

    def remove_profile(self, token: str) -> Profile:
        profile = self.profiles.pop(self.profiles_of(stream=token)[0].token)
        self.settings.drop(VideoEncoder, profile.encoder_token)
        self.changed()
        return profile

    # --- settings

    def encoder(self, profile: Profile) -> VideoEncoder:
        return self.settings.all(VideoEncoder)[profile.encoder_token]

    def audio_of(self, profile: Profile) -> AudioEncoder | None:
        """The sound of a profile; None where there is no microphone."""
        found = self.settings.all(AudioEncoder).values()
        return next((one for one in found if one.source == profile.source.token), None)

    @property
    def password(self) -> str:
        """Of the account that the device came with; "" when somebody has deleted it."""
        return self.password_of(self.username) or ""

    @password.setter
    def password(self, new: str) -> None:
        level = (self.settings.get(User, self.username) or User("Administrator")).level
        self.settings.put(self.username, User(level, new))
        self._web_users[self.username] = new

    def password_of(self, username: str, *, web: bool = False) -> str | None:
        """None for nobody. `web`: the account for RTSP and pictures."""
        if web and Quirk.SEPARATE_WEB_USERS in self.quirks:
            return self._web_users.get(username)
        user = self.settings.get(User, username)
        return None if user is None else user.password

    def put(self, token: str, value: Setting, *, persistent: bool = True, after_reboot: bool = False) -> None:
        """A client's write, after its value was looked at. SoapFault where a quirk has something against it."""
        old = self.settings.get(type(value), token)
        if Quirk.REJECTS_A_FIELD in self.quirks:
            kind, _, name = self.traits.rejected_field.partition(".")
            if type(value) is KINDS[kind] and getattr(old, name, None) != getattr(value, name):
                raise SoapFault("Sender", ("ter:InvalidArgVal", "ter:ConfigModify"), f"{name} cannot be changed")
        self.settings.put(token, value, persistent=persistent, after_reboot=after_reboot)
        self.changed()
        if old != value and not after_reboot:
            self._announce(token, value)

    def drop(self, kind: type[Setting], token: str) -> None:
        value = self.settings.get(kind, token)
        self.settings.drop(kind, token)
        self.changed()
        if value is not None:
            self._announce(token, value)

    def _announce(self, token: str, value: Setting) -> None:
        if self.listener is not None and value.announced:
            # What belongs to an analytics configuration is announced by its token.
            named = token.partition("/")[0] if value.announced == "Analytics" else token
            self.listener.configuration_changed(named, value.announced)

    def factory_default(self) -> None:
        """All but the address."""
        self.settings.reset()
        self.profiles = dict(self._factory_profiles)
        self.changed()

    def configure(self, setting: str, token: str | None, fields: dict[str, Any], *, remove: bool = False) -> None:
        """Somebody else changes, makes or removes a setting, as with the device's own web page. ValueError."""
        token, value = changed_by_hand(self.settings, setting, token, fields)
        limits = self.make.limits
        if isinstance(value, DeviceClock):
            parse_zone(value.timezone)
        known = {VideoEncoder: limits.video.codecs, AudioEncoder: limits.audio}.get(type(value))
        if known is not None and getattr(value, "encoding", "") not in known:
            raise ValueError(f"no such encoding: this make has {', '.join(known)}")
        if remove:
            self.drop(type(value), token)
        else:
            self.settings.put(token, value)
            self.changed()
            self._announce(token, value)

    def configuration(self) -> dict[str, Any]:
        """All that is set, without passwords: kind of setting, token, field."""
        return self.settings.plain()

    # --- replies

    def kept(self, name: str) -> bytes | None:
        """A reply written before, of an operation whose reply depends on nothing but this state."""
        return self._replies.get(name)

    def keep(self, name: str, reply: bytes) -> None:
        self._replies[name] = reply

    def changed(self) -> None:
        """Something that replies tell of has changed: they are written anew. Every write operation calls this."""
        self._replies.clear()
        self._of_source.clear()
