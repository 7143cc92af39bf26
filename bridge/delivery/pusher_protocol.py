"""The Pusher Channels protocol, versions 5 to 7: frames, signatures, names and codes as pure functions.

Sources, by their names in the Pusher Channels docs: "Pusher Channels Protocol" (events, error codes), "Generating
the authentication string" (private and presence channels), "HTTP API reference" (signed requests), "Channels"
(names); and RFC 6455 for what a WebSocket frame is. `data` stands twice encoded in most events, as a JSON string
inside the JSON of the event: PusherSwift reads nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bridge.secrets import Secret

PROTOCOLS = frozenset({"5", "6", "7"})
PRIVATE = "private-"
CLIENT_EVENT = "client-"
CHANNEL_NAME_LIMIT = 164
TIMESTAMP_TOLERANCE = 600  # seconds that the clocks of a signed request may be apart

_CHANNEL = re.compile(rf"[-a-zA-Z0-9_=@,.;]{{1,{CHANNEL_NAME_LIMIT}}}")
# Two whole numbers. push1st's run to 19 digits; the bound keeps junk out of logs and signatures.
_SOCKET_ID = re.compile(r"[0-9]{1,32}\.[0-9]{1,32}")

# What a client may ask for and this bridge does not have. The first match counts.
_UNSERVED = (
    ("presence-", "presence channels are not served: a token of the bridge names no user"),
    ("private-encrypted-", "encrypted channels are not served: subscribe to the private channel"),
    ("private-cache-", "cache channels are not served: subscribe to the private channel"),
    ("cache-", "cache channels are not served: subscribe to the plain channel"),
)


class Code(IntEnum):
    """Why a connection is closed, or an event refused.

    Clients act on the range: 4000 to 4099 they never come back, 4100 to 4199 after a second or more, 4200 to 4299
    at once. pusher-js also stays away after 4300 and above, so those are never used to close.
    """

    POLICY = 1008  # RFC 6455, for a client that does not speak the protocol; it comes back after a second
    UNKNOWN_KEY = 4001
    UNSUPPORTED_PROTOCOL = 4007
    NO_PROTOCOL = 4008
    OVER_CAPACITY = 4100
    RECONNECT = 4200
    NO_PONG = 4201
    CLIENT_EVENT = 4301  # only ever in an error event


class Malformed(ValueError):
    """A client's message that the protocol does not allow; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a client says. `data` is empty where the message had none, or none that is an object."""

    event: str
    data: Mapping[str, Any]


