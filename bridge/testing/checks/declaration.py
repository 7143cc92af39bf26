"""Is the driver what it says it is? Nothing is asked of a device here, but for its capabilities."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bridge.driver import API_VERSION, Driver
from bridge.model import COMMANDS, Capability, Kind
from bridge.testing.checks import shape
from bridge.testing.checks.base import Contract
from bridge.testing.harness import on_a_loop

_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")
# The capabilities of which one at least makes a method needed. Streams are what poll() reports; `health` looks at them.
_METHODS = {
    "events": {Capability.EVENTS},
    "discover": {Capability.DISCOVER},
    "read_settings": {Capability.SETTINGS},
    "apply": {Capability.SETTINGS},
    "recorded": {Capability.ARCHIVE},
    "clip": {Capability.ARCHIVE},
    "command": COMMANDS,
}
_CALLED = ("problem", "open", "close", "probe", "poll", *_METHODS)


class DeclarationChecks(Contract):
    def test_it_says_what_it_is(self) -> None:
        driver, name = self.driver, self.driver.__name__
        assert issubclass(driver, Driver), f"{name} is no bridge.driver.Driver"
        for attribute in ("name", "kinds", "capabilities", "Config"):
            assert hasattr(driver, attribute), f"{name}.{attribute} is missing"
        assert _NAME.fullmatch(driver.name), (
            f"{name}.name is {driver.name!r}: lower-case letters, digits and _, because it is a key in the inventory"
        )
        assert driver.api_version == API_VERSION, (
            f"{name} is for driver API {driver.api_version}, this is {API_VERSION}"
        )
        assert driver.stability in ("stable", "beta"), f"{name}.stability is {driver.stability!r}: stable or beta"
        assert driver.kinds, f"{name}.kinds is empty: what are its devices to the VMS?"
        assert isinstance(driver.kinds, frozenset), f"{name}.kinds is a frozenset of Kind"
        assert all(isinstance(one, Kind) for one in driver.kinds), f"{name}.kinds is a frozenset of Kind"
        assert isinstance(driver.capabilities, frozenset), f"{name}.capabilities is a frozenset of Capability"
        assert all(isinstance(one, Capability) for one in driver.capabilities), (
            f"{name}.capabilities is a frozenset of Capability"
        )
        assert driver.problem() is None, f"{name} says that it cannot work here: {driver.problem()}"

    def test_its_simulator_is_of_the_same_family(self) -> None:
        simulator = self.simulator
        assert simulator.driver == self.driver.name, (
            f"{simulator.__name__}.driver is {simulator.driver!r}, the driver's name {self.driver.name!r}"
        )
        more = simulator.kinds - self.driver.kinds
        assert not more, f"{simulator.__name__}.kinds has {sorted(more)}, which the driver does not serve"

    def test_its_methods_are_called_as_the_contract_says(self) -> None:
        for name in _CALLED:
            own, base = getattr(self.driver, name), getattr(Driver, name)
            if getattr(own, "__func__", own) is getattr(base, "__func__", base):
                continue
            expected, found = (list(inspect.signature(method).parameters) for method in (base, own))
            assert found == expected, f"{name}({', '.join(found)}) is called as {name}({', '.join(expected)})"
            must_wait = inspect.iscoroutinefunction(base)
            assert inspect.iscoroutinefunction(own) == must_wait, (
                f"{name}() is {'' if must_wait else 'not '}awaited: write {'async def' if must_wait else 'def'} {name}"
                f"{'' if must_wait else ', or an async generator'}"
            )

    def test_it_has_the_capabilities_that_it_declares_and_no_others(self) -> None:
        for name, capabilities in _METHODS.items():
            own, base = getattr(self.driver, name), getattr(Driver, name)
            has_it = getattr(own, "__func__", own) is not getattr(base, "__func__", base)
            declared = sorted(capabilities & self.driver.capabilities)
            assert has_it or not declared, f"Capability.{declared[0].name} is declared, and {name}() is missing"
            names = " nor ".join(f"Capability.{one.name}" for one in sorted(capabilities))
            assert declared or not has_it, f"{name}() is there, and {names} is not declared"
        for name in ("probe", "poll"):
            assert getattr(self.driver, name) is not getattr(Driver, name), f"every driver has {name}()"
        if Capability.EVENTS in self.able:
            assert self.happenings, (
                f"Capability.EVENTS is declared: list in {type(self).__name__}.happenings what the simulator can let "
                "happen, so that the events can be checked"
            )

    @on_a_loop
    async def test_discovery_finds_the_device_and_sends_no_password(self) -> None:
        self.needs(Capability.DISCOVER)
        async with self.bench() as bench:
            unit = await bench.unit()
            async with self.scope(unit) as scope:
                bench.expect_these_sockets()  # those of the scope
                found = []
                async with aclosing(self.driver.discover(scope)) as devices:  # type: ignore[type-var]
                    async for one in devices:
                        shape.found_device(one, self.driver.name)
                        found.append(one)
                places = [(one.address, one.port) for one in found]
                simulator = unit.simulator
                place = (simulator.address, simulator.port)
                assert place in places, f"discover() does not find the simulated device at {place}, but {places}"
                assert len(places) == len(set(places)), f"discover() yields a device twice: {places}"
                await bench.no_sockets("after discover()")
                # Who has seen enough goes on: what is open then is closed as well.
                async with aclosing(self.driver.discover(scope)) as devices:  # type: ignore[type-var]
                    await anext(aiter(devices))
                await bench.no_sockets("after discover() was left early")
            asked_for = simulator.seen["auth_failed"]
            assert asked_for == 0, f"discover() sent credentials {asked_for} times to a device that nobody listed"

    # -- configuration ------------------------------------------------------------------------------------------

    def test_its_config_refuses_unknown_keys(self) -> None:
        config = self.driver.Config
        try:
            config.model_validate({"no_such_key": 1})
        except ValidationError as error:
            if any(one["type"] == "extra_forbidden" for one in error.errors()):
                return
        raise AssertionError(
            f"{config.__name__} takes unknown keys: set model_config = ConfigDict(extra='forbid'), so that a slip of "
            "the pen is not silently ignored"
        )

    def test_its_config_explains_itself(self) -> None:
        for model, path in _models(self.driver.Config):
            for name, field in model.model_fields.items():
                assert field.description, f"{path}.{name} has no description: people see it in the schema and in errors"
        schema = self.driver.Config.model_json_schema()
        json.dumps(schema)  # a default that JSON cannot say breaks `device-bridge schema`

    @on_a_loop
    async def test_valid_configs_are_taken(self) -> None:
        assert self.valid_configs, "valid_configs is empty: give the smallest one, {}, and one with everything in it"
        for config in self.valid_configs:
            try:
                self.driver.Config.model_validate({**config})
            except ValidationError as error:
                raise AssertionError(f"the valid config {config!r} is refused: {error}") from error
            async with self.bench(**config) as bench:
                bench.driver(await bench.unit())

    def test_invalid_configs_are_refused(self) -> None:
        assert self.invalid_configs, "invalid_configs is empty: give a few that people will really write"
        for config in self.invalid_configs:
            try:
                taken = self.driver.Config.model_validate({**config})
            except ValidationError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"the config {config!r} makes the validation itself fail: {error!r}. Raise ValueError there."
                ) from error
            raise AssertionError(f"the invalid config {config!r} is taken: {taken!r}")

    # -- for people ---------------------------------------------------------------------------------------------

    def test_a_readme_stands_beside_it(self) -> None:
        file = Path(inspect.getfile(self.driver)).with_name("README.md")
        assert file.is_file(), (
            f"{file} is missing: models and firmware it was tried with, what it can do, limits, how to set a device up"
        )
        text = file.read_text(encoding="utf-8")
        missing = [name for name in self.driver.Config.model_fields if f"`{name}`" not in text]
        assert not missing, f"{file} does not explain the config fields {', '.join(missing)}"


def _models(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    """A model and those inside of it, each once."""
    seen: dict[type[BaseModel], str] = {}
    waiting: list[tuple[Any, str]] = [(model, model.__name__)]
    while waiting:
        one, path = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            if one not in seen:
                seen[one] = path
                waiting += [(field.annotation, f"{path}.{name}") for name, field in one.model_fields.items()]
        else:
            waiting += [(inner, path) for inner in getattr(one, "__args__", ())]
    yield from seen.items()
