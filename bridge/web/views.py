"""What the API answers about devices and records. The dataclasses are the schemas of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.delivery.sink import Pump
from bridge.journal import Entry
from bridge.model import Capability, Fact, Kind, Stream
from bridge.runner import Runner
from bridge.state.reachability import Reach
from bridge.store.store import DeadLetter, OutboxRow


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a device: a kind of error, and a sentence."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One camera or panel of a device. `stale`: the server that tells about it is gone, and the status is the last
    that was known."""

    key: str
    vms_id: int | None
    name: str | None
    status: str | None
    since: float | None
    stale: bool
    flapping: bool
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device, as it is now. `capabilities` are those that this very unit turned out to have."""

    id: str
    name: str
    kind: Kind
    driver: str
    address: str
    site: str | None
    group: str | None
    reach: Reach
    since: float | None
    problem: Trouble | None
    listening: bool
    manufacturer: str | None
    model: str | None
    firmware: str | None
    serial: str | None
    capabilities: tuple[Capability, ...]
    facts: Mapping[str, Fact]
    channels: tuple[ChannelView, ...]


@dataclass(frozen=True, slots=True)
class DevicesView:
    """Devices in the order of their ids. `next` is what to say as `after` for those that follow."""

    devices: tuple[DeviceView, ...]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class EventsView:
    events: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class PushesView:
    """`last` is the number of the newest push."""

    pushes: tuple[OutboxRow, ...]
    last: int


@dataclass(frozen=True, slots=True)
class SinkView:
    """`waiting` pushes have still to go there; `failing` says why they do not."""

    name: str
    waiting: int
    failing: str | None


@dataclass(frozen=True, slots=True)
class SinksView:
    sinks: tuple[SinkView, ...]
    dead_letters: tuple[DeadLetter, ...]


def device_view(runner: Runner) -> DeviceView:
    state, device, identity = runner.state, runner.device, runner.state.identity
    return DeviceView(
        id=device.id,
        name=device.name,
        kind=device.kind,
        driver=device.driver,
        address=device.address,
        site=device.site,
        group=device.group,
        reach=state.reach.reach,
        since=state.reach.since,
        problem=Trouble(state.health.kind, state.health.detail) if state.health.kind else None,
        listening=runner.listening,
        manufacturer=identity.manufacturer if identity else None,
        model=identity.model if identity else None,
        firmware=identity.firmware if identity else None,
        serial=identity.serial if identity else None,
        capabilities=tuple(sorted(identity.capabilities)) if identity else (),
        facts=state.facts,
        channels=tuple(_channel(runner, one.key, one.vms) for one in device.channels),
    )


def _channel(runner: Runner, key: str, vms: Mapping[str, object]) -> ChannelView:
    camera, panel = runner.state.cameras.get(key), runner.state.intercoms.get(key)
    status = camera.status if camera else panel
    assert status is not None, "a channel is a camera or a panel"
    vms_id, name = vms.get("id"), vms.get("name")
    return ChannelView(
        key=key,
        vms_id=vms_id if isinstance(vms_id, int) else None,
        name=name if isinstance(name, str) else None,
        status=status.announced,
        since=status.since,
        stale=runner.device.second_hand and runner.state.reach.reach is Reach.OFFLINE,
        flapping=status.flapping,
        streams=tuple(camera.streams or ()) if camera else (),
    )


def sink_views(pumps: Mapping[str, Pump], last: int) -> tuple[SinkView, ...]:
    return tuple(SinkView(name, max(0, last - pump.cursor), pump.failing or None) for name, pump in pumps.items())
