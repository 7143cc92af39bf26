"""What the bridge counts, for Prometheus. One instance a process, handed to whoever counts.

But for servers, no label names a device: with thousands of them that would be thousands of series. `/api/v1/devices`
and `device-bridge devices` tell about single devices.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"bridge_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"bridge_{name}", text, labels, registry=registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"bridge_{name}_seconds", text, labels, registry=registry, buckets=_SECONDS)

        # Devices
        self.devices = gauge("devices", "Devices by driver and reachability", "driver", "reach")
        self.polls = counter("polls", "Polls by driver and outcome (ok, or the kind of error)", "driver", "outcome")
        self.poll_seconds = seconds("poll", "How long a poll takes", "driver")
        self.poll_late_seconds = seconds("poll_late", "How much later than planned a poll starts", "driver")
        self.events = counter("events", "Messages from devices by meaning", "driver", "kind")
        self.events_dropped = counter("events_dropped", "Device events beyond a bound, by bound", "bound")
        self.event_streams = gauge("event_streams", "Event streams that are open", "driver")
        # Servers are few, and each is a figure of its own to whoever runs them: the one metric that names devices.
        self.server_facts = gauge("server_facts", "What servers tell of themselves, numbers only", "device", "fact")
        self.faults = counter("driver_faults", "Errors that are bugs of a driver", "driver")
        self.callbacks = counter("callbacks", "Calls from devices by outcome", "outcome")
        self.traps = counter("traps", "SNMP traps and informs by outcome", "outcome")
        self.traps_waiting = gauge("traps_waiting", "SNMP traps and informs that wait to be read")
        self.syslog = counter("syslog", "Lines of syslog by outcome", "outcome")
        self.syslog_waiting = gauge("syslog_waiting", "Lines of syslog that wait to be read")
        # Store
        self.commit_seconds = seconds("commit", "From a change of state to its being on disk")
        self.store_waiting = gauge("store_waiting", "Writes that wait for the store")
        self.store_errors = counter("store_errors", "Writes that the store refused")
        # Templates
        self.applies = counter("template_applies", "Templates applied to cameras, by result", "result")
        self.apply_seconds = Histogram(
            "bridge_template_apply_seconds",
            "How long a template takes on one camera",
            registry=registry,
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600),
        )
        # Clips
        self.clips = counter("clips", "Clips of archives by outcome (ok, error)", "outcome")
        self.clips_waiting = gauge("clips_waiting", "Clips that are being made or wait for their turn")
        self.clip_bytes = counter("clip_bytes", "Bytes of clips that were brought here")
        # Delivery
        self.pushes = counter("pushes", "Pushes decided, by type", "type")
        self.delivered = counter("delivered", "Pushes delivered by sink", "sink")
        self.delivery_failures = counter("delivery_failures", "Tries of a sink that failed", "sink")
        self.unknown_outcomes = counter(
            "delivery_unknown_outcomes", "Pushes sent again because nobody knows whether they arrived", "sink"
        )
        self.dead_letters = counter("dead_letters", "Pushes that a sink's server refused for good", "sink")
        self.outbox_dropped = counter("outbox_dropped", "Pushes that left the outbox undelivered at its bound", "sink")
        self.stale = counter("samples_stale", "Samples not sent because they had become too old", "sink")
        self.outbox_lag = gauge("outbox_lag", "Pushes that a sink has still to deliver", "sink")
        # Subscribers of our own Pusher server
        self.subscribers = gauge("subscribers", "Open websocket connections")
        self.frames = counter("frames", "Frames sent to subscribers")
        self.closed_slow = counter("subscribers_closed_slow", "Subscribers closed because they stopped reading")
        self.refused = counter("subscribers_refused", "Connections and subscriptions refused, by reason", "reason")
        # The API
        self.requests = counter("api_requests", "Requests to the API", "method", "path", "status")
        # The process
        self.reloads = counter("reloads", "Inventory reloads by outcome", "outcome")
        self.loop_lag_seconds = seconds("loop_lag", "How late the event loop wakes a sleeper")
