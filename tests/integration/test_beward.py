"""A Beward driver on a simulated panel: what hurts with such panels, and a client library of others on the panel."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from beward import BewardDoorbell

from bridge.clock import SystemClock
from bridge.driver import DriverIO, ShortMemory
from bridge.errors import AuthFailed, DeviceError, Rejected, Unreachable, Unsupported
from bridge.metrics import Metrics
from bridge.model import Capability, Command, DeviceEvent, EventKind
from bridge.settings.plan import plan
from bridge.settings.vocabulary import Settings, flatten
from bridge.supervisor import http_session
from bridge.syslog.listener import SyslogListener
from bridge.testing.harness import HurriedClock, device_of, until
from bridge.testing.simulator import Fault
from drivers.beward import driver as driver_module
from drivers.beward.driver import BewardDriver
from drivers.beward.simulator import BewardSimulator

LIMIT = 10.0


class Rig:
    """A panel, a driver for it, and what it tells."""

    def __init__(self, panel: BewardSimulator, driver: BewardDriver, memory: ShortMemory, make: Any) -> None:
        self.panel = panel
        self.driver = driver
        self.memory = memory
        self.another = make  # a second bridge, or this one after a restart
        self.events: list[DeviceEvent] = []
        self.errors: list[DeviceError] = []

    @asynccontextmanager
    async def listening(self, resyncs: int = 1) -> AsyncIterator[None]:
        task = asyncio.create_task(self._listen())
        try:
            await self.until(lambda: self.count(EventKind.RESYNC) >= resyncs, "it does not listen")
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self.driver.events()) as events:  # type: ignore[type-var]
                    async for event in events:
                        self.events.append(event)
            except DeviceError as error:
                self.errors.append(error)
            await asyncio.sleep(0.05)

    def count(self, kind: EventKind) -> int:
        return sum(event.kind is kind for event in self.events)

    def news(self) -> list[tuple[EventKind, dict[str, str]]]:
        return [(one.kind, dict(one.data)) for one in self.events if one.kind is not EventKind.RESYNC]

    async def until(self, condition: Any, what: str) -> None:
        await until(condition, lambda: f"{what}; {self.events[-5:]} {self.errors[-3:]}", LIMIT)

    async def apply(self, **wanted: Any) -> None:
        channel = self.driver.device.channels[0]
        settings = Settings.model_validate(wanted)
        now = await self.driver.read_settings(channel, list(wanted))
        todo = plan(now, settings)
        assert not todo.refusals, todo.refusals
        for step in todo.steps():
            assert await self.driver.apply(channel, step) is False

    async def read(self, *sections: str) -> dict[str, Any]:
        return flatten((await self.driver.read_settings(self.driver.device.channels[0], sections)).settings)


@asynccontextmanager
async def rig(
    *, syslog: bool = True, clock: Any = None, config: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Rig]:
    panel, listener = BewardSimulator(**options), SyslogListener(Metrics(), SystemClock())
    await panel.start()
    await listener.open("127.0.0.1", 0, {}, "127.0.0.1")
    drivers: list[BewardDriver] = []
    async with http_session() as session:

        def make(memory: ShortMemory, **own: Any) -> BewardDriver:
            device = device_of(panel.inventory(), BewardDriver, {"timeout": 2.0, **(config or {}), **own})
            io = DriverIO(
                device_id=device.id,
                http=session,
                clock=clock or SystemClock(),
                random=random.Random(1),
                memory=memory,
                syslog=listener if syslog else None,
            )
            drivers.append(BewardDriver(device, device.config, io))
            return drivers[-1]

        memory = ShortMemory()
        try:
            yield Rig(panel, make(memory), memory, make)
        finally:
            for one in drivers:
                await one.close()
            await listener.close()
            await panel.stop()


# -- forcesave -------------------------------------------------------------------------------------------------------


async def test_what_is_written_survives_a_reboot() -> None:
    async with rig() as one:
        await one.apply(call={"ring": 55}, door={"dtmf": "7"}, hostname={"name": "gate-7"})
        await one.panel.reboot()
        told = await one.read("call", "door", "hostname")
        assert (told["call.ring"], told["door.dtmf"], told["hostname.name"]) == (55, "7", "gate-7")


async def test_the_panel_itself_loses_what_is_not_saved() -> None:
    """The simulator is as bad as the panel."""
    async with rig() as one:
        one.panel.store.set("intercom_cgi", {"CallTimeout": "55"})
        assert (await one.read("call"))["call.ring"] == 55
        await one.panel.reboot()
        assert (await one.read("call"))["call.ring"] == 40


async def test_the_syslog_target_survives_a_reboot() -> None:
    async with rig() as one, one.listening():
        await one.panel.reboot()
        assert one.panel.registrations() == 1


# -- its one syslog target (pains 5 and 6) ---------------------------------------------------------------------------


async def test_a_restart_of_the_bridge_writes_nothing() -> None:
    async with rig() as one:
        async with one.listening():
            pass
        await one.driver.close()
        writes = one.panel.writes()
        one.driver = one.another(one.memory)
        async with one.listening(2):
            await one.panel.act("card")
            await one.until(lambda: one.count(EventKind.ACCESS), "nothing is heard after the restart")
        assert one.panel.writes() == writes


async def test_somebody_else_s_target_is_left_alone() -> None:
    async with rig() as one:
        theirs = {"Enable": "on", "ServerAddress": "127.0.0.9", "ServerPort": "45450", "LogLevel": "6"}
        one.panel.store.set("rsyslog_cgi", theirs)
        async with one.listening():
            await one.panel.act("motion")
            await one.until(lambda: one.count(EventKind.MOTION), "motion does not come by the stream of alarms")
            facts = (await one.driver.poll()).facts
        assert facts["events_by"] == "its stream of alarms alone: its syslog goes to 127.0.0.9:45450"
        assert one.panel.writes() == 0
        await one.driver.release()
        assert theirs.items() <= one.panel.store.modules["rsyslog_cgi"].items()


async def test_when_the_bridge_moves_its_own_target_is_mended() -> None:
    async with rig() as one:
        await one.memory.put("syslog_target", "192.0.2.77:514")
        one.panel.store.set("rsyslog_cgi", {"Enable": "on", "ServerAddress": "192.0.2.77", "ServerPort": "514"})
        async with one.listening():
            assert one.panel.store.modules["rsyslog_cgi"]["ServerAddress"] == "127.0.0.1"


async def test_when_it_leaves_the_slot_is_as_it_was() -> None:
    async with rig() as one:
        before = dict(one.panel.store.modules["rsyslog_cgi"])
        async with one.listening():
            assert one.panel.store.modules["rsyslog_cgi"] != before
        await one.driver.release()
        assert one.panel.store.modules["rsyslog_cgi"] == before
        assert not one.panel.store.unsaved
        assert not one.memory.values


async def test_events_off_takes_out_what_was_ours() -> None:
    async with rig() as one:
        async with one.listening():
            assert one.panel.registrations() == 1
        off = one.another(one.memory, events="off")
        identity = await off.probe()
        assert Capability.EVENTS not in identity.capabilities
        assert one.panel.registrations() == 0
        with pytest.raises(Unsupported):
            await anext(aiter(off.events()))


async def test_the_target_is_not_kept() -> None:
    """Taken and not effective: the driver says so instead of listening to nothing."""
    async with rig() as one:
        one.panel.store.modules["rsyslog_cgi"].pop("ServerPort")  # it passes over what it does not know
        task = asyncio.create_task(anext(aiter(one.driver.events())))  # type: ignore[arg-type]
        with pytest.raises(DeviceError, match="does not keep it"):
            await asyncio.wait_for(task, LIMIT)


# -- what it tells ---------------------------------------------------------------------------------------------------


async def test_a_call_from_the_bell_to_the_door() -> None:
    async with rig() as one, one.listening():
        for action in ("ring", "answer", "dtmf", "hang_up", "noise"):
            await one.panel.act(action)
        await one.until(lambda: len(one.news()) >= 4, "the call is not told")
        call = {"apartment": "12", "peer": "1000012@sip.example.net:5060", "call": "61001"}
        assert one.news() == [
            (EventKind.CALL, {"state": "ringing", "apartment": "12", "call": "61001"}),
            (EventKind.CALL, {"state": "answered", **call}),
            (EventKind.LOCK, {"by": "dtmf", "apartment": "12"}),
            (EventKind.CALL, {"state": "ended", **call}),
        ]
        facts = (await one.driver.poll()).facts
        assert facts["events_ignored"] == 5
        assert facts["events_by"] == "syslog"


@pytest.mark.parametrize("profile", ["dks_old", "ds"])
async def test_calls_of_other_firmware(profile: str) -> None:
    async with rig(profile=profile) as one, one.listening():
        for action in ("ring", "hang_up"):
            await one.panel.act(action)
        await one.until(lambda: one.count(EventKind.CALL) >= 2, "the call is not told")
        assert [data["state"] for _, data in one.news()] == ["ringing", "missed"]


async def test_no_code_is_told() -> None:
    async with rig() as one, one.listening():
        await one.panel.act("code", code="48151623", apartment=7)
        await one.panel.act("line", text="Wrong code 48151623 entered")
        await one.until(lambda: len(one.news()) >= 2, "the codes are not told of")
        assert one.news()[0] == (EventKind.ACCESS, {"by": "code", "granted": "true", "apartment": "7"})
        assert "48151623" not in repr(one.events)


async def test_two_panels_behind_one_address() -> None:
    """As behind NAT: the host name in their lines tells them apart."""
    async with rig() as one:
        one.driver = one.another(one.memory, syslog_name=one.panel.store.modules["name"]["HostName"])
        neighbour = Rig(one.panel, one.another(ShortMemory(), syslog_name="IPC-next-door"), one.memory, one.another)
        async with one.listening(), neighbour.listening():
            await one.panel.act("line", text="from this one")
            one.panel.store.modules["name"]["HostName"] = "IPC-next-door"
            await one.panel.act("line", text="from the other one")
            await one.until(lambda: one.news() and neighbour.news(), "nothing is heard")
        assert one.news() == [(EventKind.VENDOR, {"text": "from this one"})]
        assert neighbour.news() == [(EventKind.VENDOR, {"text": "from the other one"})]


async def test_a_clock_that_jumps_makes_no_history() -> None:
    """Nor does the panel keep any: what it tells now, happens now (pains 13 and 18)."""
    async with rig(clock=HurriedClock(1000.0)) as one, one.listening():
        await one.panel.inject(Fault.CLOCK_SKEW, -86_400.0)
        await asyncio.sleep(0.1)
        await one.panel.act("card")
        await one.until(lambda: one.count(EventKind.ACCESS), "the card is not told of")
        event = next(event for event in one.events if event.kind is EventKind.ACCESS)
        assert not event.replayed
        assert (await one.driver.poll()).facts["clock_offset"] == pytest.approx(-86_400.0, abs=5)


async def test_what_is_told_a_day_late_is_history() -> None:
    async with rig() as one, one.listening():
        await one.panel.inject(
            Fault.CLOCK_SKEW, -86_400.0
        )  # right after the clock was read: it is the line that is old
        await one.panel.act("card")
        await one.until(lambda: one.count(EventKind.ACCESS), "the card is not told of")
        assert one.events[-1].replayed
        assert (await one.driver.poll()).facts["events_late"] == 1


async def test_lost_lines_do_not_hurt() -> None:
    """UDP loses; what holds is found by polls, and the next line is heard (pain 19)."""
    async with rig() as one, one.listening():
        one.panel.loses_lines = True
        for _ in range(4):
            await one.panel.act("card")
        await one.until(lambda: one.count(EventKind.ACCESS) == 2, "lines are lost that were sent")
        one.panel.sip_registered = False
        assert (await one.driver.poll()).facts["sip_registered"] is False


async def test_sip_that_is_lost_is_told() -> None:
    async with rig() as one, one.listening():
        await one.driver.poll()
        for registered in (False, False, True):
            one.panel.sip_registered = registered
            await one.driver.poll()
        await one.until(lambda: one.count(EventKind.SYSTEM) == 2, "the loss is not told once")
        assert [one.active for one in one.events if one.kind is EventKind.SYSTEM] == [True, False]


# -- the stream of alarms (pains 1 to 4) -----------------------------------------------------------------------------


async def test_a_stream_that_went_silent_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "SILENCE", 0.3)
    async with rig(syslog=False, profile="ds_plain") as one, one.listening():
        one.panel.silent = True
        await one.until(lambda: one.count(EventKind.RESYNC) >= 2, "a silent stream is believed")
        one.panel.silent = False
        await one.panel.act("motion")
        await one.until(lambda: one.count(EventKind.MOTION), "the new stream is not heard")
        assert not one.errors


async def test_a_panel_that_died_with_its_stream_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "SILENCE", 0.3)
    async with rig(syslog=False, profile="ds_plain", config={"timeout": 0.3}) as one, one.listening():
        await one.panel.inject(Fault.BLACK_HOLE)
        await one.until(lambda: one.errors, "nobody notices")
        assert isinstance(one.errors[0], Unreachable)
        await one.panel.clear()


async def test_a_poll_that_sees_a_restart_ends_a_stream_that_looks_alive() -> None:
    async with rig(syslog=False, profile="ds") as one, one.listening():
        one.panel.silent = True
        one.panel.forget()  # it starts anew, and the connection is never closed
        await one.driver.poll()
        await one.until(lambda: one.count(EventKind.RESYNC) >= 2, "the old stream is believed")
        assert not one.errors


async def test_a_target_that_becomes_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "SILENCE", 0.3)
    async with rig() as one:
        one.panel.store.set("rsyslog_cgi", {"Enable": "on", "ServerAddress": "127.0.0.9", "LogLevel": "6"})
        async with one.listening():
            assert str((await one.driver.poll()).facts["events_by"]).startswith("its stream")
            one.panel.store.set("rsyslog_cgi", {"Enable": "off"})
            await one.until(
                lambda: one.panel.store.modules["rsyslog_cgi"]["ServerAddress"] == "127.0.0.1", "it is not taken"
            )


async def test_a_bad_line_costs_no_stream() -> None:
    async with rig(syslog=False, profile="ds_plain") as one, one.listening():
        for stream in one.panel._streams:
            stream.put_nowait(b";;;\n2026-13-45;x;MotionDetection;1;0\n\xff\xfe\n")
        await one.panel.act("motion")
        await one.until(lambda: one.count(EventKind.MOTION), "the stream was dropped")
        assert one.count(EventKind.RESYNC) == 1
        assert (await one.driver.poll()).facts["events_unreadable"] == 3


async def test_without_syslog_or_stream_there_are_polls() -> None:
    async with rig(syslog=False) as one:
        one.panel.profile = replace(one.panel.profile, modules=one.panel.profile.modules - {"alarmchangestate_cgi"})
        with pytest.raises(Unsupported):
            await anext(aiter(one.driver.events()))
        assert (await one.driver.poll()).facts["events_by"] == "polls alone"


# -- who it is, how it is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "readers"),
    [("dks", "mifare, extrfid"), ("dks_old", "rfid"), ("ds", None)],
)
async def test_what_a_poll_tells(profile: str, readers: str | None) -> None:
    async with rig(profile=profile) as one:
        identity = await one.driver.probe()
        assert (identity.manufacturer, identity.serial) == ("Beward", str(one.panel.number))
        assert identity.model == one.panel.profile.model
        reading = await one.driver.poll()
        assert reading.mark == f"{identity.serial} {identity.model} {identity.firmware}"
        facts = reading.facts
        assert isinstance(facts["uptime"], int)
        assert facts["uptime"] > 86_400
        assert facts["sip_registered"] is True
        assert abs(float(facts["clock_offset"] or 0)) < 3
        assert facts.get("key_readers") == readers
        assert facts.get("lock_1") == ("locked" if readers else None)
        assert facts.get("auto_collect_keys") is (False if readers else None)


async def test_a_door_that_is_kept_open_and_keys_that_residents_add_are_seen() -> None:
    async with rig() as one:
        await one.apply(vendor={"beward": {"free_pass_main": True, "auto_collect_keys": True}})
        await one.driver.probe()
        facts = (await one.driver.poll()).facts
        assert (facts["lock_1"], facts["lock_2"], facts["auto_collect_keys"]) == ("held", "locked", True)


async def test_polls_are_few_requests() -> None:
    async with rig() as one:
        await one.driver.probe()
        before = one.panel.seen["GET"]
        for _ in range(20):
            await one.driver.poll()
        assert one.panel.seen["GET"] - before <= 20 * 2 + 2 * 3


async def test_two_refusals_are_all_that_it_tries() -> None:
    """Accounts are locked by retries (pain 10)."""
    async with rig() as one:
        await one.panel.inject(Fault.WRONG_PASSWORD)
        for _ in range(2):
            with pytest.raises(AuthFailed):
                await one.driver.probe()
        assert one.panel.seen["auth_failed"] == 2


# -- doors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "outputs"), [("dks", 3), ("ds", 1)])
async def test_every_output_opens(profile: str, outputs: int) -> None:
    async with rig(profile=profile) as one:
        for output in range(1, outputs + 1):
            await one.driver.command(Command(Capability.OPEN_DOOR, arguments={"output": output}))
        assert one.panel.doors == list(range(1, outputs + 1))
        with pytest.raises(Rejected):
            await one.driver.command(Command(Capability.OPEN_DOOR, arguments={"output": outputs + 1}))


async def test_another_panel_at_the_address_opens_nothing() -> None:
    """Pain 20: identity is the serial number, the address is an attribute."""
    async with rig() as one:
        await one.driver.probe()
        one.panel.number += 1
        with pytest.raises(Rejected, match="another panel"):
            await one.driver.command(Command(Capability.OPEN_DOOR))
        assert one.panel.doors == []


# -- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["dks", "dks_old", "ds", "ds_plain"])
async def test_auto_mode_is_said_as_the_firmware_says_it(profile: str) -> None:
    async with rig(profile=profile) as one:
        on, off = one.panel.profile.switch
        one.panel.store.modules["ntp_cgi"]["AutoMode"] = on
        await one.apply(ntp={"servers": ["192.0.2.7"]})
        assert one.panel.store.modules["ntp_cgi"]["AutoMode"] == off
        assert (await one.read("ntp"))["ntp.servers"] == ("192.0.2.7",)


async def test_gate_volumes_are_off_by_one_and_come_out_right() -> None:
    async with rig() as one:
        await one.apply(vendor={"beward": {"volume_gate_in_vol": 12, "volume_gate_out_vol": 1, "volume_ahs_vol": 3}})
        audio = one.panel.store.modules["audio_cgi"]
        assert (audio["GateInVol"], audio["GateOutVol"], audio["AHSVol"]) == ("12", "1", "3")
        told = await one.read("vendor")
        assert told["vendor.beward.volume_gate_in_vol"] == 12


async def test_a_sip_account_keeps_its_password_and_takes_a_new_one() -> None:
    async with rig() as one:
        await one.apply(sip={"server": "192.0.2.8", "username": "2042"})
        sip = one.panel.store.modules["sip_cgi"]
        assert sip["AccPassword1"] == "factory-secret"
        assert (sip["RegServerUrl1"], sip["SipServerUrl1"], sip["AccUser1"], sip["AccNumber1"]) == (
            *("192.0.2.8", "192.0.2.8"),
            *("2042", "2042"),
        )
        # This revision sends black video unless it is told to send the small stream.
        assert sip["StreamType1"] == "sub"
        assert "factory-secret" not in repr(await one.read("sip"))


async def test_other_digits_stay_when_one_is_changed() -> None:
    async with rig() as one:
        await one.apply(door={"dtmf": "9"})
        sip = one.panel.store.modules["sip_cgi"]
        assert [sip[f"DtmfSignal{number}"] for number in (1, 2, 3)] == ["9", "2", "3"]


async def test_a_form_may_answer_by_sending_back_to_its_page() -> None:
    async with rig(forms_redirect=True) as one:
        await one.apply(hostname={"name": "gate-8"})
        assert (await one.read("hostname"))["hostname.name"] == "gate-8"


# -- somebody else's client on our panel -----------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["ds", "ds_plain"])
async def test_py_beward_reads_our_panel(profile: str) -> None:
    """Written by others, for their panels: who it is, a picture, and the stream of alarms."""
    async with rig(profile=profile) as one:
        heard: list[tuple[str, bool]] = []

        def listen() -> Any:
            panel = BewardDoorbell(
                f"127.0.0.1:{one.panel.port}", one.panel.username, one.panel.password, port=one.panel.port
            )
            panel.add_alarms_handler(lambda _panel, _at, alarm, state: heard.append((alarm, state)))
            panel.listen_alarms(alarms=("MotionDetection", "SensorAlarm"))
            return panel

        panel = await asyncio.to_thread(listen)
        try:
            assert await asyncio.to_thread(lambda: panel.device_type) == "doorbell"
            assert await asyncio.to_thread(lambda: panel.system_info["DeviceID"]) == str(one.panel.number)
            assert (await asyncio.to_thread(lambda: panel.live_image)).startswith(b"\xff\xd8")
            await until(lambda: ("DeviceOnline", True) in heard, "it does not listen", LIMIT)
            await one.panel.act("motion")
            await one.panel.act("sensor")
            await until(lambda: len(heard) >= 3, lambda: f"it heard {heard}", LIMIT)
            assert heard[1:3] == [("MotionDetection", True), ("SensorAlarm", True)]
        finally:
            panel._listen_alarms = False
            one.panel._hang_up()
            await asyncio.to_thread(panel._listener.join, LIMIT)
