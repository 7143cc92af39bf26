"""The words of a BAS-IP panel: requests of its REST API (v0, v1), its login, and what the answers mean.

Facts from developers.bas-ip.com (Android panels 1.8 to 2.13, Linux panels 1.0 to 1.3). Whatever arrives is hostile
until it was read here: sizes, counts and types have bounds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Throttled, Unreachable
from bridge.model import Device, Rung
from drivers.basip import models
from drivers.basip.config import BasIpConfig
from drivers.transports.client import REFUSALS, HttpClient
from drivers.transports.http import Reply

PICTURE_LIMIT = 4 << 20
REPLY_LIMIT = 1 << 20
TEXT = 256
# Tokens live 1,600 s to two hours. One that is refused before so many seconds was lost by a restart of the panel.
TOKEN_LIVES = 1500.0


class NotThere(ProtocolError):
    """It knows no such path: another firmware or model."""


class Forbidden(Rejected):
    """The account has not the right to do that."""


@dataclass(frozen=True, slots=True)
class Info:
    """What `/api/info` says, without a login."""

    model: str
    firmware: str
    serial: str
    name: str
    hardware: str
    api_version: str


class Api:
    """One panel. `generation` is "v0" or "v1" once it was found out; `restarts` counts tokens that were lost early."""

    __slots__ = (
        "_credentials",
        "_http",
        "_io",
        "_logging_in",
        "_patience",
        "_refusals",
        "_shut_until",
        "_token",
        "_token_at",
        "_uses_tokens",
        "generation",
        "restarts",
    )

    def __init__(self, device: Device, config: BasIpConfig, io: DriverIO) -> None:
        self._uses_tokens = config.auth == "token"
        self._http = HttpClient(
            device,
            io,
            port=config.port,
            tls=config.tls,
            auth="own" if self._uses_tokens else "basic",
            timeout=config.timeout,
        )
        self._io = io
        self._credentials = device.credentials
        self._patience = device.policy.auth_retry
        self._logging_in = asyncio.Lock()
        self._token: str | None = None
        self._token_at = 0.0
        self._refusals = 0
        self._shut_until = 0.0
        self.generation: str | None = None
        self.restarts = 0

    # -- what is asked -------------------------------------------------------------------------------------------

    async def info(self) -> Info:
        """Who answers. Raises ProtocolError for what is no BAS-IP."""
        answer = _object(await self._http.request("GET", "/api/info", limit=REPLY_LIMIT))
        info = Info(
            model=text(answer.get("device_model")) or text(answer.get("device_name")),
            firmware=text(answer.get("firmware_version")),
            serial=text(answer.get("device_serial_number")),
            name=text(answer.get("device_name")),
            hardware=text(answer.get("mcu_version")) or text(answer.get("device_type")),
            api_version=text(answer.get("api_version")),
        )
        if not info.firmware and not info.serial:
            raise ProtocolError("its answer says nothing of a panel: no BAS-IP?")
        if self.generation is None:
            self.generation = models.generation(info.model, info.firmware, info.api_version)
        return info

    async def get(self, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """`path` without `/api/v1`. Raises NotThere, Rejected, and DeviceErrors."""
        return _object(await self.reply("GET", path, query=query))

    async def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str | int] | None = None,
        secret: bool = False,
    ) -> None:
        """`secret`: there is a password in it, so that the panel's words about it are not repeated."""
        data = None if body is None else json.dumps(body).encode()
        _done(await self.reply("POST", path, query=query, body=data, secret=secret))

    async def run(self, path: str) -> None:
        """Something that must not happen twice. BAS-IP has GETs for these."""
        _done(await self.reply("GET", path, once=True))

    async def reply(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        once: bool = False,
        secret: bool = False,
        limit: int = REPLY_LIMIT,
    ) -> Reply:
        """A reply that means yes."""
        if self.generation is None:
            await self.info()
        token = self._token
        if self._uses_tokens and token is None:
            token = await self._log_in(None)
        reply = await self._send(method, path, token, query, body, once, limit)
        if self._uses_tokens and _wants_login(reply):
            # It was not done, so that it may be sent again.
            token = await self._log_in(token)
            reply = await self._send(method, path, token, query, body, once, limit)
            if _wants_login(reply):
                self._token = None
                raise self._refused("it refuses the token that it has just given")
        self._refusals = 0
        _judge(reply, secret)
        return reply

    async def _send(
        self,
        method: str,
        path: str,
        token: str | None,
        query: Mapping[str, str | int] | None,
        body: bytes | None,
        once: bool,
        limit: int,
    ) -> Reply:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self._http.request(
            method,
            f"/api/{self.generation}{path}",
            query=query,
            body=body,
            headers=headers,
            limit=limit,
            once=once,
        )

    # -- the login -------------------------------------------------------------------------------------------------

    async def _log_in(self, refused: str | None) -> str:
        """A new token in the place of the one that was refused, or the one that somebody else has got meanwhile."""
        async with self._logging_in:
            if self._token is not None and self._token != refused:
                return self._token
            now = self._io.clock.now().mono
            if self._token is not None:
                self._token = None
                self.restarts += now - self._token_at < TOKEN_LIVES
            if self._refusals >= REFUSALS and now < self._shut_until:
                raise AuthFailed(
                    f"it has refused the credentials {self._refusals} times; so that it does not lock the account, "
                    f"they are not sent for another {self._shut_until - now:.0f} s"
                )
            self._token = await self._new_token()
            self._token_at = self._io.clock.now().mono
            return self._token

    async def _new_token(self) -> str:
        login = self._credentials
        if login is None:
            raise AuthFailed("it asks for a password: give its credentials in the inventory")
        digest = hashlib.md5(login.password.reveal().encode(), usedforsecurity=False).hexdigest()
        query = {"username": login.username, "password": digest}
        for _ in range(2):
            try:
                reply = await self._http.request("GET", f"/api/{self.generation}/login", query=query)
            except ProtocolError as error:
                # The digest is in the URL, and a redirect or an echo of it must not carry it into a text.
                raise ProtocolError(_without(error.detail, digest)) from None
            if reply.status != 404:
                break
            # The vendor's table of firmware and API generations has gaps.
            self.generation = "v0" if self.generation == "v1" else "v1"
        if reply.status in (400, 401, 403) or (reply.status == 200 and _error_of(reply.body)):
            raise self._refused("it refuses the credentials")
        if reply.status == 404:
            raise NotThere("it has neither the API v1 nor v0")
        _may_answer(reply)
        token = _object(Reply(reply.status, reply.headers, reply.body)).get("token")
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]{1,2048}", token):
            raise ProtocolError("it answers the login without a token")
        return token

    def _refused(self, detail: str) -> AuthFailed:
        self._refusals += 1
        self._shut_until = self._io.clock.now().mono + self._patience * 0.9  # over when the runner asks again
        return AuthFailed(detail)

    async def log_out(self) -> None:
        """Give the token back, if there is one."""
        token, self._token = self._token, None
        if token is not None and self._uses_tokens:
            try:
                await self._send("GET", "/logout", token, None, None, False, REPLY_LIMIT)
            except DeviceError:
                return  # it forgets it by itself


