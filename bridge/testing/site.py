"""A site of simulated devices in this process, its inventory, and a scenario in which things happen by themselves.

async with SimulatedSite(cameras=20, seed=1) as site:
    Path("site.yaml").write_text(site.inventory_yaml())
    await site.scenario(SystemClock())  # until it is cancelled
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
import yaml

from bridge import registry
from bridge.clock import Clock
from bridge.model import Kind
from bridge.testing.simulator import Fault, Simulator

# Open files of one device: two for each of two ports, and connections for polls, events and streams.
FILES_PER_DEVICE = 8
_FILES_FOR_THE_REST = 256
_PREFIX = {Kind.CAMERA: "cam", Kind.INTERCOM: "door", Kind.SERVER: "nvr", Kind.SWITCH: "switch"}
_PLACES = (
    "Main gate",
    "Lobby",
    "Lift hall",
    "Car park",
    "Courtyard",
    "Stairwell",
    "Playground",
    "Loading dock",
    "Roof",
    "Corridor",
)


class SiteError(Exception):
    """The site cannot be made; the text says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One device of a site."""

    id: str
    name: str
    kind: Kind
    simulator: Simulator


class SimulatedSite:
    """Many simulated devices, one port each, all of whose choices come from `seed`.

    It begins with `cameras` cameras of `driver`; `options` go to the simulator of each. `add` puts in others.
    """

    def __init__(
        self, cameras: int = 0, *, seed: int = 1, driver: str = "onvif", site: str = "simulated", **options: Any
    ) -> None:
        self.id = site
        self.seed = seed
        self.members: dict[str, Member] = {}
        self._digits = max(2, len(str(cameras)))
        self._counts: Counter[Kind] = Counter()
        for _ in range(cameras):
            self.add(driver, **options)

    def add(self, driver: str, *, kind: Kind = Kind.CAMERA, name: str | None = None, **options: Any) -> Member:
        """Put in one more device, before `start`. KeyError for a driver without a simulator.

        `options` are the simulator's; the kind is handed on where it is not the camera that every simulator can be.
        """
        self._counts[kind] += 1
        number = self._counts[kind]
        place = _PLACES[(number - 1) % len(_PLACES)]
        member_name = name or f"{place} {math.ceil(number / len(_PLACES))}"
        if kind is not Kind.CAMERA:
            options["kind"] = kind
        simulator = registry.load_simulator(driver)(
            member_name, seed=self.seed * 1_000_003 + len(self.members), **options
        )
        member = Member(f"{_PREFIX[kind]}-{number:0{self._digits}d}", member_name, kind, simulator)
        self.members[member.id] = member
        return member

    def add_panels(self, count: int, families: Sequence[str] = ()) -> None:
        """Put in so many intercom panels, of every family (or of these) in turn."""
        families = families or registry.panel_simulators()
        for number in range(count):
            self.add(families[number % len(families)], kind=Kind.INTERCOM, address=_own_address(number))

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members.values())

    async def start(self) -> None:
        """Start every device; none runs when one cannot. SiteError, OSError."""
        ensure_open_files(len(self.members))
        try:
            for member in self:
                await member.simulator.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        for member in self:
            await member.simulator.stop()

    async def __aenter__(self) -> SimulatedSite:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- the inventory

    def inventory(self) -> dict[str, Any]:
        """The `sites:` and `devices:` of an inventory that reaches all of it. Call it once the site has started."""
        cameras, panels = itertools.count(1), itertools.count(1)
        return {
            "sites": [{"id": self.id, "name": "Simulated site"}],
            "devices": [self._entry(member, cameras, panels) for member in self],
        }

    def _entry(self, member: Member, cameras: Iterator[int], panels: Iterator[int]) -> dict[str, Any]:
        said = member.simulator.inventory()
        entry: dict[str, Any] = {"id": member.id, "name": member.name, "site": self.id, **said}
        if "channels" in said:
            entry["channels"] = [
                {**channel, "vms": _camera_fields(next(cameras), f"{member.name}, channel {number}")}
                for number, channel in enumerate(said["channels"], 1)
            ]
        elif member.kind is Kind.INTERCOM:
            entry["vms"] = {"id": next(panels), "name": member.name}
        elif member.kind is Kind.CAMERA:
            entry["vms"] = _camera_fields(next(cameras), member.name)
        return entry

    def inventory_yaml(self) -> str:
        """The same as YAML text, to be used as a configuration file."""
        return yaml.safe_dump(self.inventory(), sort_keys=False, allow_unicode=True)

    # --- what happens

    async def scenario(self, clock: Clock, *, pace: float = 1.5) -> None:
        """Let things happen until cancelled: about one in `pace` seconds, each over after a while.

        The first three are motion, a lost stream and a camera that goes away, so that nobody waits for them. What
        is still going on at the end is ended then.
        """
        rng = random.Random(f"site scenario {self.seed}")
        log = structlog.get_logger("site")
        going_on: list[tuple[float, int, _Running]] = []
        begun = 0
        begin_at = clock.now().mono + rng.uniform(0.3, 0.8)
        try:
            while True:
                due = min(begin_at, going_on[0][0]) if going_on else begin_at
                await clock.sleep(max(0.0, due - clock.now().mono))
                now = clock.now().mono
                while going_on and going_on[0][0] <= now:
                    await heapq.heappop(going_on)[2].end(log)
                if begin_at <= now:
                    running = await self._begin(rng, begun, [one for _, _, one in going_on], log)
                    if running is not None:
                        begun += 1
                        end_at = now + rng.uniform(*running.incident.lasts)
                        heapq.heappush(going_on, (end_at, begun, running))
                    begin_at = now + rng.uniform(0.4, 1.6) * pace
        finally:
            for _, _, running in going_on:
                await running.end(log)

    async def _begin(self, rng: random.Random, turn: int, going_on: list[_Running], log: Any) -> _Running | None:
        busy = {running.member.id for running in going_on}
        # What somebody else has broken is left alone.
        free = [member for member in self if member.id not in busy and not member.simulator.faults]
        # Most of a site is well at any time.
        if not free or len(busy) > len(self.members) // 2:
            return None
        member = rng.choice(free)
        possible = [one for one in INCIDENTS if member.kind is Kind.INTERCOM or not one.at_panels]
        incident = (
            INCIDENTS[turn]
            if turn < len(_FIRST)
            else rng.choices(possible, weights=[one.weight for one in possible])[0]
        )
        running = _Running(member, incident, incident.details(rng))
        return running if await running.begin(log) else None


def _own_address(number: int) -> str:
    """An address of loopback for a panel alone, from which it reports, too: lines of syslog are known by it. Only Linux
    has all of them without being asked."""
    return f"127.1.{number // 250}.{number % 250 + 1}" if sys.platform == "linux" else "127.0.0.1"


def _camera_fields(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "name": name, "group_id": 1 + (number - 1) // 10}


def ensure_open_files(devices: int) -> None:
    """Make room for that many devices' sockets: raises the soft limit as far as needed. SiteError if it cannot."""
    needed = devices * FILES_PER_DEVICE + _FILES_FOR_THE_REST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SiteError(
            f"{devices} simulated devices need {needed} open files, and this process may have {hard}: "
            "raise the limit (ulimit -Hn, LimitNOFILE= of a service), or simulate fewer"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# --- incidents


Details = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happens to one device and passes. `lasts` is from-to in seconds."""

    begins: str  # for the log
    ends: str
    weight: int
    lasts: tuple[float, float]
    details: Callable[[random.Random], Details] = lambda rng: {}
    action: str = ""  # of `Simulator.act`; otherwise it is the fault
    switch: str = "active"  # the detail that is true at first and false in the end; "" where it is over at once
    fault: Fault | None = None
    at_panels: bool = False  # not at cameras
    reboots: bool = False  # it comes back as after a power cycle


@dataclass(frozen=True, slots=True)
class _Running:
    member: Member
    incident: Incident
    details: Details

    async def begin(self, log: Any) -> bool:
        """False when a device of its family cannot do that."""
        incident, simulator = self.incident, self.member.simulator
        if incident.fault is not None:
            await simulator.inject(incident.fault, self.details.get("value", True))
        else:
            try:
                await simulator.act(incident.action, **self.details, **self._switched(True))
            except (ValueError, TypeError):
                return False  # not at all, or not with these details
        log.info(incident.begins, device=self.member.id, name=self.member.name, **self.details)
        return True

    async def end(self, log: Any) -> None:
        incident, simulator = self.incident, self.member.simulator
        if incident.fault is not None:
            await simulator.clear(incident.fault)
            if incident.reboots:
                await simulator.reboot()
        else:
            if incident.switch:
                await simulator.act(incident.action, **self.details, **self._switched(False))
        log.info(incident.ends, device=self.member.id, name=self.member.name, **self.details)

    def _switched(self, on: bool) -> Details:
        return {self.incident.switch: on} if self.incident.switch else {}


def _stream(rng: random.Random) -> Details:
    return {"stream": rng.choice(("high", "low"))}


def _late(rng: random.Random) -> Details:
    return {"value": round(rng.uniform(0.5, 3.0), 1)}


_FIRST = (
    Incident("motion began", "motion ended", 40, (1.5, 6.0), action="motion"),
    Incident("stream lost", "stream is back", 15, (5.0, 15.0), _stream, action="stream_loss", switch="on"),
    Incident("device went away", "device is back", 12, (8.0, 25.0), fault=Fault.CLOSED),
)
INCIDENTS = (
    *_FIRST,
    Incident("power failed", "device has rebooted", 6, (6.0, 20.0), fault=Fault.CLOSED, reboots=True),
    Incident("device hangs", "device answers again", 5, (5.0, 20.0), fault=Fault.BLACK_HOLE),
    Incident("device is slow", "device is quick again", 6, (5.0, 15.0), _late, fault=Fault.SLOW),
    Incident("picture covered", "picture is clear", 5, (3.0, 10.0), action="tamper"),
    Incident("video signal lost", "video signal is back", 3, (4.0, 12.0), action="signal_loss"),
    Incident("input closed", "input opened", 5, (1.0, 5.0), action="input"),
    Incident("relay on", "relay off", 2, (1.0, 5.0), action="relay"),
    Incident("key shown", "door is closed", 25, (2.0, 4.0), action="card", switch="", at_panels=True),
    Incident("memory card failed", "memory card works", 1, (10.0, 30.0), action="storage_failure"),
)
