"""Event subscriptions of a device: made, kept alive, made again, let go. Never leaked, never somebody else's.

Sources: ONVIF Core 9 (real-time pull point and basic notification interfaces), OASIS WS-BaseNotification 1.3.
A device has few slots (4 to 8), so the address of each subscription is remembered on disk: after a crash the next
start lets go of the old one before it takes a new one.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from lxml import etree

from bridge.clock import Wake
from bridge.driver import Callback, CallbackRequest, Callbacks, DriverIO
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Unsupported
from bridge.model import Device
from drivers.onvif import soap, wsdl
from drivers.onvif.client import EVENTS, NoSoap, OnvifClient
from drivers.onvif.notification import Notification, notifications
from drivers.onvif.soap import SoapFault
from drivers.transports import xml
from drivers.transports.xml import Element

TERM = 300  # seconds asked for
RENEW_BELOW = 120.0  # seconds left at which a subscription is renewed, or half of its term if that is less
PULLED_BELOW = 10.0  # the same where each pull extends it (Core 9.2: by at least the pull's timeout)
SHORTEST_TERM = 60  # some firmware takes nothing shorter
SHORTEST_LIFE = 10.0  # a subscription that is gone sooner than that is not made again at once
LONGEST_WAIT = 30.0  # seconds between two looks at the term of a subscription that the device pushes to
PULL = 30  # seconds that the device may wait for something to report
BATCH = 100  # messages a pull
# What one device may tell: this many messages at once, and this many a second from there on. The rest waits in it.
BURST = 2000.0
PER_SECOND = 500.0
PULL_COST = 25  # and a pull counts as that many at least: some repeat one message at each pull, without end
# A device that answers an empty pull at once would be asked in a tight loop.
IDLE_PAUSE = 1.0
UNSUBSCRIBE_LIMIT = 2.0
LANE = "events"
QUEUE = 1000
_MEMORY = "subscription"


class Gone(Exception):
    """The device does not know the subscription any more: it rebooted, or forgot it, or we let go of it."""


@dataclass(slots=True)
class _Subscription:
    path: str
    references: tuple[bytes, ...]
    term: float  # seconds granted
    until: float  # monotonic, by the device's own word
    pulled: bool  # a pull point: by Core 9.1.1, each pull keeps it alive
    pulling_extends: bool = False  # and that is seen to be so
    renewable: bool = True

    @property
    def renew_below(self) -> float:
        return PULLED_BELOW if self.pulling_extends else min(RENEW_BELOW, self.term / 2)


class Subscriptions:
    """The one subscription that a driver holds at a device, as a pull point or as a push consumer."""

    __slots__ = (
        "_absolute",
        "_allowance",
        "_client",
        "_closed",
        "_device",
        "_io",
        "_pull",
        "_subscription",
    )

    def __init__(self, client: OnvifClient, device: Device, io: DriverIO) -> None:
        self._client = client
        self._device = device
        self._io = io
        self._subscription: _Subscription | None = None
        self._closed = False
        self._allowance = BURST
        self._absolute = False  # relative times are misread: old Hikvision, Dahua, Bosch
        self._pull = PULL

    async def pull(self) -> AsyncIterator[Notification | None]:
        """Notifications from a pull point, until something goes wrong. None marks each new subscription: what was
        known from events before it is hearsay. Raises Unsupported where the device has no pull points."""
        while await self._renewed("CreatePullPointSubscription"):
            made = self._io.clock.now().mono
            yield None
            try:
                while True:
                    began = self._io.clock.now().mono
                    count = 0
                    for one in notifications(await self._pull_once()):
                        count += 1
                        yield one
                    await self._pace(count, self._io.clock.now().mono - began)
                    await self._renew_in_time()
            except Gone as error:
                self._mourn(made, error)

    async def push(self, callbacks: Callbacks) -> AsyncIterator[Notification | None]:
        """The same from a device that calls us (base notification). Raises Unsupported where it does not."""
        queue: deque[Notification] = deque()
        arrived = Wake()

        async def receive(request: CallbackRequest) -> None:
            received = _notify(request.body)
            if len(queue) + len(received) > QUEUE:
                # The device is told so, and nothing that we accepted is lost.
                raise asyncio.QueueFull
            queue.extend(received)
            arrived.set()

        callback = callbacks.register(self._device, receive)
        try:
            while await self._renewed("Subscribe", callback):
                made = self._io.clock.now().mono
                yield None
                try:
                    while True:
                        arrived.clear()
                        if not queue:
                            await self._io.clock.wait(arrived, self._until_renewal())
                        for _ in range(len(queue)):
                            yield queue.popleft()
                        # Also when it reports without a pause: nothing else tells it that we are still here.
                        await self._renew_in_time()
                except Gone as error:
                    self._mourn(made, error)
        finally:
            callback.close()

    def _mourn(self, made: float, error: Gone) -> None:
        """After a subscription is gone: raise unless it lived for a while. Made again at once, it would vanish again;
        the runner backs off, or the device goes down with us."""
        if self._io.clock.now().mono - made < SHORTEST_LIFE and not self._closed:
            raise ProtocolError("its subscriptions vanish as soon as they are made") from error

    async def close(self) -> None:
        """Unsubscribe what is ours, if the device answers soon enough; otherwise it expires by itself."""
        self._closed = True
        with suppress(DeviceError):
            await self._let_go()

    async def _pace(self, count: int, took: float) -> None:
        """Keep one device from taking all of our time: one that floods us, or answers empty pulls at once."""
        if not count:
            if took < IDLE_PAUSE:
                await self._io.clock.sleep(IDLE_PAUSE)
            return
        self._allowance = min(BURST, self._allowance + took * PER_SECOND) - max(count, PULL_COST)
        if self._allowance < 0:
            await self._io.clock.sleep(-self._allowance / PER_SECOND)
            self._allowance = 0.0

    # -- making and keeping ------------------------------------------------------------------------------------

    async def _renewed(self, operation: str, callback: Callback | None = None) -> bool:
        """Have a new subscription in the place of the old one; False when there is to be none any more."""
        if self._closed:
            return False
        await self._let_go()
        await self._subscribe(operation, callback)
        if self._closed:
            await self._let_go()
        return not self._closed

    @property
    def _held(self) -> _Subscription:
        """The subscription. Raises Gone once it was let go of."""
        if self._subscription is None:
            raise Gone
        return self._subscription

    async def _subscribe(self, operation: str, callback: Callback | None = None) -> None:
        self._subscription = None
        try:
            reply = await self._create(operation, callback)
        except SoapFault as fault:
            if fault.is_full:
                raise ProtocolError(
                    "it has no subscription free: other programs hold them, or ended without letting go of them; "
                    "those expire by themselves, or with a reboot"
                ) from fault
            if self._absolute:
                raise
            # Some firmware faults on relative times instead of misreading them.
            self._absolute = True
            try:
                reply = await self._create(operation, callback)
            except DeviceError:
                self._absolute = False
                raise
        reference = xml.child(reply, "SubscriptionReference")
        path = self._client.local(xml.text(reference, "Address"))
        if reference is None or path is None:
            raise ProtocolError("it made a subscription and does not say where", etree.tostring(reply))
        granted = self._granted(reply)
        term = granted or SHORTEST_TERM
        self._subscription = _Subscription(
            path, soap.reference_headers(reference), term, self._io.clock.now().mono + term, pulled=callback is None
        )
        await self._remember()
        if granted is not None and granted < TERM / 2 and not self._absolute:
            # Granted far less than asked for: the relative time was misread. Say it as a date from here on.
            self._absolute = True
            with suppress(Gone):
                await self._renew()
                if not self._held.renewable:
                    # It was not that: it grants no more, and takes no dates.
                    self._absolute, self._held.renewable = False, True

    async def _create(self, operation: str, callback: Callback | None) -> Element:
        term = self._term()
        if callback is None:
            message = wsdl.message("events", operation, InitialTerminationTime=term)
        else:
            consumer = {"Address": callback.url}
            message = wsdl.fresh("notification", operation, ConsumerReference=consumer, InitialTerminationTime=term)
        return await self._client.call(EVENTS, message, addressed=True, lane=LANE)

    def _term(self) -> str:
        """The end of a term as the device wants it said: `PT300S`, or a date by its own clock."""
        if not self._absolute:
            return f"PT{TERM}S"
        end = self._io.clock.now().wall + (self._client.offset or 0.0) + TERM
        return soap.utc(int(end))

    def _granted(self, reply: Element) -> float | None:
        """Seconds granted, by the device's own two times; None where it does not tell."""
        until = soap.timestamp(xml.text(reply, "TerminationTime"))
        now = soap.timestamp(xml.text(reply, "CurrentTime"))
        if until is None:
            return None
        if now is None:
            now = self._io.clock.now().wall + (self._client.offset or 0.0)
        # Zero or less is a device that prints its clock wrong, not one that grants nothing.
        return until - now if 0 < until - now < 86400 else None

    async def _pull_once(self) -> Element:
        held = self._held
        left = held.until - self._io.clock.now().mono
        # What cannot be renewed lives by being pulled alone, for as long as each pull waits.
        wait = self._pull if not held.renewable else max(1, min(self._pull, int(left / 2)))
        message = wsdl.message("pullpoint", "PullMessages", Timeout=f"PT{wait}S", MessageLimit=BATCH)
        try:
            reply = await self._ask(message, timeout=wait + 10.0)
        except SoapFault as fault:
            longest = soap.duration(xml.text(fault.fault_detail, "PullMessagesFaultResponse", "MaxTimeout"))
            self._pull = max(1, int(longest or self._pull))
            if self._pull >= wait:
                raise Gone from fault
            return await self._pull_once()
        now = self._io.clock.now().mono
        if (granted := self._granted(reply)) is not None:
            held.pulling_extends = now + granted > held.until + 1.0
            held.until = now + granted
        else:
            held.until = max(held.until, now + wait)
        return reply

    def _until_renewal(self) -> float:
        held = self._held
        left = held.until - self._io.clock.now().mono - held.renew_below
        return max(1.0, min(LONGEST_WAIT, left))

    async def _renew_in_time(self) -> None:
        """Renew when the device's own word leaves too little; pulling alone keeps most subscriptions alive."""
        held = self._held
        left = held.until - self._io.clock.now().mono
        if held.renewable and left <= held.renew_below:
            await self._renew()

    async def _renew(self) -> None:
        held = self._held
        try:
            reply = await self._ask(wsdl.message("subscription", "Renew", TerminationTime=self._term()))
        except (SoapFault, Unsupported, Gone) as error:
            # Hikvision, Tapo and GeoVision have no Renew; others answer it as if the subscription were not there,
            # although it is (home-assistant/core#81963). The next pull tells; of a pushed one nothing else would.
            if not held.pulled:
                raise Gone from error
            held.renewable = False
            return
        held.term = self._granted(reply) or TERM
        held.until = self._io.clock.now().mono + held.term

    async def _ask(self, message: wsdl.Message, timeout: float | None = None) -> Element:
        held = self._held
        try:
            return await self._client.call(
                EVENTS,
                message,
                path=held.path,
                addressed=True,
                references=held.references,
                lane=LANE,
                timeout=timeout,
            )
        except SoapFault:
            raise
        except ProtocolError as error:
            if _is_gone(error):
                raise Gone from error
            raise

    # -- letting go --------------------------------------------------------------------------------------------

    async def _remember(self) -> None:
        kept = {"path": self._held.path, "references": [r.decode() for r in self._held.references]}
        await self._io.memory.put(_MEMORY, json.dumps(kept))

    async def _let_go(self) -> None:
        """Unsubscribe what this driver, or an earlier life of it, holds on the device. Raises AuthFailed: the
        subscription is still there then, and the same credentials are not to be tried for a new one."""
        held, self._subscription = self._subscription, None
        if held is not None:
            path, references = held.path, held.references
        elif (kept := self._io.memory.get(_MEMORY)) is not None:
            old = json.loads(kept)
            path, references = old["path"], tuple(one.encode() for one in old["references"])
        else:
            return
        try:
            await self._client.call(
                EVENTS,
                wsdl.message("subscription", "Unsubscribe"),
                path=path,
                addressed=True,
                references=references,
                lane=LANE,
                timeout=UNSUBSCRIBE_LIMIT,
            )
        except AuthFailed:
            raise
        except (SoapFault, Unsupported):
            pass  # it does not know it any more: that is what we wanted
        except DeviceError as error:
            if not _is_gone(error):
                return  # it may still be there: keep the note, and try again next time
        await self._io.memory.put(_MEMORY, None)


def _is_gone(error: DeviceError) -> bool:
    """400 or 404 without SOAP: what many give for a subscription that a reboot took."""
    return isinstance(error, NoSoap) and error.status in (400, 404)


def _notify(body: bytes) -> list[Notification]:
    """What a device posted to us. Raises ProtocolError for anything that is no wsnt:Notify."""
    element = soap.reply(body, 200)
    if xml.local(element) != "Notify":
        raise ProtocolError("it posted something that is no Notify", body)
    return list(notifications(element))
