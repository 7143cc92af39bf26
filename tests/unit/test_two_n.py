"""What a 2N intercom says, read: answers, lines of its log, time zones, its configuration."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import DeviceError, ProtocolError, Rejected, Unsupported
from bridge.model import DeviceEvent, EventKind
from bridge.secrets import Secret
from bridge.settings.limits import Zone, same
from bridge.testing.checks import shape
from drivers.two_n import replies, settings, zones
from drivers.two_n.events import MEANINGS, Reader, entry
from drivers.two_n.settings import NUMBERS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
K = EventKind


def line(name: str, params: Any, number: int = 1, at: int = 1_437_987_102) -> dict[str, Any]:
    return {"id": number, "tzShift": 60, "utcTime": at, "upTime": 8, "event": name, "params": params}


def read(*lines: dict[str, Any], resolves: bool = True, now: float = 0.0) -> list[DeviceEvent]:
    reader = Reader("")
    reader.resolves = resolves
    return [event for each in lines for event in reader.read(entry(each), now)]


# Lines as the manual has them, and as integrations of others have recorded them.
CORPUS: list[tuple[str, dict[str, Any], EventKind, bool | None, str, dict[str, str]]] = [
    ("DeviceState", {"state": "startup"}, K.REBOOT, None, "", {"state": "startup"}),
    ("DeviceState", {"state": "elsewhere"}, K.VENDOR, None, "", {"state": "elsewhere"}),
    ("MotionDetected", {"state": "in"}, K.MOTION, True, "", {"state": "in"}),
    ("MotionDetected", {"state": "out", "id": 2}, K.MOTION, False, "2", {"state": "out", "id": "2"}),
    ("NoiseDetected", {"state": "in"}, K.ANALYTICS, True, "", {"state": "in"}),
    ("InputChanged", {"port": "input1", "state": True}, K.INPUT, True, "input1", {"port": "input1", "state": "true"}),
    ("OutputChanged", {"port": "r1", "state": False}, K.RELAY, False, "r1", {"port": "r1", "state": "false"}),
    ("SwitchStateChanged", {"switch": 1, "state": True}, K.LOCK, True, "1", {"switch": "1", "state": "true"}),
    (
        "SwitchStateChanged",
        {"switch": 2, "state": False, "originator": "rex"},
        K.LOCK,
        False,
        "2",
        {"switch": "2", "state": "false", "originator": "rex", "by": "button"},
    ),
    ("DoorStateChanged", {"state": "opened"}, K.DOOR, True, "", {"state": "open"}),
    ("DoorStateChanged", {"state": "closed"}, K.DOOR, False, "", {"state": "closed"}),
    ("DoorOpenTooLong", {"state": "in"}, K.DOOR, True, "", {"state": "held"}),
    ("UnauthorizedDoorOpen", {"state": "out"}, K.DOOR, False, "", {"state": "forced"}),
    ("TamperSwitchActivated", {"state": "in"}, K.TAMPER, True, "", {"state": "in"}),
    ("LoginBlocked", {"address": "10.0.23.32"}, K.SYSTEM, None, "", {"address": "10.0.23.32"}),
    ("AccessLimited", {"ap": 0, "state": "in"}, K.SYSTEM, True, "0", {"ap": "0", "state": "in"}),
    (
        "RegistrationStateChanged",
        {"sipAccount": 1, "state": "registered"},
        K.SYSTEM,
        None,
        "1",
        {"sipAccount": "1", "state": "registered"},
    ),
    ("RexActivated", {"ap": 1, "session": 9}, K.INPUT, None, "1", {"ap": "1", "session": "9"}),
    ("ConfigurationChanged", {}, K.CONFIG_CHANGED, None, "", {}),
    ("CallSessionStateChanged", {"session": 3, "state": "x"}, K.VENDOR, None, "", {"session": "3", "state": "x"}),
    ("DirectorySaved", {"series": "229344"}, K.VENDOR, None, "", {"series": "229344"}),
    ("DtmfSent", {"digits": "12"}, K.VENDOR, None, "", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params", "kind", "active", "source", "data"), CORPUS)
def test_a_line_by_its_meaning(name, params, kind, active, source, data):
    (event,) = read(line(name, params))
    assert (event.kind, event.active, event.source, dict(event.data)) == (kind, active, source, data)
    assert (event.topic, event.source_time) == (name, 1_437_987_102)
    whole = name in MEANINGS and MEANINGS[name].whole and kind is not K.VENDOR
    assert event.channel == (None if whole else "")


def call(state: str, session: int = 1, direction: str = "outgoing") -> dict[str, Any]:
    peer = "sip:101:geheim@192.0.2.10:5060"
    return line(
        "CallStateChanged", {"direction": direction, "state": state, "peer": peer, "session": session, "call": 1}
    )


@pytest.mark.parametrize(
    ("lines", "states"),
    [
        ([call("ringing"), call("connected"), call("terminated")], ["ringing", "answered", "ended"]),
        ([call("ringing"), call("terminated")], ["ringing", "missed"]),
        ([call("ringing", direction="incoming"), call("terminated", direction="incoming")], ["ringing", "ended"]),
        # Two legs ring, one answers: the other one was not missed.
        (
            [call("ringing"), call("ringing"), call("connected"), call("terminated")],
            ["ringing"] * 2 + ["answered", "ended"],
        ),
        ([call("connected", 1), call("ringing", 2), call("terminated", 2)], ["answered", "ringing", "missed"]),
    ],
)
def test_calls(lines, states):
    events = read(*lines)
    assert [event.data["state"] for event in events] == states
    assert "geheim" not in repr(events)
    assert events[0].data["peer"] == "sip:101@192.0.2.10:5060"


def shown(event: str, **more: Any) -> dict[str, Any]:
    return line(event, {"ap": 0, "session": 7, "direction": "in", **more})


CARD = shown("CardEntered", reader="ext7", uid="4BD9E903", valid=True)
USER = shown("UserAuthenticated", name="Joe", uuid="4d")


def test_old_firmware_tells_a_card_alone():
    (event,) = read(CARD, resolves=False)
    assert (event.data["granted"], event.data["credential"]) == ("true", "0000004BD9E903")
    assert read(CARD, USER, resolves=False) == [event]


def test_a_card_and_its_user_are_one_access():
    (event,) = read(CARD, USER)
    assert (event.topic, event.data["by"], event.data["user"], event.data["granted"]) == (
        "UserAuthenticated",
        "card",
        "Joe",
        "true",
    )


def test_a_refused_card_is_told_once():
    rejected = shown("UserRejected", reason="invalidCredential")
    (event,) = read({**CARD, "params": {**CARD["params"], "valid": False}}, rejected)
    assert (event.topic, event.data["granted"]) == ("CardEntered", "false")


def test_two_factors_are_two_and_the_last_has_the_word():
    code = shown("CodeEntered", code="4711", valid=True)
    first, second = read(CARD, code, USER)
    assert (first.topic, second.topic) == ("CardEntered", "UserAuthenticated")
    assert second.data["by"] == "code"
    assert "4711" not in repr((first, second))


def test_what_is_never_judged_is_told_in_the_end_and_nothing_is_kept_for_ever():
    reader = Reader("")
    for session in range(100):
        assert len(reader.read(entry(shown("CardEntered", session=session, valid=True)), 0.0)) == (session >= 16)
    assert reader.overdue(29.0) == []
    assert len(reader.overdue(31.0)) == 16
    assert reader.overdue(99.0) == []


@given(st.dictionaries(st.sampled_from(("id", "event", "params", "utcTime", "upTime")), JSON))
def test_whatever_a_line_says_it_is_an_event_or_no_event(item):
    try:
        read_line = entry(item)
    except ProtocolError:
        return
    for event in Reader("").read(read_line, 0.0):
        shape.event(event, _Device)


class _Channel:
    key = ""


class _Device:
    channels = (_Channel,)


@given(
    st.sampled_from(sorted((*MEANINGS, "CardEntered", "CodeEntered", "CallStateChanged", "UserRejected"))), JSON, JSON
)
def test_whatever_its_parameters_are_no_code_comes_out(name, one, other):
    params = {"code": "4711-secret", "state": one, "session": other, "valid": one, "uid": other, "pin": "4711-secret"}
    for event in read(line(name, params)):
        shape.event(event, _Device)
        assert "4711-secret" not in repr(event)


# -- answers ---------------------------------------------------------------------------------------------------------


def test_an_envelope():
    assert replies.envelope(b'{"success": true}') is None
    assert replies.envelope(b'{"success" : true, "result" : {"id": 3}}') == {"id": 3}
    assert replies.envelope(b"[]") == []  # call/status of 2.50
    with pytest.raises(Rejected, match=r"error 12") as told:
        replies.envelope(b'{"success":false,"error":{"code":12,"param":"port","description":"geheim"}}')
    assert "port" in told.value.detail
    assert "geheim" not in told.value.detail
    with pytest.raises(Unsupported):
        replies.envelope(b'{"success":false,"error":{"code":4}}')
    for body in (b"", b"[", b"null", b'{"success":"yes"}', b'{"success":false}', b'{"retcode":0}', b"[" * 100_000):
        with pytest.raises(ProtocolError):
            replies.envelope(body)


@given(JSON)
def test_no_answer_breaks_a_reader(value):
    for reader in (
        replies.info,
        replies.switches,
        replies.locks,
        replies.event_names,
        replies.resolutions,
        lambda told: replies.is_blocked(told, 1),
        lambda told: replies.registered(told, 1),
        lambda told: replies.port(told, "input1"),
        settings.ntp,
        settings.clock,
        lambda told: settings.account(told, 1),
    ):
        with suppress(DeviceError):
            reader(value)
    with suppress(DeviceError):
        replies.envelope(json.dumps(value).encode())


def test_a_lock_in_every_state():
    listed = [
        {"switch": 1, "active": True, "locked": False},  # before 2.20 nobody spoke of held
        {"switch": 2, "active": False, "locked": True, "held": True},
        {"switch": 3, "active": True, "locked": False, "held": True},
        {"switch": 4, "active": False, "locked": False, "held": False},
        {"switch": "5"},
        7,
    ]
    assert replies.locks({"switches": listed}) == {1: "unlocked", 2: "locked", 3: "held", 4: "locked"}


# -- time zones ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("custom", "posix"),
    [
        ("UTC+03:00", "<+03>-3"),
        ("UTC-08:00", "<-08>8"),
        ("UTC\u221208:00", "<-08>8"),  # the manual has a minus sign that is no hyphen
        ("UTC+05:30", "<+0530>-5:30"),
        ("UTC+00:00", "<+00>-0"),
    ],
)
def test_offsets(custom, posix):
    assert zones.of_offset(custom) == posix
    assert zones.to_offset(posix) == custom.replace("\u2212", "-")


@given(st.integers(-12 * 4, 14 * 4))
def test_every_offset_comes_back(quarters):
    minutes = abs(quarters) * 15
    posix = f"XXX{'-' if quarters > 0 else ''}{minutes // 60}:{minutes % 60:02d}"
    custom = zones.to_offset(posix)
    assert custom is not None
    back = zones.of_offset(custom)
    assert back is not None
    assert same(Zone(), posix, back)


def test_names():
    assert zones.of_name("Europe/Prague") == "CET-1CEST,M3.5.0,M10.5.0/3"
    assert zones.of_name("America/Los Angeles") == "PST8PDT,M3.2.0,M11.1.0"
    for name in ("../etc/passwd", "/etc/passwd", "Europe/Atlantis", "", "zone.tab", "Europe"):
        assert zones.of_name(name) is None
    offered = ("Africa/Abidjan", "Europe/Prague", "America/New_York")
    assert zones.to_name("CET-1CEST,M3.5.0,M10.5.0/3", offered) == "Europe/Prague"
    assert zones.to_name("CET-1CEST,M3.5.0,M10.5.0", offered) == "Europe/Prague"
    assert zones.to_name("CET-1CEST,M3.5.0,M9.5.0", offered) is None
    assert zones.to_offset("CET-1CEST,M3.5.0,M10.5.0") is None


# -- configuration ---------------------------------------------------------------------------------------------------

EXPORT = b"""<?xml version="1.0" encoding="UTF-8"?>
<!-- Product name: 2N IP Verso -->
<DeviceDatabase Version="45"><WebServer><DeviceName>Gate</DeviceName></WebServer>
<Phone><Calls><MaxCallDuration>0</MaxCallDuration><Outgoing><MaxRingingDuration>32</MaxRingingDuration></Outgoing>
<Incoming><MaxRingingDuration Encryption="3">Zm9v</MaxRingingDuration></Incoming></Calls></Phone>
<DoorControl><Door At="1"><Sensor><TimeLimit>7</TimeLimit></Sensor></Door>
<Door At="0"><Sensor><TimeLimit>30</TimeLimit></Sensor></Door></DoorControl></DeviceDatabase>"""


def test_a_file_says_what_a_unit_has():
    values, limits = settings.of_document(settings.document(EXPORT))
    assert values == {"call.ring": 32, "vendor.two_n.door_open_limit": 30, "vendor.two_n.device_name": "Gate"}
    # A call without a limit (0) is one that the vocabulary has no word for; what is encrypted stays alone.
    assert set(limits) == {*values, "call.talk"}


@given(st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.integers(1, 600)), st.text("<>&\"'ab \u00e4", min_size=1))
def test_what_is_written_is_what_is_read(numbers, name):
    wanted = {**numbers, settings.NAME: name}
    written = settings.change(settings.document(EXPORT), wanted)
    root = settings.document(written)
    assert root.get("Version") == "45"
    values, _ = settings.of_document(root)
    assert values == {**numbers, **({settings.NAME: name.strip()} if name.strip() else {})}


def test_no_configuration_is_refused():
    for data in (
        b"",
        b"{}",
        b"<html/>",
        b"<Database/>",
        b'<!DOCTYPE x [<!ENTITY e "x">]><DeviceDatabase>&e;</DeviceDatabase>',
    ):
        with pytest.raises(ProtocolError):
            settings.document(data)


def test_an_account_is_changed_field_by_field():
    wanted = {"sip.enabled": True, "sip.port": 5070, "sip.password": Secret("geheim"), "sip.server": "192.0.2.1"}
    assert json.loads(settings.change_account(2, wanted)) == {
        "accounts": [
            {
                "account": 2,
                "registrationEnabled": True,
                "enabled": True,
                "registrarPort": "5070",
                "password": "geheim",
                "registrarAddress": "192.0.2.1",
            }
        ]
    }
    off = json.loads(settings.change_account(1, {"sip.enabled": False}))
    assert off == {"accounts": [{"account": 1, "registrationEnabled": False}]}
