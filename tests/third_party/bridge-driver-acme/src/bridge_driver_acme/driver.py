"""The Acme driver: JSON over HTTP, a long poll for events. The protocol is described in README.md, beside this file."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from yarl import URL

from bridge.driver import Driver, DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Throttled
from bridge.model import Capability, Device, DeviceEvent, EventKind, Identity, Kind, Reading, Rung, Stream
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


# What the device answers. It is hostile until these have read it: unknown fields are ignored, texts have an end.
Text = Annotated[str, Field(max_length=256)]
Reply = TypeVar("Reply", bound=BaseModel)


class _Stream(BaseModel):
    name: Text
    url: Text
    up: bool


class _Status(BaseModel):
    model: Text
    firmware: Text
    serial: Text
    mac: Text = Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")
    time: FiniteFloat
    streams: list[_Stream] = Field(max_length=8)


class _Session(BaseModel):
    session: str = Field(pattern=r"^[A-Za-z0-9]{1,32}$")  # it becomes part of a path


class _Event(BaseModel):
    time: FiniteFloat
    type: Text
    on: bool | None = None
    repeated: bool = False
    data: dict[Text, Text] = Field(default={}, max_length=32)


class _Events(BaseModel):
    events: list[_Event] = Field(max_length=1000)


class _Unknown(ProtocolError):
    """404: a session that the device has forgotten."""


class AcmeDriver(Driver[AcmeConfig]):
    name = "acme"
    stability = "beta"
    kinds = frozenset({Kind.CAMERA, Kind.INTERCOM})
    capabilities = frozenset({Capability.STREAMS, Capability.EVENTS})
    Config = AcmeConfig

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

    async def close(self) -> None:
        with suppress(DeviceError):  # a device that is away forgets the session by itself
            await self._let_go()

    async def _let_go(self) -> None:
        session, self._session = self._session or self.io.memory.get("session"), None
        if session is not None:
            with suppress(_Unknown):  # it is gone, which is what we wanted
                await self._ask("DELETE", f"/api/events/{session}", _Session)
            await self.io.memory.put("session", None)

    async def _ask(self, method: str, path: str, reply: type[Reply], wait: int = 0) -> Reply:
        """One request. `wait` in seconds is for a long poll, which goes around the gate."""
        url = self._origin.join(URL(path)).with_query({"wait": wait} if wait else None)
        headers, deadline = self._authorization(), self.config.timeout + wait
        async with nullcontext() if wait else self.io.gate:
            answer = await exchange(self.io.http, method, url, headers=headers, deadline=deadline)
        if answer.status in (401, 403):
            raise AuthFailed("it refuses the credentials")
        if answer.status == 404:
            raise _Unknown(f"it knows no {path}")
        if answer.status == 503:
            raise Throttled("all its places for listeners are taken", seconds=60)
        if answer.status != 200:
            raise ProtocolError(f"it answers {answer.status}", answer.body)
        try:
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
