"""What an inventory may say: one model for each of its blocks.

The blocks of drivers are theirs: `registry.load(name).Config`. The `vms:` block is `CameraFields` or `IntercomFields`
of `bridge.pushes.resource`, by the kind of the device. Descriptions are what editors show, through the JSON Schema.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.config.types import (
    Address,
    Batch,
    Duration,
    ExistingFile,
    FilePath,
    Id,
    Listen,
    ListenAddress,
    SecretValue,
    Size,
    SocketKey,
    Url,
)
from bridge.model import EventKind, Kind
from bridge.settings.plan import Fit
from bridge.settings.templates import Occasion
from bridge.settings.vocabulary import Settings

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Count = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
DriverName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
PushName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Log(Block):
    """What the bridge writes about itself, to its standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is written")
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="text for people, json for machines; auto is text on a terminal"
    )


class Tls(Block):
    """HTTPS instead of HTTP."""

    certificate: ExistingFile = Field(
        description="file with the certificate and its chain, PEM", examples=["/etc/device-bridge/tls.crt"]
    )
    key: ExistingFile = Field(description="file with its private key, PEM", examples=["/etc/device-bridge/tls.key"])


class Http(Block):
    """The listener for people, for the VMS's clients and for monitoring."""

    listen: ListenAddress = Field(
        Listen("127.0.0.1", 8080),
        description="where to listen, host:port; port 0 takes a free one",
        examples=["127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080"],
    )
    url: Url | None = Field(
        None,
        description="how people and clients reach it, when that is not the address it listens on (a reverse proxy)",
        examples=["https://bridge.example.net"],
    )
    tls: Tls | None = Field(None, description="serve HTTPS with this certificate")


class Callbacks(Block):
    """The listener for devices that call the bridge. Not listening when the block is absent."""

    listen: ListenAddress = Field(
        description="where to listen, host:port; port 0 takes a free one", examples=["0.0.0.0:8090"]
    )
    url: Url | None = Field(
        None,
        description="how devices reach it; needed when it listens on all interfaces",
        examples=["http://192.0.2.5:8090"],
    )


class Files(Block):
    """Files that the bridge makes for people: exports, clips. Each has a URL that nobody can guess, and goes away."""

    life: Annotated[Duration, Field(gt=0)] = Field(3 * 3600.0, description="how long a file can be fetched")
    max_size: Size = Field(2_000_000_000, description="bytes of all files together; a file beyond is refused")


class TrapsBlock(Block):
    """The listener for SNMP traps and informs, over UDP. Not listening when the block is absent."""

    listen: ListenAddress = Field(
        description="where to listen, host:port; devices send to port 162, for which the bridge needs the right to",
        examples=["0.0.0.0:162"],
    )


class Syslog(Block):
    """The listener for lines of syslog, over UDP and TCP. Not listening when the block is absent."""

    listen: ListenAddress = Field(
        description="where to listen, host:port; port 0 takes a free one", examples=["0.0.0.0:5514"]
    )
    host: Address | None = Field(
        None,
        description="the address that devices are told to send to; needed when it listens on all interfaces",
        examples=["192.0.2.5"],
    )
    ports: dict[DriverName, Port] = Field(
        default_factory=dict,
        description="a port of its own for the devices of a driver, by its name; the others share that of `listen`",
        examples=[{"beward": 45450}],
    )


class Bridge(Block):
    """The bridge itself."""

    name: Text = Field(default_factory=socket.gethostname, description="its name in logs and pages; the host name")
    data: FilePath = Field(
        Path("device-bridge-data"),
        description="directory of the state and the outbox",
        examples=["./data"],
        validate_default=True,
    )
    locale: str = Field(
        "en",
        pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,8})?$",
        description="language of the words in pushes",
        examples=["en", "ru"],
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="own words in front of the built-in ones",
        examples=[{"intercom.status.active": "Works"}],
    )
    log: Log = Field(Log(), description="what it writes about itself")
    http: Http = Field(Http(), description="the listener for people, clients and monitoring")
    callbacks: Callbacks | None = Field(None, description="the listener for devices that call the bridge")
    files: Files = Field(Files(), description="files that it makes for people")
    traps: TrapsBlock | None = Field(None, description="the listener for SNMP traps and informs")
    syslog: Syslog | None = Field(None, description="the listener for lines of syslog")


