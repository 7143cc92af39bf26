"""The `bridge` and `delivery` blocks: what the bridge is told about itself."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from bridge.config.effective import Layer, find
from bridge.config.models import SINKS, Bridge, Delivery, Http, PusherServer, Sink
from bridge.config.problems import one_of
from bridge.config.types import Listen, parse_listen
from bridge.config.validate import Validator
from bridge.config.yaml12 import Map
from bridge.pushes.labels import DEFAULT_LOCALE, LABELS


def read_bridge(root: Map, check: Validator) -> Bridge | None:
    """The `bridge` block; None after reporting what is wrong with it."""
    file = [Layer("file", (), root)]
    said = root.get("bridge")
    said = {} if said is None else said
    bridge = check(Bridge, said, file, ("bridge",))
    http, callbacks = _listening(said, "http") or Http().listen, _listening(said, "callbacks")
    if callbacks is not None and _clash(http, callbacks):
        place = find(file, ("bridge", "callbacks", "listen"))
        check.report.error(place, "is where bridge.http listens already", "take another port")
    if bridge is None:
        return None
    warn = check.report.warn
    if bridge.http.tls is None and not bridge.http.listen.loopback:
        warn(
            find(file, ("bridge", "http", "listen")),
            "HTTP without TLS that other machines can reach: what people and clients send can be read on the way",
            "say bridge.http.tls, or listen on 127.0.0.1 behind a proxy that has TLS",
        )
    if bridge.callbacks is not None and bridge.callbacks.listen.everywhere and bridge.callbacks.url is None:
        place = find(file, ("bridge", "callbacks", "listen"))
        warn(place, "devices cannot be told where to call", "say bridge.callbacks.url, an address they can reach")
    if bridge.syslog is not None and bridge.syslog.listen.everywhere and bridge.syslog.host is None:
        place = find(file, ("bridge", "syslog", "listen"))
        warn(place, "devices cannot be told where to send", "say bridge.syslog.host, an address they can reach")
    if bridge.locale not in LABELS:
        place = find(file, ("bridge", "locale"))
        warn(place, f"there are no built-in words for this locale, only for {one_of(LABELS)}", "say bridge.labels")
    for key in bridge.labels:
        if key not in LABELS[DEFAULT_LOCALE]:
            place = find(file, ("bridge", "labels", key), at_key=True)
            warn(place, "no push has this word", check.report.suggest(key, LABELS[DEFAULT_LOCALE]))
    return bridge


def _listening(bridge: object, key: str) -> Listen | None:
    """Where one of the listeners is to listen, whatever else is wrong in the block."""
    block = bridge.get(key) if isinstance(bridge, Map) else None
    try:
        return parse_listen(block.get("listen")) if isinstance(block, Map) else None
    except PydanticCustomError:
        return None


def _clash(one: Listen, other: Listen) -> bool:
    same_host = one.host == other.host or one.everywhere or other.everywhere
    return same_host and one.port == other.port != 0


def read_delivery(root: Map, check: Validator) -> Delivery | None:
    """The `delivery` block; None after reporting what is wrong with it."""
    file = [Layer("file", (), root)]
    said = root.get("delivery")
    block = dict(said) if isinstance(said, Map) else {} if said is None else said
    listed = (block.pop("sinks", None) if isinstance(block, dict) else None) or []
    delivery = check(Delivery, block, file, ("delivery",), also_known=("sinks",))
    if not isinstance(listed, list):
        check.report.error(
            find(file, ("delivery", "sinks")), "must be a list", "write its entries on lines that begin with -"
        )
        listed = []
    sinks = [_sink(entry, index, file, check) for index, entry in enumerate(listed)]
    _check_unique(sinks, file, check)
    if not listed:
        check.report.warn(find(file, ("delivery", "sinks")), "there are no sinks: nobody gets the pushes", "add one")
    if delivery is None:
        return None
    return delivery.model_copy(update={"sinks": tuple(sink for sink in sinks if sink is not None)})


def _sink(entry: object, index: int, file: list[Layer], check: Validator) -> Sink | None:
    path = ("delivery", "sinks", index)
    kind = entry.get("type") if isinstance(entry, Map) else None
    if isinstance(entry, Map) and isinstance(kind, str) and kind in SINKS:
        return check(SINKS[kind], entry, file, path)
    if not isinstance(entry, Map):
        check.report.error(find(file, path), "must be a block of fields", "begin it with a type: - type: …")
    elif kind is None:
        check.report.error(find(file, path), "has no type", f"say type: {one_of(SINKS)}")
    else:
        check.report.error(
            find(file, (*path, "type")), "there is no sink of this type", check.report.suggest(kind, SINKS)
        )
    return None


def _check_unique(sinks: list[Sink | None], file: list[Layer], check: Validator) -> None:
    names: dict[str, int] = {}
    keys: dict[str, int] = {}
    for index, sink in enumerate(sinks):
        if sink is None:
            continue
        if names.setdefault(sink.name, index) != index:
            line = find(file, ("delivery", "sinks", names[sink.name], "name")).mark.line
            place = find(file, ("delivery", "sinks", index, "name"))
            check.report.error(place, f"the sink of line {line} has this name already", "choose another")
        if isinstance(sink, PusherServer) and keys.setdefault(sink.key, index) != index:
            line = find(file, ("delivery", "sinks", keys[sink.key], "key")).mark.line
            place = find(file, ("delivery", "sinks", index, "key"))
            check.report.error(
                place, f"the sink of line {line} has this key already", "clients choose by it; take another"
            )
