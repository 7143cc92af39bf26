"""HTTP Digest, the server's side: RFC 7616 with MD5 and SHA-256 and qop=auth, RFC 2617 without qop for RTSP."""

from __future__ import annotations

import hashlib
import hmac
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

# Nonces that are valid at a time, and requests that one nonce serves.
_MAX_NONCES = 64
_MAX_REQUESTS = 2048
_MAX_HEADER = 4096
_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
# key = value, the value a token or a quoted string with backslash escapes (RFC 9110, section 11.2).
_PARAMETER = re.compile(r'\s*([\w\-!#$%&\'*+.^`|~]{1,64})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*(?:,|$)')
_NC = re.compile(r"[0-9a-fA-F]{8}")


class Verdict(Enum):
    ADMITTED = "admitted"
    STALE = "stale"  # the right password on a nonce that is over, or used twice: try again with a new one
    REFUSED = "refused"


def parse_digest(header: str) -> dict[str, str]:
    """The parameters of an Authorization header, names in lower case. ValueError for another scheme or bad syntax."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "digest" or len(header) > _MAX_HEADER:
        raise ValueError("not a Digest header")
    found: dict[str, str] = {}
    at = 0
    while at < len(rest):
        match = _PARAMETER.match(rest, at)
        if match is None:
            raise ValueError("a Digest header with bad syntax")
        name, quoted, token = match.groups()
        if name.lower() in found:
            raise ValueError(f"a Digest header with two of {name!r}")
        found[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else token
        at = match.end()
    return found


@dataclass(slots=True)
class _Nonce:
    issued: float
    used: set[int] = field(default_factory=set)  # the nc values seen


class DigestServer:
    """Challenges and checks. A nonce lives `lifetime` seconds; each nc of it is good for one request."""

    def __init__(
        self, realm: str, algorithms: tuple[str, ...], lifetime: float, mono: Callable[[], float], rng: random.Random
    ) -> None:
        self._realm = realm
        self._algorithms = algorithms
        self._lifetime = lifetime
        self._mono = mono
        self._rng = rng
        self._nonces: dict[str, _Nonce] = {}

    def forget(self) -> None:
        """All nonces, as a reboot does."""
        self._nonces.clear()

    def challenges(self, *, stale: bool = False, qop: bool = True) -> list[str]:
        """The values of WWW-Authenticate: one for each algorithm, the preferred one first."""
        nonce = f"{self._rng.getrandbits(128):032x}"
        while len(self._nonces) >= _MAX_NONCES:
            del self._nonces[next(iter(self._nonces))]
        self._nonces[nonce] = _Nonce(self._mono())
        head = f'Digest realm="{self._realm}", nonce="{nonce}"'
        tail = (', qop="auth"' if qop else "") + (", stale=true" if stale else "")
        return [f"{head}, algorithm={algorithm}{tail}" for algorithm in self._algorithms]

    def check(self, header: str, method: str, target: str, username: str, password: str) -> Verdict:
        """Judge an Authorization header. `target` is the request's own; the header must speak of the same."""
        try:
            given = parse_digest(header)
        except ValueError:
            return Verdict.REFUSED
        algorithm = given.get("algorithm", "MD5").upper()
        if (
            algorithm not in self._algorithms
            or given.get("username") != username
            or given.get("realm") != self._realm
            or given.get("uri") != target
        ):
            return Verdict.REFUSED
        digest = _HASHES[algorithm]
        middle = given.get("nonce", "")
        qop = given.get("qop")
        if qop is not None:
            if qop != "auth" or not _NC.fullmatch(given.get("nc", "")) or not given.get("cnonce"):
                return Verdict.REFUSED
            middle = f"{middle}:{given['nc']}:{given['cnonce']}:auth"
        secret = digest(f"{username}:{self._realm}:{password}".encode())
        expected = digest(f"{secret}:{middle}:{digest(f'{method}:{target}'.encode())}".encode())
        if not hmac.compare_digest(expected.encode(), given.get("response", "").lower().encode()):
            return Verdict.REFUSED
        return self._use(given["nonce"], int(given["nc"], 16) if qop else None)

    def _use(self, nonce: str, nc: int | None) -> Verdict:
        known = self._nonces.get(nonce)
        if known is None or self._mono() - known.issued > self._lifetime or len(known.used) >= _MAX_REQUESTS:
            self._nonces.pop(nonce, None)
            return Verdict.STALE
        if nc is not None:
            # Two connections may overtake each other, so a lower nc is good as long as it is new.
            if nc in known.used:
                return Verdict.STALE
            known.used.add(nc)
        return Verdict.ADMITTED
