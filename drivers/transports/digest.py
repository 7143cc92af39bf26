"""HTTP Digest (RFC 7616, and RFC 2617 for older devices), for HTTP and for RTSP alike.

Ours because no library serves both: aiohttp's middleware is tied to HTTP requests and looks at the first
WWW-Authenticate header only, where many cameras put `Basic`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.model import Credentials

_PAIR = re.compile(r'([A-Za-z0-9_-]{1,40})\s*=\s*(?:"((?:[^"\\]|\\.){0,1024})"|([^\s,"]{0,1024}))')
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]{0,30})(?=\s+[A-Za-z0-9_-]{1,40}\s*=|\s*$|\s*,)")
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
# Strongest first; RFC 7616 leaves the choice among several challenges to the client.
_PREFERENCE = ("SHA-512-256", "SHA-256", "MD5")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a WWW-Authenticate header; scheme and parameter names in lower case."""

    scheme: str
    params: Mapping[str, str]


def challenges(headers: Iterable[str]) -> list[Challenge]:
    """Every challenge in the given header values; several may share one value."""
    found = []
    for header in headers:
        header = header[:8192]
        marks = [(m.start(1), m.end(1)) for m in _SCHEME.finditer(header)]
        for i, (start, end) in enumerate(marks):
            until = marks[i + 1][0] if i + 1 < len(marks) else len(header)
            params = {
                m[1].lower(): re.sub(r"\\(.)", r"\1", m[2]) if m[2] is not None else m[3]
                for m in _PAIR.finditer(header, end, until)
            }
            found.append(Challenge(header[start:end].lower(), params))
    return found


class Digest:
    """The digest state towards one server. Ready to authorise once a challenge was accepted."""

    __slots__ = ("_algorithm", "_count", "_credentials", "_nonce", "_opaque", "_qop", "_realm", "stale", "worked")

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._nonce: str | None = None
        self._realm = ""
        self._opaque: str | None = None
        self._qop = False
        self._algorithm = "MD5"
        self._count = 0
        self.stale = False  # the last challenge only renewed the nonce: the credentials were right
        self.worked = False  # it let somebody in: what is refused later may only be an old nonce

    @property
    def ready(self) -> bool:
        return self._nonce is not None

    @property
    def uses(self) -> int:
        """Requests that the present nonce has authorised."""
        return self._count

    def accept(self, offered: Iterable[Challenge]) -> bool:
        """Take the strongest digest challenge among those offered; False if there is none we can answer."""
        usable: dict[str, tuple[str, Mapping[str, str]]] = {}
        for challenge in offered:
            if challenge.scheme == "digest" and "nonce" in challenge.params:
                algorithm = challenge.params.get("algorithm", "MD5").upper()
                qop = challenge.params.get("qop")
                if algorithm.removesuffix("-SESS") in _HASHES and (qop is None or "auth" in _words(qop)):
                    usable.setdefault(algorithm.removesuffix("-SESS"), (algorithm, challenge.params))
        for name in _PREFERENCE:
            if name in usable:
                self._algorithm, params = usable[name]
                self._realm = params.get("realm", "")
                self._nonce = params["nonce"]
                self._opaque = params.get("opaque")
                self._qop = "qop" in params
                self._count = 0
                self.stale = params.get("stale", "").lower() == "true"
                return True
        return False

    def authorize(self, method: str, uri: str) -> str:
        """The value of the Authorization header for one request. `uri` is the request target as sent."""
        assert self._nonce is not None, "no challenge accepted yet"
        self._count += 1
        name = self._algorithm.removesuffix("-SESS")

        def h(text: str) -> str:
            return hashlib.new(_HASHES[name], text.encode()).hexdigest()

        user, count, cnonce = self._credentials.username, f"{self._count:08x}", secrets.token_hex(8)
        a1 = h(f"{user}:{self._realm}:{self._credentials.password.reveal()}")
        if self._algorithm.endswith("-SESS"):
            a1 = h(f"{a1}:{self._nonce}:{cnonce}")
        a2 = h(f"{method}:{uri}")
        middle = f"{self._nonce}:{count}:{cnonce}:auth" if self._qop else self._nonce
        parts = [
            f'username="{_quoted(user)}"',
            f'realm="{_quoted(self._realm)}"',
            f'nonce="{_quoted(self._nonce)}"',
            f'uri="{_quoted(uri)}"',
            f'response="{h(f"{a1}:{middle}:{a2}")}"',
            # MD5-sess is how the specifications write it, and some servers compare letter by letter.
            f"algorithm={self._algorithm.replace('-SESS', '-sess')}",
        ]
        if self._opaque is not None:
            parts.append(f'opaque="{_quoted(self._opaque)}"')
        if self._qop:
            parts += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        return "Digest " + ", ".join(parts)


def _words(text: str) -> list[str]:
    return [word.strip().lower() for word in text.split(",")]


def _quoted(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", re.sub(r"[\x00-\x1f\x7f]", "", text))
