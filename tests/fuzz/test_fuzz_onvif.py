"""Hostile bytes into everything of the ONVIF driver that reads what a device sends.

Whatever comes, it ends in a result or in a `DeviceError`, within a limit of time. Bytes are of two kinds: any, and
good messages that were cut, spliced and overwritten; the latter get further in.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bridge.errors import DeviceError
from bridge.model import Credentials, DeviceEvent
from bridge.secrets import Secret
from drivers.onvif import discovery, media, soap, topics
from drivers.onvif.client import OnvifClient, device_time, posix_offset
from drivers.onvif.notification import ITEMS_LIMIT, MESSAGES_LIMIT, notifications
from drivers.transports import rtsp
from drivers.transports.digest import Digest, challenges
from drivers.transports.http import Reply
from tests.integration import onvif_canned as good
from tests.integration.onvif_rig import make
from tests.integration.test_onvif_discovery import DRAFT, OASIS, match

pytestmark = pytest.mark.fuzz

CPU_LIMIT = 1.0  # seconds that any one input may take
CREDENTIALS = Credentials("admin", Secret("s3cret-pass"))

# --- bytes

# What parsers trip over.
_TOKENS = [
    b"<",
    b">",
    b"&",
    b"&#0;",
    b"&#xD800;",
    b"&x;",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"<?x ?>",
    b'<!DOCTYPE a [<!ENTITY x "y">]>',
    b"xmlns:s=''",
    b" a=b ",
    b" a='b' a='c' ",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b'"',
    b"'",
    b"<s:Body>",
    b"</s:Envelope>",
    b"<a>" * 300,
    b"=" * 300,
    b"99999999999999999999",
    b"-1",
    b"1e999",
    "\u0663".encode(),
    "\u202e".encode(),
    b"P99999Y",
    b"0000-00-00T00:00:00Z",
    b"9999-12-31T23:59:59-14:00",
    b"http://[::1",
    b"//127.0.0.1:1/x",
]


@st.composite
def mangled(draw: st.DrawFn, *models: bytes) -> bytes:
    """One of the models after a few accidents, or any bytes at all."""
    data = draw(st.sampled_from([*models, b""]))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 60)))
        put = draw(st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=12), st.just(data[at:to] * 2)))
        data = data[:at] + put + data[to:]
        if draw(st.integers(0, 9)) == 0:
            data = data[: draw(st.integers(0, len(data)))]
    return data


@contextmanager
def quickly() -> Iterator[None]:
    """Not more than `CPU_LIMIT` of work. DeviceErrors are an answer; anything else is a bug."""
    began = time.process_time()
    with suppress(DeviceError):
        yield
    assert time.process_time() - began < CPU_LIMIT


FAULT = good.fault("s:Sender", "ter:InvalidArgVal", "ter:NoProfile", detail="<tev:PullMessagesFaultResponse/>").body
assert isinstance(FAULT, bytes)
PULLED = good.envelope(
    good.pulled(
        good.message("tns1:VideoSource/MotionAlarm", operation="Initialized"),
        good.message("tns1:RuleEngine/MyRuleDetector/tnsx:People", "1", name="IsPeople"),
        good.message("tns1:Device/HardwareFailure", "false", name="Failed"),
    )
)
ENVELOPES = (
    good.envelope(good.date(good.Request("", "", {}, b""))),
    good.envelope(good.services()),
    good.envelope(good.INFORMATION),
    good.envelope(good.PROFILES),
    good.envelope(good.URI),
    good.envelope(good.created()),
    good.envelope(""),
    PULLED,
    FAULT,
)

# --- parsers


@given(mangled(*ENVELOPES), st.sampled_from([200, 400, 401, 500]))
def test_replies(data: bytes, status: int) -> None:
    with quickly():
        element = soap.reply(data, status)
        told = device_time(element)
        assert told is None or math.isfinite(told)
        soap.reference_headers(element)
        for read in (media._media1, media._media2):
            with suppress(DeviceError):
                sources = media.by_source(read(element))
                assert all(isinstance(key, str) for key in sources)


@given(mangled(*ENVELOPES), st.sampled_from([200, 401, 403, 500]), st.one_of(st.none(), st.text(max_size=40)))
def test_refusals_and_dates(data: bytes, status: int, date: str | None) -> None:
    client = _client()
    reply = Reply(status, CIMultiDictProxy(CIMultiDict({} if date is None else {"Date": date})), data)
    with quickly():
        told = client._refusal(reply)
        assert told is None or len(told) <= 200
        client._take_date(reply)
        assert client.offset is None or math.isfinite(client.offset)
        client._read(reply)


def _client() -> OnvifClient:
    return make(80, None)._client


@given(mangled(PULLED, FAULT))
def test_notifications(data: bytes) -> None:
    driver = make(80, None)
    with quickly():
        count = 0
        for one in notifications(soap.reply(data, 200)):
            count += 1
            assert len(one.source) <= ITEMS_LIMIT
            assert len(one.data) <= ITEMS_LIMIT
            assert one.time is None or math.isfinite(one.time)
            event = driver._event(one)
            assert isinstance(event, DeviceEvent)
            assert len(event.topic) <= 256
        assert count <= MESSAGES_LIMIT


@given(st.one_of(st.text(max_size=600), st.lists(st.sampled_from("/:. \t\nabRuleEngine"), max_size=600).map("".join)))
def test_topics(text: str) -> None:
    with quickly():
        bare = topics.bare(text)
        assert len(bare) <= 256
        found = topics.meaning(bare)
        for data in ({}, {"State": text}, {text: text}, {text: "true", "State": "0"}):
            assert topics.condition(found, data) in (True, False, None)


def spoiled(*models: str) -> st.SearchStrategy[str]:
    """Any text, and good ones that were mangled."""
    bad = mangled(*(model.encode() for model in models)).map(lambda data: data.decode("utf-8", "replace"))
    return st.one_of(st.text(max_size=80), bad)


@given(spoiled("2026-11-23T12:30:15.5+03:00", "PT1H30M5.25S", "<+0530>-5:30", "EST5EDT,M3.2.0,M11.1.0"))
def test_times(text: str) -> None:
    with quickly():
        for read in (soap.timestamp, soap.duration):
            told = read(text)
            assert told is None or math.isfinite(told)
        assert math.isfinite(posix_offset(text))


@given(spoiled("http://192.168.1.88:8899/onvif/media?a=b#c", "rtsp://admin:p#a/s%s@10.0.0.1:554/live?x=1", "//h/x"))
def test_addresses(text: str) -> None:
    client = _client()
    with quickly():
        path = client.local(text)
        if path is not None:
            url = client._url(path)
            assert (url.scheme, url.host, url.port, url.user) == ("http", "127.0.0.1", 80, None)
            assert not set(path) & set("\r\n ")
        uri = media.local_uri(text, "127.0.0.1")
        if uri:
            url = URL(uri)
            assert (url.host, url.user, url.password) == ("127.0.0.1", None, None)
            assert url.scheme in ("rtsp", "rtsps")
            assert not set(uri) & set("\r\n ")


CHALLENGE = (
    b'Basic realm="x", Digest realm="IP Camera(\\"1\\")", qop="auth,auth-int", nonce="abc", '
    b"algorithm=SHA-256, stale=TRUE"
)


@given(st.lists(mangled(CHALLENGE, b'Digest nonce="x"').map(lambda data: data.decode("latin-1")), max_size=3))
def test_challenges(values: list[str]) -> None:
    with quickly():
        digest = Digest(CREDENTIALS)
        if digest.accept(challenges(values)):
            header = digest.authorize("POST", "/onvif/device_service")
            assert not set(header) & set("\r\n\0")
            assert "s3cret-pass" not in header


@given(mangled(match(), match(namespaces=OASIS), match(xaddrs="http://[fe80::1]:1/x", namespaces=DRAFT), PULLED))
def test_discovery(data: bytes) -> None:
    with quickly():
        for one in discovery.matches(data, "192.0.2.9"):
            assert one.address == "192.0.2.9"
            assert one.port is None or 0 < one.port < 65_536
            assert all(text.isprintable() and len(text) <= 128 for text in (one.name, one.manufacturer, one.model))
            assert len(one.endpoint) <= 128


# --- over sockets

OPTIONS = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS\r\n\r\n"
REFUSED = b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="x", nonce="y"\r\n\r\n'
DESCRIBED = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 22\r\n\r\nv=0\r\nm=video 0 RTP/AVP 96"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_rtsp(loop: asyncio.Runner) -> None:
    async def ask(sent: list[bytes], method: str) -> list[rtsp.Answer]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for one in sent:
                if not await reader.read(4096):
                    break
                writer.write(one)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        uri = "rtsp://127.0.0.1:%d/a" % server.sockets[0].getsockname()[1]
        async with asyncio.timeout(5):
            answers = await rtsp.check([uri, uri + "b"], method, CREDENTIALS, deadline=0.1)
        server.close()
        return answers

    @settings(max_examples=max(20, settings.default.max_examples // 5))  # type: ignore[union-attr]
    @given(
        st.lists(mangled(OPTIONS, REFUSED, DESCRIBED), min_size=1, max_size=4), st.sampled_from(["OPTIONS", "DESCRIBE"])
    )
    def run(sent: list[bytes], method: str) -> None:
        answers = loop.run(ask(sent, method))
        assert len(answers) == 2
        for one in answers:
            assert one.up in (True, False, None)
            assert one.up is True or one.detail.isprintable()
            assert "s3cret-pass" not in one.detail

    run()


def test_a_whole_device(loop: asyncio.Runner) -> None:
    """Each reply of a device is spoiled, HTTP being sound: probe, poll and events end as they should."""
    operations = (
        "GetSystemDateAndTime",
        "GetServices",
        "GetDeviceInformation",
        "GetProfiles",
        "GetStreamUri",
        "CreatePullPointSubscription",
        "PullMessages",
    )

    async def live(replies: dict[str, tuple[int, bytes]]) -> None:
        def reply(status: int, body: bytes) -> Callable[[Any], web.Response]:
            headers = {"WWW-Authenticate": 'Digest realm="x", nonce="y"'} if status == 401 else {}
            return lambda _: web.Response(status=status, body=body, headers=headers)

        answers: Any = {name: reply(*one) for name, one in replies.items()}
        async with good.canned(answers, timeout=2.0) as (device, driver):
            for call in (driver.probe, driver.poll):
                with suppress(DeviceError):
                    async with asyncio.timeout(5):
                        await call()
            with suppress(DeviceError, TimeoutError):
                async with asyncio.timeout(0.1):
                    async for _ in driver.events():
                        pass
            assert len(device.requests) < 120, "no loop without a pause"

    @settings(max_examples=max(10, settings.default.max_examples // 20))  # type: ignore[union-attr]
    @given(
        st.dictionaries(
            st.sampled_from(operations),
            st.tuples(st.sampled_from([200, 200, 200, 400, 401, 404, 500]), mangled(*ENVELOPES)),
            min_size=1,
            max_size=3,
        )
    )
    def run(replies: dict[str, tuple[int, bytes]]) -> None:
        loop.run(live(replies))

    run()
