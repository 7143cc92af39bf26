"""The Acme driver: JSON over HTTP, a long poll for events. The protocol is described in README.md, beside this file."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import nullcontext, suppress
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from yarl import URL

from bridge.driver import Driver, DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Throttled, Unsupported
from bridge.model import (
    Capability,
    Channel,
    Command,
    Device,
    DeviceEvent,
    EventKind,
    Identity,
    Kind,
    Reading,
    Result,
    Rung,
    Stream,
)
from bridge.secrets import Secret
from bridge.settings.limits import FLAG, Limit, Limits, OneOf, Text
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import Position, flatten, section_of, unflatten
from drivers.transports.http import exchange

WAIT = 20  # seconds that the device may wait for something to report
KINDS = {"motion": EventKind.MOTION, "cover": EventKind.TAMPER, "button": EventKind.INPUT, "door": EventKind.RELAY}


class AcmeConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(80, ge=1, le=65535, description="TCP port of its web server")
    auth: Literal["basic", "bearer"] = Field(
        "basic", description="basic: user name and password; bearer: the password is an API token"
    )
    timeout: float = Field(5.0, gt=0, le=60, description="seconds that one request may take in all")


class AcmeSettings(BaseModel):
    """What stands under `vendor.acme` in a template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    light: bool | None = Field(None, description="whether the button is lit")


# Every setting: what the device calls it, and what it takes there.
SETTINGS: Mapping[str, tuple[str, Limit]] = {
    "osd_text.text": ("overlay", Text(40)),
    "osd_text.position": ("corner", OneOf(tuple(Position))),
    "vendor.acme.light": ("light", FLAG),
    "sip.server": ("sip_server", Text(253, 1)),
    "sip.username": ("sip_user", Text(64, 1)),
    "sip.password": ("sip_password", Text(64, 8)),
    "hostname.name": ("name", Text(32, 1)),
}


# What the device answers. It is hostile until these have read it: unknown fields are ignored, texts have an end.
Word = Annotated[str, Field(max_length=256)]
Reply = TypeVar("Reply", bound=BaseModel)


class _Stream(BaseModel):
    name: Word
    url: Word
    up: bool


class _Status(BaseModel):
    model: Word
    firmware: Word
    serial: Word
    mac: Word = Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")
    time: FiniteFloat
    streams: list[_Stream] = Field(max_length=8)


class _Session(BaseModel):
    session: str = Field(pattern=r"^[A-Za-z0-9]{1,32}$")  # it becomes part of a path


class _Event(BaseModel):
    time: FiniteFloat
    type: Word
    on: bool | None = None
    repeated: bool = False
    data: dict[Word, Word] = Field(default={}, max_length=32)


class _Events(BaseModel):
    events: list[_Event] = Field(max_length=1000)


class _Settings(BaseModel):
    """A device without SIP does not name it at all; the password is always null."""

    overlay: Word
    corner: Position
    light: bool
    name: str = Field(pattern=r"^[A-Za-z0-9-]{1,32}$")
    sip_server: Word | None = Field(None, min_length=1)
    sip_user: Word | None = Field(None, min_length=1)
    sip_password: None = None


class _Done(BaseModel):
    reboot: bool = False


class _Refusal(BaseModel):
    error: Word


class _Unknown(ProtocolError):
    """404: a session that the device has forgotten."""


