"""Are the things that a driver returns what the model says? Types, and what the types cannot say."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from yarl import URL

from bridge.model import Capability, Device, DeviceEvent, EventKind, Found, Identity, Reading, Rung, Stream

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_TEXT_LIMIT = 4096


def identity(found: Any, declared: frozenset[Capability]) -> None:
    assert isinstance(found, Identity), f"probe() returns {found!r}, which is no bridge.model.Identity"
    for name in ("manufacturer", "model", "firmware", "serial", "hardware"):
        _text(getattr(found, name), f"Identity.{name}")
    assert found.manufacturer or found.model or found.serial, (
        "Identity says neither manufacturer, model nor serial: people cannot tell what it is"
    )
    assert isinstance(found.macs, tuple), "Identity.macs is a tuple"
    for mac in found.macs:
        assert _MAC.fullmatch(mac), f"Identity.macs has {mac!r}: write MACs in lower case with colons"
    more = found.capabilities - declared
    assert not more, f"Identity.capabilities has {_words(more)}, which the driver does not declare"
    less = declared - found.capabilities
    assert not less, (
        f"the simulated device lacks {_words(less)}, which the driver declares: probe() has to name it in "
        "Identity.capabilities, and the simulator has to be a unit that has it"
    )


def reading(found: Any, device: Device, declared: frozenset[Capability]) -> None:
    assert isinstance(found, Reading), f"poll() returns {found!r}, which is no bridge.model.Reading"
    assert found.rung is Rung.READY, f"Reading.rung of a healthy device that takes our credentials is {found.rung!r}"
    channels = {channel.key for channel in device.channels}
    for key, streams in found.streams.items():
        assert key in channels, f"Reading.streams has a channel {key!r}; the device's are {sorted(channels)}"
        assert isinstance(streams, tuple), f"Reading.streams[{key!r}] is a tuple of Stream"
        for stream in streams:
            _stream(stream)
    if Capability.STREAMS in declared:
        for key in sorted(channels):
            assert found.streams.get(key), (
                f"Capability.STREAMS is declared, and poll() reports no stream for channel {key!r} of a healthy device"
            )
    else:
        assert not found.streams, "poll() reports streams, and Capability.STREAMS is not declared: declare it"
    for name, value in found.facts.items():
        assert isinstance(name, str), f"facts has {name!r} for a name"
        assert value is None or isinstance(value, str | int | float | bool), f"facts[{name!r}] is a {type(value)}"
        assert not isinstance(value, float) or math.isfinite(value), (
            f"facts[{name!r}] is {value}, which JSON cannot say"
        )


def _stream(stream: Any) -> None:
    assert isinstance(stream, Stream), f"Reading.streams has {stream!r}, which is no bridge.model.Stream"
    assert stream.name, "a stream has no name"
    assert stream.up in (True, False, None), f"stream {stream.name}: up is {stream.up!r}"
    if stream.uri:
        url = URL(stream.uri)
        assert url.user is None, f"stream {stream.name}: its URI has credentials in it; take them out"
        assert url.password is None, f"stream {stream.name}: its URI has credentials in it; take them out"


def event(found: Any, device: Device) -> None:
    assert isinstance(found, DeviceEvent), f"events() yields {found!r}, which is no bridge.model.DeviceEvent"
    assert isinstance(found.kind, EventKind), f"DeviceEvent.kind is {found.kind!r}"
    channels = {channel.key for channel in device.channels}
    assert found.channel is None or found.channel in channels, (
        f"DeviceEvent.channel is {found.channel!r}; the device's channels are {sorted(channels)}, None stands for all "
        "of it. What the device calls it goes into `source`."
    )
    _text(found.source, "DeviceEvent.source")
    _text(found.topic, "DeviceEvent.topic")
    assert found.active in (True, False, None), f"DeviceEvent.active is {found.active!r}"
    assert isinstance(found.initial, bool), f"DeviceEvent.initial is {found.initial!r}"
    assert found.source_time is None or (
        isinstance(found.source_time, float | int) and math.isfinite(found.source_time)
    ), f"DeviceEvent.source_time is {found.source_time!r}: seconds since the epoch, or None"
    assert isinstance(found.data, Mapping), "DeviceEvent.data is a mapping"
    for name, value in found.data.items():
        _text(name, "a name in DeviceEvent.data")
        _text(value, f"DeviceEvent.data[{name!r}]")


def found_device(found: Any, name: str) -> None:
    assert isinstance(found, Found), f"discover() yields {found!r}, which is no bridge.model.Found"
    assert found.driver == name, f"Found.driver is {found.driver!r}, and the driver's name {name!r}"
    assert found.address, "Found.address is empty"


def _text(value: Any, what: str) -> None:
    assert isinstance(value, str), f"{what} is {value!r}, and has to be text"
    assert len(value) <= _TEXT_LIMIT, f"{what} has {len(value)} characters: cut what a device says"


def _words(capabilities: frozenset[Capability]) -> str:
    return ", ".join(f"Capability.{one.name}" for one in sorted(capabilities))
