"""A simulated BAS-IP panel: REST API with tokens, a log in pages, reports over HTTP or syslog. Written from
developers.bas-ip.com and the vendor's manual."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import itertools
import json
import secrets
from typing import Any, ClassVar

from aiohttp import web

from bridge.model import Kind
from bridge.testing.http_simulator import HttpSimulator
from bridge.testing.simulator import Fault
from drivers.basip.simulated import happenings
from drivers.basip.simulated.profiles import LANGUAGES, MASK, PROFILES, RANGES, SECRETS, settings_of
from drivers.basip.simulated.reporting import Reporting

LOG_LIMIT = 20_000
LIMITS = (10, 20, 30, 50)
SSL_OUTAGE = 3.0  # seconds for which the API is away when HTTPS is switched on or off
# A grey pixel.
_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEAYABgAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgy"
    "PC4zNDL/wAALCAABAAEBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAAPwA3/9k="
)


class BasIpSimulator(HttpSimulator):
    """`model` is one of PROFILES. `auth`: token, or basic for panels that take both. `push`: how this firmware sends
    its log to a bare host name (http, udp, tcp). `token_life` in seconds. `locks`: outputs."""

    driver = "basip"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})

    def __init__(
        self,
        name: str = "sim",
        *,
        kind: Kind = Kind.INTERCOM,
        model: str = "AA-12FB",
        auth: str = "token",
        push: str = "udp",
        token_life: float = 7200.0,
        locks: int = 2,
        door_sensor: bool = True,
        picture_seconds: float = 0.0,
        inventory_push: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.kind = kind
        self.profile = PROFILES[model]
        self.auth = auth
        self.token_life = token_life
        self.locks = locks
        self.serial = f"{0xBA51_0000 + self.seed:08x}".upper()
        self.firmware = self.profile.firmware
        self.door_mode = "door_sensor" if door_sensor else ""
        self.door_open = False
        self.sip = "OK"
        self.restricted = False  # the account is no administrator's
        self.picture_seconds = picture_seconds
        self.inventory_push = inventory_push
        self.set = settings_of(self.profile)
        self.log: list[dict[str, Any]] = []
        self.reporting = Reporting(lambda: self.set.get("/syslog/settings"), push, "192.0.2.77", self.address)
        self._tokens: dict[str, float] = {}
        self._writes = 0
        self._opened = 0
        self._stamps = itertools.count()
        self._reports_started = False
        self._outage: asyncio.Task[None] | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await super().start()
        if not self._reports_started:
            self._reports_started = True
            await self.reporting.start()

    async def stop(self) -> None:
        await self.reporting.stop()
        self._reports_started = False
        if self._outage is not None:
            self._outage.cancel()
            await asyncio.gather(self._outage, return_exceptions=True)
        await super().stop()

    def forget(self) -> None:
        self._tokens.clear()

    async def reboot(self, seconds: float = 0.0) -> None:
        await super().reboot(seconds)
        if self.profile.boot_logged:
            self.happen(happenings.booted())

    def inventory(self) -> dict[str, Any]:
        block: dict[str, Any] = {"port": self.port}
        if self.auth == "basic":
            block["auth"] = "basic"
        if self.inventory_push is not None:
            block["push"] = self.inventory_push
        return {
            "driver": self.driver,
            "kind": Kind.INTERCOM.value,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "basip": block,
        }

    def configuration(self) -> dict[str, Any]:
        shown = copy.deepcopy(self.set)
        for body in shown.values():
            for secret in SECRETS:
                body.pop(secret, None)
        return shown

    def writes(self) -> int:
        return self._writes

    def openings(self) -> int:
        return self._opened

    def registrations(self) -> int:
        place = self.set.get("/syslog/settings")
        return int(place is not None and place["enabled"])

    # -- what happens ---------------------------------------------------------------------------------------------

    async def act(self, action: str, **details: Any) -> None:
        match action:
            case "drop_subscriptions":
                if (place := self.set.get("/syslog/settings")) is not None:
                    place["enabled"] = False
                self.log.clear()
                self._tokens.clear()
            case "expire_tokens":
                self._tokens.clear()
            case "door":
                self.door_open = bool(details.get("open", True))
                self.happen(happenings.door_sensor(self.door_open))
            case "sip":
                self.sip = str(details["status"])
            case "call":
                self.happen(happenings.call(**details))
            case made if made in happenings.MADE:
                self.happen(happenings.MADE[made](**details))
            case _:
                raise ValueError(f"basip simulators know no action {action!r}")

    def happen(self, what: happenings.Happening, at: float | None = None) -> None:
        """Write it into the log, and report it."""
        at = self.now() if at is None else at
        model = {key: value for key, value in what.model.items() if value != ""}
        self.log.append(
            {
                "timestamp": int(at * 1000),
                "category": what.category,
                "priority": "medium",
                "name": {"key": what.key, "text": what.text.split(",")[0]},
                "info": {"text": what.text, "model": model},
            }
        )
        del self.log[:-LOG_LIMIT]
        if what.line:
            # No two lines are of the same microsecond: the loop that they come from is not so fast.
            self.reporting.write(what.line, at + next(self._stamps) % 900 * 1e-6)

    # -- answers --------------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/api/info" and request.method == "GET":
            return web.json_response(self._info())
        _, api, generation, *rest = (*request.path.split("/"), "", "")
        if (api, generation) != ("api", self.profile.paths):
            return web.Response(status=404)
        path = "/" + "/".join(rest).rstrip("/")
        if path == "/login" and request.method == "GET":
            return self._log_in(request)
        if not self._admits(request):
            return self._error(401, "Log In", "invalid_authentication")
        if self.restricted and path != "/logout":
            return self._error(403, "Administrator rights required", "permission_denied")
        if path.startswith("/access/general/lock/open/remote/accepted/") and request.method == "GET":
            return self._open_lock(path.rpartition("/")[2])
        if path in self.set:
            return await self._setting(request, path)
        return await self._other(request, path)

    async def _other(self, request: web.BaseRequest, path: str) -> web.Response:
        match request.method, path:
            case "GET", "/logout":
                self._tokens.pop(self._token_of(request), None)
                return web.json_response({})
            case "GET", "/sip/status":
                return web.json_response({"sip_status": self.sip, "register_last_attempt": int(self.now())})
            case "GET", "/device/time":
                zone = self.set["/network/timezone"][self.profile.zone_key]
                return web.json_response({self.profile.time_key: int(self.now()), "device_timezone": zone})
            case "GET", "/network/mac":
                return web.json_response({"mac_address": f"00:11:22:ba:51:{self.seed & 255:02X}"})
            case "GET", "/access/door/status":
                if not self.door_mode:
                    return self._error(400, "Door sensor mode is not activated", "not_valid")
                state = "open" if self.door_open else "closed"
                return web.json_response(
                    {"is_timeout_exceed": False, "status": state, "opentime": 0, "mode": self.door_mode}
                )
            case "GET", "/access/general/lock/type":
                locks = [{"lock": one, "type": "normally_open"} for one in range(1, self.locks + 1)]
                return web.json_response({"locks": locks})
            case "GET", "/log/items":
                return self._items(request)
            case "GET", "/photo/file" if self.profile.camera:
                await asyncio.sleep(self.picture_seconds)
                if self.profile.picture == "base64":
                    return web.json_response(base64.b64encode(_JPEG).decode())
                return web.Response(body=_JPEG, content_type="image/jpeg")
            case "GET", "/system/reboot/run":
                self.reboot_soon()
                return web.json_response({})
        return web.Response(status=404)

    def _info(self) -> dict[str, Any]:
        return {
            "firmware_version": self.firmware,
            "framework_version": "1.2.0",
            "frontend_version": "1.2.0",
            "api_version": self.profile.api_version,
            "device_name": self.name,
            "device_type": "panel",
            "device_serial_number": self.serial,
            "device_model": self.profile.model,
            "hybrid_enable": False,
            "commit": "0",
        }

    # -- who may ----------------------------------------------------------------------------------------------------

    def _log_in(self, request: web.BaseRequest) -> web.Response:
        expected = hashlib.md5(self.password.encode(), usedforsecurity=False).hexdigest()
        # Upper or lower case: the vendor's page has the former, clients have both.
        given = request.query.get("password", "").lower()
        if not self.accepts(request.query.get("username") == self.username and given == expected):
            self.happen(happenings.login(False, ""))
            return self._error(401, "Log In", "invalid_authentication")
        token = secrets.token_hex(16)
        self._tokens[token] = self.now() + self.token_life
        self.seen["login"] += 1
        self.happen(happenings.login(True, self.username))
        return web.json_response({"token": token, "account_type": "admin"})

    def _token_of(self, request: web.BaseRequest) -> str:
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def _admits(self, request: web.BaseRequest) -> bool:
        given = request.headers.get("Authorization", "")
        if self.auth == "basic" and given.startswith("Basic "):
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return self.accepts(given == f"Basic {pair}")
        until = self._tokens.get(self._token_of(request), 0.0)
        # A password that was changed ends every session.
        return until > self.now() and Fault.WRONG_PASSWORD not in self.faults

    def _error(self, status: int, said: str, code: str) -> web.Response:
        error: Any = {"code": code, "message": said, "data": {}} if self.profile.objects_of_errors else said
        return web.json_response({"error": error}, status=status)

    # -- doors, log, settings ---------------------------------------------------------------------------------------

    def _open_lock(self, lock: str) -> web.Response:
        if lock not in map(str, range(self.locks + 1)):
            return self._error(400, "Wrong lock number", "not_valid")
        self._opened += 1
        self.happen(happenings.api_opening(int(lock)))
        return web.json_response({})

    def _items(self, request: web.BaseRequest) -> web.Response:
        try:
            limit, page = int(request.query.get("limit", 10)), int(request.query.get("page_number", 1))
        except ValueError:
            limit = page = 0
        if limit not in LIMITS or page < 1:
            return self._error(400, "Wrong query", "not_valid")
        told = request.query.get(self.profile.order, "") if self.profile.order else ""
        items = self.log[::-1] if told.split(" ")[-1] == "desc" else self.log
        shown = items[(page - 1) * limit : page * limit]
        pages = max(1, -(-len(items) // limit))
        pagination = {"total_items": len(items), "items_limit": limit, "total_pages": pages, "current_page": page}
        return web.json_response({"list_option": {"pagination": pagination}, "list_items": shown})

    async def _setting(self, request: web.BaseRequest, path: str) -> web.Response:
        now = self.set[path]
        if request.method == "GET":
            shown = copy.deepcopy(now)
            if "password" in shown:
                shown["password"] = MASK
            return web.json_response(shown)
        if request.method != "POST" or path == "/device/mode/current":
            return web.Response(status=405)
        self._writes += 1
        if path == "/device/language":
            language = request.query.get("language", "")
            if language not in LANGUAGES:
                return self._error(400, "Unknown language", "not_valid")
            now["current_language"] = language
            return web.json_response({})
        try:
            wanted = json.loads(await request.read())
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict) or not self._fits(path, wanted):
            return self._error(400, "Wrong JSON body", "not_valid")
        # What is left out of an object is emptied, but for the password, which stays.
        kept: dict[str, Any] = {key: now[key] for key in ("password", "available_timezones") if key in now}
        now.clear()
        now.update(kept | wanted)
        if path == "/web/ssl":
            self._outage = asyncio.create_task(self._restart_api(), name=f"ssl {self.name}")
        return web.json_response({})

    def _fits(self, path: str, wanted: dict[str, Any]) -> bool:
        for key, value in wanted.items():
            if key in RANGES:
                low, high = RANGES[key]
                if not isinstance(value, int) or not low <= value <= high:
                    return False
        if path == "/network/timezone":
            return wanted.get(self.profile.zone_key) in self.set[path]["available_timezones"]
        if path == "/device/sip/settings":
            return len(wanted.get("password", MASK)) >= 6 and wanted.get("transport") in ("udp", "tcp", "tls")
        return True

    async def _restart_api(self) -> None:
        await asyncio.sleep(0.05)
        await self._shut()
        self._tokens.clear()
        await asyncio.sleep(SSL_OUTAGE)
        await self._open()
