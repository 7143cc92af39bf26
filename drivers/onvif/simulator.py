"""A simulated ONVIF device: camera, NVR or door panel, on a port of loopback. Its parts are in `simulated/`.

Written from the ONVIF documents (Core, Media, Media2, Imaging, the WSDLs) and from public reports of what firmwares do
otherwise, not from the driver. It can be read, watched and configured; `state.configuration()` shows what is set.
"""

from __future__ import annotations

import asyncio
import functools
import random
from typing import Any, ClassVar, Protocol

from aiohttp import web

from bridge.model import Kind
from bridge.testing.simulator import Fault, Simulator
from drivers.onvif.simulated.actions import perform
from drivers.onvif.simulated.auth import Guard
from drivers.onvif.simulated.doors import Door
from drivers.onvif.simulated.event_service import EventService
from drivers.onvif.simulated.events import Hub
from drivers.onvif.simulated.notify import Notifier
from drivers.onvif.simulated.operations import OPERATIONS
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.rtsp import RtspConnection, RtspDevice
from drivers.onvif.simulated.state import DeviceState, Traits
from drivers.onvif.simulated.wire import MAX_REQUEST, HttpDevice

_SIX_HOURS = 6 * 3600.0
_WRITES = frozenset(name for (_, name), operation in OPERATIONS.items() if operation.writes)


class Announcer(Protocol):
    """Who says Hello and Bye for a device; see `simulated.discovery`."""

    def hello(self, state: DeviceState) -> None: ...

    def bye(self, state: DeviceState) -> None: ...


