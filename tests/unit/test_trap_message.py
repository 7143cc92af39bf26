"""Notifications as bytes: what pyasn1 writes is read, whatever else comes is refused and nothing worse."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import encoder
from pysnmp.proto import api, rfc1902

from bridge.traps.message import BadMessage, Plain, Sealed, read

V1, V2 = api.PROTOCOL_MODULES[api.SNMP_VERSION_1], api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
UPTIME, TRAP_OID, ADDRESS = "1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.1.1.4.1.0", "1.3.6.1.6.3.18.1.3.0"


def v2(name: str, binds: list[tuple[str, Any]], *, inform: bool = False, community: bytes = b"public") -> bytes:
    pdu = V2.InformRequestPDU() if inform else V2.TrapPDU()
    (V2.apiPDU if inform else V2.apiTrapPDU).set_defaults(pdu)
    head = [(UPTIME, rfc1902.TimeTicks(4711)), (TRAP_OID, rfc1902.ObjectIdentifier(name))]
    V2.apiPDU.set_varbinds(pdu, head + binds)
    message = V2.Message()
    V2.apiMessage.set_defaults(message)
    V2.apiMessage.set_community(message, community)
    V2.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


def v1(enterprise: str, generic: int, specific: int) -> bytes:
    pdu = V1.TrapPDU()
    V1.apiTrapPDU.set_defaults(pdu)
    V1.apiTrapPDU.set_enterprise(pdu, enterprise)
    V1.apiTrapPDU.set_generic_trap(pdu, generic)
    V1.apiTrapPDU.set_specific_trap(pdu, specific)
    V1.apiTrapPDU.set_agent_address(pdu, "192.0.2.9")
    message = V1.Message()
    V1.apiMessage.set_defaults(message)
    V1.apiMessage.set_community(message, "public")
    V1.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


VALUES = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(lambda n: (rfc1902.Integer32(n), n)),
    st.integers(0, 2**32 - 1).map(lambda n: (rfc1902.Counter32(n), n)),
    st.integers(0, 2**32 - 1).map(lambda n: (rfc1902.Gauge32(n), n)),
    st.integers(0, 2**64 - 1).map(lambda n: (rfc1902.Counter64(n), n)),
    st.binary(max_size=300).map(lambda b: (rfc1902.OctetString(b), b)),
    st.ip_addresses(v=4).map(lambda a: (rfc1902.IpAddress(str(a)), str(a))),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20)
    .map(lambda rest: ".".join(map(str, [1, 3, *rest])))
    .map(lambda name: (rfc1902.ObjectIdentifier(name), name)),
)
NAMES = st.lists(st.integers(0, 2**32 - 1), max_size=20).map(lambda rest: ".".join(map(str, [1, 3, 6, *rest])))


@given(NAMES, st.lists(st.tuples(NAMES, VALUES), max_size=10), st.booleans(), st.binary(max_size=20))
def test_what_pyasn1_writes_is_read(name: str, binds: list[Any], inform: bool, community: bytes) -> None:
    data = v2(name, [(oid, value[0]) for oid, value in binds], inform=inform, community=community)
    found = read(data)
    assert isinstance(found, Plain)
    assert found.community == community
    assert (found.trap.name, found.trap.uptime) == (name, 4711)
    assert found.trap.variables == tuple((oid, value[1]) for oid, value in binds)
    assert (found.response is not None) == inform


def test_an_inform_is_confirmed_by_a_response_with_all_that_is_in_it() -> None:
    from pyasn1.codec.ber import decoder

    data = v2("1.3.6.1.6.3.1.1.5.3", [("1.3.6.1.2.1.2.2.1.1.3", rfc1902.Integer32(3))], inform=True)
    found = read(data)
    assert isinstance(found, Plain)
    assert found.response is not None
    answer, rest = decoder.decode(found.response, asn1Spec=V2.Message())
    assert rest == b""
    asked, _ = decoder.decode(data, asn1Spec=V2.Message())
    response, question = V2.apiMessage.get_pdu(answer), V2.apiMessage.get_pdu(asked)
    assert response.tagSet == V2.ResponsePDU.tagSet
    assert V2.apiPDU.get_request_id(response) == V2.apiPDU.get_request_id(question)
    assert V2.apiPDU.get_varbinds(response) == V2.apiPDU.get_varbinds(question)


@pytest.mark.parametrize(
    ("generic", "specific", "name"),
    [(0, 0, "1.3.6.1.6.3.1.1.5.1"), (2, 0, "1.3.6.1.6.3.1.1.5.3"), (6, 3, "1.3.6.1.4.1.368.0.3")],
)
def test_a_v1_trap_is_translated(generic: int, specific: int, name: str) -> None:
    found = read(v1("1.3.6.1.4.1.368", generic, specific))
    assert isinstance(found, Plain)
    assert (found.trap.name, found.trap.agent, found.trap.version) == (name, "192.0.2.9", 1)


def test_the_address_behind_a_relay_is_told() -> None:
    found = read(v2("1.3.6.1.6.3.1.1.5.1", [(ADDRESS, rfc1902.IpAddress("192.0.2.7"))]))
    assert isinstance(found, Plain)
    assert (found.trap.agent, found.trap.variables) == ("192.0.2.7", ())


GOOD = v2("1.3.6.1.4.1.368.4.2.0.1", [("1.3.6.1.4.1.368.4.2.2.0", rfc1902.OctetString("FanFailure"))])


@given(st.data())
def test_broken_bytes_are_refused_and_nothing_else(data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for at in data.draw(st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for one in (bytes(damaged), bytes(damaged[:cut])):
        with suppress(BadMessage):
            assert isinstance(read(one), Plain | Sealed)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(BadMessage):
        read(data + b"\0")


def test_a_notification_has_a_bounded_number_of_variables() -> None:
    many = [("1.3.6.1.4.1.1", rfc1902.Integer32(1))] * 200
    with pytest.raises(BadMessage, match="too many"):
        read(v2("1.3.6.1.6.3.1.1.5.1", many))


def test_a_request_is_no_notification() -> None:
    pdu = V2.GetRequestPDU()
    V2.apiPDU.set_defaults(pdu)
    message = V2.Message()
    V2.apiMessage.set_defaults(message)
    V2.apiMessage.set_pdu(message, pdu)
    with pytest.raises(BadMessage):
        read(bytes(encoder.encode(message)))
