"""How a simulated intercom lets people in: each service of its API asks for a login in a way of its own."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from collections.abc import Callable, Mapping

_PAIR = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))')
REALM = "HTTP API"
BLOCKED_AFTER = 3  # wrong logins; the event log's manual says so of the web interface
BLOCKED_FOR = 30.0  # seconds


class Logins:
    """`schemes` says none, basic or digest for each service. A nonce is good for `nonce_uses` requests, then stale."""

    def __init__(
        self,
        schemes: Mapping[str, str],
        username: str,
        password: str,
        accepts: Callable[[bool], bool],
        rng: random.Random,
        nonce_uses: int,
    ) -> None:
        self.schemes = dict(schemes)
        self.username = username
        self.password = password
        self.wrong = 0  # one after the other
        self._accepts = accepts
        self._rng = rng
        self._uses = nonce_uses
        self._nonces: dict[str, int] = {}

    def forget(self) -> None:
        self._nonces.clear()

    def age(self) -> None:
        """Every nonce is stale from now on."""
        self._nonces = dict.fromkeys(self._nonces, 0)

    def check(self, service: str, method: str, target: str, given: str | None) -> str | None:
        """None: come in. Else what WWW-Authenticate says."""
        scheme = self.schemes.get(service, "digest")
        if scheme == "none":
            return None
        if given is None:
            return self._challenge(scheme)
        kind, _, rest = given.partition(" ")
        if kind.lower() != scheme:
            return self._challenge(scheme)
        if scheme == "basic":
            return None if self._judge(self._basic(rest)) else self._challenge(scheme)
        params = {m[1]: re.sub(r"\\(.)", r"\1", m[2]) if m[2] is not None else m[3] for m in _PAIR.finditer(rest)}
        nonce = params.get("nonce", "")
        if self._nonces.get(nonce, 0) <= 0:
            return self._challenge(scheme, stale=self._digest(method, target, params))
        self._nonces[nonce] -= 1
        return None if self._judge(self._digest(method, target, params)) else self._challenge(scheme)

    def _judge(self, right: bool) -> bool:
        taken = self._accepts(right)
        self.wrong = 0 if taken else self.wrong + 1
        return taken

    def _challenge(self, scheme: str, *, stale: bool = False) -> str:
        if scheme == "basic":
            return f'Basic realm="{REALM}"'
        nonce = f"{self._rng.getrandbits(128):032x}"
        self._nonces[nonce] = self._uses
        while len(self._nonces) > 200:
            del self._nonces[next(iter(self._nonces))]
        return f'Digest realm="{REALM}", qop="auth", nonce="{nonce}"' + (", stale=true" if stale else "")

    def _basic(self, text: str) -> bool:
        try:
            return base64.b64decode(text).decode() == f"{self.username}:{self.password}"
        except ValueError:
            return False

    def _digest(self, method: str, target: str, params: Mapping[str, str]) -> bool:
        if params.get("username") != self.username or params.get("uri") != target:
            return False
        first = _md5(f"{self.username}:{REALM}:{self.password}")
        middle = ":".join(params.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        return params.get("response") == _md5(f"{first}:{middle}:{_md5(f'{method}:{target}')}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - that is what these devices do
