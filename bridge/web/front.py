"""The main listener: clients of the Pusher server, the API, health and metrics on one port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files

from aiohttp import web
from prometheus_client import generate_latest

from bridge.clock import Clock
from bridge.config import models
from bridge.delivery.pusher_server import PusherServer
from bridge.files import Shelf
from bridge.metrics import Metrics
from bridge.web.api import Api
from bridge.web.broadcasting import Broadcasting
from bridge.web.silence import KEEP_ALIVE, Silence
from bridge.web.tokens import Tokens

Ready = Callable[[], Mapping[str, str]]

_PAGES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Front:
    """Serves until `close`."""

    def __init__(self, http: models.Http) -> None:
        self._http = http
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None
        self.url = ""  # how it is reached, once open

    async def open(
        self,
        *,
        servers: Sequence[PusherServer],
        tokens: Tokens,
        api: Api,
        shelf: Shelf,
        metrics: Metrics,
        before_metrics: Callable[[], None],
        ready: Ready,
        clock: Clock,
    ) -> None:
        """Raises OSError when the address cannot be listened on."""
        silence = Silence(clock)
        app = web.Application(client_max_size=1 << 20, middlewares=[silence.heard, api.middleware])
        app.add_routes(_pages())
        app.add_routes(_health(metrics, before_metrics, ready))
        app.add_routes(api.routes())
        app.add_routes(shelf.routes())
        if servers:
            app.add_routes(Broadcasting(tokens, servers, clock=clock, metrics=metrics).routes())
        for server in servers:
            app.add_routes(server.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=KEEP_ALIVE)
        await self._runner.setup()
        self._watching = asyncio.create_task(silence.watch(self._runner), name="front: silent connections")
        listen, tls = self._http.listen, self._tls()
        try:
            await web.TCPSite(self._runner, listen.host, listen.port, ssl_context=tls, backlog=2048).start()
        except OSError:
            await self.close()
            raise
        host, port = self._runner.addresses[0][:2]
        shown = f"[{host}]" if ":" in host else host
        self.url = self._http.url or f"{'https' if tls else 'http'}://{shown}:{port}"

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _tls(self) -> ssl.SSLContext | None:
        if self._http.tls is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._http.tls.certificate, self._http.tls.key)
        return context


def _pages() -> list[web.RouteDef]:
    def page(name: str, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        body = files("bridge.web").joinpath("static", name).read_bytes()

        async def serve(request: web.Request) -> web.Response:
            return web.Response(body=body, content_type=content_type, charset="utf-8", headers=_SAFE)

        return serve

    return [web.get(path, page(*one)) for path, one in _PAGES.items()]


def _health(metrics: Metrics, before_metrics: Callable[[], None], ready: Ready) -> list[web.RouteDef]:
    async def healthz(request: web.Request) -> web.Response:
        # That this is answered is the news: the loop runs.
        return web.json_response({"status": "ok"})

    async def readyz(request: web.Request) -> web.Response:
        wrong = dict(ready())
        body = {"status": "not ready", "reasons": wrong} if wrong else {"status": "ready"}
        return web.json_response(body, status=503 if wrong else 200)

    async def metrics_page(request: web.Request) -> web.Response:
        before_metrics()
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics_page)]
