"""Sink: a Pusher-compatible server, through its HTTP API (Pusher docs, "HTTP API reference").

Works with push1st (which the Aipix VMS runs), soketi, Laravel Reverb and Pusher itself. A single push is the request
that Laravel's Pusher broadcaster sends, with its keys in the same order and PHP's JSON. What waits in the outbox goes
in batches, where the server has `/batch_events`; push1st has not.

What an answer means:

    2xx                    delivered
    413, 400, 422          refused for good: a dead letter with the server's words; in a batch, each is sent alone
    401, 403               TryAgain: the key, the secret or a clock is wrong, not the push
    404                    TryAgain: no such application; for a batch: the server has no batches
    429, 503               TryAgain, when the server says
    no connection          TryAgain, after three quick tries
    no answer, other 5xx   TryAgain, and nobody knows whether it was delivered

soketi says 200 to everything; there the body has the status: `{"error": "...", "code": 401}`.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace

from yarl import URL

from bridge.clock import Clock
from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.http import Answer, Requests
from bridge.delivery.sink import Refused, TryAgain, TrySmaller, wire_body
from bridge.pushes import php_json
from bridge.secrets import Redactor, Secret
from bridge.store.store import OutboxRow

SKEW = 300.0  # seconds between the clocks from which they are named; servers refuse at 600
BATCH = 10  # the protocol's limit

_REFUSED = frozenset({400, 413, 422})
_NO_ROUTE = frozenset({404, 405})


class PusherHttp:
    """A Sink that posts to `{url}/apps/{app_id}/events`, signed with `key` and `secret`.

    `url`: with the path before `/apps`, where a reverse proxy adds one. `max_payload`: bytes of one push's data; Pusher
    and Reverb take 10,000, soketi 100,000, push1st 65,400 for the whole request. `batch`: how many pushes to a
    request, 1 for never more. `timeout`: seconds for a whole request. `tls`: a context for a private CA.
    """

    confirms = True

    def __init__(
        self,
        name: str,
        url: str,
        app_id: str,
        key: str,
        secret: Secret,
        *,
        clock: Clock,
        redactor: Redactor,
        prefix: str = protocol.PRIVATE,
        socket_key: str = "page",
        max_payload: int = 10_000,
        batch: int = BATCH,
        timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._url = url.rstrip("/")
        self._app = f"/apps/{app_id}"
        self._key = key
        self._secret = secret
        self._clock = clock
        self._prefix = prefix
        self._socket_key = socket_key
        self._max_payload = max_payload
        self._requests = Requests(self._url, clock=clock, redactor=redactor, timeout=timeout, tls=tls)
        self._configured = self._largest = self.batch = min(batch, BATCH)
        # While the push that spoils a batch is being looked for: the batch's last number, and whether it was found.
        self._alone_until = 0
        self._found = False
        redactor.learn([secret])

    async def open(self) -> None:
        await self._requests.open()

    async def close(self) -> None:
        await self._requests.close()

    def wants(self, row: OutboxRow) -> bool:
        return bool(row.channel)

    async def check(self) -> str:
        """Signed `GET /apps/{id}/channels`, which proves the key and the secret where the server has it."""
        answer = await self._request("GET", "/channels", None)
        if answer.ok:
            return f"{self._url} answers, and takes the key and the secret"
        if answer.status in _NO_ROUTE:
            return f"{self._url} answers; it lists no channels (push1st never does), so nothing more could be proved"
        raise self._failure(answer)

    async def send(self, rows: Sequence[OutboxRow]) -> Refused:
        """One request; see Sink. A push that is too large is refused without asking the server."""
        refused, events = [], []
        for row in rows:
            data = wire_body(row, self._socket_key)
            size = len(data.encode())
            if size > self._max_payload:
                refused.append((row, f"too large: {size} bytes of data, max_payload is {self._max_payload}"))
            else:
                events.append((row, {"name": row.event, "data": data, "channel": self._prefix + row.channel}))
        if len(events) > 1:
            await self._send_together([event for _, event in events], rows[-1].seq)
        for row, event in events if len(events) == 1 else ():
            if why := await self._send_alone(event):
                refused.append((row, why))
        self._back_to_batches(rows[-1].seq, bool(refused))
        return refused

    async def _send_together(self, events: Sequence[dict[str, str]], last: int) -> None:
        answer = await self._request("POST", "/batch_events", {"batch": events})
        if answer.ok:
            return
        if answer.status in _NO_ROUTE:
            self._largest = self.batch = 1
            raise TrySmaller(str(answer))
        if answer.status in _REFUSED:
            self.batch, self._alone_until, self._found = 1, last, False
            raise TrySmaller(str(answer))
        raise self._failure(answer)

    async def _send_alone(self, event: dict[str, str]) -> str | None:
        """Why the server refuses it for good, or None."""
        answer = await self._request("POST", "/events", event)
        if answer.ok:
            return None
        if answer.status == 413:
            return f"too large for the server: {len(event['data'].encode())} bytes of data; {answer}"
        if answer.status in _REFUSED:
            return str(answer)
        if answer.status in _NO_ROUTE:
            # It was the application that was missing, perhaps, and not the route for batches.
            self._largest = self.batch = self._configured
        raise self._failure(answer)

    def _back_to_batches(self, seq: int, refused: bool) -> None:
        """After the last of a refused batch: if none of it was refused alone, the server's limit is on the request
        as a whole (Reverb's is 10,000 bytes), and batches are half as large from now on."""
        if not self._alone_until:
            return
        self._found = self._found or refused
        if seq >= self._alone_until:
            if not self._found:
                self._largest = max(1, self._largest // 2)
            self.batch, self._alone_until = self._largest, 0

    # -- one request ---------------------------------------------------------------------------------------------

    async def _request(self, method: str, path: str, content: object) -> Answer:
        """Raises TryAgain when there is no answer."""
        body = None if content is None else php_json.encode(content).encode()
        path = self._app + path

        def signed() -> tuple[URL, Mapping[str, str]]:
            query = protocol.signed_query(
                method, path, key=self._key, secret=self._secret, timestamp=int(self._clock.now().wall), body=body
            )
            return URL(self._url + path).with_query(query), {}

        answer = await self._requests.send(method, body, signed)
        return replace(answer, status=_status(answer.status, answer.words))

    def _failure(self, answer: Answer) -> TryAgain:
        """What is to be tried again, and what a person can do about it."""
        where = self._requests.shown(self._url)
        if answer.status in (401, 403):
            hint = "compare app_id, key and secret with the server's"
            if answer.ahead is not None and abs(answer.ahead) >= SKEW:
                side = "ahead of" if answer.ahead > 0 else "behind"
                hint = f"the server's clock is {abs(answer.ahead):.0f} s {side} ours: set the clocks (NTP)"
            return TryAgain(f"{where} does not take the signature ({answer}): {hint}")
        if answer.status == 404:
            return TryAgain(f"{where} has no {self._app} ({answer}): compare url and app_id with the server's")
        # A gateway that got no answer, a server that fell over: it may have delivered before that.
        unknown = answer.status >= 500 and answer.status != 503
        return TryAgain(f"{where} answers {answer}", after=answer.retry_after, unknown=unknown)


def _status(status: int, body: str) -> int:
    """What the server means: soketi puts its headers before its status, and its HTTP library then says 200."""
    if status == 200 and '"error"' in body:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return status
        if isinstance(answer, dict) and isinstance(answer.get("code"), int):
            return int(answer["code"])
    return status