def parse(text: str) -> Message:
    """A client's text frame. Raises Malformed, and nothing else whatever the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("the message is no JSON") from error
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        raise Malformed('the message is no JSON object with the string "event"')
    data = value.get("data")
    return Message(value["event"], data if isinstance(data, dict) else {})


# -- names -------------------------------------------------------------------------------------------------------


def is_channel_name(name: str) -> bool:
    return _CHANNEL.fullmatch(name) is not None


def is_socket_id(text: str) -> bool:
    return _SOCKET_ID.fullmatch(text) is not None


def unserved(channel: str) -> str | None:
    """Why channels of this kind are not to be had here; None for those that are."""
    return next((why for start, why in _UNSERVED if channel.startswith(start)), None)


# -- what the server says, as frames -----------------------------------------------------------------------------


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def frame(payload: str | bytes, opcode: int = 0x1) -> bytes:
    """One unmasked, uncompressed WebSocket frame, as a server sends it (RFC 6455, 5.2)."""
    body = payload.encode() if isinstance(payload, str) else payload
    size = len(body)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + body
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + body
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + body


def established(socket_id: str, activity_timeout: int) -> bytes:
    """The first frame. pusher-js throws where the timeout (seconds) is missing; push1st sends it as a string."""
    data = _json({"socket_id": socket_id, "activity_timeout": activity_timeout})
    return frame(_json({"event": "pusher:connection_established", "data": data}))


def event(name: str, channel: str, data: str) -> bytes:
    """A push: `data` is its body, already JSON, and travels as a string."""
    return frame(_json({"event": name, "channel": channel, "data": data}))


def subscribed(channel: str) -> bytes:
    return event("pusher_internal:subscription_succeeded", channel, "{}")


def subscription_error(channel: str, kind: str, reason: str, status: int) -> bytes:
    """The connection stays open. `status` is what an auth endpoint would have answered: clients show it."""
    data = {"type": kind, "error": reason, "status": status}
    return frame(_json({"event": "pusher:subscription_error", "channel": channel, "data": data}))


def error(code: int | None, reason: str) -> bytes:
    return frame(_json({"event": "pusher:error", "data": {"message": reason, "code": code}}))


def close(code: int, reason: str = "") -> bytes:
    """A close frame. Its reason has 123 bytes at most; code 0 stands for none, as aiohttp reads an empty one."""
    words = reason.encode()[:123].decode(errors="ignore").encode()
    return frame(struct.pack("!H", code) + words if code else b"", opcode=0x8)


def closing(code: Code, reason: str) -> bytes:
    """Error event, which clients of protocol 5 (the Aipix Android one) need, and close frame for the later ones."""
    return error(code, reason) + close(code, reason)


# Both at once: asyncpusher answers the WebSocket's own ping and knows no `pusher:ping`; browsers show a page neither
# ping nor pong, so pusher-js knows only the event.
PING = frame('{"event":"pusher:ping","data":{}}') + frame(b"", opcode=0x9)
PONG = frame('{"event":"pusher:pong","data":{}}')


# -- signatures --------------------------------------------------------------------------------------------------


def _hmac(secret: Secret, text: str) -> str:
    return hmac.new(secret.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()


def _same(given: str, expected: str) -> bool:
    # As bytes, because compare_digest refuses text beyond ASCII; "surrogatepass", because JSON may hold "\ud800".
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


def channel_auth(key: str, secret: Secret, socket_id: str, channel: str, channel_data: str | None = None) -> str:
    """`KEY:HEX`, which lets one connection into a private channel, or with `channel_data` into a presence channel."""
    text = f"{socket_id}:{channel}" if channel_data is None else f"{socket_id}:{channel}:{channel_data}"
    return f"{key}:{_hmac(secret, text)}"


def is_channel_auth(given: str, key: str, secret: Secret, socket_id: str, channel: str) -> bool:
    """Whether `given` lets that connection into a private channel; in constant time."""
    return _same(given, channel_auth(key, secret, socket_id, channel))


def signed_query(
    method: str, path: str, *, key: str, secret: Secret, timestamp: int, body: bytes | None = None
) -> dict[str, str]:
    """The query parameters of a request to the HTTP API, in the order in which pusher-http-php sends them.

    `path` begins at `/apps/`: a prefix that a reverse proxy takes away is not signed.
    """
    query = {"auth_key": key, "auth_timestamp": str(timestamp), "auth_version": "1.0"}
    if body is not None:
        query["body_md5"] = _md5(body)
    query["auth_signature"] = _hmac(secret, _to_sign(method, path, query))
    return query


def request_fault(
    method: str, path: str, query: Mapping[str, str], body: bytes, *, key: str, secret: Secret, now: float
) -> str | None:
    """Why a request to the HTTP API is not to be believed; None where it is. Compares in constant time."""
    if query.get("auth_key") != key:
        return "unknown auth_key"
    stamp = query.get("auth_timestamp", "")
    if not re.fullmatch("[0-9]{1,12}", stamp) or abs(int(stamp) - now) > TIMESTAMP_TOLERANCE:
        return f"auth_timestamp is not within {TIMESTAMP_TOLERANCE} s of this clock"
    if body and not _same(query.get("body_md5", ""), _md5(body)):
        return "body_md5 does not fit the body"
    if not _same(query.get("auth_signature", ""), _hmac(secret, _to_sign(method, path, query))):
        return "auth_signature does not fit the request"
    return None


def _md5(body: bytes) -> str:
    # The protocol's choice; the HMAC over it is what protects the request.
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _to_sign(method: str, path: str, query: Mapping[str, str]) -> str:
    pairs = sorted((name.lower(), value) for name, value in query.items() if name != "auth_signature")
    return "\n".join((method.upper(), path, "&".join(f"{name}={value}" for name, value in pairs)))
