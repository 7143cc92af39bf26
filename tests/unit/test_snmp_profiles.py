"""Profiles are data: all of them are read, none asks too much, and odd values become facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.model import EventKind, Kind
from drivers.host.driver import HostDriver, sample
from drivers.snmp import profiles
from drivers.snmp.values import mac, number, text

README = Path(profiles.__file__).with_name("README.md")


def test_every_profile_is_read_and_told_of() -> None:
    assert {"axis", "hikvision", "dahua", "two_n", "zenitel", "ups", "host", "switch"} <= profiles.load().keys()
    for name in profiles.load():
        assert f"`{name}`" in README.read_text(), name


def test_a_poll_fits_into_one_small_datagram() -> None:
    for name, profile in profiles.load().items():
        assert len(profile.facts) + 1 <= 10, name


def test_no_two_families_claim_the_same_device() -> None:
    objects = [(own, name) for name, profile in profiles.load().items() for own in profile.objects]
    for own, name in objects:
        assert profiles.by_object(own) == name
        assert not any(other != own and other.startswith(f"{own}.") for other, _ in objects)
    assert profiles.by_object("1.3.6.1.4.1.3680.1") is None
    assert profiles.by_object("") is None


@pytest.mark.parametrize(
    ("profile", "trap", "kind", "active"),
    [
        ("dahua", "1.3.6.1.4.1.1004849.2.11.11.3", EventKind.SIGNAL_LOSS, None),
        ("dahua", "1.3.6.1.4.1.1004849.2.11.11.0.3", EventKind.SIGNAL_LOSS, None),  # as v1 has it
        ("axis", "1.3.6.1.4.1.368.4.2.0.2", EventKind.HARDWARE, False),
        ("host", "1.3.6.1.6.3.1.1.5.1", EventKind.REBOOT, None),
        ("switch", "1.3.6.1.6.3.1.1.5.3", EventKind.HARDWARE, True),
        ("ups", "1.3.6.1.6.3.1.1.5.5", EventKind.SYSTEM, None),
    ],
)
def test_what_a_trap_means(profile: str, trap: str, kind: EventKind, active: bool | None) -> None:
    found = profiles.meaning(profile, trap)
    assert found is not None
    assert (found.kind, found.active) == (kind, active)


def test_what_begins_also_ends_under_the_same_name() -> None:
    for name, profile in profiles.load().items():
        ends = {one.topic for one in profile.traps if one.active is False}
        assert ends <= {one.topic for one in profile.traps if one.active is True}, name
    assert profiles.meaning("host", "1.3.6.1.4.1.9.9.9") is None


def test_a_kind_without_a_profile_has_a_generic_one() -> None:
    assert {kind: profiles.generic(kind) for kind in Kind} == dict.fromkeys(Kind, "host") | {Kind.SWITCH: "switch"}


def test_odd_values() -> None:
    assert [number(one) for one in (b"15 PERCENT", "512 MB", b"0.42", -3, 2.5, b"", b"n/a", None)] == [
        15, 512, 0.42, -3, 2.5, None, None, None,
    ]  # fmt: skip
    assert [text(one) for one in (b"Name\0\0", "\x1b[31mred", b"\xff", None)] == ["Name", "[31mred", "\ufffd", ""]
    assert len(text(b"x" * 5000)) == 256
    assert [mac(one) for one in (bytes.fromhex("4419b6123456"), b"44-19-B6-12-34-56", bytes(6), b"", None)] == [
        "44:19:b6:12:34:56", "44:19:b6:12:34:56", None, None, None,
    ]  # fmt: skip


def test_the_host_tells_what_the_kernel_does() -> None:
    assert HostDriver.problem() is None
    taken = sample("192.0.2.5")
    assert taken.address == "192.0.2.5"
    assert 0 < taken.memory_available <= taken.memory_total
    assert 0 <= taken.memory_used < taken.memory_total
    assert taken.load_1 >= 0
