"""Each quirk of the simulated device, by its effect on the wire; those of writing are in `..._settings_quirks`."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from bridge.testing.clock import FakeClock
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.soap import SOAP11
from drivers.onvif.simulated.times import format_datetime
from tests.integration.onvif_raw import (
    AXIS,
    DEVICE,
    GET_DATE,
    GET_INFO,
    GET_PROFILES,
    LIMIT,
    MEDIA,
    MEDIA2,
    SOAP,
    SYNCHRONIZE,
    UNSUBSCRIBE,
    WSA,
    Answer,
    Raw,
    create,
    device,
    get_services,
    message_id,
    names,
    pull,
    renew,
    security,
)

Check = Callable[[Raw], Awaitable[None]]
CHECKS: dict[Quirk, tuple[Check, dict[str, Any]]] = {}


def check(quirk: Quirk, **traits: Any) -> Callable[[Check], Check]:
    def add(function: Check) -> Check:
        CHECKS[quirk] = function, traits
        return function

    return add


def life(answer: Answer) -> float:
    first, last = (datetime.fromisoformat(answer.one(name)) for name in ("CurrentTime", "TerminationTime"))
    return (last - first).total_seconds()


async def burst(raw: Raw) -> Answer:
    return await raw.ask(pull(), await raw.subscribe())


def now_as(zone: str) -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S") + zone


# --- the clock


@check(Quirk.CLOCK_WRONG_AFTER_REBOOT)
async def _(raw: Raw) -> None:
    assert (await raw.ask(GET_INFO)).status == 200
    await raw.simulator.reboot()
    assert (await raw.ask(GET_DATE, header="")).all("Year")[0] == "2000"
    assert (await raw.ask(GET_INFO)).status == 400
    token = security(created=format_datetime(raw.simulator.state.now()))
    assert (await raw.ask(GET_INFO, header=token)).status == 200


@check(Quirk.DATE_NEEDS_AUTH)
async def _(raw: Raw) -> None:
    assert (await raw.ask(GET_DATE, header="")).status == 401
    assert (await raw.ask(GET_DATE)).status == 200


@check(Quirk.LOCAL_TIME_ONLY)
async def _(raw: Raw) -> None:
    found = names((await raw.ask(GET_DATE, header="")).root)
    assert ("UTCDateTime" in found, "LocalDateTime" in found, "TZ" in found) == (False, True, True)


@check(Quirk.NO_DATETIME)
async def _(raw: Raw) -> None:
    await raw.simulator.act("set_clock", offset=-86_400)
    answer = await raw.ask(GET_DATE, header="")
    assert not {"UTCDateTime", "LocalDateTime"} & set(names(answer.root))
    told = email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert told == pytest.approx(time.time() - 86_400, abs=3)


@check(Quirk.BAD_DATETIME, clock=FakeClock(wall=1_767_225_600.0), auth="none")
async def _(raw: Raw) -> None:
    answer = await burst(raw)
    assert answer.one("CurrentTime") == "2026-1-1T0:0:0Z"
    assert {m.get("UtcTime") for m in answer.root.iter("{*}Message") if m.get("UtcTime")} == {"2026-1-1T0:0:0Z"}


@check(Quirk.HOUR_25)
async def _(raw: Raw) -> None:
    assert set((await raw.ask(GET_DATE, header="")).all("Hour")) == {"25"}


@check(Quirk.EMPTY_HOUR)
async def _(raw: Raw) -> None:
    assert set((await raw.ask(GET_DATE, header="")).all("Hour")) == {""}


# --- credentials


@check(Quirk.CREATED_Z_ONLY)
async def _(raw: Raw) -> None:
    assert (await raw.ask(GET_INFO, header=security(created=now_as("+00:00")))).status == 400
    assert (await raw.ask(GET_INFO, header=security(created=now_as(".000Z")))).status == 200


@check(Quirk.CREATED_WHOLE_SECONDS)
async def _(raw: Raw) -> None:
    assert (await raw.ask(GET_INFO, header=security(created=now_as(".123456789Z")))).status == 400
    assert (await raw.ask(GET_INFO, header=security(created=now_as("Z")))).status == 200


@check(Quirk.SHORT_NONCE)
async def _(raw: Raw) -> None:
    assert (await raw.ask(GET_INFO, header=security(nonce=bytes(range(32))))).status == 400
    assert (await raw.ask(GET_INFO, header=security(nonce=bytes(range(16))))).status == 200


@check(Quirk.HTML_401)
async def _(raw: Raw) -> None:
    answer = await raw.ask(GET_INFO, header="")
    assert (answer.status, answer.headers["Content-Type"]) == (401, "text/html")
    assert answer.raw.startswith(b"<html>")


@check(Quirk.EMPTY_401)
async def _(raw: Raw) -> None:
    answer = await raw.ask(GET_INFO, header="")
    assert (answer.status, answer.raw, "WWW-Authenticate" in answer.headers) == (401, b"", True)


# --- addresses and services


@check(Quirk.PRIVATE_XADDR)
async def _(raw: Raw) -> None:
    assert all(address.startswith("http://192.168.1.88/") for address in (await raw.ask(get_services())).all("XAddr"))
    assert (await raw.ask(create())).one("Address").startswith("http://192.168.1.88/")
    setup = "<Stream>RTP-Unicast</Stream><Transport><Protocol>RTSP</Protocol></Transport>"
    token = next(iter(raw.simulator.state.profiles))
    wanted = f"<StreamSetup>{setup}</StreamSetup><ProfileToken>{token}</ProfileToken>"
    uri = f'<GetStreamUri xmlns="{MEDIA}">{wanted}</GetStreamUri>'
    # The port of RTSP is another one than that of HTTP, and stays right.
    assert (await raw.ask(uri)).one("Uri").startswith(f"rtsp://192.168.1.88:{raw.simulator.state.rtsp_port}/")


@check(Quirk.WRONG_PORT_XADDR)
async def _(raw: Raw) -> None:
    assert all(address.startswith("http://127.0.0.1:8899/") for address in (await raw.ask(get_services())).all("XAddr"))


@check(Quirk.NO_GET_SERVICES)
async def _(raw: Raw) -> None:
    answer = await raw.ask(get_services())
    assert (answer.status, answer.subcodes) == (500, ["ActionNotSupported"])
    capabilities = f'<GetCapabilities xmlns="{DEVICE}"><Category>All</Category></GetCapabilities>'
    assert raw.simulator.state.xaddr("trt") in (await raw.ask(capabilities)).all("XAddr")


@check(Quirk.MEDIA2_FIRST, media2=True)
async def _(raw: Raw) -> None:
    order = (await raw.ask(get_services())).all("Namespace")
    assert order.index(MEDIA2) < order.index(MEDIA)


async def _wsa(raw: Raw, status: int) -> None:
    assert (await raw.ask(GET_INFO, header=security() + message_id())).status == status
    assert (await raw.ask(GET_PROFILES, header=security() + message_id())).status == status
    assert (await raw.ask(GET_INFO)).status == 200
    assert (await raw.ask(create(), header=security() + message_id())).status == 200


@check(Quirk.WSA_404)
async def _(raw: Raw) -> None:
    await _wsa(raw, 404)


@check(Quirk.WSA_500)
async def _(raw: Raw) -> None:
    await _wsa(raw, 500)


# --- XML


@check(Quirk.UNDECLARED_PREFIXES)
async def _(raw: Raw) -> None:
    answer = await raw.ask(create())
    with pytest.raises(etree.XMLSyntaxError, match="Namespace prefix"):
        _ = answer.root
    # Recovered, tags keep the prefix as part of their names.
    tags = [str(element.tag) for element in answer.loose.iter()]
    assert [tag for tag in tags if tag.endswith(":Address")]
    assert (await raw.ask(GET_INFO)).reply == "GetDeviceInformationResponse"


@check(Quirk.UNDECLARED_FAULT_PREFIX)
async def _(raw: Raw) -> None:
    answer = await raw.ask(f'<GetNothing xmlns="{DEVICE}"/>')
    assert b"ter:ActionNotSupported" in answer.raw
    assert b"xmlns:ter" not in answer.raw


@check(Quirk.EMPTY_SUBCODE)
async def _(raw: Raw) -> None:
    answer = await raw.ask(f'<GetNothing xmlns="{DEVICE}"/>')
    assert answer.subcodes == []
    assert answer.root.find(f".//{{{SOAP}}}Subcode") is not None


@check(Quirk.SOAP11)
async def _(raw: Raw) -> None:
    answer = await raw.ask(GET_INFO)
    assert (answer.root.tag, answer.headers["Content-Type"]) == (f"{{{SOAP11}}}Envelope", "text/xml; charset=utf-8")


@check(Quirk.EMPTY_BODY)
async def _(raw: Raw) -> None:
    answer = await raw.ask(GET_INFO)
    body = answer.root.find(f"{{{SOAP}}}Body")
    assert (answer.status, body is not None and len(body)) == (200, 0)
    assert (await raw.ask(GET_DATE)).reply == "GetSystemDateAndTimeResponse"


@check(Quirk.INVALID_UTF8)
async def _(raw: Raw) -> None:
    for body in (GET_INFO, GET_PROFILES):
        answer = await raw.ask(body)
        with pytest.raises(UnicodeDecodeError):
            answer.raw.decode()
        assert answer.loose is not None


@check(Quirk.CRLF_BEFORE_DECLARATION)
async def _(raw: Raw) -> None:
    assert (await raw.ask(GET_INFO)).raw.startswith(b"\r\n<?xml")


@check(Quirk.TRUNCATED_TAIL)
async def _(raw: Raw) -> None:
    answer = await raw.ask(GET_INFO)
    with pytest.raises(etree.XMLSyntaxError):
        _ = answer.root
    assert raw.simulator.state.serial in [element.text for element in answer.loose.iter()]


@check(Quirk.UNQUOTED_ATTRIBUTE)
async def _(raw: Raw) -> None:
    answer = await raw.ask(GET_PROFILES)
    with pytest.raises(etree.XMLSyntaxError, match="AttValue"):
        _ = answer.root


# --- HTTP


@check(Quirk.CLOSES_EVERY_CONNECTION)
async def _(raw: Raw) -> None:
    assert await _second_answer(raw) == (False, b"")


@check(Quirk.CLOSES_IDLE_CONNECTIONS)
async def _(raw: Raw) -> None:
    said_so, rest = await _second_answer(raw, idle=True)
    assert (said_so, rest) == (False, b"")


async def _second_answer(raw: Raw, *, idle: bool = False) -> tuple[bool, bytes]:
    """Whether the first answer announces the end of the connection, and what comes after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", raw.simulator.port)
    writer.write(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
    if not idle:
        writer.write(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        rest = await asyncio.wait_for(reader.read(), LIMIT)
    except ConnectionResetError:
        rest = b""
    writer.close()
    return b"connection: close" in head.lower(), rest


# --- subscriptions


@check(Quirk.AXIS_REFERENCE_PARAMETERS)
async def _(raw: Raw) -> None:
    answer = await raw.ask(create())
    assert answer.one("Address") == raw.simulator.state.xaddr("tev")
    identity = answer.one("SubscriptionId")
    address = answer.one("Address")
    assert (await raw.ask(pull(), address)).subcodes == ["InvalidArgs"]
    bare = f'<SubscriptionId xmlns="{AXIS}">{identity}</SubscriptionId>'
    assert (await raw.ask(pull(), address, header=security() + bare)).subcodes == ["InvalidArgs"]
    echoed = bare.replace(">", f' xmlns:a="{WSA}" a:IsReferenceParameter="true">', 1)
    assert len((await raw.ask(pull(), address, header=security() + echoed)).notifications) == 8
    assert (await raw.ask(renew(), address, header=security() + echoed)).reply == "RenewResponse"
    assert (await raw.ask(UNSUBSCRIBE, address, header=security() + echoed)).reply == "UnsubscribeResponse"
    assert raw.simulator.open_subscriptions() == 0


@check(Quirk.NO_RENEW)
async def _(raw: Raw) -> None:
    assert (await raw.ask(renew(), await raw.subscribe())).subcodes == ["ActionNotSupported"]


@check(Quirk.RENEW_FAULTS)
async def _(raw: Raw) -> None:
    address = await raw.subscribe()
    assert (await raw.ask(renew(), address)).subcodes == ["ResourceUnknownFault"]
    assert (await raw.ask(pull(), address)).status == 200


@check(Quirk.RENEW_NEEDS_MESSAGE_ID)
async def _(raw: Raw) -> None:
    address = await raw.subscribe()
    assert (await raw.ask(renew(), address)).reason == "No MessageID element for Renew method"
    assert (await raw.ask(renew(), address, header=security() + message_id())).reply == "RenewResponse"


@check(Quirk.RELATIVE_TIME_REJECTED)
async def _(raw: Raw) -> None:
    assert (await raw.ask(create("PT60S"))).subcodes == ["UnacceptableInitialTerminationTimeFault"]
    address = (await raw.ask(create(format_datetime(time.time() + 60)))).one("Address")
    assert (await raw.ask(renew("PT60S"), address)).subcodes == ["UnacceptableTerminationTimeFault"]


@check(Quirk.RELATIVE_TIME_MISREAD)
async def _(raw: Raw) -> None:
    assert life(await raw.ask(create("PT60S"))) == 5
    assert life(await raw.ask(create(format_datetime(time.time() + 60)))) == pytest.approx(60, abs=1)


@check(Quirk.TERMINATION_TIME_REQUIRED)
async def _(raw: Raw) -> None:
    answer = await raw.ask(create(None))
    assert (answer.status, answer.raw) == (500, b"")
    assert (await raw.ask(create())).status == 200


@check(Quirk.OFFSET_TIME_REJECTED)
async def _(raw: Raw) -> None:
    absolute = format_datetime(time.time() + 60)
    assert (await raw.ask(create(absolute.replace("Z", "+00:00")))).status == 500
    assert (await raw.ask(create(absolute))).status == 200


@check(Quirk.TERMINATION_TIME_IGNORED)
async def _(raw: Raw) -> None:
    answer = await raw.ask(create("PT10M"))
    assert life(answer) == 60
    assert life(await raw.ask(renew("PT10M"), answer.one("Address"))) == 60


@check(Quirk.FEW_SLOTS)
async def _(raw: Raw) -> None:
    assert [(await raw.ask(create())).status for _ in range(3)] == [200, 200, 500]


@check(Quirk.UNSUBSCRIBE_KILLS_ALL)
async def _(raw: Raw) -> None:
    first, second = await raw.subscribe(), await raw.subscribe()
    await raw.ask(UNSUBSCRIBE, first)
    assert (await raw.ask(pull(), second)).subcodes == ["ResourceUnknownFault"]


@check(Quirk.STALE_SUBSCRIPTION_400)
async def _(raw: Raw) -> None:
    address = await raw.subscribe()
    await raw.simulator.reboot()
    answer = await raw.ask(pull(), address)
    assert (answer.status, answer.raw) == (400, b"")


@check(Quirk.NO_SYNCHRONIZATION_POINT)
async def _(raw: Raw) -> None:
    assert (await raw.ask(SYNCHRONIZE, await raw.subscribe())).subcodes == ["ActionNotSupported"]


@check(Quirk.EMPTY_SYNCHRONIZATION_REPLY)
async def _(raw: Raw) -> None:
    address = await raw.quiet()
    body = (await raw.ask(SYNCHRONIZE, address)).root.find(f"{{{SOAP}}}Body")
    assert body is not None
    assert len(body) == 0
    assert len((await raw.ask(pull(), address)).notifications) == 8


@check(Quirk.PULL_POINT_NOT_ADVERTISED)
async def _(raw: Raw) -> None:
    answer = await raw.ask(get_services(capabilities=True))
    (support,) = answer.root.xpath("//@WSPullPointSupport")
    capabilities = f'<GetCapabilities xmlns="{DEVICE}"><Category>Events</Category></GetCapabilities>'
    assert (support, (await raw.ask(capabilities)).one("WSPullPointSupport")) == ("false", "false")
    assert (await raw.ask(create())).status == 200


@check(Quirk.PULL_TIMEOUT_FAULTS, max_pull_timeout=30.0)
async def _(raw: Raw) -> None:
    address = await raw.subscribe()
    answer = await raw.ask(pull("PT1M"), address)
    assert (answer.reply, answer.one("MaxTimeout"), answer.one("MaxMessageLimit")) == ("Fault", "PT30S", "100")
    assert (await raw.ask(pull("PT30S"), address)).status == 200


@check(Quirk.ONE_MESSAGE_PER_PULL)
async def _(raw: Raw) -> None:
    address = await raw.subscribe()
    assert [len((await raw.ask(pull(), address)).notifications) for _ in range(3)] == [1, 1, 1]


@check(Quirk.EARLY_EMPTY_PULL)
async def _(raw: Raw) -> None:
    address = await raw.quiet()
    assert (await raw.ask(pull("PT30S"), address, timeout=5)).notifications == []


# --- events


@check(Quirk.INITIALIZED_TWICE)
async def _(raw: Raw) -> None:
    assert len((await burst(raw)).notifications) == 16


async def _motion_values(raw: Raw) -> list[str]:
    address = await raw.quiet(topic="tns1:VideoSource/MotionAlarm")
    for active in (True, False, True):
        await raw.simulator.act("motion", active=active)
    return [one.data["State"] for one in (await raw.ask(pull("PT0S"), address)).notifications]


@check(Quirk.NUMERIC_STATES)
async def _(raw: Raw) -> None:
    assert await _motion_values(raw) == ["1", "0", "1"]


@check(Quirk.ACTIVE_STATES)
async def _(raw: Raw) -> None:
    assert await _motion_values(raw) == ["active", "inactive", "active"]


@check(Quirk.MOTION_NEVER_CLEARS)
async def _(raw: Raw) -> None:
    assert await _motion_values(raw) == ["true", "true"]


async def _motion_topic(raw: Raw) -> str:
    address = await raw.quiet()
    await raw.simulator.act("motion")
    (message,) = (await raw.ask(pull(), address)).notifications
    assert message.data == {"State": "true"}
    return message.topic


@check(Quirk.DLINK_TOPIC)
async def _(raw: Raw) -> None:
    assert await _motion_topic(raw) == "tns1:VideoSoure/MotionAlarm"


@check(Quirk.VIDEO_ANALYTICS_TOPIC)
async def _(raw: Raw) -> None:
    assert await _motion_topic(raw) == "tns1:VideoAnalytics/tnsav:MotionDetection"
    properties = await raw.ask('<GetEventProperties xmlns="http://www.onvif.org/ver10/events/wsdl"/>')
    assert "MotionDetection" in names(properties.root)


@check(Quirk.BARE_HARDWARE_FAILURE)
async def _(raw: Raw) -> None:
    address = await raw.quiet()
    await raw.simulator.act("storage_failure")
    (message,) = (await raw.ask(pull(), address)).notifications
    assert (message.topic, message.data) == ("tns1:Device/HardwareFailure", {"Failed": "true"})


@pytest.mark.parametrize("quirk", CHECKS)
async def test_quirk(quirk: Quirk) -> None:
    function, traits = CHECKS[quirk]
    async with device(quirks={quirk}, **traits) as raw:
        await function(raw)
