"""The Axis driver on a simulated door station: doors, events, and the troubles that panels are known for."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.config.load import load
from bridge.driver import DriverIO, ShortMemory
from bridge.errors import AuthFailed, DeviceError, ProtocolError, Rejected, Unreachable, Unsupported
from bridge.metrics import Metrics
from bridge.model import Capability, Command, DeviceEvent, EventKind
from bridge.secrets import Secret
from bridge.service import Service
from bridge.settings.plan import Step, plan
from bridge.settings.vocabulary import SECTIONS, Settings, flatten
from bridge.supervisor import http_session
from bridge.testing.harness import device_of
from bridge.testing.simulator import Fault
from bridge.traps.listener import TrapListener
from drivers.axis.driver import AxisDriver
from drivers.axis.simulator import AxisSimulator
from tests.support import until

OPEN = Command(Capability.OPEN_DOOR)


class Rig:
    """A simulated panel and a driver on it."""

    def __init__(self, simulator: AxisSimulator, driver: AxisDriver) -> None:
        self.simulator = simulator
        self.driver = driver
        self.events: list[DeviceEvent] = []
        self.error: DeviceError | None = None

    @property
    def news(self) -> list[DeviceEvent]:
        return [one for one in self.events if not one.initial and one.kind is not EventKind.RESYNC]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async def listen() -> None:
            try:
                async with aclosing(self.driver.events()) as stream:  # type: ignore[type-var]
                    async for event in stream:
                        self.events.append(event)
            except DeviceError as error:
                self.error = error

        before = len(self.events)
        task = asyncio.create_task(listen())
        try:
            await until(lambda: self.error or len(self.events) > before)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def heard(self, count: int) -> list[DeviceEvent]:
        await until(lambda: len(self.news) >= count or self.error)
        return self.news


@asynccontextmanager
async def rig(
    *, config: dict[str, Any] | None = None, traps: TrapListener | None = None, **options: Any
) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        simulator = AxisSimulator("door", **options)
        if traps is not None:
            simulator.notify = ("127.0.0.1", traps.port)
        await simulator.start()
        stack.push_async_callback(simulator.stop)
        session = await stack.enter_async_context(http_session())
        device = device_of(simulator.inventory(), AxisDriver, {"timeout": 2, "ping": 0.6, **(config or {})})
        io = DriverIO(
            device_id="door",
            http=session,
            clock=SystemClock(),
            random=random.Random(1),
            memory=ShortMemory(),
            traps=traps,
        )
        driver = AxisDriver(device, device.config, io)
        stack.push_async_callback(driver.close)
        await driver.open()
        await driver.probe()
        yield Rig(simulator, driver)


# -- how it is ----------------------------------------------------------------------------------------------------


async def test_a_poll_tells_the_door_the_locks_and_the_registration() -> None:
    async with rig() as one:
        facts = (await one.driver.poll()).facts
        assert facts["door"] == "closed"
        assert (facts["lock_1"], facts["lock_2"]) == ("locked", "locked")
        assert facts["sip_registered"] is True
        assert abs(float(facts["clock_offset"] or 0)) <= 1.5
        assert isinstance(facts["uptime"], int)
        await one.simulator.act("door")
        await one.simulator.act("relay", output=2)
        facts = (await one.driver.poll()).facts
        assert (facts["door"], facts["lock_1"], facts["lock_2"]) == ("open", "locked", "unlocked")


async def test_a_poll_takes_three_requests() -> None:
    async with rig() as one:
        await one.driver.poll()
        before = sum(one.simulator.seen[verb] for verb in ("GET", "POST"))
        await one.driver.poll()
        assert sum(one.simulator.seen[verb] for verb in ("GET", "POST")) - before == 3


async def test_old_firmware_is_asked_in_the_old_ways() -> None:
    async with rig(firmware="6.50.5", model="A8105-E") as one:
        identity = await one.driver.probe()
        assert (identity.model, identity.firmware) == ("A8105-E", "6.50.5")
        assert Capability.EVENTS not in identity.capabilities
        await one.simulator.act("door")
        facts = (await one.driver.poll()).facts
        assert (facts["door"], facts["lock_1"]) == ("open", "locked")
        await one.driver.command(OPEN)
        assert one.simulator.openings() == 1
        with pytest.raises(Unsupported, match="traps"):
            await anext(aiter(one.driver.events()))
        await one.driver.command(Command(Capability.REBOOT))
        await until(lambda: one.simulator.reboots == 1)


async def test_another_unit_at_the_same_address_is_noticed() -> None:
    async with rig(seed=1) as one:
        mark = (await one.driver.poll()).mark
        assert (await one.driver.poll()).mark == mark
        await one.simulator.reboot()
        assert (await one.driver.poll()).mark == mark
        one.simulator.unit.serial = "ACCC8E000000"
        await one.simulator.reboot()
        assert (await one.driver.poll()).mark != mark


async def test_other_firmware_is_noticed() -> None:
    async with rig() as one:
        mark = (await one.driver.poll()).mark
        one.simulator.unit.firmware = "12.0.91"
        await one.simulator.reboot()
        assert (await one.driver.poll()).mark != mark


async def test_an_account_with_too_few_rights_for_calls_still_tells_the_rest() -> None:
    async with rig(may_call=False) as one:
        facts = (await one.driver.poll()).facts
        assert "sip_registered" not in facts
        assert facts["door"] == "closed"
        asked = one.simulator.seen["auth_failed"]
        await one.driver.poll()
        assert one.simulator.seen["auth_failed"] == asked, "what may not be asked is not asked at every poll"


async def test_a_wrong_password_is_tried_twice_and_then_not_for_long() -> None:
    """Though systemready.cgi answers to anybody, which is no proof of the login."""
    async with rig() as one:
        patient = device_of(one.simulator.inventory(), AxisDriver, {"timeout": 2})
        object.__setattr__(patient, "policy", one.driver.device.policy.__class__())
        driver = AxisDriver(patient, patient.config, one.driver.io)
        await driver.probe()
        await driver.poll()
        await one.simulator.inject(Fault.WRONG_PASSWORD)
        before = one.simulator.seen["auth_failed"]
        for _ in range(6):
            with pytest.raises(AuthFailed):
                await driver.poll()
        assert one.simulator.seen["auth_failed"] - before <= 3


# -- doors --------------------------------------------------------------------------------------------------------


async def test_a_door_opens_for_its_own_time_and_its_lock_tells_that_we_did_it() -> None:
    async with rig(config={"open_seconds": 0.3}) as one, one.listening():
        await one.driver.poll()
        result = await one.driver.command(Command(Capability.OPEN_DOOR, arguments={"output": 2}))
        assert result.detail == "output 2 opens for 0.3 s"
        opened, closed = (await one.heard(2))[:2]
        assert (opened.kind, opened.active, opened.data["output"], opened.data["by"]) == (
            EventKind.LOCK, True, "2", "api",
        )  # fmt: skip
        assert (closed.kind, closed.active) == (EventKind.LOCK, False)
        assert "by" not in closed.data
        # The first output is monostable: its own 4 s hold.
        assert (await one.driver.command(OPEN)).detail == "output 1 opens for 4 s"
        await one.simulator.act("relay", output=2)
        other = (await one.heard(4))[3]
        assert other.active
        assert "by" not in other.data, "that was somebody else"


async def test_the_door_of_another_panel_is_not_opened() -> None:
    async with rig() as one:
        await one.driver.poll()
        one.simulator.unit.serial = "ACCC8E000000"
        with pytest.raises(Rejected, match="another device"):
            await one.driver.command(OPEN)
        assert one.simulator.openings() == 0


async def test_an_output_that_was_made_an_input_is_no_door() -> None:
    async with rig() as one:
        await one.driver.poll()
        one.simulator.unit.ports[1].direction = one.simulator.unit.ports[2].direction = "input"
        with pytest.raises(Rejected):
            await one.driver.command(OPEN)
        assert one.simulator.openings() == 0


# -- events -------------------------------------------------------------------------------------------------------


async def test_a_call_from_ringing_to_its_end() -> None:
    async with rig() as one, one.listening():
        for reason in ("Initiated", "AcceptedByRemote", "Terminated", "Initiated", "NoAnswer"):
            await one.simulator.act("call", reason=reason)
        told = await one.heard(5)
        assert [event.data["state"] for event in told] == ["ringing", "answered", "ended", "ringing", "missed"]
        assert told[0].data["peer"] == "sip:12@pbx.example.net"
        await one.simulator.act("vendor_event", topic="last", data={})
        assert (await one.heard(6))[-1].kind is EventKind.VENDOR, "each phase is told once"


async def test_what_it_was_like_before_we_listened_is_marked() -> None:
    async with rig() as one:
        await one.simulator.act("door")
        await one.simulator.act("call")
        async with one.listening():
            await one.simulator.act("vendor_event", topic="first", data={})
            assert len(await one.heard(1)) == 1
        initial = {event.kind: event for event in one.events if event.initial}
        assert initial[EventKind.DOOR].active is True
        assert initial[EventKind.CALL].data["state"] == "ringing"


async def test_a_token_that_is_over_does_not_keep_us_out() -> None:
    """It is valid for 15 s; a slow network takes longer."""
    async with rig(token_life=0.0) as one, one.listening():
        await one.simulator.act("door")
        assert (await one.heard(1))[0].kind is EventKind.DOOR


async def test_a_refused_configuration_is_an_error_and_the_next_try_may_do() -> None:
    async with rig() as one:
        one.simulator.stream.code = 1100
        async with one.listening():
            await until(lambda: one.error)
        assert isinstance(one.error, ProtocolError)
        assert "1100" in one.error.detail
        one.simulator.stream.code, one.error = 0, None
        async with one.listening():
            assert one.error is None
            assert one.events[0].kind is EventKind.RESYNC


async def test_a_stream_that_only_looks_alive_is_noticed() -> None:
    async with rig() as one, one.listening():
        await one.simulator.act("drop_subscriptions")
        await until(lambda: one.error, 3)
        assert isinstance(one.error, Unreachable)


async def test_a_quiet_panel_is_not_a_dead_one() -> None:
    """No total timeout on the stream: a pong is a sign of life."""
    async with rig() as one, one.listening():
        await asyncio.sleep(1.5)  # more than two pings
        await one.simulator.act("door")
        assert (await one.heard(1))[0].kind is EventKind.DOOR
        assert one.error is None


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"method": "events:notify"}', '{"method": 5, "params": []}'])
async def test_a_message_that_nobody_can_read_costs_only_itself(text: str) -> None:
    async with rig() as one, one.listening():
        await one.simulator.act("raw", text=text)
        await one.simulator.act("door")
        assert (await one.heard(1))[0].kind is EventKind.DOOR
        assert (await one.driver.poll()).facts.get("events_unreadable", 0) in (0, 1)


async def test_a_lost_registration_is_told() -> None:
    async with rig() as one, one.listening():
        await one.driver.poll()
        await one.simulator.act("sip")
        assert (await one.driver.poll()).facts["sip_registered"] is False
        event = (await one.heard(1))[0]
        assert (event.kind, event.active, event.data["state"]) == (EventKind.SYSTEM, True, "lost")
        await one.simulator.act("sip", registered=True)
        await one.driver.poll()
        assert (await one.heard(2))[1].active is False


async def test_no_pin_and_no_password_is_ever_told() -> None:
    async with rig(seed=4711) as one, one.listening():
        await one.simulator.act("pin", pin="90817263#")
        await one.simulator.act("card", uid="04A1B2C3D4E5F6")
        told = repr(await one.heard(2)) + repr((await one.driver.poll()).facts)
        told += repr(await one.driver.read_settings(one.driver.device.channels[0], SECTIONS))
        assert "90817263" not in told
        assert "pbx-secret" not in told
        assert "04A1B2C3D4E5F6" in told


# -- traps --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def trap_listener() -> AsyncIterator[TrapListener]:
    listener = TrapListener(Metrics(), SystemClock())
    await listener.open("127.0.0.1", 0)
    try:
        yield listener
    finally:
        await listener.close()


async def test_a_trap_is_a_hint_beside_the_event_stream() -> None:
    config = {"traps": True, "trap_community": "door-traps"}
    panel = {"trap_community": "door-traps"}
    async with trap_listener() as traps, rig(config=config, traps=traps, **panel) as one, one.listening():
        await one.simulator.act("casing")
        told = await one.heard(2)
        hint = next(event for event in told if event.hint)
        sure = next(event for event in told if not event.hint)
        assert (hint.kind, hint.active, hint.topic) == (EventKind.HARDWARE, True, "AXIS-VIDEO-MIB/alarm")
        assert "CasingOpen" in hint.data.values()
        assert (sure.kind, sure.active) == (EventKind.TAMPER, True)


async def test_a_trap_with_another_community_is_refused() -> None:
    config = {"traps": True, "trap_community": "door-traps"}
    async with trap_listener() as traps, rig(config=config, traps=traps) as one, one.listening():
        await one.simulator.act("casing")
        await one.simulator.act("door")
        assert [event.hint for event in await one.heard(2)] == [False, False]


async def test_where_the_firmware_has_no_event_stream_traps_are_all_there_is() -> None:
    config = {"traps": True, "trap_community": "public"}
    async with trap_listener() as traps, rig(config=config, traps=traps, firmware="9.80.3") as one:
        assert Capability.EVENTS in (await one.driver.probe()).capabilities
        async with one.listening():
            await one.simulator.act("casing")
            assert (await one.heard(1))[0].hint
            await one.driver.close()
            await until(lambda: one.error)


# -- settings -----------------------------------------------------------------------------------------------------


async def written(one: Rig, wanted: dict[str, Any]) -> None:
    channel = one.driver.device.channels[0]
    found = await one.driver.read_settings(channel, list(wanted))
    todo = plan(found, Settings.model_validate(wanted))
    assert not todo.refusals, todo.refusals
    for step in todo.steps():
        await one.driver.apply(channel, step)


async def test_an_account_keeps_what_a_template_does_not_speak_of() -> None:
    async with rig() as one:
        before = dict(one.simulator.unit.account)
        await written(one, {"sip": {"display_name": "Yard"}, "call": {"talk": 90}})
        after = one.simulator.unit.account
        assert after["Password"] == before["Password"]
        assert {**after, "CallerId": "", "Attribute": []} == {**before, "CallerId": "", "Attribute": []}
        assert after["CallerId"] == "Yard"
        assert {"Name": "RegistrationInterval", "Value": "300"} in after["Attribute"]
        await written(one, {"sip": {"password": Secret("another-secret")}})
        assert one.simulator.unit.account["Password"] == "another-secret"


async def test_no_secret_stands_in_an_address() -> None:
    async with rig() as one:
        asked: list[str] = []
        answer = one.simulator.answer

        async def note(request: Any) -> Any:
            asked.append(str(request.rel_url))
            return await answer(request)

        one.simulator.answer = note  # type: ignore[method-assign]
        await written(one, {"vendor": {"axis": {"trap_community": Secret("trap-secret")}}})
        await written(one, {"sip": {"password": Secret("sip-secret")}})
        assert one.simulator.unit.parameters["SNMP.Trap.T0.Community"] == "trap-secret"
        assert not [url for url in asked if "secret" in url]


async def test_relays_are_numbered_as_doors_are() -> None:
    async with rig(config={"outputs": [2, 1]}) as one:
        found = flatten((await one.driver.read_settings(one.driver.device.channels[0], ["relays"])).settings)
        assert (found["relays.2.mode"], found["relays.2.duration"]) == ("monostable", 4)
        await written(one, {"relays": {"1": {"duration": 9}}})
        assert one.simulator.unit.ports[2].delay == 9


async def test_of_several_dtmf_triggers_none_is_taken_for_the_door_s() -> None:
    async with rig() as one:
        unit = one.simulator.unit
        calls = one.simulator.calls
        real = calls.answer
        two = {"DTMFTrigger": [unit.trigger, {**unit.trigger, "Id": "dtmf_trigger_1", "DTMFSequence": "2"}]}
        calls.answer = lambda action, given: two if "GetDTMFTriggers" in action else real(action, given)  # type: ignore[method-assign]
        found = await one.driver.read_settings(one.driver.device.channels[0], ["door"])
        assert not found.limits.fields
        step = Step("door", Settings(), Settings.model_validate({"door": {"dtmf": "5"}}), ("door.dtmf",))
        with pytest.raises(Rejected, match="exactly one"):
            await one.driver.apply(one.driver.device.channels[0], step)


# -- in the bridge ------------------------------------------------------------------------------------------------


async def test_a_panel_in_the_bridge_is_active_and_its_door_is_recorded(tmp_path: Path) -> None:
    panel = AxisSimulator("door")
    await panel.start()
    inventory = {
        "bridge": {"data": str(tmp_path / "data"), "http": {"listen": "127.0.0.1:0"}},
        "delivery": {"sinks": []},
        "defaults": {"watch": {"poll": 1}},
        "devices": [{"id": "door", **panel.inventory(), "vms": {"id": 7}}],
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(inventory))
    bridge = Service(load(file))
    await bridge.start()
    try:
        runner = bridge.supervisor.runners["door"]
        await until(lambda: runner.listening and runner.state.facts.get("door") == "closed", 15)
        await panel.act("door")
        await until(lambda: runner.state.facts.get("door") == "open", 10)
        rows = await bridge.store.outbox_after(0, 100)
        assert any("intercom" in row.body and "active" in row.body for row in rows)
    finally:
        await bridge.stop()
        await panel.stop()
