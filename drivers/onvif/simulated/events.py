"""What a device tells and to whom: topics, properties, subscriptions with their queues. No I/O but the waiting.

After ONVIF Core, "Event handling", and WS-BaseNotification 1.3: a subscriber to a property is first told its state as
Initialized, then each change as Changed. Nothing here survives a reboot but the state of the properties.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.soap import simple_items
from drivers.onvif.simulated.state import CELL_MOTION, MOTION_ALARM, DeviceState, Source
from drivers.onvif.simulated.times import format_datetime

CONCRETE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"
CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
# Messages that wait for one subscriber. Core forbids to discard any; a device has an end to its memory all the same.
QUEUE = 2048
# Longer wishes are cut to this.
LONGEST_LIFE = 86_400.0
DEFAULT_LIFE = 60.0

Items = tuple[tuple[str, str], ...]
_STATE = (("State", "xs:boolean"),)
_SOURCE = (("Source", "tt:ReferenceToken"),)
_RULE = (
    ("VideoSourceConfigurationToken", "tt:ReferenceToken"),
    ("VideoAnalyticsConfigurationToken", "tt:ReferenceToken"),
    ("Rule", "xs:string"),
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and its message description: names and types of the items."""

    path: str
    is_property: bool
    source: Items
    data: Items


SIGNAL_LOSS = Topic("tns1:VideoSource/SignalLoss", True, _SOURCE, _STATE)
TAMPER = Topic("tns1:VideoSource/GlobalSceneChange/ImagingService", True, _SOURCE, _STATE)
INPUT = Topic(
    "tns1:Device/Trigger/DigitalInput", True, (("InputToken", "tt:ReferenceToken"),), (("LogicalState", "xs:boolean"),)
)
RELAY = Topic(
    "tns1:Device/Trigger/Relay",
    True,
    (("RelayToken", "tt:ReferenceToken"),),
    (("LogicalState", "tt:RelayLogicalState"),),
)
STORAGE = Topic(
    "tns1:Device/HardwareFailure/StorageFailure", True, (("Token", "tt:ReferenceToken"),), (("Failed", "xs:boolean"),)
)
# The same, the way a firmware without the leaf sends it.
BARE_STORAGE = Topic("tns1:Device/HardwareFailure", True, STORAGE.source, STORAGE.data)
PROCESSOR = Topic("tns1:Monitoring/ProcessorUsage", True, (("Token", "tt:ReferenceToken"),), (("Value", "xs:float"),))
LAST_REBOOT = Topic("tns1:Monitoring/OperatingTime/LastReboot", True, (), (("Status", "xs:dateTime"),))
PROFILE_CHANGED = Topic("tns1:Media/ProfileChanged", False, (("Token", "tt:ReferenceToken"),), ())
CONFIGURATION_CHANGED = Topic(
    "tns1:Media/ConfigurationChanged", False, (("Token", "tt:ReferenceToken"), ("Type", "xs:string")), ()
)
MOTION_TOPICS = {
    MOTION_ALARM: Topic(MOTION_ALARM, True, _SOURCE, _STATE),
    CELL_MOTION: Topic(CELL_MOTION, True, _RULE, (("IsMotion", "xs:boolean"),)),
}
_DLINK = Topic("tns1:VideoSoure/MotionAlarm", True, _SOURCE, _STATE)
_VIDEO_ANALYTICS = Topic("tns1:VideoAnalytics/tnsav:MotionDetection", True, _SOURCE, _STATE)


def motion_topics(state: DeviceState) -> tuple[Topic, ...]:
    """The topics by which this device reports motion. ValueError for a topic whose items nobody described."""
    if Quirk.DLINK_TOPIC in state.quirks:
        return (_DLINK,)
    if Quirk.VIDEO_ANALYTICS_TOPIC in state.quirks:
        return (_VIDEO_ANALYTICS,)
    unknown = set(state.traits.motion_topics) - MOTION_TOPICS.keys()
    if unknown:
        raise ValueError(f"motion_topics: {', '.join(sorted(unknown))}; known are {', '.join(MOTION_TOPICS)}")
    return tuple(MOTION_TOPICS[path] for path in state.traits.motion_topics)


