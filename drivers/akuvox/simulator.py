"""A simulated Akuvox panel on a port of loopback. Its parts are in `simulated/`.

Written from the vendor's HTTP API (envelope, targets and actions, keys of the configuration), its pages about action
URLs and HTTP API authorisation, and from what public integrations have met on real units; not from the driver.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from aiohttp import web

from bridge.model import Kind
from bridge.testing.http_simulator import HttpSimulator
from bridge.testing.simulator import Fault
from drivers.akuvox.simulated.access import Access
from drivers.akuvox.simulated.models import LETTERS, MODELS, RELAY, URLS, factory, is_secret, refused
from drivers.akuvox.simulated.reports import ActionUrls, send_line

UP_SINCE = 5000.0  # seconds that it has been running when it is made
ZONE = 3 * 3600.0  # Moscow, as it leaves the factory
PAGE = 10
GAP = 0.24  # seconds between two requests that the frail web server of real panels wants
_PICTURE = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + b"\x00" * 64 + b"\xff\xd9"
_NO_HANDLER = "No handlers for this request"
_LINE_TYPES = {"card": "RF", "code": "PIN", "face": "FACE", "button": "INPUT"}
_LOG_TYPES = {"card": "Card", "code": "PIN", "face": "Face", "button": "Exit Button", "api": "HTTP", "dtmf": "DTMF"}
_URL_NAMES = {"card": "CardEntered", "code": "CodeEntered", "face": "FaceRecognition"}
_CALL_LINES = {
    "trying": "SIP_LOG:MSG_S2P_TRYING nCallID = {id}",
    "ringback": "SIP_LOG:MSG_S2P_RINGBACK nCallID = {id}",
    "answer": "SIP_LOG:MSG_S2P_ESTABLISHED_CALL nCallID = {id}",
    "finish": "SIP_LOG:Call Finished callid={id}",
    "fail": "SIP_LOG:Call Failed callid={id}",
    "analog_answer": "Analog Established Call",
    "analog_finish": "Analog Finished Call",
}


class AkuvoxSimulator(HttpSimulator):
    """`auth`: digest, basic, none, allowlist, web. `action_urls`, `syslog`: whether its firmware has them.
    `reboot_for_syslog`: a new target holds after a reboot only. `frail`: its web server hangs for good when two
    requests come at once, or sooner than `GAP` after another."""

    driver: ClassVar[str] = "akuvox"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    content_type = "text/plain"

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.INTERCOM,
        model: str = "R20A",
        auth: str = "digest",
        action_urls: bool = True,
        syslog: bool = True,
        reboot_for_syslog: bool = True,
        frail: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.kind = kind
        self.model_name, self.model = model, MODELS[model]
        self.access = Access(auth, self.username, self.password, self.accepts, time.monotonic)
        self.config = factory(self.model, action_urls=action_urls, syslog=syslog)
        self.urls = ActionUrls(self.config, self.address)
        self.sip_status = "2"
        self.door_log = True  # whether its firmware has one
        self.refuses = ""  # keys that begin so are not taken
        self.log: list[dict[str, str]] = []  # oldest first
        self.opened_for: list[Mapping[str, Any]] = []  # what each opening was asked with
        self.requests: list[str] = []  # what was asked: method, path, target of the envelope
        self.hung = False
        self._reboot_for_syslog = reboot_for_syslog
        self._frail = frail
        self._started_at = time.monotonic() - UP_SINCE
        self._target = dict(self.config)  # where lines go, as it was when it started
        self._entries = 0
        self._call = 200_001
        self._open_until: dict[int, float] = {}
        self._openings = 0
        self._writes = 0
        self._busy = False
        self._quiet_from = 0.0
        self._later: set[asyncio.Task[None]] = set()

    # -- life -----------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        self._started_at = time.monotonic()
        self._target = dict(self.config)
        self._open_until.clear()
        self._call = 200_001
        self.hung = False
        self.access.forget()

    async def stop(self) -> None:
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        await super().stop()

    def inventory(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "kind": self.kind.value,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "akuvox": {"port": self.port, "picture_port": self.port},
        }

    @property
    def mac(self) -> str:
        return f"0C:11:05:00:{self.seed >> 8 & 255:02X}:{self.seed & 255:02X}"

    def configuration(self) -> dict[str, Any]:
        return {key: value for key, value in self.config.items() if not is_secret(key)}

    def writes(self) -> int:
        return self._writes

    def openings(self) -> int:
        return self._openings

    def registrations(self) -> int:
        urls = sum(key.startswith(URLS) and "://" in value for key, value in self.config.items())
        return urls + (self.config.get("Config.Settings.LOGLEVEL.RemoteSyslog") == "1")

    # -- what it answers ------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        loop = asyncio.get_running_loop()
        too_soon = self._busy or loop.time() - self._quiet_from < GAP
        if self._frail and (self.hung or too_soon):
            # Until somebody pulls the plug.
            self.hung = True
            await loop.create_future()
        self._busy = True
        try:
            return await self._answer(request)
        finally:
            self._busy, self._quiet_from = False, loop.time()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if "Expect" in request.headers:
            return web.Response(status=417)
        path = request.path.rstrip("/")
        if path == "/fcgi/do":
            return self._old_door(request.query)
        if path == "/api/web/system/info" and self.access.mode == "web":
            return web.json_response({"model": self.model_name, "firmware": self.model.firmware})
        if (refusal := self.access.refusal(request)) is not None:
            return refusal
        if path == "/picture.jpg":
            return web.Response(body=_PICTURE, content_type="image/jpeg")
        if path != "/api" and not path.startswith("/api/"):
            return web.Response(status=404, text="<html><body>404</body></html>", content_type="text/html")
        try:
            envelope = json.loads(await request.read()) if request.method == "POST" else {}
        except ValueError:
            return _reply(-1, "", "Error param")
        if path == "/api":
            target, action = str(envelope.get("target")), str(envelope.get("action"))
        else:
            target, _, action = path.removeprefix("/api/").partition("/")
        self.requests.append(f"{request.method} {target} {action}")
        return self._do(request, target, action, envelope)

    def _do(self, request: web.BaseRequest, target: str, action: str, envelope: dict[str, Any]) -> web.Response:
        data = envelope.get("data")
        match target, action:
            case "system", "info":
                return _reply(0, action, "OK", self._info())
            case "system", "status":
                up = int(time.monotonic() - self._started_at)
                return _reply(0, action, "OK", {"SystemTime": str(int(self.now())), "UpTime": str(up)})
            case "system", "reboot":
                self.reboot_soon()
                return _reply(0, action, "OK")
            case "relay", _ if not self.model.relay_api:
                return web.Response(text=_NO_HANDLER, content_type="text/plain")
            case "relay", "status":
                return _reply(0, "get", "", {f"Relay{letter}": self._relay(letter) for letter in self._letters})
            case "relay", "get":
                found = {key: value for key, value in self.config.items() if key.startswith(RELAY)}
                return _reply(0, action, "OK", found)
            case "relay", "trig":
                return self._trigger(data)
            case "config", _ if request.method == "POST" and not self.model.posts:
                return _reply(-1, action, "unsupport action")
            case "config", "get":
                return self._read(data)
            case "config", "set":
                return self._write(request, envelope)
            case "doorlog", "get" if self.door_log:
                page = data.get("page") if isinstance(data, dict) else request.query.get("page")
                return self._door_log(int(page or 1))
        return web.Response(text=_NO_HANDLER, content_type="text/plain")

    @property
    def _letters(self) -> str:
        return LETTERS[: self.model.relays]

    def _info(self) -> dict[str, Any]:
        status = {
            "Model": self.model_name,
            "MAC": self.mac,
            "FirmwareVersion": self.model.firmware,
            "HardwareVersion": self.model.hardware,
            "Uptime": "0 day 1:23",
            "WebLang": "0",
        }
        lan = {"IPAddress": self.address, "SubnetMask": "255.0.0.0", "LinkStatus": "Connected"}
        return {"Status": status, "Lan": lan, "Account1": {"Status": self.sip_status}, "Account2": {"Status": "0"}}

    def _relay(self, letter: str) -> int:
        """Its contact: with a relay that is closed at rest, 1 is at rest."""
        active = self._open_until.get(LETTERS.index(letter) + 1, 0.0) > time.monotonic()
        return int(active != (self.config[f"{RELAY}Relay{letter}Type"] == "1"))

    def _trigger(self, data: Any) -> web.Response:
        number = data.get("num") if isinstance(data, dict) else None
        if not isinstance(number, int) or not 1 <= number <= self.model.relays:
            return _reply(-1, "trigRelay", "Error param")
        self._opens(number, data, float(data.get("delay") or 5))
        return _reply(1, "trigRelay", "OK", {})

    def _opens(self, number: int, asked: Mapping[str, Any], seconds: float) -> None:
        self._openings += 1
        self.opened_for.append(dict(asked))
        self._open_until[number] = time.monotonic() + seconds
        self._enter("api", True, "", number)
        letter = LETTERS[number - 1]
        task = asyncio.create_task(self.urls.fire(f"Relay{letter}Triggered", self._values(relay=number, status="1")))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _old_door(self, query: Mapping[str, str]) -> web.Response:
        """The address from before the API: always 200, and the truth in a hidden field of a page."""
        self.requests.append(f"GET fcgi {query.get('action')}")
        right = (query.get("UserName"), query.get("Password")) == (self.username, self.password)
        if self.model_name == "R20A":
            return web.Response(text="please use new interface", content_type="text/html")
        number = int(query.get("DoorNum", "0"))
        opens = right and Fault.WRONG_PASSWORD not in self.faults and 1 <= number <= self.model.relays
        if opens:
            self._opens(number, {"num": number}, 5)
        value = "0" if opens else "-1"
        page = f"<form name='hiddenValForm_Div'><input id=hcSingleResult type=hidden value='{value}'></form>"
        return web.Response(text=page, content_type="text/html")

    # -- configuration --------------------------------------------------------------------------------------------

    def _read(self, data: Any) -> web.Response:
        wanted = data.get("item") if isinstance(data, dict) else None
        keys = self.config if wanted is None else [key for key in wanted if key in self.config]
        return _reply(0, "get", "OK", {key: "******" if is_secret(key) else self.config[key] for key in keys})

    def _write(self, request: web.BaseRequest, envelope: dict[str, Any]) -> web.Response:
        self._writes += 1
        if request.method == "GET":
            wanted = dict(request.query)
            if len(wanted) != 1:
                return _reply(-1, "set", "Error param")
        elif envelope.get("target") == "config" and isinstance(envelope.get("data"), dict):
            wanted = envelope["data"]
        else:
            return _reply(-1, "set", "unsupport action")
        if any(key not in self.config or not isinstance(value, str) for key, value in wanted.items()):
            return _reply(-1, "set", "Error param")
        if any(refused(key, value) or (self.refuses and key.startswith(self.refuses)) for key, value in wanted.items()):
            return _reply(-1, "set", "Invalid value")
        self.config |= wanted
        if not self._reboot_for_syslog:
            self._target = dict(self.config)
        return _reply(0, "set", "OK")

    # -- what it has recorded -------------------------------------------------------------------------------------

    def _door_log(self, page: int) -> web.Response:
        newest_first = self.log[::-1][(page - 1) * PAGE : page * PAGE]
        return _reply(0, "get", "OK", {"num": len(self.log), "curPageNum": page, "item": newest_first})

    def _enter(self, by: str, granted: bool, code: str, number: int) -> None:
        self._entries += 1
        local = time.gmtime(self.now() + ZONE)
        self.log.append(
            {
                "ID": str(self._entries),
                "Date": time.strftime("%Y-%m-%d", local),
                "Time": time.strftime("%H:%M:%S", local),
                "Name": "Alice" if code else "Unknown",
                "Code": code,
                "Type": _LOG_TYPES.get(by, by),
                "Relay": str(number) if granted else "",
                "Status": "Success" if granted else "Failed",
            }
        )

    # -- what happens ---------------------------------------------------------------------------------------------

    def _values(self, *, relay: int = 1, status: str = "", **more: str) -> dict[str, str]:
        about = {"mac": self.mac, "ip": self.address, "model": self.model_name, "firmware": self.model.firmware}
        states = {f"relay{relay}status": status, f"input{relay}status": status, "alarmstatus": status}
        return {**about, **states, **more}

    def say(self, line: str, severity: int = 6) -> None:
        send_line(self._target, self.address, line, self.now(), ZONE, severity)

    async def act(self, action: str, **details: Any) -> None:
        """ValueError for what is not among these.

        card, code, face {code, granted, relay}      somebody shows a key
        button {relay}                                the exit button: opens the door
        dtmf {peer, relay}                            the one who was called opens the door
        relay, input {number, on}
        tamper {on}; break_in, held {number}          alarms
        call {number, name, analog, call}             a visitor presses a button (call: the id that it gets)
        trying, ringback, answer, finish, fail, analog_answer, analog_finish   what becomes of the call
        hang_up                                       by action URL alone
        cancel                                        the visitor presses C: nothing is told
        motion {}; line {text, severity}; log {by, granted}    the last is only in the door log
        vendor_event {topic, data}; drop_subscriptions {}
        """
        match action:
            case "card" | "code" | "face":
                await self._key(action, **details)
            case "button" | "dtmf" | "relay" | "input" | "tamper" | "break_in" | "held":
                await self._contact(action, **details)
            case "call":
                await self._calls(**details)
            case "hang_up":
                await self.urls.fire("HangUp", self._values(remote=str(details.get("number", ""))))
            case "cancel":
                pass
            case "motion":
                self.say("MD_LOG:start motion")
            case "line":
                self.say(details["text"], details.get("severity", 6))
            case "log":
                self._enter(details["by"], details.get("granted", True), details.get("code", ""), 1)
            case "vendor_event":
                text = next(iter(details["data"].values()), "")
                self.say(f"NEW_LOG:{text}")
                await self.urls.fire("AlarmLog", self._values(remote=text))
            case "drop_subscriptions":
                self.config |= {key: "" for key in self.config if key.startswith(URLS) and "://" in self.config[key]}
                if "Config.Settings.LOGLEVEL.RemoteSyslog" in self.config:
                    self.config |= {"Config.Settings.LOGLEVEL.RemoteSyslog": "0"}
                    self._target = dict(self.config)
            case _ if action in _CALL_LINES:
                self.say(_CALL_LINES[action].format(id=self._call))
            case _:
                await super().act(action, **details)

    async def _key(self, by: str, code: str = "", granted: bool = True, relay: int = 1) -> None:
        status = "Successful" if granted else "Failed"
        self.say(f"OPENDOOR_LOG:Type:{_LINE_TYPES[by]} KeyCode:{code or '1234'} Relay:{relay} Status:{status}")
        self._enter(by, granted, code, relay)
        name = f"{'Valid' if granted else 'Invalid'}{_URL_NAMES[by]}"
        await self.urls.fire(name, self._values(card_sn=code, code=code, unlocktype=_LOG_TYPES[by]))

    async def _contact(self, what: str, number: int = 1, on: bool = True, peer: str = "sip:1000000012") -> None:
        letter, values = LETTERS[number - 1], self._values(relay=number, status=str(int(on)))
        match what:
            case "button":
                self.say(f"OPENDOOR_LOG:Type:INPUT KeyCode:-- Relay:{number} Status:Successful")
                self._enter("button", True, "", number)
                await self.urls.fire(f"Relay{letter}Triggered", values)
            case "dtmf":
                self.say(f"DTMF_LOG:From {peer}")
                self._enter("dtmf", True, "", number)
                await self.urls.fire(f"Relay{letter}Triggered", values)
            case "relay" | "input":
                await self.urls.fire(f"{what.title()}{letter}{'Triggered' if on else 'Closed'}", values)
            case "tamper":
                await self.urls.fire("TamperAlarmTriggered", values)
            case "break_in":
                await self.urls.fire(f"BreakInAlarm{letter}", values)
            case "held":
                await self.urls.fire(f"AlarmDoorOpenedTimeout{letter}", values)

    async def _calls(self, number: str = "1000000012", name: str = "12", analog: bool = False) -> None:
        self._call += 1
        legs = (0, 2) if analog else (0,)
        for account in legs:
            self.say(f"MakeCall-nCallID = {self._call} nAccountID={account} CallNum:{number} DisplayName:{name}")
        await self.urls.fire("MakeCall", self._values(remote=number))


def _reply(retcode: int, action: str, message: str, data: Any = None) -> web.Response:
    told = {"retcode": retcode, "action": action, "message": message}
    body = json.dumps(told if data is None else {**told, "data": data})
    # JSON under another name, as it comes from the device.
    return web.Response(text=body, content_type="text/plain")
