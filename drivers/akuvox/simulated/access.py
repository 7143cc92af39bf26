"""Who gets in to a simulated Akuvox panel: the modes of its HTTP API, and HTTP Digest from the server's side."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable

from aiohttp import web

REALM = "HTTP API"
_PAIR = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
# The error page of its web server: no challenge, no word about why.
_FORBIDDEN = "<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"


class Access:
    """One panel's mode: none, basic, allowlist (empty, as it leaves the factory), digest, or web: the new web page
    answers in place of the API."""

    def __init__(self, mode: str, username: str, password: str, accepts: Callable[[bool], bool]) -> None:
        self.mode = mode
        self._username = username
        self._password = password
        self._accepts = accepts
        self._nonce = secrets.token_hex(16)

    def forget(self) -> None:
        """After a reboot, nonces are others."""
        self._nonce = secrets.token_hex(16)

    def refusal(self, request: web.BaseRequest) -> web.Response | None:
        """What it answers to those whom it does not let in."""
        given = request.headers.get("Authorization", "")
        match self.mode:
            case "none":
                return None
            case "allowlist":
                return web.Response(status=403, text=_FORBIDDEN, content_type="text/html")
            case "web":
                target = f"https://{request.host.partition(':')[0]}{request.path_qs}"
                return web.Response(status=308, headers={"Location": target})
            case "basic":
                pair = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
                if given and self._accepts(given == f"Basic {pair}"):
                    return None
                return self._challenge(f'Basic realm="{REALM}"')
        told = {name: quoted or plain for name, quoted, plain in _PAIR.findall(given.removeprefix("Digest "))}
        digest = f'Digest realm="{REALM}", qop="auth", nonce="{self._nonce}", algorithm=MD5'
        if not given.startswith("Digest ") or told.get("nonce") != self._nonce:
            return self._challenge(digest)
        return None if self._accepts(self._signed(request.method, told)) else self._challenge(digest)

    def _challenge(self, scheme: str) -> web.Response:
        # Whoever is not let in gets a page, not the API's JSON.
        return web.Response(
            status=401, text="<html><body>401 Unauthorized</body></html>", content_type="text/html",
            headers={"WWW-Authenticate": scheme},
        )  # fmt: skip

    def _signed(self, method: str, told: dict[str, str]) -> bool:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - what the protocol has

        first = md5(f"{self._username}:{REALM}:{self._password}")
        second = md5(f"{method}:{told.get('uri', '')}")
        middle = ":".join(told.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        return told.get("response") == md5(f"{first}:{middle}:{second}")
