"""How a simulated intercom lets people in: each service of its API asks for a login in a way of its own."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Mapping

from bridge.testing.digest import DigestServer, Verdict

REALM = "HTTP API"
BLOCKED_AFTER = 3  # wrong logins; the event log's manual says so of the web interface
BLOCKED_FOR = 30.0  # seconds
_NONCE_LIFETIME = 300.0


class Logins:
    """`schemes` says none or basic for a service; the others ask for Digest."""

    def __init__(
        self,
        schemes: Mapping[str, str],
        username: str,
        password: str,
        accepts: Callable[[bool], bool],
        rng: random.Random,
    ) -> None:
        self.schemes = dict(schemes)
        self.wrong = 0  # one after the other
        self._username = username
        self._password = password
        self._accepts = accepts
        self._digest = DigestServer(REALM, ("MD5",), _NONCE_LIFETIME, time.monotonic, rng)

    def forget(self) -> None:
        """Every nonce is stale from now on."""
        self._digest.forget()

    def check(self, service: str, method: str, target: str, given: str | None) -> str | None:
        """None: come in. Else what WWW-Authenticate says."""
        scheme = self.schemes.get(service, "digest")
        if scheme == "none":
            return None
        verdict = None
        if given is not None and given.partition(" ")[0].lower() == scheme:
            if scheme == "basic":
                verdict = Verdict.ADMITTED if self._basic(given.partition(" ")[2]) else Verdict.REFUSED
            else:
                verdict = self._digest.check(given, method, target, self._username, self._password)
            if verdict is not Verdict.STALE:
                taken = self._accepts(verdict is Verdict.ADMITTED)
                self.wrong = 0 if taken else self.wrong + 1
                if taken:
                    return None
        return self.challenge(service, stale=verdict is Verdict.STALE)

    def challenge(self, service: str, *, stale: bool = False) -> str:
        if self.schemes.get(service, "digest") == "basic":
            return f'Basic realm="{REALM}"'
        return self._digest.challenges(stale=stale)[0]

    def _basic(self, text: str) -> bool:
        try:
            return base64.b64decode(text).decode() == f"{self._username}:{self._password}"
        except ValueError:
            return False
