"""What the settings of one make can be: the options that it tells and holds to. Ranges include both ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Size = tuple[int, int]
Range = tuple[float, float]

QUAD_HD, FULL_HD, HD = (2560, 1440), (1920, 1080), (1280, 720)
NHD, VGA, CIF, QVGA = (640, 360), (640, 480), (352, 288), (320, 240)
_FOUR_K, _D1 = (3840, 2160), (704, 576)


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding. `large` are the sizes of the first stream of a channel, `small` those of the others."""

    large: tuple[Size, ...]
    small: tuple[Size, ...]
    profiles: tuple[str, ...] = ()
    gov: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class VideoLimits:
    codecs: Mapping[str, Codec]  # H264, H265, JPEG; H265 is Media2's alone
    frame_rates: tuple[float, ...]  # Media1 tells the whole range
    bitrate: tuple[int, int]  # kbit/s
    quality: Range
    usual_quality: float
    interval: tuple[int, int] = (1, 1)
    constant_bitrate: bool = True


@dataclass(frozen=True, slots=True)
class ImagingLimits:
    """None or empty for what the make has not."""

    scale: Range  # of brightness, saturation, contrast, sharpness
    usual: float
    ir_cut: tuple[str, ...] = ("ON", "OFF", "AUTO")
    backlight_level: Range | None = None
    wdr_level: Range | None = None
    exposure_time: Range | None = None  # microseconds
    gain: Range | None = None
    white_balance_gain: Range | None = None


@dataclass(frozen=True, slots=True)
class OsdLimits:
    total: int
    plain: int
    date_and_time: int
    positions: tuple[str, ...]
    date_formats: tuple[str, ...]
    time_formats: tuple[str, ...]
    longest: int  # characters of a plain text
    font_sizes: tuple[int, int] | None = None
    colors: tuple[tuple[float, float, float], ...] = ()
    at_first: tuple[str, ...] = ()  # types of the OSDs that a new device has


@dataclass(frozen=True, slots=True)
class UserLimits:
    most: int
    name: tuple[int, int] = (1, 32)
    password: tuple[int, int] = (8, 32)
    mixed: bool = False  # a password needs letters and digits


@dataclass(frozen=True, slots=True)
class Limits:
    video: VideoLimits
    imaging: ImagingLimits
    osd: OsdLimits
    users: UserLimits
    # encoding of Media1 -> bit rates in kbit/s, sample rates in kHz
    audio: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]


_CORNERS = ("UpperLeft", "UpperRight", "LowerLeft", "LowerRight")
_WHITE, _BLACK, _RED = (235.0, 128.0, 128.0), (16.0, 128.0, 128.0), (81.0, 90.0, 240.0)
_G711 = {"G711": ((64,), (8,))}
_H264_PROFILES = ("Baseline", "Main", "High")

