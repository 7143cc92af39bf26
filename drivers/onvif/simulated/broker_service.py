"""MQTT brokers that a device is told of: event.wsdl, Core, "Event broker". It keeps them and calls nobody."""

from __future__ import annotations

from urllib.parse import urlsplit

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.settings import Broker
from drivers.onvif.simulated.soap import Call, SoapFault, content, find, invalid_value, not_supported
from drivers.onvif.simulated.state import DeviceState

# tev:EventBrokerProtocol
PROTOCOLS = ("mqtt", "mqtts")


def get_event_brokers(state: DeviceState, call: Call) -> str:
    """Never the password (event.wsdl)."""
    _supported(state, call)
    wanted = call.text("Address")
    brokers = state.settings.all(Broker)
    if wanted and wanted not in brokers:
        raise invalid_value("InvalidAddress", "There is no such broker")
    inner = ""
    for address, broker in brokers.items():
        if wanted not in (None, "", address):
            continue
        user = f"<tev:UserName>{content(broker.username)}</tev:UserName>" if broker.username else ""
        topics = ""
        if broker.topics:
            dialect = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
            expression = f'<wsnt:TopicExpression Dialect="{dialect}">{content(broker.topics)}</wsnt:TopicExpression>'
            topics = f"<tev:PublishFilter>{expression}</tev:PublishFilter>"
        inner += (
            f"<tev:EventBroker><tev:Address>{content(address)}</tev:Address>"
            f"<tev:TopicPrefix>{content(broker.topic_prefix)}</tev:TopicPrefix>{user}{topics}"
            f"<tev:QoS>{broker.qos}</tev:QoS><tev:Status>Offline</tev:Status></tev:EventBroker>"
        )
    return f"<tev:GetEventBrokersResponse>{inner}</tev:GetEventBrokersResponse>"


def add_event_broker(state: DeviceState, call: Call) -> str:
    """One with the same address is replaced."""
    _supported(state, call)
    element = reading.argument(call, "EventBroker")
    address = reading.text(element, "Address")
    parts = urlsplit(address)
    if parts.scheme not in PROTOCOLS or not parts.hostname or parts.path not in ("", "/"):
        raise invalid_value("InvalidAddress", f"The address is {' or '.join(PROTOCOLS)}://host:port")
    prefix = reading.text(element, "TopicPrefix")
    qos = reading.optional(element, "QoS")
    broker = Broker(
        topic_prefix=prefix,
        username=reading.optional(element, "UserName") or "",
        qos=0 if qos is None else reading.as_integer(qos, "QoS"),
        topics=(reading.optional(element, "PublishFilter", "TopicExpression") or "")
        if find(element, "PublishFilter") is not None
        else "",
        password=reading.optional(element, "Password") or "",
    )
    if not prefix or broker.qos not in (0, 1, 2):
        raise reading.invalid_args("TopicPrefix is not empty, and QoS is 0, 1 or 2")
    known = state.settings.all(Broker)
    if address not in known and len(known) >= state.traits.event_brokers:
        raise SoapFault("Receiver", ("ter:Action", "ter:TooManyEventBrokers"), "No place is left for a broker")
    state.put(address, broker)
    return "<tev:AddEventBrokerResponse/>"


def delete_event_broker(state: DeviceState, call: Call) -> str:
    _supported(state, call)
    address = reading.text(call.element, "Address")
    if address not in state.settings.all(Broker):
        raise invalid_value("InvalidAddress", "There is no such broker")
    state.drop(Broker, address)
    return "<tev:DeleteEventBrokerResponse/>"


def _supported(state: DeviceState, call: Call) -> None:
    if not state.traits.event_brokers:
        raise not_supported(call.operation)