class Outbox(Block):
    """Pushes wait here until every sink has them. A bound that is reached drops the oldest, and counts them."""

    max_rows: Count = Field(200_000, description="pushes kept at most")
    max_age: Annotated[Duration, Field(gt=0)] = Field(14 * 86400.0, description="longest wait for a sink that is away")
    history: Duration = Field(3600.0, description="how long delivered pushes stay to be looked at")


class Events(Block):
    """What devices report is kept for people, scripts and webhooks."""

    max_rows: Count = Field(100_000, description="events kept at most")
    max_age: Annotated[Duration, Field(gt=0)] = Field(30 * 86400.0, description="how long they are kept")


class PusherServer(Block):
    """The bridge as a Pusher Channels server: clients connect to it on `bridge.http`."""

    type: Literal["pusher_server"] = Field(description="what kind of sink this is")
    name: Id = Field(description="its name in logs, metrics and commands", examples=["local"])
    app_id: PushName = Field("device-bridge", description="id of the Pusher application")
    key: PushName = Field(description="public key of the application; stands in the URL that clients open")
    secret: SecretValue = Field(description="secret of the application; signs what clients may hear")
    path_prefixes: tuple[Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_.-]+)*$")], ...] = Field(
        ("", "/pusher", "/ws"), min_length=1, description="what may stand before /app/KEY in the URL"
    )
    activity_timeout: Annotated[Duration, Field(ge=1, le=3600, multiple_of=1)] = Field(
        30.0, description="silence after which a client asks whether the bridge is still there; whole seconds"
    )
    max_connections: Count = Field(5000, description="clients at the same time")
    buffer: Annotated[Size, Field(ge=16_384)] = Field(
        1_000_000, description="unread pushes kept for one client; one that falls further behind is disconnected"
    )
    socket_key: SocketKey = Field(
        "page", description='the "socket" key of a push: page sends it where the contract shows it'
    )


class SinkTls(Block):
    """How the server's certificate is checked."""

    verify: bool = Field(True, description="refuse a certificate that is not valid for the host")
    ca: ExistingFile | None = Field(
        None, description="file with the certificates to trust instead of the system's, PEM", examples=["./vms-ca.pem"]
    )


class PusherHttp(Block):
    """A server with the Pusher HTTP API: push1st, soketi, Reverb, Pusher itself."""

    type: Literal["pusher_http"] = Field(description="what kind of sink this is")
    name: Id = Field(description="its name in logs, metrics and commands", examples=["vms"])
    url: Url = Field(description="where the server's API is, without /apps", examples=["http://192.0.2.2:6002"])
    app_id: PushName = Field(description="id of the Pusher application there")
    key: PushName = Field(description="key of that application")
    secret: SecretValue = Field(description="secret of that application; signs each request")
    batch: Batch = Field(
        "auto",
        description="pushes in one request: auto tries batches and does without where there are none, off, or 1 to 10",
    )
    max_payload: Annotated[Size, Field(ge=1000)] = Field(10_000, description="longest push the server takes, bytes")
    timeout: Annotated[Duration, Field(gt=0, le=300)] = Field(10.0, description="longest wait for an answer")
    socket_key: SocketKey = Field(
        "page", description='the "socket" key of a push: page sends it where the contract shows it'
    )
    tls: SinkTls = Field(SinkTls(), description="how the server's certificate is checked")


class WebhookSink(Block):
    """A URL that gets what devices report (doors, calls, keys ...), one signed POST each."""

    type: Literal["webhook"] = Field(description="what kind of sink this is")
    name: Id = Field(description="its name in logs, metrics and commands", examples=["access-log"])
    url: Url = Field(description="where to post", examples=["https://ops.example.net/hooks/house-12"])
    secret: SecretValue = Field(description="signs each message; whsec_ and base64, or any text")
    events: tuple[EventKind, ...] = Field(
        (EventKind.DOOR, EventKind.LOCK, EventKind.CALL, EventKind.ACCESS, EventKind.TAMPER),
        description="the kinds of events it gets",
    )
    pushes: bool = Field(False, description="whether it gets the pushes as well")
    timeout: Annotated[Duration, Field(gt=0, le=300)] = Field(10.0, description="longest wait for an answer")
    tls: SinkTls = Field(SinkTls(), description="how the receiver's certificate is checked")