DOVRE = Limits(
    VideoLimits(
        {
            "H264": Codec((QUAD_HD, FULL_HD, HD), (HD, _D1, NHD, CIF), _H264_PROFILES, (1, 150)),
            "H265": Codec((QUAD_HD, FULL_HD, HD), (HD, _D1, NHD, CIF), ("Main",), (1, 150)),
            "JPEG": Codec((FULL_HD, HD), (_D1, NHD, CIF)),
        },
        frame_rates=tuple(float(n) for n in range(1, 26)),
        bitrate=(32, 12288),
        quality=(1.0, 6.0),
        usual_quality=4.0,
    ),
    ImagingLimits(
        (0.0, 100.0),
        50.0,
        backlight_level=(0.0, 100.0),
        wdr_level=(0.0, 100.0),
        exposure_time=(10.0, 40_000.0),
        gain=(0.0, 100.0),
        white_balance_gain=(0.0, 100.0),
    ),
    OsdLimits(
        total=3,
        plain=2,
        date_and_time=1,
        positions=(*_CORNERS, "Custom"),
        date_formats=("yyyy-MM-dd", "MM-dd-yyyy", "dd-MM-yyyy"),
        time_formats=("HH:mm:ss", "hh:mm:ss tt"),
        longest=63,
        at_first=("DateAndTime", "Plain"),
    ),
    UserLimits(most=8, password=(8, 32), mixed=True),
    {**_G711, "AAC": ((32, 64), (8, 16))},
)
HALDEN = Limits(
    VideoLimits(
        {
            "H264": Codec((QUAD_HD, FULL_HD, HD), (HD, VGA, NHD), _H264_PROFILES, (1, 400)),
            "H265": Codec((QUAD_HD, FULL_HD, HD), (HD, VGA, NHD), ("Main",), (1, 400)),
            "JPEG": Codec((HD,), (VGA, NHD)),
        },
        frame_rates=(25.0, 22.0, 20.0, 18.0, 16.0, 15.0, 12.0, 10.0, 8.0, 6.0, 4.0, 2.0, 1.0, 0.5),
        bitrate=(32, 16384),
        quality=(0.0, 5.0),
        usual_quality=3.0,
        interval=(1, 25),
    ),
    ImagingLimits(
        (0.0, 255.0),
        128.0,
        backlight_level=None,
        wdr_level=(0.0, 100.0),
        exposure_time=(33.0, 1_000_000.0),
        gain=(0.0, 100.0),
    ),
    OsdLimits(
        total=5,
        plain=4,
        date_and_time=1,
        positions=("Custom",),
        date_formats=("MM/dd/yyyy", "dd/MM/yyyy", "yyyy/MM/dd", "ddd, MMM dd, yyyy"),
        time_formats=("h:mm:ss tt", "HH:mm:ss"),
        longest=44,
        font_sizes=(16, 64),
        colors=(_WHITE, _BLACK),
        at_first=("DateAndTime", "Plain"),
    ),
    UserLimits(most=32, password=(8, 16), mixed=True),
    {**_G711, "G726": ((16,), (8,))},
)
LARVIK = Limits(
    VideoLimits(
        {
            "H264": Codec((_FOUR_K, QUAD_HD, FULL_HD, HD, NHD), (FULL_HD, HD, NHD, QVGA), _H264_PROFILES, (1, 32767)),
            "H265": Codec((_FOUR_K, QUAD_HD, FULL_HD, HD, NHD), (FULL_HD, HD, NHD, QVGA), ("Main",), (1, 32767)),
            "JPEG": Codec((QUAD_HD, FULL_HD, HD, NHD), (HD, NHD, QVGA)),
        },
        frame_rates=tuple(float(n) for n in range(30, 0, -1)),
        bitrate=(1, 100_000),
        quality=(0.0, 100.0),
        usual_quality=70.0,
        constant_bitrate=False,
    ),
    ImagingLimits((0.0, 1.0), 0.5, backlight_level=None, wdr_level=(0.0, 1.0), exposure_time=(41.0, 500_000.0)),
    OsdLimits(
        total=8,
        plain=8,
        date_and_time=8,
        positions=(*_CORNERS, "Custom"),
        date_formats=("yyyy-MM-dd", "dd/MM/yyyy", "MM/dd/yyyy", "dddd, MMMM dd, yyyy"),
        time_formats=("HH:mm:ss", "h:mm:ss tt"),
        longest=256,
        font_sizes=(24, 96),
        colors=(_WHITE, _BLACK, _RED),
    ),
    UserLimits(most=20, name=(1, 14), password=(1, 64)),
    {**_G711, "AAC": ((8, 16, 32, 64), (8, 16, 32))},
)
MOLDE = Limits(
    VideoLimits(
        {
            "H264": Codec((QUAD_HD, FULL_HD), (HD, NHD), ("Baseline", "Main"), (1, 100)),
            "H265": Codec((QUAD_HD, FULL_HD), (HD, NHD), ("Main",), (1, 100)),
        },
        frame_rates=(5.0, 10.0, 12.0, 15.0, 20.0, 25.0),
        bitrate=(128, 8192),
        quality=(0.0, 100.0),
        usual_quality=80.0,
    ),
    # No infrared filter that moves, no colour gains: an indoor camera.
    ImagingLimits((0.0, 255.0), 128.0, ir_cut=(), wdr_level=None),
    OsdLimits(
        total=2,
        plain=1,
        date_and_time=1,
        positions=("UpperLeft", "LowerLeft"),
        date_formats=("yyyy-MM-dd",),
        time_formats=("HH:mm:ss",),
        longest=32,
        at_first=("DateAndTime",),
    ),
    UserLimits(most=4, name=(3, 16), password=(6, 16)),
    _G711,
)