def source_items(topic: Topic, source: Source) -> Items:
    """The Source items that name a video source in a topic."""
    if topic.source is _RULE:
        return tuple(zip((n for n, _ in _RULE), (source.config_token, source.config_token, "MotionRule"), strict=True))
    return ((topic.source[0][0], source.token),)


class Filter:
    """A topic filter: Concrete and ConcreteSet expressions. Prefixes are not resolved, names are compared."""

    __slots__ = ("_paths",)

    def __init__(self, expressions: Iterable[str]) -> None:
        self._paths: list[tuple[str, bool]] = []
        for expression in expressions:
            for path in expression.split("|"):
                path = path.strip()
                subtree = path.endswith("//.")
                self._paths.append((plain(path.removesuffix("//.")), subtree))

    def matches(self, topic: str) -> bool:
        if not self._paths:
            return True
        name = plain(topic)
        return any(name == path or (subtree and name.startswith(path + "/")) for path, subtree in self._paths)


def plain(topic: str) -> str:
    """A topic without the prefixes of its segments."""
    return "/".join(segment.rpartition(":")[2] for segment in topic.split("/"))


class Subscription:
    """One subscriber: a pull point, or a `consumer` address that messages are posted to."""

    __slots__ = ("changed_only", "consumer", "dead", "expires", "filter", "key", "queue", "waiter")

    def __init__(self, key: str, expires: float, topics: Filter, consumer: str | None, changed_only: bool) -> None:
        self.key = key  # the path and query of its address, or the id that Axis puts into a header
        self.expires = expires  # monotonic
        self.filter = topics
        self.consumer = consumer
        self.changed_only = changed_only
        self.queue: deque[str] = deque(maxlen=QUEUE)
        self.waiter: asyncio.Future[None] | None = None  # who waits for a message
        self.dead = False

    def put(self, message: str) -> None:
        self.queue.append(message)
        self.wake()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def end(self) -> None:
        self.dead = True
        self.wake()


