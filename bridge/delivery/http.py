"""One HTTP request to a server that takes pushes: signed anew for each try, bounded, its answer in plain words."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from yarl import URL

from bridge import __version__
from bridge.clock import Clock
from bridge.delivery.sink import TryAgain
from bridge.secrets import Redactor

CONNECT_SECONDS = 5.0
CONNECT_TRIES = 3
ANSWER_LIMIT = 4096  # bytes that are read of an answer
WORDS_LIMIT = 300  # characters of it that people get to see
RETRY_AFTER_LIMIT = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    words: str  # the start of the body, on one line, without secrets
    retry_after: float | None  # seconds
    ahead: float | None  # by how many seconds the server's clock is ahead of ours

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.words}" if self.words else f"HTTP {self.status}"


Signed = Callable[[], tuple[URL, Mapping[str, str]]]


class Requests:
    """Sends to one server, and lets what it answers be told to people. `timeout`: seconds for a whole request."""

    def __init__(
        self, url: str, *, clock: Clock, redactor: Redactor, timeout: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self.url = url
        self._clock = clock
        self._redact = redactor
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_SECONDS, timeout))
        self._tls: ssl.SSLContext | bool = tls or True
        self._session: aiohttp.ClientSession | None = None

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

    async def send(self, method: str, body: bytes | None, signed: Signed) -> Answer:
        """One request. `signed` gives the URL and the headers of a try: a signature holds the time. Raises TryAgain
        when there is no answer; whether a POST without one was taken, nobody knows."""
        session = self._session
        if session is None:
            raise TryAgain("the sink is closed")
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
                    url, headers = signed()
                    return await self._answer(session, method, url, headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TryAgain(f"no connection to {self.shown(self.url)}: {self.shown(str(error))}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = self.shown(str(error)) or type(error).__name__
            raise TryAgain(f"no answer from {self.shown(self.url)}: {words}", unknown=method == "POST") from error
        raise AssertionError("tenacity ends with a result or an error")

    def shown(self, text: str) -> str:
        """A text for people: on one line, not too long, without secrets."""
        return self._redact(" ".join(text.split()))[:WORDS_LIMIT]

    async def _answer(
        self, session: aiohttp.ClientSession, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        content = {} if body is None else {"Content-Type": "application/json"}
        async with session.request(
            method, url, data=body, headers={**content, **headers}, allow_redirects=False
        ) as response:
            try:
                words = (await _start(response.content)).decode(errors="replace")
            except (aiohttp.ClientError, TimeoutError):
                words = ""  # the status has said what counts
            if 300 <= response.status < 400:
                words = f"it redirects to {response.headers.get('Location', 'nowhere')}: use that address as the url"
            now = self._clock.now().wall
            date = _date(response.headers.get("Date"))
            return Answer(
                response.status,
                self.shown(words),
                _retry_after(response.headers.get("Retry-After"), now),
                None if date is None else date - now,
            )


async def _start(content: aiohttp.StreamReader) -> bytes:
    """The first bytes of a body, ANSWER_LIMIT at most."""
    data = b""
    while more := await content.read(ANSWER_LIMIT - len(data)):
        data += more
    return data


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
