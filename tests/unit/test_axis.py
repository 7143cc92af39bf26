"""What an Axis device says, read: by example, and for whatever else it may say."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ProtocolError
from bridge.model import DeviceEvent, EventKind
from drivers.axis import answers
from drivers.axis.answers import Port, Roles
from drivers.axis.apis import TABLE, Api, listed
from drivers.axis.config import AxisConfig
from drivers.axis.events import FAMILIES, KNOWN, MEANINGS, REASONS, Reader, notification, refused
from drivers.axis.settings import OPERATIONS

NOW = 1_700_000_000.0
ROLES = Roles(doors=(1, 2), sensor=3, tampers=frozenset({5}))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def message(
    topic: str, data: dict[str, Any] | None = None, source: dict[str, Any] | None = None, at: float = NOW
) -> str:
    told = {
        "timestamp": round(at * 1000),
        "topic": topic,
        "message": {"source": source or {}, "key": {}, "data": data or {}},
    }
    return json.dumps({"apiVersion": "1.0", "method": "events:notify", "params": {"notification": told}})


def reader(asked_at: float = NOW) -> Reader:
    return Reader("", ROLES, asked_at)


def told(one: Reader, text: str, *, settling: bool = False) -> DeviceEvent | None:
    said = notification(text)
    assert said is not None
    return one.event(said, settling=settling)


# topic, data, source: kind, active, some of the data
CORPUS: list[tuple[str, dict[str, Any], dict[str, Any], EventKind, bool | None, dict[str, str]]] = [
    ("tns1:Device/tnsaxis:IO/Port", {"state": "1"}, {"port": "0"}, EventKind.INPUT, True, {}),
    ("tns1:Device/tnsaxis:IO/tnsaxis:Port", {"state": "0"}, {"port": "0"}, EventKind.INPUT, False, {}),
    ("tns1:Device/tnsaxis:IO/Port", {"state": "1"}, {"port": "3"}, EventKind.DOOR, True, {"state": "open"}),
    ("tns1:Device/tnsaxis:IO/Port", {"state": "0"}, {"port": "3"}, EventKind.DOOR, False, {"state": "closed"}),
    ("tns1:Device/tnsaxis:IO/Port", {"state": "1"}, {"port": "5"}, EventKind.TAMPER, True, {}),
    ("tns1:Device/tnsaxis:IO/Port", {"state": True}, {"port": 0}, EventKind.INPUT, True, {}),
    ("tns1:Device/tnsaxis:IO/VirtualInput", {"active": "1"}, {"port": "3"}, EventKind.INPUT, True, {}),
    ("tns1:Device/tnsaxis:IO/OutputPort", {"state": "high"}, {"port": "2"}, EventKind.LOCK, True, {"output": "2"}),
    ("tns1:Device/tnsaxis:IO/OutputPort", {"state": "1"}, {"port": "7"}, EventKind.RELAY, True, {}),
    ("tns1:Device/Trigger/Relay", {"LogicalState": "inactive"}, {"RelayToken": "1"}, EventKind.LOCK, False, {}),
    ("tns1:Device/tnsaxis:Casing/Open", {"Open": "1"}, {"Name": "Casing"}, EventKind.TAMPER, True, {}),
    ("tns1:Device/tnsaxis:IO/SupervisedPort", {"tampered": "1"}, {"port": "1"}, EventKind.TAMPER, True, {}),
    ("tns1:VideoSource/MotionAlarm", {"State": "true"}, {"Source": "0"}, EventKind.MOTION, True, {}),
    ("tnsaxis:CameraApplicationPlatform/VMD/Camera1Profile1", {"active": "1"}, {}, EventKind.MOTION, True, {}),
    ("tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1Scenario1", {"active": "0"}, {}, EventKind.ANALYTICS,
     False, {}),
    ("tnsaxis:Call/StateChange", {"Reason": "Initiated", "RemoteURI": "sip:12@pbx"}, {"Source": "DoorStation"},
     EventKind.CALL, None, {"state": "ringing", "peer": "sip:12@pbx"}),
    ("tnsaxis:Call/StateChange", {"Reason": "Busy"}, {}, EventKind.CALL, None, {"state": "missed"}),
    ("tnsaxis:Call/StateChange", {"Reason": "Abducted"}, {}, EventKind.VENDOR, None, {"Reason": "Abducted"}),
    ("tnsaxis:Call/State", {"CallState": "Calling"}, {}, EventKind.CALL, None, {"state": "ringing"}),
    ("tnsaxis:Call/DTMF", {"CallId": "Out-1"}, {"DTMFEventId": "open"}, EventKind.ACCESS, None, {"by": "dtmf"}),
    ("tns1:Device/tnsaxis:Intercom/RFID", {"UID": "C0DE1234", "TagType": "MIFARE_Classic"}, {"Source": "Internal"},
     EventKind.ACCESS, None, {"by": "card", "credential": "000000C0DE1234"}),
    ("tns1:Device/tnsaxis:Intercom/RFID", {"UID": "04a1b2c3d4e5f6"}, {}, EventKind.ACCESS, None,
     {"credential": "04A1B2C3D4E5F6"}),
    ("tns1:Device/tnsaxis:Intercom/RFID", {"UID": "", "TagType": "HID"}, {}, EventKind.ACCESS, None, {"by": "card"}),
    ("tns1:AccessControl/AccessGranted/Credential", {"CredentialHolderName": "Ann"}, {"AccessPointToken": "1"},
     EventKind.ACCESS, None, {"granted": "true", "user": "Ann"}),
    ("tns1:AccessControl/Denied/Credential", {"Reason": "Expired"}, {}, EventKind.ACCESS, None, {"granted": "false"}),
    ("tns1:Device/tnsaxis:Intercom/DoorState", {"State": "Open"}, {}, EventKind.DOOR, True, {"state": "open"}),
    ("tns1:Device/tnsaxis:Intercom/DoorState", {"State": "DoorHeld"}, {}, EventKind.DOOR, True, {"state": "held"}),
    ("tns1:Device/tnsaxis:Intercom/DoorState", {"State": "Closed"}, {}, EventKind.DOOR, False, {"state": "closed"}),
    ("tns1:Device/tnsaxis:Intercom/DoorState", {"State": "?"}, {}, EventKind.VENDOR, None, {}),
    ("tns1:Device/tnsaxis:Network/Lost", {"lost": "1"}, {"interface": "eth0"}, EventKind.SYSTEM, True, {}),
    ("tnsaxis:Storage/Disruption", {"disruption": "1"}, {"disk_id": "SD_DISK"}, EventKind.HARDWARE, True, {}),
    ("tnsaxis:Never/HeardOf", {"x": 5}, {}, EventKind.VENDOR, None, {"x": "5"}),
]  # fmt: skip


@pytest.mark.parametrize(("topic", "data", "source", "kind", "active", "some"), CORPUS)
def test_what_a_notification_means(
    topic: str, data: dict[str, Any], source: dict[str, Any], kind: EventKind, active: bool | None, some: dict[str, str]
) -> None:
    event = told(reader(), message(topic, data, source))
    assert event is not None
    assert (event.kind, event.active, event.topic, event.source_time) == (kind, active, topic, NOW)
    assert event.data.items() >= some.items()
    assert not event.initial


def test_every_meaning_is_in_the_corpus_or_only_a_word_for_a_state() -> None:
    """So that a topic that is taken out of the tables is missed."""
    said = {notification(message(row[0])).topic for row in CORPUS}  # type: ignore[union-attr]
    assert {"Device/IO/Port", "Device/IO/OutputPort", "Call/StateChange", "Call/State"} <= said
    assert not MEANINGS.keys() & FAMILIES.keys()


@pytest.mark.parametrize("topic", ["tns1:UserAlarm/tnsaxis:Recurring/Pulse", "tns1:Device/tnsaxis:Heartbeat"])
def test_the_beat_of_a_clock_is_no_event(topic: str) -> None:
    one = reader()
    assert told(one, message(topic)) is None
    assert one.ignored == 1


def test_a_pin_is_never_passed_on() -> None:
    event = told(reader(), message("tns1:Device/tnsaxis:Intercom/KeyPin", {"KeyPin": "84711", "Digits": "84711"}))
    assert event is not None
    assert event.data == {"by": "code"}
    assert "84711" not in repr(event)


def test_the_onvif_twin_of_a_port_is_dropped_once_its_own_topic_was_heard() -> None:
    one = reader()
    twin = message("tns1:Device/Trigger/Relay", {"LogicalState": "active"}, {"RelayToken": "1"})
    assert told(one, twin) is not None
    assert told(one, message("tns1:Device/tnsaxis:IO/OutputPort", {"state": "1"}, {"port": "1"})) is not None
    assert told(one, twin) is None


def test_states_that_are_told_to_a_newcomer_are_no_news() -> None:
    one, state = reader(), message("tns1:Device/tnsaxis:IO/Port", {"state": "1"}, {"port": "3"}, NOW - 9000)
    first, again = told(one, state, settling=True), told(one, state, settling=True)
    assert first is not None
    assert again is not None
    assert (first.initial, again.initial) == (True, False)
    late = told(reader(), state, settling=False)
    assert late is not None
    assert not late.initial, "a state that is told long after we asked is news, even the first time"


@pytest.mark.parametrize(("age", "settling", "initial"), [(60.0, True, True), (0.0, True, False), (60.0, False, False)])
def test_of_unknown_topics_what_is_older_than_the_subscription_is_no_news(
    age: float, settling: bool, initial: bool
) -> None:
    event = told(reader(), message("tnsaxis:Acme/State", {"on": "1"}, at=NOW - age), settling=settling)
    assert event is not None
    assert event.initial is initial


# -- calls --------------------------------------------------------------------------------------------------------

ENDS = [("NoAnswer",), ("Busy",), ("AcceptedByRemote", "Terminated")]
STATE_OF = {"Initiated": "Calling", "AcceptedByRemote": "Active"}


@given(
    ends=st.lists(st.sampled_from(ENDS), min_size=1, max_size=5),
    order=st.lists(st.booleans(), min_size=30, max_size=30),
    both=st.sampled_from(["both", "changes", "states"]),
)
def test_each_phase_of_a_call_is_told_once(ends: list[tuple[str, ...]], order: list[bool], both: str) -> None:
    """Whether the firmware has Call/StateChange, Call/State, or both, and whichever comes first."""
    one, found, expected = reader(), [], []
    orders = iter(order)
    for end in ends:
        for reason in ("Initiated", *end):
            change = message("tnsaxis:Call/StateChange", {"Reason": reason, "RemoteURI": "sip:1"})
            state = message("tnsaxis:Call/State", {"CallState": STATE_OF.get(reason, "Idle")})
            pair = {"both": [change, state], "changes": [change], "states": [state]}[both]
            for text in pair if next(orders) else reversed(pair):
                event = told(one, text)
                found += [event.data["state"]] if event is not None else []
            expected.append(REASONS[reason])
    assert found == expected


def test_a_call_that_goes_on_when_we_begin_to_listen_is_known() -> None:
    one = reader()
    going_on = told(one, message("tnsaxis:Call/State", {"CallState": "Calling"}), settling=True)
    assert going_on is not None
    assert going_on.initial
    over = told(one, message("tnsaxis:Call/State", {"CallState": "Idle"}))
    assert over is not None
    assert over.data["state"] == "missed"


# -- hostile ------------------------------------------------------------------------------------------------------


@given(ANYTHING)
def test_a_message_is_an_event_or_none_or_refused(value: Any) -> None:
    texts = [json.dumps(value), json.dumps({"method": "events:notify", "params": {"notification": value}})]
    texts.append(json.dumps({"method": "events:notify", "params": {"notification": {"topic": "x", "message": value}}}))
    for text in texts:
        with suppress(ProtocolError):
            said = notification(text)
            if said is not None:
                reader().event(said, settling=True)
        with suppress(ProtocolError):
            refused(text)


@given(st.text(max_size=200))
def test_a_message_that_is_no_json_is_refused(text: str) -> None:
    with suppress(ProtocolError):
        notification(text)


@given(ANYTHING)
def test_answers_are_read_or_refused(value: Any) -> None:
    for read in (answers.maker, answers.ports, answers.clock, answers.registered, listed):
        given_ = value if isinstance(value, dict) else {"items": value, "SIPAccountStatus": value, "apiList": value}
        with suppress(ProtocolError):
            read(given_)  # type: ignore[operator]


def test_a_device_cannot_fill_the_memory_with_states() -> None:
    one = reader()
    for number in range(KNOWN + 50):
        told(one, message("tns1:Device/tnsaxis:IO/Port", {"state": "1"}, {"port": str(number)}), settling=True)
    assert len(one._known) == KNOWN


def test_long_texts_are_cut() -> None:
    event = told(reader(), message("tnsaxis:" + "x" * 5000, {f"k{n}": "y" * 5000 for n in range(100)}))
    assert event is not None
    assert len(event.topic) <= 256
    assert len(event.data) <= 24
    assert all(len(value) <= 256 for value in event.data.values())


# -- what it is made of -------------------------------------------------------------------------------------------


def ports(*rows: tuple[int, bool, str]) -> list[Port]:
    return [Port(number, output, usage, "", None) for number, output, usage in rows]


def test_doors_are_the_outputs_whose_usage_says_so() -> None:
    rows = [(0, False, "button"), (1, True, "light"), (2, True, "door"), (3, False, "door"), (4, False, "tampering")]
    found = ports(*rows)
    assert answers.roles(found, AxisConfig()) == Roles((2,), 3, frozenset({4}))


def test_where_no_usage_says_so_all_outputs_are_doors() -> None:
    found = ports((0, False, ""), (1, True, ""), (2, True, ""))
    assert answers.roles(found, AxisConfig()) == Roles((1, 2), None)


def test_the_inventory_says_which_output_is_which() -> None:
    found = ports((0, False, ""), (1, True, "door"), (2, True, "door"))
    roles = answers.roles(found, AxisConfig(outputs=(2, 1, 7), door_sensor=0))
    assert roles == Roles((2, 1), 0), "an output that it has not is none"


def test_ports_are_active_against_their_normal_state() -> None:
    items = [
        {"port": "0", "direction": "input", "state": "closed", "normalState": "open", "usage": "Door"},
        {"port": 1, "direction": "output", "state": "closed", "normalState": "closed"},
        {"port": "two"},
        {"port": "3", "direction": "input", "state": "cut"},
    ]
    found = answers.ports({"items": items})
    assert [(one.number, one.output, one.usage, one.active) for one in found] == [
        (0, False, "door", True),
        (1, True, "", False),
        (3, False, "", None),
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([(200, "OK")], True),
        ([(408, "Timeout")], False),
        ([(200, "OK"), (403, "Forbidden")], False),
        ([(0, "Does not register"), (200, "OK")], True),
        ([(0, "Does not register")], None),
        ([(0, "SIP disabled")], None),
        ([], None),
    ],
)
def test_whether_it_is_registered(statuses: list[tuple[int, str]], expected: bool | None) -> None:
    told_ = [{"Status": status, "StatusText": text} for status, text in statuses]
    assert answers.registered({"SIPAccountStatus": told_}) is expected


def test_the_readme_tells_what_firmware_has_and_what_events_mean() -> None:
    text = Path(answers.__file__).with_name("README.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    for api, row in TABLE.items():
        assert any(f"`{api}`" in one and row.since in one and row.used_for in one for one in rows)
    assert set(TABLE) == set(Api)
    for topic, meaning in {**MEANINGS, **FAMILIES}.items():
        line = next(one for one in rows if f"`{topic.rstrip('/')}" in one)
        assert meaning.kind.value in line
    assert OPERATIONS
