"""A simulated Beward panel on a port of loopback: CGI, web forms, syslog over UDP, the stream of alarms.

Written from what platforms of operators send to such panels and read from them, and from captured answers; the vendor's
own document was not to be had. Not from the driver. Its parts are in `simulated/`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from aiohttp import web

from bridge.model import Kind
from bridge.testing.digest import DigestServer, Verdict
from bridge.testing.http_simulator import HttpSimulator
from bridge.testing.simulator import Fault
from drivers.beward.simulated import phrases
from drivers.beward.simulated.profiles import PROFILES, factory
from drivers.beward.simulated.store import Refused, Store

RUNS_SINCE = 86_400.0 * 5  # seconds that it has been running when it starts
_HOURS_EAST = {"14": 0, "21": 3, "23": 4, "25": 5, "19": 2, "15": 1, "9": -4}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NOT_DEFINED = "<html><head><title>Document Error</title></head><body><p>CGI {} is not defined</p></body></html>"
_JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
_ALARMS = {"motion": "MotionDetection", "sensor": "SensorAlarm"}
_READERS = ("mifare_cgi", "rfid_cgi", "extrfid_cgi")


class BewardSimulator(HttpSimulator):
    """One panel. `profile` is a key of `PROFILES`; `auth` is basic, digest, or both (it offers two).

    `silent` streams of alarms are open and say nothing any more. With `busy` it refuses a second stream (503).
    `forms_redirect`: web forms are answered by a way back to their page.
    """

    driver: ClassVar[str] = "beward"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    content_type = "text/plain"

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.INTERCOM,
        profile: str = "dks",
        auth: str = "basic",
        forms_redirect: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.kind = kind
        self.profile = PROFILES[profile]
        self.auth = auth
        self.forms_redirect = forms_redirect
        self.silent = False
        self.loses_lines = False  # every second datagram is lost
        self.sip_registered = True
        rng = random.Random(f"beward {self.seed}")
        self.number = rng.randrange(100_000, 999_999)
        self.uuid = "".join(rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=32))
        self.store = Store(self.profile, factory(self.profile, self.number))
        self.doors: list[int] = []  # outputs, as they were opened
        self._digest = DigestServer("Beward", ("MD5",), 300.0, time.monotonic, rng)
        self._call = 61_000
        self._writes = 0
        self._sent = 0
        self._streams: dict[asyncio.Queue[bytes | None], web.BaseRequest] = {}
        self._booted = time.monotonic() - RUNS_SINCE - rng.randrange(3600)
        self._socket: socket.socket | None = None  # for lines of syslog

    def inventory(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "kind": str(self.kind),
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "beward": {"port": self.port},
        }

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await super().start()
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((self.address, 0))

    async def stop(self) -> None:
        self._hang_up()
        await super().stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def reboot(self, seconds: float = 0.0) -> None:
        self._hang_up()
        await super().reboot(seconds)

    def forget(self) -> None:
        self.store.power_cycle()
        self._digest.forget()
        self._booted = time.monotonic()

    def _hang_up(self) -> None:
        for stream in self._streams:
            stream.put_nowait(None)

    def configuration(self) -> dict[str, Any]:
        hidden = ("AccPassword1", "DoorCode")
        return {
            module: {key: value for key, value in keys.items() if key not in hidden}
            for module, keys in self.store.modules.items()
            if module != "rsyslog_cgi"
        }

    def writes(self) -> int:
        return self._writes

    def openings(self) -> int:
        return len(self.doors)

    def open_subscriptions(self) -> int:
        return sum(not _left(request) for request in self._streams.values())

    def registrations(self) -> int:
        return self._target() is not None

    def _target(self) -> tuple[str, int] | None:
        slot = self.store.modules.get("rsyslog_cgi", {})
        if slot.get("Enable") != "on" or not slot["ServerAddress"]:
            return None
        return slot["ServerAddress"], int(slot["ServerPort"])

    # -- what happens in front of it -------------------------------------------------------------------------------

    async def act(self, action: str, **details: Any) -> None:
        match action:
            case "vendor_event":
                text = str(details.get("data", {}).get("text", details.get("topic", "")))
                self._log([text])
                self._alarm(text, True)
            case "line":
                self._log([str(details["text"])])
            case "drop_subscriptions":
                if (slot := self.store.modules.get("rsyslog_cgi")) is not None:
                    slot["Enable"] = "off"
                self._hang_up()
            case "sensor":
                self._alarm(_ALARMS["sensor"], bool(details.get("active", True)))
            case _:
                self._call += action == "ring"
                lines = phrases.written(action, self.profile.calls, self._call, details)
                if action == "motion":
                    self._alarm(_ALARMS["motion"], bool(details.get("active", True)))
                self._log(lines)

    def _shown(self) -> datetime:
        """What its clock shows: local time, and no word about the zone."""
        hours = _HOURS_EAST.get(self.store.modules["ntp_cgi"]["Timezone"], 3)
        return datetime.fromtimestamp(self.now(), UTC) + timedelta(hours=hours)

    def _log(self, lines: list[str]) -> None:
        target = self._target()
        if target is None or self._socket is None or int(self.store.modules["rsyslog_cgi"]["LogLevel"]) < 6:
            return
        at = self._shown()
        for line in lines:
            self._sent += 1
            if self.loses_lines and self._sent % 2 == 0:
                continue
            head = f"<14>{_MONTHS[at.month - 1]} {at.day:2d} {at:%H:%M:%S} {self._host()} Door Station 812: "
            with suppress(OSError):
                self._socket.sendto(f"{head}{line}".encode(), target)

    def _host(self) -> str:
        return self.store.modules["name"]["HostName"]

    def _alarm(self, name: str, active: bool) -> None:
        line = f"{self._shown():%Y-%m-%d;%H:%M:%S};{name};{int(active)};0\n".encode()
        if not self.silent:
            for stream in self._streams:
                stream.put_nowait(line)

    # -- what it answers -------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:  # type: ignore[override]
        if not self._admits(request):
            offers = [] if self.auth == "digest" else ['Basic realm="Beward"']
            offers += [] if self.auth == "basic" else self._digest.challenges()
            response = web.Response(status=401, text="Unauthorized")
            for offer in offers:
                response.headers.add("WWW-Authenticate", offer)
            return response
        query = dict(request.query)
        kind, _, rest = request.path.strip("/").partition("/")
        try:
            if kind == "cgi-bin":
                return await self._cgi(request, rest, query)
            if kind == "webs":
                fields = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
                return self._form(rest, {**query, **fields})
        except Refused as refusal:
            return _text(str(refusal))
        return web.Response(status=404, text="Site or Page Not Found")

    def _admits(self, request: web.BaseRequest) -> bool:
        given = request.headers.get("Authorization")
        if given is None:
            return False
        if given.startswith("Digest") and self.auth != "basic":
            verdict = self._digest.check(given, request.method, request.raw_path, self.username, self.password)
            return verdict is not Verdict.STALE and self.accepts(verdict is Verdict.ADMITTED)
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return self.accepts(self.auth != "digest" and given == f"Basic {pair}")

    async def _cgi(self, request: web.BaseRequest, module: str, query: dict[str, str]) -> web.StreamResponse:
        if module not in self.profile.modules:
            return web.Response(text=_NOT_DEFINED.format(module), content_type="text/html")
        action = query.pop("action", "get")
        match module, action:
            case "systeminfo_cgi", _:
                return _lines(self._info())
            case "date_cgi", _:
                at, ntp = self._shown(), self.store.modules["ntp_cgi"]
                return _text(f"{at.month} {at.day}, {at.year} {at:%H:%M:%S} {ntp['Timezone']} {ntp['ServerAddress']}")
            case "config_cgi", "forcesave":
                self.store.save()
                return _text("OK")
            case "restart_cgi", _:
                self.reboot_soon()
                return _text("OK")
            case "images_cgi", _:
                return web.Response(body=_JPEG, content_type="image/jpeg")
            case "alarmchangestate_cgi", _:
                return await self._stream(request)
            case "sip_cgi", "regstatus":
                return _lines({"AccountReg1": str(int(self.sip_registered)), "AccountReg2": "0"})
            case "intercom_cgi", "maindoor" | "altdoor":
                return self._opened(1 if action == "maindoor" else 2)
            case "intercom_cgi", "light":
                # Two requests for one pulse: it opens with the first.
                return self._opened(3) if query.get("Enable") == "on" else _text("OK")
            case "alarmout_cgi", "set":
                # An output that it has not is answered OK, too, and nothing happens.
                return self._opened(1) if (query.get("Output"), query.get("Status")) == ("0", "1") else _text("OK")
            case _, "get" if module in self.store.modules:
                return _lines(self.store.modules[module])
            case _, "set" if module in self.store.modules:
                self._writes += 1
                self.store.set(module, query)
                return _text("OK")
            case module, "list" if module in _READERS:
                return _text("Key1=00000075BC01AD\nApartment1=12")
        return _text("Request failed:Invalid action")

    def _form(self, form: str, fields: Mapping[str, str]) -> web.Response:
        dks = "intercom_cgi" in self.profile.modules
        match form:
            case "btnHitEx" if fields.get("flag") == "21":
                self.reboot_soon()
                return _text("OK")
            case "SIP1CfgEx" if dks:
                self._write(lambda: self.store.sip_form(fields, ""))
            case "SIPCfgEx" if not dks:
                self._write(lambda: self.store.sip_form(fields, "1"))
            case "SIPExtCfgEx" if dks:
                self._write(lambda: self.store.dtmf_form(fields))
            case "sysInfoCfgEx":
                self._write(lambda: self.store.name_form(fields))
            case "almControllerCfgEx" if "controller_cgi" in self.profile.modules:
                self._write(lambda: self.store.alarm_form(fields))
            case _:
                return web.Response(text=f"Form {form} is not defined", content_type="text/html")
        if self.forms_redirect:
            return web.Response(status=302, headers={"Location": f"/{form.removesuffix('CfgEx').lower()}.asp"})
        return _text("OK")

    def _write(self, change: Any) -> None:
        self._writes += 1
        change()

    def _opened(self, output: int) -> web.Response:
        self.doors.append(output)
        return _text("OK")

    def _info(self) -> dict[str, str]:
        told = {
            "HostName": self._host(),
            "ChannelNum": "1",
            "Standard": "PAL",
            "DeviceID": str(self.number),
            "SoftwareVersion": self.profile.firmware,
            "WebVersion": "3.0.0.78(20251218)",
            "HardwareVersion": self.profile.hardware,
            "DeviceModel": self.profile.model,
            "DeviceUUID": self.uuid,
        }
        minutes, seconds = divmod(int(time.monotonic() - self._booted), 60)
        hours, minutes = divmod(minutes, 60)
        match self.profile.uptime:
            case "hours":
                told["UpTime"] = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
            case "days":
                told["UpTime"] = f"{hours // 24}.{hours % 24:02d}:{minutes:02d}:{seconds:02d}"
        return told

    # -- the stream of alarms ---------------------------------------------------------------------------------------

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if set(self.faults) - {Fault.CLOCK_SKEW, Fault.SLOW}:
            return _text("")  # the fault says the rest
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams[queue] = request
        try:
            while (line := await queue.get()) is not None:
                await response.write(line)
        finally:
            del self._streams[queue]
        return response


def _left(request: web.BaseRequest) -> bool:
    """Whether the client has hung up, although the server may not have looked yet."""
    if request.transport is None or request.transport.is_closing():
        return True
    with socket.socket(fileno=os.dup(request.transport.get_extra_info("socket").fileno())) as peer:
        try:
            return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


def _lines(values: Mapping[str, str]) -> web.Response:
    return _text("\r\n".join(f"{key}={value}" for key, value in values.items()))


def _text(text: str) -> web.Response:
    return web.Response(text=f"{text}\r\n", content_type="text/plain")
