"""What can be set on a device: its kinds of settings, and a store that knows what survives a reboot. No I/O.

Each kind is a frozen dataclass; a value has a token, "" for what a device has once. A write replaces a whole value.
`announced` is the Type in tns1:Media/ConfigurationChanged (Media2), "" for what that event does not tell of.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar


@dataclass(frozen=True, slots=True)
class VideoEncoder:
    """Token: the encoder configuration's. `bitrate` in kbit/s, `gov` in frames."""

    announced: ClassVar[str] = "VideoEncoder"

    name: str
    source: str  # token of the video source
    stream: str  # "high", "low", "third", or a name given later: decides what the options offer
    encoding: str  # H264, H265, JPEG
    width: int
    height: int
    quality: float
    fps: float
    bitrate: int
    gov: int
    profile: str = "Main"
    interval: int = 1
    constant_bitrate: bool = False
    session_timeout: str = "PT60S"
    multicast_address: str = "0.0.0.0"  # noqa: S104 - says that there is no multicast
    multicast_port: int = 0
    multicast_ttl: int = 1
    multicast_auto_start: bool = False


@dataclass(frozen=True, slots=True)
class AudioEncoder:
    """Token: the encoder configuration's. `bitrate` in kbit/s, `sample_rate` in kHz, as ONVIF counts them."""

    announced: ClassVar[str] = "AudioEncoder"

    name: str
    source: str  # token of the video source whose profiles have it
    encoding: str  # G711, AAC; Media2 says PCMU and MP4A-LATM
    bitrate: int
    sample_rate: int
    session_timeout: str = "PT60S"


@dataclass(frozen=True, slots=True)
class Osd:
    """Token: the OSD's. Colours are X, Y and Z of YCbCr; positions go from -1 to 1, Y upwards."""

    announced: ClassVar[str] = ""

    source_configuration: str
    position: str  # UpperLeft, ..., Custom
    text_type: str  # Plain, Date, Time, DateAndTime
    x: float | None = None
    y: float | None = None
    text: str = ""
    date_format: str = ""
    time_format: str = ""
    font_size: int | None = None
    font_color: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Imaging:
    """Token: the video source's. None for what this make has not."""

    announced: ClassVar[str] = ""

    brightness: float | None = None
    saturation: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    ir_cut: str | None = None
    backlight: str | None = None
    backlight_level: float | None = None
    wdr: str | None = None
    wdr_level: float | None = None
    exposure: str | None = None
    exposure_priority: str | None = None
    min_exposure_time: float | None = None  # microseconds, as the other times
    max_exposure_time: float | None = None
    exposure_time: float | None = None
    min_gain: float | None = None  # dB
    max_gain: float | None = None
    gain: float | None = None
    white_balance: str | None = None
    cr_gain: float | None = None
    cb_gain: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceClock:
    announced: ClassVar[str] = ""

    mode: str  # NTP or Manual
    timezone: str  # POSIX 1003.1
    daylight_savings: bool = False


@dataclass(frozen=True, slots=True)
class Ntp:
    announced: ClassVar[str] = ""

    from_dhcp: bool
    servers: tuple[str, ...]  # IPv4 and IPv6 addresses and DNS names


@dataclass(frozen=True, slots=True)
class Hostname:
    announced: ClassVar[str] = ""

    name: str
    from_dhcp: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """Token: the name."""

    announced: ClassVar[str] = ""

    level: str  # Administrator, Operator, User
    password: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Relay:
    """Token: the relay's. `delay` in seconds."""

    announced: ClassVar[str] = ""

    mode: str = "Bistable"
    delay: float = 1.0
    idle: str = "open"


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """Token: the analytics configuration's and the rule's name, a slash between."""

    announced: ClassVar[str] = "Analytics"

    type: str
    items: Pairs


@dataclass(frozen=True, slots=True)
class Module:
    """Token as for `Rule`."""

    announced: ClassVar[str] = "Analytics"

    type: str
    items: Pairs


@dataclass(frozen=True, slots=True)
class Broker:
    """Token: the address. It is kept and shown; nothing connects to it."""

    announced: ClassVar[str] = ""

    topic_prefix: str
    username: str = ""
    qos: int = 0
    topics: str = ""
    password: str = field(repr=False, default="")


