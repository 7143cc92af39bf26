"""The driver contract: what a device family must provide, and what it is handed.

`docs/drivers.md` walks through writing one; `bridge.testing` has the kit that every driver must pass.

Rules, each held by the kit: a driver creates no task, reads no clock but `io.clock`, keeps no module state, logs
only through `io.log`, and does no I/O before `open()`. Every wait inside it has a limit.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import aiohttp
import structlog
from pydantic import BaseModel

from bridge.clock import Clock
from bridge.model import (
    Capability,
    Channel,
    Command,
    Device,
    DeviceEvent,
    Found,
    Identity,
    Kind,
    Reading,
    Result,
    Span,
)
from bridge.secrets import Secret
from bridge.settings.plan import Configuration, Step
from bridge.syslog.message import Line

API_VERSION = 1
BODY_LIMIT = 256 << 10  # bytes that a device may send to its callback at once, unless its driver says otherwise


class Gate:
    """One request in flight to a device, with a minimum gap in seconds between two. Long polls go around it."""

    __slots__ = ("_clock", "_free_at", "_lock", "gap")

    def __init__(self, clock: Clock, gap: float = 0.0) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._free_at = 0.0
        self.gap = gap

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        if self.gap:
            try:
                wait = self._free_at - self._clock.now().mono
                if wait > 0:
                    await self._clock.sleep(wait)
            except BaseException:
                self._lock.release()
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.gap:
            self._free_at = self._clock.now().mono + self.gap
        self._lock.release()


class Memory(Protocol):
    """A few short strings that one device's driver keeps over restarts (a subscription's address, a cursor)."""

    def get(self, key: str) -> str | None: ...

    async def put(self, key: str, value: str | None) -> None:
        """Returns once the value is on disk. None forgets it."""
        ...


class ShortMemory:
    """A `Memory` that lasts as long as the process: for one look at a device, and for tests."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self.values.get(key)

    async def put(self, key: str, value: str | None) -> None:
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """What a device sent to its callback address; size already limited."""

    method: str
    query: str
    content_type: str  # the whole header, parameters included
    body: bytes
    source: str  # the sender's IP address


class Callback(Protocol):
    """A registered callback: the address to hand to the device, with a secret path of its own."""

    @property
    def url(self) -> str: ...

    @property
    def path(self) -> str:
        """The secret in it."""
        ...

    def close(self) -> None: ...


class Callbacks(Protocol):
    """Where devices call the bridge. Only what comes from the device's own address reaches the handler."""

    def register(
        self,
        device: Device,
        handler: Callable[[CallbackRequest], Awaitable[None]],
        *,
        body_limit: int = BODY_LIMIT,
        path: str | None = None,
    ) -> Callback:
        """The handler raises asyncio.QueueFull when it can take no more now (503: the device may send that again),
        and a `DeviceError` for what it cannot read (400). `body_limit` is in bytes; `path` is one that an earlier
        registration got, for devices that keep it."""
        ...


TrapValue = int | str | bytes | None


@dataclass(frozen=True, slots=True)
class Trap:
    """An SNMP trap or inform. `name` is its snmpTrapOID (a v1 trap's as RFC 3584 makes it: enterprise.0.specific);
    object identifiers and addresses are dotted text. `uptime` in hundredths of a second. `agent` is the address of
    the device behind a relay, "" where none is told."""

    name: str
    variables: tuple[tuple[str, TrapValue], ...] = ()
    version: int = 2
    uptime: int | None = None
    agent: str = ""


@dataclass(frozen=True, slots=True)
class SnmpUser:
    """An SNMPv3 user. `auth`: none, md5, sha1, sha224, sha256, sha384, sha512; `privacy`: none, des, aes128, aes192,
    aes256."""

    name: str
    auth: str
    auth_password: Secret
    privacy: str
    privacy_password: Secret


@dataclass(frozen=True, slots=True)
class TrapAccess:
    """What a device's traps must carry to be let in: the community (v1, v2c), the user's signature (v3)."""

    community: Secret | None = None
    user: SnmpUser | None = None


class Registration(Protocol):
    def close(self) -> None: ...


class Traps(Protocol):
    """Where devices send SNMP traps and informs. Only what comes from the device's address, or names it, and carries
    what `access` says reaches the handler; it must not wait, and raises asyncio.QueueFull for what it cannot take."""

    async def register(self, device: Device, access: TrapAccess, handler: Callable[[Trap], None]) -> Registration: ...


