"""The settings of cameras and panels, in words that are no vendor's. `docs/settings.md` has them as a table.

A template says some of them, a device has some of them; what neither speaks of is None. `flatten` turns either into
paths and values (`video_encoder_first.fps`: 25), which is what plans and limits speak in.

A field enters when two families can have it. What only one has stands under `vendor.<driver>`, and the driver's
`VendorSettings` says what that may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from bridge.config.types import Duration, SecretValue
from bridge.secrets import Secret

# A number, a word, a switch, a list of words, a secret, or (under `vendor`) anything that JSON has. None: not said.
Value = Any
Flat = Mapping[str, Value]

Percent = Annotated[int, Field(ge=0, le=100)]
FontSize = Annotated[int, Field(ge=1, le=256)]
# The number of a relay does as well as its name.
Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S+$", coerce_numbers_to_str=True)]


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Position(StrEnum):
    """A corner of the picture."""

    UPPER_LEFT = "upper_left"
    UPPER_RIGHT = "upper_right"
    LOWER_LEFT = "lower_left"
    LOWER_RIGHT = "lower_right"


class DateFormat(StrEnum):
    """How a date is written into the picture."""

    ISO = "yyyy-MM-dd"
    SLASHED = "yyyy/MM/dd"
    DAY_FIRST = "dd/MM/yyyy"
    MONTH_FIRST = "MM/dd/yyyy"


class TimeFormat(StrEnum):
    """How the time of day is written into the picture."""

    HOURS_24 = "HH:mm:ss"
    HOURS_12 = "hh:mm:ss tt"


class Codec(StrEnum):
    H264 = "h264"
    H265 = "h265"
    MJPEG = "mjpeg"


class BitrateMode(StrEnum):
    CONSTANT = "constant"
    VARIABLE = "variable"


class CodecProfile(StrEnum):
    BASELINE = "baseline"
    MAIN = "main"
    EXTENDED = "extended"
    HIGH = "high"


class AudioCodec(StrEnum):
    G711 = "g711"
    G726 = "g726"
    AAC = "aac"


class Switch(StrEnum):
    """On, off, or as the device sees fit."""

    ON = "on"
    OFF = "off"
    AUTO = "auto"


class Control(StrEnum):
    AUTO = "auto"
    MANUAL = "manual"


class Role(StrEnum):
    """What a user of the device may do."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    USER = "user"


class RelayMode(StrEnum):
    BISTABLE = "bistable"  # stays where it is put
    MONOSTABLE = "monostable"  # falls back after `duration`


class Contact(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class OsdTime(Block):
    """Date and time in the picture."""

    enabled: bool | None = Field(None, description="whether date and time are shown")
    position: Position | None = Field(None, description="the corner where they stand")
    date_format: DateFormat | None = Field(None, description="how the date is written")
    time_format: TimeFormat | None = Field(None, description="how the time is written")
    font_size: FontSize | None = Field(None, description="size of the letters, in the device's own steps")


class OsdText(Block):
    """A line of text in the picture."""

    enabled: bool | None = Field(None, description="whether the text is shown")
    text: Annotated[str, Field(max_length=200)] | None = Field(None, description="the text")
    position: Position | None = Field(None, description="the corner where it stands")
    font_size: FontSize | None = Field(None, description="size of the letters, in the device's own steps")


class VideoEncoder(Block):
    """One video stream: `first` is the one with the most pixels, `second` the next."""

    codec: Codec | None = Field(None, description="how video is compressed")
    resolution: Annotated[str, Field(pattern=r"^[1-9]\d{1,4}x[1-9]\d{1,4}$")] | None = Field(
        None, description="width and height, pixels", examples=["1920x1080"]
    )
    fps: Annotated[float, Field(gt=0, le=240)] | None = Field(None, description="frames a second, at most")
    bitrate: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(None, description="kbit/s, at most")
    bitrate_mode: BitrateMode | None = Field(None, description="whether the bit rate is kept or only not exceeded")
    gop: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="frames from one key frame to the next"
    )
    quality: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="quality of the picture, in the device's own steps"
    )
    profile: CodecProfile | None = Field(None, description="profile of the codec")


