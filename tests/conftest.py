"""What holds for all tests: what is collected, how much hypothesis tries, and that nothing leaves this machine.

A hundred examples of everything; with `HYPOTHESIS_PROFILE=fuzz` (make fuzz), many.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Time is no matter of theirs: a shared machine is slow when it likes, and what has to be quick says so itself.
settings.register_profile("plain", deadline=None)
settings.register_profile(
    "fuzz", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
# The vendor's OpenAPI document is not a part of this project; `.ci/run` says where it is.
collect_ignore = [] if os.environ.get("FLUSSONIC_OPENAPI") else ["integration/test_flussonic_openapi.py"]

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "plain"))

_LOOPBACK_GROUPS = frozenset({"239.255.255.250"})  # WS-Discovery, on the loopback interface
_left: list[str] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
        try:
            inside = ipaddress.ip_address(host).is_loopback or host in _LOOPBACK_GROUPS
        except ValueError:
            inside = host in ("", "localhost")
        if not inside:
            _left.append(host)


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    yield
    hosts, _left[:] = sorted(set(_left)), []
    assert not hosts, f"sent to {hosts}: tests talk to loopback only"
