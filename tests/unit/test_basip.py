"""What BAS-IP panels say and mean: log entries, syslog lines, cards, time zones, calls, generations of the API."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.driver import DriverIO, ShortMemory
from bridge.model import DeviceEvent, EventKind
from bridge.syslog.message import parse
from bridge.testing.clock import FakeClock
from drivers.basip import target, zones
from drivers.basip.api import because
from drivers.basip.calls import LONGEST, Calls
from drivers.basip.events import MEANINGS, NOISE, card, entry, from_entry, from_line
from drivers.basip.logbook import PAGE, Logbook
from drivers.basip.models import Model, generation, model_of
from drivers.basip.told import Told

NOON = 1_764_072_000.0  # 2025-11-25T12:00:00Z
CARD = "0000001A2B3C4D"

# -- lines: the form of the vendor's manual, and lines as they arrive in the field ---------------------------------

_HTTP = "<134> 2025-11-25 12:00:00+00:00 192.0.2.77 - EVENT:"
_RFC = "<134>1 2025-11-25T12:00:00.000Z 192.0.2.77 gate - - - EVENT:"
CORPUS: tuple[tuple[str, EventKind, bool | None, dict[str, str]], ...] = (
    (
        "100:0000:Door opened by general access code:0000",
        EventKind.ACCESS, None, {"by": "code", "granted": "true"},
    ),
    (
        "101:1:Flat 7:00-00-00-1A-2B-3C-4D:card:Door opened by card. Info: Flat 7",
        EventKind.ACCESS, None, {"by": "card", "granted": "true", "credential": CARD},
    ),
    (
        "101:1:Flat 7:3090069:card:Door opened by card. Info: Flat 7",
        EventKind.ACCESS, None, {"by": "card", "granted": "true", "credential": "000000002F2695"},
    ),
    (
        "102:4711:1:Flat 9:code:Door opened by access code. Info: 4711",
        EventKind.ACCESS, None, {"by": "code", "granted": "true"},
    ),
    ("201:00-00-00-1A-2B-3C-4D:Access denied by unknown card",
     EventKind.ACCESS, None, {"by": "card", "granted": "false", "credential": CARD}),
    ("202:1234:Access denied by not valid input code", EventKind.ACCESS, None, {"by": "code", "granted": "false"}),
    ("203:Access denied by unknown qr code", EventKind.ACCESS, None, {"by": "qr", "granted": "false"}),
    ("103:Door opened by exit button", EventKind.LOCK, True, {"by": "button"}),
    (
        "104:1:sip:1007@192.0.2.20:Door 1 opened by call host",
        EventKind.LOCK, True, {"by": "call", "output": "1", "peer": "1007@192.0.2.20"},
    ),
    ("107:2:Door 2 opened by API call", EventKind.LOCK, True, {"by": "api", "output": "2"}),
    ("105:Door was opened with door sensor", EventKind.DOOR, True, {"state": "open"}),
    ("106:Door was closed with door sensor", EventKind.DOOR, False, {"state": "closed"}),
    ("301:Door was not closed too long", EventKind.DOOR, True, {"state": "held"}),
    (
        "110:out:sip:1007@192.0.2.20:5060:1:7,call was accepted",
        EventKind.CALL, None, {"state": "answered", "peer": "1007@192.0.2.20"},
    ),
    (
        "110:out:sip:1007@192.0.2.20:5060:1:7,call was no accepted",
        EventKind.CALL, None, {"state": "missed", "peer": "1007@192.0.2.20"},
    ),
    ("302:Tamper was triggered", EventKind.TAMPER, None, {}),
    ("401:Device booted", EventKind.REBOOT, None, {}),
    ("402:SIP registration lost", EventKind.SYSTEM, None, {"what": "SIP registration lost"}),
    ("502:Incorrect login by API call", EventKind.SYSTEM, None, {"what": "login failed"}),
    ("600:1:two:Something new", EventKind.VENDOR, None, {"arg1": "1", "arg2": "two", "text": "Something new"}),
)  # fmt: skip


@pytest.mark.parametrize("header", [_HTTP, _RFC], ids=["http", "rfc5424"])
@pytest.mark.parametrize(("body", "kind", "active", "data"), CORPUS, ids=[line[0][:40] for line in CORPUS])
def test_a_line_means(header: str, body: str, kind: EventKind, active: bool | None, data: dict[str, str]) -> None:
    event = from_line(parse(header + body), "", None)
    assert event is not None
    assert (event.kind, event.active, dict(event.data)) == (kind, active, data)
    assert event.source_time == NOON
    assert event.topic == f"EVENT:{body.partition(':')[0]}"


@pytest.mark.parametrize("body", ["501:admin:Successful login by API call", "501:admin:User logged in successfully"])
def test_our_own_logins_are_no_events(body: str) -> None:
    assert from_line(parse(_RFC + body), "", None) is None


@pytest.mark.parametrize(
    ("line", "zone", "at"),
    [
        ("<134> 2025-11-25 14:00:00 192.0.2.77 panel EVENT:103:Door opened by exit button", 7200.0, NOON),
        ("<134> 2025-11-25 14:00:00 192.0.2.77 panel EVENT:103:Door opened by exit button", None, None),
        ("<134> 2025-11-25 14:00:00 192.0.2.77 EVENT:103:Door opened by exit button", 7200.0, NOON),
        ("<134>2025-11-25T14:00:00+02:00 192.0.2.77 panel EVENT:103:Door opened by exit button", None, NOON),
        ("<134>Nov 25 14:00:00 panel EVENT:103:Door opened by exit button", 7200.0, None),
        ("EVENT:103:Door opened by exit button", 7200.0, None),
    ],
)
def test_the_time_of_a_line(line: str, zone: float | None, at: float | None) -> None:
    event = from_line(parse(line), "", zone)
    assert event is not None
    assert (event.kind, event.data["by"], event.source_time) == (EventKind.LOCK, "button", at)


@given(code=st.integers(0, 10**8 - 1).map(lambda number: f"{number:04d}"))
def test_no_code_is_ever_told(code: str) -> None:
    code = code.rjust(6, "8")
    bodies = (
        f"100:{code}:Door opened by general access code:{code}",
        f"102:{code}:1:x:code:Door opened by access code. Info: {code}",
        f"202:{code}:Access denied by not valid input code",
        f"777:{code}:A new kind of code was typed: {code}",
        f"777:{code}:PIN {code}",
    )
    for body in bodies:
        event = from_line(parse(_RFC + body), "", None)
        assert code not in str(event)
    for name in ("access_granted_by_valid_identifier", "access_denied_by_not_valid_input_code", "new_code_event"):
        item = _item(NOON, name, f"identifier {code}", {"type": "inputCode", "number": code, "lock": 1})
        one = entry(item)
        assert one is not None
        assert code not in str(from_entry(one, ""))


@given(st.binary(max_size=300))
def test_whatever_arrives_is_read(raw: bytes) -> None:
    event = from_line(parse(b"EVENT:" + raw), "", None)
    assert event is None or len(str(event)) < 10_000


# -- the log -------------------------------------------------------------------------------------------------------


def _item(at: float, name: str, said: str = "", model: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "timestamp": int(at * 1000),
        "category": "access",
        "priority": "medium",
        "info": {"text": said, "model": model or {}},
        "name": {"text": said, "key": name},
    }


def test_an_entry_of_a_real_panel() -> None:
    """As it stands in the source of a client that reads such logs."""
    item = {
        "timestamp": 1678077114137.0,
        "category": "access",
        "priority": "medium",
        "info": {
            "text": "Valid identifier 3090069 was used, owner Administrator, lock 0 was opened",
            "model": {
                "lock": 0,
                "owner": "Administrator",
                "number": "3090069",
                "apartment_address": "",
                "type": "card",
            },
        },
        "name": {"text": "Lock opened by identifier", "key": "access_granted_by_valid_identifier"},
    }
    one = entry(item)
    assert one is not None
    event = from_entry(one, "")
    assert event == DeviceEvent(
        EventKind.ACCESS,
        "",
        source_time=1678077114.137,
        topic="access_granted_by_valid_identifier",
        data={"by": "card", "granted": "true", "credential": "000000002F2695", "output": "0", "user": "Administrator"},
    )


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_every_known_name_has_its_meaning(name: str) -> None:
    one = entry(_item(NOON, name))
    assert one is not None
    event = from_entry(one, "")
    assert event is not None
    assert event.kind is MEANINGS[name].kind
    assert event.kind is not EventKind.VENDOR


@pytest.mark.parametrize("name", sorted(NOISE))
def test_noise_is_none(name: str) -> None:
    one = entry(_item(NOON, name))
    assert one is not None
    assert from_entry(one, "") is None


def test_new_ways_to_be_let_in_are_known_by_their_names() -> None:
    for name, granted in (("access_granted_by_palm", "true"), ("access_denied_by_palm", "false")):
        one = entry(_item(NOON, name))
        assert one is not None
        event = from_entry(one, "")
        assert event is not None
        assert event.data == {"by": "other", "granted": granted}


@pytest.mark.parametrize(
    "item",
    [None, [], "x", {}, {"timestamp": "soon", "name": {"key": "x"}}, {"timestamp": 1, "name": {}},
     {"timestamp": float("nan"), "name": {"key": "x"}}, {"timestamp": True, "name": {"key": "x"}}],
)  # fmt: skip
def test_what_is_no_entry_spoils_only_itself(item: Any) -> None:
    assert entry(item) is None


def test_seconds_are_taken_as_well_as_milliseconds() -> None:
    one = entry({"timestamp": int(NOON), "name": "door_was_opened", "info": "x"})
    assert one is not None
    assert one.at == NOON * 1000


class _Log:
    """A panel's log, in pages, as `Api.get` gives it. `order`: whether it knows how to begin with the newest."""

    def __init__(self, order: bool) -> None:
        self.items: list[dict[str, Any]] = []
        self.order = order
        self.asked = 0
        self.grows = 0  # entries that are written between two pages

    async def get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        items = self.items[::-1] if self.order else self.items
        page = query["page_number"]
        shown = items[(page - 1) * PAGE : page * PAGE]
        pagination = {"total_items": len(items), "total_pages": -(-len(items) // PAGE)}
        for _ in range(self.grows if page == 1 else 0):
            self.items.append(_item(self.items[-1]["timestamp"] / 1000 + 1, "tamper_event", "meanwhile"))
        return {"list_items": shown, "list_option": {"pagination": pagination}}


@given(
    order=st.booleans(), bursts=st.lists(st.lists(st.integers(0, 2), max_size=130), max_size=6), restart=st.booleans()
)
async def test_every_entry_of_the_log_is_told_once(order: bool, bursts: list[list[int]], restart: bool) -> None:
    """Whatever is written between two looks, many at the same time as well, and over a restart."""
    log = _Log(order)
    log.items = [_item(NOON - 9 + number, "tamper_event", "old") for number in range(3)]
    book = Logbook(log, None)  # type: ignore[arg-type]
    await book.start()
    at, count, told = NOON, 0, []
    for burst in bursts:
        for step in burst:
            at += step
            log.items.append(_item(at, "tamper_event", str(count)))
            count += 1
        entries, missing = await book.news(at + 1)
        assert not missing
        told += [one.text for one in entries]
        if restart:
            book = Logbook(log, book.position)  # type: ignore[arg-type]
    assert told == [str(number) for number in range(count)]


@pytest.mark.parametrize("grows", [4, 50, 130])
async def test_what_is_written_while_the_log_is_read_comes_next_time(grows: int) -> None:
    log = _Log(order=True)
    log.items = [_item(NOON, "tamper_event")]
    book = Logbook(log, None)  # type: ignore[arg-type]
    await book.start()
    log.items += [_item(NOON + 1 + number, "tamper_event", str(number)) for number in range(120)]
    log.grows = grows
    entries, _ = await book.news(NOON + 500)
    assert [one.text for one in entries] == [str(number) for number in range(120)]
    log.grows = 0
    entries, _ = await book.news(NOON + 500)
    assert [one.text for one in entries] == ["meanwhile"] * grows


async def test_a_quiet_log_costs_one_page() -> None:
    log = _Log(order=True)
    log.items = [_item(NOON + number, "tamper_event") for number in range(1000)]
    book = Logbook(log, None)  # type: ignore[arg-type]
    await book.start()
    log.asked = 0
    assert await book.news(NOON + 5000) == ([], False)
    assert log.asked == 1


async def test_a_log_that_was_cleared_is_noticed() -> None:
    log = _Log(order=True)
    log.items = [_item(NOON, "tamper_event")]
    book = Logbook(log, None)  # type: ignore[arg-type]
    await book.start()
    log.items = [_item(NOON + 9, "tamper_event", "new")]
    entries, missing = await book.news(NOON + 10)
    assert ([one.text for one in entries], missing) == (["new"], True)
    assert await book.news(NOON + 10) == ([], False)


async def test_what_lies_in_the_panels_future_waits() -> None:
    """It was written while its clock was wrong."""
    log = _Log(order=True)
    log.items = [_item(NOON, "tamper_event")]
    book = Logbook(log, None)  # type: ignore[arg-type]
    await book.start()
    log.items += [_item(NOON + 1, "tamper_event", "now"), _item(NOON + 86400, "tamper_event", "tomorrow")]
    entries, missing = await book.news(NOON + 2)
    assert ([one.text for one in entries], missing) == (["now"], False)


# -- once, whichever way -------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), max_size=30))
def test_a_thing_is_told_once_whichever_way_is_first(things: list[tuple[int, bool, bool]]) -> None:
    """Each comes in the log, and most are reported as well, sooner or later."""
    told, count = Told(), 0
    later: list[tuple[DeviceEvent, float]] = []
    for number, (_, reported, first) in enumerate(things):
        at = NOON + 20 * number
        event = DeviceEvent(EventKind.ACCESS, "", source_time=at)
        if reported and first:
            count += not told.already(event, at, reported=True)
        count += not told.already(event, at + 0.4, reported=False)
        if reported and not first:
            later.append((event, at))
    for event, at in later:
        count += not told.already(event, at, reported=True)
    assert count == len(things)


def test_two_of_a_kind_that_are_reported_leave_the_third_to_the_log() -> None:
    told = Told()
    event = DeviceEvent(EventKind.ACCESS, "")
    assert [told.already(event, NOON, reported=True) for _ in range(2)] == [False, False]
    assert [told.already(event, NOON, reported=False) for _ in range(3)] == [True, True, False]
    assert not told.already(replace(event, kind=EventKind.DOOR, active=True), NOON, reported=False)


# -- calls ---------------------------------------------------------------------------------------------------------


def _call(state: str, at: float = NOON) -> DeviceEvent:
    return DeviceEvent(EventKind.CALL, "", source_time=at, topic="x", data={"state": state, "peer": "7@x"})


def states(events: Any) -> list[str]:
    return [event.data.get("state", event.kind.value) for event in events]


def test_an_answered_call_is_over_after_a_while() -> None:
    calls = Calls()
    assert states(calls.heard(_call("answered"), 100.0)) == ["answered"]
    assert calls.timed_out(100.0 + LONGEST - 1) is None
    over = calls.timed_out(100.0 + LONGEST)
    assert over is not None
    assert (over.kind, over.data) == (EventKind.CALL, {"state": "ended", "peer": "7@x"})
    assert calls.timed_out(1e9) is None


def test_opening_the_door_from_the_call_ends_it() -> None:
    calls = Calls()
    opened = DeviceEvent(EventKind.LOCK, "", active=True, data={"by": "call"})
    assert states(calls.heard(opened, 0.0)) == ["lock"]
    list(calls.heard(_call("answered"), 1.0))
    assert states(calls.heard(opened, 2.0)) == ["lock", "ended"]
    assert calls.over_at is None


def test_a_second_call_ends_the_first() -> None:
    calls = Calls()
    list(calls.heard(_call("answered"), 1.0))
    assert states(calls.heard(_call("answered"), 2.0)) == ["ended", "answered"]
    assert states(calls.heard(_call("missed"), 3.0)) == ["missed"]
    assert calls.over_at is None


def test_a_call_of_long_ago_starts_no_timer() -> None:
    calls = Calls()
    assert states(calls.heard(replace(_call("answered"), replayed=True), 1.0)) == ["answered"]
    assert calls.over_at is None


# -- cards, zones, generations, words ------------------------------------------------------------------------------


@given(st.integers(0, 256**7 - 1))
def test_cards_are_read_as_they_are_written(number: int) -> None:
    canon = f"{number:014X}"
    pairs = [canon[at : at + 2] for at in range(0, 14, 2)]
    assert card("-".join(pairs)) == card(":".join(pairs).lower()) == canon
    assert card("00-" + "-".join(pairs)) == canon
    if number < 10**10:
        assert card(str(number)) == canon


@pytest.mark.parametrize("told", ["", "x", "12345678901", "01-23-45-67-89-AB-CD-EF", "1A2B3C4D", "1-2"])
def test_what_is_no_card_is_none(told: str) -> None:
    assert card(told) is None


@given(st.integers(-12 * 4, 14 * 4), st.sampled_from(["UTC+03:00", "GMT+3", "UTC±00:00"]))
def test_offsets_go_there_and_back(quarters: int, like: str) -> None:
    minutes = quarters * 15
    hours, rest = divmod(abs(minutes), 60)
    posix = f"X{'X' * 2}{'-' if minutes > 0 else ''}{hours}:{rest:02d}"
    word = zones.word(posix, like, ())
    assert word is not None
    assert word[:3] == like[:3]
    assert zones.offset(word) == minutes
    back = zones.posix(word)
    assert back is not None
    assert zones.word(back, like, ()) == word


def test_regions_are_their_panels_business() -> None:
    assert zones.offset("Europe/Kyiv") is None
    assert zones.posix("Europe/Kyiv") is None
    assert zones.word("EET-2EEST,M3.5.0/3,M10.5.0/4", "UTC+03:00", ["UTC+01:00", "UTC+02:00"]) == "UTC+02:00"
    assert zones.word("EET-2", "UTC+03:00", ["UTC+01:00"]) is None
    assert zones.word("nonsense", "UTC+03:00", ()) is None


@pytest.mark.parametrize(
    ("model", "firmware", "api", "path"),
    [
        ("AA-12FB", "4.2.0", "2.8.0", "v1"),
        ("AA-12FB", "3.9.0", "", "v1"),
        ("AA-12FB", "3.7.0", "1.4.0", "v0"),
        ("AA-07BD", "1.3.5", "1.3.5", "v1"),
        ("AV-03D", "2.0.1", "", "v0"),
        ("AV-03D", "3.0.0", "", "v1"),
        ("AA-12FB", "4.2.0", "v0", "v0"),
        ("whatever", "", "", "v1"),
    ],
)
def test_the_generation_to_begin_with(model: str, firmware: str, api: str, path: str) -> None:
    assert generation(model, firmware, api) == path


def test_models_are_found_by_the_longest_beginning() -> None:
    assert model_of("aa-07bd").v1_from == (0, 0)
    assert model_of("AA-07FB").v1_from == (3, 9)
    assert (model_of("AV-02FDR").camera, model_of("AV-03BD").camera) == (False, True)
    assert model_of("XY-1") == Model()


def test_reasons_of_both_shapes_are_read_and_washed() -> None:
    assert because(b'{"error": "Wrong JSON body"}') == ": Wrong JSON body"
    told = {"error": {"code": "not_valid", "message": "Data validation error", "data": {"param": "must be a string"}}}
    assert because(json.dumps(told).encode()) == ": Data validation error, param must be a string"
    assert because(b'{"error": "see http://admin:pass@host/x"}') == ": see ..."
    assert because(b"{}") == because(b"<html>") == because(b"") == ""


# -- its one place for a log server --------------------------------------------------------------------------------


class _Settings:
    def __init__(self, **place: Any) -> None:
        self.now: dict[str, Any] = {"enabled": False, "tag": "", "server": {"server": "", "port": 514, "severity": 4}}
        self.now |= place
        self.writes = 0

    async def get(self, path: str) -> dict[str, Any]:
        return self.now

    async def post(self, path: str, body: dict[str, Any]) -> None:
        self.writes += 1
        self.now = dict(body)


def _io() -> DriverIO:
    clock = FakeClock()
    return DriverIO(device_id="p", http=None, clock=clock, random=random.Random(1), memory=ShortMemory())  # type: ignore[arg-type]


async def test_the_place_is_taken_once_mended_and_given_back() -> None:
    panel, io, wanted = _Settings(tag="x"), _io(), target.for_url("http://192.0.2.5:8080/secret")
    before = dict(panel.now)
    assert await target.stand(panel, io, wanted) == "written"  # type: ignore[arg-type]
    assert await target.stand(panel, io, wanted) == "right"  # type: ignore[arg-type]
    assert panel.writes == 1
    moved = target.for_url("http://192.0.2.6:8080/secret")  # the bridge has another address now
    assert await target.stand(panel, io, moved) == "written"  # type: ignore[arg-type]
    assert panel.now["server"]["server"] == "http://192.0.2.6:8080/secret"
    await target.release(panel, io)  # type: ignore[arg-type]
    assert panel.now == before
    await target.release(panel, io)  # type: ignore[arg-type]
    assert panel.writes == 3


async def test_somebody_elses_place_is_left_alone() -> None:
    foreign = {"enabled": True, "tag": "", "server": {"server": "192.0.2.9", "port": 45460, "severity": 6}}
    panel, io = _Settings(**foreign), _io()
    assert await target.stand(panel, io, target.for_url("http://192.0.2.5/x")) == "foreign"  # type: ignore[arg-type]
    await target.release(panel, io)  # type: ignore[arg-type]
    assert (panel.writes, panel.now) == (0, foreign)


async def test_who_changes_the_address_has_taken_the_place_over() -> None:
    panel, io, wanted = _Settings(), _io(), target.for_url("http://192.0.2.5/x")
    assert await target.stand(panel, io, wanted) == "written"  # type: ignore[arg-type]
    panel.now["server"] = {**panel.now["server"], "server": "192.0.2.9"}  # our tag is still in it
    assert await target.stand(panel, io, wanted) == "foreign"  # type: ignore[arg-type]
    await target.release(panel, io)  # type: ignore[arg-type]
    assert panel.writes == 1