class Ntp(Block):
    """Where the device's clock gets the time from."""

    enabled: bool | None = Field(None, description="whether the clock follows NTP; false: it is set by hand")
    from_dhcp: bool | None = Field(None, description="take the servers that DHCP tells")
    servers: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] | None = Field(
        None, description="host names or addresses of NTP servers, best first", max_length=8
    )


class Clock(Block):
    """The device's time zone."""

    time_zone: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None,
        description="POSIX TZ: offset west of UTC, and the rules of summer time",
        examples=["CET-1CEST,M3.5.0,M10.5.0"],
    )
    daylight_saving: bool | None = Field(None, description="whether the rules of summer time are followed")


class Imaging(Block):
    """The sensor and the picture. Percent are of the device's own range."""

    brightness: Percent | None = Field(None, description="brightness, percent")
    contrast: Percent | None = Field(None, description="contrast, percent")
    saturation: Percent | None = Field(None, description="saturation of colours, percent")
    sharpness: Percent | None = Field(None, description="sharpness, percent")
    ir_cut_filter: Switch | None = Field(None, description="filter against infrared: on by day, off by night, or auto")
    wide_dynamic_range: bool | None = Field(None, description="whether dark and bright parts are balanced")
    wide_dynamic_range_level: Percent | None = Field(None, description="how strongly, percent")
    backlight_compensation: bool | None = Field(None, description="whether light from behind is made up for")
    exposure: Control | None = Field(None, description="who chooses the exposure")
    white_balance: Control | None = Field(None, description="who chooses the white balance")


class Hostname(Block):
    """The device's name on the network."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^([A-Za-z0-9-]|\$\{[a-z_.]+\})+$")] | None = (
        Field(None, description="its name: letters, digits and -")
    )


class User(Block):
    """An account on the device."""

    role: Role | None = Field(None, description="what the user may do")
    password: SecretValue | None = Field(None, description="the password: env:NAME, file:PATH or cred:NAME")
    absent: bool | None = Field(None, description="true: there is to be no such user")


class Audio(Block):
    """Sound: how it is compressed, how loud it is."""

    codec: AudioCodec | None = Field(None, description="how sound is compressed")
    bitrate: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="kbit/s")
    sample_rate: Annotated[int, Field(ge=1, le=192)] | None = Field(None, description="samples a second, kHz")
    speaker: Percent | None = Field(None, description="loudness of the speaker, percent")
    microphone: Percent | None = Field(None, description="sensitivity of the microphone, percent")


class Display(Block):
    """The panel's display."""

    text: Annotated[str, Field(max_length=200)] | None = Field(None, description="what it shows while nobody calls")
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = Field(
        None, description="its language", examples=["en", "ru"]
    )


class Call(Block):
    """Calls from the panel."""

    ring: Annotated[Duration, Field(ge=1, le=3600)] | None = Field(None, description="longest ringing, seconds")
    talk: Annotated[Duration, Field(ge=1, le=7200)] | None = Field(None, description="longest talk, seconds")


class Door(Block):
    """What opens the door besides keys."""

    dtmf: Annotated[str, Field(pattern=r"^[0-9*#]{0,8}$")] | None = Field(
        None, description="digits that open it during a call; empty: none", examples=["1"]
    )
    code: SecretValue | None = Field(None, description="the common code: env:NAME, file:PATH or cred:NAME")
    code_enabled: bool | None = Field(None, description="whether the common code opens it")


class Sip(Block):
    """The panel's SIP account."""

    enabled: bool | None = Field(None, description="whether it registers")
    server: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(None, description="registrar")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="port of the registrar")
    username: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(None, description="its number there")
    password: SecretValue | None = Field(None, description="the password: env:NAME, file:PATH or cred:NAME")
    display_name: Annotated[str, Field(max_length=64)] | None = Field(None, description="the name that callees see")


class MotionDetection(Block):
    """Motion detection in the device."""

    enabled: bool | None = Field(None, description="whether the device looks for motion")
    sensitivity: Percent | None = Field(None, description="how little motion is enough, percent")


class EventTarget(Block):
    """Where the device itself sends its events."""

    url: Annotated[str, Field(max_length=500, pattern=r"^[a-z]{2,10}://[^\s@]+$")] | None = Field(
        None, description="where to: http://, mqtt:// or what the device can", examples=["mqtt://192.0.2.5:1883"]
    )
    absent: bool | None = Field(None, description="true: there is to be no such target")


