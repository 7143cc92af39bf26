"""The words of a Flussonic server: requests of the Streamer API v3 and of the older API, and what the answers mean.

Facts from the vendor's OpenAPI document of the Media Server API (23.01) and, for the older API, from its manual of
version 20. Whatever arrives is hostile until it was read here: sizes, counts and types have bounds.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from yarl import URL

from bridge.driver import DriverIO
from bridge.errors import AuthFailed, ProtocolError, Rejected, Unreachable
from bridge.model import Credentials, Fact, Rung
from drivers.flussonic.config import FlussonicConfig
from drivers.flussonic.streams import Listed
from drivers.transports.http import exchange

V3 = "/streamer/api/v3"
LEGACY = "/flussonic/api"
# A complete stream is 21 KB; of these fields a thousand streams are 100 KB. None of them was ever deprecated.
SELECT = "name,disabled,static,stats.alive,stats.status"
PAGE = 1000
PAGES = 100
NAMES_LIMIT = 3000  # characters of a query that names streams: servers and proxies take about 8,000 in a request line
REPLY_LIMIT = 4 << 20
NAME_LIMIT = 256
PARTITIONS = 16
_STATUSES = frozenset({"running", "waiting", "error"})

# Facts: what `/config/stats` calls them, and what people read.
_FACTS = {
    "server_version": "version",
    "version": "version",  # of the older API
    "streamer_status": "server_status",
    "uptime": "uptime",
    "cpu_usage": "cpu_percent",
    "memory_usage": "memory_percent",
    "scheduler_load": "scheduler_percent",
    "total_streams": "streams",
    "online_streams": "streams_online",
    "total_clients": "clients",
    "input_kbit": "input_kbit",
    "output_kbit": "output_kbit",
}


class NotThere(ProtocolError):
    """404: another version, or something that is not configured."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself. `instance` differs after a restart where the server tells it; `uptime` is in
    seconds."""

    version: str
    hostname: str
    instance: str
    uptime: float | None
    starting: bool
    facts: Mapping[str, Fact]


class Api:
    """One server. `legacy` is None until it was found out which API it speaks."""

    __slots__ = ("_headers", "_io", "_tls", "config", "legacy", "origin")

    def __init__(self, address: str, credentials: Credentials | None, config: FlussonicConfig, io: DriverIO) -> None:
        self.config = config
        self.legacy: bool | None = None
        scheme = "http" if config.tls == "off" else "https"
        self.origin = URL.build(scheme=scheme, host=address, port=config.port)
        self._io = io
        self._tls = config.tls != "insecure"
        self._headers = _authorization(credentials, config.auth)

    # -- what is asked -------------------------------------------------------------------------------------------

    async def server(self) -> Server:
        """Raises ProtocolError for what is no Flussonic."""
        if not self.legacy:
            try:
                answer = await self.ask("GET", f"{V3}/config/stats")
                self.legacy = False
                return _server(answer)
            except NotThere:
                if self.legacy is False:
                    self.legacy = None  # it was replaced by an older one: the next poll finds out
                    raise
        try:
            answer = await self.ask("GET", f"{LEGACY}/server")
        except NotThere as error:
            self.legacy = None
            raise ProtocolError("it has neither the API v3 nor the older one: no Flussonic?", error.sample) from None
        self.legacy = True
        return _server(answer)

    async def streams(self, names: Collection[str]) -> dict[str, Listed]:
        """Those of the named streams that the server has. Few are asked for by name; of many, all are listed."""
        if not names:
            return {}
        if self.legacy:
            return await self._legacy_streams(names)
        filters = {"name": ",".join(names)} if len(",".join(map(quote, names))) <= NAMES_LIMIT else {}
        wanted = frozenset(names)
        found: dict[str, Listed] = {}
        async for item in self.collection(f"{V3}/streams", "streams", {"select": SELECT, **filters}):
            name = item.get("name")
            if isinstance(name, str) and name in wanted:
                found[name] = _listed(item, _dict(item.get("stats")))
        return found

    async def collection(self, path: str, key: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """All items of a collection, over all of its pages. The server may make pages smaller than it is asked to."""
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            more = {"cursor": cursor} if cursor is not None else {}
            answer = await self.ask("GET", path, query={**query, "limit": str(PAGE), **more})
            for item in _list(answer, key):
                if isinstance(item, dict):
                    yield item
            cursor = answer.get("next")
            if not cursor:
                return
            if not isinstance(cursor, str) or cursor in seen or len(seen) >= PAGES:
                raise ProtocolError("its list does not end")
            seen.add(cursor)

    async def _legacy_streams(self, names: Collection[str]) -> dict[str, Listed]:
        """The older API knows no `select`, so streams are asked for by name, many at a time."""
        wanted = frozenset(names)
        found: dict[str, Listed] = {}
        for some in _chunks(names):
            answer = await self.ask("GET", f"{LEGACY}/media", query={"name": ",".join(some)})
            for item in answer if isinstance(answer, list) else _list(answer, "streams"):
                value = _dict(_dict(item).get("value"))
                name = value.get("name")
                if isinstance(name, str) and name in wanted:
                    found[name] = _listed({**value, **_dict(value.get("options"))}, _dict(value.get("stats")))
        return found

    # -- how it is asked -----------------------------------------------------------------------------------------

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """One request; `path` is encoded already. What comes back as JSON, None where there is nothing (204)."""
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        async with self._io.gate:
            reply = await exchange(
                self._io.http,
                method,
                self.url(path, query),
                body=data,
                headers=headers,
                deadline=self.config.timeout,
                limit=REPLY_LIMIT,
                tls=self._tls,
            )
        if reply.status in (401, 403):
            raise AuthFailed("it refuses the credentials, or they may not do that (view_auth only reads)")
        if reply.status == 404:
            raise NotThere("it knows no such thing: another version, or not configured", reply.body)
        if reply.status == 503:
            raise Unreachable("it says that it is not ready", Rung.ANSWERING)
        if 400 <= reply.status < 500 and method != "GET":
            raise Rejected(f"it refuses the change{_because(reply.body)}")
        if reply.status == 204:
            return None
        if reply.status != 200:
            raise ProtocolError(f"it answers {reply.status}{_because(reply.body)}", reply.body)
        return _json(reply.body)

    def url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        return self.origin.join(URL(path, encoded=True)).with_query(query)

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    @property
    def tls(self) -> bool:
        return self._tls


def segment(name: str) -> str:
    """A name as one segment of a path of the API: names of streams may have slashes in them."""
    return quote(name, safe="")


def _authorization(login: Credentials | None, scheme: str) -> dict[str, str]:
    if login is None:
        return {}
    if scheme == "bearer":
        return {"Authorization": f"Bearer {login.password.reveal()}"}
    pair = base64.b64encode(f"{login.username}:{login.password.reveal()}".encode())
    return {"Authorization": f"Basic {pair.decode()}"}


def _chunks(names: Collection[str]) -> Iterator[list[str]]:
    some: list[str] = []
    length = 0
    for name in names:
        size = len(quote(name)) + 1
        if some and length + size > NAMES_LIMIT:
            yield some
            some, length = [], 0
        some.append(name)
        length += size
    if some:
        yield some


# -- what the answers say --------------------------------------------------------------------------------------------


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("its answer is not JSON", body) from None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(answer: Any, key: str) -> list[Any]:
    found = _dict(answer).get(key)
    if not isinstance(found, list):
        raise ProtocolError(f"its answer has no list of {key}")
    return found


def _text(value: Any) -> str:
    return value[:NAME_LIMIT] if isinstance(value, str) else ""


def number(value: Any) -> float | int | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _listed(config: Mapping[str, Any], stats: Mapping[str, Any]) -> Listed:
    alive, status = stats.get("alive"), stats.get("status")
    return Listed(
        alive=alive if isinstance(alive, bool) else None,
        status=status if status in _STATUSES else "",
        disabled=config.get("disabled") is True,
        static=config.get("static") is not False,
    )


def _server(answer: Any) -> Server:
    if not isinstance(answer, dict):
        raise ProtocolError("its answer is not what the API says")
    facts: dict[str, Fact] = {}
    for key, name in _FACTS.items():
        value = answer.get(key)
        said: Fact = _text(value) if isinstance(value, str) else number(value)
        if said not in (None, ""):
            facts[name] = said
    partitions = answer.get("partitions")
    for one in partitions[:PARTITIONS] if isinstance(partitions, list) else ():
        path, usage = _text(_dict(one).get("path")), number(_dict(one).get("usage"))
        if path and usage is not None:
            facts[f"disk_percent {path[:64]}"] = usage
    for key, value in _dict(answer.get("events")).items():
        if key in ("dropped_events", "resent_events") and (count := number(value)) is not None:
            facts[f"events_{key.removesuffix('_events')}"] = count
    if not facts:
        raise ProtocolError("its answer says nothing of a server: no Flussonic?")
    return Server(
        version=str(facts.get("version", "")),
        hostname=_text(answer.get("hostname")),
        instance=_text(answer.get("id")),
        uptime=number(answer.get("uptime")),
        starting=answer.get("streamer_status") == "starting",
        facts=facts,
    )


_URL = re.compile(r"\S+://\S*")
_UNSAFE = re.compile(r"[^\w .,:;()'/-]+")


def _because(body: bytes) -> str:
    """The reason that an answer gives, as ": reason", in either of the two shapes; without URLs, which may have
    passwords in them."""
    try:
        answer = _dict(json.loads(body[:65_536]))
    except (ValueError, RecursionError):
        return ""
    errors = answer.get("errors")
    first = _dict(errors[0]) if isinstance(errors, list) and errors else {}
    texts = (first.get("title"), first.get("code"), answer.get("error"))
    said = next((text for text in texts if isinstance(text, str) and text), "")
    clean = _UNSAFE.sub(" ", _URL.sub("...", said[:200])).strip()[:100]
    return f": {clean}" if clean else ""
