"""Quirks of addresses, services, HTTP and XML: the ONVIF driver finds its way, or says what is in it.

The numbers are those of the table in `drivers/onvif/README.md`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trustme
from aiohttp import web

from bridge.errors import ProtocolError, Unreachable
from bridge.model import Channel, Credentials, EventKind
from bridge.secrets import Secret
from bridge.testing.simulator import Fault
from drivers.transports import rtsp
from tests.integration.onvif_canned import (
    PROFILES,
    Answer,
    Request,
    canned,
    created,
    date,
    envelope,
    fault,
    in_turn,
    message,
    pulled,
    services,
)
from tests.integration.onvif_rig import MAKES, Listener, make, rig

# --- 6: addresses that are wrong


@pytest.mark.parametrize("seed", MAKES)  # which have other paths
@pytest.mark.parametrize(
    "traits",
    [
        {"quirks": ["private_xaddr"]},
        {"quirks": ["wrong_port_xaddr"]},
        {"quirks": ["private_xaddr", "no_get_services"], "media2": True},
        {"advertise": "203.0.113.9:81"},  # what it is behind a NAT
        {"advertise": "camera.invalid"},
    ],
    ids=["192.168.1.88", "port 8899", "192.168.1.88 by GetCapabilities", "nat", "name"],
)
async def test_q06_wrong_xaddr(traits: dict[str, Any], seed: int) -> None:
    async with rig(seed=seed, **traits) as one:
        await one.whole_life()


@pytest.mark.parametrize("place", ["/onvif/media_service", "/onvif/device_service"])
async def test_q06_a_path_that_is_not_there(place: str) -> None:
    def profiles(request: Request) -> Answer:
        return PROFILES if request.path == place else web.Response(status=404, text="Not Found")

    answers: Any = {"GetServices": services("http://h/old/media"), "GetProfiles": profiles}
    async with canned(answers) as (device, driver):
        for _ in range(2):
            driver._fresh_until = None
            assert (await driver.poll()).streams[""][0].up
        asked = [one.path for one in device.asked("GetProfiles")]
        assert asked[0] == "/old/media"
        assert asked[-2:] == [place, place], "and remembered"
    answers["GetProfiles"] = web.Response(status=404)
    async with canned(answers) as (device, driver):
        with pytest.raises(ProtocolError, match="it answers 404 without a body"):
            await driver.poll()
        assert len(device.asked("GetProfiles")) == 3


async def test_q06_requests_go_nowhere_else() -> None:
    """XAddrs that lead elsewhere when they are taken as they are, or joined to ours as URLs are."""
    asked: list[str] = []

    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=404)

    other = await asyncio.get_running_loop().create_server(web.Server(elsewhere), "127.0.0.1", 0)
    host = "127.0.0.1:%d" % other.sockets[0].getsockname()[1]
    answers: Any = {
        "GetServices": services(f"http://{host}//{host}/onvif/media", f"http://h//{host}/onvif/events"),
        "CreatePullPointSubscription": created(f"http://{host}//{host}/sub"),
        "GetStreamUri": "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsp://admin:x@203.0.113.1:8554//a/b?c=d"
        "</tt:Uri></trt:MediaUri></trt:GetStreamUriResponse>",
        "PullMessages": in_turn(pulled(message("tns1:VideoSource/MotionAlarm"))),
    }
    async with canned(answers) as (device, driver):
        reading = await driver.poll()
        assert reading.streams[""][0].uri == "rtsp://127.0.0.1:8554//a/b?c=d"
        async with Listener(driver) as listener:
            await listener.heard(1)
        await driver.close()
        assert [one.path for one in device.asked("GetProfiles")] == [f"//{host}/onvif/media"]
        assert [one.path for one in device.asked("Unsubscribe")] == [f"//{host}/sub"]
    other.close()
    assert asked == []


# --- 7: another port


async def test_q07_the_port_is_configured_and_a_wrong_one_is_told() -> None:
    async with rig() as one:  # whose port is any but 80
        await one.driver.probe()
        await one.simulator.stop()
        with pytest.raises(Unreachable, match="no connection: Connection refused"):
            await one.driver.probe()


async def test_q07_the_port_of_the_web_page_is_told_as_that() -> None:
    page = web.Response(body=b"<!DOCTYPE html><html><body><form>user password</form></body></html>")
    async with canned({"GetSystemDateAndTime": page}) as (_, driver):
        with pytest.raises(ProtocolError, match="web page"):
            await driver.probe()


# --- 8: services


@pytest.mark.parametrize("quirks", [["no_get_services"], ["media2_first"], ["no_get_services", "media2_first"], []])
async def test_q08_services(quirks: list[str]) -> None:
    async with rig(quirks=quirks, media2=True) as one:
        await one.whole_life()


async def test_q08_media2_shows_what_media1_cannot() -> None:
    async with rig(quirks=["media2_first"], media2=True, h265=True) as one:
        reading = await one.driver.poll()
        profiles = list(one.simulator.state.profiles.values())
        assert one.simulator.state.encoder(profiles[-1]).encoding == "H265"
        assert [stream.name for stream in reading.streams[""]] == [profile.token for profile in profiles]


async def test_q08_neither_is_there() -> None:
    none: Any = {
        "GetServices": fault("s:Receiver", "ter:ActionNotSupported"),
        "GetCapabilities": web.Response(status=404),
    }
    async with canned(none) as (device, driver):
        await driver.poll()
        assert [one.path for one in device.asked("GetProfiles")] == ["/onvif/media_service"], "where it usually is"


# --- 9: WS-Addressing


@pytest.mark.parametrize("quirk", ["wsa_404", "wsa_500"])
async def test_q09_addressing_headers_only_where_they_belong(quirk: str) -> None:
    async with rig(quirks={quirk}) as one:
        await one.whole_life()


async def test_q09_they_are_there_where_they_belong() -> None:
    async with canned({"PullMessages": in_turn(pulled(seconds=1.0))}) as (device, driver):
        await driver.poll()
        async with Listener(driver):
            while not device.asked("Renew"):
                await asyncio.sleep(0)
        await driver.close()
        for one in device.requests:
            expected = one.operation in ("CreatePullPointSubscription", "PullMessages", "Renew", "Unsubscribe")
            assert ("MessageID" in one.header and "To" in one.header) is expected, one.operation
            if expected:
                assert one.text("To") == f"http://127.0.0.1:{device.port}{one.path}"


# --- 11 and the bad replies: XML that strict parsers refuse

XML = [
    "undeclared_prefixes",
    "undeclared_fault_prefix",
    "empty_subcode",
    "soap11",
    "invalid_utf8",
    "crlf_before_declaration",
    "truncated_tail",
    "unquoted_attribute",
    "bad_datetime",
    "hour_25",
    "empty_hour",
]


@pytest.mark.parametrize("auth", ["wsse", "digest"])
@pytest.mark.parametrize("quirk", XML)
async def test_q11_xml_that_strict_parsers_refuse(quirk: str, auth: str) -> None:
    async with rig(quirks={quirk}, auth=auth) as one:
        listener = await one.whole_life()
        assert one.refused == 0
        assert all(event.source_time for event in listener.news)


@pytest.mark.parametrize("seed", MAKES)
async def test_q11_all_of_it_at_once(seed: int) -> None:
    async with rig(quirks={*XML, "axis_reference_parameters"} - {"soap11"}, auth="wsse", seed=seed) as one:
        await one.whole_life()


@pytest.mark.parametrize("undeclared", ["wsnt", "tt", "wsa", "tns1", "tev"])
async def test_q11_any_one_prefix_undeclared(undeclared: str) -> None:
    def spoiled(body: str) -> bytes:
        return envelope(body).replace(f' xmlns:{undeclared}="'.encode(), b' xmlns:unused="')

    pull = spoiled(pulled(message("tns1:VideoSource/MotionAlarm"), message("tns1:VideoSource/MotionAlarm", "false")))
    answers: Any = {"CreatePullPointSubscription": spoiled(created()), "PullMessages": in_turn(pull)}
    async with canned(answers) as (device, driver):
        await driver.poll()
        async with Listener(driver) as listener:
            assert [one.active for one in await listener.heard(2)] == [True, False]
            assert all(one.topic == "VideoSource/MotionAlarm" and one.source_time for one in listener.news)
        assert device.asked("PullMessages")[0].path == "/sub/1"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (web.Response(), "without a body"),
        (web.Response(status=500), "500 without a body"),
        (web.Response(body=b"<html><body>Login</body></html>", content_type="text/html"), "web page"),
        (web.Response(status=404, body=b"<html>404</html>", content_type="text/html"), "web page"),
        (web.Response(body=envelope("")), "ignores GetProfiles"),
        (web.Response(body=b'{"error": "no"}'), "no XML"),
        (web.Response(body=envelope("<s:Fault/>")), "refuses with fault"),
        (fault("s:Receiver", "ter:Action", "ter:OutOfMemory", reason="out of memory"), "out of memory .OutOfMemory"),
    ],
    ids=["200 empty", "500 empty", "200 page", "404 page", "empty Body", "json", "empty fault", "fault"],
)
async def test_bad_replies_are_told_in_words(reply: web.Response, says: str) -> None:
    async with canned({"GetProfiles": reply}) as (_, driver):
        with pytest.raises(ProtocolError, match=says):
            await driver.poll()


async def test_bad_replies_empty_bodies_of_a_device_that_ignores_everything() -> None:
    async with rig(quirks=["empty_body"]) as one:
        identity = await one.driver.probe()
        assert identity.serial == "", "who it is may stay unknown"
        with pytest.raises(ProtocolError, match="ignores GetProfiles"):
            await one.driver.poll()
        async with Listener(one.driver, again=False) as listener:
            await listener.until(lambda: listener.errors)
        assert isinstance(listener.errors[0], ProtocolError)


@pytest.mark.parametrize("status", [200, 401, 500])
async def test_bad_replies_soap_1_1_faults(status: int) -> None:
    text = (
        '<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/">'
        "<SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode>"
        "<faultstring>Error 400: HTTP 400 Bad Request</faultstring></SOAP-ENV:Fault></SOAP-ENV:Body>"
        "</SOAP-ENV:Envelope>"
    )
    async with canned({"GetProfiles": web.Response(status=status, text=text)}) as (_, driver):
        with pytest.raises(Exception, match="Error 400: HTTP 400 Bad Request"):
            await driver.poll()


# --- 20: connections that close


@pytest.mark.parametrize("quirk", ["closes_every_connection", "closes_idle_connections"])
async def test_q20_connections_that_close(quirk: str) -> None:
    async with rig(quirks={quirk}) as one:
        await one.whole_life()


@asynccontextmanager
async def one_answer_a_connection(answers: Callable[[], int]) -> AsyncIterator[tuple[int, list[int]]]:
    """A server that answers so many requests of a connection and cuts it at the next; counts requests of each."""
    counts: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts.append(0)
        number = len(counts) - 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                counts[number] += 1
                if counts[number] > answers():
                    writer.transport.abort()
                    return
                body = envelope(date(None))  # type: ignore[arg-type]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], counts
    finally:
        server.close()


async def test_q20_a_request_that_meets_a_closing_connection_is_sent_again() -> None:
    async with one_answer_a_connection(lambda: 1) as (port, counts), rig() as other:
        driver = make(port, other.http)
        for _ in range(3):
            await driver._client.measure_clock()
        assert counts == [2, 2, 1], "each time the kept connection fails, and a fresh one does not"


async def test_q20_once_more_and_no_more() -> None:
    async with one_answer_a_connection(lambda: 0) as (port, counts), rig() as other:
        with pytest.raises(Unreachable, match="closes the connection without an answer"):
            await make(port, other.http)._client.measure_clock()
        assert 2 <= len(counts) <= 3


# --- more: TLS, dates, clocks, other services


# That these versions are old is the point.
old_tls = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning")


@asynccontextmanager
async def tls_camera(config: str, *, old: bool = False) -> AsyncIterator[Any]:
    """A camera with a certificate of its own making; `old`: one that knows TLS 1.0 and its ciphers alone."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("192.168.1.88").configure_cert(server)
    if old:
        server.set_ciphers("ALL:@SECLEVEL=0")
        server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1
    async with canned(certificate=server, tls=config) as (_, driver):
        yield driver