class Relay(Block):
    """A relay output: a door, a gate, a lamp."""

    mode: RelayMode | None = Field(None, description="whether it stays where it is put or falls back by itself")
    duration: Annotated[Duration, Field(gt=0, le=3600)] | None = Field(
        None, description="after which it falls back, seconds"
    )
    idle: Contact | None = Field(None, description="its contact while nobody asks for anything")


class Settings(Block):
    """All of it. The order of the fields is the order in which changes are made: harmless first, users last."""

    osd_time: OsdTime | None = Field(None, description="date and time in the picture")
    osd_text: OsdText | None = Field(None, description="a line of text in the picture")
    imaging: Imaging | None = Field(None, description="the sensor and the picture")
    audio: Audio | None = Field(None, description="sound")
    motion_detection: MotionDetection | None = Field(None, description="motion detection in the device")
    display: Display | None = Field(None, description="the panel's display")
    call: Call | None = Field(None, description="calls from the panel")
    door: Door | None = Field(None, description="what opens the door besides keys")
    relays: dict[Key, Relay] | None = Field(None, description="relay outputs, by the device's name or number for each")
    vendor: dict[Key, dict[str, Any]] | None = Field(None, description="what only one family has, by its driver")
    event_targets: dict[Key, EventTarget] | None = Field(None, description="where the device sends events, by a name")
    clock: Clock | None = Field(None, description="time zone")
    ntp: Ntp | None = Field(None, description="where the time comes from")
    video_encoder_second: VideoEncoder | None = Field(None, description="the low stream")
    video_encoder_first: VideoEncoder | None = Field(None, description="the high stream")
    sip: Sip | None = Field(None, description="the panel's SIP account")
    hostname: Hostname | None = Field(None, description="its name on the network")
    users: dict[Key, User] | None = Field(None, description="accounts on the device, by user name")


SECTIONS: tuple[str, ...] = tuple(Settings.model_fields)


# Sections whose fields stand one level deeper, below a name: `users.operator.role`.
NAMED = frozenset({"relays", "vendor", "event_targets", "users"})


def split(path: str) -> tuple[str, str, str]:
    """Section, name ("" where the section has none) and field of a path. A name may have dots in it."""
    section, _, rest = path.partition(".")
    name, _, leaf = rest.rpartition(".")
    return section, name, leaf


def section_of(path: str) -> str:
    return path.partition(".")[0]


def pattern(path: str) -> str:
    """The path as it stands in tables: `users.*.role` for every user. Under `vendor` the name is the driver's."""
    section, name, leaf = split(path)
    return f"{section}.*.{leaf}" if name and section != "vendor" else path


def parts(annotation: Any) -> Iterator[Any]:
    """What an annotation is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from parts(part)


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for section, told in Settings.model_fields.items():
        for block in parts(told.annotation):
            if isinstance(block, type) and issubclass(block, Block):
                prefix = f"{section}.*." if section in NAMED else f"{section}."
                yield from ((prefix + name, field) for name, field in block.model_fields.items())


# Every setting, by its pattern. What stands under `vendor` is not in it.
FIELDS: Mapping[str, FieldInfo] = dict(_fields())
# Those that are secrets: they are written, and cannot be read.
SECRETS = frozenset(path for path, field in FIELDS.items() if Secret in parts(field.annotation))


def flatten(settings: Settings) -> dict[str, Value]:
    """Every value that is said, by its path, in the order of the sections. A list is one value."""
    found: dict[str, Value] = {}
    for section in SECTIONS:
        block = getattr(settings, section)
        if block is None:
            continue
        for name, fields in block.items() if section in NAMED else [("", block)]:
            prefix = f"{section}.{name}." if name else f"{section}."
            for field, value in fields.items() if isinstance(fields, dict) else fields:
                if value is not None:
                    found[prefix + field] = tuple(value) if isinstance(value, list) else value
    return found


def unflatten(flat: Flat) -> Settings:
    """The settings that `flatten` gives these paths and values of. Raises ValueError for what is none."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        section, name, field = split(path)
        block = tree.setdefault(section, {})
        (block.setdefault(name, {}) if section in NAMED else block)[field] = value
    return Settings.model_validate(tree)
