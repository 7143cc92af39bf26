"""Who gets in to a simulated Akuvox panel: the modes of its HTTP API, and HTTP Digest from the server's side."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

from aiohttp import web

from bridge.testing.digest import DigestServer, Verdict

REALM = "HTTP API"
# The error page of its web server: no challenge, no word about why.
_FORBIDDEN = "<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"


class Access:
    """One panel's mode: none, basic, allowlist (empty, as it leaves the factory), digest, or web: the new web page
    answers in place of the API. `accepts` is the simulator's own; `mono` is monotonic time."""

    def __init__(
        self, mode: str, username: str, password: str, accepts: Callable[[bool], bool], mono: Callable[[], float]
    ) -> None:
        self.mode = mode
        self._username = username
        self._password = password
        self._accepts = accepts
        self._digest = DigestServer(REALM, ("MD5",), 3600.0, mono, random.Random())

    def forget(self) -> None:
        """After a reboot, nonces are others."""
        self._digest.forget()

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
        if not given.startswith("Digest "):
            return self._challenge(self._digest.challenges()[0])
        verdict = self._digest.check(given, request.method, request.path_qs, self._username, self._password)
        if verdict is not Verdict.STALE and self._accepts(verdict is Verdict.ADMITTED):
            return None
        return self._challenge(self._digest.challenges(stale=verdict is Verdict.STALE)[0])

    def _challenge(self, scheme: str) -> web.Response:
        # Whoever is not let in gets a page, not the API's JSON.
        page = "<html><body>401 Unauthorized</body></html>"
        return web.Response(status=401, text=page, content_type="text/html", headers={"WWW-Authenticate": scheme})
