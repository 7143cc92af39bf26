"""Agents that answer with broken bytes: each of them is an error of that device and nothing worse, in both clients."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import api, rfc1902

from bridge.clock import SystemClock
from bridge.errors import DeviceError
from bridge.secrets import Secret
from drivers.snmp.clients.gufo import GufoClient
from drivers.snmp.clients.pysnmp import PysnmpClient
from drivers.snmp.clients.seam import ROWS, Client, Target

_V2C = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
OIDS = ("1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.3.0")
Answer = Callable[[object], bytes]


class Agent(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        question, _ = decoder.decode(data, asn1Spec=_V2C.Message())
        self._transport.sendto(self._answer(question), address)


@asynccontextmanager
async def client(kind: str, answer: Answer, timeout: float = 0.05) -> AsyncIterator[Client]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Agent(answer), local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    target = Target("127.0.0.1", port, "2c", Secret("public"), None, timeout)
    one: Client = PysnmpClient(target) if kind == "pysnmp" else GufoClient(target, SystemClock(), PysnmpClient)
    try:
        yield one
    finally:
        await one.close()
        transport.close()


def good(question: object, binds: list[tuple[str, object]] | None = None) -> bytearray:
    """A right answer to a question."""
    asked = _V2C.apiMessage.get_pdu(question)
    pdu = _V2C.apiPDU.get_response(asked)
    told = binds or [(str(oid), rfc1902.OctetString("value")) for oid, _ in _V2C.apiPDU.get_varbinds(asked)]
    _V2C.apiPDU.set_varbinds(pdu, told)
    _V2C.apiMessage.set_pdu(question, pdu)
    return bytearray(encoder.encode(question))


@pytest.mark.parametrize("kind", ["gufo", "pysnmp"])
async def test_broken_answers_are_errors_of_the_device(kind: str) -> None:
    rng = random.Random(1)

    def broken(question: object) -> bytes:
        data = good(question)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.4 else data)

    async with client(kind, broken) as one:
        outcomes = set()
        for _ in range(150):
            try:
                await one.get(OIDS)
            except DeviceError as error:
                outcomes.add(type(error).__name__)
        assert "ProtocolError" in outcomes


@pytest.mark.parametrize("kind", ["gufo", "pysnmp"])
async def test_a_table_without_an_end_is_left(kind: str) -> None:
    def next_row(question: object) -> bytes:
        ((name, _),) = _V2C.apiPDU.get_varbinds(_V2C.apiMessage.get_pdu(question))
        row = int(name[-1]) + 1 if len(name) == 11 else 1
        return bytes(good(question, [(f"1.3.6.1.2.1.2.2.1.8.{row}", rfc1902.Integer32(1))]))

    async with client(kind, next_row, timeout=20.0) as one:
        assert len(await one.column("1.3.6.1.2.1.2.2.1.8")) == ROWS


@pytest.mark.parametrize("kind", ["gufo", "pysnmp"])
async def test_a_table_that_goes_round_in_circles_is_left(kind: str) -> None:
    def same_row(question: object) -> bytes:
        return bytes(good(question, [("1.3.6.1.2.1.2.2.1.8.1", rfc1902.Integer32(1))]))

    async with client(kind, same_row, timeout=2.0) as one:
        assert await one.column("1.3.6.1.2.1.2.2.1.8") == {"1": 1}


@pytest.mark.parametrize("kind", ["gufo", "pysnmp"])
async def test_an_answer_to_another_question_is_no_answer(kind: str) -> None:
    def other(question: object) -> bytes:
        pdu = _V2C.apiMessage.get_pdu(question)
        _V2C.apiPDU.set_request_id(pdu, int(_V2C.apiPDU.get_request_id(pdu)) ^ 1)
        return bytes(good(question))

    async with client(kind, other) as one:
        with pytest.raises(DeviceError):
            await one.get(OIDS)