# -- what the answers say --------------------------------------------------------------------------------------------


def text(value: Any, longest: int = TEXT) -> str:
    return value[:longest] if isinstance(value, str) else ""


def number(value: Any) -> float | int | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _without(detail: str, secret: str) -> str:
    return "it redirects its login, which is not followed" if secret.lower() in detail.lower() else detail


def _may_answer(reply: Reply) -> None:
    if reply.status == 429:
        raise Throttled("it asks to be left alone (HTTP 429)", 60)
    if reply.status >= 500:
        raise Unreachable(f"it says that it is not ready (HTTP {reply.status})", Rung.ANSWERING)
    if reply.status not in (200, 201, 202, 204):
        raise ProtocolError(f"it answers {reply.status}", b"")


def _judge(reply: Reply, secret: bool) -> None:
    """Raise what a reply to a request with a login means, unless it is yes."""
    error = "" if secret else because(reply.body)
    if reply.status == 403:
        raise Forbidden(f"this account may not do that: it takes an administrator's{error}")
    if reply.status in (404, 405, 501):
        raise NotThere("it knows no such thing: another model or firmware", reply.body)
    if 400 <= reply.status < 500 and reply.status != 429:
        raise Rejected(f"it refuses{error}")
    _may_answer(reply)
    if _error_of(reply.body):  # some firmware says no with HTTP 200
        raise Rejected(f"it refuses{error}")


def _wants_login(reply: Reply) -> bool:
    if reply.status == 401:
        return True
    error = _error_of(reply.body) if reply.status in (200, 400, 403) else None
    return error == "Log In" or (isinstance(error, dict) and error.get("code") == "invalid_authentication")


def _error_of(body: bytes) -> Any:
    """The `error` of an answer: a text, or an object with `code`, `message` and `data`; None where there is none."""
    if b'"error"' not in body[:4096]:
        return None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return (answer.get("error") or None) if isinstance(answer, dict) else None


_URL = re.compile(r"\S+://\S*")
_UNSAFE = re.compile(r"[^\w .,:;()'/-]+")


def because(body: bytes) -> str:
    """The reason that an answer gives, as ": reason"."""
    error = _error_of(body[:65_536])
    if isinstance(error, dict):
        data = error.get("data")
        fields = data.items() if isinstance(data, dict) else ()
        about = [f"{key} {value}" for key, value in fields if isinstance(value, str)]
        error = ", ".join([text(error.get("message")) or text(error.get("code")), *about[:3]])
    if not isinstance(error, str):
        return ""
    clean = _UNSAFE.sub(" ", _URL.sub("...", error[:200])).strip()[:100]
    return f": {clean}" if clean else ""


def _object(reply: Reply) -> dict[str, Any]:
    _may_answer(reply)
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise ProtocolError("its answer is not JSON", reply.body) from None
    if not isinstance(answer, dict):
        raise ProtocolError("its answer is not what the API says", reply.body)
    return answer


def _done(reply: Reply) -> None:
    """A yes may be empty, or JSON; a login page is none."""
    if reply.body.strip():
        try:
            json.loads(reply.body)
        except (ValueError, RecursionError):
            raise ProtocolError("its answer is not JSON", reply.body) from None
