"""From what is and what is wanted to a plan, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.secrets import Secret
from bridge.settings.limits import (
    FLAG,
    Anything,
    Between,
    Fixed,
    Limit,
    Limits,
    OneOf,
    Text,
    Zone,
    allows,
    legal,
    nearest,
    same,
)
from bridge.settings.plan import Configuration, back, plan
from bridge.settings.vocabulary import SECTIONS, Codec, Role, Settings, flatten, split, unflatten

FPS = "video_encoder_first.fps"
CODEC = "video_encoder_first.codec"
LIMITS = Limits(
    {
        CODEC: OneOf((Codec.H264, Codec.H265)),
        FPS: Between(1, 25, 1),
        "video_encoder_first.resolution": OneOf(("1920x1080", "1280x720", "640x360")),
        "imaging.brightness": Between(0, 100, tolerance=1),
        "hostname.name": Fixed(),
        "osd_time.enabled": FLAG,
        "users.*.role": OneOf(tuple(Role)),
        "users.*.password": Text(16, 4),
        "vendor.acme.colour": Anything(),
    },
    {(CODEC, Codec.H265): {FPS: Between(1, 15, 1)}},
)


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def now(**sections: Any) -> Configuration:
    return Configuration(settings(**sections), LIMITS)


def told(plan: Any) -> list[str]:
    return [str(one) for one in (*plan.changes, *plan.refusals)]


def test_only_what_differs_is_changed() -> None:
    current = now(video_encoder_first={"codec": "h264", "fps": 25})
    assert plan(current, settings(video_encoder_first={"codec": "h264", "fps": 25.0})).empty
    found = plan(current, settings(video_encoder_first={"fps": 10}))
    assert told(found) == ["video_encoder_first.fps: 25 → 10"]
    (step,) = found.steps()
    assert step.section == "video_encoder_first"
    assert step.after.video_encoder_first is not None
    assert (step.after.video_encoder_first.codec, step.after.video_encoder_first.fps) == (Codec.H264, 10)
    assert step.paths == (FPS,)


def test_what_is_not_legal_is_refused_with_what_is() -> None:
    current = now(video_encoder_first={"codec": "h264", "fps": 25})
    found = plan(
        current, settings(video_encoder_first={"fps": 60, "codec": "mjpeg", "gop": 50}, osd_text={"text": "x"})
    )
    assert not found.changes
    assert told(found) == [
        "osd_text.text: x: the device has no osd_text",
        "video_encoder_first.codec: mjpeg: the device does not take it; legal: h264, h265",
        "video_encoder_first.fps: 60: the device does not take it; legal: 1 to 25",
        "video_encoder_first.gop: 50: the device has no such setting",
    ]


def test_nearest_is_taken_only_when_the_template_says_so() -> None:
    current = now(video_encoder_first={"fps": 20, "resolution": "640x360"})
    wanted = settings(video_encoder_first={"fps": 60, "resolution": "1920x1088"})
    assert len(plan(current, wanted).refusals) == 2
    found = plan(current, wanted, "nearest")
    assert told(found) == [
        "video_encoder_first.resolution: 640x360 → 1920x1080 (nearest to 1920x1088)",
        "video_encoder_first.fps: 20 → 25 (nearest to 60)",
    ]
    assert plan(
        now(video_encoder_first={"codec": "h264"}), settings(video_encoder_first={"codec": "mjpeg"}), "nearest"
    ).refusals


def test_a_limit_that_depends_on_another_setting() -> None:
    current = now(video_encoder_first={"codec": "h264", "fps": 25})
    wanted = settings(video_encoder_first={"codec": "h265"})
    # Nobody spoke of the frame rate, but H.265 does not have it.
    assert told(plan(current, wanted)) == [
        "video_encoder_first.codec: h264 → h265",
        "video_encoder_first.fps: 25: the device does not take it; legal: 1 to 15",
    ]
    assert told(plan(current, wanted, "nearest"))[1] == "video_encoder_first.fps: 25 → 15 (nearest to 25)"
    assert plan(now(video_encoder_first={"codec": "h264", "fps": 10}), wanted).refusals == ()
    # What cannot be changed at all is no obstacle where nobody wants it changed.
    mode = "video_encoder_first.bitrate_mode"
    fixed = Limits({**LIMITS.fields, mode: Fixed()}, {(CODEC, Codec.H265): {mode: Fixed()}})
    here = settings(video_encoder_first={"codec": "h264", "fps": 10, "bitrate_mode": "variable"})
    assert told(plan(Configuration(here, fixed), wanted)) == ["video_encoder_first.codec: h264 → h265"]


def test_a_fixed_setting_is_refused_unless_it_is_so_already() -> None:
    current = now(hostname={"name": "cam"})
    assert plan(current, settings(hostname={"name": "cam"})).empty
    assert told(plan(current, settings(hostname={"name": "door"}))) == [
        "hostname.name: door: it is cam and cannot be changed"
    ]


def test_a_percentage_that_came_back_rounded_is_the_same() -> None:
    assert plan(now(imaging={"brightness": 49}), settings(imaging={"brightness": 50})).empty
    assert not plan(now(imaging={"brightness": 47}), settings(imaging={"brightness": 50})).empty


def test_users_come_last_and_are_told_without_passwords() -> None:
    current = now(users={"admin": {"role": "administrator"}}, osd_time={"enabled": False})
    wanted = settings(users={"v.w": {"role": "user", "password": "s3cret"}}, osd_time={"enabled": True})
    found = plan(current, wanted)
    assert told(found) == [
        "osd_time.enabled: false → true",
        "users.v.w.role: nothing → user",
        "users.v.w.password: nothing → ***",
    ]
    assert [step.section for step in found.steps()] == ["osd_time", "users"]
    # A password cannot be read back: the caller knows that it is there.
    done = now(users={"admin": {"role": "administrator"}, "v.w": {"role": "user"}}, osd_time={"enabled": True})
    assert told(plan(done, wanted)) == ["users.v.w.password: nothing → ***"]
    assert plan(done, wanted, known={"users.v.w.password"}).empty
    # An account that changes gets its password once more: SetUser without one would clear it on some cameras.
    promoted = settings(users={"v.w": {"role": "operator", "password": "s3cret"}}, osd_time={"enabled": True})
    assert told(plan(done, promoted, known={"users.v.w.password"})) == [
        "users.v.w.role: user → operator",
        "users.v.w.password: nothing → ***",
    ]
    assert "s3cret" not in repr(found) + found.digest()


def test_what_is_to_be_absent() -> None:
    wanted = settings(users={"guest": {"absent": True}})
    assert told(plan(now(users={"guest": {"role": "user"}}), wanted)) == ["users.guest.absent: false → true"]
    assert plan(now(users={"admin": {"role": "administrator"}}), wanted).empty


def test_the_way_back() -> None:
    before = now(
        users={"admin": {"role": "administrator"}},
        video_encoder_first={"codec": "h264", "fps": 25},
        osd_time={"enabled": False},
    )
    wanted = settings(
        users={"new": {"role": "user", "password": "s3cret"}},
        video_encoder_first={"codec": "h265", "fps": 10},
        osd_time={"enabled": True},
    )
    forth = plan(before, wanted)
    after = now(
        users={"admin": {"role": "administrator"}, "new": {"role": "user"}},
        video_encoder_first={"codec": "h265", "fps": 10},
        osd_time={"enabled": True},
    )
    assert told(back(after, flatten(before.settings), forth)) == [
        "users.new.absent: false → true",
        "video_encoder_first.codec: h265 → h264",
        "video_encoder_first.fps: 10 → 25",
        "osd_time.enabled: true → false",
    ]
    # Only what was really changed is changed back.
    halfway = now(
        users={"admin": {"role": "administrator"}},
        video_encoder_first={"codec": "h264", "fps": 25},
        osd_time={"enabled": True},
    )
    assert told(back(halfway, flatten(before.settings), forth)) == ["osd_time.enabled: true → false"]
    assert back(before, flatten(before.settings), forth).empty


def test_what_is_set_up_is_switched_on() -> None:
    limits = Limits({"osd_text.enabled": FLAG, "osd_text.text": Text(20), "osd_text.position": Anything()})
    off = Configuration(settings(osd_text={"enabled": False}), limits)
    forth = plan(off, settings(osd_text={"text": "Gate"}))
    assert told(forth) == ["osd_text.text: nothing → Gate", "osd_text.enabled: false → true"]
    on = Configuration(settings(osd_text={"enabled": True, "text": "Gate"}), limits)
    assert told(back(on, flatten(off.settings), forth)) == ["osd_text.enabled: true → false"]
    # Whoever says off means it, and what goes with it comes back with it.
    away = plan(on, settings(osd_text={"enabled": False}))
    assert told(away) == ["osd_text.enabled: true → false"]
    assert told(back(off, flatten(on.settings), away)) == [
        "osd_text.enabled: false → true",
        "osd_text.text: nothing → Gate",
    ]
    fixed = Configuration(settings(osd_text={"enabled": False}), Limits({**limits.fields, "osd_text.enabled": Fixed()}))
    assert told(plan(fixed, settings(osd_text={"text": "Gate"}))) == ["osd_text.text: nothing → Gate"]


def test_the_digest_tells_that_the_device_moved() -> None:
    wanted = settings(video_encoder_first={"fps": 10})
    first = plan(now(video_encoder_first={"codec": "h264", "fps": 25}), wanted).digest("cam", "serial")
    assert plan(now(video_encoder_first={"codec": "h264", "fps": 25}), wanted).digest("cam", "serial") == first
    assert plan(now(video_encoder_first={"codec": "h264", "fps": 20}), wanted).digest("cam", "serial") != first
    assert plan(now(video_encoder_first={"codec": "h265", "fps": 25}), wanted).digest("cam", "serial") != first
    assert plan(now(video_encoder_first={"codec": "h264", "fps": 25}), wanted).digest("cam", "other") != first
    # Sections that are not touched may move.
    aside = now(video_encoder_first={"codec": "h264", "fps": 25}, osd_time={"enabled": True})
    assert plan(aside, wanted).digest("cam", "serial") == first


@pytest.mark.parametrize(
    ("limit", "value", "near"),
    [
        (OneOf((5, 10, 25)), 7, 5),
        (OneOf((5, 10, 25)), 8, 10),
        (OneOf(("640x360", "1920x1080")), "1280x720", "640x360"),
        (OneOf((Codec.H264,)), Codec.H265, None),
        (OneOf((False,)), True, None),
        (Between(1, 25), 60, 25),
        (Between(1, 25), 0.5, 1),
        (Between(0, 100, 30), 50, 60),
        (Between(0, 100, 30), 100, 90),
        (Text(3), "long", None),
        (Fixed(), 1, None),
    ],
)
def test_nearest(limit: Limit, value: Any, near: Any) -> None:
    assert nearest(limit, value) == near


@given(
    st.floats(0, 1000, allow_nan=False).map(lambda number: round(number, 3)),
    st.integers(1, 500),
    st.sampled_from([0, 1, 2.5, 7]),
    st.integers(0, 1500),
)
def test_the_nearest_value_is_legal_and_no_legal_one_is_nearer(low: float, span: int, step: float, value: int) -> None:
    limit = Between(low, low + span, step)
    found = nearest(limit, value)
    assert allows(limit, found)
    others = [low, low + span] if not step else [low + number * step for number in range(int(span / step) + 1)]
    assert all(abs(found - value) <= abs(other - value) + 1e-5 for other in others)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("CST-8", "CST-8:00:00", True),
        ("CST-8", "GMT+08:00", True),
        ("CET-1CEST,M3.5.0,M10.5.0", "CST-1:00:00", True),
        ("CET-1CEST,M3.5.0,M10.5.0", "EET-1EEST,M3.4.0,M10.5.0", False),
        ("<+0530>-5:30", "GMT+05:30", True),
        ("EST5EDT", "EST5", True),
        ("EST5", "GMT+05:00", False),
        ("UTC", "GMT0", True),
        ("CST-8", "CST-9", False),
        ("Europe/Berlin", "Europe/Berlin", False),
    ],
)
def test_time_zones(one: str, other: str, alike: bool) -> None:
    assert same(Zone(), one, other) is same(Zone(), other, one) is alike
    assert allows(Zone(), one) is ("/" not in one)


def test_what_is_legal_is_told_in_words() -> None:
    assert legal(OneOf(tuple(range(20)))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more"
    assert legal(Between(0, 1, 0.25)) == "0 to 1 in steps of 0.25"
    assert legal(Text(16, 4)) == "4 to 16 characters"


def test_paths() -> None:
    assert split("users.a.b@c.role") == ("users", "a.b@c", "role")
    assert split("ntp.servers") == ("ntp", "", "servers")
    whole = settings(
        users={"a.b": {"role": "user", "password": "x"}},
        relays={"1": {"duration": "5s"}},
        ntp={"servers": ["a", "b"]},
        vendor={"acme": {"colour": {"r": 1}}},
        event_targets={"vms": {"url": "http://192.0.2.1/x"}},
    )
    assert flatten(whole)["users.a.b.password"] == Secret("x")
    assert unflatten(flatten(whole)) == whole
    assert list(SECTIONS)[-1] == "users"


def test_what_was_removed_comes_back() -> None:
    before = now(users={"viewer": {"role": "user"}, "admin": {"role": "administrator"}})
    forth = plan(before, settings(users={"viewer": {"absent": True}}))
    after = now(users={"admin": {"role": "administrator"}})
    assert told(back(after, flatten(before.settings), forth)) == ["users.viewer.role: nothing → user"]
    assert back(before, flatten(before.settings), forth).empty
