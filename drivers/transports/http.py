"""One bounded HTTP exchange with a device, and what its failures mean.

Limits on everything: total time, connection time, bytes of the reply. Redirects are not followed, because they
lead credentials to wherever the device says; compressed replies are not asked for, because a few bytes of them
can become gigabytes.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from multidict import CIMultiDictProxy
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random
from yarl import URL

from bridge.errors import ProtocolError, Unreachable
from bridge.model import Rung

REPLY_LIMIT = 1 << 20
CONNECT_LIMIT = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class Dropped(Exception):
    """The connection went away before the first byte of an answer: an idle one that the device had closed."""


# Many cameras close a kept-alive connection just as the next request arrives on it. Twice more is enough.
_once_more = AsyncRetrying(
    retry=retry_if_exception_type(Dropped), stop=stop_after_attempt(2), wait=wait_random(0, 0.1), reraise=True
)


async def _no_retry(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp by itself sends a GET or PUT again when the connection goes away; panels open doors on GET."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise Dropped from error


@lru_cache(maxsize=256)
def _timeout(deadline: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=deadline, sock_connect=min(CONNECT_LIMIT, deadline))


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    deadline: float,
    limit: int = REPLY_LIMIT,
    tls: ssl.SSLContext | bool = True,
    once: bool = False,
) -> Reply:
    """Send one request and read the whole reply. `deadline` is in seconds, for all of it; `limit` in bytes. `once`: it
    is never sent again, because it may have been done.

    Raises Unreachable and ProtocolError. A reply of any HTTP status is a reply.
    """
    timeout = _timeout(deadline)
    try:
        try:
            return await _attempt(session, method, url, body, headers, timeout, limit, tls)
        except Dropped:
            if once:
                raise
            return await _once_more(_attempt, session, method, url, body, headers, timeout, limit, tls)
    except Dropped as error:
        raise Unreachable("it closes the connection without an answer", Rung.REACHABLE) from error


async def _attempt(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    body: bytes | None,
    headers: Mapping[str, str] | None,
    timeout: aiohttp.ClientTimeout,
    limit: int,
    tls: ssl.SSLContext | bool,
) -> Reply:
    with named(timeout):
        async with session.request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            ssl=tls,
            middlewares=None if method == "POST" else (_no_retry,),
        ) as response:
            content = await _read(response, limit)
            refuse_redirect(response)
            return Reply(response.status, response.headers, content)


def refuse_redirect(response: aiohttp.ClientResponse) -> None:
    if 300 <= response.status < 400 and "Location" in response.headers:
        target = response.headers["Location"][:200]
        raise ProtocolError(f"it redirects to {target}, which is not followed: list that address if it is right")


@contextmanager
def named(timeout: aiohttp.ClientTimeout) -> Iterator[None]:
    """Calls what goes wrong on the way by its name in `bridge.errors`."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise Unreachable(
            f"its certificate is not trusted ({error.certificate_error}): install its CA or set tls: insecure",
            Rung.REACHABLE,
        ) from error
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno
        reason = os.strerror(number) if number and number > 0 else str(error.os_error)
        raise Unreachable(f"no connection: {reason}") from error
    except aiohttp.ConnectionTimeoutError as error:
        raise Unreachable(f"no connection within {timeout.sock_connect:g} s") from error
    except TimeoutError as error:
        raise Unreachable(f"no complete answer within {timeout.total:g} s", Rung.REACHABLE) from error
    except aiohttp.ClientPayloadError as error:
        raise ProtocolError("it closes the connection in the middle of its answer") from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        raise Dropped from error
    except (aiohttp.ClientError, ValueError) as error:
        # Not `from error`: aiohttp keeps the request's headers in it, and with them a password.
        raise ProtocolError(f"it does not speak HTTP: {type(error).__name__}") from None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    announced = response.content_length
    if announced is not None and announced <= limit:
        return await response.read()
    chunks: list[bytes] = []
    size = 0
    if announced is None:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            chunks.append(chunk)
            if size > limit:
                break
        else:
            return b"".join(chunks)
    # The rest of it is never read: the connection goes.
    response.close()
    raise ProtocolError(f"its answer is larger than {limit >> 10} KB", b"".join(chunks[:1]))
