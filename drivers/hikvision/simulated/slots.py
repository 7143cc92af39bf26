"""The addresses that a simulated panel posts its events to (httpHosts)."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import aiohttp

from drivers.hikvision.simulated.documents import Documents, Refused, local, text

KEPT = 500  # events that wait for a receiver; the oldest fall out
TRIES = 3
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(64) + b"\xff\xd9"
_EMPTY = {
    "url": "/",
    "protocolType": "HTTP",
    "parameterFormatType": "XML",
    "addressingFormatType": "ipaddress",
    "ipAddress": "0.0.0.0",  # noqa: S104
    "portNo": "80",
    "httpAuthenticationMethod": "none",
}


class Slots:
    """`pictures`: posts are multipart, with a JPEG behind the event. `others` are slots that another VMS has taken."""

    def __init__(
        self, documents: Documents, count: int, others: Mapping[int, str], address: str, *, pictures: bool
    ) -> None:
        self._documents = documents
        self._address = address  # the panel's own, from which it posts
        self.slots = {number: dict(_EMPTY) for number in range(1, count + 1)}
        for number, host in others.items():
            self.slots[number] |= {"url": "/vms/events", "ipAddress": host, "portNo": "8010"}
        self.pictures = pictures
        self.answers: Counter[int] = Counter()
        self.writes = 0
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=KEPT)
        self._there = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._send(), name="posts")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def forget(self) -> None:
        self._waiting.clear()

    def taken(self) -> list[dict[str, str]]:
        return [one for one in self.slots.values() if one.get("ipAddress", "") not in ("", "0.0.0.0")]  # noqa: S104

    def show(self) -> bytes:
        def one(number: int, fields: Mapping[str, str]) -> str:
            said = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in fields.items())
            more = "<Extensions><intervalBetweenEvents>0</intervalBetweenEvents></Extensions>"
            return f"<HttpHostNotification><id>{number}</id>{said}{more}</HttpHostNotification>"

        listed = "".join(one(*item) for item in self.slots.items())
        return self._documents.named(f"<HttpHostNotificationList>{listed}</HttpHostNotificationList>")

    def save(self, number: int, body: bytes) -> None:
        root = self._documents.parse(body)
        if local(root.tag) != "HttpHostNotification" or number not in self.slots:
            raise Refused("invalidID")
        fields = {local(one.tag): one.text or "" for one in root if not len(one)}
        if fields.pop("id", "") != str(number) or fields.get("protocolType") != "HTTP":
            raise Refused("badParameters")  # plain HTTP alone
        if fields.get("addressingFormatType") != "ipaddress" or not fields.get("url", "").startswith("/"):
            raise Refused("badParameters")  # IP addresses alone
        self._check(root)
        self.writes += 1
        self.slots[number] = fields

    def _check(self, root: ET.Element) -> None:
        # Read, changed and sent back: what a panel has there besides is not to be lost.
        if text(root, "Extensions", "intervalBetweenEvents") != "0":
            raise Refused("badXmlContent")

    def clear(self) -> None:
        """What a DELETE without a number does."""
        self.slots = {number: dict(_EMPTY) for number in self.slots}

    # -- posting -------------------------------------------------------------------------------------------------

    def put(self, content_type: str, body: bytes) -> None:
        if self.taken():
            self._waiting.append((content_type, body))
            self._there.set()

    async def _send(self) -> None:
        own = aiohttp.TCPConnector(local_addr=(self._address, 0))
        async with aiohttp.ClientSession(connector=own, timeout=aiohttp.ClientTimeout(total=5)) as http:
            while True:
                while self._waiting:
                    content_type, body = self._waiting.popleft()
                    for slot in self.taken():
                        await self._post(http, slot, content_type, body)
                self._there.clear()
                await self._there.wait()

    async def _post(self, http: aiohttp.ClientSession, slot: Mapping[str, str], content_type: str, body: bytes) -> None:
        url = f"http://{slot['ipAddress']}:{slot['portNo']}{slot['url']}"
        if not slot["ipAddress"].startswith("127."):
            return  # somebody else's, who does not exist here
        kind, data = (self._with_picture(content_type, body)) if self.pictures else (content_type, body)
        for attempt in range(TRIES):
            with suppress(aiohttp.ClientError, TimeoutError):
                async with http.post(url, data=data, headers={"Content-Type": kind}) as answer:
                    self.answers[answer.status] += 1
                    if answer.status not in (429, 503):
                        return
            await asyncio.sleep(0.1 * (attempt + 1))

    def _with_picture(self, content_type: str, body: bytes) -> tuple[str, bytes]:
        head = (
            "--MIME_boundary\r\n"
            'Content-Disposition: form-data; name="event"; filename="event.txt"\r\n'
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        picture = (
            '\r\n--MIME_boundary\r\nContent-Disposition: form-data; name="Picture"; filename="Picture.jpg"\r\n'
            f"Content-Type: image/jpeg\r\nContent-Length: {len(JPEG)}\r\n\r\n"
        ).encode()
        return (
            "multipart/form-data; boundary=MIME_boundary",
            head + body + picture + JPEG + b"\r\n--MIME_boundary--\r\n",
        )
