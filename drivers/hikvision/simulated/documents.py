"""What is set on a simulated panel: XML documents by their path, and what each takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

ISAPI = "/ISAPI/"
# Elements whose text is a number between these two, by the document's root.
RANGES: Mapping[tuple[str, str], tuple[int, int]] = {
    ("OperationTime", "maxRingTime"): (15, 60),
    ("OperationTime", "talkTime"): (90, 120),
    ("AudioOut", "volume"): (0, 10),
    ("AudioOut", "talkVolume"): (0, 10),
    ("AudioIn", "volume"): (0, 10),
    ("DoorParam", "openDuration"): (1, 255),
    ("SIPServer", "proxyPort"): (1, 65535),
}
_ZONE = re.compile(r"CST[+-]?\d{1,2}:\d\d:\d\d(DST.*)?")
_SECRET = "password"  # noqa: S105 - an element's name
_INVALID = re.compile(r'["<>&\\/:*?|]')


class Refused(Exception):
    """With the subStatusCode."""


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


def find(root: ET.Element, *path: str) -> ET.Element | None:
    element: ET.Element | None = root
    for name in path:
        element = next((one for one in element if local(one.tag) == name), None) if element is not None else None
    return element


def text(root: ET.Element, *path: str) -> str:
    found = find(root, *path)
    return (found.text or "") if found is not None else ""


class Documents:
    """`namespace` is what the firmware calls its own."""

    def __init__(
        self, namespace: str, model: Mapping[str, str], doors: int, admin: str, now: Callable[[], str]
    ) -> None:
        self.namespace = namespace
        self._now = now
        self.registered = True
        self.passwords: dict[str, str] = {}  # that were set, by user, and "sip"
        info = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in model.items())
        body = {
            "System/deviceInfo": f"<DeviceInfo>{info}</DeviceInfo>",
            "System/time": "<Time><timeMode>NTP</timeMode><localTime/><timeZone>CST-3:00:00</timeZone></Time>",
            "System/time/ntpServers/1": "<NTPServer><id>1</id><addressingFormatType>hostname</addressingFormatType>"
            "<hostName>time.windows.com</hostName><portNo>123</portNo><synchronizeInterval>60</synchronizeInterval>"
            "</NTPServer>",
            "System/Network/SIP/1": "<SIPServer><id>1</id><Standard><enabled>true</enabled><proxy>192.0.2.60</proxy>"
            "<proxyPort>5060</proxyPort><displayName>Gate</displayName><userName>100</userName><authID>100</authID>"
            "<expires>30</expires><registerStatus/></Standard></SIPServer>",
            "System/Audio/AudioIn/channels/1": "<AudioIn><id>1</id><AudioInVolumelist><AudioInVlome>"
            "<type>audioInput</type><volume>7</volume></AudioInVlome></AudioInVolumelist></AudioIn>",
            "System/Audio/AudioOut/channels/1": "<AudioOut><id>1</id><AudioOutVolumelist><AudioOutVlome>"
            "<type>audioOutput</type><volume>7</volume><talkVolume>7</talkVolume></AudioOutVlome>"
            "</AudioOutVolumelist></AudioOut>",
            "VideoIntercom/operationTime": "<OperationTime><maxRingTime>30</maxRingTime><talkTime>90</talkTime>"
            "<messageTime>30</messageTime></OperationTime>",
            "System/Video/inputs/channels/1/overlays": "<VideoOverlay><normalizedScreenSize>"
            "<normalizedScreenWidth>704</normalizedScreenWidth></normalizedScreenSize><TextOverlayList size='4'>"
            "<TextOverlay><id>1</id><enabled>false</enabled><positionX>16</positionX><positionY>64</positionY>"
            "<displayText></displayText></TextOverlay></TextOverlayList></VideoOverlay>",
        }
        triggers = "".join(
            f"<EventTrigger><id>{kind}-1</id><eventType>{kind}</eventType><videoInputChannelID>1</videoInputChannelID>"
            "<EventTriggerNotificationList><EventTriggerNotification><id>center</id>"
            "<notificationMethod>center</notificationMethod></EventTriggerNotification></EventTriggerNotificationList>"
            "</EventTrigger>"
            for kind in ("VMD", "tamperdetection")
        )
        body["Event/triggers"] = (
            f"<EventNotification><EventTriggerList>{triggers}</EventTriggerList></EventNotification>"
        )
        for number in range(1, doors + 1):
            body[f"AccessControl/Door/param/{number}"] = (
                f"<DoorParam><doorName>Door{number}</doorName><openDuration>5</openDuration>"
                "<magneticType>alwaysClose</magneticType></DoorParam>"
            )
        self.roots = {path: self.parse(self.named(text)) for path, text in body.items()}
        self.users: dict[int, dict[str, str]] = {1: {"userName": admin, "userLevel": "Administrator"}}

    def named(self, body: str) -> bytes:
        """With the declaration and the namespace."""
        head, rest = re.match(r"<(\w+)(.*)", body, re.DOTALL).groups()  # type: ignore[union-attr] # it is one
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<{head} version="2.0" xmlns="{self.namespace}"{rest}'.encode()

    @staticmethod
    def parse(body: bytes) -> ET.Element:
        try:
            return ET.fromstring(body)  # noqa: S314 - what our own driver and test clients send
        except ET.ParseError:
            raise Refused("badXmlFormat") from None

    def show(self, path: str) -> bytes | None:
        if path.endswith("/capabilities"):
            return self._capabilities(path.removesuffix("/capabilities"))
        root = self.roots.get(path)
        if root is None:
            return None
        if path == "System/time":
            self._set(root, "localTime", self._now())
        if path == "System/Network/SIP/1":
            standard = find(root, "Standard")
            assert standard is not None
            on = self.registered and text(standard, "enabled") == "true"
            self._set(standard, "registerStatus", "true" if on else "false")
        ET.register_namespace("", self.namespace)
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root)

    def _set(self, root: ET.Element, name: str, value: str) -> None:
        found = find(root, name)
        if found is not None:
            found.text = value

    def _capabilities(self, path: str) -> bytes | None:
        root = self.roots.get(path)
        if root is None or not any(name == local(root.tag) for name, _ in RANGES):
            return None
        told = self.parse(ET.tostring(root))
        for one in told.iter():
            if (told_of := RANGES.get((local(root.tag), local(one.tag)))) is not None:
                one.set("min", str(told_of[0]))
                one.set("max", str(told_of[1]))
        ET.register_namespace("", self.namespace)
        return ET.tostring(told)

    def save(self, path: str, body: bytes) -> None:
        """Raises Refused."""
        root, before = self.parse(body), self.roots[path]
        if local(root.tag) != local(before.tag):
            raise Refused("badXmlContent")
        for one in root.iter():
            bounds = RANGES.get((local(root.tag), local(one.tag)))
            if bounds is not None and not (
                (one.text or "").isdigit() and bounds[0] <= int(one.text or "") <= bounds[1]
            ):
                raise Refused("badParameters")
        if path == "System/time" and not _ZONE.fullmatch(text(root, "timeZone")):
            raise Refused("badParameters")
        if path == "System/time" and text(root, "timeMode") == "manual" and not text(root, "localTime"):
            raise Refused("badParameters")
        if path == "System/deviceInfo":
            name = text(root, "deviceName")
            if not name or _INVALID.search(name):
                raise Refused("badDevType")
            root = before  # of all that it tells, the name alone is set
            self._set(root, "deviceName", name)
        if path == "System/Network/SIP/1":
            standard = find(root, "Standard")
            if standard is None:
                raise Refused("badXmlContent")
            for one in [one for one in standard if local(one.tag) == _SECRET]:
                self.passwords["sip"] = one.text or ""
                standard.remove(one)
        self.roots[path] = root

    # -- accounts ------------------------------------------------------------------------------------------------

    def show_users(self) -> bytes:
        listed = "".join(
            f"<User><id>{number}</id>"
            + "".join(f"<{key}>{escape(value)}</{key}>" for key, value in one.items())
            + "</User>"
            for number, one in self.users.items()
        )
        return self.named(f"<UserList>{listed}</UserList>")

    def save_user(self, number: int | None, body: bytes) -> None:
        root = self.parse(body)
        name, level, word = text(root, "userName"), text(root, "userLevel") or "Viewer", text(root, _SECRET)
        if local(root.tag) != "User" or not name or level not in ("Administrator", "Operator", "Viewer"):
            raise Refused("badXmlContent")
        if number is None:
            if not 8 <= len(word) <= 16:
                raise Refused("badPassword")
            if any(one["userName"] == name for one in self.users.values()):
                raise Refused("deviceUserAlreadyExist")
            number = max(self.users) + 1
        elif number not in self.users:
            raise Refused("invalidID")
        if number == 1 and level != "Administrator":
            raise Refused("lowPrivilege")
        self.users[number] = {"userName": name, "userLevel": level}
        if word:
            self.passwords[name] = word

    def remove_user(self, number: int) -> None:
        if number == 1 or number not in self.users:
            raise Refused("invalidID")
        del self.users[number]

    def configuration(self) -> dict[str, Any]:
        def plain(root: ET.Element) -> Any:
            return {f"{i} {local(one.tag)}": plain(one) for i, one in enumerate(root)} if len(root) else root.text or ""

        shown = {path: self.parse(self.show(path) or b"<x/>") for path in self.roots}
        for root in shown.values():
            self._set(root, "localTime", "")
        return {
            **{path: plain(root) for path, root in shown.items()},
            "users": {str(k): v for k, v in self.users.items()},
        }
