"""Sends traps from many addresses of 127.0.0.0/8 at a steady rate; a process of its own, for the benchmark `traps`.

`python -m tests.benchmarks.trap_storm PORT DEVICES RATE SECONDS` prints how many it sent.
"""

from __future__ import annotations

import socket
import sys
import time

from pyasn1.codec.ber import encoder
from pysnmp.proto import api, rfc1902

_V2C = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
TICK = 0.01


def address(number: int) -> str:
    return f"127.2.{number // 250}.{number % 250 + 1}"


def link_down() -> bytes:
    pdu = _V2C.TrapPDU()
    _V2C.apiTrapPDU.set_defaults(pdu)
    binds = [
        ("1.3.6.1.2.1.1.3.0", rfc1902.TimeTicks(4711)),
        ("1.3.6.1.6.3.1.1.4.1.0", rfc1902.ObjectIdentifier("1.3.6.1.4.1.32473.1.0.1")),
        ("1.3.6.1.2.1.2.2.1.1.3", rfc1902.Integer32(3)),
        ("1.3.6.1.2.1.2.2.1.7.3", rfc1902.Integer32(1)),
        ("1.3.6.1.2.1.2.2.1.8.3", rfc1902.Integer32(2)),
    ]
    _V2C.apiPDU.set_varbinds(pdu, binds)
    message = _V2C.Message()
    _V2C.apiMessage.set_defaults(message)
    _V2C.apiMessage.set_community(message, "public")
    _V2C.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


def main(port: int, devices: int, rate: int, seconds: float) -> None:
    trap, senders = link_down(), []
    for number in range(devices):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((address(number), 0))
        sender.connect(("127.0.0.1", port))
        senders.append(sender)
    sent, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        for _ in range(int(passed * rate) - sent):
            senders[sent % devices].send(trap)
            sent += 1
        time.sleep(TICK)
    for _ in range(int(seconds * rate) - sent):
        senders[sent % devices].send(trap)
        sent += 1
    print(sent, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
