"""SOAP in and out: tokens that picky firmware takes, faults, and replies that break strict parsers."""

from __future__ import annotations

import base64
import hashlib
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bridge.errors import DeviceError, ProtocolError
from bridge.model import Credentials
from bridge.secrets import Secret
from drivers.onvif import soap
from drivers.onvif.client import device_time, posix_offset
from drivers.onvif.media import local_uri
from drivers.onvif.notification import notifications
from drivers.onvif.soap import SoapFault
from drivers.transports import xml

S = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'


def envelope(body: str, attributes: str = S) -> bytes:
    return f"<s:Envelope {attributes}><s:Body>{body}</s:Body></s:Envelope>".encode()


def test_the_token_is_what_the_profile_says() -> None:
    nonce = bytes(range(16))
    credentials = Credentials("us<er", Secret("pä&ss"))
    header = soap.username_token(credentials, 1_700_000_000.7, nonce)
    token = etree.fromstring(b"<x " + S.encode() + b">" + header + b"</x>")[0][0]
    assert [xml.local(one) for one in token] == ["Username", "Password", "Nonce", "Created"]
    user, password, sent_nonce, created = (one.text for one in token)
    assert user == "us<er"
    assert created == "2023-11-14T22:13:20Z", "seconds and Z: Hikvision takes nothing else"
    assert base64.b64decode(sent_nonce or "") == nonce
    expected = hashlib.sha1(nonce + b"2023-11-14T22:13:20Z" + "pä&ss".encode()).digest()
    assert base64.b64decode(password or "") == expected


def test_an_envelope_is_well_formed_with_and_without_headers() -> None:
    body = b'<d:X xmlns:d="u"/>'
    assert etree.fromstring(soap.envelope(body))[0][0].tag == "{u}X"
    head = soap.addressing("a&b", "http://h/?x=1&y=2", "id", (b'<i xmlns="v">1</i>',))
    full = etree.fromstring(soap.envelope(body, b"", head))
    assert [xml.local(one) for one in full[0]] == ["Action", "MessageID", "ReplyTo", "To", "i"]


@pytest.mark.parametrize(
    ("codes", "status", "auth", "unsupported", "gone"),
    [
        ("<s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code>", 400,
         True, False, True),
        ("<s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>ter:ActionNotSupported</s:Value></s:Subcode></s:Code>",
         500, False, True, False),
        ("<s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>wsrf-rw:ResourceUnknownFault</s:Value></s:Subcode>"
         "</s:Code>", 500, False, False, True),
        ("<faultcode>SOAP-ENV:Client</faultcode><faultstring>method not implemented</faultstring>", 500,
         False, True, False),
        ("<s:Code/>", 500, False, False, False),
        ("<s:Code><s:Value>s:Sender</s:Value><s:Subcode/></s:Code>", 500, False, False, False),
    ],
)  # fmt: skip
def test_faults(codes: str, status: int, auth: bool, unsupported: bool, gone: bool) -> None:
    # Undeclared `ter:`, empty Subcode, SOAP 1.1 faults: strict parsers lose the fault's text on each.
    with pytest.raises(SoapFault) as caught:
        soap.reply(envelope(f"<s:Fault>{codes}</s:Fault>"), status)
    fault = caught.value
    assert (fault.is_auth, fault.is_unsupported, fault.is_gone) == (auth, unsupported, gone)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n" + envelope("<tds:GetXResponse/>"),
        envelope("<tds:GetXResponse/>", 'xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'),
        envelope("<tds:GetXResponse>caf\xe9</tds:GetXResponse>").decode().encode("latin-1"),
        envelope("<GetXResponse/>")[:-12],
        b"\xef\xbb\xbf" + envelope("<GetXResponse a=b/>"),
    ],
    ids=["line break first", "soap 1.1", "not utf-8", "cut tail", "unquoted attribute"],
)
def test_replies_that_break_strict_parsers_are_read(data: bytes) -> None:
    assert xml.local(soap.reply(data, 200)) == "GetXResponse"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"   \r\n", "empty"),
        (b"<html><body>login</body></html>", "web page"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x00\x01\x02\x03", "no XML"),
        (b"<a/>", "no SOAP"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "document type"),
        (b'<!DOCTYPE a SYSTEM "http://192.0.2.1/x.dtd"><a/>', "document type"),
    ],
)
def test_what_is_no_reply_is_a_protocol_error_that_says_what(data: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        soap.reply(data, 200)


def test_an_entity_bomb_is_refused_at_once() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "ha">{levels}]><x>&e11;</x>'.encode()
    with pytest.raises(ProtocolError):
        xml.parse(bomb)
    with pytest.raises(ProtocolError):
        xml.parse(bomb.decode().encode("utf-16"))


