"""A simulated Axis door station on a port of loopback, after the vendor's VAPIX pages.

It answers what its AXIS OS has (see `simulated.unit.LISTED`), streams events over WebSocket, and sends SNMP traps to
`notify`. The SIP account's password can be read by whoever may ask, as on the real thing.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import re
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from aiohttp import web
from pyasn1.codec.ber import encoder
from pysnmp.proto import api, rfc1902

from bridge.model import Kind
from bridge.testing.digest import DigestServer, Verdict
from bridge.testing.http_simulator import HttpSimulator
from bridge.testing.simulator import Fault
from drivers.axis.simulated import calls
from drivers.axis.simulated.stream import Stream
from drivers.axis.simulated.unit import PATHS, Port, Unit, boot_id, listed

_SNMP = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
_TRAP = "1.3.6.1.4.1.368.4.2"  # AXIS-VIDEO-MIB, axisVideoTraps
_OPEN = frozenset({"/axis-cgi/systemready.cgi"})  # asks for no login
_ACTION = re.compile(r"(?:(\d{1,3}):)?([/\\](?:\d{1,7}[/\\])*)")
_ERRORS = {2102: "Method not supported", 2104: "Invalid parameter value specified", 4004: "Invalid parameter(s)"}
_JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
_MOTION = "tnsaxis:CameraApplicationPlatform/VMD/Camera1ProfileANY"
_CASING = "tns1:Device/tnsaxis:Casing/Open"


class AxisSimulator(HttpSimulator):
    """`firmware` is the version of AXIS OS; `token_life` is in seconds; `may_call`: whether the account has the rights
    for the call service."""

    driver: ClassVar[str] = "axis"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.INTERCOM,
        model: str = "A8207-VE Mk II",
        firmware: str = "11.11.160",
        token_life: float = 15.0,
        trap_community: str = "public",
        may_call: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.kind = kind
        self.token_life = token_life
        self.trap_community = trap_community
        self.may_call = may_call
        self.unit = Unit(model, firmware, self.seed)
        self.calls = calls.CallService(self.unit)
        self.stream = Stream(self.now)
        self._rng = random.Random(self.seed)
        self._digest = DigestServer(f"AXIS_{self.unit.serial}", ("MD5",), 60.0, time.monotonic, self._rng)
        self._tokens: dict[str, float] = {}
        self._changes = 0
        self._opened = 0
        self._pulses: dict[int, asyncio.Task[None]] = {}  # by port
        self._boot()

    def _boot(self) -> None:
        self._boot_id = boot_id()
        self._booted_at = time.monotonic()
        for port in self.unit.ports:
            if port.direction == "output":
                port.active = False
            topic, source, data = _state_of(port)
            self.stream.set_state(topic, source, data)
        self.stream.set_state(_CASING, {"Name": "Casing"}, {"Open": "0"})
        self.stream.set_state("tnsaxis:Call/State", {"Source": "DoorStation"}, {"CallState": "Idle"})
        self.stream.set_state("tns1:Device/tnsaxis:Status/SystemReady", {}, {"ready": "1"})
        self.stream.set_state(_MOTION, {}, {"active": "0"})

    def inventory(self) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "driver": self.driver,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "axis": {"port": self.port},
        }

    def forget(self) -> None:
        for pulse in self._pulses.values():
            pulse.cancel()
        self._digest.forget()
        self._tokens.clear()
        self.stream.forget()
        self._boot()

    async def stop(self) -> None:
        for pulse in self._pulses.values():
            pulse.cancel()
        await super().stop()

    def configuration(self) -> dict[str, Any]:
        unit = self.unit
        account = {key: value for key, value in unit.account.items() if key != "Password"}
        listing = {key: value for key, value in unit.listing().items() if not key.endswith("Community")}
        clock = {"zone": unit.zone, "dst": unit.dst, "iana": unit.iana}
        told = {
            "parameters": listing,
            "clock": clock,
            "ntp": unit.ntp,
            "sip": unit.sip,
            "account": account,
            "trigger": unit.trigger,
        }
        return copy.deepcopy(told)

    def writes(self) -> int:
        return self._changes + self.calls.writes

    def openings(self) -> int:
        return self._opened

    def open_subscriptions(self) -> int:
        return self.stream.listening()

    # -- who may ask ----------------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        harmless = {Fault.SLOW, Fault.CLOCK_SKEW, Fault.WRONG_PASSWORD, Fault.LOST_REPLY}
        if not self._is_socket(request) or set(self.faults) - harmless:
            return await super()._handle(request)
        self.seen["websocket"] += 1
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if Fault.SLOW in self.faults:
            await asyncio.sleep(float(self.faults[Fault.SLOW]))
        return await self.stream.serve(request)

    def _is_socket(self, request: web.BaseRequest) -> bool:
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        return upgrade and request.path == "/vapix/ws-data-stream" and self._has(request.path)

    def _has(self, path: str) -> bool:
        return path not in PATHS or PATHS[path] in listed(self.unit.firmware)

    def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        """The 401 for a request that may not pass."""
        if request.path in _OPEN or self._has_token(request):
            return None
        given = request.headers.get("Authorization")
        stale = False
        if given is not None:
            verdict = self._digest.check(given, request.method, request.raw_path, self.username, self.password)
            stale = verdict is Verdict.STALE
            if not stale and self.accepts(verdict is Verdict.ADMITTED):
                return None
        challenge = self._digest.challenges(stale=stale)[0]
        return web.Response(status=401, headers={"WWW-Authenticate": challenge}, text="Unauthorized")

    def _has_token(self, request: web.BaseRequest) -> bool:
        until = self._tokens.pop(request.query.get("wssession", ""), None)
        return self._is_socket(request) and until is not None and time.monotonic() < until

    # -- what it answers ------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        path = request.path
        if not self._has(path):
            return web.Response(status=404, text="Not Found")
        if (refusal := self._refusal(request)) is not None:
            return refusal
        self.seen[path.rpartition("/")[2]] += 1
        match request.method, path:
            case "GET" | "POST", "/axis-cgi/param.cgi":
                return self._param({**request.query, **_form(await request.text())})
            case "GET", "/axis-cgi/io/port.cgi":
                return await self._port_cgi(request)
            case "GET", "/axis-cgi/jpg/image.cgi":
                return web.Response(body=_JPEG, content_type="image/jpeg")
            case "GET", "/axis-cgi/restart.cgi":
                self.reboot_soon()
                return web.Response(text="<html><body>Restarting</body></html>", content_type="text/html")
            case "GET", "/axis-cgi/wssession.cgi":
                token = str(self._rng.getrandbits(60))
                self._tokens[token] = time.monotonic() + self.token_life
                return web.Response(text=token)
            case _, "/vapix/call" if not self.may_call:
                return web.Response(status=403, text="Forbidden")
            case _, "/vapix/call":
                return await self._call(request)
            case "POST", _ if path in PATHS:
                return await self._api(path, request)
        return web.Response(status=404, text="Not Found")

    async def _api(self, path: str, request: web.BaseRequest) -> web.Response:
        """The JSON interfaces, which all have the same shape."""
        try:
            asked = json.loads(await request.text())
            method, params = asked["method"], asked.get("params", {})
        except (ValueError, TypeError, KeyError):
            return web.json_response({"error": {"code": 4000, "message": "Invalid JSON"}})
        head = {"apiVersion": asked.get("apiVersion", "1.0"), "method": method}
        if "context" in asked:
            head["context"] = asked["context"]
        data = await self._method(PATHS[path], method, params)
        if isinstance(data, int):
            return web.json_response({**head, "error": {"code": data, "message": _ERRORS[data]}})
        return web.json_response({**head, "data": data})

    async def _method(self, interface: str, method: str, params: dict[str, Any]) -> dict[str, Any] | int:
        """What comes of it, or the code of the error."""
        unit = self.unit
        match interface, method:
            case "api-discovery", "getApiList":
                more = {"version": "1.2", "status": "official"}
                return {"apiList": [{"id": name, "name": name, **more} for name in listed(unit.firmware)]}
            case "basic-device-info", "getAllProperties":
                return {"propertyList": unit.properties()}
            case "systemready", "systemready":
                uptime = str(int(time.monotonic() - self._booted_at))
                return {"systemready": "yes", "needsetup": "no", "uptime": uptime, "bootid": self._boot_id}
            case "io-port-management", "getPorts":
                return {"numberOfPorts": len(unit.ports), "items": [port.item() for port in unit.ports]}
            case "io-port-management", "setStateSequence":
                return await self._sequence(params)
            case "time-service", "getDateTimeInfo":
                return self._clock()
            case "time-service", "setPosixTimeZone":
                self._changes += 1
                zone = params.get("posixTimeZone")
                if not isinstance(zone, str) or not re.fullmatch(r"[A-Z]{3,5}-?\d.{0,60}", zone):
                    return 4004
                unit.zone, unit.dst, unit.iana = zone, bool(params.get("enableDst")), ""
                return {"posixTimeZone": zone, "dstEnabled": unit.dst}
            case "ntp", "getNTPInfo":
                return {"client": unit.ntp}
            case "ntp", "setNTPClientConfiguration":
                self._changes += 1
                return self._set_ntp(params)
            case "fwmgr", "reboot":
                self.reboot_soon()
                return {}
        return 2102

    def _clock(self) -> dict[str, Any]:
        now = datetime.fromtimestamp(self.now(), UTC)
        found = {
            "dateTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "localDateTime": now.astimezone().isoformat(timespec="seconds"),
            "maxYearSupported": 2069,
            "posixTimeZone": self.unit.zone,
            "dstEnabled": self.unit.dst,
        }
        return {**found, "timeZone": self.unit.iana} if self.unit.iana else found

    def _set_ntp(self, params: dict[str, Any]) -> dict[str, Any] | int:
        servers = params.get("staticServers", [])
        if params.get("serversSource", "static") not in ("DHCP", "static") or len(servers) > 5:
            return 4004
        if not all(isinstance(one, str) and re.fullmatch(r"[\w.:-]{0,253}", one) for one in servers):
            return 4004
        self.unit.ntp.update({key: value for key, value in params.items() if key in self.unit.ntp})
        return {}

    def _param(self, query: dict[str, str]) -> web.Response:
        match query.get("action"):
            case "list":
                listing, lines = self.unit.listing(), []
                for group in query.get("group", "").split(","):
                    front = f"{group.removeprefix('root.')}." if group else ""
                    found = [f"root.{key}={value}" for key, value in listing.items() if f"{key}.".startswith(front)]
                    lines += found or [f"# Error: Error -1 getting param in group '{group}'"]
                return web.Response(text="\n".join(lines) + "\n")
            case "update":
                self._changes += 1
                for key, value in query.items():
                    if key in ("action", "usergroup"):
                        continue
                    if not self.unit.update(key.removeprefix("root."), value):
                        return web.Response(text=f"# Error: Error setting '{key}' to '{value}'!\n")
                return web.Response(text="OK\n")
        return web.Response(text="# Error: unknown action\n")

    async def _call(self, request: web.BaseRequest) -> web.Response:
        plain = request.query.get("format") == "simple"
        try:
            if plain:
                given = {key: value for key, value in request.query.items() if key not in ("format", "action")}
                found = self.calls.answer(request.query.get("action", ""), given)
            else:
                asked = json.loads(await request.text())
                ((action, given),) = asked.items()
                found = self.calls.answer(action, given)
            status = 200
        except calls.Fault as fault:
            found, status = fault.body, 400
        except (ValueError, AttributeError):
            found, status = calls.Fault("ter:WellFormed", "JSON parse error").body, 400
        if plain:
            return web.Response(status=status, text=calls.simple(found))
        return web.json_response(found, status=status)

    # -- ports ----------------------------------------------------------------------------------------------------

    def _port(self, number: int) -> Port | None:
        return next((one for one in self.unit.ports if one.number == number), None)

    async def _port_cgi(self, request: web.BaseRequest) -> web.Response:
        """Here ports count from 1."""
        query = request.query
        for name, told in (
            ("check", lambda port: str(int(port.closed))),
            ("checkactive", lambda port: "active" if port.active else "inactive"),
            ("checkdirection", lambda port: port.direction),
        ):
            if name in query:
                found = [(number, self._port(int(number) - 1)) for number in query[name].split(",")]
                return web.Response(text="".join(f"port{number}={told(port)}\n" for number, port in found if port))
        match = _ACTION.fullmatch(query.get("action", ""))
        port = self._port(int(match[1] or 1) - 1) if match else None
        if match is None or port is None or port.direction != "output":
            return web.Response(status=400, text="Error: invalid port or action")
        steps = [(float(wait or 0) / 1000, act == "/") for wait, act in re.findall(r"(\d*)([/\\])", match[2])]
        await self._run(port, steps)
        return web.Response(text="")

    async def _sequence(self, params: dict[str, Any]) -> dict[str, Any] | int:
        port = self._port(int(params.get("port", -1)))
        if port is None or port.direction != "output":
            return 2104
        steps, wait = [], 0.0
        for one in params["sequence"]:
            steps.append((wait, (one["state"] == "closed") == (port.normal == "open")))
            wait = one["time"] / 1000
        await self._run(port, steps)
        return {"port": str(port.number)}

    async def _run(self, port: Port, steps: list[tuple[float, bool]]) -> None:
        if (running := self._pulses.pop(port.number, None)) is not None:
            running.cancel()
        self._opened += steps[0][1]
        await self._set(port, steps[0][1])

        async def rest() -> None:
            for wait, active in steps[1:]:
                await asyncio.sleep(wait)
                await self._set(port, active)

        if len(steps) > 1:
            self._pulses[port.number] = asyncio.create_task(rest(), name=f"pulse {self.name}")

    async def _set(self, port: Port, active: bool) -> None:
        if port.active != active:
            await self._tell(port, active)

    async def _tell(self, port: Port, active: bool) -> None:
        port.active = active
        topic, source, data = _state_of(port)
        await self.stream.tell(topic, source, data, state=True)
        # The ONVIF twin of the same thing.
        name, token, words = (
            ("Relay", "RelayToken", ("inactive", "active"))
            if port.direction == "output"
            else ("DigitalInput", "InputToken", ("0", "1"))
        )
        state = {"LogicalState": words[active]}
        await self.stream.tell(f"tns1:Device/Trigger/{name}", {token: str(port.number)}, state, state=True)

    # -- what happens in front of it --------------------------------------------------------------------------------

    async def act(self, action: str, **details: Any) -> None:
        active = bool(details.get("active", True))
        match action:
            case "vendor_event":
                await self.stream.tell(f"tnsaxis:{details['topic']}", {}, details["data"], state=False)
            case "drop_subscriptions":
                self.stream.drop()
            case "button":
                await self._tell(self.unit.ports[0], active)
            case "relay":
                self._opened += active
                await self._tell(self.unit.ports[int(details.get("output", 1))], active)
            case "door":
                await self._tell(self.unit.ports[3], active)
            case "exit_button":
                await self._tell(self.unit.ports[4], active)
            case "door_state":
                topic = "tns1:Device/tnsaxis:Intercom/DoorState"
                await self.stream.tell(topic, {"Source": "Internal"}, {"State": details["state"]}, state=True)
            case "call":
                await self._calls(details.get("reason", "Initiated"), details.get("peer", "sip:12@pbx.example.net"))
            case "dtmf":
                source = {"DTMFEventId": str(self.unit.trigger["DTMFEventId"])}
                await self.stream.tell("tnsaxis:Call/DTMF", source, {"CallId": "Out-0-1"}, state=False)
            case "card":
                await self._card(details.get("uid", "C0DE1234"))
            case "pin":
                topic = "tns1:Device/tnsaxis:Intercom/KeyPin"
                pin = str(details.get("pin", "4711#"))
                await self.stream.tell(topic, {"Source": "Internal"}, {"KeyPin": pin}, state=False)
            case "casing":
                await self.stream.tell(_CASING, {"Name": "Casing"}, {"Open": str(int(active))}, state=True)
                self._trap(1 if active else 2, "CasingOpen")
            case "motion":
                await self.stream.tell(_MOTION, {}, {"active": str(int(active))}, state=True)
            case "sip":
                self.calls.registered = bool(details.get("registered", False))
            case "raw":
                for session in self.stream.sessions:
                    await session.socket.send_str(str(details["text"]))
            case _:
                await super().act(action, **details)

    async def _calls(self, reason: str, peer: str) -> None:
        source, call_id = {"Source": "DoorStation"}, f"Out-0-{secrets.token_hex(4)}"
        data = {"Reason": reason, "CallId": call_id, "RemoteURI": peer, "DeviceURI": f"sip:6001@{self.address}"}
        await self.stream.tell("tnsaxis:Call/StateChange", source, data, state=False)
        state = {"Initiated": "Calling", "AcceptedByRemote": "Active", "AcceptedByDevice": "Active"}.get(reason, "Idle")
        await self.stream.tell("tnsaxis:Call/State", source, {"CallState": state}, state=True)

    async def _card(self, uid: str) -> None:
        data = {
            "UIDFormat": "Raw",
            "TagType": "MIFARE_Classic",
            "TagSubType": "Classic1k",
            "UID": uid,
            "BitCount": str(4 * len(uid)),
            "CardNumber": str(int(uid, 16)) if uid else "",
            "Masked": "false",
        }
        await self.stream.tell("tns1:Device/tnsaxis:Intercom/RFID", {"Source": "Internal"}, data, state=False)

    def _trap(self, number: int, name: str) -> None:
        """An SNMPv2 trap of AXIS-VIDEO-MIB to `notify`: alarmNew (1) or alarmCleared (2)."""
        if self.notify is None:
            return
        pdu = _SNMP.TrapPDU()
        _SNMP.apiTrapPDU.set_defaults(pdu)
        ticks = int((time.monotonic() - self._booted_at) * 100)
        binds = [
            ("1.3.6.1.2.1.1.3.0", rfc1902.TimeTicks(ticks)),
            ("1.3.6.1.6.3.1.1.4.1.0", rfc1902.ObjectIdentifier(f"{_TRAP}.0.{number}")),
            (f"{_TRAP}.1.0", rfc1902.Integer32(17)),
            (f"{_TRAP}.2.0", rfc1902.OctetString(name)),
        ]
        _SNMP.apiPDU.set_varbinds(pdu, binds)
        message = _SNMP.Message()
        _SNMP.apiMessage.set_defaults(message)
        _SNMP.apiMessage.set_community(message, self.trap_community)
        _SNMP.apiMessage.set_pdu(message, pdu)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((self.address, 0))
            sender.sendto(encoder.encode(message), self.notify)


def _state_of(port: Port) -> tuple[str, dict[str, str], dict[str, str]]:
    topic = "tns1:Device/tnsaxis:IO/OutputPort" if port.direction == "output" else "tns1:Device/tnsaxis:IO/Port"
    return topic, {"port": str(port.number)}, {"state": str(int(port.active))}


def _form(body: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in body.split("&") if part)
    return {unquote_plus(key): unquote_plus(value) for key, _, value in pairs}
