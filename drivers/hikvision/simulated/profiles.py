"""Models and firmware that are simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ISAPI_ORG = "http://www.isapi.org/ver20/XMLSchema"
HIKVISION_COM = "http://www.hikvision.com/ver20/XMLSchema"
PSIA = "urn:psialliance-org"


@dataclass(frozen=True, slots=True)
class Profile:
    """`heartbeat` in seconds between two, None for firmware that sends none. `rings`: the stream tells of calls.
    `calls`: it knows callStatus. `streams`: how many it keeps at once."""

    model: str
    firmware: str
    namespace: str = ISAPI_ORG
    heartbeat: float | None = None
    rings: bool = False
    calls: bool = True
    log: bool = True
    doors: int = 1
    streams: int = 4
    boundary: str = "MIME_boundary"
    terminal: bool = False


PROFILES: Mapping[str, Profile] = {
    "kv6113": Profile("DS-KV6113-WPE1(B)", "V2.2.53", HIKVISION_COM, heartbeat=1.0, rings=True, streams=2),
    "kv6124": Profile("DS-KV6124-E1", "V3.9.0"),
    "kd8003": Profile(
        "DS-KD8003-IME1(B)", "V2.2.45", PSIA, heartbeat=1.0, rings=True, log=False, doors=2, boundary="boundary"
    ),
    "k1t343": Profile("DS-K1T343MX", "V3.3.8", rings=True, calls=False, terminal=True),
}
