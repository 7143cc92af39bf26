"""How panels let in: HTTP Digest (MD5), nonces that vanish, and the lock after wrong logins."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from aiohttp import web

from bridge.testing.digest import DigestServer, Verdict, parse_digest

LOCKED_FOR = 1800.0
LIFETIME = 300.0


class Login:
    """`admits` gives None for who may come in, else the refusal. `lock_after` wrong logins the account is locked, for
    half an hour by `now`. `once`: each nonce is good for one request."""

    def __init__(
        self,
        username: str,
        password: str,
        accepts: Callable[[bool], bool],
        now: Callable[[], float],
        rng: random.Random,
        *,
        lock_after: int | None,
        once: bool,
    ) -> None:
        self.username = username
        self.password = password
        self._accepts = accepts
        self._now = now
        self._lock_after = lock_after
        self._once = once
        self._digest = DigestServer("DS-PANEL", ("MD5",), LIFETIME, time.monotonic, rng)
        self._admitted: set[str] = set()  # nonces that let somebody in
        self._gone: set[str] = set()
        self.failures = 0
        self.locked_until = 0.0

    def forget(self) -> None:
        """After a reboot: nonces are unknown, locks are over."""
        self._digest.forget()
        self._admitted.clear()
        self._gone.clear()
        self.failures, self.locked_until = 0, 0.0

    def drop(self) -> None:
        """When an event stream ends: nonces that were in use are gone, and those who still use them are not told so."""
        self._gone |= self._admitted
        self._admitted.clear()

    def admits(self, request: web.BaseRequest) -> web.Response | None:
        given = request.headers.get("Authorization")
        if self._now() < self.locked_until or given is None:
            return self._challenge()
        try:
            nonce = parse_digest(given).get("nonce", "")
        except ValueError:
            return self._challenge()
        if nonce in self._gone:
            return web.Response(status=401)
        if self._once and nonce in self._admitted:
            return self._challenge(stale=True)
        verdict = self._digest.check(given, request.method, request.path_qs, self.username, self.password)
        if verdict is Verdict.STALE:
            return self._challenge(stale=True)
        if self._accepts(verdict is Verdict.ADMITTED):
            self.failures = 0
            self._admitted.add(nonce)
            return None
        self.failures += 1
        if self._lock_after is not None and self.failures >= self._lock_after:
            self.locked_until = self._now() + LOCKED_FOR
        return self._challenge()

    def _challenge(self, *, stale: bool = False) -> web.Response:
        left = max(0.0, self.locked_until - self._now())
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><userCheck version="1.0" '
            'xmlns="http://www.hikvision.com/ver10/XMLSchema"><statusValue>401</statusValue>'
            "<statusString>Unauthorized</statusString><isActivated>true</isActivated>"
            f"<lockStatus>{'lock' if left else 'unlock'}</lockStatus><unlockTime>{left:.0f}</unlockTime></userCheck>"
        )
        (challenge,) = self._digest.challenges(stale=stale)
        return web.Response(
            status=401, text=body, content_type="application/xml", headers={"WWW-Authenticate": challenge}
        )
