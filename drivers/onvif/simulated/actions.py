"""What can happen in front of a simulated device, and to it: name → function.

Each takes the device's state and its event hub, then the details as keywords. A `channel` is a number from 0 or a
video source's token. ValueError for what the device has not.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from drivers.onvif.simulated.events import (
    INPUT,
    PROCESSOR,
    PROFILE_CHANGED,
    RELAY,
    SIGNAL_LOSS,
    TAMPER,
    Hub,
    Items,
    Topic,
    source_items,
)
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.state import DeviceState

# How a stream can be gone: an RTSP status, or a connection that just ends.
_LOSSES = ("404", "454", "503", "close")


def perform(state: DeviceState, hub: Hub, action: str, details: Mapping[str, Any]) -> None:
    """Let an action happen. ValueError for an unknown one, or for details that it does not take."""
    function = ACTIONS.get(action)
    if function is None:
        near = difflib.get_close_matches(action, ACTIONS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(ACTIONS)}"
        raise ValueError(f"an ONVIF device knows no action {action!r}: {hint}")
    try:
        inspect.signature(function).bind(state, hub, **details)
    except TypeError as error:
        takes = ", ".join(list(inspect.signature(function).parameters)[2:]) or "nothing"
        raise ValueError(f"{action}: {error}; it takes {takes}") from error
    function(state, hub, **details)


def motion(state: DeviceState, hub: Hub, active: bool = True, channel: int | str = 0) -> None:
    """Motion begins or ends, by all topics that the device reports it with."""
    never_clears = Quirk.MOTION_NEVER_CLEARS in state.quirks
    if never_clears and not active:
        return
    source = state.source(channel)
    for topic in hub.motion:
        data = ((topic.data[0][0], _bool(active)),)
        hub.set(topic, source_items(topic, source), data, repeat=never_clears)


def tamper(state: DeviceState, hub: Hub, active: bool = True, channel: int | str = 0) -> None:
    """The picture changes as a whole: covered, turned away."""
    _set_source_state(state, hub, TAMPER, active, channel)


def signal_loss(state: DeviceState, hub: Hub, active: bool = True, channel: int | str = 0) -> None:
    """The cable between an analog camera and the device is cut. The stream goes on, black."""
    _set_source_state(state, hub, SIGNAL_LOSS, active, channel)


def _set_source_state(state: DeviceState, hub: Hub, topic: Topic, active: bool, channel: int | str) -> None:
    hub.set(topic, source_items(topic, state.source(channel)), (("State", _bool(active)),))


def stream_loss(
    state: DeviceState,
    hub: Hub,
    stream: str | None = None,
    channel: int | str | None = None,
    on: bool = True,
    how: str = "503",
) -> None:
    """RTSP loses a stream ("high", "low", or a profile's token), those of a channel, or all; `on=False` mends them.

    `how` it answers then: 503 (busy), 454, 404, or "close".
    """
    if how not in _LOSSES:
        raise ValueError(f"how={how!r}: it is one of {', '.join(_LOSSES)}")
    for profile in state.profiles_of(stream=stream, channel=channel):
        if on:
            state.lost[profile.token] = how
        else:
            state.lost.pop(profile.token, None)


def digital_input(state: DeviceState, hub: Hub, active: bool = True, token: str | None = None) -> None:
    """An input changes; the first one without a token."""
    hub.set(INPUT, (("InputToken", _one(state.inputs, token, "input")),), (("LogicalState", _bool(active)),))


def relay(state: DeviceState, hub: Hub, active: bool = True, token: str | None = None) -> None:
    """A relay output changes; the first one without a token."""
    logical = "active" if active else "inactive"
    hub.set(RELAY, (("RelayToken", _one(state.relays, token, "relay")),), (("LogicalState", logical),))


def storage_failure(state: DeviceState, hub: Hub, active: bool = True) -> None:
    """The memory card dies, or is changed."""
    hub.set(hub.storage, (("Token", "SD_DISK"),), (("Failed", _bool(active)),))


def processor_usage(state: DeviceState, hub: Hub, value: float = 50.0) -> None:
    """Load of the processor in percent: real cameras send this every few seconds."""
    hub.set(PROCESSOR, (("Token", "CPU_0"),), (("Value", f"{value:g}"),))


def vendor_event(
    state: DeviceState,
    hub: Hub,
    topic: str,
    data: Mapping[str, str] | None = None,
    source: Mapping[str, str] | None = None,
    active: bool | None = None,
) -> None:
    """A message on any topic. `active` adds a State and makes it a change of a property."""
    items = _items(data)
    if active is not None:
        items = (*items, ("State", _bool(active)))
    hub.publish(str(topic), _items(source), items, None if active is None else "Changed")


def profile_changed(state: DeviceState, hub: Hub, token: str | None = None) -> None:
    """Somebody changed a media profile."""
    profile = state.profiles_of(stream=token)[0]
    hub.publish(PROFILE_CHANGED.path, (("Token", profile.token),), ())


def add_profile(state: DeviceState, hub: Hub, name: str = "extra", channel: int | str = 0) -> None:
    """Somebody makes one more media profile, with a stream of its own."""
    profile_changed(state, hub, state.add_profile(name, channel).token)


def remove_profile(state: DeviceState, hub: Hub, token: str) -> None:
    """Somebody deletes a media profile, by token or by the name of its stream."""
    profile = state.remove_profile(token)
    hub.publish(PROFILE_CHANGED.path, (("Token", profile.token),), ())


def set_password(state: DeviceState, hub: Hub, new: str) -> None:
    """Somebody changes the password. Subscriptions stay."""
    state.password = str(new)


def configure(
    state: DeviceState,
    hub: Hub,
    setting: str,
    token: str | None = None,
    remove: bool = False,
    **fields: Any,
) -> None:
    """Somebody else changes a setting: its kind, its token (the first without), and fields as in `settings`."""
    state.configure(setting, token, fields, remove=remove)


def set_clock(state: DeviceState, hub: Hub, offset: float = 0.0) -> None:
    """The clock is that many seconds ahead of true time from now on."""
    state.set_clock(float(offset))


def drop_subscriptions(state: DeviceState, hub: Hub) -> None:
    """The device forgets its subscriptions and tells nobody; who is pulling gets the fault."""
    hub.drop_all()


ACTIONS: Mapping[str, Callable[..., None]] = {
    "motion": motion,
    "tamper": tamper,
    "signal_loss": signal_loss,
    "stream_loss": stream_loss,
    "input": digital_input,
    "relay": relay,
    "storage_failure": storage_failure,
    "processor_usage": processor_usage,
    "vendor_event": vendor_event,
    "profile_changed": profile_changed,
    "add_profile": add_profile,
    "remove_profile": remove_profile,
    "set_password": set_password,
    "configure": configure,
    "set_clock": set_clock,
    "drop_subscriptions": drop_subscriptions,
}


def _items(given: Mapping[str, str] | None) -> Items:
    if given is not None and not isinstance(given, Mapping):
        raise ValueError("data and source are names with values")
    return tuple((str(name), str(value)) for name, value in (given or {}).items())


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _one(tokens: tuple[str, ...], token: str | None, what: str) -> str:
    if token is None and tokens:
        return tokens[0]
    if token in tokens:
        return token
    raise ValueError(f"no {what} {token!r}: this device has {', '.join(tokens) or 'none'}")
