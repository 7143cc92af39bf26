"""The habits of four makes: prefixes, tokens, paths, options. Made-up names, each after a family of real firmwares.

Nothing here is a fault. A client that reads XML by namespace and takes tokens and addresses as it gets them notices
no difference; one that matches text does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.onvif.simulated.limits import DOVRE, HALDEN, LARVIK, MOLDE, Limits


@dataclass(frozen=True, slots=True)
class Make:
    """One family of firmwares. In the templates `n` is a channel counted from 1, `i` from 0, `k` a stream likewise.

    `encoding` is the factory's in tokens and names; in `stream_path` it is the one that is set.
    """

    manufacturer: str
    models: tuple[str, ...]
    firmware: str
    server: str  # the HTTP Server header
    realm: str
    source: str
    source_configuration: str
    encoder: str
    profile: str
    profile_name: str
    stream_path: str
    subscription: str  # path or query of a subscription; its id is appended
    paths: Mapping[str, str]  # prefix of a service's namespace -> path
    limits: Limits
    # ONVIF's prefix -> this make's; "" makes it the default namespace.
    prefixes: Mapping[str, str] = field(default_factory=dict)
    declares_all: bool = False  # every namespace on every envelope, the way of gSOAP servers
    declaration: str = '<?xml version="1.0" encoding="UTF-8"?>\n'
    producer_reference: bool = False  # notifications name their producer


_COMMON_PATHS = {
    "tds": "/onvif/device_service",
    "trt": "/onvif/media_service",
    "tev": "/onvif/event_service",
    "timg": "/onvif/imaging_service",
    "tan": "/onvif/analytics_service",
    "tmd": "/onvif/deviceio_service",
}

MAKES = (
    Make(  # after the gSOAP servers of most small cameras
        manufacturer="Dovre",
        models=("DV-2021B", "DV-4031T", "DV-5120"),
        firmware="2.800.0000.16.R, build 2021-09-14",
        server="gSOAP/2.8",
        realm="Login to {serial}",
        source="{i:05d}",
        source_configuration="{i:05d}",
        encoder="{n:03d}{k:02d}",
        profile="MediaProfile{i:03d}{k:02d}",
        profile_name="Channel{n}_{stream}",
        stream_path="/cam/realmonitor?channel={n}&subtype={k}&unicast=true&proto=Onvif",
        subscription="/onvif/event_service?Idx=",
        paths={**_COMMON_PATHS, "tr2": "/onvif/media2_service"},
        limits=DOVRE,
        prefixes={"s": "SOAP-ENV"},
        declares_all=True,
    ),
    Make(  # after the servers that use one path a service and short prefixes
        manufacturer="Halden",
        models=("HA-2CD2043", "HA-2CD2386", "HA-DS7616"),
        firmware="V5.7.3 build 220112",
        server="webserver",
        realm="IP Camera({serial})",
        source="VideoSource_{n}",
        source_configuration="VideoSourceToken_{n}",
        encoder="VideoEncoderToken_{n}_{kk}",
        profile="Profile_{n}{kk:02d}",
        profile_name="{stream}Stream_{n}",
        stream_path="/Streaming/Channels/{n}{kk:02d}?transportmode=unicast&profile=Profile_{n}{kk:02d}",
        subscription="/onvif/Events/PullSubManager_2026-11-23T00:00:00Z_",
        paths={
            "tds": "/onvif/device_service",
            "trt": "/onvif/Media",
            "tr2": "/onvif/Media2",
            "tev": "/onvif/Events",
            "timg": "/onvif/Imaging",
            "tan": "/onvif/Analytics",
            "tmd": "/onvif/DeviceIO",
        },
        limits=HALDEN,
        prefixes={"s": "env"},
        producer_reference=True,
    ),
    Make(  # after the servers that number their prefixes and have one path for all
        manufacturer="Larvik",
        models=("LV1455-LE", "LV3268", "LV5655-E"),
        firmware="10.12.213",
        server="Apache/2.4.57 (Unix)",
        realm="LV_{serial}",
        source="{i}",
        source_configuration="{i}",
        encoder="default_{n}_{encoding}_{k}",
        profile="profile_{n}_{k}_{encoding}",
        profile_name="profile_{n}_{k} {encoding}",
        stream_path="/onvif-media/media.amp?profile={profile}&sessiontimeout=60&streamtype=unicast",
        subscription="/onvif/subscriptions/",
        paths=dict.fromkeys(("trt", "tr2", "tev", "timg", "tan", "tmd"), "/onvif/services")
        | {"tds": "/onvif/device_service"},
        limits=LARVIK,
        prefixes={"s": "SOAP-ENV", "tt": "ns1", "trt": "ns2", "tev": "ns3", "wsnt": "ns4", "wsa": "ns5"},
    ),
    Make(  # after the servers written on .NET or Node, with default namespaces
        manufacturer="Molde",
        models=("M-IPC-32", "M-IPC-54", "M-VTO"),
        firmware="v5.00.R02.00030665",
        server="onvif-server/1.0",
        realm="onvif",
        source="V_SRC_{i:03d}",
        source_configuration="V_SRC_CFG_{i:03d}",
        encoder="V_ENC_{i:03d}_{k}",
        profile="PROFILE_{i:02d}{k}",
        profile_name="PROFILE_{i:02d}{k}",
        stream_path="/ch{i}_{k}.{encoding}",
        subscription="/Subscription?Idx=",
        paths={**_COMMON_PATHS, "tr2": "/onvif/media2"},
        limits=MOLDE,
        prefixes={"s": "soap", "tds": ""},
        declaration='<?xml version="1.0" encoding="utf-8"?>',
    ),
)
