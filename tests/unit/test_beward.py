"""What Beward panels say: a corpus of log lines in the shapes that firmware gives them, the clock, the stream, and
bytes that are none of it."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ProtocolError
from bridge.model import EventKind
from bridge.syslog.message import parse
from drivers.beward import calls, times
from drivers.beward.alarms import LINE_LIMIT, Lines, read
from drivers.beward.calls import FORGOTTEN, Call
from drivers.beward.lines import Leg, Meaning, Said, understood
from drivers.beward.models import DKS, DS, alike, family_of, info, truth, uptime
from drivers.beward.settings import OPERATIONS, VENDOR

ACCESS, LOCK, MOTION, TAMPER = EventKind.ACCESS, EventKind.LOCK, EventKind.MOTION, EventKind.TAMPER

# Headers as panels write them: all of one, a name with a space, no host, no name, nothing at all; a relay's.
HEADERS = (
    "<14>Nov 25 14:03:31 IPC1692 Door Station 812: ",
    "<14>Nov  5 04:03:31 192.168.13.152 dks 77: ",
    "<30>Nov 25 14:03:31 192.168.13.152 intercom: ",
    "<14>Nov 25 14:03:31 Door Station 812: ",
    "<14>Nov 25 14:03:31 ",
    "<14>",
    "",
    "<14>1 2026-11-25T14:03:31+03:00 gate relay - - - ",
)
CARD = {"by": "card", "granted": "true", "credential": "00000075BC01AD", "reader": "built-in"}
EXTERNAL = {"by": "card", "granted": "true", "credential": "000000C69798DA", "reader": "external"}

MEANT: tuple[tuple[str, EventKind, bool | None, str, dict[str, str]], ...] = (
    ("SS_MAINAPI_ReportAlarmHappen(0, 2)", MOTION, True, "0", {}),
    ("SS_MAINAPI_ReportAlarmFinish(0, 2)", MOTION, False, "0", {}),
    ("SS_MAINAPI_ReportAlarmHappen", MOTION, True, "0", {}),
    ("Opening door by RFID 00000075BC01AD, apartment 0", ACCESS, None, "1", CARD),
    ("Opening door by RFID 75BC01AD, apartment 12", ACCESS, None, "1", {**CARD, "apartment": "12"}),
    ("Opening main door by RFID 75bc01ad", ACCESS, None, "1", CARD),
    ("Opening door by external RFID 000000C69798DA, apartment 0", ACCESS, None, "2", EXTERNAL),
    ("Opening door by ext RFID C69798DA", ACCESS, None, "2", EXTERNAL),
    # Fourth byte 0: Wiegand-26, so an external reader, although the line does not say so.
    (
        "Opening door by RFID 0000000075BC01, apartment 3", ACCESS, None, "2",
        {"by": "card", "granted": "true", "credential": "0000000075BC01", "reader": "external", "apartment": "3"},
    ),
    ("Opening door by code 48151, apartment 7", ACCESS, None, "1", {"by": "code", "granted": "true", "apartment": "7"}),
    ("Opening door by code 48151,", ACCESS, None, "1", {"by": "code", "granted": "true"}),
    ("Main door button pressed!", LOCK, None, "1", {"by": "button"}),
    ("Main door button pressed", LOCK, None, "1", {"by": "button"}),
    ("Additional door button pressed!", LOCK, None, "2", {"by": "button"}),
    ("Opening door by DTMF command for apartment 14", LOCK, None, "1", {"by": "dtmf", "apartment": "14"}),
    ("[61255] Opening door by DTMF command for apartment 1", LOCK, None, "1", {"by": "dtmf", "apartment": "1"}),
    ("Opening door by DTMF command 1, apartment 14", LOCK, None, "1", {"by": "dtmf", "apartment": "14"}),
    ("Opening door by CMS handset for apartment 12", LOCK, None, "1", {"by": "handset", "apartment": "12"}),
    ("[7] Opening door by CMS handset for apartment 12", LOCK, None, "1", {"by": "handset", "apartment": "12"}),
    ("Opening main door by API command", LOCK, None, "1", {"by": "api"}),
    ("Intercom break in detected", TAMPER, True, "", {}),
    ("EVENT:12:Intercom break in detected!", TAMPER, True, "", {}),
)  # fmt: skip
LEGS: tuple[tuple[str, Leg, str, str], ...] = (
    (
        "[61255] Calling sip:1000000020@rbt.example.net:50142 through account 0(0)...",
        Leg("start", "sip:1000000020@rbt.example.net:50142", peer="1000000020@rbt.example.net:50142"), "61255", "",
    ),
    ("Calling sip:12, account 1", Leg("start", "sip:12", peer="12"), "", ""),
    ("CMS handset call started for apartment 12", Leg("start", "handset", "12"), "", ""),
    ("Unable to call CMS apartment 12", Leg("start", "handset", "12"), "", ""),
    ("Redirecting CMS call to 00010012 for apartment 12", Leg("start", "redirect", redirect="00010012"), "", ""),
    ("[61255] SIP call 4 state changed to CALLING", Leg("start", "4"), "61255", ""),
    ("SIP call 4 is CALLING", Leg("start", "4"), "", ""),
    ("CMS handset talk started for apartment 12", Leg("answer", "", "12"), "", ""),
    ("[61255] SIP talk started for apartment 1", Leg("answer", "", "1"), "61255", ""),
    ("SIP call 4 is CONFIRMED", Leg("answer", "4"), "", ""),
    (
        "[61255] SIP call 4 is DISCONNECTED [reason=200 (Normal call clearing)]", Leg("leg_end", "4"), "61255", "",
    ),
    ("EVENT:703:SIP call 1 is DISCONNECTED [reason=486 (Busy here)]", Leg("leg_end", "1"), "", "703"),
    ("EVENT:700:Calling sip:12@a.example", Leg("start", "sip:12@a.example", peer="12@a.example"), "", "700"),
    ("All calls are done for apartment 12 [771]", Leg("end", "", "12"), "771", ""),
    ("[61255] All calls are done for apartment 1", Leg("end", "", "1"), "61255", ""),
)  # fmt: skip
NOTHING = (
    "IMX122_AutoIRcut_Task to Night ----------",
    "SS_FLASH_SaveParam ok",
    "SS_VENC_InitEncoder 0",
    "Have Check Param Change Beg Save",
    "Opened device HisiAudDev for capture, sample rate=8000, ch=1, bits=16, latency=100 ms",
    "Incoming DTMF RFC2833 on call 4: 1",
    "Main door button unpressed!",
    "[61255] SIP call 4 state changed to EARLY",
    "[61255] SIP call done for apartment 1, handset is down",
    "CMS handset call done for apartment 12, handset is down",
    "busybox-lib: udhcpc: sending renew",
)


def said(text: str) -> Said | None:
    return understood(parse(text))


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("text", "kind", "active", "source", "data"), MEANT, ids=[one[0][:40] for one in MEANT])
def test_what_a_line_means(
    header: str, text: str, kind: EventKind, active: bool | None, source: str, data: dict[str, str]
) -> None:
    found = said(header + text)
    assert found is not None
    what = found.what
    assert isinstance(what, Meaning)
    assert (what.kind, what.active, what.source, dict(what.data)) == (kind, active, source, data)
    assert what.topic


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("text", "leg", "call", "event"), LEGS, ids=[one[0][:40] for one in LEGS])
def test_what_a_line_says_about_a_call(header: str, text: str, leg: Leg, call: str, event: str) -> None:
    assert said(header + text) == Said(leg, call, event)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("text", NOTHING)
def test_what_the_firmware_says_to_itself(header: str, text: str) -> None:
    assert said(header + text) is None


@pytest.mark.parametrize("header", HEADERS[:4])
def test_what_nobody_knows_is_passed_on(header: str) -> None:
    found = said(f"{header}Heater switched on")
    assert found == Said(Meaning(EventKind.VENDOR, "log", data={"text": "Heater switched on"}))


@pytest.mark.parametrize(
    "text",
    [
        "Opening door by code 48151623, apartment 7",
        "Wrong code 48151623 entered",
        "Door code entered: 48151623",
        "DoorCode=48151623 accepted",
        "apartment 7 used code: 48151623!",
        "RegCode 48151623",
        "new PIN is 48151623",
        "Incoming DTMF RFC2833 on call 4: 48151623",
        "Send DTMF 48151623",
        "user admin logged in, password 48151623",
    ],
)
def test_a_code_is_never_passed_on(text: str) -> None:
    assert "48151623" not in repr(said(f"{HEADERS[0]}{text}"))


@given(st.text(max_size=400))
def test_any_line_is_read(text: str) -> None:
    found = said(text)
    if found is not None and isinstance(found.what, Meaning):
        assert all(len(value) <= 500 for value in found.what.data.values())


@given(st.text("0123456789ABCDEFabcdef", min_size=6, max_size=14), st.integers(0, 9999))
def test_cards_come_out_in_one_way(card: str, apartment: int) -> None:
    found = said(f"{HEADERS[0]}Opening door by RFID {card}, apartment {apartment}")
    assert found is not None
    assert isinstance(found.what, Meaning)
    assert found.what.data["credential"] == card.upper().zfill(14)
    assert found.what.data.get("apartment", "0") == str(apartment)


# -- calls ---------------------------------------------------------------------------------------------------------


def told(lines: list[str], *, one_leg: bool = False, every: float = 1.0) -> list[tuple[str, dict[str, str]]]:
    call: Call | None = None
    found = []
    for number, text in enumerate(lines):
        one = said(HEADERS[0] + text)
        if one is not None and isinstance(one.what, Leg):
            call, state, about = calls.step(call, one.what, one.call, number * every, one_leg=one_leg)
            if state:
                found.append((state, about.data))
    return found


# As it was captured from a DKS.
CAPTURED = [
    "Emulating call to apartment 1(0)!",
    "[61255] Calling sip:1000000020@rbt.example.net:50142 through account 0(0)...",
    "[61255] SIP call 4 state changed to CALLING",
    "[61255] SIP call 4 state changed to EARLY",
    "[61255] SIP call 4 state changed to CONNECTING",
    "Opened device HisiAudDev for capture, sample rate=8000, ch=1, bits=16, latency=100 ms",
    "[61255] SIP call 4 state changed to CONFIRMED",
    "Incoming DTMF RFC2833 on call 4: 1",
    "[61255] Opening door by DTMF command for apartment 1",
    "[61255] SIP talk started for apartment 1",
    "[61255] SIP call 4 is DISCONNECTED [reason=200 (Normal call clearing)]",
    "[61255] SIP call done for apartment 1, handset is down",
    "[61255] All calls are done for apartment 1",
]


def test_a_call_rings_once_is_answered_once_and_ends_once() -> None:
    states = told(CAPTURED)
    assert [state for state, _ in states] == ["ringing", "answered", "ended"]
    assert states[-1][1] == {"apartment": "1", "peer": "1000000020@rbt.example.net:50142", "call": "61255"}


def test_a_handset_and_phones_are_one_call() -> None:
    lines = [
        "CMS handset call started for apartment 12",
        "Calling sip:12@a.example.net through account 0",
        "Calling sip:13@a.example.net through account 0",
        "SIP call 1 is CALLING",
        "SIP call 2 is CALLING",
        "SIP call 1 is DISCONNECTED",
        "CMS handset talk started for apartment 12",
        "SIP call 2 is DISCONNECTED",
        "All calls are done for apartment 12 [771]",
    ]
    assert [state for state, _ in told(lines)] == ["ringing", "answered", "ended"]


def test_who_calls_again_rings_again() -> None:
    call = ["Calling sip:7@a.example.net", "SIP call 1 is CALLING"]
    done = ["All calls are done for apartment 7 [5]"]
    assert [state for state, _ in told(call + done + call + done)] == ["ringing", "missed", "ringing", "missed"]
    # Also when the line between was lost, as UDP does.
    assert [state for state, _ in told(["Calling sip:7@a.example.net"] * 2 + done)] == ["ringing", "ringing", "missed"]
    # The panel that tries the same phone once more within a call says the same number.
    assert [state for state, _ in told(["[5] Calling sip:7@a.example.net"] * 2)] == ["ringing"]
    assert [state for state, _ in told([f"[{n}] Calling sip:7@a.example.net" for n in (5, 6)])] == ["ringing"] * 2


def test_a_call_without_its_end_is_forgotten() -> None:
    states = told(["Calling sip:7@a.example.net", "SIP call 9 is CALLING"], every=FORGOTTEN + 1)
    assert [state for state, _ in states] == ["ringing", "ringing"]


def test_on_panels_of_one_door_the_leg_is_the_call() -> None:
    lines = ["EVENT:1:Calling sip:7@a", "EVENT:2:SIP call 1 is CALLING", "EVENT:3:SIP call 1 is DISCONNECTED"]
    assert [state for state, _ in told(lines, one_leg=True)] == ["ringing", "missed"]


@given(st.lists(st.sampled_from([one[0] for one in LEGS]), max_size=40), st.booleans())
def test_no_order_of_lines_breaks_a_call(lines: list[str], one_leg: bool) -> None:
    states = [state for state, _ in told(lines, one_leg=one_leg)]
    assert set(states) <= {"ringing", "answered", "missed", "ended"}
    for before, after in pairwise(states):
        assert (before, after) != ("missed", "missed")


# -- the stream of alarms ------------------------------------------------------------------------------------------

# As they were captured from a DS06M.
STREAM = (
    b"2019-07-28;00:57:27;MotionDetection;1;0\n2019-07-28;00:57:28;MotionDetection;0;0\r\n"
    b"2019-07-28;15:51:52;SensorAlarm;1;0\n2019-07-28;15:51:53;SensorAlarm;0;0\n"
)


def test_alarms_of_the_stream() -> None:
    found = [(one.what.kind, one.what.active, one.local) for one in Lines().feed(STREAM)]
    assert found == [
        (EventKind.MOTION, True, (2019, 7, 28, "00:57:27")),
        (EventKind.MOTION, False, (2019, 7, 28, "00:57:28")),
        (EventKind.INPUT, True, (2019, 7, 28, "15:51:52")),
        (EventKind.INPUT, False, (2019, 7, 28, "15:51:53")),
    ]


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_the_stream_is_read_however_it_is_cut(places: list[int]) -> None:
    lines, found = Lines(), []
    cuts = [0, *sorted(places), len(STREAM)]
    for start, end in pairwise(cuts):
        found += lines.feed(STREAM[start:end])
    assert found == list(Lines().feed(STREAM))
    assert lines.bad == 0


@given(st.binary(max_size=300))
def test_a_line_that_is_none_costs_itself_alone(junk: bytes) -> None:
    lines = Lines()
    found = list(lines.feed(junk + b"\n" + STREAM))
    assert found[-4:] == list(Lines().feed(STREAM))


def test_a_line_without_an_end_takes_no_memory() -> None:
    lines = Lines()
    for _ in range(100):
        assert not list(lines.feed(b"x" * LINE_LIMIT))
    assert len(lines._buffer) <= 2 * LINE_LIMIT
    assert len(list(lines.feed(b"\n" + STREAM))) == 4
    assert lines.bad == 1


def test_an_alarm_of_another_name_is_passed_on() -> None:
    alarm = read("2026-11-25;14:03:31;VideoLost;1;0")
    assert alarm is not None
    assert (alarm.what.kind, alarm.what.active) == (EventKind.VENDOR, None)
    assert alarm.what.data == {"name": "VideoLost", "state": "1"}


# -- its clock -------------------------------------------------------------------------------------------------------


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


NOW = at(2026, 10, 3, 11, 24, 26)


def test_its_clock_with_a_zone() -> None:
    found = times.clock("10 3, 2026 14:24:26 21 192.168.1.30\r\n", NOW)
    assert found == times.Clock(3 * 3600, 0.0)
    assert times.clock("Oct 3, 2026 14:25:26 21 pool.ntp.org", NOW) == times.Clock(3 * 3600, 60.0)
    # Whatever its zone is: a clock that is six hours ahead is six hours ahead.
    ahead = times.clock("10 3, 2026 20:24:26 21 -", NOW)
    assert ahead is not None
    assert ahead.offset == 6 * 3600


def test_its_clock_without_a_zone_is_right_but_for_minutes() -> None:
    assert times.clock("10 3, 2026 14:26:26", NOW) == times.Clock(3 * 3600, 120.0)


@pytest.mark.parametrize("text", ["", "no time", "10 3, 2026", "99 99, 2026 99:99:99", "2 30, 2026 01:02:03 21 x"])
def test_what_is_no_clock(text: str) -> None:
    assert times.clock(text, NOW) is None


@pytest.mark.parametrize(
    ("local", "wall", "moment"),
    [
        ((None, 10, 3, "14:24:00"), NOW, NOW - 26),
        # Around new year, the nearest one is meant.
        ((None, 12, 31, "23:59:59"), at(2027, 1, 1), at(2026, 12, 31, 20, 59, 59)),
        ((None, 1, 1, "00:00:01"), at(2026, 12, 31, 20, 59), at(2026, 12, 31, 21, 0, 1)),
        ((2019, 7, 28, "00:57:27"), NOW, at(2019, 7, 27, 21, 57, 27)),
        ((None, 2, 30, "14:24:00"), NOW, None),
        (None, NOW, None),
    ],
)  # fmt: skip
def test_when_a_line_was_written(
    local: tuple[int | None, int, int, str] | None, wall: float, moment: float | None
) -> None:
    assert times.Clock(3 * 3600, 0.0).moment(local, wall) == moment


def test_zones_there_and_back() -> None:
    for number, hours in times.ZONES.items():
        zone = times.posix(number)
        assert zone is not None
        back = times.number(zone)
        assert back is not None
        assert times.ZONES[back] == hours
    assert times.number("MSK-3") == 21
    assert times.number("CET-1CEST,M3.5.0,M10.5.0") == 15
    assert times.number("<+0545>-5:45") is None
    assert times.number("nonsense") is None
    assert times.posix(99) is None


# -- who it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:48:01", 2881),
        ("0:0:0", 0),
        ("720:00:00", 2_592_000),
        ("3.04:05:06", 273_906),
        ("3 days, 04:05:06", 273_906),
        ("", None),
        ("48:01", None),
        ("soon", None),
    ],
)
def test_how_long_it_has_been_running(text: str, seconds: int | None) -> None:
    assert uptime(text) == seconds


def test_who_it_is() -> None:
    found = info(
        {"DeviceModel": "DS07P-LP", "DeviceID": "293239", "SoftwareVersion": "3.1.0.0.13.27", "UpTime": "1:0:0"}
    )
    assert (found.model, found.serial, found.firmware, found.uptime) == ("DS07P-LP", "293239", "3.1.0.0.13.27", 3600)
    assert info({"DeviceModel": "x", "DeviceID": "0", "DeviceUUID": "5G13"}).serial == "5G13"
    with pytest.raises(ProtocolError):
        info({"Hello": "world"})


def test_families() -> None:
    assert family_of("DKS15135_rev5.5.6.8.5", has_intercom=True) is DKS
    assert family_of("DS06M", has_intercom=False) is DS
    assert family_of("unheard-of", has_intercom=True) is DKS
    assert family_of("", has_intercom=False) is DS
    assert len(DKS.volumes) == 17


def test_switches_in_the_panel_s_own_words() -> None:
    assert [truth(word) for word in ("on", "1", "Open", "off", "0", "close", "", None, "7")] == [
        *(True, True, True, False, False, False),
        *(None, None, None),
    ]
    assert (alike("1", False), alike("off", True), alike("close", True), alike(None, False)) == (
        "0",
        "on",
        "open",
        "off",
    )


@given(st.dictionaries(st.text(string.ascii_letters, max_size=20), st.text(max_size=100), max_size=20))
def test_any_answer_is_a_panel_or_an_error(values: dict[str, str]) -> None:
    try:
        found = info(values)
    except ProtocolError:
        return
    assert found.model or found.serial


def test_every_own_setting_is_named() -> None:
    own = [path for path in OPERATIONS if path.startswith(VENDOR)]
    assert len([path for path in own if "volume_" in path]) == 15 + 2  # two of the 17 are audio.*, DS has two more
