"""A simulated Flussonic Media Server on a port of loopback. Its parts are in `simulated/`.

Written from the vendor's OpenAPI document (23.01, and what later ones changed), its manuals of event sinks and of the
DVR, and the source of its open library openapi_handler; not from the driver.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from aiohttp import web

from bridge.model import Kind
from bridge.testing.http_simulator import HttpSimulator
from drivers.flussonic.simulated import legacy, query
from drivers.flussonic.simulated.dvr import CLIP, SHAPES, Recordings
from drivers.flussonic.simulated.media import DEAD_AFTER, Media, merge, wrong
from drivers.flussonic.simulated.query import BadQuery
from drivers.flussonic.simulated.sinks import Sink

V3 = "/streamer/api/v3/"
LEGACY = "/flussonic/api/"
UP_SINCE = 3600.0  # seconds that it has been running when it starts
# Those of `stream_config` that cameras have; the document has more.
_STREAM_KEYS = frozenset(
    (
        *("name", "title", "position", "static", "disabled", "inputs", "template", "labels"),
        *("dvr", "thumbnails", "transcoder", "backup", "segment_duration", "segment_count", "prepush"),
        *("retry_limit", "source_timeout", "clients_timeout", "auth", "on_play", "on_publish"),
    )
)
_SINK_KEYS = frozenset(
    (
        *("name", "url", "only", "except", "throttle_delay", "resend_limit", "resend_timeout"),
        *("level", "max_size", "max_depth", "extra", "buffer"),
    )
)
_LEGACY_KEYS = ("hostname", "uptime", "total_clients", "total_streams", "online_streams", "input_kbit", "output_kbit")


class FlussonicSimulator(HttpSimulator):
    """One server with `cameras` cameras, each with a high stream `cam-1` and a low one `cam-1-low`.

    `version` is 23, 25 (where units changed) or less than 22, which has the older API alone. `auth` is basic or bearer.
    `streams` are more streams, as their configuration, and `templates` what those have in common that name one.
    With `read_only` the account is one of `view_auth`.
    `dead_after` is the time in seconds without frames until a stream is not alive.
    """

    driver: ClassVar[str] = "flussonic"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SERVER})

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.SERVER,
        cameras: int = 2,
        version: int = 23,
        auth: str = "basic",
        read_only: bool = False,
        streams: tuple[dict[str, Any], ...] = (),
        templates: Mapping[str, dict[str, Any]] | None = None,
        dead_after: float = DEAD_AFTER,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.kind = kind
        self.cameras = [f"cam-{number}" for number in range(1, cameras + 1)]
        self.version = version
        self.auth = auth
        self.read_only = read_only
        self._dead_after = dead_after
        self.hostname = f"flussonic-{self.seed}"
        self.unavailable = False  # answers 503, as it does while it starts and when it stops
        self.page_limit: int | None = None  # a page has no more items than this, whatever is asked for
        self.recordings = Recordings()
        self.exports: list[dict[str, str]] = []  # what it was told to write to its own disks
        self.counters: Counter[str] = Counter()  # dropped_events, resent_events
        self.answers: deque[float] = deque(maxlen=100_000)  # seconds that receivers of events took
        self._rng = random.Random(f"flussonic {self.seed}")
        self._event_ids = itertools.count(1)
        self._started_at = self.now() - UP_SINCE
        self._instance = self._uuid()
        self._sinks: dict[str, Sink] = {}
        self._templates = templates or {}
        self._writes = 0
        self.media: dict[str, Media] = {}
        for camera in self.cameras:
            for stream, channel in ((camera, 1), (f"{camera}-low", 2)):
                self.add({"name": stream, "inputs": [{"url": f"rtsp://admin:secret@192.0.2.9/{stream}/{channel}"}]})
        for config in streams:
            self.add(config)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def add(self, config: dict[str, Any]) -> Media:
        made = self.media[config["name"]] = Media(
            dict(config), self._rng, self.now, self.version, self._dead_after, self._templates
        )
        return made

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await super().start()
        for sink in self._sinks.values():
            sink.start()

    async def stop(self) -> None:
        for sink in self._sinks.values():
            await sink.stop()
        await super().stop()

    async def reboot(self, seconds: float = 0.0) -> None:
        """A restart: event sinks are part of the configuration and stay, what waited in them is lost."""
        await self._rebuilt_sinks()
        await super().reboot(seconds)
        self._started_at, self._instance = self.now(), self._uuid()
        self._event_ids = itertools.count(1)
        for one in self.media.values():
            one.restart()
        self.tell("server_started", previous_state="starting", version=self._version_text, instance_id=self._instance)

    async def _rebuilt_sinks(self) -> None:
        for name, sink in list(self._sinks.items()):
            await sink.stop()
            self._make_sink(name, sink.config)

    def _make_sink(self, name: str, config: dict[str, Any]) -> None:
        self._sinks[name] = Sink(config, self.counters, self.answers.append)
        self._sinks[name].start()

    def inventory(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "kind": self.kind.value,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "flussonic": {"port": self.port, "auth": self.auth, "low": "{key}-low"},
            "channels": [{"source": camera} for camera in self.cameras],
        }

    def configuration(self) -> dict[str, Any]:
        return {name: one.without_logins() for name, one in self.media.items()}

    def writes(self) -> int:
        return self._writes

    def open_subscriptions(self) -> int:
        return len(self._sinks)

    # -- what happens ---------------------------------------------------------------------------------------------

    async def act(self, action: str, **details: Any) -> None:
        """ValueError for what is not among these.

        stream_loss {stream: high, low or a name, camera: number from 0, on}    the source of a stream fails, returns
        source_switch {stream, camera}                         one input fails, the next one takes over
        motion {camera, active}                                 the detector of a stream
        watch {stream, camera, on}                              a viewer of an on-demand stream
        unavailable {on}                                        it answers 503
        vendor_event {topic, data}                              an event that nobody knows
        drop_subscriptions                                      somebody removes all event sinks
        """
        match action:
            case "stream_loss":
                self._lose(self._stream(details), bool(details.get("on", True)))
            case "source_switch":
                self._switch(self._stream(details))
            case "motion":
                name = "motion_started" if details.get("active", True) else "motion_stopped"
                self.tell(name, media=self._stream(details).name, motion_id=1)
            case "watch":
                self._stream(details).watched = bool(details.get("on", True))
            case "unavailable":
                self.unavailable = bool(details.get("on", True))
            case "vendor_event":
                self.tell(str(details["topic"]), **details.get("data", {}))
            case "drop_subscriptions":
                for name in list(self._sinks):
                    await self._sinks.pop(name).stop()
            case _:
                await super().act(action, **details)

    def _stream(self, details: dict[str, Any]) -> Media:
        stream = str(details.get("stream", "high"))
        if stream in ("high", "low"):
            camera = self.cameras[int(details.get("camera", 0))]
            stream = camera if stream == "high" else f"{camera}-low"
        if stream not in self.media:
            raise ValueError(f"there is no stream {stream}")
        return self.media[stream]

    def _lose(self, one: Media, lost: bool) -> None:
        session = {"media": one.name, "id": one.source_id, "proto": "rtsp", "url": one.url(), "priority": one.input + 1}
        if lost:
            one.lose()
            self.tell("source_closed", **session, reason="timeout", count=0)
        else:
            one.regain()
            self.tell("source_opened", **session)
            self.tell("source_connected", **session, status="connected")
            self.tell("source_started", **session, dts=0)

    def _switch(self, one: Media) -> None:
        self._lose(one, True)
        one.input += 1
        self._lose(one, False)

    def tell(self, event: str, **fields: Any) -> None:
        """Hand an event to every sink that wants it."""
        common: dict[str, Any] = {
            "event": event,
            "event_id": next(self._event_ids),
            "utc_ms": round(self.now() * 1000),
        }
        if self.version >= 24:
            common["server"] = self.hostname
        for sink in self._sinks.values():
            sink.put({**common, **fields})

    # -- requests -------------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        raw = request.raw_path.partition("?")[0] if hasattr(request, "raw_path") else request.path
        if self.unavailable:
            return _error(503, "unavailable")
        if not self._admits(request.headers.get("Authorization"), request.method):
            return _error(403, "authorization_failed")
        try:
            if raw.startswith(V3) and self.version >= 22:
                return await self._v3(request, [unquote(part) for part in raw.removeprefix(V3).split("/")])
            if raw.startswith(LEGACY):
                return self._legacy(request, raw.removeprefix(LEGACY))
            return self._playback(request, [unquote(part) for part in raw.strip("/").split("/")])
        except BadQuery as error:
            return web.json_response(error.body, status=400)

    def _admits(self, given: str | None, method: str) -> bool:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        expected = f"Bearer {self.password}" if self.auth == "bearer" else f"Basic {pair}"
        may = method == "GET" or not self.read_only
        return given is not None and self.accepts(given == expected and may)

    async def _v3(self, request: web.BaseRequest, path: list[str]) -> web.Response:
        match request.method, path:
            case "GET", ["config", "stats"]:
                return web.json_response(self._server_stats())
            case "GET", ["monitoring", "liveness" | "readiness"]:
                stats = self._server_stats()
                return web.json_response({key: stats[key] for key in ("now", "server_version", "build", "started_at")})
            case "GET", ["streams"]:
                asked = query.parse([(key, value) for key, value in request.query.items()])
                if self.page_limit is not None:
                    asked.limit = min(asked.limit, self.page_limit)
                listed = sorted(self.media.values(), key=lambda one: (one.config.get("position", 0), one.name))
                items = [one.effective() for one in listed]
                return web.json_response(query.answer(items, asked, "streams"))
            case method, ["streams", *rest] if rest:
                return await self._one_stream(request, method, rest)
            case "GET", ["event_sinks"]:
                asked = query.parse([(key, value) for key, value in request.query.items()])
                return web.json_response(
                    query.answer([one.config for one in self._sinks.values()], asked, "event_sinks")
                )
            case method, ["event_sinks", name]:
                return await self._one_sink(request, method, name)
        return _error(404, "not_found")

    async def _one_stream(self, request: web.BaseRequest, method: str, path: list[str]) -> web.Response:
        # A name may have slashes in it: what belongs to it ends where a known word begins.
        for words in (("dvr", "ranges"), ("dvr", "export"), ("stop",), ()):
            if len(path) > len(words) and path[len(path) - len(words) :] == list(words):
                name, action = "/".join(path[: len(path) - len(words)]), "/".join(words)
                break
        if method == "PUT" and not action:
            return await self._save_stream(request, name)
        one = self.media.get(name)
        if one is None:
            return _error(404, "not_found")
        match method, action:
            case "GET", "":
                return web.json_response(one.effective())
            case "DELETE", "":
                del self.media[name]
                return web.Response(status=204)
            case "POST", "stop":
                one.restart()
                return web.Response(status=204)
            case "GET", "dvr/ranges":
                asked = query.parse([(key, value) for key, value in request.query.items()])
                ranges = self.recordings.listed(name, self.version >= 25)
                return web.json_response(query.answer(ranges, asked, "ranges"))
            case "POST", "dvr/export":
                self.exports.append({"name": name, **request.query})
                return web.Response(status=204)
        return _error(405, "unknown_operation")

    async def _save_stream(self, request: web.BaseRequest, name: str) -> web.Response:
        self._writes += 1
        change = await _object(request)
        if change is None:
            return _error(400, "bad_request")
        unknown = next((key for key in change if key not in _STREAM_KEYS | {"$reset", "stats"}), None)
        if unknown is not None:
            title = f"unknown key {unknown}"
            return web.json_response(
                {"errors": [{"status": "400", "code": "unknown_key", "title": title, "source": {"pointer": unknown}}]},
                status=400,
            )
        merged = merge(self.media[name].config if name in self.media else {"name": name}, change)
        if (bad := wrong(merged)) is not None:
            return web.json_response({"error": f"wrong {bad}", "while": "parsing_request", "name": bad}, status=400)
        if name in self.media:
            self.media[name].config = merged
        else:
            self.add(merged)
        return web.json_response(self.media[name].effective())

    async def _one_sink(self, request: web.BaseRequest, method: str, name: str) -> web.Response:
        known = self._sinks.get(name)
        if method == "PUT":
            change = await _object(request)
            config = merge(known.config if known else {"name": name}, change or {})
            url = str(config.get("url", ""))
            unknown = [key for key in change or {} if key not in _SINK_KEYS]
            if change is None or unknown or "://" not in url:
                return _error(400, "bad_request")
            if known is not None:
                await known.stop()
            self._make_sink(name, config)
            return web.json_response(config)
        if known is None:
            return _error(404, "not_found")
        if method == "DELETE":
            del self._sinks[name]
            await known.stop()
            return web.Response(status=204)
        return web.json_response(known.config) if method == "GET" else _error(405, "unknown_operation")

    # -- what it says of itself -----------------------------------------------------------------------------------

    @property
    def _version_text(self) -> str:
        return f"{self.version}.01"

    def _server_stats(self) -> dict[str, Any]:
        up = sum(one.alive for one in self.media.values())
        return {
            "now": round(self.now() * 1000),
            "server_version": self._version_text,
            "build": 230_127,
            "started_at": round(self._started_at),
            "streamer_status": "running",
            "hostname": self.hostname,
            "id": self._instance,
            "uptime": round(self.now() - self._started_at),
            "cpu_usage": 17,
            "memory_usage": 42,
            "scheduler_load": 5,
            "total_streams": len(self.media),
            "online_streams": up,
            "total_clients": 3,
            "input_kbit": 2100 * up,
            "output_kbit": 6300,
            "partitions": [{"path": "/storage", "total_mb": 4_000_000, "usage": 71}],
            "text_alerts": {},
            "events": {key: self.counters[key] for key in ("dropped_events", "resent_events")},
        }

    def _legacy(self, request: web.BaseRequest, path: str) -> web.Response:
        stats = self._server_stats()
        word, _, name = path.partition("/")
        match request.method, word:
            case "GET", "server":
                return web.json_response({"version": self._version_text, **{key: stats[key] for key in _LEGACY_KEYS}})
            case "GET", "media":
                return web.json_response(legacy.media(self.media.values(), request.query.get("name")))
            case "GET", "stream_health" if unquote(name) in self.media:
                return web.json_response(self.media[unquote(name)].alive)
        return _error(404, "not_found")

    # -- playback -------------------------------------------------------------------------------------------------

    def _playback(self, request: web.BaseRequest, path: list[str]) -> web.Response:
        *parts, last = path
        name = "/".join(parts)
        if request.method != "GET" or name not in self.media:
            return _error(404, "not_found")
        if last == "recording_status.json":
            if self.recordings.shape not in SHAPES:
                raise ValueError(f"recordings.shape is one of {', '.join(SHAPES)}")
            start, end = request.query.get("from", "0"), request.query.get("to", "now")
            until = round(self.now()) if end == "now" else int(end)
            return web.json_response(self.recordings.status(name, int(start), until))
        asked, clip = CLIP.fullmatch(last), self.recordings.clip
        if asked and clip is not None and self.recordings.covers(name, int(asked[1]), int(asked[2])):
            return web.Response(body=clip.read_bytes(), content_type="video/mp4")
        return _error(404, "not_found")


def _error(status: int, word: str) -> web.Response:
    return web.json_response({"error": word}, status=status)


async def _object(request: web.BaseRequest) -> dict[str, Any] | None:
    try:
        body = json.loads(await request.read())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
