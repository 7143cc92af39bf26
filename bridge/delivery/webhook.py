"""Sink: a URL of yours gets what devices report, and pushes if it likes: one signed POST each, in order.

The form is that of Standard Webhooks (standardwebhooks.com, specification 1.0): the headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`, `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`. A message that is
sent again has the same id: whoever remembers the last ones sees each once.

    2xx                    delivered
    400, 410, 413, 422     refused for good: a dead letter with the receiver's words
    401, 403, 404, ...     TryAgain: the address or the secret is wrong, not the message
    429, 503               TryAgain, when the receiver says
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import ssl
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

from yarl import URL

from bridge.clock import Clock
from bridge.delivery.http import Answer, Requests
from bridge.delivery.sink import Refused, TryAgain, wire_body
from bridge.secrets import Redactor, Secret
from bridge.store.store import OutboxRow

_REFUSED = frozenset({400, 410, 413, 422})
_PREFIX = "whsec_"


class Webhook:
    """A Sink that posts to `url`. `events` are the kinds of device events it wants, `pushes` whether it wants pushes,
    under channel names with `prefix`. `source` names the bridge in the messages' ids."""

    confirms = True
    batch = 1

    def __init__(
        self,
        name: str,
        url: str,
        secret: Secret,
        *,
        source: str,
        events: Collection[str],
        pushes: bool,
        clock: Clock,
        redactor: Redactor,
        prefix: str,
        timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._url = URL(url)
        self._key = key_of(secret)
        self._source = re.sub(r"[^A-Za-z0-9_-]+", "-", source)
        self._events = frozenset(events)
        self._pushes = pushes
        self._clock = clock
        self._prefix = prefix
        self._requests = Requests(url, clock=clock, redactor=redactor, timeout=timeout, tls=tls)
        redactor.learn([secret])

    async def open(self) -> None:
        await self._requests.open()

    async def close(self) -> None:
        await self._requests.close()

    def wants(self, row: OutboxRow) -> bool:
        return self._pushes if row.channel else row.event in self._events

    async def check(self) -> str:
        """HEAD, which a receiver of POSTs may well refuse: that it answers is what counts."""
        answer = await self._requests.send("HEAD", None, lambda: (self._url, {}))
        return f"{self._requests.shown(str(self._url))} answers ({answer.status}); no message was sent"

    async def send(self, rows: Sequence[OutboxRow]) -> Refused:
        """One request; see Sink."""
        (row,) = rows
        body = self._body(row).encode()
        # The number starts anew with another database, the time does not.
        message = f"{self._source}.{row.seq}.{int(row.at * 1000)}"

        def signed() -> tuple[URL, Mapping[str, str]]:
            return self._url, sign(self._key, message, int(self._clock.now().wall), body)

        answer = await self._requests.send("POST", body, signed)
        if answer.ok:
            return ()
        if answer.status in _REFUSED:
            return ((row, str(answer)),)
        raise self._failure(answer)

    def _body(self, row: OutboxRow) -> str:
        if not row.channel:
            return f'{{"type":"{row.type}","event":{row.body}}}'
        head = json.dumps({"type": "push", "channel": self._prefix + row.channel, "name": row.event})
        return f'{head[:-1]}, "data": {wire_body(row, "page")}}}'

    def _failure(self, answer: Answer) -> TryAgain:
        unknown = answer.status >= 500 and answer.status != 503
        hint = {401: ": compare the secret with the receiver's", 404: ": compare the url with the receiver's"}
        words = f"{self._requests.shown(str(self._url))} answers {answer}{hint.get(answer.status, '')}"
        return TryAgain(words, after=answer.retry_after, unknown=unknown)


def key_of(secret: Secret) -> bytes:
    """The key of a secret: what stands behind `whsec_`, in base64; any other text is the key itself."""
    text = secret.reveal()
    if text.startswith(_PREFIX):
        try:
            return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return text.encode()


def sign(key: bytes, message: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers of a message."""
    digest = hmac.digest(key, f"{message}.{timestamp}.".encode() + body, sha256)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
