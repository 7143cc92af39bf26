"""What a 2N intercom answers, read with bounds. No I/O. Facts from the vendor's HTTP API manual (2.10 to 2.50)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unsupported

TEXT = 256
SWITCHES = 16
ACCOUNTS = 8
EVENT_NAMES = 256
_PARAM = re.compile(r"[A-Za-z][\w.-]{0,39}")
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")


class NoPrivilege(AuthFailed):
    """The login is right, and the account may not do that."""


class InvalidValue(Rejected):
    """A parameter has a value that it does not take; also a subscription that it does not know (any more)."""


_Meaning = tuple[type[DeviceError], str]
# By the manual's table of error codes. The words of the device are not passed on: nobody knows what is in them.
_MEANINGS: Mapping[int, _Meaning] = {
    1: (Unsupported, "this model has no such function"),
    2: (Unsupported, "its firmware knows no such function"),
    3: (Unsupported, "its firmware does not do that with this function"),
    4: (Unsupported, "the function is switched off: see Services > HTTP API, and its licence"),
    7: (Unsupported, "it does that over HTTPS only: set tls in the inventory"),
    8: (AuthFailed, "it wants another way to log in"),
    9: (AuthFailed, "it wants a login, and does not say which: set auth in the inventory"),
    10: (NoPrivilege, "its account has no privilege for that: see Services > HTTP API"),
    11: (Rejected, "it misses a parameter"),
    12: (InvalidValue, "it does not take the value of a parameter"),
    13: (Rejected, "it does not take that much"),
    14: (Rejected, "it could not do it"),
    15: (Rejected, "it has nothing there"),
    17: (Rejected, "parameters contradict each other"),
    18: (Rejected, "it refuses"),
    19: (Rejected, "it does not take a file of that version"),
}


@dataclass(frozen=True, slots=True)
class Info:
    model: str
    serial: str
    firmware: str
    hardware: str
    mac: str

    @property
    def mark(self) -> str:
        return f"{self.serial} {self.firmware}"


@dataclass(frozen=True, slots=True)
class Switch:
    """What one of its switches is set to; `seconds` is how long a monostable one stays on."""

    number: int
    enabled: bool
    bistable: bool
    seconds: float | None


def envelope(body: bytes) -> Any:
    """The result in an answer; None where there is none. Raises the error that is in it, and ProtocolError."""
    answer = _json(body)
    if isinstance(answer, list):
        return answer  # call/status of firmware 2.50 leaves the envelope away
    if not isinstance(answer, dict) or not isinstance(answer.get("success"), bool):
        raise ProtocolError("its answer is not what the API says: no 2N?", body)
    if not answer["success"]:
        raise failure(answer.get("error"))
    return answer.get("result")


def failure(error: Any) -> DeviceError:
    code = _dict(error).get("code")
    if not isinstance(code, int) or code not in _MEANINGS:
        shown = code if isinstance(code, int) and abs(code) < 10_000 else "?"
        return ProtocolError(f"it answers with an error that the API does not have ({shown})")
    kind, words = _MEANINGS[code]
    param = _dict(error).get("param")
    about = f": {param}" if isinstance(param, str) and _PARAM.fullmatch(param) else ""
    return kind(f"{words}{about} (error {code})")


def error_code(body: bytes) -> int | None:
    """The error in an answer that may be anything."""
    try:
        code = _dict(_dict(_json(body)).get("error")).get("code")
    except ProtocolError:
        return None
    return code if isinstance(code, int) else None


def info(result: Any) -> Info:
    told = _dict(result)
    serial, model, mac = text(told.get("serialNumber")), text(told.get("variant")), text(told.get("macAddr"))
    if not serial or not model:
        raise ProtocolError("it does not say who it is: no 2N?")
    return Info(
        model=model,
        serial=serial,
        firmware=text(told.get("swVersion")),
        hardware=text(told.get("hwVersion")),
        mac=mac.lower().replace("-", ":") if _MAC.fullmatch(mac) else "",
    )


def switches(result: Any) -> dict[int, Switch]:
    found = {}
    for one in _listed(result, "switches", SWITCHES):
        chosen = _whole(one.get("switch"))
        if chosen is not None and 0 < chosen < 100:
            found[chosen] = Switch(
                chosen, one.get("enabled") is True, one.get("mode") == "bistable", number(one.get("switchOnDuration"))
            )
    return found


def locks(result: Any) -> dict[int, str]:
    """Each switch as a lock. What is locked stays so, also while it is held (the manual: lock wins)."""
    found = {}
    for one in _listed(result, "switches", SWITCHES):
        chosen = _whole(one.get("switch"))
        if chosen is not None:
            if flag(one.get("locked")):
                found[chosen] = "locked"
            elif flag(one.get("held")):
                found[chosen] = "held"
            else:
                found[chosen] = "unlocked" if flag(one.get("active")) else "locked"
    return found


def is_blocked(result: Any, chosen: int) -> bool:
    """Whether a switch is locked, so that nobody can operate it."""
    return any(
        _whole(one.get("switch")) == chosen and bool(flag(one.get("locked")))
        for one in _listed(result, "switches", SWITCHES)
    )


def registered(result: Any, account: int) -> bool | None:
    """Whether its SIP account is registered; None for one that it does not have, or does not use."""
    for one in _listed(result, "accounts", ACCOUNTS):
        if _whole(one.get("account")) == account and flag(one.get("enabled")) is not False:
            return flag(one.get("registered"))
    return None


def port(result: Any, name: str) -> bool | None:
    return next((flag(one.get("state")) for one in _listed(result, "ports", 64) if one.get("port") == name), None)


def event_names(result: Any) -> frozenset[str]:
    names = _dict(result).get("events")
    return frozenset(text(one) for one in names[:EVENT_NAMES]) if isinstance(names, list) else frozenset()


def resolutions(result: Any) -> list[tuple[int, int]]:
    """The sizes of pictures that it makes, in pixels, the largest first."""
    sizes = [
        (width, height)
        for one in _listed(result, "jpegResolution", 64)
        if (width := _whole(one.get("width"))) and (height := _whole(one.get("height")))
    ]
    return sorted(sizes, key=lambda size: -size[0] * size[1])


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("its answer is not JSON", body) from None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(result: Any, key: str, most: int) -> Iterator[dict[str, Any]]:
    listed = _dict(result).get(key)
    if not isinstance(listed, list):
        raise ProtocolError(f"its answer has no list of {key}")
    return (one for one in listed[:most] if isinstance(one, dict))


def text(value: Any) -> str:
    return value[:TEXT] if isinstance(value, str) else ""


def number(value: Any) -> float | int | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_FLAGS: Mapping[Any, bool] = {
    True: True,
    "1": True,
    "true": True,
    "in": True,
    "on": True,
    False: False,
    "0": False,
    "false": False,
    "out": False,
    "off": False,
}


def flag(value: Any) -> bool | None:
    """True and false in each spelling that is seen: 1, "1", true, "true", "in"."""
    return _FLAGS.get(value) if isinstance(value, bool | int | str) else None
