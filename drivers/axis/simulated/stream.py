"""Event streaming over WebSocket, the device's side: sessions, topic filters, states that are told to newcomers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

_NAMESPACE = re.compile(r"\b(?:tns1|tnsaxis|axis):")
Pairs = Mapping[str, str]


@dataclass(slots=True)
class Session:
    socket: web.WebSocketResponse
    filters: tuple[str, ...] = ()
    deaf: bool = False  # forgotten: it answers nothing, not even a ping, and does not hang up either


class Stream:
    """`code`: the error that events:configure ends with, where it is not 0. `now`: the device's clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.sessions: list[Session] = []
        self.code = 0
        self.stale = False  # tells newcomers with the time of long ago, as some firmware does
        self._now = now
        self._states: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Pairs, float]] = {}

    def listening(self) -> int:
        return sum(bool(one.filters) and not one.deaf and not one.socket.closed for one in self.sessions)

    def forget(self) -> None:
        self.sessions.clear()

    def drop(self) -> None:
        for session in self.sessions:
            session.deaf = True

    async def serve(self, request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        session = Session(socket)
        self.sessions.append(session)
        try:
            async for message in socket:
                if session.deaf:
                    continue
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._asked(session, message.data)
        finally:
            if session in self.sessions:
                self.sessions.remove(session)
        return socket

    async def _asked(self, session: Session, text: str) -> None:
        try:
            asked = json.loads(text)
            method = asked["method"]
        except (ValueError, TypeError, KeyError):
            await session.socket.send_json({"error": {"code": 2101, "message": "Invalid JSON"}})
            return
        head = {name: asked[name] for name in ("apiVersion", "context", "method") if name in asked}
        filters = _filters(asked.get("params"))
        if method != "events:configure":
            answer: dict[str, Any] = {"error": {"code": 2102, "message": "Method not supported"}}
        elif self.code:
            answer = {"error": {"code": self.code, "message": "Internal Error"}}
        elif not filters:
            answer = {"error": {"code": 2104, "message": "Invalid parameter value specified"}}
        else:
            answer = {"data": {}}
        await session.socket.send_json({**head, **answer})
        if "data" in answer:
            session.filters = filters
            for (topic, source), (data, at) in list(self._states.items()):
                await self._send(session, topic, dict(source), data, at if self.stale else self._now())

    async def tell(self, topic: str, source: Pairs, data: Pairs, *, state: bool) -> None:
        """To all who listen. A state is told to whoever comes later, too."""
        if state:
            self._states[topic, tuple(source.items())] = data, self._now()
        for session in list(self.sessions):
            if session.filters and not session.deaf:
                await self._send(session, topic, source, data, self._now())

    def set_state(self, topic: str, source: Pairs, data: Pairs) -> None:
        """A state that it had all along."""
        self._states[topic, tuple(source.items())] = data, self._now()

    async def _send(self, session: Session, topic: str, source: Pairs, data: Pairs, at: float) -> None:
        if not any(_matches(one, topic) for one in session.filters) or session.socket.closed:
            return
        notification = {
            "timestamp": round(at * 1000),
            "topic": topic,
            "message": {"source": dict(source), "key": {}, "data": dict(data)},
        }
        told = {"apiVersion": "1.0", "method": "events:notify", "params": {"notification": notification}}
        try:
            await session.socket.send_json(told)
        except ConnectionError:
            session.deaf = True


def _filters(params: Any) -> tuple[str, ...]:
    given = params.get("eventFilterList") if isinstance(params, dict) else None
    if not isinstance(given, list):
        return ()
    topics = [one.get("topicFilter") for one in given if isinstance(one, dict)]
    return tuple(one for one in topics if isinstance(one, str))


def _matches(expression: str, topic: str) -> bool:
    """A ConcreteSet expression (ONVIF Core): alternatives by `|`, `//.` for a topic and all below it."""
    plain = _NAMESPACE.sub("", topic)
    for one in expression.split("|"):
        path, below, _ = _NAMESPACE.sub("", one.strip()).partition("//.")
        if plain == path or (below and (not path or plain.startswith(f"{path}/"))):
            return True
    return False
