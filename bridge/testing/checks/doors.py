"""Does a door open when it is asked to, once, and never by accident?"""

from __future__ import annotations

import pytest

from bridge.errors import DeviceError, Rejected, Unsupported
from bridge.model import Capability, Command, EventKind, Result
from bridge.testing.checks.base import Contract, first_event, outcome
from bridge.testing.harness import on_a_loop
from bridge.testing.simulator import Fault


class DoorChecks(Contract):
    @on_a_loop
    async def test_a_door_opens_once(self) -> None:
        self.needs(Capability.OPEN_DOOR)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            for count in (1, 2):
                result = await driver.command(Command(Capability.OPEN_DOOR))
                assert isinstance(result, Result), f"command() returns {result!r}, which is no bridge.model.Result"
                assert unit.simulator.openings() == count, (
                    f"after {count} open_door, doors have opened {unit.simulator.openings()} times"
                )

    @on_a_loop
    async def test_a_lost_reply_opens_no_door_twice(self) -> None:
        self.needs(Capability.OPEN_DOOR)
        if Fault.LOST_REPLY in self.impossible:
            pytest.skip("its protocol has a transaction for that")
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            before = unit.simulator.openings()
            await unit.inject(Fault.LOST_REPLY)
            result = await outcome(driver.command(Command(Capability.OPEN_DOOR)))
            assert isinstance(result, DeviceError), (
                f"the answer to open_door is lost, and command() gives {result!r}: it has to raise a DeviceError"
            )
            opened = unit.simulator.openings() - before
            assert opened == 1, f"one open_door whose answer was lost has opened doors {opened} times"

    @pytest.mark.parametrize("output", [0, -1, 99, "x", True, 1.5])
    @on_a_loop
    async def test_a_door_that_is_not_there_opens_nothing(self, output: object) -> None:
        self.needs(Capability.OPEN_DOOR)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            result = await outcome(
                driver.command(Command(Capability.OPEN_DOOR, arguments={"output": output}))  # type: ignore[dict-item]
            )
            self.is_called((Rejected, Unsupported), result, f"open_door of output {output!r}")
            assert unit.simulator.openings() == 0, f"open_door of output {output!r} opened something"

    @on_a_loop
    async def test_a_snapshot_is_a_picture(self) -> None:
        self.needs(Capability.SNAPSHOT)
        async with self.bench() as bench:
            driver = await bench.ready(await bench.unit())
            result = await driver.command(Command(Capability.SNAPSHOT))
            assert isinstance(result, Result), f"command() returns {result!r}, which is no bridge.model.Result"
            assert result.content_type in ("image/jpeg", "image/png"), f"a snapshot is {result.content_type!r}"
            known = (b"\xff\xd8\xff", b"\x89PNG")
            assert result.data.startswith(known), f"a snapshot begins with {result.data[:8]!r}: that is no picture"

    @on_a_loop
    async def test_release_takes_everything_of_ours_off(self) -> None:
        """And nothing else. `close` alone leaves it, so that a restart of the bridge writes nothing."""
        self.needs(Capability.EVENTS)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            others = unit.simulator.registrations()
            assert (await first_event(driver)).kind is EventKind.RESYNC
            await driver.release()
            left = unit.simulator.registrations()
            assert left == others, f"after release() there are {left} registrations on the device, {others} before"
