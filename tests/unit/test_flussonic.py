"""The words of a Flussonic server: streams judged, batches taken in, ranges read. Pure."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ProtocolError
from bridge.jobs.clips import gaps
from bridge.model import Channel, EventKind, Span, Stream
from drivers.flussonic import events
from drivers.flussonic.archive import merged, playback_token, ranges_of
from drivers.flussonic.config import FlussonicConfig
from drivers.flussonic.events import MEANINGS, NOISE, Inbox
from drivers.flussonic.streams import Listed, Wanted, judged, wanted

# -- which streams a camera has --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "config", "expected"),
    [
        (Channel("yard", "cam-9"), {}, ["cam-9"]),
        (Channel("yard"), {}, ["yard"]),
        (Channel("yard", "cam-9", ("a", "b")), {"low": "{key}-low"}, ["a", "b"]),
        (Channel("yard", "cam-9"), {"high": "{key}", "low": "{key}-low"}, ["yard", "yard-low"]),
        (Channel("yard", "site/9"), {"high": "{source}/hd", "low": "{source}/sd"}, ["site/9/hd", "site/9/sd"]),
        (Channel("yard"), {"high": "live/{{{key}}}"}, ["live/{yard}"]),
    ],
)
def test_names_of_streams(channel: Channel, config: dict[str, Any], expected: list[str]) -> None:
    assert [one.name for one in wanted(channel, FlussonicConfig(**config))] == expected


def listed(alive: bool | None = True, status: str = "running", disabled: bool = False, static: bool = True) -> Listed:
    return Listed(alive, status, disabled, static)


UPS = [
    (listed(), True),
    (listed(True, "error"), True),  # the source has just failed, frames are younger than 12 s: a fallback may come
    (listed(False, "error"), False),
    (listed(False, "running"), False),
    (listed(False, "waiting"), False),  # nobody publishes it
    (listed(False, "waiting", static=False), True),  # on demand
    (listed(None, "waiting", static=False), True),
    (listed(False, "error", static=False), False),
    (listed(False, "", static=False), True),  # up to version 21 there is no status
    (listed(False, "", static=True), False),
    (listed(True, ""), True),
    (listed(None, "running"), True),
    (listed(None, "error"), False),
    (listed(None, ""), None),
    (None, False),
]


@pytest.mark.parametrize(("said", "up"), UPS)
def test_what_the_server_says_of_a_stream(said: Listed | None, up: bool | None) -> None:
    found = {} if said is None else {"s": said}
    (stream,) = judged((Wanted("s"),), found, settling=False)
    assert stream.up is up
    assert stream.detail or up, "what is not up has a reason"


@pytest.mark.parametrize(("said", "up"), UPS)
def test_after_a_start_nothing_is_down(said: Listed | None, up: bool | None) -> None:
    (stream,) = judged((Wanted("s"),), {} if said is None else {"s": said}, settling=True)
    assert stream.up is (None if up is False else up)


def test_streams_that_are_switched_off_are_none() -> None:
    names = (Wanted("high"), Wanted("low"))
    assert judged(names, {"high": listed(), "low": listed(False, "error", True)}, settling=False) == (
        Stream("high", True),
    )
    off = listed(False, "error", disabled=True)
    assert judged(names, {"high": off, "low": off}, settling=False) == ()


def test_a_low_stream_of_a_pattern_may_be_missing_and_one_that_is_listed_may_not() -> None:
    found = {"high": listed()}
    assert len(judged((Wanted("high"), Wanted("low", optional=True)), found, settling=False)) == 1
    assert [one.up for one in judged((Wanted("high"), Wanted("low")), found, settling=False)] == [True, False]


# -- events ----------------------------------------------------------------------------------------------------------


def batch(*items: dict[str, Any]) -> bytes:
    return json.dumps(items).encode()


def lost(number: int, media: str = "cam-1", at: int = 1_732_365_000_123) -> dict[str, Any]:
    return {"event": "source_closed", "event_id": number, "utc_ms": at, "media": media}


def drain(inbox: Inbox) -> list[events.Event]:
    found = []
    while (one := inbox.pop()) is not None:
        found.append(one)
    return found


def test_what_is_sent_again_is_taken_once() -> None:
    inbox = Inbox()
    inbox.take_in(batch(lost(1), lost(2)))
    inbox.take_in(batch(lost(1), lost(2), lost(3)))
    assert len(drain(inbox)) == 3
    assert inbox.repeated == 2
    # After a restart the numbers begin anew: the same number at another time is another event.
    inbox.take_in(batch(lost(1, at=1_732_365_999_000)))
    assert len(drain(inbox)) == 1


def test_events_without_numbers_are_known_by_what_they_say() -> None:
    inbox = Inbox()
    old = {"event": "source_lost", "media": "cam-1", "utc_ms": 5}
    inbox.take_in(batch(old, old, {**old, "media": "cam-2"}, {**old, "utc_ms": 6}))
    assert len(drain(inbox)) == 3


def test_a_full_inbox_takes_a_batch_wholly_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "QUEUE", 10)
    inbox = Inbox()
    inbox.take_in(batch(*map(lost, range(8))))
    with pytest.raises(asyncio.QueueFull):
        inbox.take_in(batch(*map(lost, range(100, 105))))
    assert len(drain(inbox)) == 8
    inbox.take_in(batch(*map(lost, range(100, 105))))
    assert len(drain(inbox)) == 5, "what was refused is not taken for a repetition when it comes again"
    inbox.take_in(batch(*map(lost, range(200, 250))))
    assert len(drain(inbox)) == 50, "a batch that is larger than the queue gets in when the queue is empty"


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REMEMBERED", 100)
    inbox = Inbox()
    for number in range(1000):
        inbox.take_in(batch(lost(number)))
    assert len(inbox._seen) == 100


def test_noise_is_counted() -> None:
    inbox = Inbox()
    inbox.take_in(batch(*({"event": name, "event_id": n} for n, name in enumerate(sorted(NOISE)))))
    assert (len(drain(inbox)), inbox.ignored) == (0, len(NOISE))
    assert not NOISE & MEANINGS.keys()


@pytest.mark.parametrize(
    "url", ["rtsp://admin:pa/ss@10.0.0.7/s1", "rtsp://admin:p@ss@10.0.0.7/s1", "http://10.0.0.7/s1?user=admin&pwd=pass"]
)
def test_no_password_of_a_camera_comes_through(url: str) -> None:
    inbox = Inbox()
    inbox.take_in(batch({**lost(1), "url": url, "reason": {"tried": [url], "why": "timeout"}}))
    (event,) = drain(inbox)
    said = json.dumps(dict(event.data))
    assert "10.0.0.7/s1" in said
    assert "timeout" in said
    assert not any(word in said for word in ("pass", "pa/ss", "p@ss", "ss@", "admin"))


@pytest.mark.parametrize("body", [b"", b"{", b"1", b'"x"', b"[1]", b"[{}]", b'[{"event": 5}]', b"[" * 100_000])
def test_a_body_that_is_no_batch(body: bytes) -> None:
    inbox = Inbox()
    with pytest.raises(ProtocolError):
        inbox.take_in(body)
    assert len(inbox) == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["event", "media", "utc_ms", "event_id", "url", "x"]), JSON), max_size=5)
)
def test_any_json_is_taken_or_refused(items: list[dict[str, Any]]) -> None:
    inbox = Inbox()
    try:
        inbox.take_in(json.dumps(items).encode())
    except ProtocolError:
        assert len(inbox) == 0
        return
    for one in drain(inbox):
        assert all(isinstance(text, str) and len(text) <= 256 for pair in one.data.items() for text in pair)


def test_legacy_and_current_names_mean_the_same() -> None:
    began = {name for name, one in MEANINGS.items() if one.kind is EventKind.STREAM and one.up}
    ended = {name for name, one in MEANINGS.items() if one.kind is EventKind.STREAM and not one.up}
    assert began >= {"source_started", "source_ready", "stream_started"}
    assert ended >= {"source_closed", "source_lost", "stream_closed", "stream_stopped"}


# -- the archive -----------------------------------------------------------------------------------------------------


def test_the_three_shapes_of_recording_status() -> None:
    expected = [Span(1000.0, 1060.0)]
    assert ranges_of([{"stream": "ort", "ranges": [{"duration": 60, "from": 1000}], "locks": []}], "ort") == expected
    assert ranges_of({"ort": {"from": 1000, "to": 1060}}, "ort") == expected
    info = {"from": 1000, "duration": 60, "depth": 86400, "bytes": 1, "ranges": [{"from": 1000, "duration": 60}]}
    assert ranges_of(info, "ort") == expected
    assert ranges_of({key: info[key] for key in ("from", "duration")}, "ort") == expected
    assert ranges_of([{"stream": "other", "ranges": [{"duration": 60, "from": 1000}]}], "ort") == []
    assert ranges_of({}, "ort") == []


@pytest.mark.parametrize("answer", ["x", 5, {"error": "not_found"}])
def test_another_shape_is_an_error(answer: Any) -> None:
    with pytest.raises(ProtocolError):
        ranges_of(answer, "ort")


RANGES = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(1, 100)).map(lambda pair: Span(pair[0], pair[0] + pair[1])),
    max_size=12,
)


@given(RANGES, st.integers(0, 500), st.integers(3, 500))
def test_ranges_and_gaps_fill_the_period(found: list[Span], start: int, length: int) -> None:
    end = start + length
    whole = merged(found)
    assert list(whole) == sorted(whole, key=lambda one: one.start)
    assert all(later.start - sooner.end > 2.0 for sooner, later in itertools.pairwise(whole))
    missing = gaps(whole, start, end)
    for one in missing:
        assert start <= one.start < one.end <= end
        assert not any(had.start < one.end and one.start < had.end for had in whole)
    for second in range(start, end):
        inside = Span(second, second + 1)
        recorded = any(had.start <= inside.start and inside.end <= had.end for had in found)
        told_missing = any(one.start <= inside.start and inside.end <= one.end for one in missing)
        assert not (recorded and told_missing)


def test_nothing_recorded_is_one_gap() -> None:
    assert gaps((), 100, 200) == (Span(100, 200),)
    assert gaps((Span(50, 99.5),), 100, 200) == (Span(100, 200),)
    assert gaps((Span(90, 250),), 100, 200) == ()
    assert gaps((Span(90, 120), Span(150, 250)), 100, 200) == (Span(120, 150),)


def test_a_playback_token() -> None:
    # Worked out with sha1sum from the formula of the manual.
    assert playback_token("cam-1", "key", 1000, 2000, "abcd") == (
        "b097849b0e90a8bb96c272f37b1f348d9f56a229-abcd-2000-1000"
    )