Sink = PusherServer | PusherHttp | WebhookSink
SINKS: dict[str, type[Sink]] = {"pusher_server": PusherServer, "pusher_http": PusherHttp, "webhook": WebhookSink}


class Delivery(Block):
    """Where pushes go."""

    channel_prefix: str = Field(
        "private-", pattern=r"^[A-Za-z0-9_=@,.;-]{0,64}$", description="what goes before every channel name"
    )
    outbox: Outbox = Field(Outbox(), description="the bounds of what waits")
    events: Events = Field(Events(), description="the bounds of the record of events")
    sinks: tuple[Annotated[Sink, Field(discriminator="type")], ...] = Field(
        (), description="the places where pushes go; each gets all of them"
    )


class LoginBlock(Block):
    """How to log in to a device."""

    username: Text = Field(description="user name on the device", examples=["admin"])
    password: SecretValue = Field(description="its password: env:NAME, file:PATH or cred:NAME")


class Watch(Block):
    """How a device is watched."""

    poll: Annotated[Duration, Field(gt=0, le=86400)] = Field(30.0, description="time between two polls")
    offline_failures: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        3, description="failures in a row before a device counts as offline"
    )
    offline_after: Duration = Field(30.0, description="silence before a device counts as offline; both must be reached")
    retry_cap: Annotated[Duration, Field(gt=0)] = Field(60.0, description="longest pause between two tries")
    auth_retry: Annotated[Duration, Field(gt=0)] = Field(
        600.0, description="pause after a refused password; devices lock accounts"
    )
    flap_damping: bool = Field(True, description="hold back a device that goes on and off all the time")
    alarm_max: Annotated[Duration, Field(gt=0)] = Field(
        60.0, description="an alarm that the device never ends is ended after this time"
    )


class PowerCycleBlock(Block):
    """What is done by itself about a device that stays away: the power of its port is taken and given back."""

    after: Annotated[Duration, Field(ge=60)] = Field(600.0, description="time offline before it, and between two")
    per_day: Annotated[int, Field(strict=True, ge=1, le=24)] = Field(2, description="how often in 24 hours at most")


class UplinkBlock(Block):
    """Where a device is plugged in. What it inherits is the remedy; the place is its own."""

    switch: Id | None = Field(None, description="the switch, a device of this inventory", examples=["switch-1"])
    port: Annotated[int, Field(strict=True, ge=1, le=4096)] | None = Field(None, description="the number of the port")
    power_cycle: PowerCycleBlock | None = Field(
        None, description="cycle the port's power when the device stays offline; never, if not given"
    )

    @model_validator(mode="after")
    def _check(self) -> UplinkBlock:
        if (self.switch is None) != (self.port is None):
            raise ValueError("a switch and a port go together")
        return self


class ChannelEntry(Block):
    """One camera behind an NVR or a media server."""

    key: Id | None = Field(None, description="its name here; its source, or its number in the list, if not given")
    source: Text | None = Field(
        None, description="what the device calls it: a video source token, a stream name", examples=["VideoSource_1"]
    )
    name: Text | None = Field(None, description="its name for people; goes into its vms block")
    streams: tuple[Text, ...] = Field(
        (),
        description="the streams to watch, high first; the driver picks if not given",
        examples=[["Profile_1", "Profile_2"]],
    )
    service: Text | None = Field(None, description="the VMS's word for what it is used as; the device's if not given")
    vms: dict[str, Any] = Field(default_factory=dict, description="what the VMS knows of it")


