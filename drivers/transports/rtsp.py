"""Is a stream there? RTSP `OPTIONS` or `DESCRIBE` (RFC 2326, RFC 7826), and nothing more: no session is set up."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from yarl import URL

from bridge.model import Credentials
from drivers.transports.digest import Digest, challenges

DEFAULT_PORT = 554
_HEADERS_LIMIT = 16 << 10
_BODY_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """`up` is None where the server is there and would not let us see: then nothing is proven. `refused`: it did not
    take our credentials, and should not be offered them again soon."""

    up: bool | None
    detail: str = ""
    refused: bool = False


REFUSED = Answer(None, "RTSP refuses the credentials", refused=True)


class _Broken(Exception):
    pass


async def check(uris: Sequence[str], method: str, credentials: Credentials | None, *, deadline: float) -> list[Answer]:
    """Ask for each of several streams of one device, on one connection as far as it lasts.

    `method` is OPTIONS, which goes without credentials, or DESCRIBE; `deadline` in seconds is for each stream. Never
    raises for what a device does. Credentials that were refused for one stream are not tried for the others.
    """
    link: _Link | None = None
    answers: list[Answer] = []
    try:
        for uri in uris:
            if REFUSED in answers:
                answers.append(REFUSED)
                continue
            url = URL(uri)
            if url.scheme != "rtsp":
                answers.append(Answer(None, f"{url.scheme} is not asked"))
                continue
            where = (url.host or "", url.port or DEFAULT_PORT)
            try:
                async with asyncio.timeout(deadline):
                    if link is None or link.where != where:
                        if link is not None:
                            link.close()
                        link = await _Link.open(*where, credentials)
                    answers.append(await link.ask(method, str(url.with_user(None))))
                    continue
            except TimeoutError:
                answers.append(Answer(False, f"no RTSP answer within {deadline:g} s"))
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno and error.errno > 0 else type(error).__name__
                answers.append(Answer(False, f"no RTSP connection: {reason}"))
            except (_Broken, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                answers.append(Answer(False, f"no RTSP answer: {error or 'it closes the connection'}"))
            if link is not None:
                link.close()
                link = None
    finally:
        if link is not None:
            link.close()
    return answers


class _Link:
    """One RTSP connection."""

    def __init__(
        self,
        where: tuple[str, int],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        credentials: Credentials | None,
    ) -> None:
        self.where = where
        self._reader = reader
        self._writer = writer
        self._credentials = credentials
        self._digest: Digest | None = None
        self._basic = False
        self._taken = False  # the credentials, in the last request
        self._cseq = 0

    @classmethod
    async def open(cls, host: str, port: int, credentials: Credentials | None) -> _Link:
        reader, writer = await asyncio.open_connection(host, port, limit=_HEADERS_LIMIT)
        return cls((host, port), reader, writer, credentials)

    def close(self) -> None:
        with suppress(Exception):
            self._writer.close()

    async def ask(self, method: str, uri: str) -> Answer:
        status, reason, headers, body = await self._request(method, uri)
        if method == "OPTIONS" and status in (401, 403):
            return Answer(True)  # a server that refuses is a server that is there
        if status == 401 and self._credentials is not None and self._challenged(headers):
            status, reason, headers, body = await self._request(method, uri)
        if status == 200:
            self._taken = self._digest is not None
            if method == "DESCRIBE" and b"m=video" not in body:
                return Answer(False, "its description names no video")
            return Answer(True)
        if status in (401, 403):
            return REFUSED
        return Answer(False, f"RTSP answers {status} {reason}".rstrip())

    def _challenged(self, headers: list[tuple[str, str]]) -> bool:
        assert self._credentials is not None
        offered = challenges(value for name, value in headers if name == "www-authenticate")
        digest = Digest(self._credentials)
        if digest.accept(offered):
            # A nonce that was just taken and is refused has only grown old: some make one for each request.
            again = self._digest is not None and not digest.stale and not self._taken
            self._digest, self._taken = digest, False
            return not again
        if any(one.scheme == "basic" for one in offered) and not self._basic:
            self._basic = True
            return True
        return False

    async def _request(self, method: str, uri: str) -> tuple[int, str, list[tuple[str, str]], bytes]:
        self._cseq += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self._cseq}", "User-Agent: device-bridge"]
        if method == "DESCRIBE":
            lines.append("Accept: application/sdp")
        if self._digest is not None:
            lines.append(f"Authorization: {self._digest.authorize(method, uri)}")
        elif self._basic and self._credentials is not None:
            pair = f"{self._credentials.username}:{self._credentials.password.reveal()}"
            lines.append(f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        await self._writer.drain()
        return await self._read()

    async def _read(self) -> tuple[int, str, list[tuple[str, str]], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
        first, *rest = head.strip().split("\r\n")
        version, _, status = first.partition(" ")
        code, _, reason = status.partition(" ")
        if not version.startswith("RTSP/") or not code.isdecimal() or len(code) != 3:
            raise _Broken("it does not speak RTSP")
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
        length = next((value for name, value in headers if name == "content-length"), "0")
        if not length.isdecimal() or len(length) > 9 or int(length) > _BODY_LIMIT:
            raise _Broken("its description is too long")
        return int(code), reason[:80], headers, await self._reader.readexactly(int(length))
