"""What a simulated device is: a server on loopback that speaks a device's protocol, with switches for its faults.

A driver's package declares its simulator through the entry-point group `device_bridge.simulators`. The contract kit
runs the driver against it, `device-bridge simulate` and `device-bridge demo` make a whole site of them.
A simulator is written from the protocol's documents, never from the driver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from enum import StrEnum
from typing import Any, ClassVar

from bridge.model import Kind


class Fault(StrEnum):
    """What every simulator can be told to do. The value that goes with it stands in brackets."""

    CLOSED = "closed"  # refuses connections
    BLACK_HOLE = "black_hole"  # accepts them, reads, never answers
    DRIP = "drip"  # sends its answer one byte a second
    SLOW = "slow"  # [seconds] answers late
    HALF_ANSWER = "half_answer"  # closes in the middle of an answer
    EMPTY = "empty"  # a reply without a body
    JUNK = "junk"  # bytes that are no protocol at all
    HTML = "html"  # a login page where a reply belongs
    HUGE = "huge"  # a reply of 100 MB
    ENDLESS = "endless"  # a reply that never ends
    ENTITY_BOMB = "entity_bomb"  # nested XML entities, where the protocol is XML
    REDIRECT = "redirect"  # [URL] sends the client to another host
    LOST_REPLY = "lost_reply"  # opens a door when it is asked to, and closes without an answer
    CLOCK_SKEW = "clock_skew"  # [seconds] its clock is that far ahead
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - refuses the password it took before


class Simulator(ABC):
    """One simulated device. Started and stopped on the running event loop; listens on loopback only."""

    driver: ClassVar[str]
    kinds: ClassVar[frozenset[Kind]]

    def __init__(
        self,
        name: str = "sim",
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        username: str = "admin",
        password: str = "s3cret-pass",  # noqa: S107 - a simulated device's
        seed: int = 0,
    ) -> None:
        self.name = name
        self.address = address
        self.port = port  # 0 until start() has found a free one; kept over reboots
        self.username = username
        self.password = password
        self.seed = seed  # two simulators with the same seed say the same of themselves
        self.notify: tuple[str, int] | None = None  # where it sends what it reports over UDP (SNMP traps)
        self.faults: dict[Fault, Any] = {}
        self.seen: Counter[str] = Counter()  # requests by operation; "auth_failed" counts refused credentials
        self.reboots = 0  # since it was made, whoever asked for them

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    def inventory(self) -> dict[str, Any]:
        """The inventory entry that reaches it: driver, address, credentials, the driver's own block. No id."""

    async def inject(self, fault: Fault | str, value: Any = True) -> None:
        """Switch a fault on. The device goes on in that way until `clear`."""
        self.faults[Fault(fault)] = value

    async def clear(self, fault: Fault | str | None = None) -> None:
        """Switch a fault off, or all of them."""
        if fault is None:
            self.faults.clear()
        else:
            self.faults.pop(Fault(fault), None)

    async def reboot(self, seconds: float = 0.0) -> None:
        """Go away for that long and come back as after a power cycle: subscriptions and sessions are gone."""
        raise NotImplementedError

    async def act(self, action: str, **details: Any) -> None:
        """Let something happen in front of it: `motion`, `stream_loss`, ... ValueError for what it has not."""
        raise ValueError(f"{self.driver} simulators know no action {action!r}")

    def configuration(self) -> dict[str, Any]:
        """What is set on it, as JSON could have it and without passwords; empty where nothing can be set."""
        return {}

    def writes(self) -> int:
        """Requests so far that ask it to change a setting, refused ones included. Subscriptions are none."""
        return 0

    def openings(self) -> int:
        """How often its doors have been opened so far, by whomever."""
        return 0

    def registrations(self) -> int:
        """Addresses of others in its configuration that it calls or sends to, whosever; they last over reboots."""
        return 0

    def open_subscriptions(self) -> int:
        """Subscriptions that are alive on the device: what a client must not leak."""
        return 0
