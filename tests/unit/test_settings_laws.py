"""Laws of templates, for made-up templates and devices: what is applied stays, what fails is undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import SystemClock
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unreachable
from bridge.model import CameraStatus, Channel, Credentials, Device, Kind
from bridge.secrets import Secret
from bridge.settings import apply
from bridge.settings.limits import FLAG, Anything, Between, Fixed, Limit, Limits, OneOf, Text, Texts
from bridge.settings.plan import Configuration, Plan, Step, back, plan
from bridge.settings.templates import Template
from bridge.settings.vocabulary import Codec, Position, Settings, flatten, section_of, unflatten
from bridge.state.camera import Camera as CameraState
from bridge.state.device import DeviceState
from bridge.state.reachability import Reach, Reachability
from bridge.state.status import Status
from tests.unit.settings_world import Camera, NoConfig, Unit

RESOLUTIONS = ("320x240", "640x360", "1280x720", "1920x1080", "3840x2160")
# A setting, with strategies for its values and for what a device may allow there.
FIELDS: Mapping[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Limit]]] = {
    "osd_time.enabled": (st.booleans(), st.just(FLAG)),
    "osd_text.text": (st.text("abc ü", max_size=12), st.builds(Text, st.integers(0, 12))),
    "osd_text.position": (st.sampled_from(list(Position)), st.just(OneOf(tuple(Position)))),
    "imaging.brightness": (st.integers(0, 100), st.sampled_from([Between(0, 100, 0, 1), Between(0, 100, 10, 1)])),
    "ntp.servers": (
        st.lists(st.sampled_from(["a", "b", "192.0.2.1"]), max_size=3).map(tuple),
        st.builds(Texts, st.integers(1, 3)),
    ),
    "video_encoder_first.codec": (
        st.sampled_from([Codec.H264, Codec.H265]),
        st.sampled_from([OneOf((Codec.H264, Codec.H265)), OneOf((Codec.H264,)), Fixed()]),
    ),
    "video_encoder_first.resolution": (
        st.sampled_from(RESOLUTIONS),
        st.lists(st.sampled_from(RESOLUTIONS), min_size=1, unique=True).map(lambda few: OneOf(tuple(few))),
    ),
    "video_encoder_first.fps": (
        st.integers(1, 60).map(float),
        st.builds(Between, st.integers(1, 5), st.integers(6, 60), st.sampled_from([0, 1, 2.5])),
    ),
    "video_encoder_first.bitrate": (st.integers(1, 9000), st.sampled_from([Anything(), Between(64, 8192, 64)])),
}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Configuration, Settings]:
    """A device, as it is and with what it allows, and a template."""
    there = draw(st.lists(st.sampled_from(list(FIELDS)), unique=True))
    limits = {path: draw(FIELDS[path][1]) for path in there}
    current = {path: draw(FIELDS[path][0]) for path in there}
    given: dict[tuple[str, Any], Mapping[str, Limit]] = {}
    if "video_encoder_first.fps" in there and draw(st.booleans()):
        given["video_encoder_first.codec", Codec.H265] = {
            "video_encoder_first.fps": draw(FIELDS["video_encoder_first.fps"][1])
        }
    wanted = draw(st.lists(st.sampled_from(there or list(FIELDS)), unique=True))
    template = {path: draw(FIELDS[path][0]) for path in wanted}
    return Configuration(unflatten(current), Limits(limits, given)), unflatten(template)


def applied(configuration: Configuration, plan: Plan) -> Configuration:
    """As a device does that takes each step as it is told."""
    values = flatten(configuration.settings)
    for step in plan.steps():
        values = {path: value for path, value in values.items() if section_of(path) != step.section}
        values |= flatten(step.after)
    return Configuration(unflatten(values), configuration.limits)


@given(worlds(), st.sampled_from(["exact", "nearest"]))
def test_what_was_applied_needs_nothing_more(world: tuple[Configuration, Settings], fit: Any) -> None:
    before, wanted = world
    forth = plan(before, wanted, fit)
    if forth.refusals:
        return
    after = applied(before, forth)
    again = plan(after, wanted, fit)
    assert again.empty, [str(one) for one in (*again.changes, *again.refusals)]
    if not forth.changes:
        assert after == before


@given(worlds(), st.data())
def test_the_way_back_leads_back_from_any_step(world: tuple[Configuration, Settings], data: st.DataObject) -> None:
    before, wanted = world
    forth = plan(before, wanted, "nearest")
    some = data.draw(st.integers(0, len(forth.changes)))
    halfway = applied(before, Plan(forth.changes[:some], (), forth.current))
    home = back(halfway, flatten(before.settings), forth)
    assert flatten(applied(halfway, home).settings) == flatten(before.settings)


class Hasty(SystemClock):
    async def sleep(self, seconds: float) -> None:
        self.ahead = getattr(self, "ahead", 0.0) + seconds
        await asyncio.sleep(0)

    def now(self) -> Any:
        wall, mono = super().now()
        ahead = getattr(self, "ahead", 0.0)
        return type(super().now())(wall + ahead, mono + ahead)


Trick = Callable[[Camera, Step], None]


def well(driver: Camera, step: Step) -> None:
    driver.unit.take(step)


def nothing(driver: Camera, step: Step) -> None: ...


def fails(error: DeviceError, *, first: bool) -> Trick:
    def trick(driver: Camera, step: Step) -> None:
        if first:
            driver.unit.take(step)
        raise error

    return trick


def half(driver: Camera, step: Step) -> None:
    """Takes the first of the changes and gives no answer."""
    values = flatten(step.after)
    driver.unit.values[step.paths[0]] = values[step.paths[0]]
    raise Unreachable("no complete answer within 2 s")


TRICKS: Mapping[str, Trick] = {
    "well": well,
    "nothing": nothing,
    "lost before": fails(Unreachable("gone"), first=False),
    "lost behind": fails(Unreachable("gone"), first=True),
    "junk": fails(ProtocolError("its answer is no XML"), first=True),
    "half": half,
    "rejected": fails(Rejected("no"), first=False),
    "rejected and done": fails(Rejected("no"), first=True),
    "locked out": fails(AuthFailed("it refuses the credentials"), first=True),
}


class OneCamera:
    """`apply.Camera` without a runner."""

    def __init__(self, unit: Unit) -> None:
        self.channel = Channel(vms={"id": 1})
        self.device = Device("cam", Kind.CAMERA, "scripted", "192.0.2.1", credentials=Credentials("admin", Secret("x")))
        self.clock = Hasty()
        self._driver = Camera(self.device, NoConfig(), None, unit)  # type: ignore[arg-type]
        seen = Status(CameraStatus.ACTIVE)
        self.state = DeviceState(
            reach=Reachability(Reach.ONLINE), identity=unit.identity, cameras={"": CameraState(seen)}
        )

    def driver(self) -> Any:
        driver = self._driver

        class Lent:
            async def __aenter__(self) -> Camera:
                return driver

            async def __aexit__(self, *_: object) -> None: ...

        return Lent()

    def known_secrets(self, wanted: Any) -> tuple[str, ...]:
        return ()

    async def remember_secrets(self, written: Any) -> None: ...


WANTED = {
    "video_encoder_first": {"fps": 10, "bitrate": 1000},
    "osd_time": {"enabled": True},
    "osd_text": {"text": "Gate"},
}


@settings(max_examples=300)
@given(st.lists(st.sampled_from(list(TRICKS)), max_size=9))
def test_whatever_the_device_does_it_ends_as_wanted_or_as_before_and_the_outcome_says_which(tricks: list[str]) -> None:
    unit = Unit()
    before = dict(unit.values)
    unit.hooks = [TRICKS[name] for name in tricks]
    saved: list[Plan] = []

    async def back_up(plan: Plan) -> None:
        assert unit.values == before, "nothing is written before the backup"
        saved.append(plan)

    template = Template(1, "T", Settings.model_validate(WANTED))
    outcome = asyncio.run(apply.carry_out(OneCamera(unit), template, back_up=back_up))
    wanted = {**before, **flatten(template.settings)}
    assert len(saved) == 1
    match outcome.result:
        case "as_wanted":
            assert unit.values == wanted
            assert outcome.reason is None
        case "as_before":
            assert unit.values == before
            assert outcome.reason
        case "not_known":
            # Only where the device went on refusing the way back as well.
            assert outcome.reason
            assert "could not be put back" in outcome.reason or "went away" in outcome.reason
            assert set(tricks) - {"well"}
            # Once it takes what it is told, the way back is still known.
            unit.hooks = []
            again = asyncio.run(apply.restore(OneCamera(unit), outcome.changes, saved[0].current))
            assert again.result == "as_before"
            assert unit.values == before
        case _:
            raise AssertionError(outcome)
