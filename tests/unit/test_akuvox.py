"""What Akuvox panels say: lines, action URLs, the door log, time zones, settings; and that each thing is told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ProtocolError, Rejected
from bridge.model import DeviceEvent, EventKind
from bridge.settings.limits import east_of_utc
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Settings, flatten, section_of
from bridge.syslog.message import Line, parse
from drivers.akuvox import actions, calls, doorlog, lines, settings, zones
from drivers.akuvox.profiles import profile_of
from drivers.akuvox.simulated.models import MODELS, URLS, factory
from drivers.akuvox.told import CallSignal, Once, Signal, Told, Way

HEADS = ("<134>Nov 25 09:30:00  phone 812: ", "<134>Nov 25 09:30:00 R20A phone[812]: ", "<6>", "")


def read(text: str, head: str = HEADS[0]) -> Told | CallSignal | None:
    return lines.meaning(parse((head + text).encode()), None)


# -- lines ---------------------------------------------------------------------------------------------------------

EVENTS: tuple[tuple[str, EventKind, dict[str, str]], ...] = (
    (
        "OPENDOOR_LOG:Type:RF KeyCode:1A2B3C4D Relay:1 Status:Successful",
        EventKind.ACCESS,
        {"by": "card", "granted": "true", "credential": "0000001A2B3C4D", "output": "1"},
    ),
    (
        "OPENDOOR_LOG:Type:RF KeyCode:1A2B3C4D Status:Successful",  # firmware from before there was a relay in it
        EventKind.ACCESS,
        {"by": "card", "granted": "true", "credential": "0000001A2B3C4D"},
    ),
    (
        "OPENDOOR_LOG:Type:RF KeyCode:1A2B3C4D Relay:1 Status:Failed",
        EventKind.ACCESS,
        {"by": "card", "granted": "false", "credential": "0000001A2B3C4D", "output": "1"},
    ),
    (
        "OPENDOOR_LOG:Type:PIN KeyCode:4711 Relay:2 Status:Successful",
        EventKind.ACCESS,
        {"by": "code", "granted": "true", "output": "2"},
    ),
    (
        "OPENDOOR_LOG:Type:INPUT KeyCode:-- Relay:1 Status:Successful",
        EventKind.LOCK,
        {"by": "button", "output": "1"},
    ),
    ("DTMF_LOG:From sip:1000000012", EventKind.LOCK, {"by": "dtmf", "peer": "sip:1000000012"}),
    ("MD_LOG:start motion", EventKind.MOTION, {}),
    ("Requst SnapShot", EventKind.MOTION, {}),
    ("NEW_LOG:what nobody knows", EventKind.VENDOR, {"text": "what nobody knows"}),
    ("NEW_LOG:Type:X KeyCode:4711 here", EventKind.VENDOR, {"text": "Type:X KeyCode:*** here"}),
)
CALLS: tuple[tuple[str, CallSignal], ...] = (
    (
        "MakeCall-nCallID = 200002 nAccountID=0 CallNum:1000000012 DisplayName:12",
        CallSignal(Signal.START, "sip", "1000000012", "12", topic="MakeCall"),
    ),
    (
        "MakeCall-nCallID = 200002, nAccountID = 2, CallNum: 12, DisplayName: Flat 12",
        CallSignal(Signal.START, "analog", "12", "Flat 12", topic="MakeCall"),
    ),
    ("SIP_LOG:MSG_S2P_TRYING", CallSignal(Signal.PROGRESS, "sip", topic="MSG_S2P_TRYING")),
    ("SIP_LOG:MSG_S2P_RINGBACK id=1", CallSignal(Signal.PROGRESS, "sip", topic="MSG_S2P_RINGBACK")),
    ("SIP_LOG:MSG_S2P_ESTABLISHED_CALL", CallSignal(Signal.ANSWERED, "sip", topic="MSG_S2P_ESTABLISHED_CALL")),
    ("SIP_LOG:MSG_S2P_INCOMING", CallSignal(Signal.INCOMING, "sip", topic="MSG_S2P_INCOMING")),
    ("SIP_LOG:Call Failed callid=200002", CallSignal(Signal.LEG_OVER, "sip", topic="Call Failed")),
    ("SIP_LOG:Call Finished callid=200002", CallSignal(Signal.LEG_OVER, "sip", topic="Call Finished")),
    ("Analog Established Call", CallSignal(Signal.ANSWERED, "analog", topic="Analog Established")),
    ("Analog Finished Call", CallSignal(Signal.LEG_OVER, "analog", topic="Analog Finished Call")),
    ("Analog Hang Up", CallSignal(Signal.LEG_OVER, "analog", topic="Analog Hang Up")),
)
NOISE = (
    "api.fcgi: request from 192.0.2.5",
    "[handler.cpp:211] Process parameter",
    "RFID szBuf 0A1B",
    "Sending SIP OPTIONS",
    "lighttpd: started",
)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("text", "kind", "data"), EVENTS)
def test_a_line_means(text: str, kind: EventKind, data: dict[str, str], head: str) -> None:
    told = read(text, head)
    assert isinstance(told, Told)
    assert (told.event.kind, dict(told.event.data)) == (kind, data)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("text", "signal"), CALLS)
def test_a_line_of_a_call_means(text: str, signal: CallSignal, head: str) -> None:
    assert read(text, head) == signal


@pytest.mark.parametrize("text", NOISE)
def test_what_its_firmware_says_to_itself_is_no_event(text: str) -> None:
    assert read(text) is None


def test_what_is_only_for_debugging_is_no_event() -> None:
    assert read("rtp: jitter 12 ms", "<135>Nov 25 09:30:00  phone 812: ") is None
    assert read("rtp: jitter 12 ms") is not None


@given(st.binary(max_size=300))
def test_no_line_breaks_the_parser(raw: bytes) -> None:
    for prefix in (b"", b"OPENDOOR_LOG:Type:", b"MakeCall-", b"DTMF_LOG:From "):
        lines.meaning(parse(prefix + raw), None)


@given(st.sampled_from(["PIN", "Private PIN", "PIN Code", "QR"]), st.from_regex(r"[0-9]{4,8}", fullmatch=True))
def test_no_code_is_ever_passed_on(word: str, code: str) -> None:
    told = read(f"OPENDOOR_LOG:Type:{word} KeyCode:{code} Relay:1 Status:Successful")
    assert isinstance(told, Told)
    assert code not in str(told)
    entry = doorlog.entry({"ID": "1", "Type": word, "Code": code, "Status": "Success"})
    assert code not in str(doorlog.told(entry, None))


# -- action URLs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "kind", "active", "data"),
    [
        ("event=ValidCardEntered&card=1a2b", EventKind.ACCESS, None, {"by": "card", "granted": "true"}),
        ("event=InvalidCardEntered&card=$card_sn", EventKind.ACCESS, None, {"by": "card", "granted": "false"}),
        ("event=ValidCodeEntered&code=4711", EventKind.ACCESS, None, {"by": "code", "granted": "true"}),
        ("event=InvalidQR", EventKind.ACCESS, None, {"by": "qr", "granted": "false"}),
        ("event=ValidQRCodeEntered", EventKind.ACCESS, None, {"by": "qr", "granted": "true"}),
        ("event=InvalidFaceRecognition", EventKind.ACCESS, None, {"by": "face", "granted": "false"}),
        ("event=RelayBTriggered&status=1", EventKind.LOCK, True, {"output": "2"}),
        ("event=RelayBClosed&status=$relay2status", EventKind.LOCK, False, {"output": "2"}),
        ("event=InputATriggered", EventKind.INPUT, True, {"output": "1"}),
        ("event=InputAClosed", EventKind.INPUT, False, {"output": "1"}),
        ("event=TamperAlarmTriggered&status=$alarmstatus", EventKind.TAMPER, True, {}),
        ("event=AlarmTriggered&status=0", EventKind.TAMPER, False, {}),
        ("event=BreakInAlarmC", EventKind.DOOR, True, {"state": "forced"}),
        ("event=AlarmDoorOpenedTimeoutB", EventKind.DOOR, True, {"state": "held"}),
        ("event=AlarmLog&remote=x&code=4711", EventKind.VENDOR, None, {"remote": "x"}),
    ],
)
def test_a_call_means(query: str, kind: EventKind, active: bool | None, data: dict[str, str]) -> None:
    name, _, told = actions.parse(query)
    found = actions.meaning(name, told)
    assert isinstance(found, Told)
    assert (found.event.kind, found.event.active) == (kind, active)
    assert data.items() <= found.event.data.items()
    assert "4711" not in str(found)


def test_variables_without_a_value_say_nothing() -> None:
    assert actions.parse("event=MakeCall&mac=$mac&remote=$remote") == ("MakeCall", "", {})
    assert actions.parse("event=MakeCall&mac=0C:11:05:00:00:01&remote=12")[1:] == ("0C1105000001", {"remote": "12"})


@pytest.mark.parametrize("query", ["", "remote=1", "event=$event", "event=a%20b", "&".join(["event=x"] * 30)])
def test_a_call_that_says_nothing_is_refused(query: str) -> None:
    with pytest.raises(ProtocolError):
        actions.parse(query)


@given(st.text(max_size=200))
def test_no_call_breaks_the_parser(query: str) -> None:
    try:
        name, _, told = actions.parse(query)
    except ProtocolError:
        return
    actions.meaning(name, told)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_url_of_ours_says_which_it_is_and_asks_for_no_code(model: Any) -> None:
    keys = [key for key in factory(model, action_urls=True, syslog=True) if actions.is_event(key)]
    assert len(keys) == 12 + 6 * model.relays
    for key in keys:
        url = actions.url_for("http://192.0.2.1:8081/callback/secret", key)
        assert "$code" not in url
        assert len(url) < 250
        name, _, _ = actions.parse(urlsplit(url).query)
        assert URLS + name == key
        found = actions.meaning(name, {})
        known = isinstance(found, CallSignal) or found.event.kind is not EventKind.VENDOR
        assert known is (name != "AlarmLog")


@pytest.mark.parametrize("name", ["Enable", "Method", "UserName", "Password", "Type"])
def test_what_is_about_the_calls_themselves_is_no_event(name: str) -> None:
    assert not actions.is_event(actions.PREFIX + name)


# -- the door log --------------------------------------------------------------------------------------------------


def item(number: int, second: int, **more: str) -> dict[str, str]:
    clock = f"09:{second // 60:02}:{second % 60:02}"
    told = {"ID": str(number), "Date": "2026-11-25", "Time": clock, "Type": "Card", "Code": "1A2B", "Status": "Success"}
    return {**told, **more}


@given(st.lists(st.integers(0, 3), max_size=30), st.data())
def test_the_cursor_misses_nothing_and_repeats_nothing(gaps: list[int], data: st.DataObject) -> None:
    """Entries with numbers that grow; times that may be equal."""
    log: list[doorlog.Entry] = []
    cursor, seen, second = doorlog.Cursor(), [], 0
    for number, gap in enumerate(gaps, 1):
        second += gap
        log.append(doorlog.entry(item(number, second)))
        if data.draw(st.booleans()):
            page = log[::-1][:10]
            seen += doorlog.newer(log[::-1], cursor)
            cursor = doorlog.advanced(cursor, page)
            cursor = doorlog.Cursor.parse(str(cursor)) or cursor
    seen += doorlog.newer(log[::-1], cursor)
    assert seen == log


def test_a_log_whose_numbers_are_places_goes_by_the_times() -> None:
    first = [doorlog.entry(item(place, second)) for place, second in enumerate((30, 20, 10), 1)]
    cursor = doorlog.advanced(doorlog.Cursor(), first)
    second = [doorlog.entry(item(place, at)) for place, at in enumerate((50, 40, 30, 20, 10), 1)]
    assert [one.stamp[-2:] for one in doorlog.newer(second, cursor)] == ["40", "50"]


def test_a_log_that_was_emptied_is_read_from_its_beginning() -> None:
    cursor = doorlog.advanced(doorlog.Cursor(), [doorlog.entry(item(900, 10))])
    entries = [doorlog.entry(item(1, 30))]
    assert doorlog.newer(entries, cursor) == entries
    assert doorlog.newer(entries, doorlog.advanced(cursor, entries)) == []


def test_a_clock_that_was_set_back_hides_nothing() -> None:
    cursor = doorlog.advanced(doorlog.Cursor(), [doorlog.entry(item(1, 3000)), doorlog.entry(item(2, 3001))])
    entries = [doorlog.entry(item(3, 10))]
    assert doorlog.newer(entries, cursor) == entries


@given(
    st.dictionaries(st.sampled_from(["ID", "Date", "Time", "Type", "Code", "Status", "Relay"]), st.none() | st.text())
)
def test_no_entry_breaks_the_parser(told: dict[str, Any]) -> None:
    one = doorlog.entry(told)
    doorlog.told(one, None)
    doorlog.newer([one], doorlog.Cursor())


@pytest.mark.parametrize("text", [None, "", "x", "[1]", "{}", '["a", 1]'])
def test_a_cursor_that_cannot_be_read_is_none(text: str | None) -> None:
    assert doorlog.Cursor.parse(text) is None


# -- once ----------------------------------------------------------------------------------------------------------


def thing(kind: str, detail: str = "") -> Told:
    return Told(DeviceEvent(EventKind.ACCESS), kind, detail)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from(list(Way)), min_size=1)), max_size=20), st.data()
)
def test_each_thing_is_news_once_by_whichever_ways_it_is_told(things: list[tuple[str, set[Way]]], data: Any) -> None:
    """Each way tells of things in order; how the ways mix does not matter."""
    once = Once()
    queues = {way: [kind for kind, ways in things if way in ways] for way in Way}
    news = 0
    while waiting := [way for way in Way if queues[way]]:
        way = data.draw(st.sampled_from(waiting))
        news += once.is_news(thing(queues[way].pop(0)), way, 0.0, 10.0)
    told_most = {kind: max(sum(way in ways for one, ways in things if one == kind) for way in Way) for kind in "ab"}
    assert news == sum(told_most.values())


def test_another_card_is_another_thing_and_what_is_not_told_fits() -> None:
    once = Once()
    assert once.is_news(thing("card", "A"), Way.LINE, 0.0, 10.0)
    assert once.is_news(thing("card", "B"), Way.URL, 1.0, 10.0)
    assert not once.is_news(thing("card", ""), Way.URL, 2.0, 10.0)
    assert once.is_news(thing("card", "A"), Way.URL, 3.0, 10.0)


def test_after_a_while_the_same_is_another_thing() -> None:
    once = Once()
    assert once.is_news(thing("card", "A"), Way.LINE, 0.0, 10.0)
    assert once.is_news(thing("card", "A"), Way.URL, 11.0, 10.0)


# -- calls ---------------------------------------------------------------------------------------------------------


def played(*told: tuple[float, CallSignal]) -> list[str]:
    call: calls.Call | None = None
    states: list[str] = []
    for now, signal in told:
        call, events = calls.step(call, signal, now)
        states += [event.data["state"] for event in events]
    call, events = calls.expired(call, (told[-1][0] if told else 0) + calls.SILENCE + 1)
    assert call is None
    return states + [f"{event.data['state']} by silence" for event in events]


START, TRYING = CallSignal(Signal.START, "sip", "12", "12"), CallSignal(Signal.PROGRESS, "sip")
HANDSET, PICKED_UP = CallSignal(Signal.START, "analog", "12", "12"), CallSignal(Signal.ANSWERED, "analog")
ANSWERED, OVER = CallSignal(Signal.ANSWERED, "sip"), CallSignal(Signal.LEG_OVER, "sip")
HUNG_UP = CallSignal(Signal.LEG_OVER, "analog")
URL_START, URL_OVER = CallSignal(Signal.START, peer="12"), CallSignal(Signal.OVER)


@pytest.mark.parametrize(
    ("told", "states"),
    [
        ([(0, START), (1, TRYING), (9, ANSWERED), (40, OVER)], ["ringing", "answered", "ended"]),
        ([(0, START), (30, OVER)], ["ringing", "missed"]),
        ([(0, START), (0, HANDSET), (5, PICKED_UP), (6, OVER), (30, HUNG_UP)], ["ringing", "answered", "ended"]),
        ([(0, START), (0, HANDSET), (30, OVER), (31, HUNG_UP)], ["ringing", "missed"]),
        ([(0, URL_START), (30, URL_OVER)], ["ringing", "ended"]),
        ([(0, START), (0, URL_START), (9, ANSWERED), (40, OVER), (40, URL_OVER)], ["ringing", "answered", "ended"]),
        ([(0, TRYING), (1, START), (30, OVER)], ["ringing", "missed"]),
        ([(0, START), (20, START), (30, OVER)], ["ringing", "missed", "ringing", "missed"]),  # C, and once more
        ([(0, START)], ["ringing", "missed by silence"]),  # C, and away
        ([(0, START), (9, ANSWERED)], ["ringing", "answered", "ended by silence"]),
        ([(0, START), (200, TRYING)], ["ringing", "missed", "ringing", "missed by silence"]),
        ([(0, OVER), (1, ANSWERED)], []),
        ([(0, CallSignal(Signal.INCOMING, "sip")), (1, ANSWERED), (9, OVER)], ["ringing", "answered", "ended"]),
    ],
)
def test_a_call_is_told_as(told: list[tuple[float, CallSignal]], states: list[str]) -> None:
    assert played(*told) == states


SIGNALS = st.builds(CallSignal, st.sampled_from(list(Signal)), st.sampled_from(["sip", "analog", ""]))


@given(st.lists(st.tuples(st.floats(0, 100), SIGNALS), max_size=40))
def test_every_call_that_rings_ends_and_none_is_answered_twice(steps: list[tuple[float, CallSignal]]) -> None:
    now, told = 0.0, []
    for gap, signal in steps:
        now += gap
        told.append((now, signal))
    state = "over"
    for word in (word.split()[0] for word in played(*told)):
        assert (state, word) in {
            ("over", "ringing"),
            ("ringing", "answered"),
            ("ringing", "missed"),
            ("ringing", "ended"),
            ("answered", "ended"),
        }
        state = "over" if word in ("missed", "ended") else word
    assert state == "over"


# -- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("GMT+3:00", 10800),
        ("GMT-3:30", -12600),
        ("+05:30", 19800),
        ("GMT", 0),
        ("", None),
        ("Moscow", None),
        ("+99", None),
    ],
)
def test_an_offset_is_read(text: str, seconds: int | None) -> None:
    assert zones.offset(text) == seconds


@given(st.integers(-12 * 4, 14 * 4))
def test_an_offset_goes_there_and_back(quarters: int) -> None:
    seconds = quarters * 900
    assert zones.offset(zones.written(seconds)) == seconds
    assert east_of_utc(zones.posix(seconds)) == seconds


def test_the_city_tells_about_summer_time_where_it_fits_the_offset() -> None:
    summer = datetime.fromisoformat("2026-07-01 12:00:00")
    for city, hours in (("Berlin", 2), ("Nowhere", 1), ("Moscow", 1)):
        at = zones.moment(summer, zones.zone("GMT+1:00", city))
        assert at == (summer - timedelta(hours=hours)).replace(tzinfo=UTC).timestamp(), city


def test_the_year_of_a_line_is_the_nearest_one() -> None:
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()
    assert zones.nearest_year(12, 31, "23:59:59", new_year) == datetime.fromisoformat("2026-12-31 23:59:59")
    assert zones.nearest_year(1, 1, "00:00:01", new_year) == datetime.fromisoformat("2027-01-01 00:00:01")
    assert zones.nearest_year(13, 1, "00:00:00", new_year) is None
    assert zones.nearest_year(1, 1, "99:00:00", new_year) is None


# -- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path, one in settings.SETTINGS.items() if not one.secret])
def test_what_a_panel_has_is_written_back_as_it_was(path: str) -> None:
    """Every value that stands in a new panel goes through our words and comes out the same."""
    config = factory(MODELS["S532"], action_urls=True, syslog=True)
    one = settings.SETTINGS[path]
    assert one.write(one.read(config[one.key])) == config[one.key]


@given(st.integers(1, 15))
def test_a_volume_goes_there_and_back(step: int) -> None:
    one = settings.SETTINGS["audio.speaker"]
    assert one.write(one.read(str(step))) == str(step)


def test_what_a_panel_does_not_list_it_does_not_have() -> None:
    config = factory(MODELS["R20A"], action_urls=True, syslog=False)
    found = settings.configuration(config, ["display", "event_targets", "relays", "sip"])
    assert {section_of(path) for path in found.limits.fields} == {"relays", "sip"}
    assert "sip.password" in found.limits.fields
    assert "sip.password" not in flatten(found.settings)
    step = Step("display", Settings(), Settings.model_validate({"display": {"text": "x"}}), ("display.text",))
    with pytest.raises(Rejected):
        settings.change(step, config, encodes=False)


def test_older_firmware_has_another_key_for_how_long_a_door_is_open() -> None:
    config = factory(MODELS["R29C"], action_urls=True, syslog=True)
    after = Settings.model_validate({"relays": {"2": {"duration": 9}}})
    written, reboot = settings.change(Step("relays", Settings(), after, ("relays.2.duration",)), config, encodes=False)
    assert (written, reboot) == ({"Config.DoorSetting.RELAY.RelayBDelay": "9"}, False)


@pytest.mark.parametrize(("model", "posts"), [("E16C", False), ("SP-E16", False), ("R20A", True), ("X999", True)])
def test_the_table_of_models(model: str, posts: bool) -> None:
    assert profile_of(model, "1.2.3").posts is posts


def test_a_hint_stays_one() -> None:
    told = lines.meaning(Line("x", raw="MakeCall-nCallID=1", hint=True), None)
    assert isinstance(told, CallSignal)
    assert all(event.hint for event in calls.step(None, told, 0.0)[1])
