"""What flows through the bridge: devices in, readings and events from them, transitions out.

Frozen, small, and free of any vendor. Times are `Instant`s or seconds since the epoch; see `bridge.clock`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from bridge.secrets import Secret

Fact = str | int | float | bool | None


class Kind(StrEnum):
    """What a device is to the VMS. A media server or an NVR is a `server` that carries cameras as channels."""

    CAMERA = "camera"
    INTERCOM = "intercom"
    SERVER = "server"
    SWITCH = "switch"


class Capability(StrEnum):
    """What a driver, or one unit, can do. A claim is tested both ways by the contract kit (`docs/drivers.md`)."""

    STREAMS = "streams"  # poll() reports streams
    EVENTS = "events"  # events() yields
    DISCOVER = "discover"  # discover() finds devices nobody listed
    SETTINGS = "settings"  # read_settings() and apply()
    ARCHIVE = "archive"  # recorded() and clip()
    REBOOT = "reboot"  # command(): starts anew
    OPEN_DOOR = "open_door"  # command(): opens a door; argument `output`
    SNAPSHOT = "snapshot"  # command(): a picture
    POWER_CYCLE = "power_cycle"  # command(): takes the power from one port and gives it back; argument `port`


# What `command()` can be asked for.
COMMANDS = frozenset({Capability.REBOOT, Capability.OPEN_DOOR, Capability.SNAPSHOT, Capability.POWER_CYCLE})


class Rung(IntEnum):
    """How far the way to a device is open. Each rung includes those below it."""

    SILENT = 0  # nothing comes back
    REACHABLE = 1  # a TCP connection is accepted
    ANSWERING = 2  # it speaks its protocol
    READY = 3  # it accepts our credentials


class CameraStatus(StrEnum):
    """The VMS's words for a camera (contract, "the camera resource")."""

    EMPTY = "empty"
    INITIAL = "initial"
    ACTIVE = "active"
    PARTIAL = "partial"
    INACTIVE = "inactive"


class IntercomStatus(StrEnum):
    """The VMS's words for an intercom panel (contract, "Intercom status")."""

    EMPTY = "empty"
    INITIAL = "initial"
    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Policy:
    """How a device is watched. Shared by all devices with the same values. Durations in seconds."""

    poll: float = 30.0
    offline_failures: int = 3
    offline_after: float = 30.0
    retry_cap: float = 60.0
    auth_retry: float = 600.0
    flap_damping: bool = True
    alarm_max: float = 60.0


@dataclass(frozen=True, slots=True)
class Channel:
    """One camera or panel of a device, as the VMS knows it.

    A plain camera or panel has exactly one, with the key "". An NVR or a media server has one for each
    camera behind it; `source` is then what the device calls it (an ONVIF video source token, a stream name).
    `vms` holds the VMS's own fields of the resource, keys as on the wire; `vms["id"]` is its id there.
    """

    key: str = ""
    source: str | None = None
    streams: tuple[str, ...] = ()  # tokens or names picked by the inventory, high first; empty: the driver picks
    vms: Mapping[str, Any] = field(default_factory=dict)
    service: str | None = None  # the VMS's word for what it is used as; templates are chosen by it


@dataclass(frozen=True, slots=True)
class PowerCycle:
    """The remedy for a camera that stays away: its port's power is taken and given back. `after` in seconds offline,
    at most `per_day` times in any 24 hours."""

    after: float
    per_day: int


@dataclass(frozen=True, slots=True)
class Uplink:
    """Where a device is plugged in: a device of the inventory that is a switch, and a port of it. Without a remedy the
    port is only looked at."""

    switch: str
    port: int
    power_cycle: PowerCycle | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One entry of the inventory, complete: inheritance resolved, secrets resolved.

    `config` is the driver's own part, already validated by the driver's `Config` model. `fingerprint` is a
    digest of everything here, secrets included: a reload restarts the device when it differs.
    """

    id: str
    kind: Kind
    driver: str
    address: str
    name: str = ""
    site: str | None = None
    group: str | None = None
    credentials: Credentials | None = None
    channels: tuple[Channel, ...] = (Channel(),)
    policy: Policy = Policy()
    uplink: Uplink | None = None
    config: Any = None
    second_hand: bool = False  # its driver's: see `bridge.driver.Driver.second_hand`
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answered, by its own word. `capabilities` are those that this very unit turned out to have."""

    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    hardware: str = ""
    macs: tuple[str, ...] = ()  # lower case, colons
    capabilities: frozenset[Capability] = frozenset()


