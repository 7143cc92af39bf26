"""What agents of different makes answer, as their MIBs have it; values as in public walks of such devices."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pysnmp.proto import rfc1902

from drivers.snmp.simulated.agent import Oid, oid

Fixed = dict[str, Any]
Integer, Text, Gauge, Counter64 = rfc1902.Integer32, rfc1902.OctetString, rfc1902.Gauge32, rfc1902.Counter64
Name = rfc1902.ObjectIdentifier

AXIS, HIK, HIK_NVR, DAHUA, TWO_N, ZENITEL = (
    "1.3.6.1.4.1.368.4.1",
    "1.3.6.1.4.1.39165.1",
    "1.3.6.1.4.1.50001.1",
    "1.3.6.1.4.1.1004849.2.1",
    "1.3.6.1.4.1.6530.11",
    "1.3.6.1.4.1.26122.2",
)
AXIS_PRODUCT = "1.3.6.1.4.1.368.1.1"
UPS, HOST, UCD = "1.3.6.1.2.1.33.1", "1.3.6.1.2.1.25", "1.3.6.1.4.1.2021"
KB_TOTAL, KB_FREE, KB_BUFFERS, KB_CACHED = 16_000_000, 4_000_000, 500_000, 6_500_000


def system(description: str, object_id: str, name: str) -> Fixed:
    return {
        "1.3.6.1.2.1.1.1.0": Text(description),
        "1.3.6.1.2.1.1.2.0": Name(object_id),
        "1.3.6.1.2.1.1.5.0": Text(name),
    }


def axis(name: str, seed: int) -> Fixed:
    return {
        **system(f" ; AXIS P{1300 + seed}; Network Camera; 10.1.0; Nov 12 2020 10:19; 78C; 1; ", AXIS_PRODUCT, name),
        f"{AXIS}.1.1.3.2.1": Integer(1),
        f"{AXIS}.2.1.3.2.1": Integer(1),
        f"{AXIS}.3.1.3.1.1": Integer(1),
        f"{AXIS}.3.1.4.1.1": Integer(35),
        f"{AXIS}.3.1.4.1.2": Integer(39),
        f"{AXIS}.4.1.2.1": Integer(1),
        f"{AXIS}.6.1.2.1": Text("Housing"),
        f"{AXIS}.6.1.3.1": Integer(1),
        f"{AXIS}.8.1.2.1": Text("SD_DISK"),
        f"{AXIS}.8.1.3.1": Integer(1),
    }


def hikvision(name: str, seed: int) -> Fixed:
    """No system group at all; numbers with units."""
    return {
        f"{HIK}.1.0": Text("DS-2CD2185FWD-I"),
        f"{HIK}.3.0": Text("V5.5.82 build 190220"),
        f"{HIK}.4.0": Text(f"44:19:b6:00:{seed >> 8 & 255:02x}:{seed & 255:02x}"),
        f"{HIK}.5.0": Text(f"DS-2CD2185FWD-I2019{seed:08d}"),
        f"{HIK}.7.0": Text("15 PERCENT"),
        f"{HIK}.9.0": Text("0 PERCENT"),
        f"{HIK}.10.0": Text("512 MB"),
        f"{HIK}.11.0": Text("83 PERCENT"),
    }


def hikvision_nvr(name: str, seed: int) -> Fixed:
    return {
        **system("DS-7608NI-K2", "1.3.6.1.4.1.50001", name),
        f"{HIK_NVR}.100.0": Integer(2),
        f"{HIK_NVR}.102.0": Integer(1),
        f"{HIK_NVR}.200.0": Integer(1),
        f"{HIK_NVR}.220.0": Integer(169),
        f"{HIK_NVR}.221.0": Integer(5),
    }


def dahua(name: str, seed: int) -> Fixed:
    return {
        **system("Dahua", "1.3.6.1.4.1.1004849", name),
        f"{DAHUA}.1.1.0": Text("2.800.0000000.16.R"),
        f"{DAHUA}.2.4.0": Text(f"4M05FB6PAJ{seed:05d}"),
        f"{DAHUA}.2.6.0": Text("DH-NVR4108HS-8P-4KS2"),
        f"{DAHUA}.2.8.0": Integer(1),
        f"{DAHUA}.3.0": Integer(21),
    }


def two_n(name: str, seed: int) -> Fixed:
    return {
        **system("2N IP Force", "1.3.6.1.4.1.6530.11", name),
        f"{TWO_N}.1.0": Text("2N IP Force"),
        f"{TWO_N}.2.0": Text("535v1"),
        f"{TWO_N}.3.0": Text(f"54-2354-{seed:04d}"),
        f"{TWO_N}.4.0": Text("2.22.0.31.8"),
        f"{TWO_N}.6.1.3.1": Integer(2),
        f"{TWO_N}.6.1.3.2": Integer(0),
    }


def zenitel(name: str, seed: int) -> Fixed:
    return {
        **system("Zenitel Turbine TCIS-3", "1.3.6.1.4.1.26122", name),
        f"{ZENITEL}.1.1.0": Text("7.2.3.1"),
        f"{ZENITEL}.2.1.1.4.1": Integer(1),
        f"{ZENITEL}.3.1.0": Integer(0),
    }


def ups(name: str, seed: int) -> Fixed:
    return {
        **system("UPS", "1.3.6.1.2.1.33", name),
        f"{UPS}.1.1.0": Text("Eaton"),
        f"{UPS}.1.2.0": Text("9PX 3000"),
        f"{UPS}.1.3.0": Text("01.12"),
        f"{UPS}.2.1.0": Integer(2),
        f"{UPS}.2.3.0": Integer(43),
        f"{UPS}.2.4.0": Integer(100),
        f"{UPS}.4.1.0": Integer(3),
    }


def host(name: str, seed: int) -> Fixed:
    """net-snmp on a machine with four cores, of which one and a half are busy."""
    return {
        **system(f"Linux {name} 6.1.0", "1.3.6.1.4.1.8072.3.2.10", name),
        f"{HOST}.1.6.0": Gauge(211),
        f"{HOST}.2.2.0": Integer(KB_TOTAL),
        **{f"{HOST}.3.3.1.2.{196608 + core}": Integer(30 + core) for core in range(4)},
        f"{UCD}.10.1.5.1": Integer(150),
        f"{UCD}.10.1.5.2": Integer(120),
        f"{UCD}.10.1.5.3": Integer(80),
        f"{UCD}.11.67.0": Integer(4),
        f"{UCD}.4.5.0": Integer(KB_TOTAL),
        f"{UCD}.4.6.0": Integer(KB_FREE),
        f"{UCD}.4.14.0": Integer(KB_BUFFERS),
        f"{UCD}.4.15.0": Integer(KB_CACHED),
        f"{UCD}.4.27.0": Counter64(10_500_000),
    }


def windows(name: str, seed: int) -> Fixed:
    """HOST-RESOURCES-MIB alone: two cores, physical memory in units of 64 KB."""
    storage = f"{HOST}.2.3.1"
    return {
        **system("Hardware: Intel64 Family 6 - Software: Windows Version 10.0", "1.3.6.1.4.1.311.1.1.3.1.2", name),
        f"{HOST}.1.6.0": Gauge(120),
        f"{HOST}.3.3.1.2.5": Integer(10),
        f"{HOST}.3.3.1.2.6": Integer(30),
        f"{storage}.2.1": Name("1.3.6.1.2.1.25.2.1.4"),
        f"{storage}.2.4": Name("1.3.6.1.2.1.25.2.1.2"),
        f"{storage}.4.1": Integer(4096),
        f"{storage}.4.4": Integer(65536),
        f"{storage}.5.1": Integer(1_000_000),
        f"{storage}.5.4": Integer(131_072),
        f"{storage}.6.1": Integer(400_000),
        f"{storage}.6.4": Integer(32_768),
    }


def switch(name: str, seed: int) -> Fixed:
    return {**system("24-port PoE switch", "1.3.6.1.4.1.32473.2", name), "1.3.6.1.2.1.105.1.3.1.1.4.1": Gauge(61)}


MAKES: dict[str, Callable[[str, int], Fixed]] = {
    one.__name__: one for one in (axis, hikvision, hikvision_nvr, dahua, two_n, zenitel, ups, host, windows, switch)
}


def date_and_time(seconds: float) -> Any:
    """DateAndTime of RFC 2579, in UTC."""
    now = datetime.fromtimestamp(seconds, UTC)
    return Text(
        struct.pack(">HBBBBBBcBB", now.year, now.month, now.day, now.hour, now.minute, now.second, 0, b"+", 0, 0)
    )


def fixed(values: Fixed) -> dict[Oid, Callable[[], Any]]:
    def always(value: Any) -> Callable[[], Any]:
        return lambda: value

    return {oid(name): always(value) for name, value in values.items()}
