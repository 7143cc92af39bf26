"""From what the inventory says of a sink to the sink."""

from __future__ import annotations

import ssl

from bridge.clock import Clock
from bridge.config import models
from bridge.delivery.pusher_http import BATCH, PusherHttp
from bridge.delivery.pusher_server import PusherServer
from bridge.delivery.sink import Sink
from bridge.delivery.webhook import Webhook
from bridge.metrics import Metrics
from bridge.secrets import Redactor


def build(sink: models.Sink, prefix: str, *, source: str, clock: Clock, metrics: Metrics, redactor: Redactor) -> Sink:
    """Raises OSError and ssl.SSLError for certificate files that cannot be used."""
    if isinstance(sink, models.PusherServer):
        return PusherServer(
            sink.name,
            sink.key,
            sink.secret,
            clock=clock,
            metrics=metrics,
            prefix=prefix,
            paths=sink.path_prefixes,
            socket_key=sink.socket_key,
            activity_timeout=int(sink.activity_timeout),
            max_connections=sink.max_connections,
            max_buffer=sink.buffer,
        )
    tls = _tls(sink.tls) if sink.url.startswith("https:") else None
    if isinstance(sink, models.WebhookSink):
        return Webhook(
            sink.name,
            sink.url,
            sink.secret,
            source=source,
            events=sink.events,
            pushes=sink.pushes,
            clock=clock,
            redactor=redactor,
            prefix=prefix,
            timeout=sink.timeout,
            tls=tls,
        )
    return PusherHttp(
        sink.name,
        sink.url,
        sink.app_id,
        sink.key,
        sink.secret,
        clock=clock,
        redactor=redactor,
        prefix=prefix,
        socket_key=sink.socket_key,
        max_payload=sink.max_payload,
        batch={"auto": BATCH, "off": 1}[sink.batch] if isinstance(sink.batch, str) else sink.batch,
        timeout=sink.timeout,
        tls=tls,
    )


def _tls(tls: models.SinkTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
