"""The words of an Akuvox panel's HTTP API: requests, and what the answers mean.

Facts from the vendor's HTTP API manual and from what public integrations have met on real units. The panel answers
almost everything with HTTP 200; whether it did what it was asked stands in the envelope. Whatever arrives is hostile
until it was read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unsupported
from bridge.model import Credentials, Device
from drivers.akuvox.config import AkuvoxConfig
from drivers.transports.client import HttpClient
from drivers.transports.http import REPLY_LIMIT, Redirected, Reply

CONFIG_LIMIT = 2 << 20  # bytes of a whole configuration: some 6,000 keys
PICTURE_LIMIT = 4 << 20
TEXT = 128  # characters of a name or a version
# Sent as text because that is what the vendor's manual says; JSON is refused by some firmware.
_AS_TEXT = {"Content-Type": "text/plain"}
_UNKNOWN = ("unsupport action", "unsupported action", "api unsupported", "no handlers for this request")
_UNSAFE = re.compile(r"[^\w .,:;()/-]+")
_MAC = re.compile(r"([0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}")
_RESULT = re.compile(
    rb"<input\b(?=[^>]*\bid\s*=\s*[\"']?\s*hcSingleResult\b)(?=[^>]*\bvalue\s*=\s*[\"']?\s*(-?\d{1,6}))[^>]*>", re.I
)
SWITCH_ON = "on its web page, under HTTP API (Security or Phone), switch it on with authorisation mode Digest"


@dataclass(frozen=True, slots=True)
class Info:
    """Who it is. `sip` is the word for its first account: 2 registered, 1 failed, 0 switched off; "" unknown."""

    model: str
    mac: str  # lower case, colons
    firmware: str
    hardware: str
    sip: str

    @property
    def serial(self) -> str:
        return self.mac.replace(":", "").upper()


class Api:
    """One panel. `posts` is what its model takes, corrected by what it answers."""

    __slots__ = ("_client", "_device", "_io", "_pictures", "config", "posts")

    def __init__(self, device: Device, config: AkuvoxConfig, io: DriverIO) -> None:
        self.config = config
        self.posts = True
        self._device = device
        self._io = io
        self._client = HttpClient(
            device, io, port=config.port, tls=config.tls, auth=config.auth, timeout=config.timeout, gap=config.gap
        )
        self._pictures: HttpClient | None = None  # made when somebody wants one

    # -- what is asked -------------------------------------------------------------------------------------------

    async def info(self) -> Info:
        data = await self.ask("GET", "system", "info")
        status = data.get("Status", data)
        mac = status.get("MAC") if isinstance(status, dict) else None
        if not isinstance(mac, str) or not _MAC.fullmatch(mac):
            raise ProtocolError("its answer does not say who it is: no Akuvox panel?")
        digits = re.sub(r"[:-]", "", mac).lower()
        account = data.get("Account1")
        return Info(
            model=_text(status.get("Model")),
            mac=":".join(digits[at : at + 2] for at in range(0, 12, 2)),
            firmware=_text(status.get("FirmwareVersion")),
            hardware=_text(status.get("HardwareVersion")),
            sip=_text(account.get("Status")) if isinstance(account, dict) else "",
        )

    async def clock(self) -> tuple[int | None, int | None]:
        """Its time in seconds since the epoch, and for how many seconds it has been running; None for what it does not
        tell."""
        try:
            data = await self.ask("GET", "system", "status")
        except Unsupported:
            return None, None
        return _number(data.get("SystemTime")), _number(data.get("UpTime"))

    async def relays(self) -> dict[str, Any]:
        """The state of each relay by its letter, in the panel's own words. Unsupported without a relay API."""
        data = await self.ask("GET", "relay", "status")
        return {key[5:]: value for key, value in data.items() if re.fullmatch(r"Relay[A-D]", key)}

    async def relay_config(self) -> dict[str, str]:
        return _strings(await self.ask("GET", "relay", "get"))

    async def door_log(self, page: int) -> list[dict[str, Any]]:
        """Ten entries, the newest on page 1."""
        data = await self.ask("GET", "doorlog", "get", {"page": page} if page > 1 else None)
        items = data.get("item")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    async def read(self, keys: Collection[str] | None = None) -> dict[str, str]:
        """Values of the configuration by key, those that the panel has; None asks for all of it."""
        if keys is not None and self.posts:
            try:
                return _strings(await self.ask("POST", "config", "get", {"item": list(keys)}))
            except Unsupported:
                self.posts = False
        whole = _strings(await self.ask("GET", "config", "get", limit=CONFIG_LIMIT))
        return whole if keys is None else {key: whole[key] for key in keys if key in whole}

    async def write(self, values: Mapping[str, str]) -> None:
        """Raises Rejected with the panel's own word."""
        if self.posts:
            try:
                await self.ask("POST", "config", "set", dict(values))
                return
            except Unsupported:
                self.posts = False
        for key, value in values.items():
            await self.ask("GET", "config", "set", {key: value})

    async def trigger(self, number: int, seconds: int) -> None:
        """Open relay `number` (1, 2, ...) for so long. Never sent twice."""
        # mode 0: it closes by itself; level is looked at in the other mode only.
        data = {"mode": 0, "num": number, "level": 0, "delay": seconds}
        await self.ask("POST", "relay", "trig", data, once=True)

    async def open_by_url(self, number: int) -> None:
        """As `trigger`, for models without a relay API. The password is in the address, because that is how it is
        made; the address is written down nowhere."""
        login, config = self._device.credentials, self.config
        user = config.relay_username or (login.username if login else "")
        secret = config.relay_password or (login.password if login else None)
        query = {
            "action": "OpenDoor",
            "UserName": user,
            "Password": secret.reveal() if secret else "",
            "DoorNum": number,
        }
        reply = await self._request("GET", "/fcgi/do", query=query, once=True)
        found = _RESULT.search(reply.body)
        if found is not None and found[1] != b"0":
            raise Rejected(
                "it does not open: switch `Open Relay via HTTP` on, on its web page, with the user and password that "
                f"stand in the inventory (relay_username, relay_password); its result is {found[1].decode()}"
            )
        if b"use new interface" in reply.body.lower():
            raise Rejected("its firmware wants its relay API for that: switch the HTTP API on")
        if reply.status != 200 or (found is None and b"<" in reply.body):
            raise ProtocolError("it does not say whether the door opened")

    async def reboot(self) -> None:
        try:
            await self.ask("POST", "system", "reboot", once=True)
        except Unsupported:
            await self.ask("GET", "system", "reboot", once=True)

    async def picture(self) -> Reply:
        if self._pictures is None:
            self._pictures = HttpClient(
                replace(self._device, credentials=self._picture_login()),
                self._io,
                port=self.config.picture_port,
                timeout=self.config.timeout,
                gap=self.config.gap,
            )
        reply = await self._pictures.request("GET", "/picture.jpg", limit=PICTURE_LIMIT)
        if reply.status != 200 or not reply.body.startswith(b"\xff\xd8\xff"):
            raise ProtocolError(f"it sends no picture (HTTP {reply.status}): is MJPEG switched on?", reply.body[:64])
        return reply

    def _picture_login(self) -> Credentials | None:
        login, config = self._device.credentials, self.config
        if config.picture_password is None:
            return login
        return Credentials(config.picture_username or (login.username if login else ""), config.picture_password)

    # -- how it is asked -----------------------------------------------------------------------------------------

    async def ask(
        self, method: str, target: str, action: str, data: Any = None, *, once: bool = False, limit: int = REPLY_LIMIT
    ) -> dict[str, Any]:
        """One action of one target, and the data of its answer. `data` goes into the envelope of a POST, into the query
        of a GET."""
        path = f"/api/{target}/{action}"
        if method == "GET":
            return _unwrapped(await self._request("GET", path, query=data, once=once, limit=limit))
        envelope = {"target": target, "action": action, **({} if data is None else {"data": data})}
        body = json.dumps(envelope).encode()
        return _unwrapped(await self._request("POST", path, body=body, headers=_AS_TEXT, once=once, limit=limit))

    async def _request(self, method: str, path: str, **more: Any) -> Reply:
        try:
            reply = await self._client.request(method, path, **more)
        except Redirected as error:
            raise self._redirected(error) from None
        if reply.status == 403:
            # In the mode in which it leaves the factory an empty list lets nobody in, and it asks for no login.
            raise AuthFailed(
                "its HTTP API lets only listed addresses in, and this one is not listed (HTTP 403): "
                f"{SWITCH_ON}, or put the bridge's address on that list"
            )
        return reply

    def _redirected(self, error: Redirected) -> DeviceError:
        if self.config.tls == "off" and error.target.startswith("https://"):
            return ProtocolError(
                "it wants HTTPS, or has the new web page where the API was: say `tls: insecure` in the inventory (its "
                f"certificate is its own); if it still refuses, {SWITCH_ON}"
            )
        return error