@old_tls
async def test_more_a_self_signed_certificate() -> None:
    async with tls_camera("verify") as driver:
        with pytest.raises(Unreachable, match=r"certificate is not trusted .*install its CA or set tls: insecure"):
            await driver.poll()
    async with tls_camera("insecure") as driver:
        assert (await driver.poll()).streams[""][0].up


@old_tls
async def test_more_legacy_tls() -> None:
    async with tls_camera("insecure", old=True) as driver:
        assert (await driver.poll()).streams[""][0].up


@old_tls
async def test_more_tls_where_there_is_none() -> None:
    async with rig({"tls": "insecure"}) as one:
        with pytest.raises(Exception, match=r"no connection|does not speak|closes the connection"):
            await one.driver.poll()


async def test_more_bad_dates_flood_no_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with rig(quirks={"bad_datetime", "hour_25"}) as one:
        listener = await one.whole_life()
        now = one.simulator.state.now()
        assert all(abs((event.source_time or 0) - now) < 60 for event in listener.news)
    printed = capsys.readouterr()
    assert (printed.out, printed.err, caplog.text) == ("", "", "")


async def test_more_a_pull_that_stalls_holds_up_no_poll() -> None:
    """frigate#8009: the event service of a C210 stalls for half a minute."""

    async def stall(_: object) -> str:
        await asyncio.Event().wait()
        return ""

    async with canned({"PullMessages": stall}) as (device, driver):
        await driver.poll()
        async with Listener(driver):
            while not device.asked("PullMessages"):
                await asyncio.sleep(0)
            async with asyncio.timeout(2):
                await driver.poll()


