"""Lines of syslog in every dialect, and bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.syslog.message import LINE_LIMIT, Frames, Line, parse

WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='[]":='), min_size=1, max_size=20)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")))


def read(raw: bytes) -> tuple[str, str, str, str]:
    line = parse(raw)
    return line.host, line.app, line.process, line.text


@pytest.mark.parametrize(
    ("raw", "host", "app", "process", "text"),
    [
        # RFC 5424, with and without structured data
        (
            b"<165>1 2026-11-25T10:11:12.003Z panel-7 doord 412 ID47 - EVENT:4:2:Door opened",
            "panel-7", "doord", "412", "EVENT:4:2:Door opened",
        ),
        (
            b'<134>1 2026-11-25T10:11:12+03:00 gate app - - [origin ip="192.0.2.7"][meta seq="3"] \xef\xbb\xbfOpening',
            "gate", "app", "", "Opening",
        ),
        # RFC 3164 and what devices make of it
        (b"<30>Nov 25 10:11:12 entrance panel[77]: Opening main door", "entrance", "panel", "77", "Opening main door"),
        (b"<30>Nov  5 10:11:12 entrance panel: text", "entrance", "panel", "", "text"),
        (b"<30>Nov  5 10:11:12 host Door Station 812: Calling sip:7", "host", "Door Station", "812", "Calling sip:7"),
        (b"<13>Nov  5 10:11:12 app: no host", "", "app", "", "no host"),
        # RFC 3339, short
        (b"<14>2026-11-25T10:11:12+03:00 rbt app General - open door", "rbt", "app", "", "General - open door"),
        (b"<14> 2026-11-25 10:11:12 basip app Door opened. Info", "basip", "app", "", "Door opened. Info"),
        # Nothing at all
        (b"just some text", "", "", "", "just some text"),
        (b"<999>x", "", "", "", "<999>x"),
    ],
)  # fmt: skip
def test_dialects(raw: bytes, host: str, app: str, process: str, text: str) -> None:
    assert read(raw) == (host, app, process, text)


def test_times() -> None:
    assert parse(b"<165>1 2026-11-25T10:11:12Z h a - - - x").time == 1795601472.0
    assert parse(b"<165>1 2026-11-25T13:11:12+03:00 h a - - - x").time == 1795601472.0
    without_zone = parse(b"<14> 2026-11-25 10:11:12 h a x")
    assert (without_zone.time, without_zone.local) == (None, (2026, 11, 25, "10:11:12"))
    assert parse(b"<30>Nov  5 10:11:12 h a: x").local == (None, 11, 5, "10:11:12")
    assert parse(b"<165>1 - h a - - - x").time is None


def test_structured_data_and_severity() -> None:
    line = parse(rb'<165>1 - h a - - [door@1 n="2" who="A \"B\" \]"] text')
    assert line.data == {"door@1.n": "2", "door@1.who": 'A "B" ]'}
    assert (line.facility, line.severity, line.text) == (20, 5, "text")


@given(st.binary(max_size=2000))
def test_it_never_raises_and_keeps_the_line(raw: bytes) -> None:
    line = parse(raw)
    assert isinstance(line, Line)
    assert line.raw.endswith(line.text)


@given(st.integers(0, 191), WORD, WORD, TEXT.filter(lambda text: not text.startswith(("-", "[", "\ufeff"))))
def test_what_rfc_5424_says_is_read(priority: int, host: str, app: str, text: str) -> None:
    if host == "-" or app == "-":
        return
    line = parse(f"<{priority}>1 2026-11-25T10:11:12Z {host} {app} - - - {text}".encode())
    assert (line.facility, line.severity) == divmod(priority, 8)
    assert (line.host, line.app, line.text) == (host, app, text)


@given(st.lists(st.binary(min_size=1, max_size=300).filter(lambda one: b"\n" not in one), max_size=10), st.data())
def test_frames_come_out_however_they_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    counted = [data.draw(st.booleans()) or one[:1].isdigit() for one in messages]
    stream = b"".join(
        b"%d %s" % (len(one), one) if octets else one + b"\n" for one, octets in zip(messages, counted, strict=True)
    )
    frames, found, at = Frames(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 64))
        found += frames.feed(stream[at : at + size])
        at += size
    assert found == messages


def test_a_message_without_end_fills_no_memory() -> None:
    frames = Frames()
    found = [one for _ in range(100) for one in frames.feed(b"x" * 65_536)]
    assert [len(one) for one in found] == [LINE_LIMIT]
    assert frames.feed(b"\nnext\n") == [b"next"]