# -- what the answers say --------------------------------------------------------------------------------------------


def _unwrapped(reply: Reply) -> dict[str, Any]:
    """The data of an envelope. Unsupported for what this firmware does not know, Rejected for what it refuses."""
    start = reply.body[:256].lower()
    if b"no handlers for this request" in start or reply.status == 404:
        raise Unsupported("its firmware has nothing of that kind")
    if reply.status != 200:
        raise ProtocolError(f"it answers HTTP {reply.status}", reply.body)
    if start.lstrip().startswith(b"<"):
        raise ProtocolError(f"it answers with a web page in place of its HTTP API: {SWITCH_ON}", reply.body)
    try:
        answer = json.loads(reply.body)
        retcode = answer["retcode"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ProtocolError("its answer is not what its HTTP API says", reply.body) from None
    message = answer.get("message")
    said = _UNSAFE.sub(" ", message[:200]).strip()[:100] if isinstance(message, str) else ""
    if any(word in said.lower() for word in _UNKNOWN):
        raise Unsupported(f"its firmware does not know that: {said}")
    if not isinstance(retcode, int) or isinstance(retcode, bool):
        raise ProtocolError("its answer has no result", reply.body)
    if retcode < 0:
        raise Rejected(f"it refuses: {said or retcode}")
    data = answer.get("data")
    return data if isinstance(data, dict) else {}


def _text(value: Any) -> str:
    return str(value)[:TEXT] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _number(value: Any) -> int | None:
    text = _text(value)
    return int(text) if re.fullmatch(r"\d{1,12}", text) else None


def _strings(data: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value)[:2048] for key, value in data.items() if isinstance(value, str | int | float)}
