"""What a simulated panel writes into its log, in the phrases of the firmware that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Write = Callable[..., list[str]]


def _motion(active: bool = True) -> list[str]:
    return [f"SS_MAINAPI_ReportAlarm{'Happen' if active else 'Finish'}(0, 2)"]


def _card(card: str = "00000075BC01AD", apartment: int = 12, external: bool = False) -> list[str]:
    return [f"Opening door by {'external ' if external else ''}RFID {card}, apartment {apartment}"]


def _code(code: str = "48151", apartment: int = 12) -> list[str]:
    return [f"Opening door by code {code}, apartment {apartment}"]


def _button(second: bool = False) -> list[str]:
    which = "Additional" if second else "Main"
    return [f"{which} door button pressed!"]


def _ring(apartment: int = 12, peer: str = "1000012@sip.example.net:5060") -> list[str]:
    # A handset and a phone ring at once, and the phone's side tells every step.
    return [
        f"CMS handset call started for apartment {apartment}",
        f"Calling sip:{peer} through account 0(0)...",
        "SIP call 4 state changed to CALLING",
        "SIP call 4 state changed to EARLY",
    ]


def _answer(apartment: int = 12) -> list[str]:
    return ["SIP call 4 state changed to CONFIRMED", f"SIP talk started for apartment {apartment}"]


def _hang_up(apartment: int = 12) -> list[str]:
    return [
        "SIP call 4 is DISCONNECTED [reason=200 (Normal call clearing)]",
        f"SIP call done for apartment {apartment}, handset is down",
        f"All calls are done for apartment {apartment}",
    ]


_DKS: Mapping[str, Write] = {
    "motion": _motion,
    "card": _card,
    "code": _code,
    "button": _button,
    "tamper": lambda: ["Intercom break in detected"],
    "ring": _ring,
    "answer": _answer,
    "dtmf": lambda apartment=12: [
        "Incoming DTMF RFC2833 on call 4: 1", f"Opening door by DTMF command for apartment {apartment}",
    ],
    "handset": lambda apartment=12: [f"Opening door by CMS handset for apartment {apartment}"],
    "hang_up": _hang_up,
    "noise": lambda: ["IMX122_AutoIRcut_Task to Night ----------", "Have Check Param Change Beg Save"],
}  # fmt: skip
_DS: Mapping[str, Write] = {
    "motion": _motion,
    "ring": lambda peer="12@sip.example.net": [f"Calling sip:{peer}", "SIP call 1 is CALLING"],
    "answer": lambda: ["SIP call 1 is CONFIRMED"],
    "hang_up": lambda: ["SIP call 1 is DISCONNECTED [reason=200 (OK)]"],
    "noise": lambda: ["SSSNet keep alive"],
}
_OF_A_CALL = frozenset({"ring", "answer", "dtmf", "handset", "hang_up"})


def written(action: str, style: str, call: int, details: Mapping[str, Any]) -> list[str]:
    """The lines of one thing that happens. ValueError for what this panel knows nothing of."""
    table = _DS if style == "event" else _DKS
    if action not in table:
        raise ValueError(f"a Beward panel of this kind knows no action {action!r}")
    lines = table[action](**details)
    if action not in _OF_A_CALL:
        return lines
    match style:
        case "before":
            return [line if line.startswith("Incoming") else f"[{call}] {line}" for line in lines]
        case "behind":
            return [f"{line} [{call}]" if line.startswith("All calls") else line for line in lines]
        case _:
            return [f"EVENT:{number}:{line}" for number, line in enumerate(lines, 700)]
