"""The control API of a simulated site, on loopback: make devices fail and things happen, from a shell or a test.

    GET    /devices                      what there is: ports, faults, requests seen, subscriptions
    GET    /inventory                    YAML that reaches all of it
    GET    /devices/ID/configuration     what is set on it; "configure" of /act changes that
    POST   /devices/ID/faults            {"fault": "slow", "value": 3, "seconds": 10}; for ever without seconds
    DELETE /devices/ID/faults[/FAULT]    one fault, or all
    POST   /devices/ID/act               {"action": "motion", "active": true}
    POST   /devices/ID/reboot            {"seconds": 5}

Errors are JSON: {"error": what, "where": where, "mend": how}. Bodies must be sent as application/json, which no web
page can do here without asking first.
"""

from __future__ import annotations

import asyncio
import difflib
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NoReturn

from aiohttp import web

from bridge.testing.simulator import Fault
from bridge.testing.site import Member, SimulatedSite

_MAX_BODY = 65_536
_LONGEST = 86_400.0  # seconds
# Faults whose value is a number of seconds.
_TIMED = (Fault.SLOW, Fault.CLOCK_SKEW)


class SiteControl:
    """Serves the API for a site. `url` is known after `start`."""

    def __init__(self, site: SimulatedSite) -> None:
        self._site = site
        self._runner: web.AppRunner | None = None
        self._background: dict[tuple[str, str], asyncio.Task[None]] = {}  # what ends or goes on by itself
        self.url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen. ValueError for an address that others can reach, OSError for a port that is taken."""
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"{host}: the control API of simulated devices listens on loopback only")
        app = web.Application(middlewares=[_errors_as_json], client_max_size=_MAX_BODY)
        app.router.add_get("/devices", self._list)
        app.router.add_get("/inventory", self._inventory)
        app.router.add_get("/devices/{id}/configuration", self._configuration)
        app.router.add_post("/devices/{id}/faults", self._inject)
        app.router.add_delete("/devices/{id}/faults", self._clear)
        app.router.add_delete("/devices/{id}/faults/{fault}", self._clear)
        app.router.add_post("/devices/{id}/act", self._act)
        app.router.add_post("/devices/{id}/reboot", self._reboot)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except BaseException:
            await self.stop()
            raise
        bound = self._runner.addresses[0]
        self.url = f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"

    async def stop(self) -> None:
        for task in self._background.values():
            task.cancel()
        await asyncio.gather(*self._background.values(), return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- what there is

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"devices": [_describe(member) for member in self._site]})

    async def _inventory(self, request: web.Request) -> web.Response:
        return web.Response(text=self._site.inventory_yaml(), content_type="application/yaml")

    async def _configuration(self, request: web.Request) -> web.Response:
        return web.json_response(self._member(request).simulator.configuration())

    # --- what is to happen

    async def _inject(self, request: web.Request) -> web.Response:
        member, body = self._member(request), await _body(request)
        fault = _fault(body.pop("fault", None))
        value = _value(fault, body.pop("value", True))
        seconds = body.pop("seconds", None)
        _nothing_else(body, ("fault", "value", "seconds"))
        length = None if seconds is None else _number(seconds, "seconds")
        self._forget(member, fault)
        await member.simulator.inject(fault, value)
        if length is not None:
            self._later(member, fault, _after(length, lambda: member.simulator.clear(fault)))
        return web.json_response(_describe(member))

    async def _clear(self, request: web.Request) -> web.Response:
        member = self._member(request)
        named = request.match_info.get("fault")
        faults = [_fault(named)] if named is not None else list(Fault)
        for fault in faults:
            self._forget(member, fault)
        await member.simulator.clear(faults[0] if named is not None else None)
        return web.json_response(_describe(member))

    async def _act(self, request: web.Request) -> web.Response:
        member, body = self._member(request), await _body(request)
        action = body.pop("action", None)
        if not isinstance(action, str):
            _refuse("no action", "action", 'say what is to happen: {"action": "motion", "active": true}')
        try:
            await member.simulator.act(action, **body)
        except (ValueError, TypeError) as error:
            what, _, mend = str(error).partition(": ")
            _refuse(what, "action", mend or "see what this driver's simulator can do")
        return web.json_response(_describe(member))

    async def _reboot(self, request: web.Request) -> web.Response:
        member, body = self._member(request), await _body(request)
        seconds = _number(body.pop("seconds", 0.0), "seconds")
        _nothing_else(body, ("seconds",))
        if (member.id, "reboot") in self._background:
            _refuse("it is rebooting already", "reboot", "wait until it is back", status=409)
        self._later(member, "reboot", member.simulator.reboot(seconds))
        return web.json_response(_describe(member), status=202)

    # --- helpers

    def _member(self, request: web.Request) -> Member:
        wanted = request.match_info["id"]
        member = self._site.members.get(wanted)
        if member is None:
            _refuse(f"no device {wanted[:80]!r}", "path", _hint(wanted, self._site.members), status=404)
        return member

    def _later(self, member: Member, name: str, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        key = (member.id, name)
        task = asyncio.create_task(run(), name=f"site control {member.id} {name}")
        self._background[key] = task
        task.add_done_callback(lambda done: self._background.pop(key, None) if self._background.get(key) is done else 0)

    def _forget(self, member: Member, name: str) -> None:
        task = self._background.pop((member.id, name), None)
        if task is not None:
            task.cancel()


def _describe(member: Member) -> dict[str, Any]:
    simulator = member.simulator
    return {
        "id": member.id,
        "name": member.name,
        "kind": member.kind.value,
        "driver": simulator.driver,
        "address": simulator.address,
        "port": simulator.port,
        "faults": {fault.value: value for fault, value in simulator.faults.items()},
        "seen": dict(simulator.seen),
        "subscriptions": simulator.open_subscriptions(),
    }


async def _after(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await act()


def _refuse(what: str, where: str, mend: str, *, status: int = 400) -> NoReturn:
    error = {400: web.HTTPBadRequest, 404: web.HTTPNotFound, 409: web.HTTPConflict, 415: web.HTTPUnsupportedMediaType}
    raise error[status](text=json.dumps({"error": what, "where": where, "mend": mend}), content_type="application/json")


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.content_type == "application/json" or error.status < 400:
            raise
        mend = (
            "GET /devices, GET /devices/ID/configuration, GET /inventory, "
            "POST /devices/ID/faults, /act or /reboot, DELETE /devices/ID/faults"
        )
        return web.json_response(
            {"error": error.reason.lower(), "where": f"{request.method} {request.path}", "mend": f"there is {mend}"},
            status=error.status,
        )


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        _refuse("the body is not JSON", "Content-Type", "send it as application/json", status=415)
    try:
        body = await request.json()
    except ValueError:
        _refuse("the body is not JSON", "body", 'send an object, such as {"fault": "closed"}')
    if not isinstance(body, dict):
        _refuse("the body is no object", "body", 'send an object, such as {"fault": "closed"}')
    return body


def _fault(name: object) -> Fault:
    if isinstance(name, str) and name in list(Fault):
        return Fault(name)
    _refuse("no fault" if name is None else f"no fault {str(name)[:80]!r}", "fault", _hint(str(name), list(Fault)))


def _value(fault: Fault, value: object) -> object:
    if fault in _TIMED and value is not True:
        return _number(value, "value", least=-_LONGEST if fault is Fault.CLOCK_SKEW else 0.0)
    if fault is Fault.REDIRECT and not (value is True or isinstance(value, str)):
        _refuse("redirect needs a URL", "value", 'say where to: {"fault": "redirect", "value": "http://192.0.2.1/"}')
    return value


def _number(value: object, where: str, *, least: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _LONGEST:
        _refuse(f"{where} is no number of seconds", where, f"give one from {least:g} to {_LONGEST:g}")
    return float(value)


def _nothing_else(body: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in body:
        _refuse(f"unknown key {key[:80]!r}", "body", _hint(key, known))


def _hint(name: str, known: Iterable[str]) -> str:
    names = [str(one) for one in known]
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(names[:20])
    return f"it is one of {shown}{', ...' if len(names) > 20 else ''}"
