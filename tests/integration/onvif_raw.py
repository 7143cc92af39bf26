"""A raw ONVIF client for the tests of the simulator: envelopes by hand, aiohttp, lxml, nothing of the bridge."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from lxml import etree
from multidict import CIMultiDictProxy

from drivers.onvif.simulator import OnvifSimulator

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"
WSNT = "http://docs.oasis-open.org/wsn/b-2"
WSA = "http://www.w3.org/2005/08/addressing"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
AXIS = "http://www.axis.com/2009/event"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
LIMIT = 10.0  # seconds that any condition gets

GET_DATE = f'<GetSystemDateAndTime xmlns="{DEVICE}"/>'
GET_INFO = f'<GetDeviceInformation xmlns="{DEVICE}"/>'
GET_PROFILES = f'<GetProfiles xmlns="{MEDIA}"/>'
SYNCHRONIZE = f'<SetSynchronizationPoint xmlns="{EVENTS}"/>'
UNSUBSCRIBE = f'<Unsubscribe xmlns="{WSNT}"/>'


def get_services(capabilities: bool = False) -> str:
    flag = "true" if capabilities else "false"
    return f'<GetServices xmlns="{DEVICE}"><IncludeCapability>{flag}</IncludeCapability></GetServices>'


def create(time: str | None = "PT60S", topic: str | None = None, more: str = "") -> str:
    inside = f"<InitialTerminationTime>{time}</InitialTerminationTime>" if time else ""
    if topic:
        dialect = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
        expression = f'<TopicExpression xmlns="{WSNT}" Dialect="{dialect}">{topic}</TopicExpression>'
        inside = f"<Filter>{expression}</Filter>{inside}"
    return f'<CreatePullPointSubscription xmlns="{EVENTS}">{inside}{more}</CreatePullPointSubscription>'


def pull(timeout: str = "PT5S", limit: int = 100) -> str:
    arguments = f"<Timeout>{timeout}</Timeout><MessageLimit>{limit}</MessageLimit>"
    return f'<PullMessages xmlns="{EVENTS}">{arguments}</PullMessages>'


def renew(time: str = "PT60S") -> str:
    return f'<Renew xmlns="{WSNT}"><TerminationTime>{time}</TerminationTime></Renew>'


def security(
    password: str = "s3cret-pass",
    *,
    username: str = "admin",
    created: str | None = None,
    nonce: bytes | None = None,
) -> str:
    """A WS-Security header with a UsernameToken."""
    nonce = os.urandom(16) if nonce is None else nonce
    created = created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = base64.b64encode(hashlib.sha1(nonce + created.encode() + password.encode()).digest()).decode()
    return (
        f'<Security xmlns="{_WSSE}"><UsernameToken><Username>{username}</Username>'
        f'<Password Type="{_DIGEST}">{digest}</Password><Nonce>{base64.b64encode(nonce).decode()}</Nonce>'
        f'<Created xmlns="{_WSU}">{created}</Created></UsernameToken></Security>'
    )


def message_id() -> str:
    return f'<MessageID xmlns="{WSA}">urn:uuid:7c3a9ab5-0000-4000-8000-000000000001</MessageID>'


def envelope(body: str, header: str = "") -> bytes:
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'.encode()


def names(element: etree._Element) -> list[str]:
    """Local names of all elements below, in the order of the document."""
    return [etree.QName(child).localname for child in element.iter() if isinstance(child.tag, str)]


@dataclass(frozen=True)
class Notification:
    topic: str
    operation: str | None
    source: dict[str, str]
    data: dict[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def root(self) -> etree._Element:
        """Parsed strictly: whatever is not well-formed raises."""
        return etree.fromstring(self.raw)

    @property
    def loose(self) -> etree._Element:
        return etree.fromstring(self.raw, etree.XMLParser(recover=True))

    def all(self, name: str) -> list[str]:
        return [element.text or "" for element in self.root.iter(f"{{*}}{name}")]

    def one(self, name: str) -> str:
        (text,) = self.all(name)
        return text

    @property
    def reply(self) -> str:
        """Local name of what is in the Body."""
        body = self.root.find(f"{{{SOAP}}}Body")
        assert body is not None
        return etree.QName(body[0]).localname

    @property
    def subcodes(self) -> list[str]:
        """The subcodes of a fault, outermost first, without prefixes."""
        assert self.reply == "Fault", self.raw[:500]
        values = self.root.iterfind(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value")
        return [(value.text or "").rpartition(":")[2] for value in values]

    @property
    def reason(self) -> str:
        return self.root.findtext(f".//{{{SOAP}}}Text") or ""

    @property
    def notifications(self) -> list[Notification]:
        return notifications(self.root)


def notifications(root: etree._Element) -> list[Notification]:
    found = []
    for holder in root.iter(f"{{{WSNT}}}NotificationMessage"):
        message = next(holder.iter("{http://www.onvif.org/ver10/schema}Message"))
        groups = {
            etree.QName(group).localname: {item.get("Name", ""): item.get("Value", "") for item in group}
            for group in message
        }
        found.append(
            Notification(
                holder.findtext(f"{{{WSNT}}}Topic") or "",
                message.get("PropertyOperation"),
                groups.get("Source", {}),
                groups.get("Data", {}),
            )
        )
    return found


class Raw:
    """Asks one simulated device. Paths are those that the device gave, unless told otherwise."""

    def __init__(self, simulator: OnvifSimulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session
        self.origin = f"http://{simulator.address}:{simulator.port}"

    async def ask(
        self,
        body: str,
        url: str | None = None,
        *,
        header: str | None = None,
        headers: dict[str, str] | None = None,
        method: str = "POST",
        timeout: float = LIMIT,
    ) -> Answer:
        """`header` is the SOAP header; by default a good UsernameToken."""
        if url is None:
            url = self.url(body)
        data = envelope(body, security() if header is None else header)
        async with self.session.request(
            method,
            url,
            data=data,
            headers={"Content-Type": "application/soap+xml; charset=utf-8"} | (headers or {}),
            timeout=aiohttp.ClientTimeout(total=timeout),
            allow_redirects=False,
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    def url(self, body: str) -> str:
        """Where an operation goes, told by its namespace."""
        paths = self.simulator.state.make.paths
        for uri, prefix in ((MEDIA2, "tr2"), (MEDIA, "trt"), (EVENTS, "tev"), (WSNT, "tev")):
            if f'xmlns="{uri}"' in body:
                return self.origin + paths[prefix]
        return f"{self.origin}/onvif/device_service"

    async def subscribe(self, **arguments: Any) -> str:
        """A pull point's address, its Initialized burst not yet taken."""
        return (await self.ask(create(**arguments))).one("Address")

    async def quiet(self, **arguments: Any) -> str:
        """A pull point whose Initialized burst is already read."""
        address = await self.subscribe(**arguments)
        await self.ask(pull("PT0.1S"), address)
        return address


@asynccontextmanager
async def device(**traits: Any) -> AsyncIterator[Raw]:
    """A running device and a client of it, both gone at the end."""
    simulator = OnvifSimulator(**traits)
    await simulator.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Raw(simulator, session)
    finally:
        await simulator.stop()


async def until(condition: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait for a condition; fails after `limit` seconds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.005)
