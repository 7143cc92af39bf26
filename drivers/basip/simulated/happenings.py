"""What happens in front of a panel: what its log says of it, and what its syslog line says.

The numbers of the types are this simulator's own, but for 100, which the vendor's manual tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Happening:
    """`line` is what stands behind `EVENT:`; "" where the panel sends none."""

    key: str
    text: str
    category: str = "access"
    model: dict[str, Any] = field(default_factory=dict)
    line: str = ""


def card(number: str = "00-00-00-1A-2B-3C-4D", granted: bool = True, lock: int = 1, owner: str = "Flat 7") -> Happening:
    if granted:
        return Happening(
            "access_granted_by_valid_identifier",
            f"Valid identifier {number} was used, owner {owner}, lock {lock} was opened",
            model={"lock": lock, "owner": owner, "number": number, "apartment_address": "", "type": "card"},
            line=f"101:{lock}:{owner}:{number}:card:Door opened by card. Info: {owner}",
        )
    return Happening(
        "access_denied_by_unknown_card",
        f"Unknown card {number}",
        model={"number": number, "type": "card"},
        line=f"201:{number}:Access denied by unknown card",
    )


def code(number: str = "4711", granted: bool = True, lock: int = 1) -> Happening:
    if granted:
        return Happening(
            "access_granted_by_valid_identifier",
            f"Valid identifier {number} was used, owner Flat 9, lock {lock} was opened",
            model={"lock": lock, "owner": "Flat 9", "number": number, "apartment_address": "9", "type": "inputCode"},
            line=f"102:{number}:{lock}:Flat 9:code:Door opened by access code. Info: {number}",
        )
    return Happening(
        "access_denied_by_not_valid_input_code",
        f"Code {number} is not valid",
        model={"number": number, "type": "inputCode"},
        line=f"202:{number}:Access denied by not valid input code",
    )


def general_code(number: str = "0000") -> Happening:
    return Happening(
        "access_granted_by_master_code",
        f"Master code {number} was used",
        model={"lock": 1, "number": number, "type": "inputCode"},
        line=f"100:{number}:Door opened by general access code:{number}",
    )


def exit_button() -> Happening:
    said = "Lock was opened by exit button"
    return Happening("lock_was_opened_by_exit_btn", said, line="103:Door opened by exit button")


def door_sensor(open_: bool = True) -> Happening:
    state, number = ("opened", 105) if open_ else ("closed", 106)
    line = f"{number}:Door was {state} with door sensor"
    return Happening(f"door_sensor_was_{state}", f"Door sensor was {state}", line=line)


def held() -> Happening:
    return Happening(
        "door_was_not_closed_too_long",
        "Door was not closed too long",
        "emergency",
        line="301:Door was not closed too long",
    )


def call(state: str = "accepted", peer: str = "1007@192.0.2.20") -> Happening:
    said = "call was accepted" if state == "accepted" else "call was no accepted"
    return Happening(
        "outgoing_call" if state == "accepted" else "outgoing_call_missed",
        f"Outgoing call to {peer}, {said}",
        "info",
        model={"number": peer},
        line=f"110:out:sip:{peer}:5060:1:7,{said}",
    )


def call_host(lock: int = 1, peer: str = "1007@192.0.2.20") -> Happening:
    return Happening(
        "access_granted_by_call_host",
        f"Lock {lock} was opened by call host",
        model={"lock": lock, "number": peer},
        line=f"104:{lock}:sip:{peer}:Door {lock} opened by call host",
    )


def api_opening(lock: int) -> Happening:
    return Happening(
        "access_granted_by_api_call",
        f"Lock {lock} is opened by API call",
        model={"lock": lock},
        line=f"107:{lock}:Door {lock} opened by API call",
    )


def tamper() -> Happening:
    return Happening("tamper_event", "Tamper was triggered", "emergency", line="302:Tamper was triggered")


def booted() -> Happening:
    return Happening("device_booted", "Device booted", "info", line="401:Device booted")


def sip_lost() -> Happening:
    return Happening("sip_registration_lost", "SIP registration lost", "info", line="402:SIP registration lost")


def login(ok: bool, user: str) -> Happening:
    if ok:
        said = f"User {user} logged in successfully"
        return Happening("successful_login_api_call", said, "system", line=f"501:{user}:Successful login by API call")
    said = "Incorrect login"
    return Happening("incorrect_login_api_call", said, "system", line="502:Incorrect login by API call")


def vendor_event(topic: str, data: dict[str, str]) -> Happening:
    return Happening(topic, topic, "info", model=dict(data), line=f"999:{':'.join(data.values())}:{topic}")


MADE: dict[str, Callable[..., Happening]] = {
    "card": card,
    "code": code,
    "general_code": general_code,
    "exit_button": exit_button,
    "door_sensor": door_sensor,
    "held": held,
    "call": call,
    "call_host": call_host,
    "tamper": tamper,
    "sip_lost": sip_lost,
    "vendor_event": vendor_event,
}