Setting = (
    VideoEncoder | AudioEncoder | Osd | Imaging | DeviceClock | Ntp | Hostname | User | Relay | Rule | Module | Broker
)
KINDS: Mapping[str, type[Setting]] = {
    "video_encoder": VideoEncoder,
    "audio_encoder": AudioEncoder,
    "osd": Osd,
    "imaging": Imaging,
    "clock": DeviceClock,
    "ntp": Ntp,
    "hostname": Hostname,
    "user": User,
    "relay": Relay,
    "rule": Rule,
    "module": Module,
    "broker": Broker,
}
T = TypeVar("T", bound=Setting)
_Table = dict[type[Any], dict[str, Any]]


class Settings:
    """All settings of a device: those in force, those it will start with, and those it left the factory with."""

    def __init__(self) -> None:
        self._now: _Table = {kind: {} for kind in KINDS.values()}
        self._kept: _Table = _copy(self._now)
        self._factory: _Table = _copy(self._now)

    def all(self, kind: type[T]) -> Mapping[str, T]:
        return self._now[kind]

    def get(self, kind: type[T], token: str) -> T | None:
        found: T | None = self._now[kind].get(token)
        return found

    def the(self, kind: type[T]) -> T:
        """What a device has once."""
        value: T = self._now[kind][""]
        return value

    def put(self, token: str, value: Setting, *, persistent: bool = True, after_reboot: bool = False) -> None:
        """`persistent`: it survives a reboot. `after_reboot`: it begins with one."""
        kind = type(value)
        if not after_reboot:
            self._now[kind][token] = value
        if persistent or after_reboot:
            self._kept[kind][token] = value

    def drop(self, kind: type[Setting], token: str) -> None:
        self._now[kind].pop(token, None)
        self._kept[kind].pop(token, None)

    def seal(self) -> None:
        """What is set now is the factory's default."""
        self._factory = _copy(self._now)

    def boot(self) -> None:
        self._now = _copy(self._kept)

    def reset(self) -> None:
        self._now, self._kept = _copy(self._factory), _copy(self._factory)

    def plain(self) -> dict[str, Any]:
        """All that is set, as JSON could have it: kind, token, field. Without passwords."""
        shown: dict[str, Any] = {}
        for name, kind in KINDS.items():
            values = {token: _plain(value) for token, value in self._now[kind].items()}
            shown[name] = values.get("", values)
        return shown


def _copy(table: _Table) -> _Table:
    return {kind: dict(values) for kind, values in table.items()}


def _plain(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.repr}


def changed_by_hand(settings: Settings, name: str, token: str | None, fields: Mapping[str, Any]) -> tuple[str, Setting]:
    """The token and the value that come out when somebody sets fields of one setting, by the name of its kind.

    Without a token it is the first of its kind; one that is not there is made. ValueError for what does not fit.
    """
    kind = KINDS.get(str(name))
    if kind is None:
        near = difflib.get_close_matches(str(name), KINDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(KINDS)}"
        raise ValueError(f"no setting {name!r}: {hint}")
    values: Mapping[str, Any] = settings.all(kind)
    token = next(iter(values), "") if token is None else str(token)
    known = {one.name for one in dataclasses.fields(kind)}
    unknown = fields.keys() - known
    if unknown:
        raise ValueError(f"{name} has no {', '.join(sorted(unknown))}: it has {', '.join(sorted(known))}")
    given = {field_name: _frozen(value) for field_name, value in fields.items()}
    old = values.get(token)
    try:
        made: Setting = dataclasses.replace(old, **given) if old is not None else kind(**given)
    except TypeError as error:
        raise ValueError(f"no {name} {token!r}, and not enough to make one: {error}") from error
    for field_name in given:
        before, after = getattr(old, field_name, None), getattr(made, field_name)
        numbers = isinstance(before, int | float) and isinstance(after, int | float)
        if before is not None and after is not None and not numbers and type(before) is not type(after):
            raise ValueError(f"{name}.{field_name}={after!r}: it is a {type(before).__name__}")
    return token, made


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list | tuple) else value
