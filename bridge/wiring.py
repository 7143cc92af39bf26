"""What hangs on which port: a switch's word about the devices behind it, and the remedy for those that stay away.

Evidence only: a device that answers is there, whatever the map says. The inventory's `uplink` is the map.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from bridge.clock import Clock
from bridge.errors import DeviceError
from bridge.journal import Journal
from bridge.model import Capability, Command, Device, DeviceEvent, EventKind, Port
from bridge.state import reachability, remedy
from bridge.state.reachability import Reach, Reachability, Way
from bridge.state.remedy import Remedy
from bridge.store.store import StateRow, Store
from bridge.store.writer import StoreError

if TYPE_CHECKING:
    from bridge.runner import Runner

CYCLE_LIMIT = 120.0  # seconds that one power cycle may take in all
NO_PORT = Port()
Place = tuple[str, int]  # a switch's id, and the number of a port
log = structlog.get_logger("wiring")


class Wiring:
    """One for all runners, which tell it what happened and ask it what that means."""

    def __init__(
        self, runners: Callable[[], Mapping[str, Runner]], store: Store, journal: Journal, clock: Clock
    ) -> None:
        self._runners = runners
        self._store = store
        self._journal = journal
        self._clock = clock
        self._behind: dict[str, dict[int, list[str]]] = {}  # by switch and port, the ids of what hangs there
        self._ports: dict[str, Mapping[int, Port]] = {}  # by switch, as last read
        self._remedies: dict[Place, Remedy] = {}
        self._cycles: set[asyncio.Task[None]] = set()

    def rewire(self, devices: Sequence[Device], known: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Take the map from a new inventory; `known` are the rows of all devices in the store, by part."""
        self._behind = {}
        for device in devices:
            if (uplink := device.uplink) is not None:
                ports = self._behind.setdefault(uplink.switch, {})
                ports.setdefault(uplink.port, []).append(device.id)
                place = (uplink.switch, uplink.port)
                row = known.get(uplink.switch, {}).get(_part(uplink.port), {})
                if place not in self._remedies:
                    self._remedies[place] = Remedy(tuple(float(at) for at in row.get("done", ())))
        self._ports = {switch: ports for switch, ports in self._ports.items() if switch in self._behind}

    async def close(self) -> None:
        """Stop what is going on; a driver gives power back that it has taken."""
        for task in self._cycles:
            task.cancel()
        await asyncio.gather(*self._cycles, return_exceptions=True)

    # -- evidence -------------------------------------------------------------------------------------------------

    def way(self, device: Device, reach: Reachability) -> Way:
        """What its switch says about the way to a device that has just not answered."""
        if device.uplink is None or (switch := self._runners().get(device.uplink.switch)) is None:
            return Way.OPEN
        link = self._port(device.uplink.switch, device.uplink.port).link
        quiet_from = self._clock.now().mono if reach.quiet_from is None else reach.quiet_from
        found = reachability.way(switch.state.reach, link, quiet_from)
        if found is Way.DOUBT:
            switch.poll_soon()
        return found

    async def read(self, switch: Device, ports: Mapping[int, Port]) -> None:
        """A switch told how its ports are."""
        behind = self._behind.get(switch.id)
        if not behind:
            return
        before, self._ports[switch.id] = self._ports.get(switch.id, {}), ports
        for number, names in behind.items():
            was, now = before.get(number, NO_PORT).link, ports.get(number, NO_PORT).link
            if was is now or was is None:
                continue  # first seen without a link it is no news, and evidence once the device is silent
            for name in names:
                if (runner := self._runners().get(name)) is not None:
                    await runner.unplugged() if now is False else runner.poll_soon()

    async def switched(self, switch: Device, reach: Reach) -> None:
        """A switch went offline, or came back: said once, for all that is behind it."""
        names = [name for names in self._behind.get(switch.id, {}).values() for name in names]
        if not names:
            return
        down = reach is Reach.OFFLINE
        what = "switch is down, what is behind it is unknown" if down else "switch is back"
        (log.warning if down else log.info)(what, device=switch.id, behind=len(names))
        self._ports.pop(switch.id, None)
        data = {"behind": ", ".join(names)[:1000], "count": str(len(names))}
        await self._note(switch, DeviceEvent(EventKind.SYSTEM, active=down, topic="bridge/switch_down", data=data))
        for name in names:
            if (runner := self._runners().get(name)) is not None:
                runner.poll_soon()

    def _port(self, switch: str, number: int) -> Port:
        return self._ports.get(switch, {}).get(number, NO_PORT)

    # -- the remedy -----------------------------------------------------------------------------------------------

    def consider(self, device: Device) -> None:
        """A device is offline and was asked once more in vain: is its port's power to be cycled?"""
        uplink = device.uplink
        if uplink is None or uplink.power_cycle is None:
            return
        runners = self._runners()
        switch = runners.get(uplink.switch)
        if switch is None or switch.state.reach.reach is not Reach.ONLINE:
            return
        place = (uplink.switch, uplink.port)
        names = self._behind.get(uplink.switch, {}).get(uplink.port, ())
        there = [runners[name].state.reach for name in names if name in runners]
        state, now = self._remedies.get(place, Remedy()), self._clock.now()
        if remedy.due(state, self._port(*place), there, now, uplink.power_cycle):
            self._remedies[place] = remedy.begin(state, now)
            task = asyncio.create_task(self._cycle(switch, device, place), name=f"power-cycle:{place}")
            self._cycles.add(task)
            task.add_done_callback(self._cycles.discard)

    async def _cycle(self, switch: Runner, device: Device, place: Place) -> None:
        outcome = "ok"
        try:
            # Noted before it is done: a bridge that dies in between must not do it once more than allowed.
            row = StateRow(place[0], _part(place[1]), {"done": list(self._remedies[place].done)})
            await self._store.commit(place[0], [row])
            async with switch.mailbox.exclusive() as driver, asyncio.timeout(CYCLE_LIMIT):
                await driver.command(Command(Capability.POWER_CYCLE, arguments={"port": place[1]}))
        except DeviceError as error:
            outcome = error.detail
        except (StoreError, TimeoutError) as error:
            outcome = str(error) or f"no end of it within {CYCLE_LIMIT:g} s"
        finally:
            self._remedies[place] = remedy.end(self._remedies[place])
        log.warning("power of a port cycled", device=device.id, switch=place[0], port=place[1], outcome=outcome)
        data = {"switch": place[0], "port": str(place[1]), "outcome": outcome}
        await self._note(device, DeviceEvent(EventKind.SYSTEM, topic="bridge/power_cycle", data=data))
        if (runner := self._runners().get(device.id)) is not None:
            runner.poll_soon()

    async def _note(self, device: Device, event: DeviceEvent) -> None:
        try:
            await self._journal.add(device, event, event.active)
        except StoreError as error:
            log.error("the store takes no event", device=device.id, reason=str(error))


def _part(port: int) -> str:
    return f"remedy:{port}"
