"""Frames, signatures and names of the Pusher protocol, against the vectors of Pusher's own docs."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side

from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.pusher_protocol import Code, Malformed
from bridge.secrets import Secret

# The key and the secret of the docs' examples.
KEY = "278d425bdf160c739803"
SECRET = Secret("7ad3773142a6692b25b8")

BODY = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
SIGNATURE = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
SENT_AT = 1353088179


def received(data: bytes) -> list[Frame]:
    """The frames as the websockets library reads them, which checks them against RFC 6455."""
    reader = Protocol(Side.CLIENT)
    reader.receive_data(data)
    assert reader.parser_exc is None
    return [frame for frame in reader.events_received() if isinstance(frame, Frame)]


def event(data: bytes) -> Any:
    (frame,) = received(data)
    assert frame.opcode is Opcode.TEXT
    return json.loads(bytes(frame.data))


# -- signatures: Pusher docs, "Generating the authentication string" and "HTTP API reference" -----------------------


def test_private_channel_vector() -> None:
    expected = KEY + ":58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
    assert protocol.channel_auth(KEY, SECRET, "1234.1234", "private-foobar") == expected
    assert protocol.is_channel_auth(expected, KEY, SECRET, "1234.1234", "private-foobar")


def test_presence_channel_vector() -> None:
    # The page prints "Mr. Channels" beside the signature of "Mr. Pusher".
    data = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'
    expected = KEY + ":31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"
    assert protocol.channel_auth(KEY, SECRET, "1234.1234", "presence-foobar", data) == expected


@pytest.mark.parametrize(
    ("socket_id", "channel", "key", "secret"),
    [
        ("1234.1235", "private-foobar", KEY, SECRET),
        ("1234.1234", "private-foobaz", KEY, SECRET),
        ("1234.1234", "private-foobar", KEY + "0", SECRET),
        ("1234.1234", "private-foobar", KEY, Secret("another")),
    ],
)
def test_a_signature_holds_for_one_connection_and_one_channel(
    socket_id: str, channel: str, key: str, secret: Secret
) -> None:
    signature = protocol.channel_auth(KEY, SECRET, "1234.1234", "private-foobar")
    assert not protocol.is_channel_auth(signature, key, secret, socket_id, channel)


@given(st.text() | st.just("\ud800"))
def test_any_text_may_stand_where_a_signature_belongs(text: str) -> None:
    assert not protocol.is_channel_auth(text, KEY, SECRET, "1.1", "private-a")


def test_http_request_vector() -> None:
    query = protocol.signed_query("POST", "/apps/3/events", key=KEY, secret=SECRET, timestamp=SENT_AT, body=BODY)
    assert query["auth_signature"] == SIGNATURE
    assert query["body_md5"] == "ec365a775a4cd0599faeb73354201b6f"
    assert list(query) == ["auth_key", "auth_timestamp", "auth_version", "body_md5", "auth_signature"]
    assert fault(query) is None


def fault(query: dict[str, str], body: bytes = BODY, now: float = SENT_AT) -> str | None:
    return protocol.request_fault("POST", "/apps/3/events", query, body, key=KEY, secret=SECRET, now=now)


@pytest.mark.parametrize(
    ("change", "body", "now", "expected"),
    [
        ({"auth_key": "other"}, BODY, SENT_AT, "auth_key"),
        ({"auth_signature": "0" * 64}, BODY, SENT_AT, "auth_signature"),
        ({"auth_signature": "ü"}, BODY, SENT_AT, "auth_signature"),
        ({"extra": "1"}, BODY, SENT_AT, "auth_signature"),
        ({"auth_timestamp": str(SENT_AT + 1)}, BODY, SENT_AT, "auth_signature"),
        ({"auth_timestamp": "now"}, BODY, SENT_AT, "auth_timestamp"),
        ({}, BODY + b" ", SENT_AT, "body_md5"),
        ({}, BODY, SENT_AT + 601, "auth_timestamp"),
        ({}, BODY, SENT_AT - 601, "auth_timestamp"),
    ],
)
def test_a_request_that_is_not_to_be_believed(change: dict[str, str], body: bytes, now: float, expected: str) -> None:
    query = protocol.signed_query("POST", "/apps/3/events", key=KEY, secret=SECRET, timestamp=SENT_AT, body=BODY)
    assert expected in (fault(query | change, body, now) or "")


@given(
    method=st.sampled_from(["GET", "post", "DELETE"]),
    path=st.text(max_size=30).map("/apps/".__add__),
    body=st.binary(max_size=100),
    now=st.integers(0, 10**11),
    late=st.integers(-600, 600),
)
def test_what_is_signed_is_believed(method: str, path: str, body: bytes, now: int, late: int) -> None:
    query = protocol.signed_query(method, path, key=KEY, secret=SECRET, timestamp=now, body=body)
    arrived = max(0, now + late)
    assert protocol.request_fault(method, path, query, body, key=KEY, secret=SECRET, now=arrived) is None


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("private-user.13", True),
        ("a" * 164, True),
        ("-_=@,.;", True),
        ("a" * 165, False),
        ("", False),
        ("#server-to-user-1", False),
        ("private-user 13", False),
        ("private-user.13\n", False),
        ("private-ü", False),
        ("private-٣", False),
    ],
)
def test_channel_names(name: str, good: bool) -> None:
    assert protocol.is_channel_name(name) is good


@pytest.mark.parametrize(
    ("text", "good"),
    [("123.456", True), ("1795453171309207388.0913488792", True), ("123", False), ("1.2.3", False), ("1.2\n", False)],
)
def test_socket_ids(text: str, good: bool) -> None:
    assert protocol.is_socket_id(text) is good


@pytest.mark.parametrize(
    "channel", ["presence-a", "private-encrypted-a", "private-cache-a", "cache-a", "presence-cache-a"]
)
def test_channels_that_are_not_served(channel: str) -> None:
    assert protocol.unserved(channel)


@pytest.mark.parametrize("channel", ["private-a", "a", "private-presence-a", "admin.cache-"])
def test_channels_that_are_served(channel: str) -> None:
    assert protocol.unserved(channel) is None


# -- frames --------------------------------------------------------------------------------------------------------


def test_golden_frames() -> None:
    established = event(protocol.established("123.456", 120))
    assert established == {
        "event": "pusher:connection_established",
        "data": '{"socket_id":"123.456","activity_timeout":120}',
    }
    assert protocol.subscribed("private-a") == b"\x81\x54" + (
        b'{"event":"pusher_internal:subscription_succeeded","channel":"private-a","data":"{}"}'
    )
    push = event(protocol.event("App\\Events\\UserPush", "private-user.13", '{"data":[],"subject":null}'))
    assert list(push) == ["event", "channel", "data"]
    assert push == {
        "event": "App\\Events\\UserPush",
        "channel": "private-user.13",
        "data": '{"data":[],"subject":null}',
    }
    assert event(protocol.subscription_error("private-a", "AuthError", "no", 401)) == {
        "event": "pusher:subscription_error",
        "channel": "private-a",
        "data": {"type": "AuthError", "error": "no", "status": 401},
    }
    assert event(protocol.PONG) == {"event": "pusher:pong", "data": {}}


def test_a_ping_is_both_an_event_and_a_websocket_ping() -> None:
    said, control = received(protocol.PING)
    assert json.loads(bytes(said.data)) == {"event": "pusher:ping", "data": {}}
    assert control.opcode is Opcode.PING


@given(st.sampled_from(Code), st.text(max_size=300))
@example(Code.RECONNECT, "ü" * 100)
def test_a_goodbye_is_an_error_event_and_a_close_frame(code: Code, reason: str) -> None:
    said, close = received(protocol.closing(code, reason))
    assert json.loads(bytes(said.data)) == {"event": "pusher:error", "data": {"message": reason, "code": code}}
    assert close.opcode is Opcode.CLOSE
    assert Close.parse(close.data).code == code
    assert reason.startswith(Close.parse(close.data).reason)


@given(st.text(max_size=200))
@example("x" * 125)
@example("x" * 126)
@example("x" * 65535)
@example("x" * 65536)
def test_a_frame_holds_its_text(text: str) -> None:
    (frame,) = received(protocol.frame(text))
    assert bytes(frame.data).decode() == text


def test_sizes_of_frames() -> None:
    for size, header in ((125, 2), (126, 4), (65535, 4), (65536, 10)):
        assert len(protocol.frame(b"x" * size)) == header + size
    assert protocol.frame(b"", opcode=0x9) == struct.pack("!BB", 0x89, 0)


# -- what clients say ----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.text() | JSON.map(json.dumps))
@example("[" * 16_000)
@example('{"event":' * 5_000)
@example("9" * 10_000)
@example('{"event":"\\ud800","data":{"channel":"\\ud800"}}')
def test_any_text_is_a_message_or_malformed(text: str) -> None:
    try:
        message = protocol.parse(text)
    except Malformed as error:
        assert str(error)  # noqa: PT017 - either outcome is good
    else:
        assert json.loads(text)["event"] == message.event


@given(st.text(max_size=20), JSON)
def test_data_that_is_no_object_is_as_none(name: str, data: Any) -> None:
    message = protocol.parse(json.dumps({"event": name, "data": data}))
    assert message.event == name
    if not isinstance(data, dict):
        assert message.data == {}
