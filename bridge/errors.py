"""The error vocabulary. What a driver raises decides what the bridge does next (`docs/drivers.md`).

Anything a driver raises that is not a `DeviceError` is taken for a bug in the driver: that device is marked
"fault", its stack trace is printed once, and every other device goes on.
"""

from __future__ import annotations

from typing import ClassVar

from bridge.model import Rung

SAMPLE_LIMIT = 2048


class DeviceError(Exception):
    """Something went wrong with one device. `detail` is for people: what happened, without any secret."""

    kind: ClassVar[str] = "device"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unreachable(DeviceError):
    """Refused, timed out or reset. `rung` says how far the way to the device was open."""

    kind = "unreachable"

    def __init__(self, detail: str, rung: Rung = Rung.SILENT) -> None:
        super().__init__(detail)
        self.rung = rung


class AuthFailed(DeviceError):
    """The device answers and refuses the credentials. Never retried quickly: devices lock accounts."""

    kind = "auth_failed"


class Locked(DeviceError):
    """The device says that the account is locked for `seconds` more."""

    kind = "locked"

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.seconds = seconds


class Unsupported(DeviceError):
    """This unit cannot do what was asked: the capability is dropped for it, with one warning."""

    kind = "unsupported"


class Throttled(DeviceError):
    """The device asks to be left alone for `seconds`."""

    kind = "throttled"

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.seconds = seconds


class ProtocolError(DeviceError):
    """The device answered with something its protocol does not allow. `sample` is the start of what it sent."""

    kind = "protocol"

    def __init__(self, detail: str, sample: bytes = b"") -> None:
        super().__init__(detail)
        self.sample = sample[:SAMPLE_LIMIT]


class Rejected(DeviceError):
    """The device understood a change and refused it."""

    kind = "rejected"


class Fault(DeviceError):
    """The driver itself failed: a bug, ours or a third party's. Made by the runner, never raised by a driver."""

    kind = "fault"