class SyslogRegistration(Registration, Protocol):
    """`host` and `port` are what the device is to be told."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class SyslogIntake(Protocol):
    """Where devices send syslog. What comes from the device's address reaches the handler; `name` is the host name in
    its lines, which tells several devices behind one address apart. The handler must not wait, and raises
    asyncio.QueueFull for what it cannot take."""

    async def register(
        self, device: Device, handler: Callable[[Line], None], *, name: str | None = None
    ) -> SyslogRegistration: ...


class DriverIO:
    """Everything a driver may touch, handed in so that tests control it."""

    __slots__ = ("callbacks", "clock", "device_id", "gate", "http", "memory", "random", "syslog", "traps")

    def __init__(
        self,
        *,
        device_id: str,
        http: aiohttp.ClientSession,
        clock: Clock,
        random: random.Random,
        memory: Memory,
        callbacks: Callbacks | None = None,
        traps: Traps | None = None,
        syslog: SyslogIntake | None = None,
    ) -> None:
        self.device_id = device_id
        self.http = http  # shared by all devices; no cookies, no redirects followed
        self.clock = clock
        self.random = random
        self.memory = memory
        self.callbacks = callbacks  # None where the inventory opens no callback listener
        self.traps = traps  # None where the inventory opens no listener for traps
        self.syslog = syslog  # None where the inventory opens no listener for syslog
        self.gate = Gate(clock)

    @property
    def log(self) -> Any:
        # Made when asked for: a bound logger kept for each of thousands of devices costs more than it saves.
        return structlog.get_logger("device").bind(device=self.device_id)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where discovery may look. It never leaves the given interfaces, and never sends credentials."""

    seconds: float = 4.0
    interfaces: tuple[str, ...] = ()  # addresses of local interfaces; empty: the default one
    targets: tuple[str, ...] = ()  # hosts to ask directly, where multicast does not reach


# Hears of a file that is on its way: bytes so far, and bytes in all where the device says how many.
Progress = Callable[[int, int | None], None]

C = TypeVar("C", bound=BaseModel)


class Driver(Generic[C]):
    """One device family. An instance serves one device for as long as its configuration stays the same."""

    name: ClassVar[str]
    api_version: ClassVar[int] = API_VERSION
    stability: ClassVar[str] = "stable"  # or "beta"
    kinds: ClassVar[frozenset[Kind]]
    capabilities: ClassVar[frozenset[Capability]]
    # Its devices tell about cameras that live without them. When such a device is gone, nobody knows how its cameras
    # are, and they keep their last status; behind any other device, an NVR say, they are gone with it.
    second_hand: ClassVar[bool] = False
    Config: ClassVar[type[BaseModel]]
    # With Capability.SETTINGS: every setting that the family can have, by its path (`users.*.role`), and what is done
    # on the wire for it; becomes a table in the docs. Under `vendor.<name>`, what `VendorSettings` says.
    settings: ClassVar[Mapping[str, str]] = {}
    VendorSettings: ClassVar[type[BaseModel] | None] = None

    __slots__ = ("config", "device", "io")

    def __init__(self, device: Device, config: C, io: DriverIO) -> None:
        self.device = device
        self.config = config
        self.io = io

    @classmethod
    def problem(cls) -> str | None:
        """What keeps this driver from working on this machine, and how to mend it (a missing file, say). Asked
        once, when the driver is loaded; must be quick."""
        return None

    async def open(self) -> None:
        """Get ready to talk. Called once, before anything else."""

    async def close(self) -> None:
        """Let go of everything on the device (subscriptions) and here. Safe twice, and without open(). What of ours
        stands in the device's own configuration (an address that it calls) stays, so that a restart changes nothing."""

    async def release(self) -> None:
        """The device leaves the inventory: take everything of ours out of its configuration, and nothing else. Called
        at most once, before close(). Raises `DeviceError`."""

    async def probe(self) -> Identity:
        """Ask who answers and what it can do. Raises `DeviceError`."""
        raise NotImplementedError

    async def poll(self) -> Reading:
        """Ask how the device is. Called over and over. Raises `DeviceError`."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield what the device reports; may be called before the first poll(). When it ends or raises, the runner
        starts it again, backing off."""
        raise NotImplementedError

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        """Ask what a channel of the device is set to in these sections of `Settings`, and what it would take there.
        Writes nothing. A section that this unit does not have is absent. Raises `DeviceError`."""
        raise NotImplementedError

    async def apply(self, channel: Channel, step: Step) -> bool:
        """Write one section, so that the device is as `step.after` says; what it does not speak of stays as it is.
        Doing it twice does no harm. True when it takes a reboot before it holds. Raises `Rejected` with the device's
        own reason, or another `DeviceError`; then it is open how much of the step was done."""
        raise NotImplementedError

    async def recorded(self, channel: Channel, start: int, end: int) -> Sequence[Span]:
        """Where the archive of a channel has video between two times (seconds since the epoch): in order, without
        overlaps, nothing outside of the two. Raises `DeviceError`."""
        raise NotImplementedError

    async def clip(
        self,
        channel: Channel,
        start: int,
        end: int,
        file: Path,
        *,
        progress: Progress,
        deadline: float,
        size_limit: int,
    ) -> int:
        """Have the archive between two times cut, and bring it to `file` as an mp4, chunk by chunk and never wholly in
        memory. Returns its size in bytes; `file` is there wholly or not at all. It may take `deadline` seconds and
        `size_limit` bytes. Polls, commands and other clips go on beside it. Raises `DeviceError`; OSError when the
        disk does not take it."""
        raise NotImplementedError

    async def command(self, command: Command) -> Result:
        """Do something, once, and never again by itself: whoever does not hear the answer must not open a door twice.
        Raises `Rejected`, `Unsupported`, or another `DeviceError`."""
        raise NotImplementedError

    @classmethod
    def discover(cls, scope: Scope) -> AsyncIterator[Found]:
        """Yield devices of this family that are there. Passive where the family allows it."""
        raise NotImplementedError


AnyDriver = Driver[Any]
