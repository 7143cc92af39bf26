"""What Hikvision panels report: XML and JSON, every code, and what is no message at all."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from drivers.hikvision.calls import Calls
from drivers.hikvision.messages import CODES, Messages
from drivers.hikvision.models import Traits, traits_of, version_of
from drivers.hikvision.words import card, info, local_time, locked_for, moment, span, status, whole, zone_of

NAMESPACES = (
    "http://www.isapi.org/ver20/XMLSchema",
    "http://www.hikvision.com/ver20/XMLSchema",
    "urn:psialliance-org",
)
TERMINAL = Traits(rings=True, calls=False, fingerprints=True)


def alert(kind: str, state: str = "active", namespace: str = NAMESPACES[0], **fields: str) -> bytes:
    more = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><EventNotificationAlert version="2.0" xmlns="{namespace}">'
        "<ipAddress>192.0.2.5</ipAddress><portNo>80</portNo><protocol>HTTP</protocol><channelID>1</channelID>"
        f"<dateTime>2026-11-25T12:00:00+03:00</dateTime><eventType>{kind}</eventType><eventState>{state}</eventState>"
        f"<eventDescription>{kind} alarm</eventDescription>{more}</EventNotificationAlert>"
    ).encode()


def access(major: int, minor: int, **fields: Any) -> bytes:
    own = {"majorEventType": major, "subEventType": minor, "serialNo": 17, "currentEvent": True, "doorNo": 1, **fields}
    return json.dumps(
        {
            "ipAddress": "192.0.2.5",
            "dateTime": "2026-11-25T12:00:00+03:00",
            "activePostCount": 1,
            "eventType": "AccessControllerEvent",
            "eventState": "active",
            "AccessControllerEvent": own,
        }
    ).encode()


def one(body: bytes, messages: Messages | None = None) -> DeviceEvent:
    found = (messages or Messages("", TERMINAL)).read(body)
    assert found is not None
    assert len(found) == 1
    return found[0].event


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_an_alert_reads_the_same_in_every_namespace(namespace: str) -> None:
    found = one(alert("VMD", namespace=namespace, activePostCount="1"))
    assert (found.kind, found.active, found.topic, found.source) == (EventKind.MOTION, True, "VMD", "1")
    assert found.source_time == 1795597200.0
    assert one(alert("VMD", "inactive", namespace)).active is False


def test_video_that_is_not_lost_is_a_heartbeat_until_it_was() -> None:
    messages = Messages("")
    beat = alert("videoloss", "inactive", activePostCount="0")
    assert messages.read(beat) is None
    assert one(alert("videoloss"), messages).kind is EventKind.SIGNAL_LOSS
    assert one(beat, messages).active is False
    assert messages.read(beat) is None
    assert messages.read(json.dumps({"eventType": "heartBeat", "eventState": "inactive"}).encode()) is None


@pytest.mark.parametrize("count", ["", "x", "1", "-1", "99999999999999999999"])
def test_an_empty_or_wrong_count_costs_nothing(count: str) -> None:
    assert one(alert("VMD", activePostCount=count)).kind is EventKind.MOTION
    assert one(alert("mystery", activePostCount=count)).kind is EventKind.VENDOR


def test_what_goes_on_and_nobody_knows_is_told_once() -> None:
    messages = Messages("")
    assert one(alert("mystery", activePostCount="1"), messages).data["eventDescription"] == "mystery alarm"
    assert messages.read(alert("mystery", activePostCount="2")) == []
    assert messages.ignored == 1


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_means_what_the_table_says(code: tuple[int, int]) -> None:
    meaning, found = CODES[code], one(access(*code, cardNo="0012345678", employeeNoString="77", name="A"))
    assert (found.kind, found.active, found.topic) == (meaning.kind, meaning.active, meaning.topic)
    assert found.data["code"] == f"{code[0]}/{code[1]}"
    if meaning.kind is EventKind.ACCESS:
        assert found.data["by"] == meaning.by
        assert found.data["granted"] == ("true" if meaning.granted else "false")
        assert found.data["user"] == "77"
        assert ("credential" in found.data) == (meaning.by == "card")
    if meaning.kind in (EventKind.DOOR, EventKind.CALL):
        assert found.data["state"] == meaning.state


def test_begin_and_end_of_one_condition_have_one_topic() -> None:
    for begin, end in (((5, 21), (5, 22)), ((5, 23), (5, 24)), ((5, 25), (5, 26)), ((1, 1028), (1, 1029))):
        assert CODES[begin].topic == CODES[end].topic
        assert (CODES[begin].active, CODES[end].active) == (True, False)


def test_a_door_that_closes_is_no_longer_held_open() -> None:
    messages = Messages("", TERMINAL)
    one(access(5, 28), messages)
    closed = messages.read(access(5, 26))
    assert closed is not None
    assert [(item.event.topic, item.event.active) for item in closed] == [
        ("access/door", False),
        ("access/door/held", False),
    ]
    again = messages.read(access(5, 26))
    assert again is not None
    assert len(again) == 1


def test_codes_of_a_reader_that_a_panel_has_not_are_not_believed() -> None:
    found = one(access(5, 38), Messages("", Traits(rings=False)))
    assert (found.kind, found.topic) == (EventKind.VENDOR, "AccessControllerEvent/5/38")


def test_a_code_that_nobody_knows_is_passed_on_without_what_is_private() -> None:
    found = one(access(5, 999, password="4711", cardNo="12345", pictureURL="http://x/?token=1", label="Gate"))
    assert (found.kind, found.topic) == (EventKind.VENDOR, "AccessControllerEvent/5/999")
    assert found.data == {"code": "5/999", "label": "Gate", "doorNo": "1"}


def test_no_code_of_a_person_is_told() -> None:
    found = one(access(5, 181, cardNo="4711", password="4711", pin="4711", employeeNoString="8"))
    assert "4711" not in " ".join(found.data.values())


def test_what_the_panel_had_kept_is_told_apart() -> None:
    for word in (False, "false"):
        found = Messages("").read(access(5, 1, currentEvent=word))
        assert found is not None
        assert not found[0].live
        assert found[0].serial == 17
        assert found[0].key == "5.1.17.1795597200"


def test_the_log_says_the_same_in_other_words() -> None:
    entry = {"major": 5, "minor": 1, "time": "2026-11-25T12:00:00+03:00", "serialNo": 17, "cardNo": "12345678"}
    (logged,) = Messages("").access(entry, entry["time"])  # type: ignore[arg-type]
    streamed = Messages("").read(access(5, 1, cardNo="12345678"))
    assert streamed is not None
    assert logged.key == streamed[0].key
    assert logged.event.data["credential"] == "00000000BC614E"


def test_calls_are_told_with_the_apartment() -> None:
    body = {
        "eventType": "voiceTalkEvent",
        "dateTime": "2026-11-25T12:00:00+03:00",
        "VoiceTalkEvent": {"cmdType": "request", "target": {"roomNumber": 12, "unitType": "indoor"}, "serialNo": 4},
    }
    found = one(json.dumps(body).encode())
    assert (found.kind, found.topic) == (EventKind.CALL, "call")
    assert found.data == {"state": "ringing", "apartment": "12", "peer": "indoor"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"not a message",
        b"{",
        b"[]",
        b"{}",
        b"<EventNotificationAlert/>",
        b"<a/>",
        b'{"eventType": {"a": 1}}',
        b'{"eventType": "AccessControllerEvent"}',
        b'{"eventType": "AccessControllerEvent", "AccessControllerEvent": []}',
        b'<!DOCTYPE a [<!ENTITY e "x">]><EventNotificationAlert>&e;</EventNotificationAlert>',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_called_so(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        Messages("").read(body)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_stumble(body: bytes) -> None:
    try:
        Messages("").read(body)
    except ProtocolError:
        return


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(st.sampled_from(["VMD", "AccessControllerEvent", "voiceTalkEvent", "videoloss", "other"]), st.data())
def test_no_values_make_it_stumble(kind: str, data: st.DataObject) -> None:
    names = st.sampled_from(
        ["dateTime", "eventState", "activePostCount", "channelID", kind, "VoiceTalkEvent", "serialNo", "x"]
    )
    inside = st.sampled_from(
        ["majorEventType", "subEventType", "serialNo", "cardNo", "doorNo", "currentEvent", "cmdType", "target", "name"]
    )
    said = data.draw(st.dictionaries(names, _JSON | st.dictionaries(inside, _JSON, max_size=9), max_size=8))
    try:
        found = Messages("").read(json.dumps({**said, "eventType": kind}).encode())
    except ProtocolError:
        return
    for message in found or ():
        assert all(isinstance(text, str) and len(text) <= 256 for text in message.event.data.values())


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("CST-3:00:00", 10800), ("CST+5:00:00", -18000), ("CST5:30:00", -19800), ("CST-8:00:00DST01:00:00", 28800),
     ("UTC0", 0), ("+03:00", None), ("", None), ("CST-99:00:00", None)],
)  # fmt: skip
def test_the_sign_of_its_time_zone_is_the_other_way_round(text: str, seconds: int | None) -> None:
    assert zone_of(text) == seconds


def test_times_with_and_without_their_offset() -> None:
    assert moment("2026-11-25T12:00:00+03:00") == moment("2026-11-25T09:00:00Z") == 1795597200.0
    assert moment("2026-11-25T12:00:00", 10800) == moment("2026-11-25 12:00:00+0300") == 1795597200.0
    for wrong in ("", "yesterday", "2026-13-45T00:00:00", "0000-00-00T00:00:00", "2026-11-25T12:00:00+99:99", None, 5):
        assert moment(wrong) is None


@given(st.integers(946684800, 4102444800), st.integers(-12 * 4, 14 * 4))
def test_times_go_there_and_back(when: int, quarter: int) -> None:
    zone = quarter * 900
    assert moment(local_time(when, zone)) == when
    assert moment(local_time(when, zone, offset=False), zone) == when


@given(st.integers(1, 16**14 - 1))
def test_cards_are_decimal_and_told_in_hexadecimal(number: int) -> None:
    told = card(str(number))
    assert len(told) == 14
    assert int(told, 16) == number
    assert card(f"{number:020d}") == told


@pytest.mark.parametrize("wrong", ["", "0", "12AB", "-5", None, True, 16**14, "9" * 21, [1]])
def test_what_is_no_card_is_none(wrong: object) -> None:
    assert card(wrong) == ""


def test_how_long_it_runs() -> None:
    assert span("864000") == 864000
    assert span("87天0时55分59秒") == 87 * 86400 + 55 * 60 + 59
    assert span("soon") is span("-5") is span("") is None


def test_whole_numbers() -> None:
    assert [whole(value) for value in ("5", " 7 ", 5, 5.0, "5.5", "", None, True, "1" * 11, float("nan"))] == [
        5, 7, 5, 5, None, None, None, None, None, None,
    ]  # fmt: skip


_LOCK = "<userCheck xmlns='{}'><lockStatus>{}</lockStatus><unlockTime>{}</unlockTime></userCheck>"


def test_a_lock_and_for_how_long() -> None:
    assert locked_for(_LOCK.format(NAMESPACES[0], "lock", 1200).encode()) == 1200
    assert locked_for(_LOCK.format(NAMESPACES[1], "lock", "").encode()) == 1800
    assert locked_for(_LOCK.format(NAMESPACES[0], "unlock", 0).encode()) is None
    assert locked_for(b'{"userCheck": {"lockStatus": "lock", "unlockTime": 60}}') == 60
    assert locked_for(b"<html>lockStatus</html>") is None
    assert locked_for(b"{lockStatus") is None
    assert locked_for(b"") is None


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_status_is_read_in_both_formats(namespace: str) -> None:
    body = "<statusCode>4</statusCode><subStatusCode>notSupport</subStatusCode>"
    found = status(f"<ResponseStatus xmlns='{namespace}'>{body}</ResponseStatus>".encode())
    assert found is not None
    assert (found.code, found.sub, found.done) == (4, "notSupport", False)
    found = status(b'{"statusCode": 6, "statusString": "Invalid Content", "subStatusCode": "badJsonContent"}')
    assert found is not None
    assert (found.code, found.sub, str(found)) == (6, "badJsonContent", "badJsonContent, Invalid Content")
    found = status(b'{"ResponseStatus": {"statusCode": 7, "subStatusCode": "rebootRequired"}}')
    assert found is not None
    assert found.done
    assert found.reboot
    assert status(b"<DeviceInfo/>") is status(b'{"a": 1}') is status(b"\xff\xd8\xff") is None


def test_whoever_has_no_serial_number_goes_by_its_mac() -> None:
    said = b"<model>DS-KV6113</model><serialNumber/><macAddress>A4-D5-C2-00-00-01</macAddress>"
    found = info(b"<DeviceInfo>" + said + b"</DeviceInfo>")
    assert (found.serial, found.macs) == ("a4:d5:c2:00:00:01", ("a4:d5:c2:00:00:01",))
    with pytest.raises(ProtocolError):
        info(b"<DeviceInfo><deviceName>x</deviceName></DeviceInfo>")


@pytest.mark.parametrize(
    ("model", "firmware", "rings"),
    [("DS-KV6113-WPE1(B)", "V2.2.53 build 210521", True), ("DS-KV6124-E1", "V3.9.0", False),
     ("DS-KD8003-IME1", "V3.6.10", True), ("DS-KD8003-IME1", "V3.7.0", False), ("ds-k1t343mx", "V3.3.8", True),
     ("something else", "V1.0.0", False)],
)  # fmt: skip
def test_what_models_and_firmware_do(model: str, firmware: str, rings: bool) -> None:
    assert traits_of(model, firmware).rings is rings


def test_versions() -> None:
    assert [version_of(text) for text in ("V3.9.0", "V2.2.53 build 210521", "", "new")] == [
        (3, 9),
        (2, 2),
        (0, 0),
        (0, 0),
    ]


# -- calls -------------------------------------------------------------------------------------------------------------


def test_one_call_told_by_two_sources_is_one() -> None:
    calls = Calls("")
    assert calls.asked("idle", 0.0) is None
    assert calls.is_news("ringing", "message", 1.0)
    assert calls.asked("ring", 2.0) is None
    answered = calls.asked("onCall", 9.0)
    assert answered is not None
    assert answered.data == {"state": "answered"}
    ended = calls.asked("idle", 30.0)
    assert ended is not None
    assert ended.data == {"state": "ended"}


def test_who_rings_twice_rings_twice() -> None:
    calls = Calls("")
    assert calls.is_news("ringing", "message", 1.0)
    assert calls.is_news("ringing", "message", 2.0)
    states = ["idle", "ring", "idle", "ring"]
    told = [event.data["state"] for at, state in enumerate(states) if (event := calls.asked(state, 20.0 + at))]
    assert told == ["ringing", "missed", "ringing"]


@given(st.lists(st.sampled_from(["idle", "ring", "onCall"]), max_size=30))
def test_each_change_of_a_call_is_told_once(states: list[str]) -> None:
    calls = Calls("")
    told = [calls.asked(state, at * 100.0) for at, state in enumerate(states)]
    changes = sum(a != b for a, b in pairwise(states)) + (states[:1] == ["ring"])
    assert sum(event is not None for event in told) == changes
