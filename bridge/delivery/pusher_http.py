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
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from yarl import URL

from bridge import __version__
from bridge.clock import Clock
from bridge.delivery import pusher_protocol as protocol
from bridge.delivery.sink import Refused, TryAgain, TrySmaller, wire_body
from bridge.pushes import php_json
from bridge.secrets import Redactor, Secret
from bridge.store.store import OutboxRow

CONNECT_SECONDS = 5.0
CONNECT_TRIES = 3
ANSWER_LIMIT = 4096  # bytes that are read of an answer
WORDS_LIMIT = 300  # characters of it that people get to see
RETRY_AFTER_LIMIT = 600.0
SKEW = 300.0  # seconds between the clocks from which they are named; servers refuse at 600
BATCH = 10  # the protocol's limit

_REFUSED = frozenset({400, 413, 422})
_NO_ROUTE = frozenset({404, 405})


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    words: str  # the start of the body, on one line, without secrets
    retry_after: float | None  # seconds
    ahead: float | None  # by how many seconds the server's clock is ahead of ours

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.words}" if self.words else f"HTTP {self.status}"


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
        self._redact = redactor
        self._prefix = prefix
        self._socket_key = socket_key
        self._max_payload = max_payload
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_SECONDS, timeout))
        self._tls: ssl.SSLContext | bool = tls or True
        self._session: aiohttp.ClientSession | None = None
        self._configured = self._largest = self.batch = min(batch, BATCH)
        # While the push that spoils a batch is being looked for: the batch's last number, and whether it was found.
        self._alone_until = 0
        self._found = False
        redactor.learn([secret])

    async def open(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=2, ssl=self._tls),
                timeout=self._timeout,
                # Plain answers only: a few compressed bytes can hold megabytes.
                headers={"User-Agent": f"device-bridge/{__version__}", "Accept-Encoding": "identity"},
                auto_decompress=False,
            )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

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

    async def _request(self, method: str, path: str, content: object) -> _Answer:
        """Raises TryAgain when there is no answer."""
        session = self._session
        if session is None:
            raise TryAgain("the sink is closed")
        body = None if content is None else php_json.encode(content).encode()
        path = self._app + path
        tries = AsyncRetrying(
            stop=stop_after_attempt(CONNECT_TRIES),
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            retry=retry_if_exception_type(aiohttp.ClientConnectorError),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            async for attempt in tries:
                with attempt:
                    # Signed anew each time: the signature holds the time.
                    query = protocol.signed_query(
                        method,
                        path,
                        key=self._key,
                        secret=self._secret,
                        timestamp=int(self._clock.now().wall),
                        body=body,
                    )
                    return await self._answer(session, method, URL(self._url + path).with_query(query), body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TryAgain(f"no connection to {self._shown(self._url)}: {self._shown(str(error))}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = self._shown(str(error)) or type(error).__name__
            raise TryAgain(f"no answer from {self._shown(self._url)}: {words}", unknown=method == "POST") from error
        raise AssertionError("tenacity ends with a result or an error")

    async def _answer(self, session: aiohttp.ClientSession, method: str, url: URL, body: bytes | None) -> _Answer:
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            try:
                words = (await _start(response.content)).decode(errors="replace")
            except (aiohttp.ClientError, TimeoutError):
                words = ""  # the status has said what counts
            status = _status(response.status, words)
            if 300 <= status < 400:
                words = f"it redirects to {response.headers.get('Location', 'nowhere')}: use that address as the url"
            now = self._clock.now().wall
            date = _date(response.headers.get("Date"))
            return _Answer(
                status,
                self._shown(words),
                _retry_after(response.headers.get("Retry-After"), now),
                None if date is None else date - now,
            )

    def _failure(self, answer: _Answer) -> TryAgain:
        """What is to be tried again, and what a person can do about it."""
        where = self._shown(self._url)
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

    def _shown(self, text: str) -> str:
        return self._redact(" ".join(text.split()))[:WORDS_LIMIT]


async def _start(content: aiohttp.StreamReader) -> bytes:
    """The first bytes of a body, ANSWER_LIMIT at most."""
    data = b""
    while more := await content.read(ANSWER_LIMIT - len(data)):
        data += more
    return data


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


def _date(header: str | None) -> float | None:
    """Wall time of an HTTP date."""
    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except (ValueError, OverflowError):
        return None


def _retry_after(header: str | None, now: float) -> float | None:
    """Seconds, from either form of the header (RFC 9110, 10.2.3)."""
    if header is not None and header.isascii() and header.isdigit() and len(header) < 10:
        return min(float(header), RETRY_AFTER_LIMIT)
    date = _date(header)
    return None if date is None else min(max(0.0, date - now), RETRY_AFTER_LIMIT)