def test_an_empty_body_is_told_apart() -> None:
    assert xml.local(soap.reply(envelope(""), 200)) == "Body"
    with pytest.raises(ProtocolError, match="500"):
        soap.reply(envelope(""), 500)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for candidate in (data, b"<s:Envelope>" + data, envelope("<a>") + data):
        with suppress(DeviceError):
            soap.reply(candidate, 200)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT60S", 60), ("PT1M", 60), ("P1DT1H", 90000), ("PT0.5S", 0.5), ("-PT5S", -5), ("P1Y", 31536000), ("PT", None),
     ("P", None), ("60", None), ("", None)],
)  # fmt: skip
def test_durations(text: str, seconds: float | None) -> None:
    assert soap.duration(text) == seconds


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_timestamps(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    read = soap.timestamp(aware.isoformat().replace("+00:00", "Z"))
    assert read is not None
    assert abs(read - aware.timestamp()) < 1e-3


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-1-1T0:0:0Z", 1767225600), ("2026-01-01T03:00:00+03:00", 1767225600), ("2026-01-01T00:00:00", 1767225600),
     ("2026-01-01T25:00:00Z", None), ("0000-00-00T00:00:00Z", None), ("soon", None)],
)  # fmt: skip
def test_odd_timestamps(text: str, expected: float | None) -> None:
    assert soap.timestamp(text) == expected


def system_time(inner: str) -> float | None:
    return device_time(xml.parse(f"<t:SystemDateAndTime>{inner}</t:SystemDateAndTime>".encode()))


DATE = "<t:Time><t:Hour>{}</t:Hour><t:Minute>30</t:Minute><t:Second>60</t:Second></t:Time>" \
    "<t:Date><t:Year>2026</t:Year><t:Month>1</t:Month><t:Day>1</t:Day></t:Date>"  # fmt: skip


def test_device_time() -> None:
    utc = f"<t:UTCDateTime>{DATE.format(0)}</t:UTCDateTime>"
    local = f"<t:TimeZone><t:TZ>MSK-3</t:TZ></t:TimeZone><t:LocalDateTime>{DATE.format(3)}</t:LocalDateTime>"
    assert system_time(utc) == 1767225600 + 30 * 60 + 59, "a leap second is no reason to lose the time"
    assert system_time(local) == system_time(utc)
    assert system_time(f"<t:UTCDateTime>{DATE.format(25)}</t:UTCDateTime>") is None
    assert system_time(f"<t:UTCDateTime>{DATE.format('')}</t:UTCDateTime>") is None
    assert system_time("") is None


@pytest.mark.parametrize(
    ("zone", "seconds"),
    [("MSK-3", -10800), ("UTC0", 0), ("<+0530>-5:30", -19800), ("EST5EDT,M3.2.0,M11.1.0", 18000), ("CET-1CEST", -3600),
     ("", 0), ("Europe/Moscow", 0), ("<+05", 0), ("X99999", 0)],
)  # fmt: skip
def test_posix_time_zones(zone: str, seconds: float) -> None:
    assert posix_offset(zone) == seconds


