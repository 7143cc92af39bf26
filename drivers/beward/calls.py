"""One call out of the many lines about it. Pure, but for the time that it is told.

A panel has one keypad, so it has one call at a time, which may ring a handset and several phones at once. Each call
rings once, is answered at most once, and ends once. A line that was lost must not leave it open for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from drivers.beward.lines import Leg

# Seconds after which a call that nothing is said of is over: the line that ended it was lost.
FORGOTTEN = 180.0


@dataclass(frozen=True, slots=True)
class Call:
    number: str
    apartment: str
    peer: str
    redirect: str
    last: float  # monotonic, when something was last said of it
    legs: frozenset[str] = field(default_factory=frozenset)
    answered: bool = False

    @property
    def data(self) -> dict[str, str]:
        told = {"apartment": self.apartment, "peer": self.peer, "redirect": self.redirect, "call": self.number}
        return {key: value for key, value in told.items() if value}


def step(call: Call | None, leg: Leg, number: str, now: float, *, one_leg: bool) -> tuple[Call | None, str, Call]:
    """The call from now on, what is to be told (ringing, answered, missed, ended, or "" for nothing), and about which
    call. `one_leg`: the end of the leg is the end of the call."""
    if call is not None and (now - call.last > FORGOTTEN or (number and call.number and number != call.number)):
        call = None
    if leg.step == "start":
        # The same leg once more is the next call, whose number would tell; firmware without numbers does not say.
        if call is None or (leg.leg in call.legs and not number):
            call = _began(leg, number, now)
            return call, "ringing", call
        return (call := _known(call, leg, number, now)), "", call
    if leg.step in ("end", "leg_end") and (leg.step == "end" or one_leg):
        over = _known(call, leg, number, now) if call is not None else _began(leg, number, now)
        # Without its beginning (the bridge was started meanwhile) nobody knows whether it was answered.
        return None, "missed" if call is not None and not call.answered else "ended", over
    if leg.step == "leg_end":
        return call, "", _began(leg, number, now)
    if call is None:
        call = _began(leg, number, now)
    told = "" if call.answered else "answered"
    return (call := replace(_known(call, leg, number, now), answered=True)), told, call


def _began(leg: Leg, number: str, now: float) -> Call:
    return Call(number, leg.apartment, leg.peer, leg.redirect, now, frozenset({leg.leg} - {""}))


def _known(call: Call, leg: Leg, number: str, now: float) -> Call:
    return replace(
        call,
        number=call.number or number,
        apartment=call.apartment or leg.apartment,
        peer=call.peer or leg.peer,
        redirect=call.redirect or leg.redirect,
        legs=call.legs | ({leg.leg} - {""}),
        last=now,
    )
