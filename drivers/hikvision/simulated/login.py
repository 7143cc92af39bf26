"""HTTP Digest as panels do it (RFC 2617, MD5, qop=auth), nonces that vanish, and the lock after wrong logins."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable

from aiohttp import web

_FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')
REALM = "DS-PANEL"
LOCKED_FOR = 1800.0


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - what panels do


class Login:
    """`admits` gives None for who may come in, else the refusal. `lock_after` wrong logins the account is locked, for
    half an hour by `now`."""

    def __init__(
        self,
        username: str,
        password: str,
        accepts: Callable[[bool], bool],
        now: Callable[[], float],
        *,
        lock_after: int | None,
        once: bool,
    ) -> None:
        self.username = username
        self.password = password
        self._accepts = accepts
        self._now = now
        self._lock_after = lock_after
        self._once = once  # each nonce is good for one request
        self._nonces: set[str] = set()
        self._gone: set[str] = set()
        self.failures = 0
        self.locked_until = 0.0

    def forget(self) -> None:
        """After a reboot: nonces are unknown, locks are over."""
        self._nonces.clear()
        self._gone.clear()
        self.failures, self.locked_until = 0, 0.0

    def drop(self) -> None:
        """When an event stream ends: nonces are gone, and those who still use them are not told so."""
        self._gone |= self._nonces
        self._nonces.clear()

    def admits(self, request: web.BaseRequest) -> web.Response | None:
        if self._now() < self.locked_until:
            return self._challenge()
        given = request.headers.get("Authorization", "")
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(given.partition(" ")[2])}
        nonce = fields.get("nonce", "")
        if nonce in self._gone:
            return web.Response(status=401)
        if nonce not in self._nonces:
            return self._challenge(stale=bool(nonce))
        if self._once:
            self._nonces.discard(nonce)
        uri = request.raw_path if isinstance(request, web.Request) else request.path_qs
        a1 = _md5(f"{self.username}:{REALM}:{self.password}")
        a2 = _md5(f"{request.method}:{fields.get('uri', '')}")
        right = _md5(f"{a1}:{nonce}:{fields.get('nc', '')}:{fields.get('cnonce', '')}:auth:{a2}")
        user = re.sub(r"\\(.)", r"\1", fields.get("username", ""))
        same = fields.get("uri", "").partition("?")[0] == uri.partition("?")[0]
        if self._accepts(user == self.username and same and secrets.compare_digest(fields.get("response", ""), right)):
            self.failures = 0
            return None
        self.failures += 1
        if self._lock_after is not None and self.failures >= self._lock_after:
            self.locked_until = self._now() + LOCKED_FOR
        return self._challenge()

    def _challenge(self, *, stale: bool = False) -> web.Response:
        nonce = secrets.token_hex(16)
        self._nonces.add(nonce)
        left = max(0.0, self.locked_until - self._now())
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><userCheck version="1.0" '
            'xmlns="http://www.hikvision.com/ver10/XMLSchema"><statusValue>401</statusValue>'
            "<statusString>Unauthorized</statusString><isActivated>true</isActivated>"
            f"<lockStatus>{'lock' if left else 'unlock'}</lockStatus><unlockTime>{left:.0f}</unlockTime></userCheck>"
        )
        words = f'Digest qop="auth", realm="{REALM}", nonce="{nonce}", stale="{"TRUE" if stale else "FALSE"}"'
        return web.Response(status=401, text=body, content_type="application/xml", headers={"WWW-Authenticate": words})
