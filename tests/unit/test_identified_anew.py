"""A device that was started anew, replaced or upgraded is asked again who it is; one that leaves is tidied up."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.driver import BODY_LIMIT, CallbackRequest, DriverIO, ShortMemory
from bridge.errors import Unreachable, Unsupported
from bridge.metrics import Metrics
from bridge.model import Device, DeviceEvent, EventKind, Kind
from bridge.state.restart import restarted
from bridge.testing.clock import FakeClock
from bridge.web.callbacks import CallbackListener
from drivers.transports.standing import standing_callback
from tests.support import until
from tests.unit.test_runner import UP, Scripted, World
from tests.unit.test_runner import world as world


def running_for(seconds: float, mark: str = "SN1 1.0") -> Any:
    return replace(UP, facts={"uptime": seconds}, mark=mark)


async def reboots(world: World) -> list[tuple[str, str]]:
    return [(one.topic, one.reason) for one in await world.journal.after(0) if one.kind == "reboot"]


async def settled(world: World, driver: Scripted, polls: int) -> None:
    for _ in range(polls):
        await world.step(33.0, driver)


async def test_an_uptime_that_goes_back_is_a_restart(world: World) -> None:
    runner, driver = await world.add()
    driver.answer = running_for(5000)
    runner.start()
    await until(lambda: driver.polls == 1)
    driver.answer = running_for(5030)
    await settled(world, driver, 1)
    assert (driver.probes, await reboots(world)) == (1, [])
    driver.answer = running_for(12)
    await settled(world, driver, 1)
    await until(lambda: driver.probes == 2)
    driver.answer = running_for(45)
    await settled(world, driver, 2)
    assert (driver.probes, await reboots(world)) == (2, [("uptime", "event")])


async def test_a_restart_that_the_device_told_is_not_told_again(world: World) -> None:
    runner, driver = await world.add()
    driver.answer = running_for(5000)
    runner.start()
    await until(lambda: driver.streams == 1)
    driver.said.put_nowait(DeviceEvent(EventKind.REBOOT, topic="DeviceState"))
    driver.answer = running_for(3)
    await settled(world, driver, 2)
    assert await reboots(world) == [("DeviceState", "event")]


@pytest.mark.parametrize("mark", ["SN2 1.0", "SN1 1.1"])
async def test_another_unit_or_firmware_is_identified_anew(world: World, mark: str) -> None:
    runner, driver = await world.add()
    driver.answer = running_for(10)
    runner.start()
    await until(lambda: driver.polls == 1)
    driver.identity = replace(driver.identity, firmware="2.0")
    driver.answer = running_for(40, mark)
    await settled(world, driver, 1)
    await until(lambda: driver.probes == 2)
    assert runner.state.identity is not None
    assert runner.state.identity.firmware == "2.0"
    await settled(world, driver, 2)
    assert driver.probes == 2, "once is enough"


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_uptime(was: float, now: float) -> None:
    wrapped = 42_863_272 <= was <= 42_949_673
    assert restarted({"uptime": was}, {"uptime": now}) == (now < was and not wrapped)
    assert not restarted({}, {"uptime": now})
    assert not restarted({"uptime": was}, {})
    assert not restarted({"uptime": "1 day"}, {"uptime": now})


class Tidy(Scripted):
    released = 0
    error: Exception | None = None

    async def release(self) -> None:
        self.released += 1
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [None, Unreachable("gone"), ZeroDivisionError()])
async def test_only_a_device_that_leaves_is_released(world: World, error: Exception | None) -> None:
    for for_good in (False, True):
        runner, scripted = await world.add(f"cam-{for_good}")
        driver = Tidy(scripted.device, scripted.config, scripted.io)
        driver.error = error
        runner._driver = driver
        runner.start()
        await until(lambda driver=driver: driver.polls == 1)
        await runner.stop(for_good=for_good)
        assert (driver.released, driver.closed) == (int(for_good), 1)


async def test_a_device_that_was_never_asked_is_not_released(world: World) -> None:
    runner, scripted = await world.add()
    driver = runner._driver = Tidy(scripted.device, scripted.config, scripted.io)
    await runner.stop(for_good=True)
    assert driver.released == 0


async def test_a_standing_callback_keeps_its_address() -> None:
    metrics, clock, memory = Metrics(), FakeClock(), ShortMemory()
    device = Device("panel", Kind.INTERCOM, "x", "192.0.2.7")

    async def handler(request: CallbackRequest) -> None:
        pass

    urls = []
    for _ in range(3):  # three lives of the bridge
        listener = CallbackListener("http://192.0.2.5:8090", metrics, clock)
        io = DriverIO(
            device_id="panel",
            http=None,  # type: ignore[arg-type]
            clock=clock,
            random=random.Random(1),
            memory=memory,
            callbacks=listener,
        )
        callback = await standing_callback(io, device, handler, body_limit=BODY_LIMIT)
        urls.append(callback.url)
    assert len(set(urls)) == 1
    assert len(urls[0].rpartition("/")[2]) >= 32, "nobody can guess it"
    again = await standing_callback(io, device, handler)
    callback.close()
    assert again.url == urls[0]
    assert len(listener._registered) == 1, "the later registration of the same address stands"
    io.callbacks = None
    with pytest.raises(Unsupported, match=r"bridge\.callbacks"):
        await standing_callback(io, device, handler)
