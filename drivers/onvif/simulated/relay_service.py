"""Relay outputs and digital inputs: of the device service (devicemgmt.wsdl) and of the DeviceIO service."""

from __future__ import annotations

from lxml import etree

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.settings import Relay
from drivers.onvif.simulated.soap import Call, attribute, invalid_value
from drivers.onvif.simulated.state import DeviceState
from drivers.onvif.simulated.times import format_duration, parse_duration

_LONGEST_DELAY = 300.0


def get_relay_outputs(state: DeviceState, call: Call) -> str:
    """DeviceIO's WSDL takes messages of the device service for this one; its reply is in that namespace."""
    relays = "".join(
        f"<tds:RelayOutputs token={attribute(token)}><tt:Properties><tt:Mode>{relay.mode}</tt:Mode>"
        f"<tt:DelayTime>{format_duration(relay.delay)}</tt:DelayTime><tt:IdleState>{relay.idle}</tt:IdleState>"
        "</tt:Properties></tds:RelayOutputs>"
        for token, relay in state.settings.all(Relay).items()
    )
    return f"<tds:GetRelayOutputsResponse>{relays}</tds:GetRelayOutputsResponse>"


def set_relay_output_settings(state: DeviceState, call: Call) -> str:
    _store(state, reading.text(call.element, "RelayOutputToken"), reading.argument(call, "Properties"))
    return "<tds:SetRelayOutputSettingsResponse/>"


def set_relay_output_settings_io(state: DeviceState, call: Call) -> str:
    output = reading.argument(call, "RelayOutput")
    _store(state, output.get("token", ""), reading.needed(output, "Properties"))
    return "<tmd:SetRelayOutputSettingsResponse/>"


def _store(state: DeviceState, token: str, properties: etree._Element) -> None:
    _relay(state, token)
    mode, idle = reading.text(properties, "Mode"), reading.text(properties, "IdleState")
    try:
        delay = parse_duration(reading.text(properties, "DelayTime"))
    except ValueError as error:
        raise reading.invalid_args("DelayTime is no duration") from error
    if mode not in ("Monostable", "Bistable") or idle not in ("open", "closed"):
        raise reading.invalid_args("Mode is Monostable or Bistable, IdleState open or closed")
    if mode == "Monostable" and not 0 < delay <= _LONGEST_DELAY:
        raise invalid_value("ModeError", f"DelayTime is at most {_LONGEST_DELAY:g} s, and not nothing")
    state.put(token, Relay(mode, delay, idle))


def set_relay_output_state(state: DeviceState, call: Call) -> str:
    token = reading.text(call.element, "RelayOutputToken")
    relay = _relay(state, token)
    logical = reading.text(call.element, "LogicalState")
    if logical not in ("active", "inactive"):
        raise reading.invalid_args("LogicalState is active or inactive")
    active = logical == "active"
    if state.listener is not None:
        back = relay.delay if active and relay.mode == "Monostable" else None
        state.listener.relay_switched(token, active, back)
    return "<tds:SetRelayOutputStateResponse/>"


def _relay(state: DeviceState, token: str) -> Relay:
    relay = state.settings.get(Relay, token)
    if relay is None:
        raise invalid_value("RelayToken", "Unknown relay token reference")
    return relay


def get_relay_output_options(state: DeviceState, call: Call) -> str:
    wanted = call.text("RelayOutputToken")
    if wanted:
        _relay(state, wanted)
    options = "".join(
        f"<tmd:RelayOutputOptions token={attribute(token)}><tmd:Mode>Monostable</tmd:Mode><tmd:Mode>Bistable</tmd:Mode>"
        f"<tmd:DelayTimes>1 {_LONGEST_DELAY:g}</tmd:DelayTimes><tmd:Discrete>false</tmd:Discrete>"
        "</tmd:RelayOutputOptions>"
        for token in state.settings.all(Relay)
        if wanted in (None, "", token)
    )
    return f"<tmd:GetRelayOutputOptionsResponse>{options}</tmd:GetRelayOutputOptionsResponse>"


def get_digital_inputs(state: DeviceState, call: Call) -> str:
    inputs = "".join(f"<tmd:DigitalInputs token={attribute(token)}/>" for token in state.inputs)
    return f"<tmd:GetDigitalInputsResponse>{inputs}</tmd:GetDigitalInputsResponse>"
