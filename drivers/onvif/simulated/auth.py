"""Who is let in: HTTP Digest and WS-Security UsernameToken, as Core, "Authentication over HTTP and HTTPS", has them.

A request without credentials is answered with a Digest challenge wherever the device has Digest, else with
ter:NotAuthorized. One with both is judged by Digest first and by its token then.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import random
from collections import Counter

from bridge.testing.digest import DigestServer, Verdict, parse_digest
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.settings import User
from drivers.onvif.simulated.soap import NAMESPACES, Call, SoapFault
from drivers.onvif.simulated.state import DeviceState
from drivers.onvif.simulated.times import parse_datetime

PASSWORD_DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"  # noqa: S105
_WSSE = f"{{{NAMESPACES['wsse']}}}"
_WSU = f"{{{NAMESPACES['wsu']}}}"
_MAX_NONCES = 1024


class Denied(Exception):
    """Not let in. `challenges` go into WWW-Authenticate."""

    def __init__(self, reason: str, status: int, challenges: list[str]) -> None:
        super().__init__(reason)
        self.status = status
        self.challenges = challenges
        self.fault = SoapFault("Sender", ("ter:NotAuthorized",), reason, status=status)


class Guard:
    """The door of one device, for HTTP and RTSP alike. `seen["auth_failed"]` counts credentials that were refused."""

    def __init__(self, state: DeviceState, seen: Counter[str], rng: random.Random) -> None:
        traits = state.traits
        self._state = state
        self._seen = seen
        self._digest = DigestServer(state.realm, traits.digest_algorithms, traits.nonce_lifetime, state.mono, rng)
        self.wrong_password = False  # the fault of that name
        self._failures = 0
        self._locked_until = 0.0
        self._tokens: dict[bytes, float] = {}  # nonces of tokens taken, until when they are remembered

    def forget(self) -> None:
        """What a reboot forgets."""
        self._digest.forget()
        self._tokens.clear()
        self._failures = 0
        self._locked_until = 0.0

    def admit(self, method: str, target: str, authorization: str | None, call: Call | None = None) -> str:
        """Let an HTTP request pass or raise `Denied`. Returns the user level of who asks.

        Without a call it is a picture that is asked for, which is a matter of the web page's accounts.
        """
        mode = self._state.traits.auth
        if mode == "none":
            return "Administrator"
        token = _username_token(call) if call and mode in ("both", "wsse") else None
        http = authorization if mode in ("both", "digest") else None
        if http is None and token is None:
            raise self._denied("Sender not Authorized")
        locked = self._locked()
        if locked:
            raise self._denied(locked)
        if http is not None:
            verdict = self._check(http, method, target, web=call is None)
            if verdict is not Verdict.ADMITTED:
                raise self._denied("Sender not Authorized", stale=verdict is Verdict.STALE)
        if token is not None:
            self._admit_token(token)
        self._failures = 0
        user = self._state.settings.get(User, token[0] if token is not None else _digest_user(http or ""))
        return "User" if user is None else user.level

    def challenges_rtsp(self, method: str, uri: str, authorization: str | None) -> list[str]:
        """What a 401 to an RTSP request carries; nothing when it may pass. RTSP knows Digest alone (Core)."""
        if self._state.traits.auth == "none":
            return []
        verdict = None
        if authorization and not self._locked():
            verdict = self._check(authorization, method, uri, web=True)
            if verdict is Verdict.ADMITTED:
                self._failures = 0
                return []
        return self._digest.challenges(stale=verdict is Verdict.STALE, qop=False)

    def _check(self, header: str, method: str, target: str, *, web: bool) -> Verdict:
        username = _digest_user(header)
        password = self._secret(username, web=web)
        verdict = Verdict.REFUSED
        if password is not None:
            verdict = self._digest.check(header, method, target, username, password)
        if verdict is Verdict.REFUSED:
            self._refused()
        return verdict

    def _locked(self) -> str:
        left = self._locked_until - self._state.mono()
        return f"The account is locked for {left:.0f} s" if left > 0 else ""

    def _refused(self) -> None:
        """Credentials were wrong: count, and lock when it was once too often."""
        self._seen["auth_failed"] += 1
        self._failures += 1
        traits = self._state.traits
        if traits.lockout_after and self._failures >= traits.lockout_after:
            self._failures = 0
            self._locked_until = self._state.mono() + traits.lockout_seconds

    def _secret(self, username: str, *, web: bool = False) -> str | None:
        return "\0" if self.wrong_password else self._state.password_of(username, web=web)

    def _denied(self, reason: str, *, stale: bool = False, by_token: bool = False) -> Denied:
        traits = self._state.traits
        has_digest = traits.auth in ("both", "digest")
        status = traits.wsse_status if by_token or not has_digest else 401
        challenges = self._digest.challenges(stale=stale) if has_digest and status == 401 else []
        return Denied(reason, status, challenges)

    def _admit_token(self, token: _Token) -> None:
        problem = self._problem(token)
        if problem:
            self._refused()
            raise self._denied(problem, by_token=True)

    def _problem(self, token: _Token) -> str:
        """Why a token is refused, "" when it is good. Only the reasons that devices do name are named."""
        username, password, kind, nonce_text, created_text = token
        quirks = self._state.quirks
        try:
            nonce = base64.b64decode(nonce_text, validate=True)
            created = parse_datetime(created_text)
        except (ValueError, binascii.Error):
            return "The token needs a Nonce and a Created"
        if not nonce or kind != PASSWORD_DIGEST:
            return "The token needs a Nonce and a PasswordDigest"
        if (
            (Quirk.CREATED_Z_ONLY in quirks and not created_text.endswith("Z"))
            or (Quirk.CREATED_WHOLE_SECONDS in quirks and "." in created_text)
            or (Quirk.SHORT_NONCE in quirks and len(nonce) > 16)
        ):
            return "Sender not Authorized"
        if abs(created - self._state.now()) > self._state.traits.wsse_window:
            return "The security token has expired"
        secret = self._secret(username)
        if secret is None:
            return "Sender not Authorized"
        expected = hashlib.sha1(nonce + created_text.encode() + secret.encode(), usedforsecurity=False).digest()
        if not hmac.compare_digest(base64.b64encode(expected), password.encode()):
            return "Sender not Authorized"
        return "" if self._is_new(nonce) else "The nonce was used before"

    def _is_new(self, nonce: bytes) -> bool:
        now = self._state.mono()
        while self._tokens:
            oldest = next(iter(self._tokens))
            if self._tokens[oldest] > now and len(self._tokens) < _MAX_NONCES:
                break
            del self._tokens[oldest]
        if nonce in self._tokens:
            return False
        # A token older than the window is refused by its Created; only those inside it can be replayed.
        self._tokens[nonce] = now + 2 * self._state.traits.wsse_window
        return True


def _digest_user(header: str) -> str:
    try:
        return parse_digest(header).get("username", "")
    except ValueError:
        return ""


_Token = tuple[str, str, str, str, str]  # user name, password, its type, nonce, created


def _username_token(call: Call) -> _Token | None:
    if call.header is None:
        return None
    token = call.header.find(f"{_WSSE}Security/{_WSSE}UsernameToken")
    if token is None:
        return None
    password = token.find(f"{_WSSE}Password")
    return (
        (token.findtext(f"{_WSSE}Username") or "").strip(),
        "" if password is None else (password.text or "").strip(),
        "" if password is None else password.get("Type", ""),
        (token.findtext(f"{_WSSE}Nonce") or "").strip(),
        (token.findtext(f"{_WSU}Created") or "").strip(),
    )