async def test_more_rtsp_with_a_nonce_for_each_request() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonce = 0
        with suppress(asyncio.IncompleteReadError):
            while True:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                if b'nonce="%d"' % nonce in asked[-1] and nonce:
                    writer.write(b"RTSP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nm=video 0\r\n")
                    nonce = 0
                else:
                    nonce = len(asked)
                    head = 'RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm="x", nonce="%d"\r\n\r\n' % nonce
                    writer.write(head.encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    uri = "rtsp://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
    credentials = Credentials("admin", Secret("x"))
    answers = await rtsp.check([uri + "1", uri + "2", uri + "3"], "DESCRIBE", credentials, deadline=5)
    assert [one.up for one in answers] == [True, True, True]
    assert len(asked) == 6
    server.close()


async def test_more_one_that_answers_late_is_waited_for_and_named_when_it_does_not() -> None:
    async with rig({"timeout": 0.3}) as one:
        await one.driver.probe()
        await one.simulator.inject(Fault.SLOW, 0.6)
        with pytest.raises(Unreachable, match=r"no complete answer within 0\.3 s"):
            await one.driver.poll()
        await one.simulator.clear()
        await one.driver.poll()


async def test_more_tokens_of_an_nvr_by_number_and_by_name() -> None:
    async with rig(channels=3, seed=0) as one:  # whose tokens are no numbers: a token goes before a number
        tokens = [source.token for source in one.simulator.state.sources]
        channels = (Channel("a", tokens[2]), Channel("b", "2"), Channel("c", "7"))
        driver = await one.another(channels=channels)
        reading = await driver.poll()
        assert [len(reading.streams[key]) for key in "abc"] == [2, 2, 0]
        async with Listener(driver) as listener:
            await listener.subscribed()
            for channel in (0, 1, 2):
                await one.simulator.act("motion", channel=channel)
            assert [event.channel for event in await listener.heard(3)] == [None, "b", "a"]
            assert {event.kind for event in listener.news} == {EventKind.MOTION}


async def test_more_a_device_without_media() -> None:
    none: Any = {"GetServices": "<tds:GetServicesResponse/>", "GetCapabilities": "<tds:GetCapabilitiesResponse/>"}
    async with canned(none) as (_, driver):
        await driver.probe()
        with pytest.raises(Exception, match="offers no service ver10/media"):
            await driver.poll()
