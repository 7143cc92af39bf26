"""One call after another, made of what the panel lets slip about them.

There is no call number on most lines. A call has up to two legs, over SIP and to the handsets of the house; it is over
when the leg that was answered ends, or all of them where none was. When the visitor presses C, some firmware says
nothing: a call of which nothing is heard for three minutes is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bridge.model import DeviceEvent, EventKind
from drivers.akuvox.told import CallSignal, Signal

SILENCE = 180.0  # seconds without a word after which a call is over
TOGETHER = 5.0  # seconds within which the legs of one call begin


@dataclass(frozen=True, slots=True)
class Call:
    """`knows`: lines were heard, which tell whether somebody answered; an action URL does not."""

    began: float
    heard: float
    peer: str = ""
    apartment: str = ""
    direction: str = ""
    legs: frozenset[str] = field(default_factory=frozenset)
    over: frozenset[str] = field(default_factory=frozenset)
    answered: str | None = None
    knows: bool = False
    topic: str = ""
    hint: bool = False


def step(call: Call | None, signal: CallSignal, now: float) -> tuple[Call | None, list[DeviceEvent]]:
    """The call as it is then, and what is news. `now` is monotonic."""
    events: list[DeviceEvent] = []
    if call is not None and now - call.heard > SILENCE:
        events.append(_event(call, _end(call), None))
        call = None
    if signal.signal in (Signal.START, Signal.PROGRESS, Signal.INCOMING):
        return _begun(call, signal, now, events)
    if call is None:
        return None, events
    call = replace(call, heard=now, knows=call.knows or signal.leg != "", legs=call.legs | _leg(signal))
    if signal.signal is Signal.ANSWERED:
        if call.answered is None:
            call = replace(call, answered=signal.leg)
            events.append(_event(call, "answered", signal))
        return call, events
    call = replace(call, over=call.over | _leg(signal))
    whole = signal.signal is Signal.OVER or not call.legs - call.over
    if whole or (call.answered is not None and call.answered in call.over):
        return None, [*events, _event(call, _end(call), signal)]
    return call, events


def expired(call: Call | None, now: float) -> tuple[Call | None, list[DeviceEvent]]:
    if call is None or now - call.heard <= SILENCE:
        return call, []
    return None, [_event(call, _end(call), None)]


def _begun(
    call: Call | None, signal: CallSignal, now: float, events: list[DeviceEvent]
) -> tuple[Call, list[DeviceEvent]]:
    new_press = signal.signal is not Signal.PROGRESS and call is not None and now - call.began > TOGETHER
    if call is not None and not new_press:
        call = replace(
            call,
            heard=now,
            legs=call.legs | _leg(signal),
            knows=call.knows or signal.leg != "",
            peer=call.peer or signal.peer,
            apartment=call.apartment or signal.apartment,
        )
        return call, events
    if call is not None:
        # He pressed C, and a button again.
        events.append(_event(call, _end(call), None))
    begun = Call(
        now,
        now,
        signal.peer,
        signal.apartment,
        "incoming" if signal.signal is Signal.INCOMING else "",
        _leg(signal),
        knows=signal.leg != "",
        topic=signal.topic,
        hint=signal.hint,
    )
    return begun, [*events, _event(begun, "ringing", signal)]


def _leg(signal: CallSignal) -> frozenset[str]:
    return frozenset({signal.leg} if signal.leg else ())


def _end(call: Call) -> str:
    return "missed" if call.knows and call.answered is None else "ended"


def _event(call: Call, state: str, signal: CallSignal | None) -> DeviceEvent:
    """`signal` is None where nothing was said, and the end is only concluded."""
    data = {"state": state, "peer": call.peer, "apartment": call.apartment, "direction": call.direction}
    if signal is None:
        data["reason"] = "nothing more was heard"
    return DeviceEvent(
        EventKind.CALL,
        hint=call.hint if signal is None else signal.hint,
        source_time=None if signal is None else signal.at,
        topic="Call" if signal is None else signal.topic,
        data={key: value for key, value in data.items() if value},
    )
