"""The words of ISAPI: what panels answer, read with bounds, and what they are sent. Pure.

XML comes in three namespaces (isapi.org, hikvision.com, psialliance.org), JSON where it was asked for, and errors in
either whatever was asked for. All of it is read here into one shape: XML by local names, JSON as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from lxml import etree

from bridge.errors import ProtocolError
from drivers.transports import xml
from drivers.transports.cards import from_decimal

NAMESPACE = "http://www.isapi.org/ver20/XMLSchema"
TEXT = 256  # characters of a text that are kept
_MAC = re.compile(r"([0-9a-f]{2}[:-]){5}[0-9a-f]{2}")
# `CST-3:00:00`, with anything about summer behind it: hours WEST of Greenwich (POSIX.1, chapter 8).
_ZONE = re.compile(r"[A-Za-z]{3,12}([+-]?)(\d{1,2})(?::(\d\d))?(?::(\d\d))?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.\d+)?\s?(Z|[+-]\d\d:?\d\d)?")
# `87天0时55分59秒`: some firmware tells how long it runs in words, Chinese ones.
_SPAN = re.compile(r"(?:(\d{1,5})\D{1,4})?(\d{1,2})\D{1,3}(\d{1,2})\D{1,3}(\d{1,2})\D{0,3}")


@dataclass(frozen=True, slots=True)
class Status:
    """A ResponseStatus. `sub` is what logic goes by; the other numbers differ from firmware to firmware."""

    code: int = 0
    sub: str = ""
    message: str = ""

    @property
    def done(self) -> bool:
        return self.code in (0, 1, 7) and self.sub.lower() in ("", "ok", "rebootrequired", "reboot_required")

    @property
    def reboot(self) -> bool:
        """It holds after a reboot."""
        return self.code == 7 or "reboot" in self.sub.lower()

    def __str__(self) -> str:
        said = ", ".join(dict.fromkeys(word for word in (self.sub, self.message) if word))
        return said or f"status {self.code}"


@dataclass(frozen=True, slots=True)
class Info:
    model: str
    firmware: str
    serial: str
    hardware: str
    macs: tuple[str, ...]
    name: str


def status(body: bytes) -> Status | None:
    """The ResponseStatus of an answer, XML or JSON whatever was asked for; None where it is something else."""
    start = body.lstrip()[:1]
    if start == b"{":
        said = json_of(body)
        said = said.get("ResponseStatus", said) if isinstance(said.get("ResponseStatus", said), dict) else {}
        if "statusCode" not in said and "subStatusCode" not in said:
            return None
        fields = {key: str(said.get(key) or "") for key in ("statusCode", "subStatusCode", "statusString", "errorMsg")}
    elif start == b"<":
        root = xml.parse(body)
        if xml.local(root) != "ResponseStatus":
            return None
        names = ("statusCode", "subStatusCode", "statusString", "errorMsg")
        fields = {name: xml.text(root, name) for name in names}
    else:
        return None
    message = fields["errorMsg"] or fields["statusString"]
    return Status(whole(fields["statusCode"]) or 0, clean(fields["subStatusCode"], 64), clean(message, 100))


def locked_for(body: bytes) -> float | None:
    """For how many seconds the account is locked, by the `userCheck` (or its JSON) that comes with a 401."""
    if b"lockStatus" not in body:
        return None
    try:
        if body.lstrip()[:1] == b"{":
            found: Any = json_of(body)
            found = found.get("userCheck", found)
            state, seconds = (found.get("lockStatus"), found.get("unlockTime")) if isinstance(found, dict) else ("", 0)
        else:
            root = xml.parse(body)
            state = next((one.text for one in xml.descendants(root, "lockStatus")), "")
            seconds = next((one.text for one in xml.descendants(root, "unlockTime")), "")
    except ProtocolError:
        return None
    if str(state or "").strip().lower() not in ("lock", "locked"):
        return None
    left = whole(str(seconds or "").strip())
    return float(min(left, 86_400)) if left else 1800.0


def info(body: bytes) -> Info:
    root = xml.parse(body)
    if xml.local(root) != "DeviceInfo":
        raise ProtocolError("its answer is no DeviceInfo: no Hikvision?", body)
    said = {name: clean(xml.text(root, name), TEXT) for name in _INFO}
    if not said["model"] and not said["serialNumber"]:
        raise ProtocolError("its DeviceInfo has neither model nor serial number", body)
    mac = said["macAddress"].lower().replace("-", ":")
    released = said["firmwareReleasedDate"]
    return Info(
        model=said["model"],
        firmware=" ".join(filter(None, (said["firmwareVersion"], released))),
        # Some firmware leaves it empty; the MAC is as good a name for the unit.
        serial=said["serialNumber"] or mac,
        hardware=said["hardwareVersion"],
        macs=(mac,) if _MAC.fullmatch(mac) else (),
        name=said["deviceName"],
    )


_INFO = (
    *("model", "serialNumber", "macAddress", "firmwareVersion", "firmwareReleasedDate"),
    *("hardwareVersion", "deviceName"),
)


def json_of(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("its answer is not JSON", body) from None
    if not isinstance(found, dict):
        raise ProtocolError("its answer is JSON, and no object", body)
    return found


def inner(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def clean(value: str, longest: int = TEXT) -> str:
    """Without what cannot be printed, and not longer than that."""
    return "".join(letter if letter.isprintable() else " " for letter in value[:longest]).strip()


def whole(value: object) -> int | None:
    """A whole number of at most ten digits, from JSON or from text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and abs(value) < 1e10 else None
    if isinstance(value, int):
        return value if abs(value) < 10**10 else None
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"-?[0-9]{1,10}", text) else None


