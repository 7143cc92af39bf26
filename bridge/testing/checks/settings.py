"""Can the device be set up through the driver, and told to do things? What is written is read back, and looked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any

import pytest

from bridge.driver import AnyDriver, ShortMemory
from bridge.errors import AuthFailed, DeviceError, Rejected, Unsupported
from bridge.model import COMMANDS, Capability, Command, Result
from bridge.secrets import Secret
from bridge.settings.limits import Anything, Limits, same
from bridge.settings.plan import Configuration, Plan, back, plan, shown
from bridge.settings.vocabulary import FIELDS, SECRETS, SECTIONS, Flat, Settings, flatten, pattern, section_of, split
from bridge.testing.checks.base import MEANS, Contract, outcome
from bridge.testing.checks.cancelling import MOST_WAITS, cancelled_at
from bridge.testing.checks.secrets import clean, forms, texts
from bridge.testing.harness import SlowMemory, Unit, on_a_loop, until
from bridge.testing.measuring import everything_said
from bridge.testing.simulator import Fault

# The device may do what it was asked, and its answer is lost.
_LOST = (Fault.HTML, Fault.JUNK, Fault.HALF_ANSWER, Fault.CLOSED)
_SECRET_LENGTH = 8
_TRIES = 2


class SettingsChecks(Contract):
    def test_its_table_of_settings_is_one(self) -> None:
        self.needs(Capability.SETTINGS)
        driver, name = self.driver, self.driver.__name__
        assert driver.settings, f"{name}.settings is empty: list every setting of the family, and what is done for it"
        own = driver.VendorSettings.model_fields if driver.VendorSettings is not None else {}
        for path, done in driver.settings.items():
            section, family, leaf = split(path)
            if section == "vendor":
                assert family == driver.name, f"{name}.settings has {path}: its own stand under vendor.{driver.name}"
                assert leaf in own, f"{name}.settings has {path}, and VendorSettings has no field {leaf}"
            else:
                assert path in FIELDS, f"{name}.settings has {path}, which bridge/settings/vocabulary.py has not"
            assert done, f"{name}.settings says nothing of what is done for {path}: people look there"
        for leaf, field in own.items():
            path = f"vendor.{driver.name}.{leaf}"
            assert path in driver.settings, f"VendorSettings has {leaf}, and {name}.settings has no {path}"
            assert field.description, f"VendorSettings.{leaf} has no description"
            assert not field.is_required(), f"VendorSettings.{leaf} has no default: a template need not speak of it"
        if driver.VendorSettings is not None:
            assert driver.VendorSettings.model_config.get("extra") == "forbid", (
                "VendorSettings takes unknown keys: set model_config = ConfigDict(extra='forbid')"
            )
            json.dumps(driver.VendorSettings.model_json_schema())
        cls = type(self).__name__
        assert self.settings_samples, f"{cls}.settings_samples is empty: give a few that the simulated device can have"
        assert self.settings_refused, f"{cls}.settings_refused is empty: give what the simulated device does not take"

    # -- reading ------------------------------------------------------------------------------------------------

    @on_a_loop
    async def test_reading_writes_nothing(self) -> None:
        self.needs(Capability.SETTINGS)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            before = unit.simulator.configuration()
            found = await self._read(driver)
            for section in SECTIONS:
                await self._read(driver, [section])
            count = unit.simulator.writes()
            assert count == 0, f"read_settings() writes to the device, {count} times: it may only ask"
            assert unit.simulator.configuration() == before, "read_settings() changes what is set on the device"
            assert found.limits.fields, "read_settings() finds nothing at all on the simulated device"
            again = plan(found, found.settings)
            assert not again.refusals, f"what was read would be refused: {'; '.join(map(str, again.refusals))}"
            assert not again.changes, f"what was read would be changed: {'; '.join(map(str, again.changes))}"

    @pytest.mark.parametrize("fault", list(MEANS), ids=str)
    @on_a_loop
    async def test_a_fault_at_settings_is_called_by_its_name(self, fault: Fault) -> None:
        self.needs(Capability.SETTINGS)
        self.can_be(fault)
        async with self.bench() as bench:
            unit = await bench.unit()
            new, reading, writing = [await bench.ready(unit) for _ in range(3)]
            sections = self._sections()
            await self._read(reading, sections)
            step = (await self._planned(writing, self._samples()[0])).steps()[0]
            await unit.inject(fault)
            calls = {
                "read_settings() after probe()": new.read_settings(new.device.channels[0], sections),
                "read_settings()": reading.read_settings(reading.device.channels[0], sections),
                "apply()": writing.apply(writing.device.channels[0], step),
            }
            ended = await asyncio.gather(*(self.in_time(call, name, fault) for name, call in calls.items()))
            for name, result in zip(calls, ended, strict=True):
                self.is_called(MEANS[fault], result, f"{name} with Fault.{fault.name}")
            await unit.clear()
            for driver in (new, reading, writing):
                await self._still_reads(driver, f"after Fault.{fault.name} is over, with the same instance")

    @on_a_loop
    async def test_a_wrong_password_at_settings_is_tried_once(self) -> None:
        self.needs(Capability.SETTINGS)
        self.can_be(Fault.WRONG_PASSWORD)
        async with self.bench() as bench:
            unit = await bench.unit()
            new, known = await bench.ready(unit), await bench.ready(unit)
            await self._read(known, self._sections())
            await unit.inject(Fault.WRONG_PASSWORD)
            for driver in (new, known):
                before = unit.seen["auth_failed"]
                call = driver.read_settings(driver.device.channels[0], self._sections())
                result = await self.in_time(call, "read_settings()", Fault.WRONG_PASSWORD)
                self.is_called((AuthFailed,), result, "read_settings() with a wrong password")
                tries = unit.seen["auth_failed"] - before
                assert 1 <= tries <= _TRIES, (
                    f"read_settings() sends a wrong password {tries} times: once is enough, devices lock accounts"
                )
            await unit.clear()
            await self._still_reads(known, "after the password is right again, with the same instance")

    # -- writing ------------------------------------------------------------------------------------------------

    @on_a_loop
    async def test_what_was_written_is_read(self) -> None:
        self.needs(Capability.SETTINGS)
        async with self.bench() as bench:
            for wanted in self._samples():
                unit = await bench.unit()
                driver = await bench.ready(unit)
                before = flatten((await self._read(driver)).settings)
                todo = await self._planned(driver, wanted)
                await self._write(driver, unit, todo)
                now = await self._read(driver)
                self._is_as_wanted(now, wanted)
                assert unit.simulator.writes() > 0, f"{type(unit.simulator).__name__}.writes() counts no apply()"
                left = plan(now, wanted, known=_secrets(wanted))
                assert left.empty, f"after apply(), there is still to be done: {_told(left)}"
                after, changed = flatten(now.settings), {one.path for one in todo.changes}
                gone = tuple(path.removesuffix("absent") for path in changed if path.endswith(".absent"))
                for path, was in before.items():
                    asked = path in changed or path.startswith(gone)
                    assert asked or same(now.limits.of(path, after), after.get(path), was), (
                        f"apply() of {', '.join(sorted(changed))} also changes {path} from {shown(was)} to "
                        f"{shown(after.get(path))}: what a step does not speak of stays as it is"
                    )
                await self._put_back(driver, unit, before, todo)
                await bench.retire(unit)

    @on_a_loop
    async def test_a_refusal_is_called_by_its_name(self) -> None:
        self.needs(Capability.SETTINGS)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            for refused in self.settings_refused:
                wanted = Settings.model_validate(refused)
                now = await self._read(driver, _sections(wanted))
                # Without limits, so that the plan does not refuse it first.
                free = Configuration(now.settings, Limits(dict.fromkeys(flatten(wanted), Anything())))
                for step in plan(free, wanted).steps():
                    result = await outcome(driver.apply(driver.device.channels[0], step))
                    self.is_called(
                        (Rejected,), result, f"apply() of {', '.join(step.paths)}, which the device refuses,"
                    )
                await self._still_reads(driver, "after the device refused something")

    @on_a_loop
    async def test_no_secret_of_a_step_is_ever_told(self) -> None:
        self.needs(Capability.SETTINGS)
        samples = [one for one in self._samples() if _secrets(one)]
        if not samples:
            here = [path for path in SECRETS & set(self.driver.settings) if section_of(path) in self._sections()]
            assert not here, f"settings_samples say nothing of {', '.join(here)}, which is a secret: give one of them"
            pytest.skip(f"no secret can be set here by {self.driver.name}")
        needles = [form for one in samples for path in _secrets(one) for form in self._forms(one, path)]
        async with self.bench() as bench:
            unit, memory = await bench.unit(), ShortMemory()
            results: dict[str, Any] = {}
            with everything_said() as said:
                driver = await bench.ready(unit, memory=memory)
                for wanted in samples:
                    todo = await self._planned(driver, wanted)
                    for fault in (*_LOST, None):
                        if fault is not None and fault not in self.impossible:
                            await unit.inject(fault)
                        for step in todo.steps():
                            name = f"apply() {f'with Fault.{fault.name}' if fault else 'on a healthy device'}"
                            results[name] = await outcome(driver.apply(driver.device.channels[0], step))
                        await unit.clear()
                    results["read_settings()"] = await self._read(driver, _sections(wanted))
                results["memory"] = dict(memory.values)
                results["repr(driver)"] = repr(driver)
            for where, result in results.items():
                for text in texts(result):
                    clean(text, needles, f"the result of {where}")
            for line in said:
                clean(line, needles, "the log")

    @on_a_loop
    async def test_it_can_be_cancelled_wherever_it_reads_and_writes(self) -> None:
        self.needs(Capability.SETTINGS)
        async with self.bench(keep_alive=False) as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit, memory=SlowMemory())
            channel = driver.device.channels[0]

            async def everywhere(call: Callable[[], Coroutine[Any, Any, Any]], name: str) -> None:
                for waits in range(1, MOST_WAITS):
                    cancelled = await cancelled_at(waits, call, name, self.patience)
                    when = f"after {name} was cancelled at its await number {waits}"
                    await bench.no_tasks(when)
                    await bench.no_sockets(when)
                    if not cancelled:
                        return
                raise AssertionError(f"{name} waits more than {MOST_WAITS} times")

            for section in self._sections():
                await everywhere(partial(driver.read_settings, channel, [section]), f"read_settings() of {section}")
            for wanted in self._samples():
                for step in (await self._planned(driver, wanted)).steps():
                    await everywhere(partial(driver.apply, channel, step), f"apply() of {step.section}")

    # -- commands -----------------------------------------------------------------------------------------------

    @on_a_loop
    async def test_it_reboots_once_when_told_to(self) -> None:
        self.needs(Capability.REBOOT)
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            result = await driver.command(Command(Capability.REBOOT))
            assert isinstance(result, Result), f"command() returns {result!r}, which is no bridge.model.Result"
            await self._is_back(driver, unit)
            assert unit.simulator.reboots == 1, f"told to reboot once, it reboots {unit.simulator.reboots} times"

    @on_a_loop
    async def test_what_it_was_not_made_for_is_unsupported(self) -> None:
        if not COMMANDS & self.driver.capabilities:
            pytest.skip(f"{self.driver.name} takes no commands, and has no command()")
        async with self.bench() as bench:
            unit = await bench.unit()
            driver = await bench.ready(unit)
            for action in Capability:
                if action not in COMMANDS & self.driver.capabilities:
                    result = await outcome(driver.command(Command(action)))
                    self.is_called((Unsupported,), result, f"command({action}), which is not declared,")
            assert unit.simulator.reboots == 0, "a command that the driver does not know makes the device reboot"

    # -- what they are made of ----------------------------------------------------------------------------------

    def _samples(self) -> list[Settings]:
        return [Settings.model_validate(one) for one in self.settings_samples]

    def _sections(self) -> list[str]:
        """Those that the samples speak of."""
        return list(dict.fromkeys(section for one in self._samples() for section in _sections(one)))

    async def _read(self, driver: AnyDriver, sections: Collection[str] = SECTIONS) -> Configuration:
        found = await driver.read_settings(driver.device.channels[0], sections)
        assert isinstance(found, Configuration), f"read_settings() returns {found!r}, which is no Configuration"
        values, limits = flatten(found.settings), found.limits
        limited = {*limits.fields, *(path for table in limits.given.values() for path in table)}
        for path in sorted({*values, *limited}):
            assert section_of(path) in sections, f"read_settings() was asked for {', '.join(sections)}; it tells {path}"
        for path in sorted(limited):
            assert pattern(path) in self.driver.settings, (
                f"read_settings() has a limit for {path}, and {self.driver.__name__}.settings has no {pattern(path)}"
            )
        secret = sorted(path for path, value in values.items() if isinstance(value, Secret))
        assert not secret, f"read_settings() tells {', '.join(secret)}: no secret is ever read"
        return found

    async def _planned(self, driver: AnyDriver, wanted: Settings) -> Plan:
        todo = plan(await self._read(driver, _sections(wanted)), wanted)
        assert not todo.refusals, f"a sample of settings_samples is refused: {'; '.join(map(str, todo.refusals))}"
        assert todo.changes, f"a sample of settings_samples is what the device has already: {wanted!r}"
        return todo

    async def _write(self, driver: AnyDriver, unit: Unit, todo: Plan) -> None:
        """Each step twice, because that is what happens when an answer is lost; and the reboot, if it takes one."""
        reboot = False
        for step in todo.steps():
            for again in ("", " a second time"):
                try:
                    needs = await driver.apply(driver.device.channels[0], step)
                except DeviceError as error:
                    raise AssertionError(f"apply() of {', '.join(step.paths)}{again} raises {error!r}") from error
                assert isinstance(needs, bool), f"apply() returns {needs!r}: True when it takes a reboot, else False"
                reboot |= needs
        if reboot:
            await unit.reboot()
            await self._is_back(driver, unit)

    async def _put_back(self, driver: AnyDriver, unit: Unit, before: Flat, done: Plan) -> None:
        """As `rollback` does it."""
        sections = [step.section for step in done.steps()]
        await self._write(driver, unit, back(await self._read(driver, sections), before, done))
        left = back(await self._read(driver, sections), before, done)
        assert left.empty, f"put back to how it was with apply(), and it is not: {_told(left)}"

    async def _is_back(self, driver: AnyDriver, unit: Unit) -> None:
        await until(lambda: unit.simulator.reboots, "the device does not reboot", self.patience)
        async with asyncio.timeout(self.patience):
            while isinstance(await outcome(driver.probe()), DeviceError):  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(0.01)

    async def _still_reads(self, driver: AnyDriver, when: str) -> None:
        try:
            await self._read(driver, self._sections())
        except DeviceError as error:
            raise AssertionError(f"{when}, read_settings() raises {error!r}") from error

    def _is_as_wanted(self, now: Configuration, wanted: Settings) -> None:
        found = flatten(now.settings)
        for path, value in flatten(wanted).items():
            if isinstance(value, Secret) or split(path)[2] == "absent":
                continue
            assert same(now.limits.of(path, found), found.get(path), value), (
                f"apply() was to set {path} to {shown(value)}, and read_settings() says {shown(found.get(path))}"
            )

    def _forms(self, sample: Settings, path: str) -> list[str]:
        secret = flatten(sample)[path].reveal()
        assert len(secret) >= _SECRET_LENGTH, f"{path} of a sample is too short to be looked for: 8 characters or more"
        return forms(secret, secret)


def _sections(settings: Settings) -> list[str]:
    return list(dict.fromkeys(map(section_of, flatten(settings))))


def _secrets(settings: Settings) -> list[str]:
    return [path for path, value in flatten(settings).items() if isinstance(value, Secret)]


def _told(left: Plan) -> str:
    return "; ".join(map(str, (*left.changes, *left.refusals)))
