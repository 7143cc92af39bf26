"""The faults that every simulator has, as the simulated ONVIF device shows them on the wire."""

from __future__ import annotations

import asyncio
import socket
import time
import tracemalloc
from contextlib import suppress

import aiohttp
import pytest
from lxml import etree

from bridge.testing.simulator import Fault
from drivers.onvif.simulated.faults import HUGE
from drivers.onvif.simulator import OnvifSimulator
from tests.integration.onvif_raw import GET_DATE, GET_INFO, LIMIT, Raw, create, device, envelope, pull, security, until


async def bytes_of(raw: Raw, limit: float = LIMIT) -> bytes:
    """Everything that one request gets back, until the device closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", raw.simulator.port)
    body = envelope(GET_INFO, security())
    writer.write(b"POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    data = b""
    with suppress(TimeoutError, ConnectionResetError):
        async with asyncio.timeout(limit):
            while chunk := await reader.read(65_536):
                data += chunk
    writer.close()
    return data


async def test_closed_refuses_and_keeps_the_port() -> None:
    async with device() as raw:
        address = await raw.quiet()
        waiting = asyncio.create_task(raw.ask(pull("PT30S"), address))
        await until(lambda: raw.simulator.seen["PullMessages"] == 2)
        port = raw.simulator.port
        await raw.simulator.inject(Fault.CLOSED)
        with pytest.raises(aiohttp.ClientError):
            await waiting
        for closed in (port, raw.simulator.state.rtsp_port):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", closed)
        # Nobody else gets it meanwhile.
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        await raw.simulator.reboot()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await raw.simulator.clear()
        assert (await raw.ask(GET_INFO)).status == 200


async def test_black_hole_swallows_requests_and_long_polls() -> None:
    async with device() as raw:
        address = await raw.quiet()
        waiting = asyncio.create_task(raw.ask(pull("PT0.2S"), address))
        await until(lambda: raw.simulator.seen["PullMessages"] == 2)
        await raw.simulator.inject(Fault.BLACK_HOLE)
        with pytest.raises(TimeoutError):
            await raw.ask(GET_INFO, timeout=0.3)
        assert not waiting.done()
        assert raw.simulator.seen["GetDeviceInformation"] == 1  # it reads all the same
        reader, writer = await asyncio.open_connection("127.0.0.1", raw.simulator.state.rtsp_port)
        writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        await raw.simulator.clear(Fault.BLACK_HOLE)
        with pytest.raises(aiohttp.ClientError):
            await waiting
        assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        writer.close()
        assert (await raw.ask(GET_INFO)).status == 200


async def test_drip_is_a_byte_a_second() -> None:
    async with device() as raw:
        await raw.simulator.inject("drip")
        asked = asyncio.create_task(bytes_of(raw))
        await until(lambda: raw.simulator.seen["GetDeviceInformation"] == 1)
        began = time.monotonic()
        await asyncio.wait({asked}, timeout=0.2)
        await raw.simulator.clear()
        data = await asked
        assert data.startswith(b"HTTP/1.1 200 OK\r\n")
        assert data.endswith(b"Envelope>")
        assert time.monotonic() - began > 0.5  # it noticed at the next second

        await raw.simulator.inject("drip")
        assert await bytes_of(raw, 0.5) == b"H"


async def test_slow() -> None:
    async with device() as raw:
        await raw.simulator.inject(Fault.SLOW, 0.2)
        began = time.monotonic()
        assert (await raw.ask(GET_INFO)).status == 200
        assert time.monotonic() - began > 0.19


async def test_half_answer() -> None:
    async with device() as raw:
        whole = await raw.ask(GET_INFO)
        await raw.simulator.inject(Fault.HALF_ANSWER)
        head, _, body = (await bytes_of(raw)).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(whole.raw)}".encode() in head
        assert body == whole.raw[: len(whole.raw) // 2]
        with pytest.raises(aiohttp.ClientPayloadError):
            await raw.ask(GET_INFO)


@pytest.mark.parametrize("fault", [Fault.HALF_ANSWER, Fault.DRIP, Fault.SLOW])
async def test_a_subscription_nobody_heard_of_is_let_go(fault: Fault) -> None:
    async with device() as raw:
        await raw.simulator.inject(fault)
        with pytest.raises((aiohttp.ClientPayloadError, TimeoutError)):
            await raw.ask(create(), timeout=0.2)
        await until(lambda: raw.simulator.open_subscriptions() == 0)


async def test_answers_of_another_kind() -> None:
    async with device() as raw:
        await raw.simulator.inject(Fault.EMPTY)
        answer = await raw.ask(GET_INFO)
        assert (answer.status, answer.raw) == (200, b"")
        await raw.simulator.clear(Fault.EMPTY)

        await raw.simulator.inject(Fault.HTML)
        answer = await raw.ask(create())
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert raw.simulator.open_subscriptions() == 0  # the operation was not carried out
        await raw.simulator.clear(Fault.HTML)

        await raw.simulator.inject(Fault.JUNK)
        assert not (await bytes_of(raw)).startswith(b"HTTP")
        with pytest.raises(aiohttp.ClientError):
            await raw.ask(GET_INFO)
        await raw.simulator.clear(Fault.JUNK)

        await raw.simulator.inject(Fault.REDIRECT, "http://127.0.0.1:9/elsewhere")
        answer = await raw.ask(GET_INFO)
        assert (answer.status, answer.headers["Location"]) == (302, "http://127.0.0.1:9/elsewhere")
        await raw.simulator.clear(Fault.REDIRECT)

        await raw.simulator.inject(Fault.ENTITY_BOMB)
        answer = await raw.ask(GET_INFO)
        assert b"<!ENTITY e9" in answer.raw
        with pytest.raises(etree.XMLSyntaxError):  # libxml2's own guard against amplification
            etree.fromstring(answer.raw)
        await raw.simulator.clear()
        assert (await raw.ask(GET_INFO)).reply == "GetDeviceInformationResponse"


async def test_a_fault_strikes_a_long_poll_that_began_before_it() -> None:
    async with device() as raw:
        address = await raw.quiet()
        waiting = asyncio.create_task(raw.ask(pull("PT30S"), address))
        await until(lambda: raw.simulator.seen["PullMessages"] == 2)
        await raw.simulator.inject(Fault.HTML)
        await raw.simulator.act("motion")
        assert (await waiting).raw.startswith(b"<!DOCTYPE html>")


async def test_huge_is_sent_without_being_held() -> None:
    async with device() as raw:
        await raw.simulator.inject(Fault.HUGE)
        tracemalloc.start()
        try:
            total = 0
            async with raw.session.post(f"{raw.origin}/onvif/device_service", data=envelope(GET_DATE)) as response:
                assert response.content_length == HUGE == 104_857_600
                async for chunk in response.content.iter_any():
                    total += len(chunk)
                    if total > 20_000_000:
                        break
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()


async def test_endless_stops_when_the_client_goes() -> None:
    async with device() as raw:
        await raw.simulator.inject(Fault.ENDLESS)
        before = len(asyncio.all_tasks())
        async with raw.session.post(f"{raw.origin}/onvif/device_service", data=envelope(GET_DATE)) as response:
            assert response.content_length is None
            assert (await response.content.readexactly(1_000_000)).startswith(b"<?xml")
            response.close()
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert (await bytes_of(raw, 0.1)).startswith(b"HTTP/1.1 200 OK")


async def test_clock_skew() -> None:
    async with device() as raw:
        await raw.simulator.inject(Fault.CLOCK_SKEW, 3600)
        assert (await raw.ask(GET_INFO)).status == 400
        await raw.simulator.clear(Fault.CLOCK_SKEW)
        assert (await raw.ask(GET_INFO)).status == 200
        await raw.simulator.inject(Fault.CLOCK_SKEW)
        assert raw.simulator.state.now() - time.time() == pytest.approx(21_600, abs=2)


async def test_unknown_faults_are_refused() -> None:
    async with device() as raw:
        with pytest.raises(ValueError, match="melted"):
            await raw.simulator.inject("melted")


async def test_stop_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    for fault in (None, Fault.BLACK_HOLE, Fault.DRIP, Fault.SLOW, Fault.CLOSED):
        simulator = OnvifSimulator()
        await simulator.start()
        async with aiohttp.ClientSession() as session:
            raw = Raw(simulator, session)
            address = await raw.quiet()
            if fault:
                await simulator.inject(fault)
            asked = asyncio.gather(raw.ask(GET_INFO), raw.ask(pull("PT30S"), address), return_exceptions=True)
            await asyncio.sleep(0.02)
            await simulator.stop()
            await simulator.stop()  # safe twice
            assert any(isinstance(one, aiohttp.ClientError) for one in await asked)
            # It starts again on the same port, knowing nobody.
            await simulator.start()
            assert f"http://127.0.0.1:{simulator.port}" == raw.origin
            assert simulator.open_subscriptions() == 0
            await simulator.stop()
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_port_that_is_taken() -> None:
    async with device() as raw:
        with pytest.raises(OSError, match=str(raw.simulator.port)):
            await OnvifSimulator(port=raw.simulator.port).start()
