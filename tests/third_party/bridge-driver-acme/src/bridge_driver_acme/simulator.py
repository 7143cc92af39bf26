"""A simulated Acme device, written from the protocol's description (README.md), not from the driver."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from bridge.model import Kind
from bridge.testing.http_simulator import HttpSimulator

MOST_SESSIONS = 4
LONGEST_WAIT = 30.0
BATCH = 100
# What can happen in front of it: conditions go on and off, the button is pressed.
CONDITIONS = ("motion", "cover", "door")
STREAMS = ("main", "sub")


def _text(shortest: int, longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and shortest <= len(value) <= longest


# What can be set, and what is taken there.
TAKES: Mapping[str, Callable[[Any], bool]] = {
    "overlay": _text(0, 40),
    "corner": lambda value: value in ("upper_left", "upper_right", "lower_left", "lower_right"),
    "light": lambda value: isinstance(value, bool),
    "name": _text(1, 32),
    "sip_server": _text(1, 253),
    "sip_user": _text(1, 64),
    "sip_password": lambda value: _text(8, 64)(value) and not value.isalpha(),
}


class Session:
    """One listener, and what waits for it."""

    def __init__(self) -> None:
        self.queue: deque[dict[str, Any]] = deque(maxlen=2000)
        self.news = asyncio.Event()
        self.over = False

    def put(self, event: dict[str, Any]) -> None:
        self.queue.append(event)
        self.news.set()

    def end(self) -> None:
        self.over = True
        self.news.set()


class AcmeSimulator(HttpSimulator):
    driver: ClassVar[str] = "acme"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.CAMERA, Kind.INTERCOM})

    def __init__(self, name: str = "sim", *, kind: Kind = Kind.CAMERA, auth: str = "basic", **options: Any) -> None:
        super().__init__(name, **options)
        rng = random.Random(f"acme {self.seed}")
        self.kind = kind
        self.auth = auth
        self.serial = f"AC{rng.randrange(10**8):08d}"
        self.mac = "02:" + ":".join(f"{rng.randrange(256):02X}" for _ in range(5))
        self.lost: set[str] = set()  # streams that are down
        self._set: dict[str, Any] = {"overlay": "", "corner": "upper_left", "light": True, "name": self.serial.lower()}
        if kind is Kind.INTERCOM:
            self._set |= {"sip_server": None, "sip_user": None, "sip_password": None}
        self._after_reboot: dict[str, Any] = {}
        self._states = dict.fromkeys(CONDITIONS, False)
        self._sessions: dict[str, Session] = {}
        self._made = 0  # never starts over: an old session stays unknown

    def inventory(self) -> dict[str, Any]:
        return {
            "driver": self.driver,
            "kind": self.kind.value,
            "address": self.address,
            "credentials": {"username": self.username, "password": self.password},
            "acme": {"port": self.port, "auth": self.auth},
        }

    def writes(self) -> int:
        return self.seen["PUT"]

    def configuration(self) -> dict[str, Any]:
        return {**self._set, "sip_password": None} if "sip_password" in self._set else dict(self._set)

    def open_subscriptions(self) -> int:
        return len(self._sessions)

    def forget(self) -> None:
        self._drop_sessions()
        self._set |= self._after_reboot
        self._after_reboot = {}

    def _drop_sessions(self) -> None:
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()

    async def act(self, action: str, **details: Any) -> None:
        """What can happen: see below. ValueError for anything else."""
        if action in CONDITIONS:
            active = bool(details.get("active", True))
            if self._states[action] != active:
                self._states[action] = active
                self._tell({"type": action, "on": active})
        elif action == "button":
            self._tell({"type": "button"})
        elif action == "stream_loss":
            stream = STREAMS[details.get("stream") == "low"]
            (self.lost.add if details.get("on", True) else self.lost.discard)(stream)
        elif action == "vendor_event":
            self._tell({"type": details["topic"], "data": details.get("data", {})})
        elif action == "drop_subscriptions":
            self._drop_sessions()
        else:
            await super().act(action, **details)

    def _tell(self, event: dict[str, Any]) -> None:
        for session in self._sessions.values():
            session.put({"time": self.now(), **event})

    # -- requests -------------------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if not self._admits(request.headers.get("Authorization")):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="Acme"'})
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["api", "status"]:
                return web.json_response(self._status())
            case "POST", ["api", "events"]:
                return self._begin()
            case "GET", ["api", "events", name] if name in self._sessions:
                return await self._wait(self._sessions[name], float(request.query.get("wait", 0)))
            case "DELETE", ["api", "events", name] if name in self._sessions:
                self._sessions.pop(name).end()
                return web.json_response({"session": name})
            case "GET", ["api", "settings"]:
                return web.json_response(self.configuration())
            case "PUT", ["api", "settings"]:
                return self._change(await request.json())
            case "POST", ["api", "reboot"]:
                self.reboot_soon()
                return web.json_response({})
        return web.Response(status=404)

    def _admits(self, given: str | None) -> bool:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        expected = f"Bearer {self.password}" if self.auth == "bearer" else f"Basic {pair}"
        return given is not None and self.accepts(given == expected)

    def _status(self) -> dict[str, Any]:
        streams = [
            {"name": name, "url": f"rtsp://{self.address}:554/{name}", "up": name not in self.lost} for name in STREAMS
        ]
        about = {"model": "Porter 2", "firmware": "4.1.7", "serial": self.serial, "mac": self.mac}
        return {**about, "time": self.now(), "streams": streams}

    def _change(self, wanted: dict[str, Any]) -> web.Response:
        for name, value in wanted.items():
            if name not in self._set or not TAKES[name](value):
                return web.json_response({"error": f"{name} is not to be had like that"}, status=422)
        self._after_reboot |= {name: value for name, value in wanted.items() if name == "name"}
        self._set |= {name: value for name, value in wanted.items() if name != "name"}
        return web.json_response({"reboot": "name" in wanted})

    def _begin(self) -> web.Response:
        if len(self._sessions) >= MOST_SESSIONS:
            return web.Response(status=503)
        self._made += 1
        name, session = f"e{self._made}", Session()
        self._sessions[name] = session
        for condition, on in self._states.items():
            session.put({"time": self.now(), "type": condition, "on": on, "repeated": True})
        return web.json_response({"session": name})

    async def _wait(self, session: Session, seconds: float) -> web.Response:
        if not session.queue and not session.over:
            session.news.clear()
            try:
                async with asyncio.timeout(min(seconds, LONGEST_WAIT)):
                    await session.news.wait()
            except TimeoutError:
                pass
        if session.over:
            return web.Response(status=404)
        events = [session.queue.popleft() for _ in range(min(BATCH, len(session.queue)))]
        return web.json_response({"events": events})
