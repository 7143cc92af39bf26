"""Devices: how they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import Field

from bridge.model import Capability, Kind
from bridge.runner import Runner
from bridge.state.reachability import Reach
from bridge.web.routes import Call, Input, Refused, Route, Wrong
from bridge.web.views import DevicesView, DeviceView, device_view

MOST = 10_000  # in one answer
TURN = 200  # views made before others have their turn

Word = Annotated[str, Field(min_length=1, max_length=200)]


class Filters(Input):
    site: Word | None = Field(None, description="only those on this site")
    group: Word | None = Field(None, description="only those of this group")
    kind: Kind | None = Field(None, description="only those of this kind")
    driver: Word | None = Field(None, description="only those with this driver")
    reach: Reach | None = Field(None, description="only those that are so reachable")
    status: Word | None = Field(None, description="only those with a channel of this status", examples=["inactive"])
    capability: Capability | None = Field(None, description="only those that can do this")
    search: Word | None = Field(None, description="only those with this text in id, name, address, make or model")
    after: Word | None = Field(None, description="only those whose ids come after this one")
    limit: Annotated[int, Field(ge=1, le=MOST)] = Field(MOST, description="that many at most")

    def fit(self, runner: Runner) -> bool:
        device, state, identity = runner.device, runner.state, runner.state.identity
        if self.search is not None:
            made = f"{identity.manufacturer} {identity.model}" if identity else ""
            if self.search.lower() not in f"{device.id} {device.name} {device.address} {made}".lower():
                return False
        statuses = {*(str(one.status.announced) for one in state.cameras.values())}
        statuses |= {str(one.announced) for one in state.intercoms.values()}
        return (
            (self.site is None or device.site == self.site)
            and (self.group is None or device.group == self.group)
            and (self.kind is None or device.kind is self.kind)
            and (self.driver is None or device.driver == self.driver)
            and (self.reach is None or state.reach.reach is self.reach)
            and (self.status is None or self.status in statuses)
            and (self.capability is None or (identity is not None and self.capability in identity.capabilities))
        )


class Devices:
    """`runners` are asked for anew on each request: a reload replaces them."""

    def __init__(self, runners: Callable[[], Mapping[str, Runner]]) -> None:
        self._runners = runners

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/devices", "Devices, how they are and who they are", self.devices, DevicesView, query=Filters
            ),
            Route("GET", "/devices/{device}", "One device", self.device, DeviceView),
        ]

    def runner(self, name: str) -> Runner:
        """Raises Refused."""
        runner = self._runners().get(name)
        if runner is None:
            raise Refused(404, "no device of the inventory has this id")
        return runner

    def channel(self, runner: Runner, asked: str | None) -> str:
        """The key of the channel that is asked for; of the only one where none is. Raises Refused."""
        keys = [channel.key for channel in runner.device.channels]
        if asked is None and len(keys) == 1:
            return keys[0]
        if asked is None or asked not in keys:
            raise Refused(422, "there is no such channel", [Wrong(f"one of {', '.join(keys)}", parameter="channel")])
        return asked

    async def devices(self, call: Call) -> DevicesView:
        asked: Filters = call.query
        fitting = sorted((one for one in self._runners().values() if asked.fit(one)), key=lambda one: one.device.id)
        rest = [one for one in fitting if asked.after is None or one.device.id > asked.after]
        views = []
        for number, runner in enumerate(rest[: asked.limit], 1):
            views.append(device_view(runner))
            if number % TURN == 0:
                await asyncio.sleep(0)
        return DevicesView(tuple(views), len(fitting), views[-1].id if len(rest) > asked.limit else None)

    async def device(self, call: Call) -> DeviceView:
        return device_view(self.runner(call.path["device"]))