class Hub:
    """All subscriptions of a device, and the state of its properties."""

    def __init__(self, state: DeviceState) -> None:
        self._state = state
        state.listener = self
        self._subscriptions: dict[str, Subscription] = {}
        self._properties: dict[tuple[Topic, Items], Items] = {}
        self.newest: Subscription | None = None
        self._falling: dict[str, asyncio.TimerHandle] = {}  # relays that go back by themselves
        self._count = 0  # never starts over, so that an old address stays unknown after a reboot
        self.motion = motion_topics(state)
        self.on_consumer: Callable[[Subscription], None] | None = None  # told of each subscription with a consumer
        for source in state.sources:
            for topic in (SIGNAL_LOSS, TAMPER):
                self._properties[topic, source_items(topic, source)] = (("State", "false"),)
        for token in state.inputs:
            self._properties[INPUT, (("InputToken", token),)] = (("LogicalState", "false"),)
        for token in state.relays:
            self._properties[RELAY, (("RelayToken", token),)] = (("LogicalState", "inactive"),)
        self.storage = BARE_STORAGE if Quirk.BARE_HARDWARE_FAILURE in state.quirks else STORAGE
        self._properties[self.storage, (("Token", "SD_DISK"),)] = (("Failed", "false"),)
        self._properties[PROCESSOR, (("Token", "CPU_0"),)] = (("Value", "12.5"),)
        self.booted()

    def topics(self) -> list[Topic]:
        """Every topic that the device announces."""
        return [*dict.fromkeys(topic for topic, _ in self._properties), PROFILE_CHANGED, CONFIGURATION_CHANGED]

    # --- what a client did

    def configuration_changed(self, token: str, kind: str) -> None:
        self.publish(CONFIGURATION_CHANGED.path, (("Token", token), ("Type", kind)), ())

    def relay_switched(self, token: str, active: bool, seconds: float | None) -> None:
        """`seconds`: after those it falls back by itself (Monostable)."""
        self.set(RELAY, (("RelayToken", token),), (("LogicalState", "active" if active else "inactive"),))
        falling = self._falling.pop(token, None)
        if falling is not None:
            falling.cancel()
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._falling[token] = loop.call_later(seconds, self.relay_switched, token, False, None)

    # --- subscribers

    def alive(self, *, consumers: bool | None = None) -> list[Subscription]:
        """Live subscriptions: all, those with a consumer, or the pull points. What is over is forgotten on the way."""
        now = self._state.mono()
        for one in list(self._subscriptions.values()):
            pulling = one.consumer is None and one.waiter is not None  # nobody is dropped in the middle of a pull
            if one.expires <= now and not pulling:
                self.drop(one)
        return [
            one for one in self._subscriptions.values() if consumers is None or (one.consumer is not None) == consumers
        ]

    def get(self, key: str) -> Subscription | None:
        self.alive()
        return self._subscriptions.get(key)

    def subscribe(
        self, make_key: Callable[[int], str], life: float, topics: Filter, consumer: str | None, *, changed_only: bool
    ) -> Subscription:
        self._count += 1
        key = make_key(self._count)
        subscription = Subscription(key, self._state.mono() + life, topics, consumer, changed_only)
        self._subscriptions[key] = self.newest = subscription
        self.synchronize(subscription)
        if consumer is not None and self.on_consumer is not None:
            self.on_consumer(subscription)
        return subscription

    def drop(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(subscription.key, None):
            subscription.end()

    def drop_all(self) -> None:
        for subscription in list(self._subscriptions.values()):
            self.drop(subscription)

    # --- messages

    def booted(self) -> None:
        """Motion is looked for anew; what is a matter of wires and disks stays as it is."""
        for source in self._state.sources:
            for topic in self.motion:
                self._properties[topic, source_items(topic, source)] = ((topic.data[0][0], "false"),)
        self._properties[LAST_REBOOT, ()] = (("Status", format_datetime(self._state.booted_at)),)

    def synchronize(self, subscription: Subscription) -> None:
        """Tell a subscriber the state of every property it asked for."""
        if subscription.changed_only:
            return
        for _ in range(2 if Quirk.INITIALIZED_TWICE in self._state.quirks else 1):
            for (topic, source), data in self._properties.items():
                if subscription.filter.matches(topic.path):
                    subscription.put(self._message(topic.path, source, data, "Initialized"))

    def set(self, topic: Topic, source: Items, data: Items, *, repeat: bool = False) -> None:
        """A property has that state now: a message if that is a change, or if `repeat`."""
        if self._properties.get((topic, source)) != data or repeat:
            self._properties[topic, source] = data
            self.publish(topic.path, source, data, "Changed")

    def publish(self, topic: str, source: Items, data: Items, operation: str | None = None) -> None:
        """Send a message to all who asked for its topic; `operation` is the PropertyOperation."""
        receivers = [one for one in self.alive() if one.filter.matches(topic)]
        if receivers:
            message = self._message(topic, source, data, operation)
            for subscription in receivers:
                subscription.put(message)

    def _message(self, topic: str, source: Items, data: Items, operation: str | None) -> str:
        state = self._state
        quirks = state.quirks
        if Quirk.NUMERIC_STATES in quirks:
            data = tuple((name, _NUMERIC.get(value, value)) for name, value in data)
        elif Quirk.ACTIVE_STATES in quirks:
            data = tuple((name, _ACTIVE.get(value, value)) for name, value in data)
        producer = ""
        if state.make.producer_reference:
            producer = (
                f"<wsnt:ProducerReference><wsa:Address>{state.xaddr('tev')}</wsa:Address></wsnt:ProducerReference>"
            )
        attribute = f' PropertyOperation="{operation}"' if operation else ""
        return (
            f'<wsnt:NotificationMessage><wsnt:Topic Dialect="{CONCRETE_SET}">{escape(topic)}</wsnt:Topic>{producer}'
            f'<wsnt:Message><tt:Message UtcTime="{state.stamp(state.now())}"{attribute}>'
            f"<tt:Source>{simple_items(source)}</tt:Source><tt:Data>{simple_items(data)}</tt:Data>"
            "</tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        )


_NUMERIC: Mapping[str, str] = {"true": "1", "false": "0"}
_ACTIVE: Mapping[str, str] = {"true": "active", "false": "inactive"}
