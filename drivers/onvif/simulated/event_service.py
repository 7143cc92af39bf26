"""The event service and its subscription managers: after event.wsdl, bw-2.wsdl and ONVIF Core, "Event handling"."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from xml.sax.saxutils import escape

from drivers.onvif.simulated.device_service import service_capabilities
from drivers.onvif.simulated.events import (
    CONCRETE,
    CONCRETE_SET,
    DEFAULT_LIFE,
    LONGEST_LIFE,
    Filter,
    Hub,
    Items,
    Subscription,
    Topic,
)
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.soap import (
    NAMESPACES,
    BareReply,
    Call,
    SoapFault,
    children,
    local_name,
    not_supported,
    notification_fault,
)
from drivers.onvif.simulated.state import DeviceState
from drivers.onvif.simulated.times import format_duration, parse_datetime, parse_duration

_TEV = "http://www.onvif.org/ver10/events/wsdl"
_BW2 = "http://docs.oasis-open.org/wsn/bw-2"
_SUBSCRIPTION_ID = f"{{{NAMESPACES['dom0']}}}SubscriptionId"
_IS_REFERENCE_PARAMETER = f"{{{NAMESPACES['wsa']}}}IsReferenceParameter"
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
MESSAGE_LIMIT = 100

Handler = Callable[[Call, str], Awaitable[str]]


class EventService:
    """The operations. `target` is the path and query that a request came to."""

    def __init__(self, state: DeviceState, hub: Hub) -> None:
        self._state = state
        self._hub = hub
        # prefix and name of the operation -> handler, WS-Addressing action of the reply
        self.operations: Mapping[tuple[str, str], tuple[Handler, str]] = {
            ("tev", "GetServiceCapabilities"): (
                self._capabilities,
                f"{_TEV}/EventPortType/GetServiceCapabilitiesResponse",
            ),
            ("tev", "GetEventProperties"): (self._properties, f"{_TEV}/EventPortType/GetEventPropertiesResponse"),
            ("tev", "CreatePullPointSubscription"): (
                self._create_pull_point,
                f"{_TEV}/EventPortType/CreatePullPointSubscriptionResponse",
            ),
            ("tev", "PullMessages"): (self._pull, f"{_TEV}/PullPointSubscription/PullMessagesResponse"),
            ("tev", "SetSynchronizationPoint"): (
                self._synchronize,
                f"{_TEV}/PullPointSubscription/SetSynchronizationPointResponse",
            ),
            ("wsnt", "Subscribe"): (self._subscribe, f"{_BW2}/NotificationProducer/SubscribeResponse"),
            ("wsnt", "Renew"): (self._renew, f"{_BW2}/SubscriptionManager/RenewResponse"),
            ("wsnt", "Unsubscribe"): (self._unsubscribe, f"{_BW2}/SubscriptionManager/UnsubscribeResponse"),
        }

    # --- the event service

    async def _capabilities(self, call: Call, target: str) -> str:
        capabilities = service_capabilities(self._state, "tev")
        return f"<tev:GetServiceCapabilitiesResponse>{capabilities}</tev:GetServiceCapabilitiesResponse>"

    async def _properties(self, call: Call, target: str) -> str:
        return (
            "<tev:GetEventPropertiesResponse>"
            "<tev:TopicNamespaceLocation>http://www.onvif.org/onvif/ver10/topics/topicns.xml</tev:TopicNamespaceLocation>"
            f"<wsnt:FixedTopicSet>true</wsnt:FixedTopicSet><wstop:TopicSet>{topic_set(self._hub.topics())}</wstop:TopicSet>"
            f"<wsnt:TopicExpressionDialect>{CONCRETE}</wsnt:TopicExpressionDialect>"
            f"<wsnt:TopicExpressionDialect>{CONCRETE_SET}</wsnt:TopicExpressionDialect>"
            # One empty URL says that no content filter is supported.
            "<tev:MessageContentFilterDialect></tev:MessageContentFilterDialect><tev:MessageContentSchemaLocation>"
            "http://www.onvif.org/onvif/ver10/schema/onvif.xsd</tev:MessageContentSchemaLocation>"
            "</tev:GetEventPropertiesResponse>"
        )

    async def _create_pull_point(self, call: Call, target: str) -> str:
        if not self._state.max_pull_points:
            raise not_supported("CreatePullPointSubscription")
        if len(self._hub.alive(consumers=False)) >= self._state.max_pull_points:
            raise self._fault("SubscribeCreationFailedFault", "No pull point is free")
        subscription = self._new(call, consumer=None)
        return self._created(subscription, "tev", "CreatePullPointSubscriptionResponse")

    async def _subscribe(self, call: Call, target: str) -> str:
        most = self._state.traits.max_notification_producers
        if not most:
            raise not_supported("Subscribe")
        if len(self._hub.alive(consumers=True)) >= most:
            raise self._fault("SubscribeCreationFailedFault", "No notification producer is free")
        consumer = call.text("ConsumerReference", "Address") or ""
        if not consumer.startswith(("http://", "https://")):
            raise SoapFault("Sender", ("ter:InvalidArgVal",), "ConsumerReference has no address to post to")
        return self._created(self._new(call, consumer), "wsnt", "SubscribeResponse")

    def _new(self, call: Call, consumer: str | None) -> Subscription:
        element = call.find("InitialTerminationTime")
        text = None if element is None or element.get(_XSI_NIL) in ("true", "1") else (element.text or "").strip()
        life = self._lifetime(text, "UnacceptableInitialTerminationTimeFault")
        policy = call.find("SubscriptionPolicy")
        return self._hub.subscribe(
            str if Quirk.AXIS_REFERENCE_PARAMETERS in self._state.quirks else self._target_of,
            life,
            self._filter(call),
            consumer,
            changed_only=any(local_name(child) == "ChangedOnly" for child in children(policy)),
        )

    def _target_of(self, number: int) -> str:
        return f"{self._state.make.subscription}{number}"

    def _created(self, subscription: Subscription, prefix: str, name: str) -> str:
        if Quirk.AXIS_REFERENCE_PARAMETERS in self._state.quirks:
            reference = (
                f"<wsa:Address>{self._state.xaddr('tev')}</wsa:Address><wsa:ReferenceParameters>"
                f"<dom0:SubscriptionId>{subscription.key}</dom0:SubscriptionId></wsa:ReferenceParameters>"
            )
        else:
            reference = f"<wsa:Address>{escape(self._state.origin + subscription.key)}</wsa:Address>"
        return (
            f"<{prefix}:{name}><{prefix}:SubscriptionReference>{reference}</{prefix}:SubscriptionReference>"
            f"{self._times(subscription)}</{prefix}:{name}>"
        )

    def _filter(self, call: Call) -> Filter:
        expressions = []
        for child in children(call.find("Filter")):
            if local_name(child) != "TopicExpression":
                raise self._fault("InvalidFilterFault", "Only TopicExpression filters are supported")
            if child.get("Dialect") not in (CONCRETE, CONCRETE_SET):
                raise self._fault("TopicExpressionDialectUnknownFault", "The dialect is Concrete or ConcreteSet")
            expressions.append((child.text or "")[:4096])
        return Filter(expressions)

    # --- subscription managers

    async def _pull(self, call: Call, target: str) -> str:
        subscription = self._find(call, target)
        if subscription.consumer is not None:
            raise not_supported("PullMessages")
        timeout, limit = self._pull_arguments(call)
        if subscription.waiter is not None:
            raise self._fault("UnableToGetMessagesFault", "Another PullMessages is waiting already")
        if not subscription.queue and Quirk.EARLY_EMPTY_PULL not in self._state.quirks:
            await _wait(subscription, timeout)
        if subscription.dead:
            raise self._unknown()
        # Core: alive for at least the timeout of the last pull, counted from its response.
        subscription.expires = max(subscription.expires, self._state.mono() + timeout)
        queue = subscription.queue
        messages = "".join(queue.popleft() for _ in range(min(limit, len(queue))))
        current, end = self._stamps(subscription)
        return (
            f"<tev:PullMessagesResponse><tev:CurrentTime>{current}</tev:CurrentTime>"
            f"<tev:TerminationTime>{end}</tev:TerminationTime>{messages}</tev:PullMessagesResponse>"
        )

    def _pull_arguments(self, call: Call) -> tuple[float, int]:
        longest = self._state.traits.max_pull_timeout
        try:
            timeout, limit = parse_duration(call.text("Timeout") or ""), int(call.text("MessageLimit") or "")
        except ValueError as error:
            raise SoapFault("Sender", ("ter:InvalidArgs",), "Timeout and MessageLimit are needed") from error
        if limit < 1:
            raise SoapFault("Sender", ("ter:InvalidArgVal",), "MessageLimit is at least 1")
        if timeout > longest and Quirk.PULL_TIMEOUT_FAULTS in self._state.quirks:
            detail = (
                f"<tev:PullMessagesFaultResponse><tev:MaxTimeout>{format_duration(longest)}</tev:MaxTimeout>"
                f"<tev:MaxMessageLimit>{MESSAGE_LIMIT}</tev:MaxMessageLimit></tev:PullMessagesFaultResponse>"
            )
            raise SoapFault("Sender", ("ter:InvalidArgVal",), "Timeout is too long", detail=detail)
        most = 1 if Quirk.ONE_MESSAGE_PER_PULL in self._state.quirks else MESSAGE_LIMIT
        return min(timeout, longest), min(limit, most)

    async def _renew(self, call: Call, target: str) -> str:
        quirks = self._state.quirks
        if Quirk.NO_RENEW in quirks:
            raise not_supported("Renew")
        if Quirk.RENEW_NEEDS_MESSAGE_ID in quirks and not call.addressing("MessageID"):
            raise SoapFault("Sender", ("ter:InvalidArgs",), "No MessageID element for Renew method")
        subscription = self._find(call, target)
        if Quirk.RENEW_FAULTS in quirks:
            raise self._unknown()
        life = self._lifetime(call.text("TerminationTime"), "UnacceptableTerminationTimeFault")
        subscription.expires = self._state.mono() + life
        return f"<wsnt:RenewResponse>{self._times(subscription, 'TerminationTime', 'CurrentTime')}</wsnt:RenewResponse>"

    async def _unsubscribe(self, call: Call, target: str) -> str:
        subscription = self._find(call, target)
        if Quirk.UNSUBSCRIBE_KILLS_ALL in self._state.quirks:
            self._hub.drop_all()
        else:
            self._hub.drop(subscription)
        return "<wsnt:UnsubscribeResponse/>"

    async def _synchronize(self, call: Call, target: str) -> str:
        if Quirk.NO_SYNCHRONIZATION_POINT in self._state.quirks:
            raise not_supported("SetSynchronizationPoint")
        self._hub.synchronize(self._find(call, target))
        empty = Quirk.EMPTY_SYNCHRONIZATION_REPLY in self._state.quirks
        return "" if empty else "<tev:SetSynchronizationPointResponse/>"

    # --- what they share

    def _find(self, call: Call, target: str) -> Subscription:
        key = target
        if Quirk.AXIS_REFERENCE_PARAMETERS in self._state.quirks:
            echoed = None if call.header is None else call.header.find(_SUBSCRIPTION_ID)
            if echoed is None or echoed.get(_IS_REFERENCE_PARAMETER) not in ("true", "1"):
                raise SoapFault("Sender", ("ter:InvalidArgs",), "Invalid Args")
            key = (echoed.text or "").strip()
        subscription = self._hub.get(key)
        if subscription is None:
            raise self._unknown()
        return subscription

    def _lifetime(self, text: str | None, fault: str) -> float:
        """Seconds that a termination time asks for: a duration, or a dateTime by the device's clock."""
        quirks = self._state.quirks
        if not text:
            if Quirk.TERMINATION_TIME_REQUIRED in quirks:
                raise BareReply(500)
            return DEFAULT_LIFE
        relative = text.startswith("P")
        if (relative and Quirk.RELATIVE_TIME_REJECTED in quirks) or (
            text.endswith("+00:00") and Quirk.OFFSET_TIME_REJECTED in quirks
        ):
            raise self._fault(fault, "The termination time is not acceptable")
        try:
            seconds = parse_duration(text) if relative else parse_datetime(text) - self._state.now()
        except ValueError as error:
            raise SoapFault("Sender", ("ter:InvalidArgVal",), "The termination time cannot be read") from error
        if seconds <= 0:
            raise self._fault(fault, "The termination time is past")
        if relative and Quirk.RELATIVE_TIME_MISREAD in quirks:
            seconds /= 12
        return DEFAULT_LIFE if Quirk.TERMINATION_TIME_IGNORED in quirks else min(seconds, LONGEST_LIFE)

    def _times(self, subscription: Subscription, *order: str) -> str:
        stamps = dict(zip(("CurrentTime", "TerminationTime"), self._stamps(subscription), strict=True))
        return "".join(f"<wsnt:{name}>{stamps[name]}</wsnt:{name}>" for name in order or stamps)

    def _stamps(self, subscription: Subscription) -> tuple[str, str]:
        state = self._state
        now = state.now()
        return state.stamp(now), state.stamp(now + subscription.expires - state.mono())

    def _fault(self, name: str, reason: str, prefix: str = "wsnt") -> SoapFault:
        return notification_fault(name, reason, self._state.stamp(self._state.now()), prefix=prefix)

    def _unknown(self) -> Exception:
        """What the address of a subscription that is gone answers."""
        if Quirk.STALE_SUBSCRIPTION_400 in self._state.quirks:
            return BareReply(400)
        return self._fault("ResourceUnknownFault", "The subscription is not known", "wsrf-rw")