class OnvifSimulator(Simulator):
    """One device. Keywords beyond those of `Simulator` are the fields of `simulated.state.Traits`.

    `port` is HTTP, `traits.rtsp_port` RTSP; both stay the same over reboots and while the fault CLOSED is on.
    Raises ValueError for traits that make no device, OSError when a port is taken.
    """

    driver: ClassVar[str] = "onvif"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.CAMERA, Kind.INTERCOM, Kind.SERVER})

    def __init__(
        self,
        name: str = "sim",
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        username: str = "admin",
        password: str = "s3cret-pass",  # noqa: S107 - a simulated device's
        seed: int = 0,
        **traits: Any,
    ) -> None:
        super().__init__(name, address=address, port=port, username=username, password=password, seed=seed)
        self.state = DeviceState(name, address, username, password, seed, Traits(**traits))
        self.announcer: Announcer | None = None
        self._hub = Hub(self.state)
        self._guard = Guard(self.state, self.seen, random.Random(f"onvif wire {seed}"))
        self._notifier = Notifier(self.state, self.seen)
        self._hub.on_consumer = self._notifier.serve
        events = EventService(self.state, self._hub)
        self._http = HttpDevice(
            *(self.state, self._guard, events, self._hub, self.seen, self.faults),
            rebooting=self._reboot_later,
            failing=self._lose_link_later,
        )
        self._rtsp = RtspDevice(self.state, self._guard, self.seen)
        self._http_door = Door(address)
        self._rtsp_door = Door(address)
        self._server: web.Server | None = None
        self._rebooting: asyncio.Task[None] | None = None
        self._losing_link: asyncio.Task[None] | None = None
        self._up = False

    # --- life

    async def start(self) -> None:
        if self._server is not None:
            return
        state = self.state
        self._http_door.bind(self.port)
        try:
            self._rtsp_door.bind(state.rtsp_port or state.traits.rtsp_port)
        except OSError:
            self._http_door.close()
            raise
        self.port = state.port = self._http_door.port
        state.rtsp_port = self._rtsp_door.port
        state.changed()
        loop = asyncio.get_running_loop()
        self._server = web.Server(
            self._http.handle,
            request_factory=functools.partial(_request, loop),
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=1.0 if Quirk.CLOSES_IDLE_CONNECTIONS in state.quirks else state.traits.keepalive,
        )
        await self._come_up()

    async def stop(self) -> None:
        if self._server is None:
            return
        for task in (self._rebooting, self._losing_link):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._rebooting = self._losing_link = None
        if self._up and self.announcer is not None:
            self.announcer.bye(self.state)
        await self._go_down()
        self._http_door.close()
        self._rtsp_door.close()
        self._server = None

    async def reboot(self, seconds: float = 0.0) -> None:
        """A power cycle: returns when the device is back, `seconds` later."""
        if self._server is None:
            return
        self.reboots += 1
        await self._go_down()
        await self.state.traits.clock.sleep(seconds)
        self.state.boot()
        self._hub.booted()
        await self._come_up()

    def _reboot_later(self) -> None:
        """SystemReboot: this is called from within a connection that the reboot will cut."""
        if self._rebooting is None or self._rebooting.done():
            if self.announcer is not None:
                self.announcer.bye(self.state)
            self._rebooting = asyncio.create_task(
                self.reboot(self.state.traits.reboot_seconds), name=f"onvif reboot {self.name}"
            )

    def _lose_link_later(self, fault: Fault) -> None:
        """A write was one too many: this is called from within a connection that goes with the link."""
        if fault is not Fault.CLOSED:
            self.faults[fault] = True  # before the answer leaves
        self._losing_link = asyncio.create_task(self._lose_link(fault), name=f"onvif link {self.name}")

    async def _lose_link(self, fault: Fault) -> None:
        await self.inject(fault)
        await self.state.traits.clock.sleep(self.state.traits.mishap_seconds)
        await self.clear(fault)

    async def _come_up(self) -> None:
        self._up = True
        await self._open_doors()
        if self.announcer is not None:
            self.announcer.hello(self.state)

    async def _go_down(self) -> None:
        self._up = False
        self._shut_doors()
        await self._hang_up()
        await self._notifier.stop()
        self._hub.drop_all()
        self._guard.forget()

    async def _open_doors(self) -> None:
        if self._server is not None and self._up and Fault.CLOSED not in self.faults:
            await self._http_door.open(self._server)
            await self._rtsp_door.open(functools.partial(RtspConnection, self._rtsp))

    def _shut_doors(self) -> None:
        self._http_door.shut()
        self._rtsp_door.shut()

    async def _hang_up(self) -> None:
        """Cut every connection, as the power going does, and wait for what was served on them to end."""
        if self._server is None:
            return
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._rtsp.abort_all()
        async with asyncio.timeout(5):
            # A few passes of the loop; aiohttp has no event for it.
            while self._server.connections or self._rtsp.connections:  # noqa: ASYNC110
                await asyncio.sleep(0)

    # --- faults and what happens

    async def inject(self, fault: Fault | str, value: Any = True) -> None:
        await super().inject(fault, value)
        await self._apply_faults()

    async def clear(self, fault: Fault | str | None = None) -> None:
        await super().clear(fault)
        await self._apply_faults()

    async def _apply_faults(self) -> None:
        faults = self.faults
        skew = faults.get(Fault.CLOCK_SKEW, 0.0)
        self.state.skew = _SIX_HOURS if skew is True else float(skew)
        self._guard.wrong_password = Fault.WRONG_PASSWORD in faults
        was_mute, self._rtsp.mute = self._rtsp.mute, Fault.BLACK_HOLE in faults
        if was_mute and not self._rtsp.mute:
            self._http.release()
            self._rtsp.abort_all()  # they wait for answers that will never come
        if Fault.CLOSED in faults:
            self._shut_doors()
            await self._hang_up()
        else:
            await self._open_doors()

    async def act(self, action: str, **details: Any) -> None:
        """See `simulated.actions` for what can happen and its details."""
        perform(self.state, self._hub, action, details)
        self.password = self.state.password

    # --- for those who look

    def writes(self) -> int:
        return sum(self.seen[name] for name in _WRITES)

    def open_subscriptions(self) -> int:
        return len(self._hub.alive())

    def configuration(self) -> dict[str, Any]:
        return self.state.configuration()

    def inventory(self) -> dict[str, Any]:
        state = self.state
        entry: dict[str, Any] = {
            "driver": self.driver,
            "address": self.address,
            "credentials": {"username": self.username, "password": state.password},
            "onvif": {"port": self.port},
        }
        if state.kind is not Kind.CAMERA:
            entry["kind"] = state.kind.value
        if len(state.sources) > 1:
            entry["channels"] = [{"source": source.token} for source in state.sources]
        return entry


def _request(loop: asyncio.AbstractEventLoop, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Any:
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_REQUEST)
