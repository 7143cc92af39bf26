"""One channel of one device, as the sections see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.driver import DriverIO
from bridge.errors import ProtocolError, Rejected, Unsupported
from bridge.model import Channel, Device
from bridge.settings.limits import Limit
from bridge.settings.vocabulary import Value
from drivers.onvif.client import EVENTS, MEDIA, MEDIA2, OnvifClient
from drivers.onvif.media import Profile
from drivers.onvif.soap import SoapFault
from drivers.onvif.wsdl import Message
from drivers.transports.xml import Element

IMAGING = "http://www.onvif.org/ver20/imaging/wsdl"
ANALYTICS = "http://www.onvif.org/ver20/analytics/wsdl"
DEVICEIO = "http://www.onvif.org/ver10/deviceIO/wsdl"

__all__ = ["ANALYTICS", "DEVICEIO", "EVENTS", "IMAGING", "MEDIA", "MEDIA2", "Told", "Unit"]


class Told(NamedTuple):
    """What a section is set to and what is legal in it, by paths. `given`: as in `bridge.settings.limits.Limits`."""

    values: Mapping[str, Value] = {}
    limits: Mapping[str, Limit] = {}
    given: Mapping[tuple[str, Value], Mapping[str, Limit]] = {}


NOTHING = Told()


@dataclass(frozen=True, slots=True)
class Unit:
    """`encoders` are the profiles of the channel's streams, high first."""

    client: OnvifClient
    device: Device
    channel: Channel
    io: DriverIO
    encoders: tuple[Profile, ...] = ()
    options: dict[Message, Element | None] = field(default_factory=dict)  # what was asked for lately, by the request

    @property
    def profile(self) -> Profile:
        """The channel's first. Raises Unsupported when it has none."""
        if not self.encoders:
            raise Unsupported("this channel has no video profile")
        return self.encoders[0]

    @property
    def media(self) -> str:
        """The media service to use: Media 2 where the channel's profiles came from it."""
        return MEDIA2 if self.profile.media2 else MEDIA

    async def ask(self, service: str, message: Message) -> Element | None:
        """What the device tells, or None where it has nothing of the kind."""
        try:
            return await self.client.call(service, message)
        except (Unsupported, SoapFault):
            return None

    async def offered(self, service: str, message: Message) -> Element | None:
        """Like `ask`, for what a device offers: that does not change between a look and the write behind it."""
        if message not in self.options:
            self.options[message] = await self.ask(service, message)
        return self.options[message]

    async def tell(self, service: str, message: Message) -> Element:
        """Have the device change something. Raises Rejected with its own reason."""
        try:
            return await self.client.call(service, message)
        except SoapFault as fault:
            raise Rejected(fault.detail.removeprefix("it refuses: ")) from None
        except Unsupported as error:
            raise Rejected(error.detail) from None

    async def must(self, service: str, message: Message) -> Element:
        """Like `ask`, for what was there a moment ago."""
        found = await self.ask(service, message)
        if found is None:
            raise ProtocolError("it no longer tells what it is set to")
        return found