@given(st.text(max_size=30))
def test_no_time_zone_breaks_it(zone: str) -> None:
    assert abs(posix_offset(zone)) <= 100 * 3600


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("rtsp://192.168.1.88:554/ch1?x=1&y=2", "rtsp://192.0.2.9:554/ch1?x=1&y=2"),
        ("rtsp://admin:secret@10.0.0.1/ch1", "rtsp://192.0.2.9/ch1"),
        ("rtsp://admin:se#c/r%et@10.0.0.1:8554/ch1", "rtsp://192.0.2.9:8554/ch1"),
        ("http://10.0.0.1/snap", ""),
        ("", ""),
        ("rtsp://", ""),
        ("rtsp://[::1/x", ""),
    ],
)
def test_stream_addresses_keep_neither_host_nor_password(told: str, expected: str) -> None:
    assert local_uri(told, "192.0.2.9") == expected


NOTIFY = """<tev:PullMessagesResponse>{}</tev:PullMessagesResponse>"""
MESSAGE = """<wsnt:NotificationMessage><wsnt:Topic Dialect="x">tns1:VideoSource/tnsx:MotionAlarm</wsnt:Topic>
<wsnt:Message><tt:Message UtcTime="2026-01-01T00:00:00Z" PropertyOperation="Changed">
<tt:Source><tt:SimpleItem Name="Source" Value="V1"/></tt:Source>
<tt:Key><tt:SimpleItem Name="Obj" Value="7"/></tt:Key>
<tt:Data><tt:SimpleItem Name="State" Value="true"/></tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>"""


def test_notifications_with_undeclared_prefixes() -> None:
    (one,) = notifications(xml.parse(NOTIFY.format(MESSAGE).encode()))
    assert one.topic == "VideoSource/MotionAlarm"
    assert (one.operation, one.time) == ("Changed", 1767225600)
    assert (one.source, one.data) == ({"Source": "V1", "Obj": "7"}, {"State": "true"})


def test_one_none_and_too_many_notifications() -> None:
    assert list(notifications(xml.parse(NOTIFY.format("").encode()))) == []
    assert len(list(notifications(xml.parse(NOTIFY.format(MESSAGE * 1200).encode())))) == 1000


def test_a_message_with_some_prefixes_undeclared() -> None:
    text = MESSAGE.replace("<wsnt:NotificationMessage>", '<wsnt:NotificationMessage xmlns:wsnt="urn:w">')
    (one,) = notifications(xml.parse(NOTIFY.format(text).encode()))
    assert (one.source, one.data) == ({"Source": "V1", "Obj": "7"}, {"State": "true"})


def test_a_message_without_its_inner_part() -> None:
    text = MESSAGE.replace("<tt:Message ", "<x ").replace("</tt:Message>", "</x>")
    (one,) = notifications(xml.parse(NOTIFY.format(text).encode()))
    assert (one.data, one.operation) == ({"State": "true"}, "")


@pytest.mark.parametrize("text", ["&#xD83D;&#xDE00;", "&#55357;&#56832;", "&#x00d83d;"])
def test_halves_of_surrogate_pairs_are_read(text: str) -> None:
    root = soap.reply(envelope(f"<GetXResponse a='{text}'>x{text}y<b/>{text}</GetXResponse>"), 200)
    assert root.text is not None
    assert root.text.strip("xy") == root.get("a") == "\ufffd" * text.count(";")


def test_attributes_without_quotes_keep_their_elements() -> None:
    root = xml.parse(b"<a><b token=P-1 x='1 y=2' z=\"=\">t</b><b token=http://h/?c=d/></a>")
    assert [dict(one.attrib) for one in root] == [{"token": "P-1", "x": "1 y=2", "z": "="}, {"token": "http://h/?c=d"}]
    assert root[0].text == "t"


def test_what_cannot_be_decoded_at_all_is_refused() -> None:
    with pytest.raises(ProtocolError, match="cannot be read"):
        xml.parse("<a>&#xD800;</a>".encode("utf-16"))


def test_repairs_take_no_time() -> None:
    for data in (
        b"<a " + b"=" * 900_000 + b'"x">',
        b"<a b=c " + b"\"'" * 450_000 + b">",
        b"<a>" + b"&#xD800;" * 100_000,
    ):
        began = time.process_time()
        with suppress(DeviceError):
            xml.parse(data)
        assert time.process_time() - began < 1.0
