"""What the simulator reads: durations, date-times, Digest headers. Properties, by hypothesis."""

from __future__ import annotations

import os
import random
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone

import isodate
import pytest
from aiohttp.client_middleware_digest_auth import parse_header_pairs
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.testing.digest import DigestServer, Verdict, parse_digest
from drivers.onvif.simulated import quirks
from drivers.onvif.simulated.events import Filter
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.times import (
    format_datetime,
    format_duration,
    format_unpadded,
    parse_datetime,
    parse_duration,
)
from drivers.onvif.simulated.zones import parse_zone

AMOUNT = st.none() | st.integers(0, 10_000)


@given(AMOUNT, AMOUNT, AMOUNT, st.none() | st.decimals(0, 10_000, places=3))
def test_durations_are_read_as_isodate_reads_them(
    days: int | None, hours: int | None, minutes: int | None, seconds: object
) -> None:
    date = "" if days is None else f"{days}D"
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n is not None)
    assume(date or time)
    text = f"P{date}{'T' if time else ''}{time}"
    assert parse_duration(text) == pytest.approx(isodate.parse_duration(text).total_seconds())


@given(st.floats(0, 1e7).map(lambda seconds: round(seconds, 3)))
def test_durations_come_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "seconds"), [("P1Y", 31_536_000), ("P1M", 2_592_000), ("PT1M", 60), (" PT0S\n", 0)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1S", "-PT5S", "PT-5S", "PT5", "P5S", "PT1.S", "PT٣S", "PT1H1H"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.text(max_size=60))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    for parser in (parse_duration, parse_datetime):
        try:
            parser(text)
        except ValueError:
            continue


@given(st.integers(86_400, 7_000_000_000), st.integers(-14 * 60, 14 * 60))
def test_date_times_are_read_in_any_zone(epoch: int, minutes: int) -> None:
    aware = datetime.fromtimestamp(epoch, timezone(timedelta(minutes=minutes)))
    assert parse_datetime(aware.isoformat()) == aware.timestamp()
    assert parse_datetime(format_datetime(aware.timestamp())) == aware.timestamp()


@pytest.mark.parametrize("text", ["2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "2026-1-1T0:0:0Z"])
def test_no_date_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_datetime(text)


def test_nanoseconds_and_the_format_without_zeros() -> None:
    assert parse_datetime("1970-01-01T00:00:01.500000000Z") == 1.5
    assert format_unpadded(parse_datetime("2026-01-01T00:00:00Z")) == "2026-1-1T0:0:0Z"


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_digest_headers_are_read_as_they_were_written(values: dict[str, str]) -> None:
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()}
    header = "Digest " + ", ".join(f'{name}="{value}"' for name, value in quoted.items())
    assert parse_digest(header) == values


@given(st.dictionaries(NAMES, st.text(string.ascii_letters + string.digits, min_size=1, max_size=12), min_size=1))
def test_digest_headers_are_read_as_aiohttp_reads_them(values: dict[str, str]) -> None:
    rest = ", ".join(f"{name}={value}" for name, value in values.items())
    assert parse_digest(f"Digest {rest}") == parse_header_pairs(rest)


@given(st.text(max_size=200))
def test_any_text_is_a_digest_header_or_a_value_error(text: str) -> None:
    for header in (text, f"Digest {text}"):
        try:
            parse_digest(header)
        except ValueError:
            continue


@given(st.text(max_size=100))
def test_no_text_gets_past_the_digest_check(text: str) -> None:
    server = DigestServer("r", ("MD5",), 60, lambda: 0.0, random.Random(1))
    assert server.check(f"Digest {text}", "POST", "/", "admin", "x") is Verdict.REFUSED


def test_two_of_one_parameter_are_refused() -> None:
    with pytest.raises(ValueError, match="two of 'nc'"):
        parse_digest("Digest nc=1, nc=2")


def test_topic_filters() -> None:
    topic = "tns1:RuleEngine/CellMotionDetector/Motion"
    assert Filter([]).matches(topic)
    assert Filter([topic]).matches(topic)
    assert Filter(["x:RuleEngine/CellMotionDetector/Motion"]).matches(topic)
    assert Filter(["tns1:RuleEngine//."]).matches(topic)
    assert Filter(["tns1:VideoSource//.|tns1:RuleEngine//."]).matches(topic)
    assert not Filter(["tns1:RuleEngine"]).matches(topic)
    assert not Filter(["tns1:Rule//."]).matches(topic)
    assert not Filter([topic, "tns1:Device//."]).matches("tns1:VideoSource/MotionAlarm")


def test_quirks_are_named() -> None:
    assert quirks.parse(["no_renew"]) == {Quirk.NO_RENEW}
    with pytest.raises(ValueError, match="no quirk 'no_renw': did you mean 'no_renew'"):
        quirks.parse(["no_renw"])


# --- time zones

ZONES = (
    *("UTC0", "CST-8", "EST5", "NST3:30", "<+0330>-3:30", "MSK-3", "IST-5:30:00"),
    *("CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "AEST-10AEDT,M10.1.0,M4.1.0/3"),
    *("GMT0BST,J60/1,J300/2", "WET0WEST-1,59,300/1:30", "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1"),
)


@contextmanager
def local_time(zone: str) -> Iterator[None]:
    """The C library in that zone: who else reads POSIX zones."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@pytest.mark.parametrize("text", ZONES)
def test_a_zone_is_what_the_c_library_makes_of_it(text: str) -> None:
    zone = parse_zone(text)
    with local_time(text):
        for year in (2011, 2024, 2025, 2031):
            begin = datetime(year, 1, 1, tzinfo=timezone(timedelta())).timestamp()
            for hour in range(0, 366 * 24, 5):
                at = begin + 3600 * hour + 60
                assert zone.offset(at, daylight=True) == time.localtime(at).tm_gmtoff, time.ctime(at)
                assert zone.offset(at, daylight=False) == zone.standard


def test_a_zone_without_rules_has_those_of_the_united_states() -> None:
    assert parse_zone("XST5XDT") == parse_zone("XST5XDT,M3.2.0,M11.1.0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CET",
        "Europe/Paris",
        "CE-1",
        "GMT+08:00 ",
        "CET-25",
        "CET-1:60",
        "CET-1CEST,M13.1.0,M10.5.0",
        "A" * 99,
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,J0,J300",
        "CET-1CEST,366,1",
    ],
)
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        parse_zone(text)


@given(st.text("CESTMJ0123456789.,/+-:<>", max_size=40) | st.from_regex(r"\A[A-Z]{3}-?\d+[A-Z]{3},.{1,9},.{1,9}\Z"))
def test_zones_never_fail_otherwise(text: str) -> None:
    with suppress(ValueError):
        assert abs(parse_zone(text).offset(1.9e9, daylight=True)) <= 26 * 3600