@dataclass(frozen=True, slots=True)
class Stream:
    """One video stream of a channel. `up` is None when nothing was asked that could tell."""

    name: str  # the device's token or name
    up: bool | None
    uri: str = ""  # never with credentials
    detail: str = ""  # why it is down, for people


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a switch. `link` is None when the switch does not tell; `power` is its word for the state of PoE
    (delivering, searching, disabled, fault, ...), "" where it gives none."""

    link: bool | None = None
    power: str = ""


@dataclass(frozen=True, slots=True)
class ServerSample:
    """How loaded a server is: loads in percent of all its cores, memory in bytes. None for what it does not tell.
    `address` is the IP address that it was asked at. `memory_used` is what its processes hold, without buffers and
    caches; `memory_available` what they could still get."""

    address: str
    cpu_count: int
    load_1: float
    load_5: float | None
    load_15: float | None
    memory_total: int
    memory_available: int
    memory_used: int


@dataclass(frozen=True, slots=True)
class JobSample:
    """One stream that an analytics process works on. `started` in seconds since the epoch, `uptime` in seconds."""

    frame_rate: float
    started: int
    status: str
    stream: str
    uptime: int
    camera: int
    can_restart: bool


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """How an analytics process is: CPU in percent, memory in bytes, traffic in bytes a second; `jobs` by their id."""

    process: str
    cores: int
    cpu: float
    memory_used: int
    memory_total: int
    bytes_in: int
    bytes_out: int
    jobs: Mapping[str, JobSample]


Sample = ServerSample | ProcessSample


@dataclass(frozen=True, slots=True)
class Reading:
    """What one poll found. `streams` maps channel keys to their streams, high first; a channel that is not in
    it keeps what was known. `facts` are named values for people: clock offset in seconds, SIP registered, ...
    The fact `uptime`, in seconds, tells a restart when it goes back. `ports` are those of a switch, by their numbers in
    the inventory. Each of `samples` is one push. `mark` is whatever names the unit and its firmware, where the poll
    sees that anyway: when it changes, the device is identified anew.
    """

    rung: Rung
    streams: Mapping[str, tuple[Stream, ...]] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    ports: Mapping[int, Port] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    mark: str = ""


class EventKind(StrEnum):
    """What an event means. Drivers map the device's own names to these; VENDOR passes on what nobody knows."""

    MOTION = "motion"
    TAMPER = "tamper"
    SIGNAL_LOSS = "signal_loss"  # active: the channel's video is gone
    INPUT = "input"
    RELAY = "relay"
    DOOR = "door"  # active: it is open; data: state (open, closed, forced, held)
    # active: unlocked; momentary where the device only tells that it opens. data: by (card, code, face, button, call,
    # dtmf, handset, api, schedule), apartment
    LOCK = "lock"
    CALL = "call"  # momentary; data: state (ringing, answered, missed, ended), apartment, peer
    ACCESS = "access"  # momentary; somebody showed a key; data: by, granted (true, false), credential, apartment, user
    ANALYTICS = "analytics"  # line crossed, object inside, ...
    HARDWARE = "hardware"  # fan, power supply, storage, temperature
    REBOOT = "reboot"
    CLOCK = "clock"
    CONFIG_CHANGED = "config_changed"
    SYSTEM = "system"
    STREAM = "stream"  # a stream began or ended, by the device's word: a hint to look, not yet the truth
    RESYNC = "resync"  # from the driver: a new subscription began, conditions told before it are hearsay
    VENDOR = "vendor"


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """One message from a device.

    `active` is the new value of a condition (motion began, ended), or None for something momentary. `initial`
    marks a state that the device repeats on request (ONVIF PropertyOperation "Initialized"), as opposed to a
    change of it; `replayed` one that happened a while ago and that the device had kept: it goes into the record, and
    nobody acts on it; `hint` one that anybody could have sent in its name (a trap): it goes into the record, and the
    device is asked now how it is. `source_time` is the device's own clock, seconds since the epoch, or None where it
    gave none that can be read. `topic` and `data` are what the device said.
    """

    kind: EventKind
    channel: str | None = None  # the channel's key; None when it concerns the whole device
    source: str = ""  # what the device names as the origin: a source token, an input number, a rule
    active: bool | None = None
    initial: bool = False
    replayed: bool = False
    hint: bool = False
    source_time: float | None = None
    topic: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Video without a break; seconds since the epoch."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a device is asked to do, once. `action` is one of `COMMANDS`."""

    action: Capability
    channel: str | None = None  # the channel's key; None when it concerns the whole device
    arguments: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a command. `detail` is for people; `data` a picture, for one."""

    detail: str = ""
    data: bytes = b""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A device that discovery saw. Nothing was asked of it that needs a password."""

    driver: str
    address: str
    port: int | None = None
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    endpoint: str = ""  # ONVIF endpoint reference; stays the same when the address changes
    extra: Mapping[str, str] = field(default_factory=dict)  # further fields of the driver's own block
