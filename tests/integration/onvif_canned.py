"""A device made of answers that were written by hand, after what real ones were seen to send.

It checks nothing and keeps what it was asked: for replies that the simulated device cannot be brought to give, and
for what the driver puts on the wire.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from lxml import etree

from bridge.supervisor import http_session
from drivers.onvif.driver import OnvifDriver
from tests.integration.onvif_rig import make

S = "http://www.w3.org/2003/05/soap-envelope"
_NAMESPACES = {
    "s": S,
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "tns1": "http://www.onvif.org/ver10/topics",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "wsrf-rw": "http://docs.oasis-open.org/wsrf/rw-2",
}


@dataclass(frozen=True)
class Request:
    operation: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def text(self, name: str) -> str:
        """The text of the first element of that name."""
        return next((one.text or "" for one in etree.fromstring(self.body).iter(f"{{*}}{name}")), "")

    @property
    def header(self) -> list[str]:
        """Names of the SOAP headers."""
        found = etree.fromstring(self.body).find(f"{{{S}}}Header")
        return [] if found is None else [etree.QName(one).localname for one in found]


Answer = str | bytes | web.Response
Handler = Callable[[Request], Answer | Awaitable[Answer]]
Answers = dict[str, Answer | Handler]


def envelope(body: str) -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    return f"<s:Envelope {declared}><s:Body>{body}</s:Body></s:Envelope>".encode()


def fault(*codes: str, reason: str = "no", status: int = 500, detail: str = "") -> web.Response:
    """A SOAP fault with these codes, from the outside in."""
    inner = ""
    for code in reversed(codes[1:]):
        inner = f"<s:Subcode><s:Value>{code}</s:Value>{inner}</s:Subcode>"
    text = (
        f"<s:Fault><s:Code><s:Value>{codes[0]}</s:Value>{inner}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault>'
    )
    return web.Response(status=status, body=envelope(text))


def stamp(seconds: float = 0.0) -> str:
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def date(request: Request) -> str:
    now = datetime.now(UTC)
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:UTCDateTime>"
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute><tt:Second>{now.second}</tt:Second>"
        f"</tt:Time><tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day>"
        "</tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def services(media: str = "http://h/onvif/media", events: str = "http://h/onvif/events") -> str:
    found = {_NAMESPACES["trt"]: media, _NAMESPACES["tev"]: events}
    return (
        "<tds:GetServicesResponse>"
        + "".join(
            f"<tds:Service><tds:Namespace>{uri}</tds:Namespace><tds:XAddr>{xaddr}</tds:XAddr></tds:Service>"
            for uri, xaddr in found.items()
        )
        + "</tds:GetServicesResponse>"
    )


INFORMATION = (
    "<tds:GetDeviceInformationResponse><tds:Manufacturer>Acme</tds:Manufacturer><tds:Model>C1</tds:Model>"
    "<tds:FirmwareVersion>1.0</tds:FirmwareVersion><tds:SerialNumber>SN1</tds:SerialNumber>"
    "<tds:HardwareId>1</tds:HardwareId></tds:GetDeviceInformationResponse>"
)
PROFILES = (
    '<trt:GetProfilesResponse><trt:Profiles token="P1"><tt:VideoSourceConfiguration token="VSC">'
    '<tt:SourceToken>V1</tt:SourceToken></tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration token="E1">'
    "<tt:Resolution><tt:Width>640</tt:Width><tt:Height>360</tt:Height></tt:Resolution>"
    "</tt:VideoEncoderConfiguration></trt:Profiles></trt:GetProfilesResponse>"
)
URI = (
    "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsp://192.168.1.88/live</tt:Uri></trt:MediaUri>"
    "</trt:GetStreamUriResponse>"
)


def created(address: str = "http://h/sub/1", seconds: float = 300.0) -> str:
    return (
        f"<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>{address}</wsa:Address>"
        f"</tev:SubscriptionReference><wsnt:CurrentTime>{stamp()}</wsnt:CurrentTime>"
        f"<wsnt:TerminationTime>{stamp(seconds)}</wsnt:TerminationTime></tev:CreatePullPointSubscriptionResponse>"
    )


def message(topic: str, value: str = "true", *, name: str = "State", operation: str = "Changed") -> str:
    return (
        f"<wsnt:NotificationMessage><wsnt:Topic>{topic}</wsnt:Topic><wsnt:Message>"
        f'<tt:Message UtcTime="{stamp()}" PropertyOperation="{operation}"><tt:Source>'
        f'<tt:SimpleItem Name="Source" Value="V1"/></tt:Source><tt:Data><tt:SimpleItem Name="{name}" Value="{value}"/>'
        "</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>"
    )


def pulled(*messages: str, seconds: float | None = 300.0) -> str:
    times = ""
    if seconds is not None:
        times = (
            f"<tev:CurrentTime>{stamp()}</tev:CurrentTime><tev:TerminationTime>{stamp(seconds)}</tev:TerminationTime>"
        )
    return f"<tev:PullMessagesResponse>{times}{''.join(messages)}</tev:PullMessagesResponse>"


def in_turn(*answers: Answer | Callable[[Request], Answer]) -> Handler:
    """One answer after the other; when they are used up, the device holds the request, as a long poll does."""
    left = list(answers)

    async def answer(request: Request) -> Answer:
        if not left:
            await asyncio.Event().wait()
        one = left.pop(0)
        return one(request) if callable(one) else one

    return answer


@dataclass
class Canned:
    """`answers` by operation: the inside of a Body, or a whole response, or what makes one of a request."""

    answers: Answers = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    def asked(self, operation: str) -> list[Request]:
        return [one for one in self.requests if one.operation == operation]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        found = re.search(rb"<s:Body><(?:\w+:)?(\w+)", body)
        asked = Request(found[1].decode() if found else "", request.raw_path, dict(request.headers), body)
        self.requests.append(asked)
        answer: Any = self.answers.get(asked.operation, fault("s:Receiver", "ter:ActionNotSupported"))
        if callable(answer):
            answer = answer(asked)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, web.Response | web.HTTPException):
            # One object cannot be sent twice.
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        return web.Response(body=envelope(answer) if isinstance(answer, str) else answer)


@asynccontextmanager
async def canned(
    answers: Answers | None = None, *, certificate: ssl.SSLContext | None = None, **config: Any
) -> AsyncIterator[tuple[Canned, OnvifDriver]]:
    """Such a device, well but for `answers`, and an opened driver for it made with `config` (see `make`)."""
    well: Answers = {
        "GetSystemDateAndTime": date,
        "GetServices": services(),
        "GetDeviceInformation": INFORMATION,
        "GetProfiles": PROFILES,
        "GetStreamUri": URI,
        "CreatePullPointSubscription": lambda request: created(),
        "PullMessages": in_turn(),
        "Renew": lambda request: (
            f"<wsnt:RenewResponse><wsnt:TerminationTime>{stamp(300)}</wsnt:TerminationTime></wsnt:RenewResponse>"
        ),
        "Unsubscribe": "<wsnt:UnsubscribeResponse/>",
    }
    device = Canned({**well, **(answers or {})})
    server = web.Server(device.handle, handler_cancellation=True, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=certificate)
    device.port = listener.sockets[0].getsockname()[1]
    try:
        async with http_session() as http:
            driver = make(device.port, http, **config)
            await driver.open()
            try:
                yield device, driver
            finally:
                await driver.close()
    finally:
        listener.close()
        await server.shutdown(timeout=1)
