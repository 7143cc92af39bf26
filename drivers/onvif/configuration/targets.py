"""Where the device sends its events by itself: event brokers (Core specification 21.06, Event service, MQTT).

A broker has no name of its own; what we call it is the topic prefix that it was given.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from bridge.errors import Rejected
from bridge.settings.limits import FLAG, Limit, Text
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Value, split
from drivers.onvif.configuration.messages import request, text
from drivers.onvif.configuration.unit import EVENTS, NOTHING, Told, Unit
from drivers.transports import xml

_BROKERS = 32


async def read(unit: Unit, section: str) -> Told:
    if EVENTS not in unit.client.paths:
        return NOTHING
    told = await unit.ask(EVENTS, request(EVENTS, "GetEventBrokers"))
    if told is None or xml.local(told) != "GetEventBrokersResponse":
        return NOTHING
    values: dict[str, Value] = {}
    for one in list(xml.children(told, "EventBroker"))[:_BROKERS]:
        name, address = xml.text(one, "TopicPrefix"), xml.text(one, "Address")
        if name and address and "@" not in address and not any(letter.isspace() for letter in name + address):
            values[f"event_targets.{name[:64]}.url"] = address[:500]
    limits: dict[str, Limit] = {"event_targets.*.url": Text(500, 8), "event_targets.*.absent": FLAG}
    return Told(values, limits)


async def write(unit: Unit, step: Step) -> bool:
    before, after = step.before.event_targets or {}, step.after.event_targets or {}
    told = await unit.must(EVENTS, request(EVENTS, "GetEventBrokers"))
    there = {xml.text(one, "Address") for one in xml.children(told, "EventBroker")}
    for name in dict.fromkeys(split(path)[1] for path in step.paths):
        wanted = after[name]
        if not wanted.absent:
            if wanted.url is None:
                raise Rejected(f"the target {name} has no url")
            broker = (
                f"<m:EventBroker><m:Address>{escape(wanted.url)}</m:Address>"
                f"<m:TopicPrefix>{escape(name)}</m:TopicPrefix><m:QoS>1</m:QoS></m:EventBroker>"
            )
            await unit.tell(EVENTS, request(EVENTS, "AddEventBroker", broker.encode()))
        # The new one first: a device that refuses it keeps the old one.
        old = before[name].url if name in before else None
        if old in there and (wanted.absent or old != wanted.url):
            await unit.tell(EVENTS, request(EVENTS, "DeleteEventBroker", text("Address", old)))
    return False