class AcmeDriver(Driver[AcmeConfig]):
    name = "acme"
    stability = "beta"
    kinds = frozenset({Kind.CAMERA, Kind.INTERCOM})
    capabilities = frozenset({Capability.STREAMS, Capability.EVENTS, Capability.SETTINGS, Capability.REBOOT})
    Config = AcmeConfig
    settings: ClassVar = {path: f"PUT /api/settings, {name}" for path, (name, _) in SETTINGS.items()}
    VendorSettings = AcmeSettings

    __slots__ = ("_origin", "_session")

    def __init__(self, device: Device, config: AcmeConfig, io: DriverIO) -> None:
        super().__init__(device, config, io)
        self._origin = URL.build(scheme="http", host=device.address, port=config.port)
        self._session: str | None = None  # where we listen, on the device

    async def probe(self) -> Identity:
        found = await self._ask("GET", "/api/status", _Status)
        return Identity("Acme", found.model, found.firmware, found.serial, "", (found.mac.lower(),), self.capabilities)

    async def poll(self) -> Reading:
        found = await self._ask("GET", "/api/status", _Status)
        streams = tuple(Stream(one.name, one.up, one.url) for one in found.streams)
        facts = {"clock_offset": round(found.time - self.io.clock.now().wall, 1)}
        return Reading(Rung.READY, {self.device.channels[0].key: streams}, facts)

    async def events(self) -> AsyncIterator[DeviceEvent]:
        await self._let_go()  # of what an earlier life of this driver left there
        self._session = (await self._ask("POST", "/api/events", _Session)).session
        await self.io.memory.put("session", self._session)
        yield DeviceEvent(EventKind.RESYNC)
        path = f"/api/events/{self._session}"
        with suppress(_Unknown):  # it rebooted, or we let go: this stream ends, and the runner begins anew
            while True:
                for one in (await self._ask("GET", path, _Events, wait=WAIT)).events:
                    yield self._event(one)

    def _event(self, one: _Event) -> DeviceEvent:
        kind, channel = KINDS.get(one.type, EventKind.VENDOR), self.device.channels[0].key
        return DeviceEvent(
            kind, channel, active=one.on, initial=one.repeated, source_time=one.time, topic=one.type, data=one.data
        )

    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        found = await self._ask("GET", "/api/settings", _Settings)
        there = [
            (path, getattr(found, name), limit)
            for path, (name, limit) in SETTINGS.items()
            if section_of(path) in sections and name in found.model_fields_set
        ]
        values = {path: value for path, value, _ in there if value is not None}
        return Configuration(unflatten(values), Limits({path: limit for path, _, limit in there}))

    async def apply(self, channel: Channel, step: Step) -> bool:
        after = flatten(step.after)
        wanted = {SETTINGS[path][0]: _plain(after[path]) for path in step.paths}
        return (await self._ask("PUT", "/api/settings", _Done, body=wanted)).reboot

    async def command(self, command: Command) -> Result:
        if command.action is not Capability.REBOOT:
            raise Unsupported(f"Acme devices know no {command.action}")
        await self._ask("POST", "/api/reboot", _Done)
        return Result("it reboots")

    async def close(self) -> None:
        with suppress(DeviceError):  # a device that is away forgets the session by itself
            await self._let_go()

    async def _let_go(self) -> None:
        session, self._session = self._session or self.io.memory.get("session"), None
        if session is not None:
            with suppress(_Unknown):  # it is gone, which is what we wanted
                await self._ask("DELETE", f"/api/events/{session}", _Session)
            await self.io.memory.put("session", None)

    async def _ask(
        self, method: str, path: str, reply: type[Reply], wait: int = 0, body: Mapping[str, object] | None = None
    ) -> Reply:
        """One request. `wait` in seconds is for a long poll, which goes around the gate."""
        url = self._origin.join(URL(path)).with_query({"wait": wait} if wait else None)
        headers, deadline = self._authorization(), self.config.timeout + wait
        async with nullcontext() if wait else self.io.gate:
            sent = None if body is None else json.dumps(body).encode()
            answer = await exchange(self.io.http, method, url, body=sent, headers=headers, deadline=deadline)
        if answer.status in (401, 403):
            raise AuthFailed("it refuses the credentials")
        if answer.status == 404:
            raise _Unknown(f"it knows no {path}")
        if answer.status == 503:
            raise Throttled("all its places for listeners are taken", seconds=60)
        if answer.status not in (200, 422):
            raise ProtocolError(f"it answers {answer.status}", answer.body)
        try:
            if answer.status == 422:
                raise Rejected(_Refusal.model_validate_json(answer.body).error)
            return reply.model_validate_json(answer.body)
        except ValidationError:
            raise ProtocolError("its answer is not what the protocol says", answer.body) from None

    def _authorization(self) -> dict[str, str]:
        login = self.device.credentials
        if login is None:
            return {}
        if self.config.auth == "bearer":
            return {"Authorization": f"Bearer {login.password.reveal()}"}
        pair = base64.b64encode(f"{login.username}:{login.password.reveal()}".encode())
        return {"Authorization": f"Basic {pair.decode()}"}


def _plain(value: object) -> object:
    """As JSON has it; the only place where a secret becomes a text."""
    return value.reveal() if isinstance(value, Secret) else value