class DeviceFields(Block):
    """What a device, or anything it inherits from, can say. The block of its driver comes on top."""

    driver: Text | None = Field(None, description="the driver that speaks its protocol", examples=["onvif"])
    kind: Kind | None = Field(
        None, description="what it is to the VMS; the driver's only kind, or camera, if not given"
    )
    enabled: bool = Field(True, description="false leaves it out")
    credentials: LoginBlock | None = Field(None, description="how to log in")
    watch: Watch = Field(Watch(), description="how it is watched")
    service: Text | None = Field(
        None, description="the VMS's word for what it is used as; templates are chosen by it", examples=["8MP"]
    )
    uplink: UplinkBlock = Field(UplinkBlock(), description="the switch port that it is plugged into")
    vms: dict[str, Any] = Field(default_factory=dict, description="what the VMS knows of it, fields as in pushes")
    streams: tuple[Text, ...] = Field(
        (),
        description="the streams to watch, high first; the driver picks if not given",
        examples=[["Profile_1", "Profile_2"]],
    )
    channels: tuple[ChannelEntry, ...] = Field((), description="the cameras behind it (NVR, media server)")


class Defaults(DeviceFields):
    """What holds for every device that says nothing else."""

    name: Text | None = Field(None, description="the name of devices that have none")
    site: Id | None = Field(None, description="the site of devices that name none")
    group: Id | None = Field(None, description="the group of devices that name none")


class SiteEntry(DeviceFields):
    """A place; its fields hold for its devices."""

    id: Id = Field(description="what devices call it", examples=["house-12"])
    name: Text | None = Field(None, description="its name for people")
    group: Id | None = Field(None, description="the group of its devices that name none")


class GroupEntry(DeviceFields):
    """Devices that have something in common; its fields hold for them, before those of the site."""

    id: Id = Field(description="what devices call it", examples=["hikvision"])
    name: Text | None = Field(None, description="the name of devices that have none")


class DeviceEntry(DeviceFields):
    """One device."""

    id: Id = Field(description="its name for the bridge; never changes", examples=["cam-1"])
    name: Text | None = Field(None, description="its name for people; its id if not given")
    address: Address | None = Field(
        None, description="IP address or host name; an intercom without one is not set up yet", examples=["192.0.2.10"]
    )
    site: Id | None = Field(None, description="the site it is on")
    group: Id | None = Field(None, description="the group it belongs to")


class TemplateMatch(Block):
    """Which devices a template is for. Everything that is said must hold; globs, upper or lower case."""

    manufacturer: Text | None = Field(None, description="who made it, by its own word", examples=["Hikvision"])
    model: Text | None = Field(None, description="its model, by its own word", examples=["DS-2CD2*"])
    service: Text | None = Field(None, description="its service", examples=["8MP"])
    driver: Text | None = Field(None, description="the driver that speaks its protocol", examples=["onvif"])


class TemplateEntry(Block):
    """A configuration template: what devices are to be set to."""

    id: Annotated[int, Field(strict=True, ge=1)] = Field(description="its id in the VMS", examples=[12])
    name: Text = Field(description="its name for people", examples=["Entrances"])
    match: TemplateMatch = Field(TemplateMatch(), description="which devices it is for; all, if nothing is said")
    values: Fit = Field("exact", description="nearest: where the device cannot have a value, the nearest that it can")
    reboot: Literal["allow", "never"] = Field("never", description="whether a device may be rebooted where it needs it")
    needs_streams: bool = Field(True, description="apply it only while the camera's streams are up")
    automatic: tuple[Occasion, ...] = Field(
        (), description="when it is applied by itself: first_seen, replaced", examples=[["first_seen", "replaced"]]
    )
    notify: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None, description="id of the VMS user who hears what came of it when it was applied by itself", examples=[13]
    )
    settings: Settings = Field(description="what it says")


class Root(Block):
    """The whole inventory."""

    bridge: Bridge = Field(default_factory=Bridge, description="the bridge itself")
    delivery: Delivery = Field(Delivery(), description="where pushes go")
    defaults: Defaults = Field(Defaults(), description="what holds for every device that says nothing else")
    sites: tuple[SiteEntry, ...] = Field((), description="places; what they say holds for their devices")
    groups: tuple[GroupEntry, ...] = Field((), description="kinds of devices; what they say holds for theirs")
    config_templates: tuple[TemplateEntry, ...] = Field((), description="what devices are to be set to")
    devices: tuple[DeviceEntry, ...] = Field((), description="the devices")
