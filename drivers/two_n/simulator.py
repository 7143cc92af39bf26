"""A simulated 2N IP intercom on a port of loopback. Its parts are in `simulated/`.

Written from the vendor's HTTP API manual (2.10 to 2.50) and from the shapes of configuration files of 2.49 and 2.50,
not from the driver.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from email.parser import BytesParser
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from aiohttp import web

from bridge.model import Kind
from bridge.testing.http_simulator import HttpSimulator
from drivers.two_n.simulated.configuration import ZONES, Configuration, Wrong
from drivers.two_n.simulated.firmware import FIRMWARES
from drivers.two_n.simulated.log import DURATION, LONGEST, Log
from drivers.two_n.simulated.login import BLOCKED_AFTER, BLOCKED_FOR, Logins

UP_SINCE = 3600.0  # seconds that it has been running when it starts
SCHEMES: Mapping[str, str] = {"switch": "basic", "io": "basic", "camera": "basic"}  # the others: digest
# The service that the second word of a path belongs to, where it is not that word.
_SERVICES = {"firmware": "system", "config": "system", "dir": "system", "call": "phone", "accesspoint": "access"}
_WITHOUT_LICENCE = ("/api/system/info", "/api/camera/", "/api/log/")
_ERRORS = {
    1: "function is not supported",
    2: "invalid request path",
    3: "invalid request method",
    4: "function is disabled",
    7: "invalid connection type",
    8: "invalid authentication method",
    9: "authorization required",
    10: "insufficient user privileges",
    11: "missing mandatory parameter",
    12: "invalid parameter value",
    13: "parameter data too big",
    14: "unspecified processing error",
    15: "no data available",
    17: "parameter collision",
    18: "request is rejected",
    19: "file version is not supported",
}
_PICTURE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + b"\x00" * 64 + b"\xff\xd9"


class TwoNSimulator(HttpSimulator):
    """One intercom with `switches` switches, of which the last is not enabled where there are more than two.

    `firmware` is 2.10, 2.34 or 2.50. `schemes` is laid over the authentication of its services. Without `licensed`
    only what needs no licence works. `disabled`, `https_only` and `unprivileged` name services that answer error 4, 7,
    10. `bistable` names switches that stay where they are put. One that `blocks` lets nobody log in for a while after a
    few wrong logins.
    """

    driver: ClassVar[str] = "two_n"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.INTERCOM,
        firmware: str = "2.50",
        model: str = "2N IP Verso",
        schemes: Mapping[str, str] | None = None,
        licensed: bool = True,
        disabled: tuple[str, ...] = (),
        https_only: tuple[str, ...] = (),
        unprivileged: tuple[str, ...] = (),
        switches: int = 3,
        bistable: tuple[int, ...] = (),
        blocks: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.kind = kind
        self.firmware = FIRMWARES[firmware]
        self.model = model
        self.licensed = licensed
        self.disabled = set(disabled)
        self.https_only = set(https_only)
        self.unprivileged = set(unprivileged)
        self.bistable = bistable
        self._rng = random.Random(f"2n {self.seed}")
        digits = f"{self._rng.randrange(10**8):08d}"
        self.serial = f"54-{digits[:4]}-{digits[4:]}"
        self.mac = "7C-1E-B3-" + "-".join(f"{self._rng.randrange(256):02X}" for _ in range(3))
        self.log = Log(self.firmware.history, self._rng)
        self.logins = Logins({**SCHEMES, **(schemes or {})}, self.username, self.password, self.accepts, self._rng)
        self.settings = Configuration(model, self.serial, self.firmware.version, name)
        self.config_delay = 0.0  # seconds until an uploaded configuration holds; about 15 on the real ones
        self.errors: dict[str, int] = {}  # the error that a path answers
        self.switches: dict[int, dict[str, Any]] = {
            number: {"active": False, "locked": False, "held": False} for number in range(1, switches + 1)
        }
        self.ports: dict[str, dict[str, Any]] = {
            "input1": {"type": "input", "state": 0},
            "relay1": {"type": "output", "state": 0},
        }
        self.registered = True
        self.calls: dict[int, dict[str, Any]] = {}
        self.blocks = blocks
        self.blocked_until = 0.0
        self._began = self.now() - UP_SINCE
        self._opened = 0
        self._writes = 0
        self._delayed: set[asyncio.Task[None]] = set()

    # -- life -----------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        self.log.drop()
        for task in tuple(self._delayed):
            task.cancel()
        await super().stop()

    def forget(self) -> None:
        self.log.forget()
        self.logins.forget()
        self._began = self.now()
        self.calls.clear()
        for one in self.switches.values():
            one.update(active=False, held=False)
        self._tell("DeviceState", {"state": "startup"})

    def inventory(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "kind": str(self.kind),
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "two_n": {"port": self.port, "tls": "off"},
        }

    def open_subscriptions(self) -> int:
        return len(self.log.channels)

    def openings(self) -> int:
        return self._opened

    def writes(self) -> int:
        return self._writes

    def configuration(self) -> dict[str, Any]:
        return self.settings.told()

    @property
    def uptime(self) -> float:
        return max(0.0, self.now() - self._began)

    # -- what happens in front of it ------------------------------------------------------------------------------

    def _tell(self, name: str, params: Mapping[str, Any]) -> None:
        self.log.add(name, params, utc=self.now(), up=self.uptime, shift=60)

    async def act(self, action: str, **details: Any) -> None:
        match action:
            case "vendor_event":
                self._tell(details["topic"], details["data"])
            case "event":  # as it stands in the log
                self._tell(details["name"], details.get("params", {}))
            case "raw":
                self.log.put(details["event"])
            case "drop_subscriptions":
                self.log.drop()
            case "ring" | "answer" | "hang_up":
                state = {"ring": "ringing", "answer": "connected", "hang_up": "terminated"}[action]
                self._call(state, details.get("peer", "sip:101@192.0.2.10:5060"), details.get("session", 1))
            case "card" | "code":
                self._key(action, **details)
            case "door":
                opened = bool(details.get("open", True))
                self.ports["input1"]["state"] = int(opened)
                self._tell("DoorStateChanged", {"state": "opened" if opened else "closed"})
            case "switch":
                self._switch(details.get("number", 1), bool(details.get("on", True)), details.get("by", "dtmf"))
            case "register":
                self.registered = bool(details.get("registered", True))
                state = "registered" if self.registered else "unregistered"
                self._tell("RegistrationStateChanged", {"sipAccount": 1, "state": state})
            case _:
                await super().act(action, **details)

    def _call(self, state: str, peer: str, session: int) -> None:
        self.calls[session] = {"session": session, "direction": "outgoing", "state": state}
        if state == "terminated":
            del self.calls[session]
        self._tell(
            "CallStateChanged",
            {"direction": "outgoing", "state": state, "peer": peer, "session": session, "call": 1},
        )

    def _key(
        self, what: str, *, granted: bool = True, valid: bool | None = None, session: int = 7, **more: Any
    ) -> None:
        """Somebody shows a card or types a code; newer firmware says besides whether that lets them in."""
        known = granted if valid is None else valid
        shown: dict[str, Any] = {"ap": 0, "session": session, "direction": "in"}
        if what == "card":
            shown |= {"reader": "ext7", "uid": more.get("uid", "00FF1A2B3C"), "valid": known}
            self._tell("CardEntered", shown)
        else:
            self._tell("CodeEntered", {**shown, "code": more.get("code", "4711"), "type": "user", "valid": known})
        if "UserAuthenticated" in self.firmware.events:
            user = {"ap": 0, "session": session, "name": "Joe Resident", "uuid": "4d6a", "apbBroken": False}
            if granted:
                self._tell("UserAuthenticated", user)
            elif known:
                self._tell("UserRejected", {**user, "reason": more.get("reason", "invalidTime")})

    def _switch(self, number: int, on: bool, by: str) -> None:
        self.switches[number]["active"] = on
        self._tell("SwitchStateChanged", {"switch": number, "state": on, "originator": by})

    # -- what it answers ------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        path, words = request.path, request.path.strip("/").split("/")
        if words[0] != "api" or len(words) < 2:
            return web.Response(status=404, text="<html>404</html>", content_type="text/html")
        service = _SERVICES.get(words[1], words[1])
        refusal = self._refusal(path, service) or self._login(request, service)
        if refusal is not None:
            return refusal
        query = await _parameters(request)
        try:
            return await self._serve(request, path, query)
        except Wrong as wrong:
            return _error(wrong.code, wrong.param)

    def _refusal(self, path: str, service: str) -> web.Response | None:
        if path in self.errors:
            return _error(self.errors[path])
        if service in self.disabled or not (self.licensed or path.startswith(_WITHOUT_LICENCE)):
            return _error(4)
        return _error(7) if service in self.https_only else None

    def _login(self, request: web.BaseRequest, service: str) -> web.Response | None:
        given = request.headers.get("Authorization")
        if self.now() < self.blocked_until and given is not None:
            return _error(9, status=401)
        challenge = self.logins.check(service, request.method, request.raw_path, given)
        if self.blocks and self.logins.wrong >= BLOCKED_AFTER:
            self.logins.wrong = 0
            self.blocked_until = self.now() + BLOCKED_FOR
            self._tell("LoginBlocked", {"address": request.remote or ""})
        if challenge is not None:
            return _error(9, status=401, headers={"WWW-Authenticate": challenge})
        if service in self.unprivileged:
            return _error(10, status=401, headers={"WWW-Authenticate": self.logins.challenge(service)})
        return None

    async def _serve(self, request: web.BaseRequest, path: str, query: dict[str, Any]) -> web.Response:
        if path in self.firmware.missing or f"{request.method} {path}" in self.firmware.missing:
            return _error(2)
        put = request.method == "PUT"
        if request.method not in ("GET", "POST", "PUT"):
            return _error(3)
        match path.removeprefix("/api/"):
            case "system/info":
                return _result(self._info())
            case "system/status":
                return _result({"systemTime": int(self.now()), "upTime": int(self.uptime)})
            case "system/restart":
                self.reboot_soon()
                return _result()
            case "system/time":
                return self._time(query, put=put)
            case "system/timezone":
                return self._zone(query, put=put)
            case "system/timezone/caps":
                return _result({"timezones": list(ZONES)})
            case "config":
                return await self._config(query, put=put)
            case "switch/caps" | "switch/status" | "switch/ctrl":
                return self._switches(path.rpartition("/")[2], query)
            case "io/caps":
                return _result({"ports": [{"port": name, "type": one["type"]} for name, one in self.ports.items()]})
            case "io/status":
                return _result({"ports": [{"port": name, "state": one["state"]} for name, one in self.ports.items()]})
            case "phone/status":
                return _result({"accounts": [self._registration(one) for one in self.settings.accounts]})
            case "phone/config":
                return self._accounts(query, put=put)
            case "call/status":
                sessions = list(self.calls.values())
                return web.json_response(sessions) if self.firmware.bare_calls else _result({"sessions": sessions})
            case "camera/caps":
                sizes = [{"width": 640, "height": 480}, {"width": 1280, "height": 960}, {"width": 160, "height": 120}]
                return _result({"jpegResolution": sizes, "sources": [{"source": "internal"}, {"source": "external"}]})
            case "camera/snapshot":
                if (query.get("width"), query.get("height")) not in (("640", "480"), ("1280", "960"), ("160", "120")):
                    return _error(12 if "width" in query else 11, "width")
                return web.Response(body=_PICTURE, content_type="image/jpeg")
            case "dir/template":
                return _error(7)  # only over HTTPS
            case log if log.startswith("log/"):
                return await self._log(log.removeprefix("log/"), query)
        return _error(2)

    def _info(self) -> dict[str, Any]:
        return {
            "variant": self.model,
            "serialNumber": self.serial,
            "hwVersion": "570v1",
            "swVersion": self.firmware.version,
            "buildType": "release",
            "deviceName": self.settings.value("WebServer/DeviceName"),
            "macAddr": self.mac,
        }

    def _time(self, query: Mapping[str, Any], *, put: bool) -> web.Response:
        if put:
            self._writes += 1
            self.settings.set_time(query)
            return _result()
        told = {"utcTime": int(self.now()), "source": "ntp", "automatic": self.settings.automatic_time}
        return _result({**told, **({"server": self.settings.time_server} if self.firmware.tells_server else {})})

    def _zone(self, query: Mapping[str, Any], *, put: bool) -> web.Response:
        if put:
            self._writes += 1
            self.settings.set_zone(query)
            return _result()
        told: dict[str, Any] = {"automatic": self.settings.automatic_zone, "zone": self.settings.zone}
        return _result(told | ({"custom": self.settings.custom_zone} if self.settings.zone == "custom" else {}))

    async def _config(self, query: Mapping[str, Any], *, put: bool) -> web.Response:
        if not put:
            return web.Response(body=self.settings.export(), content_type="application/xml")
        self._writes += 1
        if "blob-cfg" not in query:
            raise Wrong(11, "blob-cfg")
        given = self.settings.read(query["blob-cfg"])

        async def later() -> None:
            await asyncio.sleep(self.config_delay)
            self.settings.take(given)
            self._tell("ConfigurationChanged", {})

        if self.config_delay:
            task = asyncio.create_task(later())
            self._delayed.add(task)
            task.add_done_callback(self._delayed.discard)
        else:
            await later()
        return _result()

    def _accounts(self, query: Mapping[str, Any], *, put: bool) -> web.Response:
        if put:
            self._writes += 1
            if "blob-json" not in query:
                raise Wrong(11, "blob-json")
            self.settings.set_accounts(query["blob-json"])
            return _result()
        number = query.get("account")
        return _result({"accounts": [one for one in self.settings.accounts if number in (None, str(one["account"]))]})

    def _registration(self, account: Mapping[str, Any]) -> dict[str, Any]:
        registered = self.registered and account["registrationEnabled"]
        told = {"account": account["account"], "enabled": account["enabled"], "sipNumber": account["sipNumber"]}
        return {**told, "registered": registered, **({"registerTime": int(self.now())} if registered else {})}

    def _switches(self, what: str, query: Mapping[str, Any]) -> web.Response:
        chosen = query.get("switch")
        if chosen is not None and (not str(chosen).isdecimal() or int(chosen) not in self.switches):
            return _error(12, "switch")
        if what == "caps":
            listed = [self._abilities(number) for number in self.switches]
            return _result({"switches": listed})
        if what == "status":
            return _result({"switches": [{"switch": number, **one} for number, one in self.switches.items()]})
        action = query.get("action")
        if chosen is None or action is None:
            return _error(11, "switch" if chosen is None else "action")
        if action not in ("on", "off", "trigger", "lock", "unlock", "hold", "release"):
            return _error(12, "action")
        if not self._abilities(int(chosen))["enabled"]:
            return _error(4)
        return self._control(int(chosen), action, query)

    def _abilities(self, number: int) -> dict[str, Any]:
        if number > 2 and number == len(self.switches):
            return {"switch": number, "enabled": False}
        if number in self.bistable:
            return {"switch": number, "enabled": True, "mode": "bistable", "type": "normal"}
        return {"switch": number, "enabled": True, "mode": "monostable", "switchOnDuration": 5, "type": "normal"}

    def _control(self, number: int, action: str, query: Mapping[str, Any]) -> web.Response:
        one = self.switches[number]
        match action:
            case "lock" | "unlock":
                one["locked"] = action == "lock"
                one["active"] = one["active"] and not one["locked"]
            case "hold" | "release":
                one["held"] = action == "hold"
                one["active"] = one["held"] and not one["locked"]
            case _ if one["locked"]:
                return _error(18)
            case _:
                on = action == "on" or (action == "trigger" and not (one["active"] and number in self.bistable))
                self._opened += on
                self._switch(number, on, "api")
        if "response" in query:
            return web.Response(text=query["response"])
        return _result()

    async def _log(self, what: str, query: Mapping[str, Any]) -> web.Response:
        now = asyncio.get_running_loop().time()
        match what:
            case "caps":
                return _result({"events": list(self.firmware.events)})
            case "subscribe":
                include, duration = query.get("include", "new"), query.get("duration", str(DURATION))
                if include not in ("new", "all") and not (include.startswith("-") and include[1:].isdecimal()):
                    return _error(12, "include")
                if not duration.isdecimal() or not 1 <= int(duration) <= LONGEST:
                    return _error(12, "duration")
                names = frozenset(filter(None, query.get("filter", "").split(",")))
                return _result({"id": self.log.subscribe(include, names, int(duration), now, self.now())})
            case "pull":
                events = await self.log.pull(_number(query, "id"), _number(query, "timeout", 0))
                return _error(12, "id") if events is None else _result({"events": events})
            case "unsubscribe":
                return _result() if self.log.unsubscribe(_number(query, "id")) else _error(12, "id")
        return _error(2)


def _number(query: Mapping[str, Any], name: str, default: int | None = None) -> int:
    if name not in query:
        if default is None:
            raise Wrong(11, name)
        return default
    if not str(query[name]).isdecimal():
        raise Wrong(12, name)
    return int(query[name])


def _result(result: Mapping[str, Any] | None = None) -> web.Response:
    return web.json_response({"success": True} if result is None else {"success": True, "result": result})


def _error(code: int, param: str = "", *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    error: dict[str, Any] = {"code": code, "description": _ERRORS.get(code, "unspecified")}
    if param:
        error["param"] = param
    return web.json_response({"success": False, "error": error}, status=status, headers=headers)


async def _parameters(request: web.BaseRequest) -> dict[str, Any]:
    """Parameters come in the query, as a form, as JSON, or as parts of a multipart body."""
    found: dict[str, Any] = dict(request.query)
    kind = request.content_type
    body = await request.read()
    if kind == "application/x-www-form-urlencoded":
        found |= dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    elif kind == "application/json" and body:
        try:
            given = json.loads(body)
        except ValueError:
            given = None
        found |= given if isinstance(given, dict) else {}
    elif kind == "multipart/form-data":
        head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
        for part in BytesParser().parsebytes(head + body).walk():
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, str):
                found[name] = part.get_payload(decode=True)
    return found