# -- times -----------------------------------------------------------------------------------------------------------


def zone_of(text: str) -> int | None:
    """Seconds EAST of Greenwich of the panel's time zone. `CST-3:00:00` is three hours east: the sign is the other way
    round than in `+03:00`, and CST is what all of them say."""
    match = _ZONE.match(text.strip())
    if match is None or int(match[2]) > 24:
        return None
    west = int(match[2]) * 3600 + int(match[3] or 0) * 60 + int(match[4] or 0)
    return west if match[1] == "-" else -west


def moment(text: object, zone: int = 0) -> float | None:
    """Seconds since the epoch of `2024-05-01T12:34:56+03:00`; without an offset it is local time in `zone`."""
    match = _TIME.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    offset = match[2] or ""
    try:
        when = datetime.fromisoformat(match[1].replace(" ", "T"))
        if offset in ("", "Z"):
            east = 0 if offset else zone
        else:
            digits = offset[1:].replace(":", "")
            east = (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (-1 if offset[0] == "-" else 1)
        return when.replace(tzinfo=timezone(timedelta(seconds=east))).timestamp()
    except (ValueError, OverflowError):
        return None


def local_time(when: float, zone: int, *, offset: bool = True) -> str:
    """As panels write a time: local, with its offset."""
    text = datetime.fromtimestamp(when, timezone(timedelta(seconds=zone))).isoformat(timespec="seconds")
    return text if offset else text[:19]


def span(text: str) -> float | None:
    """How long it runs, in seconds: `864000`, or in words."""
    number = whole(text)
    if number is not None:
        return float(number) if number >= 0 else None
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(days * 86_400 + hours * 3600 + minutes * 60 + seconds)


# -- cards -----------------------------------------------------------------------------------------------------------


def card(text: object) -> str:
    """A card's number as everybody behind the bridge writes it. Panels have it in decimal; "" for what is none."""
    digits = str(text) if isinstance(text, str | int) and not isinstance(text, bool) else ""
    try:
        number = from_decimal(digits.strip().lstrip("0"))
    except ProtocolError:
        return ""
    return number


# -- XML that is written -----------------------------------------------------------------------------------------------


def put(root: xml.Element, path: tuple[str, ...], value: str) -> None:
    """Set the text of an element, made where it is missing: what a panel gave is sent back, changed."""
    element = root
    for name in path:
        found = xml.child(element, name)
        if found is None:
            namespace = etree.QName(element).namespace
            found = etree.SubElement(element, etree.QName(namespace, name) if namespace else name)
        element = found
    element.text = value


def drop(root: xml.Element, *names: str) -> None:
    for name in names:
        for one in list(xml.children(root, name)):
            root.remove(one)


def written(root: xml.Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def document(name: str, **fields: str) -> bytes:
    root = xml.parse(f'<{name} version="2.0" xmlns="{NAMESPACE}"/>'.encode())
    for key, value in fields.items():
        put(root, (key,), value)
    return written(root)