async def _wait(subscription: Subscription, timeout: float) -> None:
    """Until a message is there, the subscription ends, or the time is over."""
    loop = asyncio.get_running_loop()
    subscription.waiter = loop.create_future()
    alarm = loop.call_later(timeout, subscription.wake)
    try:
        await subscription.waiter
    finally:
        alarm.cancel()
        subscription.waiter = None


# Segments of topics; what stands at "" is the topic that ends there.
Tree = dict[str, "Tree | Topic"]


def topic_set(topics: list[Topic]) -> str:
    """The inside of a wstop:TopicSet: a tree of elements, with a message description at each topic."""
    tree: Tree = {}
    for topic in topics:
        node = tree
        for segment in topic.path.split("/"):
            below = node.setdefault(segment, {})
            assert isinstance(below, dict)
            node = below
        node[""] = topic
    return _topic_elements(tree)


def _topic_elements(tree: Tree) -> str:
    text = ""
    for name, node in tree.items():
        if isinstance(node, Topic):
            text += _description(node)
        else:
            mark = ' wstop:topic="true"' if "" in node else ""
            text += f"<{name}{mark}>{_topic_elements(node)}</{name}>"
    return text


def _description(topic: Topic) -> str:
    groups = "".join(
        f"<tt:{group}>{_items(items)}</tt:{group}>"
        for group, items in (("Source", topic.source), ("Data", topic.data))
        if items
    )
    return f'<tt:MessageDescription IsProperty="{str(topic.is_property).lower()}">{groups}</tt:MessageDescription>'


def _items(items: Items) -> str:
    return "".join(f'<tt:SimpleItemDescription Name="{name}" Type="{kind}"/>' for name, kind in items)
