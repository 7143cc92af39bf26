"""A simulated Hikvision panel on a port of loopback. Its parts are in `simulated/`.

Written from Hikvision's ISAPI documents and from what users of such panels have written down, not from the driver.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from aiohttp import web

from bridge.model import Kind
from bridge.testing.http_simulator import HttpSimulator
from bridge.testing.simulator import Fault
from drivers.hikvision.simulated.documents import Documents, Refused, text
from drivers.hikvision.simulated.login import Login
from drivers.hikvision.simulated.profiles import PROFILES
from drivers.hikvision.simulated.slots import JPEG, Slots

STREAM = "/ISAPI/Event/notification/alertStream"
UP_SINCE = 3600.0
KEPT = 2000  # entries of the log
PAGE = 30
SERIALS = 100_000
# Faults that leave a stream alone.
_HARMLESS = frozenset({Fault.CLOCK_SKEW, Fault.WRONG_PASSWORD, Fault.LOST_REPLY})
# What can be let happen that is an access event: major, minor, and more fields.
ACTS: Mapping[tuple[str, bool], tuple[int, int]] = {
    ("card", True): (5, 1),
    ("card", False): (5, 9),
    ("code", True): (5, 181),
    ("code", False): (5, 150),
    ("face", True): (5, 75),
    ("face", False): (5, 76),
    ("fingerprint", True): (5, 38),
    ("fingerprint", False): (5, 39),
    ("exit_button", True): (5, 23),
    ("exit_button", False): (5, 24),
    ("door", True): (5, 25),
    ("door", False): (5, 26),
    ("lock", True): (5, 21),
    ("lock", False): (5, 22),
    ("forced", True): (5, 27),
    ("held", True): (5, 28),
    ("bell", True): (5, 37),
    ("tamper", True): (1, 1028),
    ("tamper", False): (1, 1029),
}


class HikvisionSimulator(HttpSimulator):
    """One panel. `profile` is a model with its firmware, of `simulated/profiles.py`; any of its traits may be given
    besides. `slots` addresses can be posted to, of which `others` has those of another VMS by number. `rest` in seconds
    is how soon after a stream the next one fails. `replay`: a new stream begins with what was kept. `lock_after` wrong
    logins lock the account; `nonce_once`: each nonce is good for one request; `status`: it knows System/status.
    """

    driver: ClassVar[str] = "hikvision"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    content_type = "application/xml"

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.INTERCOM,
        profile: str = "kv6113",
        slots: int = 3,
        others: Mapping[int, str] | None = None,
        rest: float = 0.0,
        replay: bool = False,
        pictures: bool = False,
        lock_after: int | None = None,
        nonce_once: bool = False,
        status: bool = True,
        **options: Any,
    ) -> None:
        traits = {key: options.pop(key) for key in tuple(options) if key in PROFILES[profile].__slots__}
        super().__init__(name, **options)
        self.kind = kind
        known = PROFILES[profile]
        self.profile = type(known)(**{key: traits.get(key, getattr(known, key)) for key in known.__slots__})
        self.rest, self.replay, self._knows_status = rest, replay, status
        rng = random.Random(f"hikvision {self.seed}")
        self.serial = f"{self.profile.model.partition('(')[0]}0120260101V{rng.randrange(10**6, 10**7)}"
        model = {
            "deviceName": f"Gate {self.seed}",
            "deviceID": f"48443030-3633-{rng.randrange(10**11, 10**12)}",
            "model": self.profile.model,
            "serialNumber": self.serial,
            "macAddress": ":".join(f"{rng.randrange(256):02x}" for _ in range(6)),
            "firmwareVersion": self.profile.firmware,
            "firmwareReleasedDate": "build 210521",
            "hardwareVersion": "0x0",
            "deviceType": "VIS",
        }
        self.documents = Documents(self.profile.namespace, model, self.profile.doors, self.username, self._local_time)
        self.hosts = Slots(self.documents, slots, others or {}, self.address, pictures=pictures)
        self.login = Login(
            self.username, self.password, self.accepts, self.now, rng, lock_after=lock_after, once=nonce_once
        )
        self.call = "idle"
        self.open_contacts: set[int] = set()
        self.unlocked: set[int] = set()
        self.kept_open: set[int] = set()
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.full = False  # turns everybody away, without a challenge
        self._serial_no = rng.randrange(100, 5000)
        self._openings = self._writes = 0
        self._started_at = self.now() - UP_SINCE
        self._streams: dict[asyncio.Queue[bytes | None], bool] = {}  # and whether it is dead without a word
        self._left_at = float("-inf")
        self._locking: set[asyncio.TimerHandle] = set()

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await super().start()
        self.hosts.start()

    async def stop(self) -> None:
        for timer in self._locking:
            timer.cancel()
        await self.hosts.stop()
        await super().stop()

    def forget(self) -> None:
        self._streams.clear()
        self.login.forget()
        self.hosts.forget()
        self.call = "idle"
        self._started_at = self.now()
        self._left_at = float("-inf")

    def inventory(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "kind": self.kind.value,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "hikvision": {"port": self.port},
        }

    def configuration(self) -> dict[str, Any]:
        return self.documents.configuration()

    def writes(self) -> int:
        return self._writes

    def openings(self) -> int:
        return self._openings

    def registrations(self) -> int:
        return len(self.hosts.taken())

    def open_subscriptions(self) -> int:
        return len(self._streams)

    def _local_time(self) -> str:
        return self._when(self.now())

    def _when(self, at: float) -> str:
        zone = text(self.documents.roots["System/time"], "timeZone")
        west = int(zone.removeprefix("CST").partition(":")[0])
        return datetime.fromtimestamp(at, timezone(timedelta(hours=-west))).isoformat(timespec="seconds")

    # -- what happens ---------------------------------------------------------------------------------------------

    async def act(self, action: str, **details: Any) -> None:
        """ValueError for what is not among these, or in `ACTS`, whose second word is `on` (or `granted`).

        ring {apartment}, answer, hang_up, no_answer            a call
        motion {active}, video_loss {active}                    alerts of its camera
        vendor_event {topic, data}                              an alert that nobody knows
        raw {body, content_type}                                a part of the stream, whatever it is
        sip {on}                                                its registration
        drop_subscriptions                                      streams stay open and say nothing more
        """
        on = bool(details.pop("on", details.pop("granted", details.pop("active", True))))
        match action:
            case "ring":
                self.call = "ring"
                self._talk("request", str(details.get("apartment", "12")))
            case "answer":
                self.call = "onCall"
                self._talk("answer", "12")
            case "hang_up":
                self.call = "idle"
                self._talk("hangUp", "12")
            case "no_answer":
                self.call = "idle"
                self._talk("bellTimeout", "12")
            case "motion":
                self._alert("VMD", on)
            case "video_loss":
                self._alert("videoloss", on)
            case "vendor_event":
                self._alert(str(details["topic"]), True, **details.get("data", {}))
            case "raw":
                self._part(str(details.get("content_type", "application/xml")), details["body"])
            case "sip":
                self.documents.registered = on
            case "drop_subscriptions":
                for queue in self._streams:
                    self._streams[queue] = True
            case _ if (action, on) in ACTS:
                self._access(*ACTS[action, on], **details)
            case _:
                await super().act(action, **details)

    def _access(self, major: int, minor: int, door: int = 1, **fields: Any) -> None:
        """Into the log, and to whoever listens."""
        for code, where in (((5, 25), self.open_contacts), ((5, 21), self.unlocked)):
            if (major, minor) == code:
                where.add(door)
            if (major, minor) == (code[0], code[1] + 1):
                where.discard(door)
        self._serial_no = self._serial_no % SERIALS + 1
        more = {"card": "cardNo", "user": "employeeNoString", "name": "name", "account": "netUser"}
        entry: dict[str, Any] = {
            "major": major,
            "minor": minor,
            "time": self._local_time(),
            "doorNo": door,
            "serialNo": self._serial_no,
            **{more.get(key, key): value for key, value in fields.items()},
        }
        self.log.append(entry)
        self._tell_access(entry, current=True)

    def _tell_access(self, entry: Mapping[str, Any], *, current: bool) -> None:
        self._part("application/json", self._access_body(entry, current))

    def _access_body(self, entry: Mapping[str, Any], current: bool) -> bytes:
        own = {key: value for key, value in entry.items() if key not in ("major", "minor", "time")}
        return self._json(
            "AccessControllerEvent",
            entry["time"],
            AccessControllerEvent={
                "deviceName": "Access Controller",
                "majorEventType": entry["major"],
                "subEventType": entry["minor"],
                "currentVerifyMode": "cardOrFace",
                "currentEvent": current,
                "frontSerialNo": entry["serialNo"] - 1,
                "statusValue": 0,
                **own,
            },
        )

    def _talk(self, command: str, room: str) -> None:
        if not self.profile.rings:
            return
        self._serial_no = self._serial_no % SERIALS + 1
        talk = {
            "deviceName": "Door Station",
            "cmdType": command,
            "src": {"unitType": "outdoor"},
            "target": {"roomNumber": int(room), "unitType": "indoor"},
            "serialNo": self._serial_no,
            "currentEvent": True,
        }
        self._part("application/json", self._json("voiceTalkEvent", self._local_time(), VoiceTalkEvent=talk))

    def _json(self, kind: str, when: str, **more: Any) -> bytes:
        head = {
            "ipAddress": self.address,
            "portNo": self.port,
            "protocol": "HTTP",
            "channelID": 1,
            "dateTime": when,
            "activePostCount": 1,
            "eventType": kind,
            "eventState": "active",
            "eventDescription": kind,
        }
        return json.dumps({**head, **more}).encode()

    def _alert(self, kind: str, on: bool, *, count: str = "1", **more: str) -> None:
        self._part('application/xml; charset="UTF-8"', self._xml_alert(kind, on, count, more))

    def _xml_alert(self, kind: str, on: bool, count: str, more: Mapping[str, str]) -> bytes:
        fields = {
            "ipAddress": self.address,
            "portNo": str(self.port),
            "protocol": "HTTP",
            "channelID": "1",
            "dateTime": self._local_time(),
            "activePostCount": count,
            "eventType": kind,
            "eventState": "active" if on else "inactive",
            "eventDescription": f"{kind} alarm",
            **more,
        }
        # A line for each, as panels write it: there are clients that read by lines.
        body = "".join(f"<{key}>{escape(value)}</{key}>\r\n" for key, value in fields.items())
        return self.documents.named(f"<EventNotificationAlert>\r\n{body}</EventNotificationAlert>")

    def _part(self, content_type: str, body: bytes) -> None:
        for queue, dead in self._streams.items():
            if not dead:
                queue.put_nowait(self._framed(content_type, body))
        self.hosts.put(content_type, body)

    def _framed(self, content_type: str, body: bytes) -> bytes:
        head = f"--{self.profile.boundary}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body + b"\r\n"

    # -- the event stream -----------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != STREAM or set(self.faults) - _HARMLESS:
            return await super()._handle(request)
        self.seen["stream"] += 1
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if len(self._streams) >= self.profile.streams:
            return web.Response(status=401)  # no challenge, and nothing to read
        if asyncio.get_running_loop().time() - self._left_at < self.rest:
            return self._said(3, "deviceError", 500)
        response = web.StreamResponse(
            headers={"Content-Type": f"multipart/mixed; boundary={self.profile.boundary}", "Connection": "close"}
        )
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams[queue] = False
        try:
            await response.prepare(request)
            for entry in list(self.log)[-10:] if self.replay else ():
                await response.write(self._framed("application/json", self._access_body(entry, False)))
            await self._send(response, queue)
        finally:
            if self._streams.pop(queue, None) is not None:
                self._left_at = asyncio.get_running_loop().time()
                self.login.drop()
        return response

    async def _send(self, response: web.StreamResponse, queue: asyncio.Queue[bytes | None]) -> None:
        while True:
            data: bytes | None = None
            with suppress(TimeoutError):
                async with asyncio.timeout(self.profile.heartbeat):
                    data = await queue.get()
                    if data is None:
                        return
            if data is not None:
                await response.write(data)
            elif queue in self._streams and not self._streams[queue]:
                await response.write(self._framed("application/xml", self._xml_alert("videoloss", False, "0", {})))

    def end_streams(self) -> None:
        """Close them, as a panel does that is tired of them."""
        for queue in self._streams:
            queue.put_nowait(None)

    # -- requests -------------------------------------------------------------------------------------------------

    def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        return web.Response(status=401) if self.full else self.login.admits(request)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        body = await request.read()
        path = request.path.removeprefix("/ISAPI/").strip("/")
        try:
            return await self._answer(request.method, path, body)
        except Refused as error:
            return self._said(6, str(error), 400)

    async def _answer(self, method: str, path: str, body: bytes) -> web.Response:
        match method, path.split("/"):
            case "GET", ["System", "status"] if self._knows_status:
                return self._xml(self.documents.named(self._status()))
            case "PUT", ["System", "reboot"]:
                self.reboot_soon()
                return self._said(1, "ok")
            case "GET", ["Streaming", "channels", "1" | "101", "picture"]:
                return web.Response(body=JPEG, content_type="image/jpeg")
            case "GET", ["VideoIntercom", "callStatus"] if self.profile.calls:
                return web.json_response({"CallStatus": {"status": self.call}})
            case "GET", ["AccessControl", "AcsWorkStatus"]:
                return web.json_response({"AcsWorkStatus": self._work_status()})
            case "POST", ["AccessControl", "AcsEvent"] if self.profile.log:
                return self._search(json.loads(body)["AcsEventCond"])
            case "GET", ["AccessControl", "RemoteControl", "door", "capabilities"]:
                most = self.profile.doors
                said = f'<RemoteControlDoor><doorNo min="1" max="{most}"/><cmd opt="open,alwaysOpen,resume"/>'
                return self._xml(self.documents.named(f"{said}</RemoteControlDoor>"))
            case "PUT", ["AccessControl", "RemoteControl", "door", number]:
                return self._door(int(number), text(self.documents.parse(body), "cmd"))
            case _, ["Event", "notification", "httpHosts", *rest]:
                return self._hosts(method, rest, body)
            case _, ["Security", "users", *rest]:
                return self._users(method, rest, body)
            case "GET", _ if (shown := self.documents.show(path)) is not None:
                return self._xml(shown)
            case "PUT", _ if path in self.documents.roots:
                self._writes += 1
                self.documents.save(path, body)
                return self._said(1, "ok")
        return self._said(4, "notSupport", 403)

    def _status(self) -> str:
        up = self.now() - self._started_at
        return (
            f"<DeviceStatus><currentDeviceTime>{self._local_time()}</currentDeviceTime>"
            f"<deviceUpTime>{up:.0f}</deviceUpTime></DeviceStatus>"
        )

    def _work_status(self) -> dict[str, list[int]]:
        doors = range(1, self.profile.doors + 1)
        return {
            "doorLockStatus": [int(one in self.unlocked) for one in doors],
            "doorStatus": [2 if one in self.kept_open else 4 for one in doors],
            "magneticStatus": [int(one in self.open_contacts) for one in doors],
        }

    def _door(self, number: int, command: str) -> web.Response:
        doors = range(1, self.profile.doors + 1)
        if number not in doors and number != 65535:
            return self._said(6, "badParameters", 400)
        if command not in ("open", "close", "alwaysOpen", "resume"):
            return self._said(6, "badXmlContent", 400)
        for door in doors if number == 65535 else (number,):
            if command == "open":
                self._openings += 1
                self._access(3, 1024, door, account=self.username)
                self._access(5, 21, door)
                seconds = int(text(self.documents.roots[f"AccessControl/Door/param/{door}"], "openDuration"))
                self._locking.add(asyncio.get_running_loop().call_later(seconds, self._access, 5, 22, door))
            elif command == "alwaysOpen":
                self.kept_open.add(door)
            else:
                self.kept_open.discard(door)
        return self._said(1, "ok")

    def _search(self, condition: Mapping[str, Any]) -> web.Response:
        begin, end = (datetime.fromisoformat(condition[key]) for key in ("startTime", "endTime"))
        at, most = int(condition["searchResultPosition"]), min(PAGE, int(condition["maxResults"]))
        found = [
            one
            for one in self.log
            if begin <= datetime.fromisoformat(one["time"]) <= end
            and condition["major"] in (0, one["major"])
            and condition["minor"] in (0, one["minor"])
        ]
        page = found[at : at + most]
        word = "NO MATCH" if not found else "MORE" if at + len(page) < len(found) else "OK"
        answer = {
            "searchID": condition["searchID"],
            "responseStatusStrg": word,
            "numOfMatches": len(page),
            "totalMatches": len(found),
            "InfoList": page,
        }
        return web.json_response({"AcsEvent": answer})

    def _hosts(self, method: str, rest: list[str], body: bytes) -> web.Response:
        match method, rest:
            case "GET", []:
                return self._xml(self.hosts.show())
            case "PUT", [number] if number.isdecimal():
                self.hosts.save(int(number), body)
                return self._said(1, "ok")
            case "DELETE", _:
                self.hosts.clear()  # with a number or without
                return self._said(1, "ok")
        return self._said(4, "methodNotAllowed", 405)

    def _users(self, method: str, rest: list[str], body: bytes) -> web.Response:
        match method, rest:
            case "GET", []:
                return self._xml(self.documents.show_users())
            case "POST", []:
                self._writes += 1
                self.documents.save_user(None, body)
            case "PUT", [number] if number.isdecimal():
                self._writes += 1
                self.documents.save_user(int(number), body)
            case "DELETE", [number] if number.isdecimal():
                self._writes += 1
                self.documents.remove_user(int(number))
            case _:
                return self._said(4, "methodNotAllowed", 405)
        return self._said(1, "ok")

    def _xml(self, body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/xml")

    def _said(self, code: int, sub: str, status: int = 200) -> web.Response:
        """A ResponseStatus: always XML, whatever was asked for."""
        said = f"<statusCode>{code}</statusCode><statusString>{'OK' if code == 1 else 'Invalid'}</statusString>"
        body = f"<ResponseStatus>{said}<subStatusCode>{sub}</subStatusCode></ResponseStatus>"
        return web.Response(body=self.documents.named(body), content_type="application/xml", status=status)
